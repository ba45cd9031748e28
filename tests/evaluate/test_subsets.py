"""Correlations over random sets of parts against loops, and what must hold of linear models."""

import numpy as np
import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain import evaluate

X = sample(3, 1, 3, 4)
LINEAR = randomize(nn.Sequential(nn.Flatten(), nn.Linear(12, 2))).eval()
CURVED = randomize(nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Tanh(), nn.Linear(6, 2))).eval()


class Recorded:
    """A removal that remembers what it was asked."""

    def __init__(self, removal):
        self.removal, self.sizes, self.asked = removal, removal.sizes, []

    def scores(self, samples, kept):
        found = self.removal.scores(samples, kept)
        self.asked.append((list(samples), torch.stack(list(kept)), found))
        return found


@pytest.mark.parametrize("size, count", [(3, 3), (0.5, 6), (1, 1)])
def test_equals_the_definition(size, count):
    removal = Recorded(evaluate.TensorRemoval(CURVED, X, 0, filler="zero"))
    relevance = removal.removal.fold(sample(3, 1, 3, 4, seed=5))
    found = evaluate.subset_correlation(removal, relevance, size=size, subsets=20)
    (_, _, whole), *asked = removal.asked
    for i, (samples, kept, scores) in enumerate(asked):
        assert samples == [i] * 20 and bool(((~kept).sum(1) == count).all())
        told = [float(relevance[i][~k].sum()) for k in kept]
        rows = torch.stack([X[i], *(X[i] * k.view(1, 3, 4) for k in kept)])
        first, *left = CURVED(rows)[:, 0].tolist()
        lost = [first - score for score in left]
        np.testing.assert_allclose(lost, whole[i] - scores, rtol=1e-9, atol=1e-12)
        assert float(found[i]) == pytest.approx(np.corrcoef(told, lost)[0, 1])


def test_relevance_of_a_linear_model_is_perfect():
    e = sx.explain(LINEAR, X, 1, method="input_x_gradient")
    found = evaluate.sensitivity_n(LINEAR, X, e, subsets=20)
    assert found.sizes[0] == 1 and found.sizes[-1] == 10 and found.correlations.shape == (3, len(found.sizes))
    torch.testing.assert_close(found.correlations, torch.ones_like(found.correlations))
    torch.testing.assert_close(found.mean, torch.ones_like(found.mean))
    torch.testing.assert_close(found.values, torch.ones_like(found.values))
    against_mean = sx.explain(
        LINEAR, X, 1, method="integrated_gradients", baseline=X.mean((2, 3), keepdim=True).expand_as(X)
    )
    torch.testing.assert_close(evaluate.faithfulness_correlation(LINEAR, X, against_mean), torch.ones(3).double())
    wrong = evaluate.faithfulness_correlation(LINEAR, X, -e.relevance, 1, filler="zero")
    torch.testing.assert_close(wrong, -torch.ones(3).double())


def test_seeds_and_batches():
    e = sx.explain(CURVED, X, 0)
    a, b, c = (
        evaluate.faithfulness_correlation(CURVED, X, e, subsets=9, seed=s, batch_size=n)
        for s, n in ((0, 3), (0, 50), (1, 3))
    )
    torch.testing.assert_close(a, b)
    assert not torch.allclose(a, c)
    alone = evaluate.faithfulness_correlation(CURVED, X[:1], e.relevance[:1], 0, subsets=9)
    torch.testing.assert_close(alone, a[:1])


def test_sizes_in_every_form():
    expected = evaluate.sensitivity_n(CURVED, X, X, 0, sizes=[2, 5], subsets=9)
    for form in ((2, 5), torch.tensor([2, 5])):
        assert torch.equal(
            evaluate.sensitivity_n(CURVED, X, X, 0, sizes=form, subsets=9).correlations, expected.correlations
        )
    one = evaluate.sensitivity_n(CURVED, X, X, 0, sizes=2, subsets=9)
    assert one.sizes.tolist() == [2] and torch.equal(one.correlations, expected.correlations[:, :1])


def test_constant_scores_have_no_correlation():
    found = evaluate.faithfulness_correlation(lambda rows: rows.new_ones(len(rows), 1), X, X, filler="zero")
    assert found.isnan().all()


@pytest.mark.parametrize(
    "options, message",
    [({"size": 0}, "size=0"), ({"size": 13}, "size=13"), ({"size": 1.0}, "size=1.0"), ({"subsets": 1}, "subsets=1")],
)
def test_what_is_wrong_is_told(options, message):
    with pytest.raises(sx.InputError, match=message):
        evaluate.faithfulness_correlation(CURVED, X, X, **options)
