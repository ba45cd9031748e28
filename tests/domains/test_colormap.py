"""The diverging map measured in CIELAB, by formulas of its own."""

import numpy as np
import pytest

from sciexplain.domains.colormap import relevance_colours, rgb_from_lab

# sRGB (IEC 61966-2-1) to CIE XYZ, D65.
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
# Machado, Oliveira and Fernandes, IEEE TVCG 15, 1291 (2009), severity 1.0, on linear RGB.
BLIND = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
MIDDLE = 128


def linear(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    t = light @ XYZ.T / XYZ.sum(1)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)


@pytest.fixture(scope="module")
def colours() -> np.ndarray:
    return relevance_colours()


def test_conversion_of_known_colours() -> None:
    # L*, a*, b* of sRGB red, green, blue, white, black (D65).
    known = [[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86], [100, 0, 0], [0, 0, 0]]
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]]
    np.testing.assert_allclose(rgb_from_lab(np.array(known)), expected, atol=2e-3)


def test_every_colour_can_be_shown(colours: np.ndarray) -> None:
    assert colours.shape == (2 * MIDDLE + 1, 3)
    assert colours.min() >= 0 and colours.max() <= 1


def test_lightness_falls_evenly_and_alike_on_both_sides(colours: np.ndarray) -> None:
    lightness = lab(linear(colours))[:, 0]
    np.testing.assert_allclose(lightness, lightness[::-1], atol=0.1)
    np.testing.assert_allclose(np.diff(lightness[MIDDLE:]), -59 / MIDDLE, atol=0.01)
    assert lightness[MIDDLE] == pytest.approx(97, abs=0.1)


def test_zero_has_no_hue(colours: np.ndarray) -> None:
    assert np.ptp(colours[MIDDLE]) < 1e-3


def test_steps_are_perceptually_equal(colours: np.ndarray) -> None:
    steps = np.linalg.norm(np.diff(lab(linear(colours)), axis=0), axis=1)
    assert steps.max() / steps.min() < 1.04


@pytest.mark.parametrize("kind", BLIND)
def test_signs_stay_apart_without_one_kind_of_cones(colours: np.ndarray, kind: str) -> None:
    seen = lab((linear(colours) @ np.array(BLIND[kind]).T).clip(0, 1))
    apart = np.linalg.norm(seen - seen[::-1], axis=1)
    # ΔE*ab of 10 is seen at a glance: from an eighth of the scale on, and seven times that at its ends.
    assert apart[: MIDDLE - MIDDLE // 8].min() > 9
    assert apart[0] > 70


def test_grey_print_keeps_the_magnitude(colours: np.ndarray) -> None:
    luminance = linear(colours) @ XYZ[1]
    assert (np.diff(luminance[MIDDLE:]) < 0).all() and (np.diff(luminance[: MIDDLE + 1]) > 0).all()
