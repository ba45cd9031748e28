"""Operations as formulas of simpler ones are the functions of PyTorch."""

import math

import pytest
import torch
import torch.nn.functional as F
from rule_tester import sample

from sciexplain.engine.handlers import product
from sciexplain.engine.multipliers import written

X, OTHER = sample(3, 4, 5), sample(3, 4, 5, seed=1)
LONG, WIDE = sample(2, 4, 9), sample(2, 4, 8, 7)
WEIGHT, BIAS, MEAN = (sample(4, seed=seed) for seed in (2, 3, 4))
VARIANCE = sample(4, seed=5).square() + 0.1
TIED = torch.tensor([[0.0, -2.0, 3.0], [0.0, 0.0, 1.0]], dtype=torch.float64)

FORMULAS = written.WRITTEN_OUT | product.WRITTEN_OUT
LEFT, RIGHT, SQUARE = sample(3, 5, 2, seed=8), sample(3, 2, 4, seed=9), sample(5, 4, seed=10)
SCALED = {"beta": 0.3, "alpha": 1.7}

#: PyTorch's function and calls of it, which are those of the formula as well
CALLS = {
    "layer_norm": (F.layer_norm, [
        (X, (5,)), (X, (4, 5), sample(4, 5, seed=6), sample(4, 5, seed=7), 0.3), (X, (5,), sample(5), None),
    ]),
    "rms_norm": (F.rms_norm, [(X, (5,)), (X, (4, 5), sample(4, 5, seed=6), 0.3), (1e-8 * X, (5,))]),
    "group_norm": (F.group_norm, [(X, 2), (WIDE, 2, WEIGHT, BIAS, 0.3), (X, 4, None, BIAS), (X, 1, WEIGHT)]),
    "local_response_norm": (F.local_response_norm, [(X, 2), (WIDE, 3, 0.5, 0.6, 1.3), (WIDE, 4, 0.5, 0.6, 1.3)]),
    "var": (torch.var, [
        (X,), (X, False), (X, True), (X, 1), (X, (0, -1), True, True), (X, 2, False, True), ((X, 1), {"correction": 0}),
        ((X, (0, 2)), {"correction": 2, "keepdim": True}), ((X, 1), {"correction": 1}),
    ]),
    "std": (torch.std, [(X,), (X, False), (X, 1, False, True), ((X, 1), {"correction": 2})]),
    "norm": (torch.norm, [
        (X,), (X, "fro", 1, True), (X, "fro", (0, 2)), (X, None, 1), (X, 1, 2), (X, 3, 1), (X, 0.5, 1),
        (X, math.inf, 1), (X, -math.inf, (0, 1)), (X[0], "nuc"), (X, "nuc", (0, 2)), (X, "nuc", (1, 2), True),
        (TIED, 0, 1), (TIED, 2), ((X.float(), 2, 1), {"dtype": torch.float64}),
    ]),
    "linalg_norm": (torch.linalg.norm, [
        (X,), (X[0], "fro"), (X[0], 2), (X[0], 1), (X[0], "nuc"), (X, 2, (0, 2), True), (X, None, 1), (X, 3, 1),
        (X, math.inf, (1, 2)), (X, None, (0, 1), True), (X[0, 0], 3), ((X.float(), 2, 1), {"dtype": torch.float64}),
        ((X[0].float(), 2), {"dtype": torch.float64}),
    ]),
    "linalg_vector_norm": (torch.linalg.vector_norm, [
        (X,), (X, 3, (0, 2), True), (X, 1, -1), (X, math.inf), (X, -math.inf, 1), (X, -1, 1), (TIED, 0), (X, 2, ()),
        ((X.float(), 2, 1), {"dtype": torch.float64}),
    ]),
    "normalize": (F.normalize, [(X,), (X, 1.0, 2), (1e-3 * X, 2.0, 1, 0.5), (0 * X,)]),
    "pairwise_distance": (F.pairwise_distance, [
        (X[0], OTHER[0]), (X, OTHER, 1.0), (X, OTHER, 3.0, 0.2, True), (X, OTHER, math.inf),
    ]),
    "cdist": (torch.cdist, [(X, OTHER), (X, OTHER[:, :2], 1.0), (X[0], OTHER[1], 3.0), (X, OTHER, math.inf)]),
    "hypot": (torch.hypot, [(X, OTHER), (X, OTHER[0, 0])]),
    "logaddexp": (torch.logaddexp, [(X, OTHER), (X, OTHER[0, 0]), (800 * X, 800 * OTHER)]),
    "aminmax": (torch.aminmax, [(X,), ((X,), {"dim": 1}), ((X,), {"dim": -1, "keepdim": True})]),
    "rrelu": (F.rrelu, [(X,), (X, 0.1, 0.7)]),
    "lp_pool1d": (F.lp_pool1d, [(LONG.abs(), 3, 2), (LONG.abs(), 1, 4, 3), (LONG, 2, 4, 3, True)]),
    "lp_pool2d": (F.lp_pool2d, [(WIDE.abs(), 3, 2), (WIDE.abs(), 2, (2, 3), (3, 2)), (WIDE, 2, 3, 2, True)]),
    "lp_pool3d": (F.lp_pool3d, [(WIDE, 2, 2), (WIDE, 4, (1, 2, 3), (1, 3, 2))]),
    "batch_norm": (torch.batch_norm, [
        (*given, MEAN, VARIANCE, False, 0.1, 0.3, False)
        for given in ((X, WEIGHT, BIAS), (WIDE, None, None), (X, WEIGHT, None), (X, None, BIAS))
    ] + [(*given, None, None, True, 0.1, 0.3, False) for given in ((X, WEIGHT, BIAS), (WIDE, None, None))]),
    "instance_norm": (torch.instance_norm, [
        (X, WEIGHT, BIAS, None, None, True, 0.1, 0.3, False), (WIDE, None, None, None, None, True, 0.1, 0.3, False),
        (X, WEIGHT, BIAS, MEAN, VARIANCE, False, 0.1, 0.3, False),
    ]),
    "addmm": (torch.addmm, [(SQUARE, LEFT[0], RIGHT[0]), ((SQUARE[0], LEFT[0], RIGHT[0]), SCALED)]),
    "addmv": (torch.addmv, [
        (SQUARE[:, 0], LEFT[0], RIGHT[0, :, 0]), ((SQUARE[:, 0], LEFT[0], RIGHT[0, :, 0]), SCALED),
    ]),
    "baddbmm": (torch.baddbmm, [(SQUARE, LEFT, RIGHT), ((SQUARE, LEFT, RIGHT), SCALED)]),
    "addbmm": (torch.addbmm, [(SQUARE, LEFT, RIGHT), ((SQUARE, LEFT, RIGHT), SCALED)]),
    "addr": (torch.addr, [(SQUARE, SQUARE[:, 1], SQUARE[2]), ((SQUARE, SQUARE[:, 1], SQUARE[2]), SCALED)]),
    "addcmul": (torch.addcmul, [(X, OTHER, X), ((X, OTHER, X[0]), {"value": 0.3})]),
    "addcdiv": (torch.addcdiv, [(X, OTHER, X), ((X, OTHER, X[0]), {"value": 0.3})]),
    "lerp": (torch.lerp, [(X, OTHER, 0.3), (X, OTHER, OTHER[0].abs())]),
    "var_mean": (torch.var_mean, [
        (X,), (X, 1), ((X, (0, 2)), {"keepdim": True}), (X, 1, False, True), (X, 1, True),
        ((X, 1), {"correction": 0, "keepdim": True}),
    ]),
    "std_mean": (torch.std_mean, [(X,), (X, 1, False, True), ((X, (0, 2)), {"correction": 2})]),
    "cosine_similarity": (F.cosine_similarity, [(X, OTHER), (X, OTHER, 2), (X, OTHER[0], -1), (0 * X, OTHER)]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, (_, calls) in CALLS.items() for number in range(len(calls))]
)
def test_it_is_the_function(name, number):
    function, calls = CALLS[name]
    arguments, options = calls[number] if isinstance(calls[number][0], tuple) else (calls[number], {})
    found, expected = FORMULAS[name](*arguments, **options), function(*arguments, **options)
    for ours, theirs in zip(_tensors(found), _tensors(expected), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


def _tensors(made):
    return [made] if isinstance(made, torch.Tensor) else list(made)


def test_the_table_is_complete():
    assert CALLS.keys() == FORMULAS.keys()


def test_more_subtracted_than_there_is_is_infinite():
    with pytest.warns(UserWarning, match="degrees of freedom"):
        expected = torch.var(X, 1, correction=4)
    assert torch.equal(written.var(X, 1, correction=4), expected)


def test_powers_of_two_signals():
    base, exponent = X.abs() + 0.1, OTHER
    torch.testing.assert_close(written.power(base, exponent), base**exponent, rtol=1e-12, atol=1e-14)


def test_dropout_is_off():
    assert torch.equal(written.dropout(X, 0.5, True), X)
