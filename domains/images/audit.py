"""``images.audit``: does the model look at the object, or at something else in some of the pictures?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

import sciexplain as sx
from sciexplain.audit import Spray
from sciexplain.audit.spray import BORDER, Embedding, border
from sciexplain.domains.images.evaluate import removal_of
from sciexplain.domains.images.explain import ImageExplanation
from sciexplain.errors import InputError

OFF_OBJECT = "off the object"

_SIDE = 96
"""Pixels along the longer side at which objects are looked for."""
_MARGIN = 1 / 28
"""Of the longer side: as far around an object its edge still counts as its own."""
_LEVELS = 64


def audit(
    e: ImageExplanation | Tensor,
    *,
    inputs: Tensor | None = None,
    target: Any = None,
    labels: Any = None,
    classes: Sequence[int] | None = None,
    outside: Any = None,
    edit: Any = False,
    clusters: int | None = None,
    embedding: Embedding | None = "tsne",
    alpha: float = 0.01,
    material: float = 0.1,
    label_names: Sequence[str] | None = None,
    seed: int = 0,
) -> Spray:
    """Cluster heatmaps, and rank the clusters by how suspicious they are; see :func:`sciexplain.audit.spray`.

    Parameters
    ----------
    e
        Explanations of N pictures; or relevance (N, C, H, W) that was kept, with ``inputs`` and ``target``.
    inputs
        (N, C, H, W) what the network got; None: the explanation's own.
    target
        (N,) the classes that were explained; None: the explanation's.
    outside
        (N, H, W) or (H, W): what belongs to no object, where masks are at hand. None: what :func:`background` finds,
        and corners and border.
    edit
        True: what the score does when the region becomes what other pictures have there. Or a callable, as for
        :func:`sciexplain.audit.spray`.
    labels, classes, clusters, embedding, alpha, material, label_names, seed
        As for :func:`sciexplain.audit.spray`; class names are the explanation's where none are given.

    Raises
    ------
    InputError
        Relevance without its inputs; an edit of an explanation that does not know its model any more.

    Examples
    --------
    >>> found = images.audit(images.explain(net, pictures), labels=truth, edit=True)  # doctest: +SKIP
    >>> found.alarm, found[0].where, found[0].reasons  # doctest: +SKIP
    (True, 'rows 1–3, columns 24–26', ['99 of the 99 samples with relevance there have label 2 (11% of all)', …])
    """
    explanation, names = (e.explanation, e.labels) if isinstance(e, ImageExplanation) else (None, None)
    if inputs is None and explanation is not None and explanation.origin is not None:
        given = explanation.origin.inputs
        inputs = given if isinstance(given, Tensor) else None
    if outside is None:
        if inputs is None:
            raise InputError(
                "The pictures as the network got them are not at hand; give inputs= (N, C, H, W), or outside="
            )
        height, width = inputs.shape[-2:]
        outside = {OFF_OBJECT: background(inputs), BORDER: border(height, width)}
    if edit is True:
        if not isinstance(e, ImageExplanation):
            raise InputError("edit=True of relevance alone; give the explanation, or edit(samples, region)")
        edit = removal_of(e, filler="resample", seed=seed)
    return sx.audit.spray(
        e if explanation is None else explanation,
        target=target,
        labels=labels,
        classes=classes,
        outside=outside,
        edit=edit or None,
        clusters=clusters,
        embedding=embedding,
        alpha=alpha,
        material=material,
        label_names=names if label_names is None else label_names,
        seed=seed,
    )


def background(inputs: Tensor) -> NDArray[np.bool_]:
    """(N, H, W): where there is no object, from each picture itself.

    The object is the largest connected piece of what differs from the border: of the distance of each pixel's colour to
    the border's median, above the threshold that divides its histogram best (Otsu 1979); with its holes, and a margin
    of a 28th of the longer side. In a picture that is filled to its border there may be little background.

    Parameters
    ----------
    inputs
        (N, C, H, W), in whatever units.

    References
    ----------
    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. Syst. Man Cybern. 9, 62 (1979).

    Examples
    --------
    >>> import torch
    >>> picture = torch.zeros(1, 1, 28, 28)
    >>> picture[..., 8:20, 10:18] = 1
    >>> picture[..., 1:3, 1:3] = 1  # a tag
    >>> away = background(picture)[0]
    >>> bool(away[1, 1]), bool(away[12, 12]), bool(away[7, 12]), bool(away[5, 12])
    (True, False, False, True)
    """
    from torch.nn.functional import interpolate

    if inputs.ndim != 4:
        raise InputError(f"inputs has shape {tuple(inputs.shape)}; expected (N, C, H, W)")
    height, width = inputs.shape[-2:]
    shrunk = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(shrunk * height)), max(1, round(shrunk * width)))
    masks = np.empty((len(inputs), height, width), bool)
    # Rows and columns of the small picture that each of the large one came from.
    rows, columns = (np.arange(side) * small // side for side, small in zip((height, width), size, strict=True))
    for i, picture in enumerate(inputs.detach()):
        small = picture[None].float().cpu()
        if shrunk < 1:
            small = interpolate(small, size, mode="area")
        masks[i] = ~_object(small[0].numpy())[np.ix_(rows, columns)]
    return masks


def _object(picture: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(H, W) of (C, H, W); all of a picture that is one colour."""
    from scipy import ndimage

    frame = np.concatenate([picture[:, 0], picture[:, -1], picture[:, :, 0], picture[:, :, -1]], axis=1)
    distance = np.linalg.norm(picture - np.median(frame, axis=1)[:, None, None], axis=0)
    if not distance.max() > distance.min():
        return np.ones(distance.shape, bool)
    around = np.ones((3, 3), bool)
    pieces, _ = ndimage.label(distance > _threshold(distance), around)
    largest = ndimage.binary_fill_holes(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1)
    margin = max(1, round(_MARGIN * max(distance.shape)))
    with_margin: NDArray[np.bool_] = ndimage.binary_dilation(largest, around, iterations=margin)
    return with_margin


def _threshold(values: NDArray[np.floating[Any]]) -> float:
    """Otsu's: of all bounds between bins, the one with the largest variance between what is below and above."""
    counts, edges = np.histogram(values, _LEVELS)
    centres = (edges[1:] + edges[:-1]) / 2
    below, above = np.cumsum(counts)[:-1], np.cumsum(counts[::-1])[::-1][1:]
    total = np.cumsum(counts * centres)
    between = below * above * (total[:-1] / np.maximum(below, 1) - (total[-1] - total[:-1]) / np.maximum(above, 1)) ** 2
    return float(edges[1:-1][between.argmax()])
