"""One cluster of many: what speaks against it, and whether that is an alarm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError
from . import suspicion
from .maps import Maps
from .result import Cluster
from .suspicion import Edit, Part

Describe = Callable[[NDArray[np.bool_], NDArray[np.int64]], str]
"""From a region of the map, and the members that share it, to words."""


@dataclass(frozen=True, eq=False)
class Judge:
    """What clusters are judged by; called with a class and the rows of a cluster.

    Attributes
    ----------
    maps, rows
        Relevance, and what the samples were compared by.
    target, labels
        (N,) the explained and the true classes.
    outside
        By the name of a place that is out of place, (N or 1, *full): where it is.
    misplaced
        By the same name, (N, pools): the share of each sample's positive relevance there.
    edit, describe
        See :func:`~sciexplain.audit.spray`.
    alpha, material
        Of an alarm.
    tests
        How many clusters are judged: the p-values are corrected for them and for the places.
    label_names
        For words.
    seed
        Of halves and samples.
    """

    maps: Maps
    rows: NDArray[np.float32]
    target: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    outside: Mapping[str, NDArray[Any]]
    misplaced: Mapping[str, NDArray[np.float32]]
    edit: Edit | None
    describe: Describe | None
    alpha: float
    material: float
    tests: int
    label_names: Sequence[str] | None
    seed: int

    def __call__(self, target: int, members: NDArray[np.int64], leaving: float) -> Cluster:
        """The cluster; ``leaving`` is its conductance."""
        rng = np.random.default_rng([self.seed, target, int(members.min()), len(members)])
        own = np.flatnonzero(self.target == target)
        rest = np.setdiff1d(own, members)
        parts = [suspicion.small(len(members), len(own)), suspicion.alike(self.rows, members)]
        if len(rest):
            parts.append(suspicion.apart(leaving))
        strongest = region = suspicion.shared_region(self.maps.shares, members, rest)
        p, place = 1.0, None
        for name, shares in self.misplaced.items():
            amount, chance, where = suspicion.out_of_place(shares, members, rng)
            chance = min(1.0, chance * self.tests * len(self.misplaced))
            parts.append(Part(name, min(amount, 1.0), f"{amount:.0%} of their relevance is {name}", chance))
            if place is None and amount >= self.material and chance <= self.alpha:
                p, region, place = chance, where, name
        whole = self.maps.unpooled(region)
        if self.labels is not None and len(np.unique(self.labels)) > 1:
            strength = self.maps.strength(whole, None if place is None else self.outside[place])
            pure, chance = suspicion.one_label(strength, members, self.labels, self.label_names)
            chance = min(1.0, chance * self.tests)
            parts.append(replace(pure, p=chance))
            place = place if chance <= self.alpha else None
        words = "nowhere in particular"
        if whole.any() and self.describe is not None:
            words = self.describe(whole, members)
        elif whole.any():  # a box around all of it would be around little in most corners
            words = _described(self.maps.unpooled(region & strongest if (region & strongest).any() else region))
        if self.edit is not None:
            # Others that carry it lose as much.
            without = rest if place is None else np.setdiff1d(rest, self.carriers(place, region, members))
            parts.append(suspicion.edited(self.edit, whole, members, without, rng))
            place = place if parts[-1].value >= self.material else None
        label, purity = self._commonest(members)
        off = self.rows[members] - self.rows[members].mean(0)
        return Cluster(
            target=target,
            members=members[np.argsort((off**2).sum(1), kind="stable")],
            average=self.maps.average(members),
            region=whole,
            where=words,
            label=label,
            purity=purity,
            parts={part.name: part for part in parts},
            suspicion=float(np.mean([part.value for part in parts])),
            p=p,
            place=place,
        )

    def carriers(self, place: str, region: NDArray[np.bool_], members: NDArray[np.int64]) -> NDArray[np.int64]:
        """All samples of the members' class with at least half of their median share out of place in some pools."""
        share = self.misplaced[place][:, region].sum(1)
        own = np.flatnonzero(self.target == self.target[members[0]])
        return own[share[own] >= np.median(share[members]) / 2]

    def _commonest(self, members: NDArray[np.int64]) -> tuple[int | None, float | None]:
        if self.labels is None:
            return None, None
        kinds, counts = np.unique(self.labels[members], return_counts=True)
        return int(kinds[counts.argmax()]), float(counts.max() / counts.sum())


def edit_of(given: Any, full: tuple[int, ...], speaks: NDArray[np.int64] | None = None) -> Edit | None:
    """An edit from a :class:`~sciexplain.evaluate.Removal` whose parts are the map's entries; callables as they are.

    Parameters
    ----------
    full
        Shape of a map.
    speaks
        (N,) 0 or 1, for models of one output: what speaks for class 0 is the output's negative.

    Raises
    ------
    InputError
        Neither, or parts that are not the map's entries.
    """
    if given is None or (callable(given) and not hasattr(given, "scores")):
        return given
    if not hasattr(given, "scores") or not hasattr(given, "sizes"):
        raise InputError(
            f"edit is {type(given).__name__}; expected edit(samples, region), or a sciexplain.evaluate.Removal"
        )
    entries = int(np.prod(full))
    if set(given.sizes) != {entries}:
        raise InputError(f"edit has samples of {sorted(set(given.sizes))} parts; expected {entries}, as the maps have")

    def edit(samples: NDArray[np.int64], region: NDArray[np.bool_]) -> Any:
        kept = torch.from_numpy(~region.ravel())
        scores = given.scores(samples.tolist(), [kept] * len(samples)).cpu().numpy()
        return scores if speaks is None else scores * np.where(speaks[samples] > 0, 1, -1)

    return edit


def _described(region: NDArray[np.bool_]) -> str:
    if region.ndim == 2:
        sides = (("row", np.flatnonzero(region.any(1))), ("column", np.flatnonzero(region.any(0))))
        return ", ".join(f"{name} {at[0]}" if len(at) == 1 else f"{name}s {at[0]}–{at[-1]}" for name, at in sides)
    places = np.flatnonzero(region)
    return f"feature{'s' * (len(places) > 1)} " + ", ".join(map(str, places[:5])) + ", …" * (len(places) > 5)
