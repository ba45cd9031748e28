import math

import pytest
import torch

from sciexplain.runs import Decision, decisions


def test_prediction_probability_and_runner_up():
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, -1.0, 2.0]], dtype=torch.float64)
    first, second = decisions(logits)
    assert (first.prediction, first.runner_up) == (1, 2)
    assert first.probability == pytest.approx(math.exp(2) / (1 + math.exp(1) + math.exp(2)), rel=1e-12)
    assert (second.prediction, second.runner_up) == (0, 2)


def test_independent_classes_have_their_own_probability():
    (found,) = decisions(torch.tensor([[0.0, 2.0, 1.0]]), independent=True)
    assert found == (1, pytest.approx(1 / (1 + math.exp(-2))), 2)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 4, 5)])
def test_other_outputs_are_no_classes(shape):
    assert decisions(torch.zeros(shape)) == [Decision(None, None, None)] * 3
