"""Relevance at the outputs of modules, by ``layers=``."""

import copy

import pytest
import torch
import torch.nn.functional as F
from explained_networks import (
    HEAD,
    IMAGE_NET,
    IMAGES,
    LAYER,
    LRP0,
    PRESETS,
    A,
    B,
    close,
    input_x_gradient,
)
from torch import nn

import sciexplain as sx

FEATURES = [f"0.{i}" for i in range(7)]
#: layer, and the part of the network after which its relevance is known; a layer merged with BatchNorm is its output
LAYERS = {"0.0": "0.1", "0.1": "0.1", "0.2": "0.2", "0.3": "0.3", "0.4": "0.4", "0.5": "0.5", "0.6": "0.6", "0": "0.6",
          "1.0": "1.0", "1.1": "1.1", "1.2": "1.2", "1.3": "1.3", "1": "1.3"}  # fmt: skip


def _split(name):
    """The network up to and including a module, and the rest."""
    part, index = map(int, name.split("."))
    flat = [*IMAGE_NET[0], *IMAGE_NET[1]]
    cut = index + 1 + (len(IMAGE_NET[0]) if part else 0)
    return nn.Sequential(*copy.deepcopy(flat[:cut])), nn.Sequential(*copy.deepcopy(flat[cut:]))


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_relevance_of_lrp_0_is_activation_times_gradient(layer):
    below, above = _split(LAYERS[layer])
    e = sx.explain(IMAGE_NET, IMAGES, 1, composite=LRP0, layers=[layer])
    close(e.layers, {layer: input_x_gradient(lambda a: above(a.clone())[:, 1], below(IMAGES).detach())[0]})


@pytest.mark.parametrize("composite", PRESETS)
def test_layer_relevance_and_what_was_absorbed_above_is_the_score(composite):
    names = [name for name, module in IMAGE_NET.named_modules() if name]
    e = sx.explain(IMAGE_NET, IMAGES, 1, composite=composite, layers=list(LAYERS), ledger=True)
    for layer, relevance in e.layers.items():
        above = {n for n in names[names.index(LAYERS[layer]) + 1 :] if not n.startswith(f"{LAYERS[layer]}.")}
        absorbed = sum(r.bias + r.stabilizer + r.unruled for r in e.ledger.rows if r.module in above)
        torch.testing.assert_close(relevance.flatten(1).sum(1) + absorbed, e.score, rtol=0, atol=1e-11)


@pytest.mark.parametrize("composite", PRESETS)
@pytest.mark.parametrize("ledger", [False, True])
def test_layers_do_not_change_relevance(composite, ledger):
    plain, with_layers = (
        sx.explain(IMAGE_NET, IMAGES, 1, composite=composite, ledger=ledger, layers=layers) for layers in ((), ["*"])
    )
    assert torch.equal(with_layers.relevance, plain.relevance)


NAMES = {
    "pattern": (["0.?"], FEATURES),
    "pattern and name": (["0.?", "1.3"], [*FEATURES, "1.3"]),
    "everything below": (["0.*"], ["0.0", "0.1", "0.2", "0.3.conv", "0.3.norm", "0.3.act", "0.3", *FEATURES[4:]]),
    "a name twice": (["1.1", "1.*1"], ["1.1"]),
    "the whole model": ([""], [""]),
    "one string": ("1.1", ["1.1"]),
}  # fmt: skip


def test_a_normalisation_merged_into_what_follows_it_has_no_relevance_of_its_own():
    model = nn.Sequential(
        *(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Sequential(nn.BatchNorm2d(3)), nn.Conv2d(3, 2, 3)),
        *(nn.Flatten(), nn.Linear(32, 2)),
    ).eval()
    x = torch.randn(2, 1, 8, 8)
    for name in ("2", "2.0"):
        with pytest.raises(sx.InputError, match="is one layer with the linear layer behind it"):
            sx.explain(model, x, 1, layers=[name])
    assert list(sx.explain(model, x, 1, layers=["*"]).layers) == ["0", "1", "3", "4", "5", ""]


@pytest.mark.parametrize("case", NAMES)
def test_names_of_layers(case):
    patterns, names = NAMES[case]
    assert list(sx.explain(IMAGE_NET, IMAGES, 1, layers=patterns).layers) == names


def test_the_input_of_the_first_layer_and_the_output():
    e = sx.explain(nn.Sequential(nn.Identity(), *IMAGE_NET), IMAGES, 1, layers=["0", ""], composite="deep_taylor")
    close(e.layers["0"], e.relevance)
    close(e.layers[""][:, 1], e.score)
    assert not e.layers[""][:, [0, 2]].any()


def test_reused_module_gives_a_tuple():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = LAYER, HEAD

        def forward(self, a, b):
            return self.head(F.relu(self.layer(a)) + F.relu(self.layer(b)))

    e = sx.explain(Twice(), (A, B), 1, layers=["layer"], composite=LRP0)
    expected = input_x_gradient(lambda p, q: HEAD(F.relu(p) + F.relu(q))[:, 1], LAYER(A).detach(), LAYER(B).detach())
    close(e.layers["layer"], expected)


def test_layer_with_several_outputs():
    class Split(nn.Module):
        def forward(self, x):
            return {"low": x[:, :2], "high": (x[:, 2:], None)}

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.split = Split()

        def forward(self, x):
            parts = self.split(LAYER(x))
            return HEAD(F.relu(torch.cat([parts["low"], parts["high"][0]], 1)))

    e = sx.explain(Model(), A, 1, layers=["split"], composite=LRP0)
    (expected,) = input_x_gradient(lambda z: HEAD(F.relu(z))[:, 1], LAYER(A).detach())
    close(e.layers["split"], (expected[:, :2], expected[:, 2:]))
