"""The limits of a global interpretation: which members of a class its prototypes do not explain."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .composites import Composite
from .concepts.journey import ChannelAxis
from .engine.base import OnUnknown
from .engine.programs import never_compiled, original
from .errors import DataError, InputError
from .inputs import Inputs
from .kernels import distances
from .maximization.result import Maximization
from .membership import ClassTarget, Members, belonging, class_target, named
from .pool import Kept, Pool
from .prototypes import Prototypes
from .representations import Points, Rows, Space, View, read_by_the_last_layer
from .samples import Batch, Samples


@dataclass(frozen=True, eq=False)
class Limits:
    """How far prototypes stand for the members of their class.

    Attributes
    ----------
    members : Tensor, shape (M,)
        Indices in the data.
    scores : Tensor, shape (M,)
        The explained output of each member.
    distances : Tensor, shape (M,)
        Of each to the nearest prototype.
    nearest : Tensor, shape (M,)
        Which that is: 0 to k - 1.
    prototypes : tuple of int, or None
        Indices of real examples; None for inputs that were given.
    threshold : float
        Members farther from every prototype are not explained.
    level : float or None
        The share of the other samples that lie within the threshold, at most; None where the threshold was given.
    others : int
        How many samples that are no members it was calibrated on.
    separation : float or None
        How often a member is nearer to a prototype than a sample that is none (area under the ROC curve).
    views : tuple of (int, int)
        What the prototypes leave out: members that are not explained, each with the number of these that lie within the
        threshold of it and of none before.
    count, total : int
        Members and samples in the data; M is smaller where there are more members than ``limit``.
    k : int
        How many prototypes there are.
    """

    members: Tensor
    scores: Tensor
    distances: Tensor
    nearest: Tensor
    prototypes: tuple[int, ...] | None
    threshold: float
    level: float | None
    others: int
    separation: float | None
    views: tuple[tuple[int, int], ...]
    count: int
    total: int
    k: int
    view: View = field(repr=False)

    @property
    def explained(self) -> Tensor:
        """(M,) bool."""
        return self.distances <= self.threshold

    @property
    def coverage(self) -> float:
        """The share of members that are explained."""
        return float(self.explained.double().mean())

    @property
    def unexplained(self) -> tuple[int, ...]:
        """Indices of members that no prototype explains, the farthest first."""
        far = torch.argsort(-self.distances, stable=True)
        return tuple(self.members[far[~self.explained[far]]].tolist())

    @property
    def missed(self) -> tuple[int, ...]:
        """:attr:`unexplained`, first those of :attr:`views`, which stand for most of them."""
        first = tuple(i for i, _ in self.views)
        return (*first, *(i for i in self.unexplained if i not in first))

    @property
    def typical(self) -> tuple[int, ...]:
        """Indices of members that a prototype explains, and that are none themselves, the nearest first."""
        near = torch.argsort(self.distances, stable=True)
        own = set(self.prototypes or ())
        return tuple(i for i in self.members[near[self.explained[near]]].tolist() if i not in own)

    def distance(self, index: int) -> float:
        """Of a member, by its index in the data."""
        place = (self.members == index).nonzero().flatten()
        if not len(place):
            raise InputError(f"Sample {index} is none of the {len(self.members)} members that were looked at.")
        return float(self.distances[place[0]])

    def __repr__(self) -> str:
        return f"Limits({self.k} prototypes explain {100 * self.coverage:.1f} % of {len(self.members)} members)"

    def __str__(self) -> str:
        where = f"at {self.view.layer!r}" if self.view.layer else "at the input"
        target = self.view.target
        what = f"Class {target}" if isinstance(target, int) else "The output" if target is None else "The target"
        of = f"{len(self.members)} of {self.count}" if len(self.members) < self.count else f"{self.count}"
        missed = int((~self.explained).sum())
        lines = [
            f"{what}: {self.k} prototype{'s' * (self.k != 1)}, {of} members ({self.total} samples), compared "
            f"by {self.view.space} {where}.",
            f"Explained: {100 * self.coverage:.1f} % of the members lie within {self.threshold:.3g} of a prototype"
            + (f", as {100 * self.level:.3g} % of {self.others} other samples do." if self.level is not None else "."),
        ]
        if self.separation is not None:
            lines.append(
                f"A member is nearer to a prototype than another sample in {100 * self.separation:.1f} % of pairs."
            )
        if missed:
            inside, outside = self.scores[self.explained], self.scores[~self.explained]
            lines.append(
                f"Not explained: {missed} members, mean score {float(outside.mean()):.3g}"
                + (f" (explained ones {float(inside.mean()):.3g})" if len(inside) else "")
                + f"; the farthest: {', '.join(f'#{i} ({self.distance(i):.3g})' for i in self.unexplained[:5])}."
            )
            if self.views:
                seen = ", ".join(f"#{i} (it and {n - 1} like it)" for i, n in self.views)
                lines.append(f"What the prototypes leave out: {seen}.")
        else:
            lines.append("Every member is explained.")
        return "\n".join(lines)


@never_compiled
def prototype_limits(
    model: Callable[..., Any],
    data: Any,
    prototypes: Prototypes | Maximization | Tensor | tuple[Any, ...] | dict[str, Any],
    target: ClassTarget = None,
    *,
    layer: str | None = None,
    space: Space = "relevance",
    level: float = 0.05,
    threshold: float | None = None,
    views: int = 3,
    members: Members = "predicted",
    rows: Rows | None = None,
    composite: Composite | str | None = None,
    channel_axis: ChannelAxis = None,
    on_unknown: OnUnknown = "warn",
    batch_size: int = 64,
    limit: int = 10_000,
    seed: int = 0,
) -> Limits:
    r"""Which members of a class its prototypes do not explain: the car from the front, where they show its side.

    A prototype, real or made by activation maximisation, says what is typical. Whether it also says why a single member
    is in the class is a question about that member's explanation: how far it is from those of the prototypes. A member
    is *explained* where the distance to the nearest prototype is at most a threshold, within which at most a share
    ``level`` of the samples that are no members lie: the :math:`\lfloor \mathrm{level} (m + 1) \rfloor`-th smallest of
    their m distances, so that it holds for a further sample, too (conformal calibration).

    Parameters
    ----------
    model, data, rows, composite, channel_axis, on_unknown, batch_size, members
        As in :func:`sciexplain.prototypes`; the data needs samples of other classes, or a ``threshold``.
    prototypes : Prototypes, Maximization, or inputs (k, …)
        From the same data; what :func:`sciexplain.maximize` found; or inputs as the model's forward takes them.
    target
        The class; that of ``prototypes`` where they have one.
    layer, space
        What samples are compared by, as in :func:`sciexplain.prototypes`; ``"relevance"`` compares explanations.
    level : float
        0 to 1.
    threshold : float
        Instead of the calibrated one.
    views : int
        How many members to name that stand for those that are not explained.
    limit, seed
        Members, and other samples, to keep; of more, as many are drawn at random.

    Returns
    -------
    Limits
        Printed, a summary in words.

    Raises
    ------
    DataError
        No members, or too few other samples for the level.
    InputError, TargetError, ModelError, RuleError, UnknownOperationError

    References
    ----------
    Vovk et al. 2005, *Algorithmic Learning in a Random World* (conformal thresholds).

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> points = torch.randn(300, 2)
    >>> found = sx.prototype_limits(model, points, sx.prototypes(model, points, 1, k=1))
    >>> len(found.unexplained) + int(found.explained.sum()) == len(found.members)
    True
    """
    model = original(model)
    real = prototypes if isinstance(prototypes, Prototypes) else None
    if real is not None:
        target = real.target if target is None else target
        layer = real.layer if layer is None else layer
    made = prototypes.inputs if isinstance(prototypes, Maximization) else prototypes
    samples = Samples(data, model, batch_size)
    if layer is None:
        layer = read_by_the_last_layer(model, samples.first().inputs)
    view = View(model, class_target(target), layer, space, None, composite, on_unknown, channel_axis, rows)
    given = real if real is not None else view.of(Batch(Inputs.of(made, model), None)).features
    return compare(
        view.over(samples), view, given,
        level=level, threshold=threshold, views=views, members=members, limit=limit, seed=seed,
    )  # fmt: skip


def compare(
    parts: Iterable[Points],
    view: View,
    prototypes: Prototypes | Tensor,
    *,
    level: float = 0.05,
    threshold: float | None = None,
    views: int = 3,
    members: Members = "predicted",
    limit: int = 10_000,
    seed: int = 0,
) -> Limits:
    """:func:`prototype_limits` of points as they come; ``prototypes`` are samples among them, or points (k, D)."""
    if not 0 < level < 1 or views < 0 or (threshold is not None and not threshold >= 0):
        raise InputError(
            f"level={level}, views={views}, threshold={threshold}: expected level in 0 to 1, others not below 0."
        )
    real = prototypes if isinstance(prototypes, Prototypes) else None
    inside, outside = Pool(limit, seed), Pool(limit, seed + 1)
    found: dict[int, Tensor] = {}
    count = total = 0
    for batch in parts:
        index = torch.arange(total, total + len(batch.scores))
        belongs = belonging(members, view.target, batch.explained, batch.predicted, batch.labels, index)
        inside.add(index, belongs, batch, order=None)
        outside.add(index, ~belongs, batch, order=None)
        here = () if real is None else (i for i in real.indices if total <= i < total + len(index))
        found |= {i: batch.features[i - total] for i in here}
        count, total = count + int(belongs.sum()), total + len(index)
    if not count:
        raise DataError(f"No sample of {total} is a member of target={view.target!r} ({named(members)}).")
    points = prototypes if isinstance(prototypes, Tensor) else _looked_up(prototypes, found, total)
    own, rest = inside.kept(), outside.kept()
    far, nearest = distances(own.features, points).min(1)
    others = distances(rest.features, points).min(1).values if len(rest.indices) else torch.zeros(0)
    within = _calibrated(others, level) if threshold is None else threshold
    return Limits(
        members=own.indices,
        scores=own.scores,
        distances=far,
        nearest=nearest,
        prototypes=None if real is None else real.indices,
        threshold=within,
        level=level if threshold is None else None,
        others=len(others),
        separation=_separation(far, others) if len(others) else None,
        views=_views(own, far > within, within, views),
        count=count,
        total=total,
        k=len(points),
        view=view,
    )


def _looked_up(prototypes: Prototypes, found: dict[int, Tensor], total: int) -> Tensor:
    """(k, D): the points that they are in this data."""
    if missing := [i for i in prototypes.indices if i not in found]:
        raise InputError(
            f"The prototypes {missing} are no samples of this data, which has {total}; give the same data."
        )
    return torch.stack([found[i] for i in prototypes.indices])


def _calibrated(others: Tensor, level: float) -> float:
    """The distance within which at most a share ``level`` of other samples is."""
    place = int(level * (len(others) + 1) + 1e-9)
    if place < 1:
        raise DataError(
            f"{len(others)} samples are no members; a threshold at level={level} needs at least "
            f"{math.ceil(1 / level - 1e-9) - 1}. Give data with other classes, or threshold=."
        )
    return float(others.double().sort().values[place - 1])


def _separation(members: Tensor, others: Tensor) -> float:
    """How often a member is nearer than another sample; ties count half."""
    ordered = others.double().sort().values
    below, upto = torch.searchsorted(ordered, members), torch.searchsorted(ordered, members, right=True)
    return float(1 - ((below + upto) / 2).mean(dtype=torch.float64) / len(ordered))


def _views(inside: Kept, missed: Tensor, threshold: float, count: int) -> tuple[tuple[int, int], ...]:
    """Greedily, those among the missed that are near to most of the rest of them."""
    places = missed.nonzero().flatten()
    features = inside.features[places]
    found: list[tuple[int, int]] = []
    near = torch.cat([distances(part, features) <= threshold for part in features.split(256)])
    left = torch.ones(len(places), dtype=torch.bool)
    while len(found) < count and bool(left.any()):
        best = int((near & left).sum(1).argmax())
        found.append((int(inside.indices[places[best]]), int((near[best] & left).sum())))
        left &= ~near[best]
    return tuple(found)
