import csv

import numpy as np
import pytest

from sciexplain.datasets.molecules import read_table
from sciexplain.errors import DataError

SMILES = ["C" * n + tail for n in range(1, 7) for tail in ("O", "N", "F")]


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["name", "smiles", "value"], *rows])
    return path


def test_a_table_of_the_user(tmp_path):
    rows = [[f"m{i}", smiles, i / 2] for i, smiles in enumerate(SMILES)]
    rows[3:3] = [["bad", "C1CC", 1.0], ["empty", "CC", ""], ["text", "CC", "high"], ["twice", "OC", 7.0]]
    data = read_table(write(tmp_path / "x.csv", rows), "value", unit="eV")
    assert (data.kind, data.tasks, data.units) == ("regression", ("value",), ("eV",))
    assert [molecule.name for molecule in data.molecules[:4]] == ["m0", "m1", "m2", "twice"]
    np.testing.assert_array_equal(data.targets[:4, 0], [0, 0.5, 1, 7])
    places = [place for place, _ in data.failures]
    assert sorted(places) == ["x.csv:5", "x.csv:6", "x.csv:7"]
    reasons = dict(data.failures)
    assert "unclosed ring" in reasons["x.csv:5"]
    assert reasons["x.csv:6"] == "found no value in value"
    assert reasons["x.csv:7"] == "found 'high' in column 'value'; expected a number"
    # CO and OC are one molecule.
    part_of = {int(i): n for n, part in enumerate((data.train, data.valid, data.test)) for i in part}
    assert part_of[0] == part_of[3]
    assert len(part_of) == len(data) == len(SMILES) + 1


def test_zeros_and_ones_are_classes(tmp_path):
    data = read_table(write(tmp_path / "x.csv", [["", s, i % 2] for i, s in enumerate(SMILES)]), "value")
    assert data.kind == "classification"


def test_digest_follows_the_content(tmp_path):
    rows = [[f"m{i}", smiles, i] for i, smiles in enumerate(SMILES)]
    first = read_table(write(tmp_path / "x.csv", rows), "value").sha256
    assert read_table(write(tmp_path / "y.csv", rows), "value").sha256 == first
    rows[4][2] = 4.5
    assert read_table(write(tmp_path / "y.csv", rows), "value").sha256 != first


@pytest.mark.parametrize(
    ("rows", "target", "message"),
    [
        ([["a", "C", 1]], "logp", "found the columns value; expected one named 'logp'"),
        ([["a", "C", 1]], "value", "found 1 usable rows; expected ten or more"),
        ([["a", "C(", 1]], "value", "found 0 usable rows.*the first that failed"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, rows, target, message):
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path / "x.csv", rows), target)
