"""Explanation methods: from a model, inputs and a target to relevance."""

from collections.abc import Callable

from . import gradient, lrp, paths
from .part import Part

METHODS: dict[str, Callable[..., Part]] = {
    "lrp": lrp.lrp,
    "gradient": gradient.gradient,
    "input_x_gradient": gradient.input_x_gradient,
    "smoothgrad": gradient.smoothgrad,
    "integrated_gradients": paths.integrated_gradients,
}

__all__ = ["METHODS", "Part"]
