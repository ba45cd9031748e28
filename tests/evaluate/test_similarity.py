"""Similarities against SciPy's and scikit-image's, and what is made of them."""

import numpy as np
import pytest
import torch
from rule_tester import sample
from scipy import stats
from skimage.metrics import structural_similarity

import sciexplain as sx
from sciexplain import evaluate
from sciexplain.evaluate.similarity import ranks, sign_agreement, top_overlap

A, B = sample(4, 1, 12, 9), sample(4, 1, 12, 9, seed=2).round()  # with ties


def test_ranks_and_correlations():
    np.testing.assert_allclose(ranks(B.flatten(1)), stats.rankdata(B.flatten(1), axis=1))
    for ours, theirs in ((evaluate.spearman, stats.spearmanr), (evaluate.pearson, stats.pearsonr)):
        expected = [theirs(a, b).statistic for a, b in zip(A.flatten(1), B.flatten(1), strict=True)]
        np.testing.assert_allclose(ours(A, B), expected, rtol=1e-10)
        assert ours(A, torch.ones_like(B)).isnan().all()
    a, b = A.flatten(1).numpy(), B.flatten(1).numpy()
    expected = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(evaluate.cosine(A, B), expected, rtol=1e-12)
    assert evaluate.cosine(A, 0 * B).isnan().all()


@pytest.mark.parametrize("shape, window", [((12, 9), 7), ((12, 9), 3), ((15,), 7), ((7, 8, 9), 5), ((4, 20), 7)])
def test_structural_similarity(shape, window):
    a, b = sample(3, 1, *shape), sample(3, 1, *shape, seed=2)
    b = a + 0.5 * b
    found = evaluate.ssim(a, b, window=window)
    size = min(window, min(shape) - (min(shape) % 2 == 0))
    for x, y, value in zip(a[:, 0].numpy(), b[:, 0].numpy(), found, strict=True):
        extent = max(x.max(), y.max()) - min(x.min(), y.min())
        assert float(value) == pytest.approx(structural_similarity(x, y, win_size=size, data_range=extent), rel=1e-9)
    torch.testing.assert_close(evaluate.ssim(a, a), torch.ones(3).double())
    torch.testing.assert_close(evaluate.ssim(0 * a, 0 * a), torch.ones(3).double())


def test_overlap_of_the_most_relevant():
    a = torch.tensor([[5.0, -4.0, 3.0, 0.1]])
    b = torch.tensor([[-5.0, -4.0, 0.2, 3.0]])
    assert float(top_overlap(a, b, 3)) == pytest.approx(2 / 3) and float(sign_agreement(a, b, 3)) == pytest.approx(
        1 / 3
    )
    assert float(top_overlap(a, b, 4)) == 1 and float(sign_agreement(a, b, 4)) == pytest.approx(3 / 4)


def test_agreement_of_explanations():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(108, 2, bias=False)).double()
    lrp, ixg, gradient = (sx.explain(model, A, 0, method=m) for m in ("lrp", "input_x_gradient", "gradient"))
    same = evaluate.agreement(lrp, ixg)
    for name in ("spearman", "cosine", "top", "sign", "ssim"):
        torch.testing.assert_close(getattr(same, name), torch.ones(4).double(), atol=1e-5, rtol=0)
    found = evaluate.agreement(lrp, gradient)
    torch.testing.assert_close(found.spearman, evaluate.spearman(lrp.relevance, gradient.relevance))
    torch.testing.assert_close(found.ssim, evaluate.ssim(lrp.relevance, gradient.relevance))
    matrix = evaluate.agreement_matrix({"lrp": lrp, "gradient": gradient, "other": B})
    assert matrix.shape == (3, 3, 4)
    torch.testing.assert_close(matrix[0, 1], found.spearman)
    torch.testing.assert_close(matrix, matrix.transpose(0, 1))
    torch.testing.assert_close(matrix.diagonal().T, torch.ones(3, 4).double())


def test_channels_are_summed_for_maps():
    a, b = sample(2, 3, 8, 8), sample(2, 3, 8, 8, seed=2)
    found = evaluate.agreement(a, b).ssim
    torch.testing.assert_close(found, evaluate.ssim(a.sum(1, keepdim=True), b.sum(1, keepdim=True)))


def test_samples_of_different_sizes():
    a, b = [sample(5), sample(9, seed=2)], [sample(5, seed=3), sample(9, seed=4)]
    found = evaluate.agreement(a, b, top=0.4)
    expected = [stats.spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(found.spearman, expected)
    assert found.ssim is None
    torch.testing.assert_close(found.top[1:], top_overlap(a[1][None], b[1][None], 4))


@pytest.mark.parametrize(
    "a, b, top, message",
    [
        (A, B[:3], 0.1, "same samples"), (A, B, 0, "top=0"), (A, B * float("nan"), 0.1, "NaN"),
        (sample(4), sample(4), 0.1, "no dimension"), ([A], [A, B], 0.1, "same samples"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(a, b, top, message):
    with pytest.raises(sx.InputError, match=message):
        evaluate.agreement(a, b, top=top)


def test_wrong_measures():
    with pytest.raises(sx.InputError, match="measure='rank'"):
        evaluate.agreement_matrix({"a": A, "b": B}, measure="rank")
    with pytest.raises(sx.InputError, match="needs maps"):
        evaluate.agreement_matrix({"a": sample(3, 4), "b": sample(3, 4)}, measure="ssim")
    with pytest.raises(sx.InputError, match="window=4"):
        evaluate.ssim(A, B, window=4)
