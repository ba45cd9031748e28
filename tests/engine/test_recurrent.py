"""Recurrent networks are what their equations say, in value and in relevance."""

import pytest
import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain.engine.handlers.recurrent import WRITTEN_OUT

N, T, IN, HIDDEN = 3, 5, 4, 3
CELLS = {
    "rnn_tanh": (nn.RNN, {}),
    "rnn_relu": (nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (nn.LSTM, {}),
    "gru": (nn.GRU, {}),
}
FORMS = {
    "one layer": {},
    "without bias": {"bias": False},
    "stacked": {"num_layers": 3},
    "bidirectional": {"bidirectional": True},
    "stacked, bidirectional, without bias": {"num_layers": 2, "bidirectional": True, "bias": False},
    "projected": {"proj_size": 2, "num_layers": 2, "bidirectional": True},
}
CASES = [(cell, form) for cell in CELLS for form in FORMS if form != "projected" or cell == "lstm"]


def network(cell, form="one layer", **options):
    kind, nonlinearity = CELLS[cell]
    return randomize(kind(IN, HIDDEN, **nonlinearity, **FORMS[form], **options))


def initial(net, n=N):
    rows = net.num_layers * (1 + net.bidirectional)
    h = sample(rows, n, net.proj_size or HIDDEN, seed=5)
    return (h, sample(rows, n, HIDDEN, seed=6)) if net.mode == "LSTM" else h


def flat(out):
    x, state = out
    return (x, *state) if isinstance(state, tuple) else (x, state)


@pytest.mark.parametrize(("cell", "form"), CASES)
def test_values_are_torchs(cell, form):
    net, x = network(cell, form), sample(T, N, IN)
    hx = initial(net)
    arguments = (net._flat_weights, net.bias, net.num_layers, 0.0, False, net.bidirectional, False)
    with torch.no_grad():
        found = WRITTEN_OUT[cell](x, hx, *arguments)
        torch.testing.assert_close(found, flat(net(x, hx)), rtol=1e-12, atol=1e-12)
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 4, 2]))
        found = WRITTEN_OUT[cell](packed.data, packed.batch_sizes, hx, *arguments[:-1])
        out, state = net(packed, hx)
        torch.testing.assert_close(found, flat((out.data, state)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("module", "name"), [(nn.RNNCell, "rnn_tanh"), (nn.LSTMCell, "lstm"), (nn.GRUCell, "gru")])
def test_values_of_cells_are_torchs(module, name):
    cell, x = randomize(module(IN, HIDDEN)), sample(N, IN)
    hx = (sample(N, HIDDEN), sample(N, HIDDEN, seed=3)) if name == "lstm" else sample(N, HIDDEN)
    weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    with torch.no_grad():
        torch.testing.assert_close(WRITTEN_OUT[f"{name}_cell"](x, hx, *weights), cell(x, hx), rtol=1e-12, atol=1e-12)


class Tagger(nn.Module):
    """The last step's output, and the final state."""

    def __init__(self, net):
        super().__init__()
        self.net, self.head = net, None
        width = sum(t.shape[-1] for t in self.features(sample(1, T, IN)))
        self.head = randomize(nn.Linear(width, 2), 3)

    def features(self, x):
        out, *states = flat(self.net(x))
        return [out[:, -1], *(s[-1] for s in states)]

    def forward(self, x):
        return self.head(torch.cat(self.features(x), -1))


def step(cell, x, h, c, weights):
    """One step of the textbook's equations."""
    w_ih, w_hh, b_ih, b_hh = weights
    left, right = F.linear(x, w_ih, b_ih), F.linear(h, w_hh, b_hh)
    if cell == "lstm":
        i, f, g, o = (left + right).split(HIDDEN, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
    if cell == "gru":
        (r, z, n), (hr, hz, hn) = left.split(HIDDEN, 1), right.split(HIDDEN, 1)
        r, z = torch.sigmoid(r + hr), torch.sigmoid(z + hz)
        return (1 - z) * torch.tanh(n + r * hn) + z * h, c
    return (torch.tanh if cell == "rnn_tanh" else torch.relu)(left + right), c


class ByHand(Tagger):
    def features(self, x):
        cell = {"RNN_TANH": "rnn_tanh", "RNN_RELU": "rnn_relu"}.get(self.net.mode, self.net.mode.lower())
        h = c = x.new_zeros(len(x), HIDDEN)
        for x_t in x.unbind(1):
            h, c = step(cell, x_t, h, c, self.net._flat_weights)
        return [h, h, c] if cell == "lstm" else [h, h]


COMPOSITES = ["epsilon", "epsilon_plus_flat", "deep_taylor", sx.Composite(default=sx.rules.GeneralizedGamma())]


@pytest.mark.parametrize("composite", COMPOSITES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_equals_the_cell_by_hand(cell, composite):
    net, x = network(cell, batch_first=True), sample(N, T, IN)
    found = sx.explain(Tagger(net), x, 1, composite=composite, on_unknown="error")
    expected = sx.explain(ByHand(net), x, 1, composite=composite)
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-9, atol=1e-12)
    assert found.relevance[:, 0].abs().max() > 0  # also the first step's


@pytest.mark.parametrize(("cell", "form"), CASES)
def test_conserves(cell, form):
    net = Tagger(network(cell, form, batch_first=True))
    found = sx.explain(net, sample(N, T, IN), 1, ledger=True, on_unknown="error")
    assert found.ledger.gap.abs().max() < 1e-10


def test_gates_take_nothing():
    """Arras et al. 2017: R of the cell state goes to its two summands, that of a product to the signal."""
    net, x = network("lstm", "without bias", batch_first=True), sample(1, 1, IN)
    out, _ = net(x)
    signal = F.linear(x[0], net.weight_ih_l0[2 * HIDDEN : 3 * HIDDEN])
    share = x[0] * net.weight_ih_l0[2 * HIDDEN : 3 * HIDDEN] / signal.T
    expected = (share * out[0].T).sum(0)
    found = sx.explain(lambda x: net(x)[0][:, -1].sum(1, keepdim=True), x, 0, composite=LRP0)
    torch.testing.assert_close(found.relevance[0, 0], expected.detach(), rtol=1e-9, atol=1e-12)


LRP0 = sx.Composite(default=sx.rules.Epsilon(0))


@pytest.mark.parametrize("cell", CELLS)
def test_packed_sequences_are_sequences_alone(cell):
    """In a padded batch every sample is explained as by itself, and padding gets nothing."""
    net, x, lengths = network(cell, "bidirectional", batch_first=True), sample(N, T, IN), [3, 5, 1]

    def packed(x):
        sizes = torch.tensor(lengths) if len(x) == N else torch.tensor([x.shape[1]])
        sequence = nn.utils.rnn.pack_padded_sequence(x, sizes, batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(net(sequence)[0], batch_first=True)[0].sum(1)

    found = sx.explain(packed, x, 1, on_unknown="error").relevance
    for i, length in enumerate(lengths):
        alone = sx.explain(lambda x: net(x)[0].sum(1), x[i : i + 1, :length], 1).relevance
        torch.testing.assert_close(found[i, :length], alone[0], rtol=1e-9, atol=1e-12)
        assert (found[i, length:] == 0).all()


@pytest.mark.filterwarnings("ignore:The model is in training mode")
def test_dropout_between_layers_is_off():
    net = Tagger(network("gru", "stacked", batch_first=True))
    expected = sx.explain(net, sample(N, T, IN), 1)
    net.net.dropout = 0.5
    net.train()
    found = sx.explain(net, sample(N, T, IN), 1)
    torch.testing.assert_close(found.relevance, expected.relevance)


def test_layer_of_a_decomposed_program():
    net, x = network("lstm"), sample(T, N, IN)
    h, c = torch.zeros(1, N, HIDDEN).double(), torch.zeros(1, N, HIDDEN).double()

    def layer(x):
        weights = net._flat_weights
        out = torch.ops.aten.mkldnn_rnn_layer.default(
            x, *weights, h[0], c[0], False, [], 2, HIDDEN, 1, True, False, False, False
        )
        return out[0][-1]

    found = sx.explain(layer, x, lambda y: y[:, 1], on_unknown="error").relevance
    expected = sx.explain(lambda x: net(x)[0][-1], x, lambda y: y[:, 1]).relevance
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
