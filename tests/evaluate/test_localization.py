"""Relevance against masks: each measure written out for one sample, and scikit-learn's AUC."""

import numpy as np
import pytest
import torch
from rule_tester import sample
from sklearn.metrics import roc_auc_score

import sciexplain as sx
from sciexplain import evaluate

R = sample(5, 6, 7).round(decimals=1)
M = torch.rand(5, 6, 7, generator=torch.Generator().manual_seed(0)) < 0.3


@pytest.mark.parametrize("sign", ["positive", "absolute", "signed"])
def test_equals_the_definitions(sign):
    found = evaluate.localization(R, M, sign=sign, k=8)
    for i, (r, m) in enumerate(zip(R.flatten(1).numpy(), M.flatten(1).numpy(), strict=True)):
        r = {"positive": np.maximum(r, 0), "absolute": np.abs(r), "signed": r}[sign]
        order = np.argsort(-r, kind="stable")
        assert float(found.mass[i]) == pytest.approx(r[m].sum() / r.sum())
        assert float(found.rank[i]) == pytest.approx(m[order[: m.sum()]].mean())
        assert float(found.top[i]) == pytest.approx(m[order[:8]].mean())
        assert float(found.pointing[i]) == pytest.approx(m[r == r.max()].mean())
        assert float(found.auc[i]) == pytest.approx(roc_auc_score(m, r))
        assert float(found.coverage[i]) == pytest.approx(m.mean())


def test_channels_are_summed_under_a_mask_of_positions():
    r = sample(5, 3, 6, 7)
    expected = evaluate.localization(r.sum(1), M)
    for masks in (M, M[:, None], M.long(), M.numpy(), M.float() * 0.4):
        found = evaluate.localization(r, masks)
        for name in ("pointing", "mass", "rank", "top", "auc", "coverage"):
            torch.testing.assert_close(getattr(found, name), getattr(expected, name))
    own = evaluate.localization(r, M[:, None].expand_as(r))
    torch.testing.assert_close(own.auc, evaluate.localization(r.flatten(1), M[:, None].expand_as(r).flatten(1)).auc)


def test_atoms_of_molecules_and_explanations():
    atoms, masks = [sample(4), sample(9, seed=2)], [torch.tensor([1, 0, 0, 1]), torch.arange(9) < 3]
    found = evaluate.localization(atoms, masks)
    for i in range(2):
        alone = evaluate.localization(atoms[i][None], masks[i][None])
        assert float(found.auc[i]) == float(alone.auc) and float(found.mass[i]) == float(alone.mass)
    torch.manual_seed(0)
    model = torch.nn.Linear(6, 2).double()
    e = sx.explain(model, sample(3, 6))
    masks = torch.ones(3, 6, dtype=torch.bool)
    masks[:, 0] = False
    torch.testing.assert_close(evaluate.localization(e, masks).mass, evaluate.localization(e.relevance, masks).mass)


def test_nothing_to_say():
    r = torch.tensor([[1.0, 2.0], [1.0, 2.0], [-1.0, -2.0]])
    found = evaluate.localization(r, torch.tensor([[0, 0], [1, 1], [1, 0]]))
    for name in ("pointing", "mass", "rank", "top", "auc"):
        assert getattr(found, name)[0].isnan()
    assert found.auc[1].isnan() and float(found.mass[1]) == 1
    assert found.mass[2].isnan() and float(found.pointing[2]) == 0.5  # no positive relevance: any place
    assert found.coverage.tolist() == [0, 1, 0.5]


@pytest.mark.parametrize(
    "relevance, masks, options, message",
    [
        (R, M[:, :5], {}, "masks \\(5, 6, 5\\)|masks \\(5, 5, 7\\)"), (R, M, {"sign": "both"}, "sign='both'"),
        (R, M, {"k": 99}, "k=99"), (R * float("nan"), M, {}, "NaN"), ([R[0]], [M[0], M[1]], {}, "one mask for each"),
        ([], [], {}, "one mask for each"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(relevance, masks, options, message):
    with pytest.raises(sx.InputError, match=message):
        evaluate.localization(relevance, masks, **options)
