"""Figures: the right colours in the right panel, every scale written down, no text on other text."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from sciexplain.domains import images
from sciexplain.errors import InputError

NAMES = [
    "7.png",
    "folder/with a long name/flower_of_the_field_20240131_000123_final_version_2.jpg",
    "$x_1$ and $ alone",
    "wide.png",
]
SIZES = [(28, 28), (60, 90), (300, 40), (10, 200)]
LABELS = ("0", "a class with quite a long name, as in ImageNet", "two", "three")


def explanation(factor: float = 1.0, labels: tuple[str, ...] | None = LABELS) -> images.ImageExplanation:
    relevance = factor * torch.randn(4, 1, 8, 8, generator=torch.manual_seed(0))
    shown = tuple(
        images.Picture(name, None, np.full((*size, 3), 0.5, np.float32))
        for name, size in zip(NAMES, SIZES, strict=True)
    )
    core = SimpleNamespace(score=relevance.sum((1, 2, 3)), target=torch.arange(4))
    return images.ImageExplanation(shown, relevance, core, images.Preprocess(8, 8), labels)  # type: ignore[arg-type]


def contrasted(a: list[int], b: list[int]) -> images.Contrast:
    e = explanation()
    return images.Contrast(e, explanation(2.0), explanation(-3.0), torch.tensor(a), torch.tensor(b))


FIGURES = {
    "one": lambda: images.figure(explanation()),
    "some": lambda: images.figure(explanation(), indices=[2], title="LRP ε-γ-box", percentile=99),
    "contrast": lambda: images.contrast_figure(contrasted([1] * 4, [2] * 4)),
    "pairs": lambda: images.contrast_figure(contrasted([0, 1, 2, 3], [1, 2, 3, 0])),
    "methods": lambda: images.methods_figure(
        {
            "lrp": explanation(1e-9),
            "integrated_gradients with 64 steps from black": explanation(12345.678),
            "a_name_without_any_space_that_is_too_long_for_its_own_column_of_the_figure": explanation(0.0),
        }
    ),
}


def words(figure: Figure) -> list:
    ticks = [tick for axes in figure.axes for tick in (*axes.get_yticklabels(), *axes.get_xticklabels())]
    return [text for text in (*figure.texts, *ticks) if text.get_visible() and text.get_text()]


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_meets_text_panel_or_edge(name: str) -> None:
    figure = FIGURES[name]()
    figure.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in words(figure)]
    for (first, box), (second, other) in combinations(boxes, 2):
        assert not box.padded(1).overlaps(other.padded(1)), (first, second)
    width, height = figure.canvas.get_width_height()
    for text, box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text
        for axes in figure.axes:
            assert not box.padded(1).overlaps(axes.get_window_extent()), text


def test_panels_show_what_they_say() -> None:
    e = explanation()
    figure = images.figure(e, indices=[1])
    shown = [axes.images[0].get_array() for axes in figure.axes]
    heatmap = e.original(1)
    np.testing.assert_allclose(shown[0], e.pictures[1].array)
    np.testing.assert_allclose(shown[1], images.render(heatmap))
    np.testing.assert_allclose(shown[2], images.overlay(e.pictures[1], heatmap))
    assert figure.axes[3].images[0].get_extent()[2:] == pytest.approx([-images.limit(heatmap), images.limit(heatmap)])


def test_contrast_panels_share_the_scale_of_their_row() -> None:
    c = contrasted([1] * 4, [2] * 4)
    figure = images.contrast_figure(c, indices=[0])
    scale = images.limit(c.against.original(0))
    for axes, e in zip(figure.axes[1:4], (c.for_a, c.for_b, c.against), strict=True):
        np.testing.assert_allclose(axes.images[0].get_array(), images.render(e.original(0), scale=scale))
    titles = " ".join(text.get_text().replace("\n", " ") for text in figure.texts)
    assert "speaks for two" in titles and f"score of two: {c.for_b.score[0]:.3g}".replace("-", "−") in titles


def test_methods_are_scaled_one_by_one_and_say_how() -> None:
    small, large = explanation(1e-3), explanation(1e3)
    figure = images.methods_figure({"small": small, "large": large, "none": explanation(0.0)}, indices=[0])
    np.testing.assert_allclose(figure.axes[1].images[0].get_array(), figure.axes[2].images[0].get_array(), atol=1e-4)
    texts = [text.get_text() for text in figure.texts]
    for e in (small, large):
        assert f"± {images.limit(e.original(0)):.3g}" in texts
    assert "all zero" in texts


def test_refusals() -> None:
    e = explanation()
    with pytest.raises(InputError, match=r"indices \[4\] of 4"):
        images.figure(e, indices=[0, 4])
    with pytest.raises(InputError, match="0 pictures"):
        images.figure(e, indices=[])
    with pytest.raises(InputError, match="65 pictures"):
        images.figure(e, indices=[0] * 65)
    other = images.ImageExplanation(e.pictures[::-1], e.relevance, e.explanation, e.preprocess)
    for explanations in ({}, {"a": e, "b": other}):
        with pytest.raises(InputError, match="different pictures"):
            images.methods_figure(explanations)
