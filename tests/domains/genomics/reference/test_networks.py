"""Reference architectures: what they take and give, and that LRP accounts for all of it."""

import pytest
import torch

import sciexplain as sx
from sciexplain.domains.genomics.reference import Architecture, Heads, build
from sciexplain.errors import ModelError

KINDS = ("small", "basset", "deepsea", "danq", "bpnet", "enformer")


def _one_hot(n, length, letters=4):
    codes = torch.randint(0, letters, (n, length), generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.one_hot(codes, letters).transpose(1, 2).double()


def _without_biases(**options):
    """Random weights large enough that relevance is no rounding error; nothing but the sequence says anything."""
    torch.manual_seed(0)
    network = build(Architecture(**options)).double().eval()
    for name, value in network.named_parameters():
        value.data.mul_(0 if "bias" in name else 3)
    return network


@pytest.mark.parametrize("length", [57, 100, 333])
@pytest.mark.parametrize("kind", KINDS)
def test_relevance_sums_to_the_output(kind, length):
    network, x = _without_biases(kind=kind, length=length, tasks=2, channels=8), _one_hot(3, length)
    assert network(x).shape == (3, 2)
    e = sx.explain(network, x, 1, composite=sx.Composite(default=sx.rules.Epsilon(1e-10)), on_unknown="error")
    torch.testing.assert_close(e.relevance.sum((1, 2)), e.score, rtol=1e-5, atol=1e-7)
    assert e.relevance.abs().amax(1).gt(0).sum() > length  # of three sequences: not a few letters alone


def test_both_heads_of_a_profile():
    network, x = _without_biases(kind="bpnet", length=60, tasks=2, channels=8, profile=True), _one_hot(3, 60)
    out = network(x)
    assert isinstance(out, Heads) and out.profile.shape == (3, 2, 60) and out.counts.shape == (3, 2)
    for target in (lambda o: o.counts[:, 1], lambda o: o.profile[:, 0, 7]):
        e = sx.explain(network, x, target, composite=sx.Composite(default=sx.rules.Epsilon(1e-10)))
        torch.testing.assert_close(e.relevance.sum((1, 2)), target(out), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_the_shortest_sequence_fits_and_a_shorter_one_is_refused(kind):
    shortest = Architecture(kind, 1000).shortest
    assert build(Architecture(kind, shortest, channels=8)).eval()(torch.zeros(2, 4, shortest)).isfinite().all()
    if shortest > 1:
        with pytest.raises(ModelError, match=f"{kind} needs {shortest} or more"):
            Architecture(kind, shortest - 1)


def test_a_profile_moves_with_its_sequence():
    network = _without_biases(kind="bpnet", length=120, channels=8, layers=2, profile=True)
    x = torch.zeros(1, 4, 120, dtype=torch.double)
    x[..., 50:60] = _one_hot(1, 10)
    here, there = network(x).profile, network(x.roll(7, 2)).profile
    torch.testing.assert_close(here.roll(7, 2)[..., 20:110], there[..., 20:110])


def test_attention_knows_distances():
    network = build(Architecture("enformer", 64, channels=8)).double().eval()
    attention = network.blocks[0][0].inner[1]
    h = torch.randn(1, 8, 8, dtype=torch.double)
    turned = attention(h.flip(1)).flip(1)
    torch.testing.assert_close(attention(h), turned)  # without distances, order is nothing
    torch.nn.init.normal_(attention.distance)
    assert not torch.allclose(attention(h), attention(h.flip(1)).flip(1))
    assert attention.steps[2, 5] - attention.steps[2, 2] == 3 and attention.steps[5, 5] == attention.steps[2, 2]


def test_proteins_have_twenty_channels():
    assert build(Architecture("small", 30, alphabet="protein", channels=8))(torch.zeros(2, 20, 30)).shape == (2, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "transformer"}, "expected small, basset"),
        ({"kind": "small", "pooling": "sum"}, "expected max, mean"),
        ({"kind": "small", "channels": 0}, "channels 0: expected 1 or more"),
        ({"kind": "small", "layers": 0}, "layers 0"),
        ({"kind": "small", "dropout": 1.0}, "below 1"),
        ({"kind": "enformer", "channels": 10}, "multiple of the 4 heads"),
        ({"kind": "bpnet", "kernel": 20}, "odd"),
        ({"kind": "basset", "profile": True}, "bpnet does"),
    ],
)
def test_what_cannot_be_built_is_said(options, message):
    with pytest.raises(ModelError, match=message):
        Architecture(**{"length": 100, **options})
