"""Conditional relevance equals that of masked gradients at modules' outputs in zennit, as zennit-crp has it."""

import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain import concepts

zennit = pytest.importorskip("zennit.composites")

NET = randomize(
    nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 2, bias=False), nn.ReLU(),
        nn.Flatten(), nn.Linear(20, 7, bias=False), nn.ReLU(), nn.Linear(7, 4, bias=False),
    )
)  # fmt: skip
IMAGES = sample(3, 3, 8, 8)
COMPOSITES = {
    "epsilon_plus": zennit.EpsilonPlus(epsilon=1e-6, stabilizer=1e-9),
    "epsilon_plus_flat": zennit.EpsilonPlusFlat(epsilon=1e-6, stabilizer=1e-9),
    "epsilon_alpha2_beta1": zennit.EpsilonAlpha2Beta1(epsilon=1e-6, stabilizer=1e-9),
}


def masked(composite, conditions, target):
    """Relevance with the gradient at the outputs of modules set to 0, but for some channels."""
    handles = []
    for name, channels in conditions.items():

        def mask(module, args, output, channels=channels):
            kept = torch.zeros_like(output)
            kept[:, channels] = 1
            output.register_hook(lambda gradient: gradient * kept)

        handles.append(NET.get_submodule(name).register_forward_hook(mask))
    x = IMAGES.clone().requires_grad_()
    try:
        with composite.context(NET) as modified:
            for_hooks = modified(x)
            start = torch.zeros_like(for_hooks)
            start[:, target] = for_hooks.detach()[:, target]
            (relevance,) = torch.autograd.grad(for_hooks, x, start)
    finally:
        for handle in handles:
            handle.remove()
    return relevance


@pytest.mark.parametrize("name", COMPOSITES)
@pytest.mark.parametrize(
    "conditions", [{"1": [2]}, {"2": [0, 3]}, {"4": [1]}, {"4": [0, 4], "1": [1, 2]}, {"7": [3], "4": [2]}]
)
def test_masked_gradients_of_zennit(name, conditions):
    found = concepts.conditional(NET, IMAGES, 2, conditions, composite=name)
    torch.testing.assert_close(found.relevance, masked(COMPOSITES[name], conditions, 2), rtol=1e-6, atol=1e-9)
    whole = sx.explain(NET, IMAGES, 2, composite=name).relevance
    assert not torch.allclose(found.relevance, whole)
