"""Score against the sum of relevance."""

import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain import evaluate

X = sample(3, 6)
MODEL = randomize(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))).eval()


def test_ledger_explains_what_is_missing():
    e = sx.explain(MODEL, X, 1, ledger=True)
    found = evaluate.conservation(e)
    torch.testing.assert_close(found.total, e.relevance.sum(1))
    torch.testing.assert_close(found.missing, e.score - e.relevance.sum(1))
    torch.testing.assert_close(found.share, e.relevance.sum(1) / e.score)
    torch.testing.assert_close(found.missing - sum(found.absorbed.values()), found.unexplained, atol=1e-12, rtol=0)
    assert float(found.unexplained.abs().max()) < 1e-9 < float(found.missing.abs().max())


def test_convergence_error_and_neither():
    e = sx.explain(MODEL, X, 1, method="integrated_gradients")
    found = evaluate.conservation(e)
    torch.testing.assert_close(found.unexplained, e.convergence_error)
    assert not found.absorbed and evaluate.conservation(sx.explain(MODEL, X)).unexplained is None
    silent = evaluate.conservation(sx.explain(lambda x: 0 * x, X, 0, method="gradient"))
    assert silent.share.isnan().all()


def test_inputs_shared_by_the_samples_are_summed():
    adjacency = torch.tensor([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]]).double()

    def graph(x):
        return (adjacency @ x).sum(0, keepdim=True)

    e = sx.explain(graph, sample(3, 4), 2)
    found = evaluate.conservation(e)
    assert found.score.shape == (1,) and float(found.share) == pytest.approx(1)
    pair = sx.explain(lambda a, b: MODEL(a + b), (X, X), 1)
    torch.testing.assert_close(evaluate.conservation(pair).total, pair.relevance[0].sum(1) + pair.relevance[1].sum(1))


def test_what_is_no_explanation():
    with pytest.raises(sx.InputError, match="explanation is Tensor"):
        evaluate.conservation(X)
