"""Pictures of channels and of prototypes: the right pixels in the right panel."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rule_tester import randomize
from torch import nn

from sciexplain import concepts
from sciexplain.domains import images
from sciexplain.domains.concept_graph import draw_concept_graph
from sciexplain.domains.images.concepts import concept_graph_figure, concepts_figure, framed, top_concepts
from sciexplain.domains.images.prototypes import limits_figure, prototype_limits, prototypes
from sciexplain.errors import InputError

NET = randomize(
    nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 2))
).float()
PIXELS = torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(0))
PREPROCESS = images.Preprocess(8, 8)


@pytest.fixture
def folder(tmp_path):
    for i, pixels in enumerate((PIXELS[:, 0] * 255).round().byte().numpy()):
        Image.fromarray(pixels).save(tmp_path / f"{i:02}.png")
    return tmp_path


def test_files_arrays_and_tensors_are_the_same_pictures(folder):
    rounded = (PIXELS * 255).round() / 255
    forms = [(rounded, None), (folder, PREPROCESS), (list(rounded[:, 0].numpy()), PREPROCESS)]
    found = [
        prototypes(NET, p, 1, 3, preprocess=q, by="relevance", members="all", composite="epsilon_plus")
        for p, q in forms
    ]
    assert found[0].indices == found[1].indices == found[2].indices
    tops = [top_concepts(NET, p, 1, "2", 2, preprocess=q, members="all", examples=3) for p, q in forms]
    assert torch.equal(tops[0].indices, tops[1].indices) and torch.equal(tops[0].indices, tops[2].indices)
    torch.testing.assert_close(tops[0].heatmaps, tops[1].heatmaps, rtol=1e-4, atol=1e-6)


def texts(figure):
    found = [t.get_text() for t in figure.texts] + [t.get_text() for ax in figure.axes for t in ax.texts]
    return " ".join(" ".join(found).split())


def shown(figure):
    return [ax.images[0].get_array() for ax in figure.axes if ax.images]


def test_channels_with_the_part_that_they_saw():
    found = concepts.top(NET, PIXELS, 1, "2", 2, examples=3, members="all")
    figure = concepts_figure(found, examples=2)
    pictures = shown(figure)
    assert len(pictures) == 2 * (2 + 2) + 2  # overlays, crops, colour bars
    for row, channel in enumerate(found.channels):
        assert f"channel {channel}:" in texts(figure)
        for column in range(2):
            index = int(found.indices[row, column])
            assert f"#{index}:" in texts(figure)
            (top, bottom), (left, right) = framed(found.windows[row][column], (8, 8))
            part = PIXELS[index, 0, top:bottom, left:right].numpy()
            factor = round(240 / max(part.shape))
            small = [np.asarray(p)[::factor, ::factor, 0] for p in pictures if p.ndim == 3]
            assert any(p.shape == part.shape and np.allclose(p, part) for p in small)


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_frames_hold_their_window_and_stay_in_the_picture(size, data):
    window = []
    for most in size:
        start = data.draw(st.integers(0, most - 1))
        window.append((start, data.draw(st.integers(start + 1, most))))
    frame = framed(tuple(window), size)
    for (start, end), (first, last), most in zip(window, frame, size, strict=True):
        assert 0 <= first <= start < end <= last <= most
    sides = [end - start for start, end in frame]
    assert abs(sides[0] - sides[1]) <= 0 or min(sides) == min(size)  # a square, but for narrow pictures


def test_concepts_of_something_else():
    model = nn.Sequential(nn.Conv1d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2))
    found = concepts.top(model, torch.rand(5, 4, 10), 1, "0", 2, members="all")
    with pytest.raises(InputError, match="not of pictures"):
        concepts_figure(found)


def test_graph_names_every_channel_and_what_it_has():
    graph = concepts.graph(NET, PIXELS, 1, ["1", "3"], k=2, members="all")
    found = concepts.top(NET, PIXELS, 1, "3", 5, examples=1, members="all")
    figure = concept_graph_figure(graph, concepts={"3": found})
    written = texts(figure)
    for name in graph.layers:
        for place, channel in enumerate(graph.channels[name]):
            assert f"channel {channel} {float(graph.relevance[name][place]):.3g}".replace("-", "−") in written
    assert written.count("all others") == 3 and len(shown(figure)) == 2
    page = figure.axes[0]
    bands = [line for line in page.lines if len(line.get_xdata()) > 2]
    flows = graph.edges["3", "1"][:-1, :-1]
    widest = float(flows.abs().max())
    expected = sorted(12 * abs(float(f)) / widest for f in flows.flatten() if abs(float(f)) >= 0.03 * widest)
    assert sorted(b.get_linewidth() for b in bands) == pytest.approx(expected)
    assert "speaks for the target" in written
    assert "a word" in texts(draw_concept_graph(graph, names={("3", graph.channels["3"][0]): "a word"}))


def test_no_words_on_words_in_a_graph():
    graph = concepts.graph(NET, PIXELS, 1, ["1", "3"], k=3, members="all")
    figure = draw_concept_graph(graph, names={("3", c): "a name that is much too long" for c in graph.channels["3"]})
    renderer = figure.canvas.get_renderer()
    boxes = [t.get_window_extent(renderer) for ax in figure.axes for t in ax.texts if t.get_text()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    page = figure.get_window_extent(renderer)
    assert all(page.x0 <= b.x0 and b.x1 <= page.x1 and page.y0 <= b.y0 and b.y1 <= page.y1 for b in boxes)


def test_limits_show_all_three_kinds():
    target = int(NET(PIXELS).argmax(1).mode().values)
    found = prototypes(NET, PIXELS, target, 2)
    limits = prototype_limits(NET, PIXELS, found, threshold=0.2)
    figure = limits_figure(NET, PIXELS, limits, columns=3)
    written = texts(figure)
    for i in (*found.indices, *limits.typical[:3], *[i for i, _ in limits.views]):
        assert f"#{i}" in written
    for kind in ("prototypes", "explained: distance up to 0.2", "not explained: distance above 0.2"):
        assert kind in written
    made = prototype_limits(NET, PIXELS, PIXELS[:2], target, layer="3", threshold=0.2)
    assert "made" in texts(limits_figure(NET, PIXELS, made, made=PIXELS[:2]))
