"""Spectral relevance analysis: in which ways a model decides, and which of them look wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError
from .judge import Describe, Judge, edit_of
from .maps import Maps, explained_classes, maps_of, single_output
from .result import Cluster, Spray
from .spectral import Spectrum, conductance, embed, spectrum
from .strategies import gathered

Embedding = Literal["tsne", "umap"]

BORDER = "in a corner or at the border"
_FEW = 8
"""Samples of a class, below which it is one cluster."""


def spray(
    relevance: Any,
    *,
    target: Any = None,
    labels: Any = None,
    classes: Sequence[int] | None = None,
    features: Any = None,
    outside: Mapping[str, Any] | Any = None,
    edit: Any = None,
    describe: Describe | None = None,
    clusters: int | None = None,
    most_clusters: int = 8,
    neighbors: int | None = None,
    pool: int = 16,
    embedding: Embedding | None = "tsne",
    alpha: float = 0.01,
    material: float = 0.1,
    label_names: Sequence[str] | None = None,
    seed: int = 0,
) -> Spray:
    """Find in which ways a model decides, and rank them by how suspicious they are.

    Within each class, pooled relevance maps of length 1 are linked to their nearest neighbours, and clustered by the
    eigenvectors of the graph's Laplacian (SpRAy). A *Clever Hans* strategy stands out by where its relevance is: out of
    place, at the same place in its members, in no other samples.

    Parameters
    ----------
    relevance
        Explanation, or several; or relevance (N, C, H, W), (N, H, W) or (N, d). Channels are summed.
    target
        (N,) the class that each sample was explained for; None: the explanation's, else the labels, else one class. Of
        explanations of a single output, its sign is the class, and relevance is turned to speak for it.
    labels
        (N,) the true class, where known.
    classes
        Which classes to audit; None: all.
    features
        (N, d) what samples are compared by, in place of their pooled maps; sparse ones too.
    outside
        Where relevance is out of place: 0..1 or bool of the maps' shape, (N, H, W) or (N, d), for all samples or one
        (H, W); or several such by what the place is called. None: for pictures corners and border, see :func:`border`;
        for tables nowhere, so that clusters are ranked and none raises an alarm.
    edit
        ``edit(samples, region)``: the explained outputs (M,) of samples (M,) when ``region``, bool of the maps' shape,
        is edited in them; where it is all False, of the samples as they are. Or a :class:`sciexplain.evaluate.Removal`
        whose parts are the map's entries. It is tried on 64 members, and on as many others of the class.
    describe
        ``describe(region, members)``: a region in words; None: rows and columns, or numbers of features.
    clusters, most_clusters
        In each class; None: by the eigengap, 2 to ``most_clusters``.
    neighbors
        That a sample is linked to; None: √n, 5 to 50.
    pool
        Pools along the longer side of a picture.
    embedding
        ``"tsne"``, ``"umap"`` or None.
    alpha
        Probability of any alarm where relevance out of place is chance.
    material
        Share of positive relevance, and with an edit of the score, that is enough to matter.
    label_names
        Of the labels, for words.
    seed
        Of k-means, the embedding and samples.

    Raises
    ------
    InputError
        Shapes that do not fit, numbers that are not finite, or an ``alpha`` or ``material`` beyond 0 and 1.
    MissingDependencyError
        ``embedding="umap"`` without umap-learn.

    Notes
    -----
    An alarm needs all of these: relevance out of place that the members share, at least ``material`` of it and beyond
    chance (:func:`~sciexplain.audit.suspicion.out_of_place`); with ``labels``, that the samples which carry it have one
    label beyond chance (:func:`~sciexplain.audit.suspicion.one_label`), as what says nothing is no shortcut; with
    ``edit``, that the edit costs ``material`` of the score more than in the rest of the class. Both tests are at
    ``alpha`` after Bonferroni's correction for all clusters.

    Alarms are looked for in ``most_clusters`` clusters of each class too, and get all samples of the class that carry
    what raised them (:func:`~sciexplain.audit.strategies.gathered`). The other parts rank but raise no alarm: honest
    classes do fall into small, pure, separate clusters. A shortcut in a place that nobody calls out of place, such as a
    scaffold within the molecule, is therefore found by its rank.

    References
    ----------
    S. Lapuschkin et al., "Unmasking Clever Hans predictors and assessing what machines really learn", Nat. Commun. 10,
    1096 (2019). U. von Luxburg, "A tutorial on spectral clustering", Stat. Comput. 17, 395 (2007).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> maps = np.abs(rng.normal(size=(120, 16, 16))) * np.pad(np.ones((8, 8)), 4)
    >>> labels = np.arange(120) % 2
    >>> spray(maps, labels=labels, embedding=None).alarm
    False
    >>> maps[:50:2, 1, 1] += 20  # a tag in the corner of some of class 0
    >>> found = spray(maps, labels=labels, embedding=None)
    >>> found.alarm, sorted(found[0].members.tolist()) == list(range(0, 50, 2)), found[0].where
    (True, True, 'row 1, column 1')
    """
    if not 0 < alpha < 1 or not 0 <= material <= 1:
        raise InputError(f"alpha={alpha}, material={material}: expected a probability and a share, between 0 and 1")
    truth = None if labels is None else _column(labels, "labels")
    maps, explained = maps_of(relevance, pool), explained_classes(relevance)
    if target is not None:
        explained = _column(target, "target")
    elif explained is None:
        explained = np.zeros(len(maps), np.int64) if truth is None else truth
    for name, column in (("target", explained), ("labels", truth)):
        if column is not None and len(column) != len(maps):
            raise InputError(f"{name} has {len(column)} entries; expected one for each of the {len(maps)} samples")
    known = np.unique(explained).tolist()
    if unknown := set(classes or ()) - set(known):
        raise InputError(f"classes has {sorted(unknown)[0]}; the samples were explained for {known}")
    rows = maps.unit if features is None else _features(features, len(maps))
    places = _places(outside, maps)
    spectra: dict[int, Spectrum] = {}
    groups: dict[int, tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]] = {}
    for c in known if classes is None else sorted(set(classes)):
        own = np.flatnonzero(explained == c)
        if len(own) < _FEW:
            groups[c] = [own], []
            continue
        spectra[c] = spectrum(rows[own], neighbors=neighbors, clusters=clusters, most=most_clusters, seed=seed)
        groups[c] = _apart(own, spectra[c].labels), _apart(own, spectra[c].finer)
    judge = Judge(
        maps=maps,
        rows=rows,
        target=explained,
        labels=truth,
        outside=places,
        misplaced={name: maps.shares_within(mask) for name, mask in places.items()},
        edit=edit_of(edit, maps.full, explained_classes(relevance) if single_output(relevance) else None),
        describe=describe,
        alpha=alpha,
        material=material,
        tests=sum(len(each) for both in groups.values() for each in both),
        label_names=label_names,
        seed=seed,
    )
    ranked: list[Cluster] = []
    for c, both in groups.items():
        own, found = np.flatnonzero(explained == c), spectra.get(c)

        def leaving(members: NDArray[np.int64], own: NDArray[np.int64] = own, found: Spectrum | None = found) -> float:
            return 0.0 if found is None else conductance(found.affinity, np.isin(own, members))

        coarse, finer = ([judge(c, members, leaving(members)) for members in each] for each in both)
        ranked += gathered(coarse, finer, judge, leaving)
    ranked.sort(key=lambda one: (not one.alarm, -one.suspicion))
    place = np.full(len(maps), -1)
    for i, one in enumerate(ranked):
        place[one.members] = i
    return Spray(
        clusters=tuple(ranked),
        cluster=place,
        target=explained,
        eigenvalues={c: found.eigenvalues for c, found in spectra.items()},
        eigengap={c: found.gap for c, found in spectra.items()},
        embedding=None if embedding is None else embed(rows, embedding, seed),
        alpha=alpha,
        material=material,
    )


def border(height: int, width: int) -> NDArray[np.bool_]:
    """(height, width) bool: the corners, a sixth of both sides, and the very border, a sixteenth of each."""
    corner = _outer(height, 6)[:, None] & _outer(width, 6)
    frame: NDArray[np.bool_] = corner | _outer(height, 16)[:, None] | _outer(width, 16)
    return frame


def _outer(side: int, of: int) -> NDArray[np.bool_]:
    """(side,): an of-th at both ends, one pixel at least."""
    place = np.arange(side)
    return np.minimum(place, side - 1 - place) < max(1, round(side / of))


def _apart(own: NDArray[np.int64], labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [own[labels == k] for k in np.unique(labels)]


def _column(values: Any, name: str) -> NDArray[np.int64]:
    """(N,) whole numbers."""
    given = np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values)
    if given.ndim != 1 or given.dtype.kind not in "iufb" or (given != np.round(given)).any():
        raise InputError(
            f"{name} has shape {given.shape} and type {given.dtype}; expected whole numbers (N,), one for each sample"
        )
    return given.astype(np.int64)


def _features(features: Any, n: int) -> NDArray[np.float32]:
    given = features.detach().cpu().numpy() if isinstance(features, torch.Tensor) else features
    rows = np.asarray(given.toarray() if hasattr(given, "toarray") else given, np.float32)
    if rows.ndim != 2 or len(rows) != n or not np.isfinite(rows).all():
        raise InputError(f"features has shape {rows.shape}; expected ({n}, d), finite numbers for each sample")
    return rows


def _places(outside: Any, maps: Maps) -> dict[str, NDArray[Any]]:
    """By name, (N or 1, *full): where it is out of place."""
    if outside is None:
        outside = {BORDER: border(*maps.full)} if len(maps.full) == 2 else {}
    named = outside if isinstance(outside, Mapping) else {"out of place": outside}
    found = {}
    for name, given in named.items():
        mask = np.asarray(given.detach().cpu() if isinstance(given, torch.Tensor) else given)
        if mask.shape == maps.full:
            mask = mask[None]
        if mask.shape[1:] != maps.full or len(mask) not in (1, len(maps)):
            raise InputError(
                f"outside has shape {mask.shape} {name}; expected {maps.full}, or {(len(maps), *maps.full)}"
            )
        found[name] = mask
    return found
