"""Pictures that maximise, in the units of pictures; figures that hold what they promise."""

import numpy as np
import pytest
import torch
from torch import nn

from sciexplain import datasets
from sciexplain.domains.images import Preprocess
from sciexplain.domains.images.maximize import maximize, title_of
from sciexplain.domains.images.maximize_figure import maximization_figure
from sciexplain.domains.images.reference import train, train_prior
from sciexplain.errors import InputError
from sciexplain.maximization import Channel, Decoder, Direction, Diverse, Jitter, Logit, LogProbability, Neuron

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.5)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 3))


def test_pixels_stay_between_black_and_white():
    preprocess = Preprocess(mean=MEAN, std=STD)
    found = maximize(network(), [0, 2], (3, 6, 6), preprocess=preprocess, lr=0.5, steps=60, restarts=2)
    for one, pictures in zip(found.found, found.pictures, strict=True):
        shown = np.stack([p.array for p in pictures])
        assert shown.shape == (2, 6, 6, 3)
        expected = one.inputs.permute(0, 2, 3, 1).numpy() * STD + MEAN
        assert np.allclose(shown, expected, atol=1e-6)
        assert shown.min() == 0
        assert shown.max() == 1


def test_a_linear_model_gets_the_corners_of_its_weights():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    found = maximize(model, 1, (3, 2, 2), penalties=[], preprocess=Preprocess(mean=MEAN, std=STD), lr=0.5)
    expected = (model[1].weight[1] > 0).float().view(3, 2, 2).permute(1, 2, 0)
    assert np.allclose(found.pictures[0][0].array, expected.detach().numpy(), atol=1e-6)


def test_a_prior_of_pictures_is_normalised_for_the_model():
    decoder = nn.Sequential(nn.Linear(4, 3 * 36), nn.Sigmoid(), nn.Unflatten(1, (3, 6, 6)))
    preprocess = Preprocess(mean=MEAN, std=STD)
    found = maximize(network(), 0, prior=Decoder(decoder, 4), preprocess=preprocess, steps=5)
    made = decoder(found.found[0].codes).detach()
    shown = torch.from_numpy(np.stack([p.array for p in found.pictures[0]])).permute(0, 3, 1, 2)
    assert torch.allclose(shown, made, atol=1e-5)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    assert torch.allclose(found.found[0].inputs, (made - mean) / std, atol=1e-5)


def test_frequencies_with_colours():
    found = maximize(network(), 0, (3, 6, 6), parameterization="frequencies", colours=torch.eye(3), steps=20)
    assert found.found[0].codes.shape == (4, 3, 6, 4, 2)
    assert (found.found[0].values > found.found[0].trace[0]).all()


@pytest.mark.parametrize(
    ("target", "title"),
    [
        (1, "cat"),
        (7, "7"),
        (Logit(0), "dog"),
        (LogProbability(-1), "cat"),
        (Neuron("a.b", (1, 2)), "a.b, neuron (1, 2)"),
        (Channel("a", 3), "a, channel 3"),
        (Direction("a", torch.ones(2)), "a, a direction"),
        (Diverse(0, "a"), "dog"),
        (lambda y: y[:, 0], ""),
    ],
)
def test_titles(target, title):
    assert title_of(target, ("dog", "cat")) == title


def captions(figure):
    return [text.get_text() for text in figure.texts]


def test_the_figure_shows_every_target_of_every_prior():
    simple = maximize(network(), [0, 2], (3, 6, 6), steps=3, restarts=3)
    smooth = maximize(network(), [0, 2], (3, 6, 6), steps=3, transforms=[Jitter(1)])
    figure = maximization_figure({"plain": simple, "jitter": smooth}, restarts=2)
    assert len(figure.axes) == 2 * 2 * 2
    words = captions(figure)
    assert {"plain", "jitter", "0", "2"} <= set(words)
    first = simple.found[0]
    assert f"{float(first.values[0]):.3g}".replace("-", "−") in {w.split(",")[0] for w in words}
    drawn = figure.axes[0].get_images()[0].get_array()
    assert np.allclose(drawn, simple.pictures[0][0].array)


def test_no_words_meet():
    """Boxes of all texts and pictures are apart."""
    found = maximize(
        network(), list(range(3)) * 3, (3, 6, 6), steps=2, restarts=2, labels=("a long name of a class",) * 3
    )
    figure = maximization_figure({"a prior with a rather long title": found, "other": found}, restarts=2)
    renderer = figure.canvas.get_renderer()
    boxes = [t.get_window_extent(renderer) for t in figure.texts] + [a.get_window_extent(renderer) for a in figure.axes]
    for i, one in enumerate(boxes):
        assert one.x0 >= 0
        assert one.y0 >= 0
        assert one.x1 <= figure.bbox.x1 + 1
        assert not any(one.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((0,), {}, "or a prior"),
        ((0, (3, 6, 6)), {"prior": Decoder(nn.Identity(), 4)}, "one of both"),
        ((0, (6, 6)), {}, "(channels, rows, columns)"),
        ((0, (1, 6, 6)), {"preprocess": Preprocess(mean=MEAN)}, "preprocess names 3"),
        ((0,), {"prior": Decoder(nn.Identity(), (6,))}, "no pictures (n, C, H, W)"),
    ],
)
def test_what_is_wrong_is_said(arguments, options, words):
    with pytest.raises(InputError) as raised:
        maximize(nn.Flatten(), *arguments, steps=1, **options)
    assert words in str(raised.value)


def test_figures_of_nothing():
    with pytest.raises(InputError, match="same ones"):
        maximization_figure({})


def test_simple_priors_make_patterns_and_learned_ones_digits():
    """What a simple prior leaves is farther from every real digit than any two of these are; codes give digits.

    Another classifier takes the latter for the same classes.
    """
    data = datasets.load("digits")
    first, second = (train(data, epochs=10, width=8, seed=seed).model for seed in (0, 1))
    prior = train_prior(data, epochs=25, width=128, code=8, lr=3e-3).model
    simple = maximize(first, range(10), (1, 8, 8), restarts=1, steps=80)
    learned = maximize(first, range(10), prior=prior, restarts=2, steps=80)
    real = torch.from_numpy(data.images).flatten(1)
    among = torch.cdist(real[:300], real).topk(2, largest=False).values[:, 1]
    patterns, digits = (torch.stack([one.best for one in found.found]) for found in (simple, learned))
    assert float(torch.cdist(patterns.flatten(1), real).amin(1).min()) > float(among.quantile(0.99))
    assert float(torch.cdist(digits.flatten(1), real).amin(1).max()) < float(among.quantile(0.99))
    assert int((second(digits).argmax(1) == torch.arange(10)).sum()) >= 8
    assert all(int(one.output[0].argmax()) == one.target for one in simple.found)
