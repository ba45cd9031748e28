"""Class artefact compensation against its equations, and the mended model as any other: saved, exported, explained."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import sciexplain as sx
from sciexplain import mend


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(27, 8), nn.ReLU(), nn.Linear(8, 3),
    ).eval()  # fmt: skip


def pairs(n=20, seed=0):
    x = torch.rand(n, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    marked = x.clone()
    marked[:, :, :2, :2] = 3.0
    return marked, x


def activations(model, layer, x):
    caught = []
    handle = model.get_submodule(layer).register_forward_hook(lambda m, a, o: caught.append(o))
    with torch.no_grad():
        model(x)
    handle.remove()
    return caught[0]


@pytest.mark.parametrize("layer", ["0", "2", "5"])
@pytest.mark.parametrize("per", ["unit", "channel"])
def test_projective_is_its_equation(layer, per):
    """Anders et al. 2022: h(a) = (I − v vᵀ) a + v vᵀ z, z the mean without the artefact."""
    model, (marked, x) = network(), pairs()
    mended = mend.clarc(model, layer, marked, x, per=per)
    a, b = (activations(model, layer, v) for v in (marked, x))
    after = activations(mended, layer, marked)
    if per == "unit" or a.ndim == 2:
        flat_a, flat_b = a.flatten(1).double(), b.flatten(1).double()
        v = flat_a.mean(0) - flat_b.mean(0)
        v /= v.norm()
        P = torch.outer(v, v)
        expected = flat_a @ (torch.eye(len(v)) - P).T + P @ flat_b.mean(0)
        assert torch.allclose(after.flatten(1).double(), expected, atol=1e-5)
    else:
        z = b.mean((0, 2, 3)).double()
        v = a.mean((0, 2, 3)).double() - z
        v /= v.norm()
        P = torch.outer(v, v)
        expected = torch.einsum("cd,ndhw->nchw", torch.eye(3) - P, a.double()) + (P @ z)[:, None, None]
        assert torch.allclose(after.double(), expected, atol=1e-5)


def test_augmentive_adds_the_artefact_in_training_alone():
    model, (marked, x) = network(), pairs()
    mended = mend.clarc(model, "5", marked, x, how="augmentive")
    plain, a = activations(model, "5", x), activations(model, "5", marked)
    assert torch.equal(activations(mended, "5", x), plain)
    mended.get_submodule("5").train()
    v = mended.get_submodule("5").direction
    expected = plain - (plain @ v)[:, None] * v + (a.mean(0) @ v) * v
    assert torch.allclose(activations(mended, "5", x), expected, atol=1e-5)


def test_reactive_leaves_samples_without_the_artefact_alone():
    model, (marked, x) = network(), pairs()
    projective, reactive = (mend.clarc(model, "0", marked, x, how=how) for how in ("projective", "reactive"))
    assert torch.equal(reactive(x), model(x)) and not torch.equal(projective(x), model(x))
    assert torch.allclose(reactive(marked), projective(marked), atol=1e-6)
    both = torch.cat([x[:1], marked[:1]])
    assert torch.allclose(reactive(both), torch.cat([reactive(x[:1]), reactive(marked[:1])]), atol=1e-6)


DIRECTIONS = ["signal", "svm", "ridge"]


@pytest.mark.parametrize("how", DIRECTIONS)
def test_directions_find_what_separates(how):
    draw = torch.Generator().manual_seed(0)
    without = torch.randn(400, 5, generator=draw)
    shift = torch.tensor([0.0, 3.0, 0.0, 0.0, 4.0])
    v = mend.artefact_direction(torch.randn(400, 5, generator=draw) + shift, without, how)
    assert v.norm().item() == pytest.approx(1.0, rel=1e-6)
    assert float(v @ shift / 5) > 0.9


def test_only_the_signal_is_not_led_astray_by_noise():
    """Haufe et al. 2014: a classifier's weights also cancel what disturbs; the pattern is the artefact alone."""
    draw = torch.Generator().manual_seed(0)

    def drawn(t):
        noise = torch.randn(2000, generator=draw) * 2
        return torch.stack([t + noise, noise], 1) + 0.1 * torch.randn(2000, 2, generator=draw)

    has, lacks = drawn(1.0), drawn(0.0)
    truth = torch.tensor([1.0, 0.0])
    found = {how: float(mend.artefact_direction(has, lacks, how) @ truth) for how in DIRECTIONS}
    assert found["signal"] > 0.98 > 0.8 > max(found["svm"], found["ridge"])


def test_the_pattern_is_the_covariance_with_the_label():
    has, lacks = torch.randn(30, 4).double(), torch.randn(50, 4).double()
    a, t = torch.cat([has, lacks]), torch.cat([torch.ones(30), torch.zeros(50)]).double()
    pattern = ((a - a.mean(0)) * (t - t.mean())[:, None]).sum(0) / (t - t.mean()).square().sum()
    assert torch.allclose(mend.artefact_direction(has, lacks), pattern / pattern.norm())


def test_a_direction_of_ones_own():
    model, (marked, x) = network(), pairs()
    v = torch.eye(8)[2] * 5
    mended = mend.clarc(model, "5", marked, x, direction=v)
    assert torch.equal(mended.get_submodule("5").direction, torch.eye(8)[2])
    after = activations(mended, "5", marked)
    assert torch.allclose(after[:, 2], activations(model, "5", x)[:, 2].mean().expand(20), atol=1e-5)


def test_the_mended_model_is_a_model(tmp_path):
    model, (marked, x) = network(), pairs()
    before = copy.deepcopy(model.state_dict())
    model.train()
    mended = mend.clarc(model, "2", marked, x, how="reactive").eval()
    assert all(m.training for m in model.modules())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    again = pickle.loads(pickle.dumps(mended))
    other = mend.clarc(model, "2", x, marked, how="reactive").eval()
    other.load_state_dict(mended.state_dict())
    exported = torch.export.export(mended, (x,)).module()
    for one in (again, other, exported):
        assert torch.allclose(one(marked), mended(marked), atol=1e-6)
    assert mended.get_submodule("0").kernel_size == (3, 3)


@pytest.mark.parametrize("how", ["projective", "reactive"])
@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus", "deep_taylor"])
def test_it_is_explained_without_an_unknown_operation(how, composite):
    model, (marked, x) = network().double(), (v.double() for v in pairs())
    mended = mend.clarc(model, "0", marked, x, how=how)
    e = sx.explain(mended, marked[:2], 1, composite=composite, on_unknown="error", ledger=True)
    assert e.ledger.gap.abs().max() < 1e-9
    assert not e.unknown


def test_what_is_suppressed_has_no_relevance():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 1)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(4))
    x = torch.rand(10, 4).double()
    marked = x.clone()
    marked[:, 3] += 5
    e = sx.explain(mend.clarc(model, "1", marked, x), marked, 0)
    assert e.relevance[:, 3].abs().max() < 1e-9 < e.relevance[:, :3].abs().min()


def test_layers_with_tuples_graphs_and_channels_last():
    torch.manual_seed(0)

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.norm = nn.MultiheadAttention(8, 2, batch_first=True), nn.LayerNorm(8)
            self.out = nn.Linear(8, 2)

        def forward(self, x, mask=None):
            return self.out(self.norm(self.attention(x, x, x)[0]).mean(1))

    x = torch.randn(6, 5, 8)
    marked = x + torch.eye(8)[0] * 4
    for layer in ("attention", "norm"):
        mended = mend.clarc(Tokens().eval(), layer, marked, x, per="channel")
        assert mended.get_submodule(layer).axis == -1 and mended(x).shape == (6, 2)
    # rows of all graphs, in two batches of different sizes
    nodes = nn.Sequential(nn.Linear(8, 4), nn.ReLU())
    mended = mend.clarc(nodes, "0", [torch.randn(7, 8) + 3, torch.randn(3, 8) + 3], [torch.randn(5, 8)])
    assert mended.get_submodule("0").direction.shape == (4,)


def test_data_in_other_forms():
    model, (marked, x) = network(), pairs()
    expected = mend.clarc(model, "5", marked, x).state_dict()
    labels = torch.zeros(len(x), dtype=torch.long)
    forms = [lambda d: d.numpy(), lambda d: list(d.split(7)), lambda d: TensorDataset(d, labels)]
    for form in (*forms, lambda d: DataLoader(TensorDataset(d, labels), 6, shuffle=True)):
        found = mend.clarc(model, "5", form(marked), form(x)).state_dict()
        assert all(torch.allclose(found[k], v, atol=1e-6) for k, v in expected.items())


def test_in_inference_mode():
    with torch.inference_mode():
        marked, x = pairs()
        inside = mend.clarc(network(), "5", marked, x)
    marked, x = pairs()
    outside = mend.clarc(network(), "5", marked, x)
    assert torch.equal(inside(marked), outside(marked))
    inside(marked).sum().backward()
    assert torch.equal(sx.explain(inside, x, 1).relevance, sx.explain(outside, x, 1).relevance)


WRONG = {
    "no such layer": (lambda m, a, b: mend.clarc(m, "9", a, b), "no module of that name"),
    "no such how": (lambda m, a, b: mend.clarc(m, "0", a, b, how="best"), "projective"),
    "no such direction": (lambda m, a, b: mend.clarc(m, "0", a, b, direction="pca"), '"signal", "svm"'),
    "another direction": (lambda m, a, b: mend.clarc(m, "5", a, b, direction=torch.ones(3)), r"has \(8,\)"),
    "no samples": (lambda m, a, b: mend.clarc(m, "0", a[:0], b), "empty"),
    "no difference": (lambda m, a, b: mend.clarc(m, "0", a, a), "do not differ"),
    "no such axis": (lambda m, a, b: mend.clarc(m, "0", a, b, per="channel", channel_axis=7), "channel_axis=7"),
    "no module": (lambda m, a, b: mend.clarc(torch.relu, "0", a, b), "expected a torch module"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told(what):
    call, message = WRONG[what]
    with pytest.raises(sx.SciExplainError, match=message):
        call(network(), *pairs())


def test_which_dimension_has_the_channels_is_asked_where_nobody_knows():
    model = nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU())
    x = torch.randn(4, 2, 8)
    with pytest.raises(sx.InputError, match="channel_axis"):
        mend.clarc(model, "1", x + 1, x, per="channel")
    assert mend.clarc(model, "1", x + 1, x, per="channel", channel_axis=1).get_submodule("1").axis == 1
    assert mend.clarc(model, "0", x + 1, x, per="channel").get_submodule("0").axis == 1
