"""Counts of the first page, against counting by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sciexplain.report.columns import Columns
from sciexplain.report.overview import gaps, histogram, overview

_VALUES = hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6) | st.just(np.nan))


def _columns(prediction, label, **others):
    n = len(prediction)
    made = {name: np.full(n, np.nan) for name in ("probability", "score", "gap")}
    return Columns(np.arange(n), np.array(prediction), np.array(prediction), np.array(label), **(made | others))


@given(_VALUES)
def test_every_finite_value_is_in_one_bin(values):
    found = histogram(values)
    finite = values[np.isfinite(values)]
    if found is None:
        assert not len(finite)
        return
    edges = found["edges"]
    assert np.all(np.diff(edges) > 0)
    expected = [int(((finite >= low) & (finite < high)).sum()) for low, high in pairwise(edges)]
    assert found["counts"].tolist() == expected
    assert found["below"] + sum(expected) + found["above"] == len(finite)


def test_edges_are_round_and_outliers_do_not_stretch_them():
    values = np.append(np.random.default_rng(0).normal(size=10_000), 1e9)
    found = histogram(values)
    np.testing.assert_allclose(found["edges"] * 4 % 1, 0, atol=1e-9)
    assert found["above"] >= 1 and found["edges"][-1] < 10


@given(hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e3, 1e3)))
def test_every_gap_is_in_one_bin(values):
    found = gaps(values)
    size = np.abs(values)
    assert found["zero"] == (size == 0).sum()
    assert sum(found["counts"]) == (size > 0).sum()


def test_classes_accuracy_and_confusions():
    found = overview(_columns([0, 1, 1, 2, 2], [0, 1, 0, 2, -1]))
    assert found["accuracy"] == {"judged": 4, "right": 3}
    assert found["classes"] == [
        {"class": 0, "predicted": 1, "labelled": 2, "right": 1},
        {"class": 1, "predicted": 2, "labelled": 1, "right": 1},
        {"class": 2, "predicted": 2, "labelled": 1, "right": 1},
    ]
    assert found["confusion"]["matrix"].tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]  # [label][prediction]


def test_many_classes_have_their_confusions_listed():
    prediction = np.arange(100) % 30
    label = np.where(np.arange(100) % 30 == 7, 3, prediction)
    found = overview(_columns(prediction, label))["confusion"]
    assert found["pairs"].tolist() == [[3, 7, 4]]  # 7, 37, 67 and 97


@pytest.mark.parametrize("name", ["score", "probability", "gap", "classes", "accuracy", "confusion"])
def test_without_values_there_is_nothing_to_draw(name):
    assert overview(_columns([-1, -1], [-1, -1]))[name] is None


def test_a_probability_of_one_is_in_the_last_bin():
    found = overview(_columns([0, 0], [-1, -1], probability=np.array([1.0, 0.95])))["probability"]
    assert found["counts"][-1] == 2
