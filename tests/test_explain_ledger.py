"""What ``explain`` tells of the ledger and of operations without a rule."""

import copy

import pytest
import torch
from explained_networks import (
    CLASSES,
    HEAD,
    IMAGE_NET,
    IMAGES,
    LRP0,
    NET,
    PRESETS,
    A,
    B,
    close,
    two,
)
from rule_tester import sample
from torch import nn

import sciexplain as sx


def test_ledger_of_one_layer_by_hand():
    epsilon, z, bias = 0.5, HEAD(sample(4, 6)).detach()[:, 1], HEAD.bias[1].detach()
    e = sx.explain(HEAD, sample(4, 6), 1, composite=sx.composites.get("epsilon", epsilon=epsilon), ledger=True)
    stabilized = z + epsilon * z.sign()
    assert list(e.ledger.absorbed) == ["bias", "stabilizer", "unruled"]
    close(e.ledger.absorbed["bias"], bias * z / stabilized)
    close(e.ledger.absorbed["stabilizer"], epsilon * z.sign() * z / stabilized)
    assert not e.ledger.absorbed["unruled"].any()
    (row,) = (r for r in e.ledger.rows if r.operation == "linear")
    assert row.treatment == "Epsilon(stabilizer=1e-09, epsilon=0.5)"
    close(row.received, z)
    close(row.passed, e.relevance.sum(1))


@pytest.mark.parametrize("composite", PRESETS)
def test_ledger_adds_up(composite):
    e = sx.explain(IMAGE_NET, IMAGES, CLASSES[:2], composite=composite, ledger=True)
    absorbed = sum(e.ledger.absorbed.values())
    close(e.ledger.gap, e.score - e.relevance.sum((1, 2, 3)) - absorbed)
    assert e.ledger.gap.abs().max() < 1e-12 < absorbed.abs().min()
    close(sum(r.received - r.passed for r in e.ledger.rows), absorbed)
    for account, amount in e.ledger.absorbed.items():
        close(sum(getattr(r, account) for r in e.ledger.rows), amount)


def test_ledger_of_several_inputs():
    e = sx.explain(two, (A, B), 1, composite="deep_taylor", ledger=True)
    close(sum(r.sum(1) for r in e.relevance) + sum(e.ledger.absorbed.values()), e.score)


def test_ledger_of_one_sample_with_many_rows():
    """The atoms of one molecule: rows that are no samples."""

    def pooled(a):
        return NET(a).sum(0, keepdim=True)

    e, plain = (sx.explain(pooled, A, 1, ledger=ledger) for ledger in (True, False))
    close((e.relevance, e.score), (plain.relevance, plain.score))
    close(e.ledger.gap, torch.zeros(1).double())


def test_ledger_is_float64_for_a_float32_model():
    e = sx.explain(copy.deepcopy(NET).float(), A.float(), 1, ledger=True)
    assert {t.dtype for t in (e.ledger.gap, *e.ledger.absorbed.values())} == {torch.float64}
    assert e.relevance.dtype == e.score.dtype == torch.float32
    assert e.ledger.gap.abs().max() < 1e-5


def test_printed_ledger():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        for parameter, values in zip(net.parameters(), [[[1, 0], [0, -1]], [1, 0], [[2, 3]], [4]], strict=True):
            parameter.copy_(torch.tensor(values))
    e = sx.explain(net, torch.tensor([[3.0, 5.0]]).double(), composite=LRP0, ledger=True)
    assert str(e.ledger).splitlines() == [
        "module  operation  treatment                             received  passed  bias  stabilizer  unruled",
        "0       linear     Epsilon(stabilizer=1e-09, epsilon=0)  8         6       2     0           0",
        "2       linear     Epsilon(stabilizer=1e-09, epsilon=0)  12        8       4     0           0",
        "total                                                                      6     0           0",
        "gap 0",
    ]  # fmt: skip


def test_nothing_but_the_relevance_is_made_unasked():
    e = sx.explain(NET, A)
    assert (e.ledger, e.layers, e.unknown, e.stepped_over, e.method) == (None, {}, (), None, "lrp")


def test_unknown_operations_are_counted():
    def model(a):
        for _ in range(3):
            a = torch.lgamma(a.abs() + 1)
        return NET(torch.digamma(a + 1))

    e = sx.explain(model, A, on_unknown="gradient")
    assert [tuple(u) for u in e.unknown] == [("lgamma", "", 3), ("digamma", "", 1)]
