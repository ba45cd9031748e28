"""From stored samples to colours in 0..1: what white is, transparency, grey or colour, which way is up."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sciexplain.errors import DataError

Mode = Literal["L", "RGB"]

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the grey of ITU-R BT.601."""

_ROUNDING = 1e-6


def to_unit_range(samples: NDArray[Any], white: float | None = None) -> NDArray[np.float32]:
    """Scale samples so that black is 0 and white is 1.

    Parameters
    ----------
    samples
        Any shape. Booleans are 0 and 1; uint8 is divided by 255, uint16 by 65535; floats must be in 0..1.
        Other integers do not say what white is.
    white
        The stored value that is white, for example 4095 for 12 bits kept in 16. It replaces the rule above.

    Raises
    ------
    DataError
        Not a number, outside 0..1 after scaling, or a type that does not say what white is.

    Examples
    --------
    >>> to_unit_range(np.array([0, 51, 255], dtype=np.uint8)).tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    if samples.dtype.kind not in "buif":
        raise DataError(f"values of type {samples.dtype}; expected integers or floats")
    known = white is None and samples.dtype.kind != "f"  # no value of these types lies outside
    if white is None:
        white = _white(samples.dtype)
    if white <= 0:
        raise DataError(f"white={white}; expected a number above 0")
    exact = np.float32 if samples.dtype.itemsize <= 2 else np.float64
    with np.errstate(over="ignore"):  # told below, as values that are not finite
        unit = np.true_divide(samples, white, dtype=exact).astype(np.float32, copy=False)
    if known:
        return unit
    low, high = (float(unit.min()), float(unit.max())) if unit.size else (0.0, 0.0)
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        found = "values that are not finite" if not np.isfinite(unit).all() else _range(samples)
        raise DataError(f"{found}; expected 0 (black) to {white:g} (white); say white= for another scale")
    return unit.clip(0, 1, out=unit)


def _white(dtype: np.dtype) -> float:
    if dtype.kind == "u" and dtype.itemsize <= 2:
        return float(np.iinfo(dtype).max)
    if dtype.kind in "bf":
        return 1.0
    raise DataError(
        f"values of type {dtype}, which do not say what white is; expected uint8 (white is 255), "
        "uint16 (65535) or floats in 0..1; say white= for another scale"
    )


def _range(samples: NDArray[Any]) -> str:
    return f"values from {samples.min():g} to {samples.max():g}"


def on_background(
    colour: NDArray[np.float32],
    alpha: NDArray[np.float32],
    background: float,
    *,
    premultiplied: bool = False,
) -> NDArray[np.float32]:
    """Lay a transparent picture over an even grey: ``colour · α + background · (1 − α)``.

    Parameters
    ----------
    colour
        (H, W, C).
    alpha
        (H, W, 1); 1 is opaque.
    background
        0 (black) to 1 (white).
    premultiplied
        ``colour`` already holds ``colour · α``.
    """
    front = colour if premultiplied else colour * alpha
    return front + np.float32(background) * (1 - alpha)


def to_mode(colour: NDArray[np.float32], mode: Mode | None) -> NDArray[np.float32]:
    """Make a picture grey (``"L"``: one channel, BT.601 luma), colour (``"RGB"``: three), or leave it.

    Raises
    ------
    DataError
        The picture has neither one nor three channels.
    """
    channels = colour.shape[-1]
    if mode not in (None, "L", "RGB"):
        raise DataError(f"mode {mode!r}; expected 'L' (grey), 'RGB' (colour) or None (as stored)")
    if mode is None or channels == {"L": 1, "RGB": 3}[mode]:
        return colour
    if channels == 1:
        return colour.repeat(3, axis=-1)
    if channels == 3:
        return (colour @ np.asarray(LUMA, dtype=np.float32))[..., None]
    raise DataError(f"{channels} channels; mode={mode!r} is defined for 1 and 3; read it with mode=None")


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn (H, W, …) as the EXIF/TIFF tag 274 says; an orientation that is not defined changes nothing.

    Notes
    -----
    The tag names where the first stored row and column belong (TIFF 6.0, page 36): 1 top left, 2 top right,
    3 bottom right, 4 bottom left, 5 left top, 6 right top, 7 right bottom, 8 left bottom.
    """
    if 5 <= orientation <= 8:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
