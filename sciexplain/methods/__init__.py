"""Explanation methods: from a model, inputs and a target to relevance."""

from collections.abc import Callable

from . import backprop, deeplift, excitation, gradcam, gradient, lime, lrp, noise, occlusion, paths, shapley
from .part import Part

METHODS: dict[str, Callable[..., Part]] = {
    "lrp": lrp.lrp,
    "deeplift": deeplift.deeplift,
    "deepshap": deeplift.deepshap,
    "gradient": gradient.gradient,
    "input_x_gradient": gradient.input_x_gradient,
    "smoothgrad": noise.smoothgrad,
    "vargrad": noise.vargrad,
    "integrated_gradients": paths.integrated_gradients,
    "expected_gradients": paths.expected_gradients,
    "guided_backprop": backprop.guided_backprop,
    "deconvnet": backprop.deconvnet,
    "excitation_backprop": excitation.excitation_backprop,
    "gradcam": gradcam.gradcam,
    "gradcam_plus_plus": gradcam.gradcam_plus_plus,
    "occlusion": occlusion.occlusion,
    "shapley_sampling": shapley.shapley_sampling,
    "kernel_shap": shapley.kernel_shap,
    "lime": lime.lime,
}

SENSITIVITIES = ("gradient", "smoothgrad", "guided_backprop", "deconvnet")
"""Methods whose relevance is the change of the score with one more unit of an input, not what the input contributes."""

__all__ = ["METHODS", "SENSITIVITIES", "Part"]
