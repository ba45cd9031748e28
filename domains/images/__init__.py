"""Pictures: read them, explain what a model says about them, draw and save the answer.

>>> from sciexplain.domains import images
>>> pictures = list(images.read("scans/", mode="RGB"))  # doctest: +SKIP
>>> imagenet = images.Preprocess(256, 224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
>>> e = images.explain(model, pictures, preprocess=imagenet, composite="epsilon_gamma_box")  # doctest: +SKIP
>>> images.save("why.png", images.figure(e))  # doctest: +SKIP
"""

from sciexplain.domains.images.contrast import Contrast, contrast
from sciexplain.domains.images.explain import ImageExplanation, explain
from sciexplain.domains.images.figures import contrast_figure, figure, methods_figure
from sciexplain.domains.images.heatmap import limit, overlay, render
from sciexplain.domains.images.preprocess import Preprocess
from sciexplain.domains.images.read import Picture, list_images, read, read_one
from sciexplain.domains.images.save import save
from sciexplain.domains.images.segment import Region, segment

__all__ = [
    "Contrast",
    "ImageExplanation",
    "Picture",
    "Preprocess",
    "Region",
    "contrast",
    "contrast_figure",
    "explain",
    "figure",
    "limit",
    "list_images",
    "methods_figure",
    "overlay",
    "read",
    "read_one",
    "render",
    "save",
    "segment",
]
