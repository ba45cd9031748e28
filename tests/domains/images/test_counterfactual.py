"""The nearest picture with another prediction."""

import numpy as np
import pytest
import torch
from torch import nn

from sciexplain.domains.images import Picture, Preprocess
from sciexplain.domains.images.counterfactual import counterfactual
from sciexplain.errors import InputError
from sciexplain.maximization import Decoder

PREPROCESS = Preprocess(mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.5))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 3))


def pictures(n=3):
    rng = np.random.default_rng(0)
    return [Picture(f"p{i}", None, rng.uniform(size=(6, 6, 3)).astype(np.float32)) for i in range(n)]


def test_pictures_stay_pictures_and_predictions_change():
    model, given = network(), pictures()
    found = counterfactual(model, given, preprocess=PREPROCESS)
    assert found.found.found.all()
    assert found.names == ("p0", "p1", "p2")
    for i, picture in enumerate(given):
        assert np.allclose(found.before[i].permute(1, 2, 0), picture.array, atol=1e-6)
    assert float(found.after.min()) >= -1e-6
    assert float(found.after.max()) <= 1 + 1e-6
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (PREPROCESS.mean, PREPROCESS.std))
    again = model((found.after - mean) / std)
    assert torch.allclose(again, found.found.new_output, atol=1e-4)
    assert torch.equal(found.found.new_output.argmax(1), found.found.new_prediction)
    assert (found.found.new_prediction != found.found.prediction).all()
    assert torch.allclose(found.difference, (found.after - found.before).mean(1))
    moved = ((found.after - found.before).abs() > 0.05).any(1).sum((1, 2))
    assert torch.equal(found.changed(), moved)


def test_with_a_prior_of_pictures():
    decoder = nn.Sequential(nn.Linear(6, 3 * 36), nn.Sigmoid(), nn.Unflatten(1, (3, 6, 6)))
    found = counterfactual(network(), pictures(), prior=Decoder(decoder, 6), preprocess=PREPROCESS, steps=40)
    assert torch.allclose(found.after, decoder(found.found.codes).detach(), atol=1e-4)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (PREPROCESS.mean, PREPROCESS.std))
    classes = network()((found.reconstruction - mean) / std).argmax(1)
    assert torch.equal(found.reconstructed, classes)
    words = [text.get_text() for text in found.figure(indices=[1]).texts]
    assert words.count(found.reconstructed_label(1)) >= 1 and "by the prior" in words


def test_figure():
    found = counterfactual(network(), pictures(), preprocess=PREPROCESS, labels=("ant", "bee", "cat"))
    figure = found.figure(indices=[0, 2])
    assert len(figure.axes) == 3 * 2 + 1
    words = [text.get_text() for text in figure.texts]
    assert {"p0", "p2", "picture", "counterfactual", "difference"} <= set(words)
    assert {found.label(0), found.label(2, after=True)} <= set(words)
    renderer = figure.canvas.get_renderer()
    boxes = [t.get_window_extent(renderer) for t in figure.texts] + [a.get_window_extent(renderer) for a in figure.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_none_found_is_drawn_as_such():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    with torch.no_grad():
        model[1].weight.zero_()[0] += 0.1
        model[1].bias.copy_(torch.tensor([1.0, 0.0]))
    found = counterfactual(model, np.full((1, 3, 2, 2), 0.5, np.float32)[0].transpose(1, 2, 0), rounds=2, steps=20)
    assert not found.found.found.any()
    assert "none found" in [text.get_text() for text in found.figure().texts]
    assert found.label(0, after=True) == ""


def test_what_is_wrong_is_said():
    with pytest.raises(InputError, match="expected 0 black to 1 white"):
        counterfactual(network(), torch.randn(1, 3, 6, 6) * 3)
    with pytest.raises(InputError, match="indices"):
        counterfactual(network(), pictures(1), rounds=1, steps=1).figure(indices=[4])
