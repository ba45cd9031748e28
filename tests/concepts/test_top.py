"""Channels, the samples in which they matter most, and what they saw there."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_tester import randomize, sample
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import sciexplain as sx
from sciexplain import concepts

CNN = randomize(
    nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 3)
    )
)
IMAGES = sample(60, 1, 8, 8)
CNN[-1].bias.data -= CNN(IMAGES).mean(0).detach()  # some of every class
MEMBERS = (CNN(IMAGES).argmax(1) == 2).nonzero().flatten()


@pytest.mark.parametrize("layer", ["2", "4", "6"])
def test_top_channels_and_their_samples(layer):
    found = concepts.top(CNN, IMAGES, 2, layer, 3, examples=4, batch_size=13)
    at = sx.explain(CNN, IMAGES[MEMBERS], 2, layers=[layer]).layers[layer]
    at = at.sum((2, 3)) if at.ndim > 2 else at
    mean = at.mean(0)
    channels = torch.argsort(-mean)[:3]
    assert found.channels == tuple(channels.tolist()) and found.count == len(MEMBERS)
    torch.testing.assert_close(found.relevance, mean[channels])
    torch.testing.assert_close(found.share, mean[channels] / mean.clamp(min=0).sum())
    scores, best = at[:, channels].T.sort(dim=1, descending=True, stable=True)
    torch.testing.assert_close(found.scores, scores[:, :4])
    if layer != "6":  # of the output, only one channel has relevance
        assert torch.equal(found.indices, MEMBERS[best[:, :4]])
    for row, channel in enumerate(channels.tolist()):
        inputs = IMAGES[found.indices[row]]
        assert torch.equal(found.inputs[row], inputs)
        expected = concepts.conditional(CNN, inputs, 2, {layer: channel}).relevance
        torch.testing.assert_close(found.heatmaps[row], expected, rtol=0, atol=1e-12)


def test_focus_is_what_the_most_relevant_position_saw():
    found = concepts.top(CNN, IMAGES, 2, "2", 2, examples=3, mass=1)
    at = sx.explain(CNN, IMAGES, 2, layers=["2"]).layers["2"]
    for row, channel in enumerate(found.channels):
        for column, index in enumerate(found.indices[row].tolist()):
            y, x = divmod(int(at[index, channel].argmax()), 6)
            assert found.positions[row, column].tolist() == [y, x]
            focus = found.focus[row, column, 0]
            seen = torch.zeros(8, 8, dtype=torch.bool)
            seen[y : y + 3, x : x + 3] = True
            assert not focus[~seen].any() and focus[seen].all()
            assert found.windows[row][column] == ((y, y + 3), (x, x + 3))
            # no part of the BatchNorm's bias goes on
            assert float(focus.sum()) == pytest.approx(float(_onward(at, index, channel, y, x)), rel=1e-6)


def _onward(at, index, channel, y, x):
    """Relevance of one output of the first layer that reaches its inputs by the ε rule, weights merged by hand."""
    conv, norm = CNN[0], CNN[1]
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt())[channel]
    patch = IMAGES[index, 0, y : y + 3, x : x + 3]
    part = scale * (conv.weight[channel, 0] * patch).sum()
    z = part + scale * (conv.bias[channel] - norm.running_mean[channel]) + norm.bias[channel]
    return (at[index, channel, y, x] * part / (z + 1e-6 * torch.sign(z))).detach()


def test_members_and_forms_of_data():
    labels = torch.arange(60) % 3
    a = concepts.top(CNN, (IMAGES, labels), 1, "4", 2, examples=3, members="labelled")
    b = concepts.top(
        CNN, DataLoader(TensorDataset(IMAGES, labels), 7, shuffle=True), 1, "4", 2, examples=3, members="labelled"
    )
    c = concepts.top(
        CNN, list(zip(IMAGES.split(11), labels.split(11), strict=True)), 1, "4", 2, examples=3, members="labelled"
    )
    assert a.count == 20 and set(a.indices.flatten().tolist()) <= set(range(1, 60, 3))
    for other in (b, c):
        assert torch.equal(a.indices, other.indices) and a.windows == other.windows
        torch.testing.assert_close(a.heatmaps, other.heatmaps)
    with pytest.raises(sx.DataError, match="can be read once"):
        concepts.top(CNN, (x for x in IMAGES.split(9)), 1, "4")
    with pytest.raises(sx.DataError, match="No sample of 60 is a member"):
        concepts.top(CNN, IMAGES, 1, "4", members=torch.zeros(60, dtype=torch.bool))


def test_fewer_members_than_examples():
    assert concepts.top(CNN, IMAGES[MEMBERS[:2]], 2, "4", 2, examples=8).indices.shape == (2, 2)


def test_sequences_and_several_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv1d(4, 5, 3), nn.Linear(40, 2)

        def forward(self, x, extra):
            return self.head(torch.relu(self.conv(x)).flatten(1)) + extra.sum(1, keepdim=True)

    inputs = {"x": sample(9, 4, 10), "extra": sample(9, 2)}
    found = concepts.top(randomize(Two()), inputs, 1, "conv", 2, examples=3, members="all")
    assert found.heatmaps["x"].shape == (2, 3, 4, 10) and not found.heatmaps["extra"].any()
    for windows, positions in zip(found.windows, found.positions, strict=True):
        for (window,), (position,) in zip(windows, positions.tolist(), strict=True):
            assert (
                window == (0, 10) or position <= window[0] < window[1] <= position + 3
            )  # everything, where nothing is
    assert any(window[0] != (0, 10) for windows in found.windows for window in windows)


# -- windows ---------------------------------------------------------------------------------------------------------


def shortest(values, mass):
    total = sum(values)
    if total == 0:
        return len(values)
    return min(
        j - i
        for i in range(len(values))
        for j in range(i + 1, len(values) + 1)
        if sum(values[i:j]) >= mass * total * (1 - 1e-9)
    )


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.sampled_from([0.3, 0.5, 0.9, 1.0]))
@settings(max_examples=100, deadline=None)
def test_windows_are_the_shortest(values, mass):
    ((start, end),) = concepts.window(torch.tensor(values, dtype=torch.float64) * -1, mass)
    assert end - start == shortest(values, mass)
    assert sum(values[start:end]) >= mass * sum(values) * (1 - 1e-9)


def test_windows_in_two_dimensions():
    heatmap = torch.zeros(6, 7)
    heatmap[2:4, 3:6] = torch.tensor([[1.0, -2, 1], [1, 2, 1]])
    assert concepts.window(heatmap, 1) == ((2, 4), (3, 6))
    assert concepts.window(heatmap, 0.5) == ((2, 3), (4, 5))
    assert concepts.window(torch.zeros(2, 3)) == ((0, 2), (0, 3))
    with pytest.raises(sx.InputError, match="mass=0"):
        concepts.window(heatmap, 0)


def test_ranking_by_batches_is_that_of_all():
    relevance = sample(50, 7)
    whole, parts = concepts.Ranking(4), concepts.Ranking(4)
    whole.add(relevance, torch.arange(50))
    for index in torch.arange(50).split(6):
        parts.add(relevance[index], index)
    a, b = whole.best(3), parts.best(3)
    assert a.channels == b.channels and torch.equal(a.indices, b.indices) and torch.equal(a.scores, b.scores)
    assert a.channels == tuple(torch.argsort(-relevance.mean(0))[:3].tolist())
