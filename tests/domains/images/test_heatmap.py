"""Colours of signed numbers: zero, sign, scale, and the picture below."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sciexplain.domains import images
from sciexplain.domains.colormap import relevance_colours
from sciexplain.errors import InputError

BLUE, WHITE, RED = relevance_colours()[[0, 128, -1]]


def test_ends_and_middle() -> None:
    coloured = images.render(torch.tensor([[-2.0, 0.0, 2.0]]))
    np.testing.assert_allclose(coloured[0], [BLUE, WHITE, RED], atol=1e-6)


def test_scale_is_shared_and_symmetric() -> None:
    heatmap = np.array([[1.0, 4.0, -1.0]])
    np.testing.assert_allclose(images.render(heatmap)[0, 0], images.render([[0.25]], scale=1.0)[0, 0])
    np.testing.assert_allclose(images.render(heatmap, scale=1.0)[0], [RED, RED, BLUE], atol=1e-6)
    np.testing.assert_allclose(images.render(np.zeros((2, 1, 1))), np.tile(WHITE, (2, 1, 1, 1)), atol=1e-6)


NUMBERS = st.integers(-(10**6), 10**6).map(lambda thousandths: thousandths / 1000)


@given(arrays(np.float64, (3, 4), elements=NUMBERS), st.floats(1e-3, 1e3))
def test_colours_do_not_depend_on_the_unit(heatmap: np.ndarray, factor: float) -> None:
    np.testing.assert_allclose(images.render(heatmap), images.render(heatmap * factor), atol=1e-5)


@given(arrays(np.float64, (3, 4), elements=NUMBERS))
def test_both_signs_are_equally_light(heatmap: np.ndarray) -> None:
    # Relative luminance by sRGB's own weights; colours between table entries are within a step.
    def luminance(rgb: np.ndarray) -> np.ndarray:
        rgb = rgb.astype(np.float64)
        return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [
            0.2126,
            0.7152,
            0.0722,
        ]

    np.testing.assert_allclose(luminance(images.render(heatmap)), luminance(images.render(-heatmap)), atol=2e-3)


def test_limit() -> None:
    values = np.array([0, 0, 0, 1, -2, 3, -100.0])
    assert images.limit(values) == 100
    assert images.limit(values, 50) == 2.5
    assert images.limit(np.zeros(3)) == 1


def test_matplotlib_maps() -> None:
    from matplotlib import colormaps

    coloured = images.render([[-1.0, 0.5, 1.0]], "PuOr")
    np.testing.assert_allclose(coloured[0], colormaps["PuOr"]([0.0, 0.75, 1.0])[:, :3], atol=0.02)


def test_overlay_shows_picture_or_relevance() -> None:
    picture = np.array([[[0.0], [1.0], [0.5], [0.5]]], np.float32)
    seen = images.overlay(picture, np.array([[0.0, 0.0, 4.0, -2.0]]), alpha=0.8)[0]
    paper = 0.55 + 0.4 * 0.5
    np.testing.assert_allclose(seen[0], 0.55, atol=1e-6)
    np.testing.assert_allclose(seen[1], 0.95, atol=1e-6)
    np.testing.assert_allclose(seen[2], 0.2 * paper + 0.8 * RED, atol=1e-6)
    np.testing.assert_allclose(seen[3], 0.6 * paper + 0.4 * BLUE, atol=1e-6)


def test_overlay_of_colours_is_grey_below() -> None:
    picture = np.zeros((1, 1, 3), np.float32)
    picture[..., 1] = 1
    np.testing.assert_allclose(images.overlay(picture, np.zeros((1, 1))), 0.55 + 0.4 * 0.587, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: images.render([[np.nan]]), "not finite"),
        (lambda: images.render([[1.0]], scale=0), "scale=0"),
        (lambda: images.render([[1.0]], "no such map"), "no such map"),
        (lambda: images.overlay(np.zeros((4, 5, 3)), np.zeros((5, 4))), r"\(5, 4\).*\(4, 5\)"),
        (lambda: images.overlay(np.zeros((4, 5, 3)), np.zeros((4, 5)), alpha=2), "alpha=2"),
    ],
)
def test_refusals(call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=words):
        call()
