"""Colours for signed numbers: blue for negative, near-white for zero, red for positive."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

_STEPS = 128
_LIGHT, _DARK = 97.0, 38.0
_CHROMA = 54.0
_BLUE_HUES, _RED_HUES = (264.0, 284.0), (35.0, 35.0)
_WHITE_POINT = np.array([0.95047, 1.0, 1.08883])
_XYZ_FROM_RGB = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


@cache
def relevance_colours() -> NDArray[np.float64]:
    """The diverging map ``"relevance"``: (2 · 128 + 1, 3) sRGB in 0..1, negative first, zero in the middle.

    Two lines in CIELAB from a light grey (L* = 97, so that zero differs from the page) to a blue and a red
    that are equally dark (L* = 38) and equally colourful (C* = 54). Lightness falls linearly and alike on
    both, so it alone gives the magnitude and no sign looks stronger; steps differ by less than 3 % in ΔE*ab.
    The hue of blue turns on the way, because a straight line looks violet halfway. The ends stay far apart
    for people without red, green or blue cones.

    Notes
    -----
    CIE 15:2004; sRGB: IEC 61966-2-1. Why rainbow and unbalanced maps mislead: Crameri et al., Nature
    Communications 11, 5444 (2020).
    """
    strength = np.linspace(0, 1, _STEPS + 1)
    blue, red = (_arm(strength, *hues) for hues in (_BLUE_HUES, _RED_HUES))
    return rgb_from_lab(np.concatenate([blue[:0:-1], red]))


def _arm(strength: NDArray[np.float64], pale: float, dark: float) -> NDArray[np.float64]:
    """CIELAB from grey to full colour; hues in degrees."""
    hue = np.deg2rad(pale + (dark - pale) * strength)
    lightness = _LIGHT + (_DARK - _LIGHT) * strength
    chroma = _CHROMA * strength
    return np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)


def rgb_from_lab(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB (D65) to sRGB in 0..1, both (..., 3); colours outside the gamut leave 0..1."""
    level = (lab[..., :1] + 16) / 116
    f = np.concatenate([level + lab[..., 1:2] / 500, level, level - lab[..., 2:] / 200], axis=-1)
    linear = (np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _WHITE_POINT) @ np.linalg.inv(
        _XYZ_FROM_RGB
    ).T
    curved = 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055
    return np.where(np.abs(linear) <= 0.0031308, 12.92 * linear, np.copysign(curved, linear))
