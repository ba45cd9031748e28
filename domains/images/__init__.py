"""Pictures: read them, explain what a model says about them, draw and save the answer.

>>> from sciexplain.domains import images
>>> pictures = list(images.read("scans/", mode="RGB"))  # doctest: +SKIP
>>> imagenet = images.Preprocess(256, 224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
>>> e = images.explain(model, pictures, preprocess=imagenet, composite="epsilon_gamma_box")  # doctest: +SKIP
>>> images.save("why.png", images.figure(e))  # doctest: +SKIP
"""

from sciexplain.domains.images import evaluate, reference
from sciexplain.domains.images.attempts import Picture
from sciexplain.domains.images.audit import audit
from sciexplain.domains.images.concepts import concept_graph_figure, concepts_figure, top_concepts
from sciexplain.domains.images.contrast import Contrast, contrast
from sciexplain.domains.images.counterfactual import ImageCounterfactual, counterfactual
from sciexplain.domains.images.explain import ImageExplanation, explain
from sciexplain.domains.images.figures import contrast_figure, figure, methods_figure
from sciexplain.domains.images.heatmap import limit, overlay, render
from sciexplain.domains.images.listing import list_images
from sciexplain.domains.images.maximize import ImageMaximization, maximize
from sciexplain.domains.images.maximize_figure import counterfactual_figure, maximization_figure
from sciexplain.domains.images.models import load_model, load_prior
from sciexplain.domains.images.preprocess import Preprocess
from sciexplain.domains.images.prototypes import limits_figure, prototype_limits, prototypes
from sciexplain.domains.images.read import attempts, count, read, read_one
from sciexplain.domains.images.save import save
from sciexplain.domains.images.segment import Region, segment

__all__ = [
    "Contrast",
    "ImageCounterfactual",
    "ImageExplanation",
    "ImageMaximization",
    "Picture",
    "Preprocess",
    "Region",
    "attempts",
    "audit",
    "concept_graph_figure",
    "concepts_figure",
    "contrast",
    "contrast_figure",
    "count",
    "counterfactual",
    "counterfactual_figure",
    "evaluate",
    "explain",
    "figure",
    "limit",
    "limits_figure",
    "list_images",
    "load_model",
    "load_prior",
    "maximization_figure",
    "maximize",
    "methods_figure",
    "overlay",
    "prototype_limits",
    "prototypes",
    "read",
    "read_one",
    "reference",
    "render",
    "save",
    "segment",
    "top_concepts",
]
