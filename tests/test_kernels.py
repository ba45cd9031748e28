"""Choosing among points: equal to brute force from the papers' formulae, and submodular where they say so."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sciexplain.kernels import distances, median_distance, mmd_criticisms, mmd_prototypes, rbf, spread_over


def points(n, d=2, seed=0):
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(3, d)) * 3
    return centres[generator.integers(0, 3, n)] + generator.normal(size=(n, d))


def kernel(x, y, sigma):
    return np.exp(-((x[:, None] - y[None]) ** 2).sum(-1) / (2 * sigma**2))


def objective(gram, chosen):
    """J_b of Kim et al. 2016, eq. 4."""
    n, m = len(gram), len(chosen)
    if not m:
        return 0.0
    return 2 / (n * m) * gram[:, chosen].sum() - gram[np.ix_(chosen, chosen)].sum() / m**2


def greedy(n, k, value, start=(), free=None):
    chosen = list(start)
    for _ in range(k):
        options = [i for i in range(n) if i not in chosen and (free is None or i in free)]
        chosen.append(max(options, key=lambda i: value([*chosen, i])))
    return chosen[len(start) :]


@pytest.mark.parametrize("seed", range(5))
def test_distances_and_bandwidth(seed):
    x = points(40, 3, seed)
    expected = np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))
    np.testing.assert_allclose(distances(torch.tensor(x), torch.tensor(x)), expected, atol=1e-12)
    pairs = sorted(expected[i, j] for i, j in itertools.combinations(range(40), 2))
    assert median_distance(torch.tensor(x)) == pytest.approx(pairs[(len(pairs) - 1) // 2], rel=1e-12)
    np.testing.assert_allclose(rbf(torch.tensor(x), torch.tensor(x), 1.3), kernel(x, x, 1.3), atol=1e-12)


def test_distances_keep_the_digits_of_small_ones():
    x = torch.tensor([[1e4, 0.0], [1e4, 1e-6]], dtype=torch.float64)
    assert float(distances(x, x)[0, 1]) == pytest.approx(1e-6, rel=1e-9)


def test_bandwidth_of_copies():
    assert median_distance(torch.ones(5, 2)) == 1.0 == median_distance(torch.ones(1, 2))


@pytest.mark.parametrize("seed", range(5))
def test_mmd_prototypes_are_greedy_on_the_papers_objective(seed):
    x = points(35, 2, seed)
    gram = kernel(x, x, 1.7)
    assert mmd_prototypes(torch.tensor(x), 6, 1.7) == greedy(35, 6, lambda s: objective(gram, s))


@pytest.mark.parametrize("seed", range(5))
def test_criticisms_are_greedy_on_witness_and_log_determinant(seed):
    x = points(30, 2, seed)
    gram = kernel(x, x, 1.2)
    prototypes = mmd_prototypes(torch.tensor(x), 4, 1.2)
    witness = np.abs(gram.mean(1) - gram[:, prototypes].mean(1))

    def value(chosen):
        return witness[chosen].sum() + np.linalg.slogdet(gram[np.ix_(chosen, chosen)])[1]

    free = set(range(30)) - set(prototypes)
    found = mmd_criticisms(torch.tensor(x), torch.tensor(x[prototypes]), 5, 1.2, prototypes)
    assert found == greedy(30, 5, value, free=free)


def test_criticisms_of_copies_are_not_repeated():
    x = torch.tensor([[0.0], [0.0], [1.0], [1.0], [1.0]], dtype=torch.float64)
    assert mmd_criticisms(x, x[:1], 4, 0.5, [0]) in ([2, 1], [1, 2], [2], [3, 1])


@pytest.mark.parametrize("seed", range(5))
def test_spread_is_greedy_and_within_its_bound(seed):
    x = points(14, 2, seed)
    gram = kernel(x, x, 1.0)

    def value(chosen):
        return gram[:, list(chosen)].max(1).sum()

    found = spread_over(torch.tensor(x), torch.tensor(x), 3, 1.0)
    assert found == greedy(14, 3, value)
    best = max(value(s) for s in itertools.combinations(range(14), 3))
    assert value(found) >= (1 - 1 / math.e) * best


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_order_of_points_does_not_matter(seed):
    x = torch.tensor(points(25, 2, seed))
    order = torch.randperm(25, generator=torch.Generator().manual_seed(seed))
    bandwidth = median_distance(x)
    assert median_distance(x[order]) == pytest.approx(bandwidth, rel=1e-12)
    chosen = mmd_prototypes(x, 4, bandwidth)
    assert order[mmd_prototypes(x[order], 4, bandwidth)].tolist() == chosen
    a, b = spread_over(x, x, 4, bandwidth), order[spread_over(x[order], x[order], 4, bandwidth)].tolist()
    value = [float(rbf(x, x[spread], bandwidth).amax(1).sum()) for spread in (a, b)]  # two neighbours are as good
    assert value[0] == pytest.approx(value[1], rel=1e-12)
    barred = [int((order == i).nonzero()) for i in chosen]
    found = mmd_criticisms(x[order], x[chosen], 3, bandwidth, barred)
    assert order[found].tolist() == mmd_criticisms(x, x[chosen], 3, bandwidth, chosen)


@given(st.integers(0, 10_000), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_more_prototypes_gain_less(seed, size):
    """Submodular: the gain of facility location shrinks as the set grows."""
    x = points(15, 2, seed)
    gram = kernel(x, x, 1.0)
    chosen = spread_over(torch.tensor(x), torch.tensor(x), size + 2, 1.0)
    values = [gram[:, chosen[:i]].max(1).sum() if i else 0.0 for i in range(size + 3)]
    gains = np.diff(values)
    assert (np.diff(gains) <= 1e-12).all() and (gains >= -1e-12).all()


def test_many_points_in_blocks(monkeypatch):
    x = torch.tensor(points(60, 2))
    whole = mmd_prototypes(x, 4, 1.0), spread_over(x, x[::2], 4, 1.0)
    monkeypatch.setattr("sciexplain.kernels._BLOCK", 100)
    assert (mmd_prototypes(x, 4, 1.0), spread_over(x, x[::2], 4, 1.0)) == whole
