"""What is explained of each sample stays the same for other inputs."""

from __future__ import annotations

import pytest
import torch

from sciexplain.errors import TargetError
from sciexplain.evaluate.fixed_target import FixedTarget

WHOLE = torch.tensor([[1.0, 4.0, -2.0], [3.0, 0.0, 1.0]])
OTHER = torch.tensor([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0], [70.0, 80.0, 90.0]])
SAMPLES = torch.tensor([1, 0, 1])


@pytest.mark.parametrize(
    "target, expected",
    [
        (None, [10.0, 50.0, 70.0]),  # the classes predicted for the whole samples: 1 and 0
        (2, [30.0, 60.0, 90.0]),
        ([2, -2], [20.0, 60.0, 80.0]),
        (lambda y: y[:, 0] - y[:, 2], [-20.0, -20.0, -20.0]),
        # relevance over output, and no more where the output was 0
        (torch.tensor([[2.0, 0.0, 1.0], [6.0, 5.0, 0.0]]), [20.0, 80.0 - 30.0, 140.0]),
    ],
)
def test_every_kind_of_target(target, expected):
    fixed = FixedTarget.of(WHOLE, target, 2)
    found = fixed(OTHER, SAMPLES)
    assert found.dtype == torch.float64 and found.tolist() == expected
    each = target if not isinstance(target, list | torch.Tensor) else None
    parts = [
        FixedTarget.of(WHOLE[i : i + 1], each if each is not None or target is None else target[i : i + 1], 1)
        for i in (1, 0)
    ]
    joined = FixedTarget.joined(parts, [torch.tensor([1]), torch.tensor([0])])
    assert joined(OTHER, SAMPLES).tolist() == expected


def test_an_output_of_one_value():
    assert FixedTarget.of(torch.ones(2), None, 2)(torch.tensor([5.0, 6.0, 7.0]), SAMPLES).tolist() == [5.0, 6.0, 7.0]
    with pytest.raises(TargetError, match="one value for each of 3"):
        FixedTarget.of(WHOLE, lambda y: y[:2, 0], 2)(OTHER, SAMPLES)
