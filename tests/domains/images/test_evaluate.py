"""Faithfulness of pictures' explanations, in the words of the picture domain."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import sciexplain as sx
from sciexplain.domains import images
from sciexplain.domains.images import Preprocess, evaluate
from sciexplain.errors import InputError


def network(channels=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 3)).eval()


def pictures(channels=3):
    return list(np.random.default_rng(0).random((4, 6, 6, channels)).astype(np.float32))


def test_curves_are_those_of_the_core_on_the_networks_pixels():
    net, preprocess = network(), Preprocess(mean=(0.5,), std=(0.25,))
    e = images.explain(net, pictures(), [0, 1, 2, 1], preprocess=preprocess)
    inputs = preprocess(e.pictures)
    for options in ({}, {"order": "least", "filler": "zero"}, {"mode": "insertion", "parts": 2, "steps": 5}):
        found = evaluate.flipping(e, **options)
        expected = sx.evaluate.pixel_flipping(net, inputs, e.relevance, torch.tensor([0, 1, 2, 1]), **options)
        torch.testing.assert_close(found.scores, expected.scores)
    torch.testing.assert_close(evaluate.flipping(e).scores[:, 0], e.score.double())
    other = torch.rand(4, 6, 6)
    expected = sx.evaluate.pixel_flipping(net, inputs, other, torch.tensor([0, 1, 2, 1]))
    torch.testing.assert_close(evaluate.flipping(e, other).scores, expected.scores)


def test_methods_are_asked_about_the_same_targets():
    net = network()
    e = images.explain(net, pictures(), [0, 1, 2, 1], composite="epsilon_gamma_box")
    x = e.explanation.origin.inputs.clone().requires_grad_()
    net(x)[torch.arange(4), torch.tensor([0, 1, 2, 1])].sum().backward()
    torch.testing.assert_close(evaluate.attributed(e, "input_x_gradient"), (x * x.grad).detach())
    torch.testing.assert_close(evaluate.attributed(e, "gradient"), x.grad.norm(dim=1, keepdim=True))
    torch.testing.assert_close(evaluate.attributed(e, "epsilon_gamma_box"), e.relevance)
    found = evaluate.compare(e, ["gradient", "occlusion"])
    assert list(found.gains) == ["explanation", "gradient", "occlusion"]
    removal = evaluate.removal_of(e)
    same = sx.evaluate.compare(removal, {"explanation": removal.fold(e.relevance)})
    torch.testing.assert_close(found.gains["explanation"], same.gains["explanation"])


def test_masks_are_of_the_networks_pixels():
    e = images.explain(network(), pictures(), 1)
    masks = torch.zeros(4, 6, 6)
    masks[:, 2:4, 2:4] = 1
    positive = e.heatmap.clamp(min=0)
    found = evaluate.localization(e, masks)
    torch.testing.assert_close(found.mass, (positive * masks).sum((1, 2)).double() / positive.sum((1, 2)).double())


def test_wrong_questions_are_told(tmp_path):
    e = images.explain(network(), pictures(), 1)
    with pytest.raises(InputError, match="'saliency'"):
        evaluate.attributed(e, "saliency")
    e.explanation.save(tmp_path / "e.safetensors")
    read = images.ImageExplanation(e.pictures, e.relevance, sx.load(tmp_path / "e.safetensors"))
    with pytest.raises(InputError, match="does not know its model"):
        evaluate.flipping(read)


def test_stability_and_sanity_are_those_of_the_core():
    net = network()
    e = images.explain(net, pictures(), [0, 1, 2, 1], composite="epsilon_plus", ledger=True)
    x, target = e.explanation.origin.inputs, torch.tensor([0, 1, 2, 1])
    expected = sx.evaluate.max_sensitivity(net, x, target, composite="epsilon_plus", seed=2)
    torch.testing.assert_close(evaluate.max_sensitivity(e, seed=2), expected)
    expected = sx.evaluate.sanity(net, x, target, composite="epsilon_plus", seed=2)
    torch.testing.assert_close(evaluate.sanity(e, seed=2).similarity, expected.similarity)


def test_noise_stays_between_black_and_white():
    """Where the first rule has bounds, noise beyond them would be refused."""
    black_and_white = [(picture > 0.5).astype(np.float32) for picture in pictures()]
    preprocess = Preprocess(mean=(0.5,), std=(0.25,))
    e = images.explain(network(), black_and_white, 1, preprocess=preprocess, composite="epsilon_gamma_box")
    found = evaluate.max_sensitivity(e, radius=0.1)
    assert bool((found > 0).all()) and bool(torch.isfinite(found).all())
