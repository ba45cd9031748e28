"""Random weights, layer by layer, in many kinds of networks; what explanations then have in common."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain import evaluate
from sciexplain.evaluate.sanity import histogram_entropy
from sciexplain.inputs import Inputs

IMAGE = sample(3, 1, 6, 6).float()


class Attention(nn.Module):
    """Tokens with positions of their own, attention, and a head tied to the first layer."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 4)  # last in the forward pass, first in the module
        self.position = nn.Parameter(torch.randn(5, 4))
        self.first = nn.Linear(4, 4)
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4)
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.first.weight

    def forward(self, x):
        x = self.first(x + self.position)
        x = self.norm(x + self.attend(x, x, x)[0])
        return self.head(self.tied(x).mean(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3)
    )


def normed():
    return nn.Sequential(
        nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(36, 6)), nn.Tanh(), nn.Linear(6, 3)
    )


NETWORKS = {
    "convolutional": (convolutional, IMAGE),
    "attention": (Attention, sample(3, 5, 4).float()),
    "recurrent": (Recurrent, sample(3, 5, 4).float()),
    "weight norm": (normed, IMAGE),
}


def trained(make):
    """Somewhere away from every initialisation."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make()
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.3 * torch.randn_like(p))
            for m in model.modules():
                if isinstance(m, nn.BatchNorm2d):
                    m.running_mean.normal_(0, 0.3)
    return model.eval()


@pytest.mark.parametrize("weights", ["initial", "permuted"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_becomes_random_and_the_model_stays(name, weights):
    make, x = NETWORKS[name]
    model = trained(make).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.random.get_rng_state()
    steps = [
        (layer, {k: v.clone() for k, v in network.state_dict().items()})
        for layer, network in evaluate.randomized(model, Inputs.of(x), order="bottom_up", weights=weights)
    ]
    assert torch.equal(state, torch.random.get_rng_state()) and model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    for key, p in model.named_parameters():
        assert p.numel() < 6 or not torch.equal(steps[-1][1][key], p), key
        if weights == "permuted":
            assert torch.equal(steps[-1][1][key].flatten().sort().values, p.detach().flatten().sort().values)
    for (_, a), (_, b) in pairwise(steps):  # each step changes something, and keeps what was random
        changed = [k for k in before if not torch.equal(a[k], b[k])]
        assert changed and all(torch.equal(a[k], before[k]) for k in changed if k in dict(model.named_parameters()))
    down = list(evaluate.randomized(model, Inputs.of(x), weights=weights))
    for key, value in steps[-1][1].items():
        if key not in ("first.weight", "tied.weight"):  # drawn once, by the layer that comes first
            assert torch.equal(down[-1][1].state_dict()[key], value), key  # the same network in the end


def test_order_is_that_of_the_forward_pass():
    model = trained(Attention)
    names = [n for n, _ in evaluate.randomized(model, Inputs.of(NETWORKS["attention"][1]), order="bottom_up")]
    assert names[:2] == ["", "first"] and names[-1] == "head"
    assert names.index("attend") < names.index("norm") < names.index("tied")
    down = [n for n, _ in evaluate.randomized(model, Inputs.of(NETWORKS["attention"][1]))]
    assert down[0] == "head" and down[-1] == ""


def test_independent_layers_come_back():
    model = trained(convolutional)
    for name, network in evaluate.randomized(model, Inputs.of(IMAGE), order="independent"):
        changed = {
            k.rpartition(".")[0] for k, v in network.state_dict().items() if not torch.equal(v, model.state_dict()[k])
        }
        assert changed == {name}


@pytest.mark.parametrize("name", NETWORKS)
def test_similarity_of_a_method_that_ignores_the_network_is_1(name):
    make, x = NETWORKS[name]
    model = trained(make)
    blind = evaluate.sanity(model, x, explain=lambda model, inputs, target: inputs)
    torch.testing.assert_close(blind.similarity, torch.ones_like(blind.similarity))
    assert not blind.rise.any()
    seeing = evaluate.sanity(model, x, method="gradient", on_unknown="gradient")
    assert float(seeing.values.max()) < 0.95 and len(seeing.layers) == len(seeing.similarity)
    assert seeing.entropy.shape == (len(seeing.layers) + 1, 3)


@pytest.mark.parametrize("similarity", ["spearman", "pearson", "cosine", "ssim"])
def test_equals_explaining_each_network(similarity):
    model = trained(convolutional)
    function = {
        "spearman": evaluate.spearman,
        "pearson": evaluate.pearson,
        "cosine": evaluate.cosine,
        "ssim": evaluate.ssim,
    }
    target = model(IMAGE).argmax(1)
    original = sx.explain(model, IMAGE, target, composite="epsilon_plus").relevance.double()
    found = evaluate.sanity(model, IMAGE, similarity=similarity, composite="epsilon_plus", absolute=True, seed=3)
    for k, (name, network) in enumerate(evaluate.randomized(model, Inputs.of(IMAGE), seed=3)):
        e = sx.explain(network, IMAGE, target, composite="epsilon_plus")
        expected = function[similarity](original.abs(), e.relevance.double().abs())
        torch.testing.assert_close(found.similarity[k], expected, rtol=1e-6, atol=1e-6)
        assert found.layers[k] == name
        share = np.histogram(e.relevance[0].abs().double(), bins=100)[0] / 36
        expected_entropy = -(share[share > 0] * np.log(share[share > 0])).sum()
        assert float(found.entropy[k + 1, 0]) == pytest.approx(expected_entropy)
    torch.testing.assert_close(found.mean, found.similarity.mean(1))
    torch.testing.assert_close(found.rise, found.entropy[-1] / found.entropy[0] - 1)


def test_efficient_looks_at_the_wholly_random_network():
    model = trained(convolutional)
    whole = evaluate.sanity(model, IMAGE, order="bottom_up")
    found = evaluate.sanity(model, IMAGE, efficient=True, order="bottom_up")
    assert found.layers == ("all",)
    torch.testing.assert_close(found.similarity[0], whole.similarity[-1])
    torch.testing.assert_close(found.rise, whole.rise)
    assert evaluate.sanity(model, IMAGE, order="independent").rise.isnan().all()


def test_smooth_explains_the_mean_over_noise():
    model = trained(convolutional)
    seen = []

    def explain(network, inputs, target):
        seen.append(inputs)
        return inputs * len(seen)

    evaluate.sanity(model, IMAGE, smooth=4, noise=0.2, explain=explain, efficient=True)
    assert len(seen) == 8 and all(torch.equal(a, b) for a, b in zip(seen[:4], seen[4:], strict=True))
    extent = (IMAGE.flatten(1).amax(1) - IMAGE.flatten(1).amin(1)).view(-1, 1, 1, 1)
    noise = torch.stack([(s - IMAGE) / (0.2 * extent) for s in seen[:4]])
    assert float(noise.std()) == pytest.approx(1, abs=0.1) and len({float(n[0, 0, 0, 0]) for n in noise}) == 4
    smooth = evaluate.sanity(model, IMAGE, method="gradient", smooth=30, noise=0.2)
    rough = evaluate.sanity(model, IMAGE, method="gradient")
    assert smooth.similarity.shape == rough.similarity.shape and not torch.allclose(smooth.similarity, rough.similarity)


def test_graphs_are_one_sample():
    geometric = pytest.importorskip("torch_geometric.nn")

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = geometric.GCNConv(4, 8), geometric.GINConv(nn.Linear(8, 3), train_eps=True)

        def forward(self, x, edge_index):
            return self.second(self.first(x, edge_index).relu(), edge_index).sum(0, keepdim=True)

    edges = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
    model = trained(Network)
    steps = list(evaluate.randomized(model, Inputs.of((sample(4, 4).float(), edges))))
    for key, p in model.named_parameters():
        assert p.numel() == 1 or not torch.equal(dict(steps[-1][1].named_parameters())[key], p), key
    found = evaluate.sanity(model, (sample(4, 4).float(), edges), composite="epsilon_plus")
    assert found.similarity.shape == (len(found.layers), 1) and len(found.layers) >= 2


def test_seeds():
    model = trained(convolutional)
    a, b, c = (
        evaluate.sanity(model, IMAGE, seed=s, batch_size=n).similarity for s, n in ((0, None), (0, 2), (1, None))
    )
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(a, c)


def test_entropy_of_what_is_constant_or_not_finite():
    found = histogram_entropy(torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.0, float("nan")]]), 10)
    assert found[0] == 0 and float(found[1]) == pytest.approx(np.log(2)) and found[2].isnan()
    model = nn.Linear(2, 1)
    silent = evaluate.sanity(model, torch.randn(2, 2), explain=lambda m, x, t: torch.zeros_like(x))
    assert silent.rise.isnan().all() and silent.similarity.isnan().all()


@pytest.mark.parametrize(
    "model, options, error, message",
    [
        (lambda x: x, {}, sx.ModelError, "without parameters"), (nn.Flatten(), {}, sx.ModelError, "without parameters"),
        (convolutional(), {"order": "up"}, sx.InputError, "order='up'"),
        (convolutional(), {"weights": "zero"}, sx.InputError, "weights='zero'"),
        (convolutional(), {"similarity": "hog"}, sx.InputError, "similarity='hog'"),
        (convolutional(), {"similarity": lambda a, b: a}, sx.InputError, "one number per sample"),
        (convolutional(), {"inputs": IMAGE[:0]}, sx.InputError, "The batch is empty"),
        (convolutional(), {"smooth": -1}, sx.InputError, "smooth=-1"),
        (convolutional(), {"composites": "epsilon"}, sx.RuleError, "no option composites"),
        (nn.Linear(6, 2), {"similarity": "ssim", "inputs": torch.randn(2, 6)}, sx.InputError, "compares maps"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(model, options, error, message):
    with pytest.raises(error, match=message):
        evaluate.sanity(model, **({"inputs": IMAGE} | options))


def test_randomised_models_are_tested_with_random_weights_too():
    """A trained-like network whose explanation is of the weights: LRP-ε changes with every layer."""
    model = randomize(nn.Sequential(nn.Flatten(), nn.Linear(36, 12), nn.ReLU(), nn.Linear(12, 3))).float()
    found = evaluate.sanity(model, IMAGE, composite="epsilon")
    assert bool((found.mean.abs() < 0.9).all())
