"""The curve of one sample against a plain loop over its definition (Samek et al. 2017, eq. 12)."""

import pytest
import torch

from sciexplain.evaluate import TensorRemoval
from sciexplain.evaluate.fillers import Constant
from sciexplain.records.faithfulness import RANDOM_ORDERS, STEPS, faithfulness

WEIGHTS = torch.arange(1.0, 41.0)


def model(x):
    return (x * WEIGHTS).sum(1, keepdim=True)


@pytest.fixture
def removal():
    return TensorRemoval(model, torch.ones(1, 40), 0, filler=Constant(0.0))


def test_the_curve_is_the_sum_of_what_is_left(removal):
    found = faithfulness((removal, WEIGHTS))
    gone = [round(40 * step / STEPS) for step in range(STEPS + 1)]
    expected = [float(WEIGHTS[: 40 - count].sum()) for count in gone]
    assert found["curve"] == pytest.approx(expected)
    assert found["area"] == pytest.approx(sum(expected[0] - y for y in expected) / (STEPS + 1))
    assert found["beaten"] == found["random_orders"] == len(found["random_areas"]) == RANDOM_ORDERS


def test_the_worst_order_beats_none_and_the_seed_decides(removal):
    worst = faithfulness((removal, -WEIGHTS), seed=3)
    assert worst["beaten"] == 0
    assert worst == faithfulness((removal, -WEIGHTS), seed=3) != faithfulness((removal, -WEIGHTS), seed=4)


def test_one_part_cannot_be_ordered():
    one = TensorRemoval(lambda x: x, torch.ones(1, 1), 0, filler=Constant(0.0))
    assert faithfulness((one, torch.ones(1))) is None
