"""Which calls are piecewise linear rectifiers with their kink at 0, as guided backpropagation needs to know."""

import pytest
import torch

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
