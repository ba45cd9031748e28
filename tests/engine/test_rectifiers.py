"""Which calls are piecewise linear rectifiers with their kink at 0, as guided backpropagation needs to know."""

import pytest
import torch
import torch.nn.functional as F

import sciexplain as sx
from sciexplain.engine.rectifiers import _rectifies

X, ZEROS, ONES = torch.ones(2), torch.zeros(2), torch.ones(2)


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "expected"),
    [
        ("relu", (X,), {}, True),
        ("clamp", (X, 0), {}, True),
        ("clamp", (X,), {"min": 0.0, "max": 6.0}, True),
        ("clamp", (X, -1), {}, False),
        ("clamp", (X,), {"max": 1.0}, False),
        ("clamp_min", (X, ZEROS), {}, True),
        ("clamp_min", (X, ONES), {}, False),
        ("hardtanh", (X, 0.0, 6.0), {}, True),
        ("hardtanh", (X,), {"min_val": 0.0}, True),
        ("hardtanh", (X,), {}, False),
        ("threshold", (X, 0.0, 0.0), {}, True),
        ("threshold", (X, 0.0, 1.0), {}, False),
        ("threshold", (X, 1.0, 0.0), {}, False),
        ("maximum", (X, ZEROS), {}, True),
        ("maximum", (X, ONES), {}, False),
        ("elu", (X, 0.0), {}, False),
        ("softplus", (X, 0.0), {}, False),
    ],
)
def test_kinks_at_zero(name, args, kwargs, expected):
    assert _rectifies(name, args, kwargs) is expected


@pytest.mark.parametrize(
    "rectified",
    [
        lambda x: torch.maximum(x, torch.zeros(())),
        lambda x: torch.maximum(torch.zeros(()), x),
        lambda x: torch.max(torch.zeros_like(x), x),
        lambda x: torch.zeros_like(x).maximum(x),
    ],
)
def test_the_larger_of_zero_and_the_signal_is_a_relu_on_either_side(rectified):
    x = torch.linspace(-1, 2, 12).reshape(3, 4)
    weight = torch.tensor([[1.0, -1.0, 0.5, -2.0]])
    expected, found = (
        sx.explain(lambda x, of=of: F.linear(of(x), weight), x, 0, method="guided_backprop").relevance
        for of in (torch.relu, rectified)
    )
    torch.testing.assert_close(found, expected)
    assert (found == 0).any() and (found != 0).any()
