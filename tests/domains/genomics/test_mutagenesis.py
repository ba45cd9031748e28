"""Saturation mutagenesis by windows against the model run on every substituted sequence, one at a time."""

import copy
import logging
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mutagenesis_networks import (
    LENGTH,
    TABLE,
    WHOLE,
    Function,
    assert_exact,
    brute_force,
    built,
    conv,
    head,
    randomized,
    sequences,
)
from torch import nn

from sciexplain.domains.genomics.mutagenesis import mutagenesis
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.errors import InputError, NonFiniteOutputError, TargetError


@pytest.fixture
def told(caplog):
    """What was logged, and no warning."""
    caplog.set_level(logging.DEBUG, "sciexplain.domains.genomics.mutagenesis")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel lengths")
        yield caplog


@pytest.mark.parametrize("name", TABLE)
def test_equals_every_substitution_in_full(name, told):
    model, x = built(name), sequences()
    x[:, :, 20] = 0  # an N
    x[:, :, 41] = 0.25
    target = (lambda y: y["counts"][:, 1] + y["profile"][:, 0].logsumexp(1)) if name == "two outputs" else 1
    score = (lambda y, n: target(y)) if callable(target) else (lambda y, n: y[:, 1])
    expected = brute_force(model, x, score)
    assert expected.abs().max() > 1e-4
    assert_exact(mutagenesis(model, x, target, layout="NCL"), expected)
    whole = ", ".join(sorted(WHOLE.get(name, ()))) or "no operation"
    assert told.messages == [f"mutagenesis gives all positions to: {whole}"]
    for size in (1, 7):
        assert_exact(mutagenesis(model, x, target, layout="NCL", batch_size=size), expected)


@settings(max_examples=25)
@given(st.data())
def test_any_stack_of_layers(data):
    """Random kernels, strides, dilations, padding, pooling, skips and heads."""
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 99)))
    length, channels, blocks = draw(st.integers(24, 40)), 4, []
    left = length
    for _ in range(draw(st.integers(1, 3))):
        kernel, dilation = draw(st.integers(1, 6)), draw(st.integers(1, 4))
        stride, padding = draw(st.integers(1, 3)), draw(st.integers(0, 6))
        after = (left + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        if after < 4:
            break
        wide = draw(st.sampled_from((5, 9, 12)))
        blocks.append(nn.Conv1d(channels, wide, kernel, stride, padding, dilation))
        if draw(st.booleans()):
            blocks.append(nn.BatchNorm1d(wide))
        blocks.append(draw(st.sampled_from((nn.ReLU(), nn.ReLU(inplace=True), nn.GELU(), nn.Tanh()))))
        channels, left = wide, after
        size, step = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        if left >= 2 * size:
            edge = draw(st.integers(0, size // 2))
            layer = nn.MaxPool1d if draw(st.booleans()) else nn.AvgPool1d
            blocks.append(layer(size, step, padding=edge, ceil_mode=draw(st.booleans())))
            left = blocks[-1](torch.zeros(1, 1, left)).shape[2]
    pool = draw(st.sampled_from((None, nn.AdaptiveAvgPool1d(1), nn.AdaptiveMaxPool1d(1))))
    top = [nn.Flatten(), nn.Linear(channels * (1 if pool else left), 2)]
    model = randomized(nn.Sequential(*blocks, *([pool] if pool else []), *top))
    x = sequences(1, length, seed=draw(st.integers(0, 99)))
    found = mutagenesis(model, x, 0, layout="NCL", batch_size=draw(st.sampled_from((None, 1, 5, 40))))
    expected = brute_force(model, x, lambda y, n: y[:, 0])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def scripted(m, x):
    """Operations that no function mode sees, beside others."""
    return m.head(m.first(x) + m.second(x))


def written(m, x):
    y = m.first(x)
    y[:, 0] = y[:, 1]
    return m.head(y)


def written_view(m, x):
    y = m.first(x)
    z = y.transpose(1, 2)
    y.mul_(2)
    return m.head(z.transpose(1, 2))


def in_a_buffer(m, x):
    y = torch.zeros(x.shape[0], 6, LENGTH - 4, dtype=x.dtype)
    y.add_(m.first(x))
    return m.head(y)


def steered(m, x):
    """A branch that depends on the data."""
    y = m.first(x)
    return m.head(y if (y.mean() > 0.1).item() else y * 2)


def scaled_by_batch(m, x):
    y = m.first(x)
    return m.head(y / y.norm())


def one_at_a_time(m, x):
    return m.head(m.first(x).view(1, 6, LENGTH - 4))


FALLBACKS = {
    scripted: "values are read that no window has",
    written: "__setitem__ writes into a given tensor",
    written_view: "mul_ writes into a tensor of which a view is read later",
    in_a_buffer: "add_ writes into a tensor that the sequence had no part in",
    steered: "mean mixes the sequences of a batch",
    scaled_by_batch: "norm mixes the sequences of a batch",
    one_at_a_time: "RuntimeError",
}


@pytest.mark.parametrize("forward", FALLBACKS, ids=lambda f: f.__name__)
def test_runs_whole_sequences_where_windows_cannot_be_followed(forward, told):
    torch.manual_seed(0)
    x, model = sequences(2), randomized(Function(forward, first=nn.Conv1d(4, 6, 5), head=head(6)))
    if forward is scripted:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            model.second = torch.jit.trace(nn.Conv1d(4, 6, 5).double().eval(), x[:1])
    found = mutagenesis(model, x, 0, layout="NCL")
    alone = Function(lambda m, rows: torch.cat([model(row[None]) for row in rows]))
    assert_exact(found, brute_force(alone, x, lambda y, n: y[:, 0]))
    assert FALLBACKS[forward] in told.messages[-1]


class Moody(nn.Module):
    """Gives a sequence something else in a large batch."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Conv1d(4, 6, 5), head(6)

    def forward(self, x):
        return self.head(self.first(x) * (2 if len(x) > 2 else 1))


def test_a_difference_is_found_and_named():
    model, x = randomized(Moody()), sequences(2)
    with pytest.warns(UserWarning, match="on whole sequences"):
        found = mutagenesis(model, x, 0, layout="NCL")
    alone = Function(lambda m, rows: torch.cat([model(row[None]) for row in rows]))
    assert_exact(found, brute_force(alone, x, lambda y, n: y[:, 0]))


@pytest.mark.parametrize(
    "target",
    [None, 2, [0, 2, 1], torch.tensor([1, 1, 0]), lambda y: (y**2).sum(1)],
    ids=["predicted", "one", "list", "each", "callable"],
)
def test_targets(target):
    model, x = built("basset"), sequences(3)
    model[2].bias.data -= model(x).mean(0).detach()  # so that classes differ
    predicted = model(x).argmax(1)
    assert len(set(predicted.tolist())) > 1
    classes = {type(None): predicted, int: [2] * 3}.get(type(target), target)
    score = (lambda y, n: target(y)) if callable(target) else (lambda y, n: y[:, int(classes[n])])
    assert_exact(mutagenesis(model, x, target, layout="NCL"), brute_force(model, x, score))


def test_further_channels_stay_as_they_are():
    torch.manual_seed(0)
    model = randomized(conv(nn.Conv1d(6, 6, 5), nn.ReLU(), nn.Conv1d(6, 6, 3)))
    x = sequences(2, channels=6)
    assert_exact(mutagenesis(model, x, 0, layout="NCL"), brute_force(model, x, lambda y, n: y[:, 0]))


def test_some_positions():
    model, x = built("residual"), sequences(2)
    every, some = mutagenesis(model, x, 0), mutagenesis(model, x, 0, positions=(7, 31))
    assert_exact(some[..., 7:31], every[..., 7:31])
    assert not some[..., :7].any() and not some[..., 31:].any()


def test_texts_channels_last_and_one_value():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(8, 1))
    last = Function(lambda m, x: model(x.transpose(1, 2)))
    texts = ["ACGTTGCATTNACGATCAGT", "GGGTTGCATTAACGATCACC"]
    found = mutagenesis(last, texts)
    torch.testing.assert_close(found, mutagenesis(model, Sequences.of(texts)))
    assert found[0, :, 10].abs().min() >= 0 and int((found[1] == 0).sum()) >= 20


def test_the_model_is_left_as_it_was():
    model = built("basset").train()
    before = copy.deepcopy(model.state_dict())
    modes = [m.training for m in model.modules()]
    x = sequences(1).requires_grad_()
    first, second = (mutagenesis(model, x, 0) for _ in range(2))
    assert torch.equal(first, second) and not first.requires_grad
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters()) and x.grad is None
    assert_exact(first, brute_force(model.eval(), x.detach(), lambda y, n: y[:, 0]))


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"positions": (5, 5)}, InputError, "within 0 to 60"),
        ({"positions": (0, 61)}, InputError, "within 0 to 60"),
        ({"batch_size": 0}, InputError, "batch_size=0"),
        ({"target": 3}, TargetError, "3 outputs"),
    ],
)
def test_errors(options, error, message):
    with pytest.raises(error, match=message):
        mutagenesis(built("basset"), sequences(), **({"target": 0} | options))


def test_predictions_that_are_no_numbers_are_an_error():
    model = Function(lambda m, x: 1 / (x[:, 0, 30] - 1).unsqueeze(1))
    x = sequences()
    x[0, :, 30] = torch.tensor([0, 0, 1, 0])
    with pytest.raises(NonFiniteOutputError, match="NaN or infinite"):
        mutagenesis(model, x, 0, layout="NCL")


def test_agrees_with_tangermeme():
    saturation_mutagenesis = pytest.importorskip("tangermeme.saturation_mutagenesis").saturation_mutagenesis

    model, x = built("basset").float(), sequences(2).float()
    theirs = saturation_mutagenesis(model, x, raw_outputs=True, device="cpu", fast=False)
    expected = (theirs.y_hat - theirs.y0[:, None, None])[..., 1]
    torch.testing.assert_close(mutagenesis(model, x, 1), expected, rtol=1e-4, atol=1e-5)
