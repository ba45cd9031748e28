"""Relevance through channels and subspaces: equal to a dense reference, conserved, and nothing else changed."""

import copy
import gc
import weakref

import pytest
import torch
from conditional_reference import EPSILON, Chain, onto_channels, onto_subspace
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain import concepts


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.norm(self.conv(x))) + x


MLP = randomize(nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 3)))
CNN = randomize(
    nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 3, 3, stride=2),
        nn.ReLU(), nn.Flatten(), nn.Linear(12, 3),
    )
)  # fmt: skip
SEQUENCES = randomize(nn.Sequential(nn.Conv1d(4, 6, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(24, 2)))
RESIDUAL = randomize(
    nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), Block(), nn.Conv2d(4, 4, 2), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3),
    )
)  # fmt: skip
POINTS, PICTURES, ONE_HOT = sample(3, 5), sample(3, 2, 5, 5), sample(3, 4, 10)
IMAGES = sample(2, 3, 5, 7)

CHAINS = {
    "mlp": (MLP, POINTS, [MLP[0], MLP[2], MLP[4]], ("epsilon",) * 3, {0: ("0", "1"), 1: ("2", "3")}),
    "cnn": (CNN, PICTURES, [nn.Sequential(CNN[0], CNN[1]), CNN[3], CNN[5:]], ("epsilon",) * 3,
            {0: ("1", "2"), 1: ("3", "4")}),
    "cnn, positive": (CNN, PICTURES, [nn.Sequential(CNN[0], CNN[1]), CNN[3], CNN[5:]],
                      ("epsilon", "plus", "epsilon"), {0: ("0", "2"), 1: ("3", "4")}),
}  # fmt: skip


def composite(rules):
    if "plus" not in rules:
        return sx.Composite([], default=sx.rules.Epsilon(EPSILON))
    return sx.Composite([("3", sx.rules.ZPlus())], default=sx.rules.Epsilon(EPSILON))


@pytest.mark.parametrize("case", CHAINS)
def test_channels_equal_the_dense_reference(case):
    model, inputs, modules, rules, names = CHAINS[case]
    chain = Chain(modules, inputs.shape[1:], rules)
    for place, module_names in names.items():
        for name in module_names:
            for channel in range(chain.shapes[place][0]):
                found = concepts.conditional(model, inputs, 1, {name: channel}, composite=composite(rules))
                for i, x in enumerate(inputs):
                    projection = onto_channels(chain.shapes[place], [channel])
                    expected, passed = chain.explain(x, 1, {(place, "after"): projection})
                    torch.testing.assert_close(found.relevance[i].flatten(), expected, rtol=1e-9, atol=1e-11)
                    torch.testing.assert_close(found.passed[name][i], passed[place].sum(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("case", CHAINS)
def test_chained_conditions_equal_the_dense_reference(case):
    model, inputs, modules, rules, names = CHAINS[case]
    chain = Chain(modules, inputs.shape[1:], rules)
    conditions = {names[0][1]: [0, 2], names[1][0]: [1, 2]}
    found = concepts.conditional(model, inputs, 2, conditions, composite=composite(rules))
    projections = {
        (0, "after"): onto_channels(chain.shapes[0], [0, 2]),
        (1, "after"): onto_channels(chain.shapes[1], [1, 2]),
    }
    for i, x in enumerate(inputs):
        expected, passed = chain.explain(x, 2, projections)
        torch.testing.assert_close(found.relevance[i].flatten(), expected, rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(found.passed[names[0][1]][i], passed[0].sum(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("case", CHAINS)
@pytest.mark.parametrize("side", ["before", "after"])
def test_subspaces_equal_the_dense_reference_on_either_side_of_an_activation(case, side):
    model, inputs, modules, rules, names = CHAINS[case]
    chain = Chain(modules, inputs.shape[1:], rules)
    for place, (before, after) in names.items():
        name = {"before": before if before != "0" or case == "mlp" else "1", "after": after}[side]
        basis = sample(chain.shapes[place][0], 2, seed=place)
        found = concepts.conditional(model, inputs, 0, {name: basis}, composite=composite(rules))
        for i, x in enumerate(inputs):
            expected, _ = chain.explain(x, 0, {(place, side): onto_subspace(chain.shapes[place], basis)})
            torch.testing.assert_close(found.relevance[i].flatten(), expected, rtol=1e-9, atol=1e-11)


PRESETS = {
    **{name: name for name in ("epsilon", "epsilon_plus", "epsilon_plus_flat", "epsilon_alpha2_beta1", "deep_taylor")},
    "box": sx.composites.get("epsilon_gamma_box", low=-4.0, high=4.0),
}
#: layers that every way from input to output passes
CUTS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
AROUND = ("3.conv", "3.norm", "3.act")


@pytest.mark.parametrize("preset", PRESETS)
def test_channels_sum_to_the_explanation_where_all_passes(preset):
    whole = sx.explain(RESIDUAL, IMAGES, 1, composite=PRESETS[preset], layers=[*CUTS, *AROUND])
    for name in (*CUTS, *AROUND):
        channels = whole.layers[name].shape[1]
        each = concepts.conditional(
            RESIDUAL, IMAGES, 1, [{name: c} for c in range(channels)], composite=PRESETS[preset]
        )
        everything = concepts.conditional(RESIDUAL, IMAGES, 1, {name: range(channels)}, composite=PRESETS[preset])
        total = sum(e.relevance for e in each)
        torch.testing.assert_close(total, everything.relevance, rtol=0, atol=1e-10)
        torch.testing.assert_close(everything.passed[name], whole.layers[name].flatten(1).sum(1), rtol=0, atol=1e-10)
        if name in CUTS:
            torch.testing.assert_close(total, whole.relevance, rtol=0, atol=1e-10)
        else:  # the rest goes along the skip connection
            assert (total - whole.relevance).abs().max() > 1e-3


def test_what_goes_around_a_layer_and_through_it_is_everything():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.head = nn.Linear(5, 4), nn.Linear(5, 4), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(torch.relu(self.a(x)) + torch.relu(self.b(x)))

    model = randomize(Two())
    through = [concepts.conditional(model, POINTS, 1, {name: range(4)}).relevance for name in ("a", "b")]
    torch.testing.assert_close(sum(through), sx.explain(model, POINTS, 1).relevance, rtol=0, atol=1e-10)
    both = concepts.conditional(model, POINTS, 1, {"a": range(4), "b": range(4)})
    assert not both.relevance.any()  # nothing passes one and then the other


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_orthogonal_subspaces_that_fill_the_layer_sum_to_the_explanation(data):
    seed = data.draw(st.integers(0, 999))
    name, channels = data.draw(st.sampled_from([("0", 6), ("1", 6), ("2", 6), ("3", 24)]))
    split = data.draw(st.integers(1, channels - 1))
    q, _ = torch.linalg.qr(sample(channels, channels, seed=seed))
    parts = concepts.conditional(SEQUENCES, ONE_HOT, 1, [{name: q[:, :split]}, {name: q[:, split:]}])
    whole = sx.explain(SEQUENCES, ONE_HOT, 1)
    torch.testing.assert_close(parts[0].relevance + parts[1].relevance, whole.relevance, rtol=0, atol=1e-10)


def test_a_subspace_of_unit_vectors_is_those_channels():
    eye = torch.eye(6, dtype=torch.float64)
    for name in ("0", "1", "2"):
        a = concepts.conditional(SEQUENCES, ONE_HOT, 1, {name: eye[:, [1, 4]] * 3})
        b = concepts.conditional(SEQUENCES, ONE_HOT, 1, {name: [1, 4]})
        torch.testing.assert_close(a.relevance, b.relevance, rtol=0, atol=1e-12)


class Encoder(nn.Module):
    """Tokens through attention, with skip connections."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, ids):
        return self.head(self.block(self.embed(ids)).mean(1))


class Graph(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(3, 5), nn.Linear(5, 4), nn.Linear(4, 2)

    def forward(self, x, edges, batch):
        for layer in (self.first, self.second):
            x = torch.relu(layer(x + torch.zeros_like(x).index_add(0, edges[1], x[edges[0]])))
        return self.head(torch.zeros(int(batch.max()) + 1, 4, dtype=x.dtype).index_add(0, batch, x))


IDS = torch.randint(0, 11, (3, 6), generator=torch.Generator().manual_seed(0))
EDGES = torch.tensor([[0, 1, 1, 2, 3, 4], [1, 0, 2, 1, 4, 3]])
GRAPHS = {"x": sample(5, 3), "edges": EDGES, "batch": torch.tensor([0, 0, 0, 1, 1])}
KINDS = {
    "sequences": (SEQUENCES, ONE_HOT, {"0": 6, "1": 6, "2": 6, "3": 24}),
    "tokens": (randomize(Encoder()), IDS, {"embed": 8, "block": 8}),
    "hidden of a transformer": (randomize(Encoder()), IDS, {"block.linear1": 16}),
    "graphs": (randomize(Graph()), GRAPHS, {"first": 5, "second": 4}),
    "positional": (lambda a, b: MLP(a) + b.sum(1, keepdim=True), (POINTS, sample(3, 2)), {"0": 7}),
}


@pytest.mark.parametrize("case", KINDS)
def test_every_kind_of_model(case):
    model, inputs, layers = KINDS[case]
    whole = sx.explain(model, inputs, 1, layers=list(layers))
    for name, channels in layers.items():
        each = concepts.conditional(model, inputs, 1, [{name: c} for c in range(channels)])
        relevance = concepts.channel_relevance(model, inputs, 1, layers=name)[name]
        at_layer = whole.layers[name]
        axis = 1 if case == "sequences" else -1
        expected = at_layer.movedim(axis, 1).flatten(2).sum(2) if at_layer.ndim > 2 else at_layer
        torch.testing.assert_close(relevance, expected, rtol=0, atol=1e-10)
        torch.testing.assert_close(torch.stack([e.passed[name] for e in each], 1), relevance, rtol=0, atol=1e-10)
        if case in ("sequences", "tokens", "graphs"):
            r = [e.relevance["x"] if case == "graphs" else e.relevance for e in each]
            expected = whole.relevance["x"] if case == "graphs" else whole.relevance
            torch.testing.assert_close(sum(r), expected, rtol=0, atol=1e-10)


def test_a_module_that_runs_twice_is_passed_once_or_twice_under_the_same_condition():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = nn.Linear(5, 5, bias=False), nn.Linear(5, 2, bias=False)

        def forward(self, x):
            return self.head(self.layer(self.layer(x)))

    model = randomize(Twice())
    w, v = model.layer.weight, model.head.weight[1]
    keep = torch.diag(torch.tensor([1.0, 0, 1, 0, 0], dtype=torch.float64))
    found = concepts.conditional(
        model, POINTS, 1, {"layer": [0, 2]}, composite=sx.Composite([], default=sx.rules.Epsilon(1e-12))
    )
    # LRP-0 of a linear chain is input × gradient
    torch.testing.assert_close(found.relevance, POINTS * (v @ keep @ w @ keep @ w), rtol=1e-8, atol=1e-10)


def test_two_branches_through_the_same_module_are_summed():
    shared, head = randomize(nn.Linear(5, 4), 1), randomize(nn.Linear(4, 2), 2)

    class Siamese(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = shared, head

        def forward(self, a, b):
            return self.head(torch.relu(self.layer(a)) + torch.relu(self.layer(b)))

    model, inputs = Siamese(), (POINTS, sample(3, 5, seed=4))
    each = concepts.conditional(model, inputs, 1, [{"layer": c} for c in range(4)])
    whole = sx.explain(model, inputs, 1)
    for i in range(2):
        torch.testing.assert_close(sum(e.relevance[i] for e in each), whole.relevance[i], rtol=0, atol=1e-10)
    relevance = concepts.channel_relevance(model, inputs, 1, layers="layer")["layer"]
    torch.testing.assert_close(torch.stack([e.passed["layer"] for e in each], 1), relevance, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("upper", "lower"), [("1", "0"), ("", "4")])
def test_modules_with_one_output(upper, lower):
    """A convolution and the activation behind it, a container and its last module: what passes one passes the other."""
    model = randomize(nn.Sequential(nn.Conv1d(4, 5, 3), nn.ReLU(), nn.MaxPool1d(8), nn.Flatten(), nn.Linear(5, 5)))
    found = concepts.conditional(model, ONE_HOT, 1, {upper: [0, 1, 3], lower: [1, 2, 3]})
    expected = concepts.conditional(model, ONE_HOT, 1, {lower: [1, 3]})
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.passed[lower], expected.passed[lower], rtol=0, atol=1e-12)
    expected = concepts.conditional(model, ONE_HOT, 1, {upper: [0, 1, 3]})
    torch.testing.assert_close(found.passed[upper], expected.passed[upper], rtol=0, atol=1e-12)
    g = concepts.graph(model, ONE_HOT, 1, [upper, lower], channels={upper: [0, 2], lower: [0, 1]}, members="all")
    off = g.edges[upper, lower] - torch.diag(torch.diag(g.edges[upper, lower]))
    assert not off[:2, :2].any() and float(off[2, 1]) == pytest.approx(float(g.relevance[lower][1]))


@pytest.mark.parametrize("preset", PRESETS)
def test_channels_of_the_input_itself(preset):
    model = nn.Sequential(nn.Identity(), *RESIDUAL)
    whole = sx.explain(model, IMAGES, 1, composite=PRESETS[preset]).relevance
    for channel in range(3):
        found = concepts.conditional(
            model, IMAGES, 1, {"0": channel}, composite=PRESETS[preset], channel_axis=1
        ).relevance
        torch.testing.assert_close(found[:, channel], whole[:, channel], rtol=0, atol=1e-12)
        assert not found[:, [c for c in range(3) if c != channel]].any()
    if preset in ("epsilon_plus_flat", "box", "deep_taylor"):
        with pytest.raises(sx.InputError, match="it has channels, but no subspaces"):
            concepts.conditional(model, IMAGES, 1, {"0": torch.ones(3)}, composite=PRESETS[preset], channel_axis=1)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_batches(batch_size):
    conditions = [{"2": 0}, {"2": [1, 2], "4": 1}, {"4": sample(3, 2)}]
    whole = concepts.conditional(CNN, PICTURES, torch.tensor([0, 1, 2]), conditions)
    parts = concepts.conditional(CNN, PICTURES, torch.tensor([0, 1, 2]), conditions, batch_size=batch_size)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a.relevance, b.relevance, rtol=0, atol=1e-12)
        for name in a.passed:
            torch.testing.assert_close(a.passed[name], b.passed[name], rtol=0, atol=1e-12)
        assert torch.equal(a.target, b.target)
        torch.testing.assert_close(a.score, b.score)
    relevance = [
        concepts.channel_relevance(CNN, PICTURES, 1, layers=["2"], batch_size=n)["2"] for n in (None, batch_size)
    ]
    torch.testing.assert_close(*relevance, rtol=0, atol=1e-12)


def test_results_do_not_depend_on_what_else_is_asked():
    conditions = [{"2": 0}, {"4": 1}, {"2": 0, "4": 1}, {"4": [0, 1, 2], "2": 0}]
    together = concepts.conditional(CNN, PICTURES, 1, conditions)
    for one, found in zip(conditions, together, strict=True):
        alone = concepts.conditional(CNN, PICTURES, 1, one)
        torch.testing.assert_close(found.relevance, alone.relevance, rtol=0, atol=1e-13)
    torch.testing.assert_close(together[0].relevance, together[3].relevance, rtol=0, atol=1e-12)


def test_the_model_stays_as_it_is_and_is_explained_in_evaluation_mode():
    model = copy.deepcopy(CNN).train()
    before = copy.deepcopy(model.state_dict())
    found = concepts.conditional(model, PICTURES, 1, {"2": [0, 1]})
    torch.testing.assert_close(found.relevance, concepts.conditional(CNN, PICTURES, 1, {"2": [0, 1]}).relevance)
    with pytest.raises(sx.InputError):
        concepts.conditional(model, PICTURES, 1, {"2": 99})
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(m.training for m in model.modules()) and all(p.grad is None for p in model.parameters())
    assert torch.is_grad_enabled()


def test_no_graph_is_kept_alive():
    """Without help from the garbage collector: nothing holds itself in a circle."""
    seen = []
    handles = [m.register_forward_hook(lambda m, a, out: seen.append(weakref.ref(out))) for m in CNN.modules()]
    concepts.conditional(CNN, PICTURES, 1, [{"2": 1, "4": 0}, {"4": torch.ones(3)}])  # caches fill
    seen.clear()
    gc.collect()
    gc.disable()
    try:
        before = sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())
        found = concepts.conditional(CNN, PICTURES, 1, [{"2": 1, "4": 0}, {"4": torch.ones(3)}])
        assert seen and not any(ref() is not None for ref in seen)
        assert all(t.grad_fn is None for t in (found[0].relevance, found[0].score, *found[0].passed.values()))
        del found
        assert sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects()) == before
    finally:
        gc.enable()
        for handle in handles:
            handle.remove()


def test_forms_of_channels_and_under_no_grad():
    expected = concepts.conditional(CNN, PICTURES, 1, {"2": [1, 3]}).relevance
    mask = torch.tensor([False, True, False, True])
    with torch.inference_mode():
        for form in (
            (1, 3),
            [3, 1, 1],
            torch.tensor([1, 3]),
            mask,
            torch.tensor([-3, -1]),
            mask.numpy(),
            range(1, 4, 2),
        ):
            torch.testing.assert_close(concepts.conditional(CNN, PICTURES, 1, {"2": form}).relevance, expected)
    assert not concepts.conditional(CNN, PICTURES, 1, {"2": []}).relevance.any()


ERRORS = {
    "no conditions": ({}, r"conditions is empty"),
    "one of several is empty": ([{"2": 1}, {}], r"conditions is empty"),
    "no such module": ({"conv9": 0}, r"layers \['conv9'\]: no module"),
    "no such channel": ({"2": [1, 4]}, r"channels \[4\] of '2', which has 4"),
    "a basis of another layer": ({"2": torch.ones(5, 1)}, r"shape \(5, 1\) for '2', which has 4"),
    "a dependent basis": ({"2": torch.ones(4, 2)}, r"dependent, zero or"),
    "too many columns": ({"2": torch.ones(4, 5)}, r"The condition on '2' is a tensor \(4, 5\)"),
    "words": ({"2": "all"}, r"The condition on '2' is 'all'"),
    "before a BatchNorm": ({"0": torch.ones(4)}, r"subspace is asked for in front of the normalisation '1'"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    conditions, message = ERRORS[case]
    with pytest.raises(sx.InputError, match=message):
        concepts.conditional(CNN, PICTURES, 1, conditions)


def test_channels_that_cannot_be_told():
    class Own(nn.Module):
        def forward(self, x):
            return x * 2

    model = nn.Sequential(Own(), nn.Flatten(), randomize(nn.Linear(40, 2)))
    with pytest.raises(sx.InputError, match="has the channels"):
        concepts.conditional(model, ONE_HOT, 1, {"0": 0})
    by_letter = concepts.conditional(model, ONE_HOT, 1, {"0": 0}, channel_axis=1).relevance
    by_place = concepts.conditional(model, ONE_HOT, 1, {"0": 0}, channel_axis={"0": -1}).relevance
    assert by_letter[:, 0].any() and not by_letter[:, 1:].any()
    assert by_place[:, :, 0].any() and not by_place[:, :, 1:].any()
    with pytest.raises(sx.InputError, match="none of its dimensions"):
        concepts.conditional(model, ONE_HOT, 1, {"0": 0}, channel_axis=3)


class Norm2d(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Last(nn.Module):
    """A block that works on (N, H, W, channels) inside."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return x + self.linear(x.movedim(1, -1)).movedim(-1, 1)


@pytest.mark.parametrize("name", ["0", "1", "2", "3", "4"])
def test_channels_are_found_behind_other_layouts(name):
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), Norm2d(4), nn.GELU(), Last(), nn.Softplus(), nn.Flatten(), nn.Linear(60, 2)
    )
    relevance = concepts.channel_relevance(randomize(model), IMAGES, 1, layers=name)[name]
    expected = sx.explain(model, IMAGES, 1, layers=[name]).layers[name].sum((2, 3))
    torch.testing.assert_close(relevance, expected, rtol=0, atol=1e-12)


def test_a_normalisation_that_is_one_with_the_layer_behind_it():
    model = randomize(nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 2)))
    with pytest.raises(sx.InputError, match="normalisation in front of '1' is one layer with it"):
        concepts.conditional(model, POINTS, 1, {"0": 0})
