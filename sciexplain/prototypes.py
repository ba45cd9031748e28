"""The most typical and most diverse real examples of what a model calls something."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .composites import Composite
from .concepts.journey import ChannelAxis
from .engine.base import OnUnknown
from .engine.programs import never_compiled, original
from .errors import DataError, InputError
from .kernels import distances, median_distance, mmd_criticisms, mmd_prototypes, rbf, spread_over
from .membership import ClassTarget, Members, belonging, class_target, named
from .pool import Kept, Pool
from .representations import Points, Rows, Space, View, read_by_the_last_layer
from .samples import Samples

By = Literal["activation", "relevance", "mmd"]


@dataclass(frozen=True, eq=False)
class Prototypes:
    """Real examples that stand for a class.

    Attributes
    ----------
    indices : tuple of int
        In the data, counted over all batches, in the order in which they were chosen.
    scores : Tensor, shape (k,)
        The explained output of each, or the value of ``channel``.
    features : Tensor, shape (k, D)
        The points that they are.
    criticisms : tuple of int
        Members that the prototypes represent worst.
    coverage : float
        0 to 1: the mean over members of the kernel with the nearest prototype; 1 where each member has a copy.
    members : Tensor, shape (M,)
        Indices of the members that were looked at.
    distances : Tensor, shape (M,)
        Of each to the nearest prototype.
    nearest : Tensor, shape (M,)
        Which prototype that is: 0 to k - 1.
    count, total : int
        Members and samples in the data; where there are more members than ``limit``, M is fewer.
    bandwidth : float
        Of the kernel.
    by, layer, space, target
        As asked for; ``layer`` as it was found.
    """

    indices: tuple[int, ...]
    scores: Tensor
    features: Tensor
    criticisms: tuple[int, ...]
    coverage: float
    members: Tensor
    distances: Tensor
    nearest: Tensor
    count: int
    total: int
    bandwidth: float
    by: By
    view: View = field(repr=False)

    @property
    def layer(self) -> str:
        return self.view.layer

    @property
    def space(self) -> Space:
        return self.view.space

    @property
    def target(self) -> ClassTarget:
        return self.view.target

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return f"Prototypes({list(self.indices)} of {self.count} members, by {self.by}, coverage {self.coverage:.2f})"


@never_compiled
def prototypes(
    model: Callable[..., Any],
    data: Any,
    target: ClassTarget = None,
    k: int = 5,
    *,
    by: By = "activation",
    layer: str | None = None,
    channel: int | None = None,
    space: Space | None = None,
    share: float = 0.25,
    criticisms: int = 0,
    members: Members = "predicted",
    rows: Rows | None = None,
    composite: Composite | str | None = None,
    channel_axis: ChannelAxis = None,
    on_unknown: OnUnknown = "warn",
    batch_size: int = 64,
    limit: int = 10_000,
    seed: int = 0,
) -> Prototypes:
    r"""Real examples of what a model calls a class: typical ones that differ from each other.

    Samples are points, by what a layer holds of them or by why the model decides. ``by="activation"`` and
    ``by="relevance"`` take the members with the largest score, a ``share`` of all, and of these the k that together are
    near to all members, greedily (:math:`\sum_i \max_j k(x_i, y_j)` with a Gaussian kernel whose bandwidth is the
    median distance). With ``channel`` the score is that channel's activation, or its relevance for the target (RelMax);
    ``share=0`` takes those with the largest score, however alike. ``by="mmd"`` ignores scores and takes points whose
    distribution is most like that of all members (MMD-critic).

    Parameters
    ----------
    model : callable
        As for :func:`sciexplain.explain`; taken in evaluation mode.
    data
        A tensor (N, …), a tuple or dict of tensors as the model's forward takes them, a ``Dataset`` or ``DataLoader``
        (read in the order of its data set), or any iterable of batches. Where batches are pairs and the model takes one
        input, the second is labels. It is read once, and memory does not grow with it.
    target : int or callable
        The class; a callable from output to (N,), or None for the only output.
    k : int
    by : "activation", "relevance" or "mmd"
    layer : str
        Module at whose output samples are compared. Default: the one that the last linear layer reads; "" is the input.
    channel : int
        Of the layer.
    space : "activation" or "relevance"
        What samples are compared by: channels' mean activation, or the direction of their relevance for the target.
        Default: relevance for ``by="relevance"``, else activation.
    share : float
        0 to 1; never fewer than k.
    criticisms : int
        How many members to find that the prototypes represent worst and that differ from each other.
    members : "predicted", "positive", "labelled", "all", or (N,) booleans
        Who belongs to the class: those the model says it of (of a model with one output, all), those with an explained
        output above 0 (for a logit of yes or no), those labelled so, or those given.
    rows : callable
        For graph models: from a batch's inputs to the sample of each row of the layer's output.
    composite, on_unknown
        As in :func:`sciexplain.explain`.
    channel_axis
        As in :func:`sciexplain.concepts.conditional`.
    batch_size : int
        For tensors and data sets; the result is the same.
    limit : int
        Members to keep; of more, this many are drawn at random, and the best ``share`` of it by score is kept besides.
    seed : int
        Of that draw.

    Returns
    -------
    Prototypes

    Raises
    ------
    InputError, DataError, TargetError, ModelError, RuleError, UnknownOperationError

    References
    ----------
    Kim et al. 2016, *Examples are not enough, learn to criticize!*, NeurIPS. Achtibat et al. 2023, Nature Machine
    Intelligence 5 (RelMax).

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> points = torch.randn(200, 2)
    >>> p = sx.prototypes(model, points, target=1, k=3, criticisms=2)
    >>> len(p), len(p.criticisms), bool((model(points[list(p.indices)]).argmax(1) == 1).all())
    (3, 2, True)
    """
    model, target = original(model), class_target(target)
    samples = Samples(data, model, batch_size)
    if layer is None:
        layer = read_by_the_last_layer(model, samples.first().inputs)
    view = View(
        model, target, layer, space or ("relevance" if by == "relevance" else "activation"), channel,
        composite, on_unknown, channel_axis, rows,
    )  # fmt: skip
    return choose(
        view.over(samples), view, k, by=by, share=share, criticisms=criticisms, members=members, limit=limit, seed=seed
    )


def choose(
    parts: Iterable[Points],
    view: View,
    k: int,
    *,
    by: By,
    share: float = 0.25,
    criticisms: int = 0,
    members: Members = "predicted",
    limit: int = 10_000,
    seed: int = 0,
) -> Prototypes:
    """:func:`prototypes` of points as they come."""
    if by not in ("activation", "relevance", "mmd"):
        raise InputError(f'by={by!r}: expected "activation", "relevance" or "mmd".')
    if not hasattr(k, "__index__") or k < 1 or criticisms < 0 or not 0 <= share <= 1 or limit < max(k, 2):
        raise InputError(
            f"k={k}, criticisms={criticisms}, share={share}, limit={limit}: expected a whole k ≥ 1, criticisms ≥ 0, "
            "share 0 to 1, and a limit of at least k and 2."
        )
    best = max(k, int(share * limit)) if by != "mmd" else 0
    all_of, top = Pool(limit, seed), Pool(best, seed)
    count = total = 0
    for points in parts:
        index = torch.arange(total, total + len(points.scores))
        belongs = belonging(members, view.target, points.explained, points.predicted, points.labels, index)
        all_of.add(index, belongs, points, order=None)
        top.add(index, belongs, points, order=-points.scores)
        count, total = count + int(belongs.sum()), total + len(index)
    if not isinstance(members, str) and len(members) != total:
        raise InputError(f"members has {len(members)} booleans for {total} samples.")
    if count < k:
        raise DataError(
            f"{count} of {total} samples are members of target={view.target!r} ({named(members)}); expected at least "
            f"k={k}."
        )
    everyone = all_of.kept()
    candidates = everyone if by == "mmd" else top.kept(min(max(k, int(np.ceil(share * count))), best))
    return _chosen(view, by, k, criticisms, everyone, candidates, count, total, seed)


def _chosen(
    view: View, by: By, k: int, criticisms: int, everyone: Kept, candidates: Kept, count: int, total: int, seed: int
) -> Prototypes:
    points = everyone.features
    bandwidth = median_distance(points, seed)
    if by == "mmd":
        picked = mmd_prototypes(points, k, bandwidth)
    else:
        picked = spread_over(points, candidates.features, k, bandwidth)
    indices, features = candidates.indices[picked], candidates.features[picked]
    far, nearest = distances(points, features).min(1)
    place = {int(i): row for row, i in enumerate(everyone.indices)}
    barred = [place[i] for i in indices.tolist() if i in place]
    worst = mmd_criticisms(points, features, criticisms, bandwidth, barred) if criticisms else []
    return Prototypes(
        indices=tuple(indices.tolist()),
        scores=candidates.scores[picked],
        features=features,
        criticisms=tuple(everyone.indices[worst].tolist()),
        coverage=float(rbf(points, features, bandwidth).amax(1).mean()),
        members=everyone.indices,
        distances=far,
        nearest=nearest,
        count=count,
        total=total,
        bandwidth=bandwidth,
        by=by,
        view=view,
    )
