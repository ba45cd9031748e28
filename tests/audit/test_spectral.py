"""The graph and its eigenvalues against dense float64 references written from the definitions."""

import numpy as np
import pytest

from sciexplain.audit.spectral import _DENSE, conductance, embed, spectrum


def three_blobs(each=40, apart=30.0, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(3 * each, 5))
    rows[each : 2 * each, 0] += apart
    rows[2 * each :, 1] += apart
    return rows.astype(np.float32)


def laplacian(rows, near):
    """I − D^(−1/2) W D^(−1/2), W 1 between rows of which one is among the other's nearest."""
    n = len(rows)
    distance = ((rows[:, None].astype(np.float64) - rows) ** 2).sum(2)
    np.fill_diagonal(distance, np.inf)
    w = np.zeros((n, n))
    for i in range(n):
        w[i, np.argsort(distance[i], kind="stable")[:near]] = 1
    w = np.maximum(w, w.T)
    d = w.sum(1)
    return w, np.eye(n) - w / np.sqrt(d[:, None] * d)


def test_eigenvalues_are_those_of_the_definition():
    rows = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    found = spectrum(rows, neighbors=6, clusters=None, most=8, seed=0)
    w, matrix = laplacian(rows, 6)
    assert (found.affinity.toarray() == w).all()
    assert np.allclose(found.eigenvalues, np.linalg.eigvalsh(matrix)[:9], atol=1e-10)


def test_few_of_many_eigenvalues_are_the_same():
    rows = np.random.default_rng(2).normal(size=(_DENSE + 100, 3)).astype(np.float32)
    found = spectrum(rows, neighbors=10, clusters=None, most=5, seed=0)
    matrix = np.eye(len(rows)) - _normalised(found.affinity.toarray())
    assert np.allclose(found.eigenvalues, np.linalg.eigvalsh(matrix)[:6], atol=1e-8)


def _normalised(w):
    d = w.sum(1)
    return w / np.sqrt(d[:, None] * d)


def test_parts_of_the_graph_are_eigenvalues_zero_and_clusters():
    found = spectrum(three_blobs(), neighbors=None, clusters=None, most=8, seed=0)
    assert np.allclose(found.eigenvalues[:3], 0, atol=1e-9) and found.eigenvalues[3] > 0.1
    assert found.gap == pytest.approx(found.eigenvalues[3] - found.eigenvalues[2])
    for part in np.split(found.labels, 3):
        assert len(set(part)) == 1
    assert len(set(found.labels)) == 3
    assert all(conductance(found.affinity, found.labels == k) == 0 for k in range(3))


def test_conductance_is_the_share_of_links_that_leave():
    rows = np.random.default_rng(3).normal(size=(50, 2)).astype(np.float32)
    found = spectrum(rows, neighbors=4, clusters=2, most=8, seed=0)
    w, members = found.affinity.toarray(), found.labels == 0
    assert conductance(found.affinity, members) == pytest.approx(w[members][:, ~members].sum() / w[members].sum())


def test_rows_that_are_all_the_same():
    found = spectrum(np.ones((30, 4), np.float32), neighbors=None, clusters=None, most=8, seed=0)
    assert len(found.labels) == 30 and np.isfinite(found.eigenvalues).all()


def test_those_alike_are_together_in_the_plane():
    places = embed(three_blobs(), "tsne", seed=0)
    centres = np.stack([part.mean(0) for part in np.split(places, 3)])
    nearest = ((places[:, None] - centres) ** 2).sum(2).argmin(1)
    assert (nearest == np.repeat(np.arange(3), 40)).all()


def test_rows_beyond_the_sample_go_to_their_nearest():
    rows = three_blobs(each=60)
    places = embed(rows, "tsne", seed=0, most=60)
    centres = np.stack([np.median(part, 0) for part in np.split(places, 3)])
    nearest = ((places[:, None] - centres) ** 2).sum(2).argmin(1)
    assert np.isfinite(places).all() and (nearest == np.repeat(np.arange(3), 60)).mean() > 0.98


def test_umap_keeps_blobs_apart_and_is_the_same_each_time():
    rows = three_blobs()
    places = embed(rows, "umap", seed=3)
    centres = places.reshape(3, -1, 2).mean(1)
    nearest = ((places[:, None] - centres) ** 2).sum(2).argmin(1)
    assert (nearest == np.repeat(np.arange(3), len(rows) // 3)).all()
    np.testing.assert_array_equal(places, embed(rows, "umap", seed=3))
