"""Relevance as colours: alone, or over the picture it belongs to."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexplain.domains.colormap import relevance_colours
from sciexplain.domains.images.attempts import Picture
from sciexplain.domains.images.colour import LUMA
from sciexplain.domains.images.preprocess import as_picture
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


def limit(heatmap: "ArrayLike | Tensor", percentile: float = 100.0) -> float:
    """The number that gets the full colour: a percentile of |relevance|; 1 where all relevance is zero.

    Parameters
    ----------
    heatmap
        Any shape.
    percentile
        100 is the largest; 99.5, say, keeps single pixels from paling the rest. Zeros do not count.
    """
    magnitude = np.abs(_finite(heatmap))
    magnitude = magnitude[magnitude > 0]
    return float(np.percentile(magnitude, percentile)) if magnitude.size else 1.0


def render(
    heatmap: "ArrayLike | Tensor",
    cmap: str = "relevance",
    scale: float | None = None,
    *,
    percentile: float = 100.0,
) -> NDArray[np.float32]:
    """Colour signed numbers, zero in the middle of the map and both signs on one scale.

    Parameters
    ----------
    heatmap
        (..., H, W).
    cmap
        ``"relevance"`` (see :func:`~sciexplain.domains.colormap.relevance_colours`), or a name that
        matplotlib knows.
    scale
        The number that gets the full colour; larger ones get it too. None: :func:`limit`.
    percentile
        Passed to :func:`limit`.

    Returns
    -------
    ndarray
        (..., H, W, 3) float32 sRGB in 0..1.

    Raises
    ------
    InputError
        A number that is not finite, or a scale that is not above 0.

    Examples
    --------
    >>> print(render([[-1.0, 0.0, 1.0]]).round(1)[0])
    [[0.  0.3 0.7]
     [1.  1.  1. ]
     [0.6 0.2 0.2]]
    """
    values = _finite(heatmap)
    scale = limit(values, percentile) if scale is None else scale
    if not scale > 0:
        raise InputError(f"scale={scale}; expected a number above 0")
    table = colours(cmap)
    place = (np.clip(values / scale, -1, 1) + 1) / 2 * (len(table) - 1)
    steps = np.arange(len(table))
    channels = [np.interp(place, steps, table[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def overlay(
    picture: Picture | NDArray[Any],
    heatmap: "ArrayLike | Tensor",
    alpha: float = 0.85,
    *,
    cmap: str = "relevance",
    scale: float | None = None,
    percentile: float = 100.0,
) -> NDArray[np.float32]:
    """Colour a grey version of the picture where the relevance is.

    Each pixel gets the end colour of its sign, with an opacity that grows with |relevance| up to ``alpha`` at
    ``scale``: what does not matter shows the picture, pale enough for black and white to take colour alike.

    Parameters
    ----------
    picture
        (H, W, C).
    heatmap
        (H, W): on the picture's own pixels.
    alpha
        0 to 1.
    cmap, scale, percentile
        As in :func:`render`.

    Returns
    -------
    ndarray
        (H, W, 3) float32 in 0..1.

    Raises
    ------
    InputError
        The heatmap does not have the picture's size.
    """
    picture = as_picture(picture, "picture")
    values = _finite(heatmap)
    if values.shape != picture.size:
        raise InputError(
            f"heatmap of shape {values.shape} on a picture of {picture.size}; expected one number per pixel: "
            "take it from .original(i)"
        )
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha={alpha}; expected 0 to 1")
    scale = limit(values, percentile) if scale is None else scale
    paper = 0.55 + 0.4 * grey(picture)[..., None]
    opacity = alpha * np.clip(np.abs(values) / scale, 0, 1)[..., None]
    return (paper * (1 - opacity) + render(np.sign(values), cmap, 1.0) * opacity).astype(np.float32)


def grey(picture: Picture) -> NDArray[np.float32]:
    """(H, W): BT.601 luma of three channels, the mean of any other number."""
    channels = picture.array.shape[-1]
    weights = LUMA if channels == 3 else (1 / channels,) * channels
    return picture.array @ np.asarray(weights, dtype=np.float32)


def colours(cmap: str) -> NDArray[np.float64]:
    """(K, 3) sRGB in 0..1 of a colour map, K odd so that zero has a colour of its own."""
    if cmap == "relevance":
        return relevance_colours()
    from matplotlib import colormaps

    if cmap not in colormaps:
        raise InputError(f"cmap={cmap!r}; expected 'relevance' or a colour map of matplotlib, such as 'PuOr'")
    return np.asarray(colormaps[cmap](np.linspace(0, 1, 257)))[:, :3]


def _finite(heatmap: "ArrayLike | Tensor") -> NDArray[np.float64]:
    values = np.asarray(heatmap.detach().cpu() if hasattr(heatmap, "detach") else heatmap, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError("heatmap with numbers that are not finite; expected finite relevance")
    return values
