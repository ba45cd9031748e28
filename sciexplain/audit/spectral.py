"""Spectral clustering of rows, and how many clusters there are: Lapuschkin et al. 2019; von Luxburg 2007."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DENSE = 1500
"""Rows up to which all eigenvalues at once are faster than some."""
_AS_THEY_ARE = 2**24
"""Numbers up to which rows are compared as they are; beyond, by their leading components."""
_COMPONENTS = 64
_CLOSEST = 50


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Rows as a graph.

    Attributes
    ----------
    affinity
        (n, n) sparse: 1 between rows of which one is among the other's nearest.
    eigenvalues
        The smallest ones of the normalised Laplacian, ascending from 0.
    gap
        The widest gap behind two clusters or more, λ_{k+1} − λ_k.
    labels
        (n,): the cluster of each row, 0 … k − 1.
    finer
        (n,): the same of as many clusters as are looked for at most.
    """

    affinity: Any
    eigenvalues: NDArray[np.float64]
    gap: float
    labels: NDArray[np.int64]
    finer: NDArray[np.int64]


def spectrum(
    rows: NDArray[np.float32], *, neighbors: int | None, clusters: int | None, most: int, seed: int
) -> Spectrum:
    """Cluster rows by the eigenvectors of their neighbourhood graph.

    The symmetric normalised Laplacian L = I − D^(−1/2) W D^(−1/2) has as many eigenvalues 0 as the graph has parts; the
    number of clusters k is where the next eigenvalue is furthest (von Luxburg 2007, § 8.3). One cluster is not looked
    for: whether a class decides in more than one way is for what the clusters hold to say.

    Parameters
    ----------
    rows
        (n, d).
    neighbors
        Of each row; None: √n, 5 to 50.
    clusters, most
        How many; None: by the gap, up to ``most``.
    seed
        Of k-means and of leading components.
    """
    from scipy import linalg, sparse
    from scipy.sparse.linalg import eigsh

    n = len(rows)
    affinity = _affinity(rows, neighbors, seed)
    wanted = min(n - 1, max(most, clusters or 0))
    degree = np.asarray(affinity.sum(1)).ravel()
    root = sparse.diags_array(1 / np.sqrt(degree))
    similarity = root @ affinity @ root
    if n <= _DENSE:
        values, vectors = linalg.eigh(similarity.toarray(), subset_by_index=[n - 1 - wanted, n - 1])
    else:
        start = np.random.default_rng(seed).standard_normal(n)
        values, vectors = eigsh(similarity, wanted + 1, which="LA", v0=start)
    order = np.argsort(-values, kind="stable")
    eigenvalues, vectors = np.maximum(1 - values[order], 0), vectors[:, order]
    gaps = np.diff(eigenvalues)
    k = min(clusters, n) if clusters is not None else (int(np.argmax(gaps[1:])) + 2 if len(gaps) > 1 else 1)
    labels = _clustered(vectors[:, :k], seed)
    finer = labels if k >= wanted else _clustered(vectors[:, :wanted], seed)
    return Spectrum(affinity, eigenvalues, float(gaps[k - 1]) if k <= len(gaps) else 0.0, labels, finer)


def _clustered(vectors: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """As many clusters as eigenvectors, by k-means on rows of length 1 (Ng, Jordan and Weiss 2002)."""
    from sklearn.cluster import KMeans

    if vectors.shape[1] < 2:
        return np.zeros(len(vectors), np.int64)
    places = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    found: NDArray[np.int64] = KMeans(vectors.shape[1], n_init=10, random_state=seed).fit_predict(places)
    return found.astype(np.int64)


def conductance(affinity: Any, members: NDArray[np.bool_]) -> float:
    """Share of the links of some rows that leave them: 0 where nothing connects them to the rest."""
    links = affinity[members]
    inside, total = float(links[:, members].sum()), float(links.sum())
    return 1 - inside / total if total else 0.0


def embed(rows: NDArray[np.float32], method: str, seed: int, *, most: int = 3000) -> NDArray[np.float32]:
    """(n, 2): rows in the plane, those alike together, by t-SNE or UMAP.

    Of more than ``most`` rows a sample is embedded; each other row goes where its five nearest of the sample are.
    """
    from sklearn.neighbors import NearestNeighbors

    from sciexplain._optional import require

    rows = _reduced(rows, seed)
    n = len(rows)
    if n < 4:
        return np.stack([np.arange(n), np.zeros(n)], 1).astype(np.float32)
    chosen = np.sort(np.random.default_rng(seed).permutation(n)[:most])
    sample = rows[chosen]
    if method == "umap":
        umap: Any = require("umap", extra="report")
        near = min(15, len(sample) - 1)
        # UMAP finds its first layout by eigenvectors, of which tiny sets have too few.
        start = "spectral" if len(sample) > 20 else "random"
        placed = umap.UMAP(n_neighbors=near, random_state=seed, n_jobs=1, init=start).fit_transform(sample)
    else:
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(sample) - 1) / 3)
        placed = TSNE(2, perplexity=perplexity, init="random", random_state=seed).fit_transform(sample)
    found = np.empty((n, 2), np.float32)
    found[chosen] = placed
    others = np.setdiff1d(np.arange(n), chosen)
    if len(others):
        nearest = NearestNeighbors(n_neighbors=5).fit(sample).kneighbors(rows[others], return_distance=False)
        found[others] = placed[nearest].mean(1)
    return found


def _affinity(rows: NDArray[np.float32], neighbors: int | None, seed: int) -> Any:
    """Symmetric: linked where either is among the nearest of the other."""
    from sklearn.neighbors import kneighbors_graph

    n = len(rows)
    near = round(np.sqrt(n)) if neighbors is None else neighbors
    near = min(n - 1, max(5, min(near, _CLOSEST)) if neighbors is None else near)
    graph = kneighbors_graph(_reduced(rows, seed), near)
    return graph.maximum(graph.T).tocsr()


def _reduced(rows: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    if rows.size <= _AS_THEY_ARE or rows.shape[1] <= _COMPONENTS:
        return rows
    from sklearn.decomposition import TruncatedSVD

    return TruncatedSVD(_COMPONENTS, random_state=seed).fit_transform(rows).astype(np.float32)
