"""What ``sciexplain data`` says of data sets of each kind."""

import pytest
from typer.testing import CliRunner

from sciexplain.cli.main import app


@pytest.mark.parametrize(
    ("name", "file", "said"),
    [
        ("digits", None, "digits: 1797 images of 8 × 8, 10 classes, 1433 for training and 364 held out"),
        (
            "simulated-motif",
            None,
            "simulated-motif: 10000 sequences of 200 bp, CTCF, 8000 for training, 1000 for validation and 1000 held "
            "out (random, seed 0), 5000 true sites and 10094 decoys",
        ),
        (
            "promoters",
            "uci_promoters",
            "promoters: 106 sequences of 57 bp, promoter, 84 for training, 10 for validation and 12 held out (random, "
            "seed 0)",
        ),
        (
            "leukemia",
            "leukemia",
            "leukemia: 9020 genes (average difference) in 48 patients, 24 ALL, 24 AML, 50 gene sets",
        ),
    ],
)
def test_get(name, file, said, shared_data, monkeypatch):
    if file:
        monkeypatch.setenv("SCIEXPLAIN_DATA", str(shared_data(f"genomics/{file}").parents[1]))
    result = CliRunner().invoke(app, ["data", "get", name])
    assert result.exit_code == 0
    assert " ".join(result.stdout.split()) == said


def test_list_has_every_kind():
    listed = CliRunner().invoke(app, ["data", "list"]).stdout
    assert all(name in listed for name in ("digits", "drugs", "ctcf-pu1", "leukemia"))
