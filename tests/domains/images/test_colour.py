"""Sample scaling, transparency, grey and orientation against their definitions."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from sciexplain.domains.images.colour import on_background, to_mode, to_unit_range, upright
from sciexplain.errors import DataError


@pytest.mark.parametrize(
    ("samples", "white", "expected"),
    [
        (np.array([0, 51, 255], np.uint8), None, [0, 0.2, 1]),
        (np.array([0, 13107, 65535], np.uint16), None, [0, 0.2, 1]),
        (np.array([0, 13107, 65535], ">u2"), None, [0, 0.2, 1]),
        (np.array([False, True]), None, [0, 1]),
        (np.array([0, 0.25, 1], np.float16), None, [0, 0.25, 1]),
        (np.array([0, 819, 4095], np.uint16), 4095, [0, 0.2, 1]),
        (np.array([0, 4, 16], np.int64), 16, [0, 0.25, 1]),
        (np.array([0, 2**31, 2**32 - 1], np.uint32), 2**32 - 1, [0, 0.5, 1]),
        (np.array([-1e-7, 1 + 1e-7]), None, [0, 1]),
    ],
)
def test_scaling(samples: np.ndarray, white: float | None, expected: list[float]) -> None:
    unit = to_unit_range(samples, white)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, expected, atol=1e-7)
    assert unit.min() >= 0 and unit.max() <= 1


@pytest.mark.parametrize(
    ("samples", "white", "words"),
    [
        (np.array([0, 200], np.int64), None, ["int64", "white"]),
        (np.array([-1000, 3000], np.int16), None, ["int16", "white"]),
        (np.array([-1000, 3000], np.int16), 3000, ["-1000", "3000"]),
        (np.array([0.0, 255.0]), None, ["from 0 to 255", "white="]),
        (np.array([0.0, np.nan]), None, ["not finite"]),
        (np.array([0.0, np.inf]), None, ["not finite"]),
        (np.array([1j]), None, ["complex"]),
        (np.array([1.0]), 0, ["white=0"]),
    ],
)
def test_refused_scaling(samples: np.ndarray, white: float | None, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        to_unit_range(samples, white)
    assert all(word in str(caught.value) for word in words)


def test_transparency() -> None:
    colour = np.full((1, 1, 3), 0.8, np.float32)
    alpha = np.full((1, 1, 1), 0.25, np.float32)
    np.testing.assert_allclose(on_background(colour, alpha, 1.0), 0.25 * 0.8 + 0.75, atol=1e-6)
    np.testing.assert_allclose(on_background(colour, alpha, 0.0), 0.2, atol=1e-6)
    np.testing.assert_allclose(on_background(colour * 0.25, alpha, 0.5, premultiplied=True), 0.2 + 0.375, atol=1e-6)


def test_modes() -> None:
    colour = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]], np.float32)
    np.testing.assert_allclose(to_mode(colour, "L")[0, :, 0], [0.299, 0.587, 0.114, 1], atol=1e-6)
    grey = np.array([[[0.3]]], np.float32)
    np.testing.assert_array_equal(to_mode(grey, "RGB"), np.full((1, 1, 3), 0.3, np.float32))
    assert to_mode(grey, None) is grey and to_mode(colour, "RGB") is colour
    with pytest.raises(DataError, match="5 channels"):
        to_mode(np.zeros((1, 1, 5), np.float32), "L")
    with pytest.raises(DataError, match="'HSV'"):
        to_mode(grey, "HSV")  # type: ignore[arg-type]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_as_pillow_turns_it(orientation: int) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    picture = Image.fromarray(pixels)
    picture.getexif()[274] = orientation
    np.testing.assert_array_equal(upright(pixels, orientation), np.asarray(ImageOps.exif_transpose(picture)))


def test_undefined_orientation_changes_nothing() -> None:
    pixels = np.arange(12).reshape(3, 4)
    for orientation in (0, 9, -3):
        np.testing.assert_array_equal(upright(pixels, orientation), pixels)
