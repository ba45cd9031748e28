"""What ``sciexplain evaluate`` is made of: scores kept, masks read, figures rounded."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import sciexplain as sx
from sciexplain.cli.evaluate import _cell
from sciexplain.cli.evaluation import Remembered
from sciexplain.cli.evaluation_masks import read_masks
from sciexplain.domains import genomics
from sciexplain.errors import DataError


class Counting:
    """Score: the sum of the numbers of the parts that are left."""

    sizes = (3, 5)

    def __init__(self):
        self.asked = 0

    def scores(self, samples, kept):
        self.asked += len(samples)
        return torch.stack([(keep * torch.arange(1.0, len(keep) + 1)).sum() for keep in kept]).double()


def test_nothing_is_scored_twice():
    plain, counting = Counting(), Counting()
    remembered = Remembered(counting)
    relevance = [torch.tensor([1.0, 3.0, 2.0]), torch.arange(5.0)]
    for order in ("most", "least", "random"):
        expected = sx.evaluate.flipping(plain, relevance, order=order, steps=None)
        found = sx.evaluate.flipping(remembered, relevance, order=order, steps=None)
        torch.testing.assert_close(found.scores, expected.scores)
    before = counting.asked
    sx.evaluate.flipping(remembered, relevance, order="least", steps=None)
    assert counting.asked == before < plain.asked
    twice = [torch.tensor([True, False, True])] * 2
    assert remembered.scores([0, 0], twice).tolist() == [4.0, 4.0]


@pytest.mark.parametrize(
    "mean, low, high, text",
    [
        (5.5142, 5.141, 5.888, "5.5  [5.1, 5.9]"),
        (2.1671, 1.922, 2.431, "2.17  [1.92, 2.43]"),
        (0.99395, 0.99304, 0.99486, "0.9940  [0.9930, 0.9949]"),
        (-0.0337, -0.0689, 0.00108, "−0.034  [−0.069, 0.001]"),
        (1.66e-7, 1.34e-7, 2.02e-7, "1.7e−07  [1.3e−07, 2.0e−07]"),
        (0.07, 0.07, 0.07, "0.07"),
        (0.070000, 0.069999, 0.070001, "0.0700  [0.0700, 0.0700]"),
        (123.4, 80.0, 160.0, "123  [80, 160]"),
    ],
)
def test_figures_have_as_many_digits_as_they_are_sure_of(mean, low, high, text):
    row = SimpleNamespace(mean=mean, low=low, high=high, samples=9, difference=None)
    assert _cell(row).replace("\n", " ").replace("\\[", "[") == text


def test_a_difference_is_marked_where_its_interval_leaves_out_0():
    row = {"mean": 2.0, "low": 1.0, "high": 3.0, "samples": 9}
    for low, high, marked in ((0.1, 0.5, True), (-0.5, -0.1, True), (-0.1, 0.5, False)):
        difference = SimpleNamespace(low=low, high=high)
        assert ("*" in _cell(SimpleNamespace(**row, difference=difference))) is marked
    assert _cell(SimpleNamespace(**{**row, "samples": 0}, difference=None)) == ""


def test_sites_on_the_genome_and_in_sequences(tmp_path):
    intervals = (genomics.Interval("chr1", 100, 108), genomics.Interval("chr1", 104, 112, "-"), None)
    sequences = genomics.Sequences(torch.zeros(3, 4, 8), ("a", "b", "c"), intervals)
    bed = tmp_path / "sites.bed"
    bed.write_text("# sites\nchr1\t102\t106\tx\nc\t0\t2\nchr2\t0\t9\n")
    opened, explained = SimpleNamespace(kind="genomics"), SimpleNamespace(sequences=sequences)
    masks, missing = read_masks(bed, opened, ("a", "b", "c"), explained)
    found = ["".join("x" if on else "." for on in mask.tolist()) for mask in masks]
    # the second runs backwards: its last two letters are 104 and 105
    assert found == ["..xxxx..", "......xx", "xx......"] and missing == {}
    bed.write_text("c\t0\t2\n")
    assert set(read_masks(bed, opened, ("a", "b", "c"), explained)[1]) == {"a", "b"}
    bed.write_text("chr9\t0\t2\n")
    with pytest.raises(DataError, match="masks of none"):
        read_masks(bed, opened, ("a", "b", "c"), explained)
    bed.write_text("c 0 2\n")
    with pytest.raises(DataError, match=r"sites.bed:1: found 'c 0 2'"):
        read_masks(bed, opened, ("a", "b", "c"), explained)


@pytest.mark.parametrize(
    "name, text",
    [
        ("t.csv", "id,atoms\nx:1,0 2\nx:2,1\n"),
        ("t.csv", "name,atoms\nfirst,0;2\nsecond,1\n"),
        ("t.jsonl", '{"id": "x:1", "atoms": [0, 2]}\n{"id": "x:2", "atoms": [1]}\n'),
    ],
)
def test_tables_of_atoms(tmp_path, name, text):
    import pyarrow as pa

    table = pa.table({"id": ["x:1", "x:2"], "input": ["first", "second"]})
    opened = SimpleNamespace(kind="molecules", table=table)
    (tmp_path / name).write_text(text)
    masks, missing = read_masks(tmp_path / name, opened, ("x:1", "x:2"), ["abc", "ab"])  # of lengths 3 and 2
    assert [m.tolist() for m in masks] == [[True, False, True], [False, True]] and missing == {}
    for wrong, message in (
        ("id,atoms\nx:1,7\n", "no atom 7"),
        ("id,atoms\nx:1,C\n", "'C'"),
        ("id,x\na,b\n", "columns 'id', 'x'"),
    ):
        (tmp_path / "wrong.csv").write_text(wrong)
        with pytest.raises(DataError, match=message):
            read_masks(tmp_path / "wrong.csv", opened, ("x:1", "x:2"), ["abc", "ab"])
