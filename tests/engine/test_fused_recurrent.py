"""LSTM and GRU with all steps in one node have the numbers of what is written out."""

import gc
import weakref

import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain.engine import mode
from sciexplain.engine.handlers import fused_recurrent

N, T, IN, HIDDEN = 3, 5, 4, 3
FORMS = {
    "one layer": {},
    "without bias": {"bias": False},
    "stacked, bidirectional": {"num_layers": 2, "bidirectional": True},
    "projected": {"proj_size": 2, "num_layers": 2, "bidirectional": True},
}
CASES = [(kind, form) for kind in (nn.LSTM, nn.GRU) for form in FORMS if form != "projected" or kind is nn.LSTM]
rules = sx.rules
COMPOSITES = {
    "epsilon": "epsilon",
    "epsilon_plus": "epsilon_plus",
    "deep_taylor": "deep_taylor",
    "z^B": sx.composites.get("deep_taylor", low=-9.0, high=9.0),
    "epsilon_plus_flat": "epsilon_plus_flat",
    "attention": "attention",
    "by name": sx.Composite([("net", rules.GeneralizedGamma(0.3)), ("head", rules.ZPlus())]),
    "gamma": sx.Composite(default=rules.Gamma()),
    "alpha, beta": sx.Composite([("first", rules.AlphaBeta())], default=rules.AlphaBeta(3, 2)),
    "flat by name": sx.Composite([("n*", rules.Flat())]),
    "w² by type": sx.Composite([(nn.RNNBase, rules.WSquare())]),
    "z^B by name": sx.Composite([("net", rules.ZBox(-9.0, 9.0))]),
    "last": sx.Composite([("last", rules.Flat()), ("first", rules.ZPlus())], default=rules.Epsilon(1e-3)),
    "LRP-0": sx.Composite(default=rules.Epsilon(0)),
}


def states(net, n=N):
    h = sample(net.num_layers * (1 + net.bidirectional), n, net.proj_size or HIDDEN, seed=5)
    return [h, sample(*h.shape[:2], HIDDEN, seed=6)] if isinstance(net, nn.LSTM) else [h]


class Model(nn.Module):
    """The outputs and the final state, through a dense layer where it has a ``head``."""

    def __init__(self, kind, form="one layer", head=True, lengths=None, **options):
        super().__init__()
        self.net, self.lengths, self.head = randomize(kind(IN, HIDDEN, **FORMS[form], **options)), lengths, None
        if head:
            width = self.features(sample(T, N, IN), *states(self.net)).shape[-1]
            self.head = randomize(nn.Linear(width, 2), 3)

    def features(self, x, *hx):
        hx = tuple(hx) if len(hx) > 1 else hx[0] if hx else None
        if self.lengths is not None:
            x = nn.utils.rnn.pack_padded_sequence(x, torch.tensor(self.lengths), enforce_sorted=False)
        out, state = self.net(x, hx)
        if self.lengths is not None:
            out, _ = nn.utils.rnn.pad_packed_sequence(out)
        return torch.cat(
            [
                out[0] + 2 * out[-1] - out[2],
                *(s for every in (state if isinstance(state, tuple) else (state,)) for s in every),
            ],
            -1,
        )

    def forward(self, x, *hx):
        features = self.features(x, *hx)
        return features if self.head is None else self.head(features)


def relevance(model, inputs, composite):
    """The output, relevance at all inputs that require a gradient, and how many layers there were."""
    inputs = [t.detach().clone().requires_grad_(t.requires_grad) for t in inputs]
    with sx.LRP(composite, on_unknown="error") as lrp:
        y = model(*inputs)
    active = [t for t in inputs if t.requires_grad]
    return [y, *torch.autograd.grad((y * sample(*y.shape, seed=7).to(y)).sum(), active)], lrp.layer_count


def both_ways(monkeypatch, compute):
    """``compute()`` fused and written out; the fused node must have been made in the first case only."""
    made = []
    apply = fused_recurrent._Rest.apply
    with monkeypatch.context() as patch:
        patch.setattr(fused_recurrent._Rest, "apply", lambda *args: made.append(1) or apply(*args))
        found = compute()
        used, made[:] = bool(made), []
        patch.setattr(mode, "FUSED", {})
        expected = compute()
        assert not made
    return found, expected, used


def assert_same(monkeypatch, model, inputs, composite, fused=True):
    (found, count), (expected, same_count), used = both_ways(monkeypatch, lambda: relevance(model, inputs, composite))
    assert used == fused
    assert count == same_count
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13 * float(b.detach().abs().max()))


@pytest.mark.parametrize("composite", COMPOSITES)
@pytest.mark.parametrize(("kind", "form"), CASES)
def test_equals_the_written_out(monkeypatch, kind, form, composite):
    x = sample(T, N, IN).requires_grad_()
    assert_same(monkeypatch, Model(kind, form), [x], COMPOSITES[composite], fused=composite != "z^B by name")


@pytest.mark.parametrize("lengths", [None, [3, 5, 1], [5, 2, 5]], ids=str)
@pytest.mark.parametrize("active", ["", "h", "c", "hc"])
@pytest.mark.parametrize("composite", ["deep_taylor", "last"])
@pytest.mark.parametrize(("kind", "form"), [*CASES[2:4], CASES[-1]])
def test_with_states(monkeypatch, kind, form, composite, active, lengths):
    if kind is nn.GRU and "c" in active:
        return
    model = Model(kind, form, lengths=lengths)
    hx = [s.requires_grad_(name in active) for name, s in zip("hc", states(model.net), strict=False)]
    assert_same(monkeypatch, model, [sample(T, N, IN).requires_grad_(), *hx], COMPOSITES[composite])


@pytest.mark.parametrize("composite", ["last", "deep_taylor"])
@pytest.mark.parametrize("form", ["one layer", "projected"])
def test_as_the_last_layer(monkeypatch, form, composite):
    model = Model(nn.LSTM, form, head=False)
    assert_same(monkeypatch, model, [sample(T, N, IN).requires_grad_()], COMPOSITES[composite])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_where_only_states_are_explained(monkeypatch, kind):
    model = Model(kind)
    hx = [s.requires_grad_() for s in states(model.net)]
    assert_same(monkeypatch, model, [sample(T, N, IN), *hx], "epsilon", fused=False)


def test_activations_with_a_rule(monkeypatch):
    model = Model(nn.LSTM)
    composite = sx.Composite([("linear", rules.Epsilon()), ("net", rules.Pass())])
    assert_same(monkeypatch, model, [sample(T, N, IN).requires_grad_()], composite, fused=False)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.filterwarnings("ignore:The model is in training mode")
def test_training(monkeypatch, kind):
    model = Model(kind, "stacked, bidirectional", dropout=0.5).train()
    assert_same(monkeypatch, model, [sample(T, N, IN).requires_grad_()], "epsilon")


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("composite", ["epsilon", "deep_taylor"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_other_precisions(monkeypatch, kind, composite, dtype):
    model, x = Model(kind).to(dtype), sample(T, N, IN).to(dtype).requires_grad_()
    found, expected, used = both_ways(monkeypatch, lambda: relevance(model, [x], composite)[0][1])
    assert used
    tolerance = 0.1 if dtype is torch.bfloat16 else 1e-4
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_behind_other_layers(monkeypatch, kind):
    """Inputs that are no leaves; one sample without a batch; outputs changed in place; a state that is a gate."""
    net, before = randomize(kind(IN, HIDDEN)), randomize(nn.Linear(IN, IN), 4)
    gate = randomize(nn.Linear(IN, HIDDEN), 5)

    def model(x):
        h = torch.sigmoid(gate(x[:1]))
        out, _ = net(torch.relu(before(x)), (h, h) if kind is nn.LSTM else h)
        out *= 2
        out[0] += 1
        return out[:, :2]

    assert_same(monkeypatch, model, [sample(T, IN).requires_grad_()], "epsilon_plus_flat")


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_relevance_at_the_module(monkeypatch, kind):
    model, x = BatchFirst(Model(kind, "stacked, bidirectional")), sample(N, T, IN)
    captured, expected, used = both_ways(
        monkeypatch, lambda: sx.explain(model, x, 1, layers=["model.net", "model.head"])
    )
    assert used
    assert set(expected.layers) == {"model.net", "model.head"}
    for name, values in expected.layers.items():
        torch.testing.assert_close(captured.layers[name], values, rtol=1e-12, atol=1e-14)


class BatchFirst(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x.transpose(0, 1))


@pytest.mark.parametrize(("kind", "form"), CASES)
def test_the_graph_goes_with_its_output(kind, form):
    model, x = Model(kind, form), sample(T, N, IN).requires_grad_()
    gc.collect()
    gc.disable()
    try:
        with sx.LRP("epsilon"):
            y = model(x)
        node = weakref.ref(find(y.grad_fn))
        del y
        assert node() is None
    finally:
        gc.enable()


def test_values_go_with_the_backward_pass():
    model, x = Model(nn.LSTM), sample(T, N, IN).requires_grad_()
    with sx.LRP("epsilon"):
        y = model(x)
    node = find(y.grad_fn)
    (first,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    (again,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(first, again)
    assert node.steps is None
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(y.sum(), x)


def find(node):
    """The fused node."""
    seen, stack = set(), [node]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        if node.name() == "_RestBackward":
            return node
        seen.add(node)
        stack.extend(n for n, _ in node.next_functions)
    raise AssertionError


def test_the_ledger_sees_every_step(monkeypatch):
    model, x = BatchFirst(Model(nn.LSTM)), sample(N, T, IN)
    _, _, used = both_ways(monkeypatch, lambda: sx.explain(model, x, 1, ledger=True))
    assert not used
