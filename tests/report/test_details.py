"""Which samples get a page of their own, and how they are cut into files."""

import json
import re

import numpy as np

from sciexplain.report.columns import Columns
from sciexplain.report.details import chosen, write_samples
from sciexplain.report.payload import Data


def _columns(n, wrong=(), scores=None):
    none = np.full(n, np.nan)
    label = np.zeros(n, np.int64)
    label[list(wrong)] = 1
    return Columns(
        np.arange(n) * 2,
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        label,
        none,
        none if scores is None else scores,
        none,
    )


def test_all_where_they_are_few():
    assert chosen(_columns(10), 10).tolist() == list(range(0, 20, 2))


def test_first_wrong_highest_and_some_of_all():
    scores = np.zeros(1000)
    scores[900:905] = 5
    found = set((chosen(_columns(1000, wrong=(700, 701), scores=scores), 40) // 2).tolist())
    assert len(found) == 40
    assert found >= {*range(20), 700, 701, *range(900, 905)}
    assert 999 in found and any(300 < place < 600 for place in found)


def test_scores_that_are_missing_come_last():
    scores = np.full(100, np.nan)
    scores[50] = -1
    assert 100 in chosen(_columns(100, scores=scores), 8)


def test_none_if_none_are_wanted():
    assert chosen(_columns(10), 0).tolist() == []


class _Given:
    def __init__(self, samples):
        self._samples = samples

    def samples(self, numbers):
        for number in numbers:
            if number in self._samples:
                yield number, self._samples[number]


def test_files_are_small_and_each_starts_where_the_index_says(tmp_path):
    samples = {number: {"values": "x" * 50_000} for number in range(0, 40, 3)}
    index, there = write_samples(Data(tmp_path), _Given(samples), range(40))
    assert there == list(samples) and index["count"] == len(samples)
    found = []
    for i, start in enumerate(index["starts"]):
        text = (tmp_path / f"samples/{i:05d}.js").read_text()
        assert len(text) < 150_000
        held = json.loads(re.fullmatch(r".*?'(.*)'\);\n", text)[1])
        assert held["numbers"][0] == start and len(held["numbers"]) == len(held["samples"])
        found += held["numbers"]
    assert found == there


def test_one_sample_larger_than_a_file_has_one_of_its_own(tmp_path):
    index, _ = write_samples(Data(tmp_path), _Given({1: ["y" * 400_000], 2: [1], 3: [2]}), [1, 2, 3])
    assert index["starts"] == [1, 2]
