"""Relevance of regions: organs, lesions, superpixels, letters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sciexplain.domains.images.explain import ImageExplanation
from sciexplain.errors import InputError

REST = "rest"
"""Name of the pixels that no mask covers."""

LabelMap = NDArray[Any] | Tensor
Labels = LabelMap | Sequence[LabelMap] | Mapping[str, LabelMap]


@dataclass(frozen=True)
class Region:
    """What one region of one picture contributes.

    Attributes
    ----------
    picture
        Name of the picture.
    region
        The label's number or the mask's name.
    pixels
        How many.
    relevance
        Signed sum over the region, in units of the explained output.
    share
        ``relevance`` over the sum of the whole heatmap; not a number where that sum is zero. With relevance
        of both signs, shares may be negative or above 1; they sum to 1.
    mean
        ``relevance`` per pixel.
    """

    picture: str
    region: int | str
    pixels: int
    relevance: float
    share: float
    mean: float


def segment(e: ImageExplanation, labels: Labels, *, on: Literal["network", "original"] | None = None) -> list[Region]:
    """Sum relevance over given regions; over all regions of a picture it is the sum of its heatmap.

    Parameters
    ----------
    e
        Explanation of N pictures.
    labels
        An integer map (H, W) for all pictures; (N, H, W), or a list of N maps, one for each; or
        ``{name: mask}`` with disjoint boolean masks of these shapes. Pixels that no mask covers are the
        region ``"rest"``.
    on
        Whether the maps are on the network's pixels or on those of the original pictures. None: their shape
        decides.

    Returns
    -------
    list of Region
        By picture, then by label number, or in the order of the masks.

    Raises
    ------
    InputError
        A map of another shape, shapes that fit both, numbers that are not integers, masks that overlap.

    Examples
    --------
    >>> rows = segment(e, {"tumour": mask})  # doctest: +SKIP
    >>> [(row.region, row.share) for row in rows]  # doctest: +SKIP
    [('tumour', 0.81), ('rest', 0.19)]
    """
    maps, names = _from_masks(labels) if isinstance(labels, Mapping) else (labels, None)
    regions: list[Region] = []
    for i, labelled in enumerate(_one_each(maps, len(e))):
        heatmap = _matching(e, i, labelled.shape, on)
        regions += _sums(e.pictures[i].name, heatmap, labelled, names)
    return regions


def _sums(picture: str, heatmap: NDArray[Any], labelled: NDArray[Any], names: Sequence[str] | None) -> list[Region]:
    numbers, place = np.unique(labelled, return_inverse=True)
    pixels = np.bincount(place.ravel())
    sums = np.bincount(place.ravel(), weights=heatmap.ravel())
    total = sums.sum()
    return [
        Region(
            picture=picture,
            region=int(number) if names is None else names[number],
            pixels=int(count),
            relevance=float(relevance),
            share=float(relevance / total) if total else float("nan"),
            mean=float(relevance / count),
        )
        for number, count, relevance in zip(numbers, pixels, sums, strict=True)
    ]


def _from_masks(masks: Mapping[str, LabelMap]) -> tuple[NDArray[Any], list[str]]:
    """Masks as one map of numbers, and the name of each number."""
    if not masks:
        raise InputError("no masks; expected {name: mask}")
    arrays = {name: _array(mask) for name, mask in masks.items()}
    if REST in arrays:
        raise InputError(f"a mask called {REST!r}, which is the name of what no mask covers; expected another name")
    if len(shapes := {mask.shape for mask in arrays.values()}) > 1:
        raise InputError(f"masks of shapes {sorted(shapes)}; expected one shape")
    if wrong := [name for name, mask in arrays.items() if mask.dtype != bool]:
        raise InputError(f"masks {wrong} are not boolean; expected True inside the region: mask > 0")
    stacked = np.stack(list(arrays.values()))
    if (stacked.sum(0) > 1).any():
        over = [name for name, mask in arrays.items() if (mask & (stacked.sum(0) > 1)).any()]
        raise InputError(f"masks {over} overlap; expected disjoint regions, such as organ & ~lesion")
    covered = stacked.any(0)
    return np.where(covered, stacked.argmax(0), len(arrays)), [*arrays, REST]


def _one_each(maps: LabelMap | Sequence[LabelMap], count: int) -> list[NDArray[Any]]:
    if isinstance(maps, np.ndarray | Tensor) and maps.ndim == 2:
        listed = [_array(maps)] * count
    else:
        listed = [_array(one) for one in maps]
    if len(listed) != count or any(one.ndim != 2 for one in listed):
        raise InputError(
            f"{len(listed)} label maps of shape {listed[0].shape if listed else ()}; expected (H, W), or "
            f"{count} of them, one for each picture"
        )
    if wrong := [str(one.dtype) for one in listed if one.dtype.kind not in "biu"]:
        raise InputError(f"labels of type {wrong[0]}; expected integers")
    return listed


def _array(values: LabelMap) -> NDArray[Any]:
    return values.cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _matching(e: ImageExplanation, i: int, shape: tuple[int, ...], on: str | None) -> NDArray[Any]:
    """The heatmap of picture i on the pixels that the label map is on."""
    network, original = tuple(e.heatmap.shape[-2:]), e.pictures[i].size
    same_pixels = e.preprocess is None or e.preprocess.keeps_pixels(original)
    if on is None and shape == network == original and not same_pixels:
        raise InputError(
            f"labels of shape {shape} fit the network's pixels and, differently, {e.pictures[i].name!r}; "
            "say on='network' or on='original'"
        )
    if on in (None, "network") and shape == network:
        heatmap = e.heatmap[i]
    elif on in (None, "original") and shape == original:
        heatmap = e.original(i)
    else:
        expected = {"network": f"{network} (network)", "original": f"{original} (original)"}
        wanted = expected.get(on or "", " or ".join(expected.values()))
        raise InputError(f"labels of shape {shape} for {e.pictures[i].name!r}; expected {wanted} pixels")
    return heatmap.detach().double().cpu().numpy()
