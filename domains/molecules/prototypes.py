"""Molecules that stand for what a model says, and those that they do not explain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import sciexplain as sx
from sciexplain.domains.captions import number
from sciexplain.domains.molecules.collection import Collection
from sciexplain.domains.molecules.draw import Drawing
from sciexplain.domains.molecules.explain import explain
from sciexplain.domains.molecules.grid import grid
from sciexplain.inputs import Inputs
from sciexplain.limits import Limits, compare
from sciexplain.membership import ClassTarget, Members, class_target
from sciexplain.prototypes import By, Prototypes, choose
from sciexplain.representations import Points, Space, View, read_by_the_last_layer
from sciexplain.samples import Batch


def prototypes(
    model: Any,
    molecules: Any,
    target: ClassTarget = None,
    k: int = 5,
    *,
    by: By = "activation",
    layer: str | None = None,
    channel: int | None = None,
    space: Space | None = None,
    share: float = 0.25,
    criticisms: int = 0,
    members: Members = "all",
    featurizer: Any = None,
    composite: sx.Composite | str | None = None,
    batch_size: int = 64,
    limit: int = 10_000,
    seed: int = 0,
) -> Prototypes:
    """Typical and diverse molecules for an output of a model.

    Parameters
    ----------
    model, molecules, featurizer, composite
        As in :func:`sciexplain.domains.molecules.explain`.
    target
        A column of the output, or a callable from the output to (N,); None: the only output.
    members
        As in :func:`sciexplain.prototypes`, but all by default, since columns are tasks more often than classes; for a
        logit of yes or no, ``"positive"``.
    k, by, layer, channel, space, share, criticisms, batch_size, limit, seed
        As in :func:`sciexplain.prototypes`; channels of atoms are averaged over a molecule, and their relevance summed.
    """
    collection = Collection(model, molecules, featurizer)
    space = space or ("relevance" if by == "relevance" else "activation")
    view = _view(collection, target, layer, space, channel, composite)
    return choose(
        _points(collection, view, batch_size), view, k,
        by=by, share=share, criticisms=criticisms, members=members, limit=limit, seed=seed,
    )  # fmt: skip


def prototype_limits(
    model: Any,
    molecules: Any,
    prototypes: Prototypes,
    *,
    layer: str | None = None,
    space: Space = "relevance",
    level: float = 0.05,
    threshold: float | None = None,
    views: int = 3,
    members: Members = "positive",
    featurizer: Any = None,
    composite: sx.Composite | str | None = None,
    batch_size: int = 64,
    limit: int = 10_000,
    seed: int = 0,
) -> Limits:
    """Which molecules the prototypes do not explain.

    Parameters
    ----------
    model, molecules, featurizer, composite, batch_size
        As in :func:`prototypes`.
    prototypes
        Found among these molecules.
    members
        As in :func:`sciexplain.prototypes`; the others calibrate the threshold. By default those with an explained
        output above 0, such as a logit for yes.
    layer, space, level, threshold, views, limit, seed
        As in :func:`sciexplain.prototype_limits`.
    """
    collection = Collection(model, molecules, featurizer)
    layer = prototypes.layer if layer is None else layer
    view = _view(collection, prototypes.target, layer, space, None, composite)
    return compare(
        _points(collection, view, batch_size), view, prototypes,
        level=level, threshold=threshold, views=views, members=members, limit=limit, seed=seed,
    )  # fmt: skip


def limits_figure(
    model: Any,
    molecules: Any,
    limits: Limits,
    *,
    featurizer: Any = None,
    composite: sx.Composite | str | None = None,
    columns: int = 4,
    title: str = "",
) -> Drawing:
    """Prototypes, the molecules nearest to them, and molecules that they do not explain, with the relevance of atoms.

    Parameters
    ----------
    model, molecules, featurizer, composite
        As given to :func:`prototype_limits`.
    limits
        What that returned.
    columns
        Molecules of each kind.
    """
    collection = Collection(model, molecules, featurizer)
    kinds = (("prototype", limits.prototypes or ()), ("explained", limits.typical), ("not explained", limits.missed))
    items, captions = [], []
    for name, indices in kinds:
        shown = indices[:columns]
        if not shown:
            continue
        answers = explain(collection.family, collection.graphs(shown), limits.view.target, composite)
        for index, a in zip(shown, answers, strict=True):
            far = "" if name == "prototype" else f", distance {number(limits.distance(index))}"
            items.append((collection.shown(index), a.atoms.detach().double().cpu().numpy(), None))
            captions.append(f"{name} #{index}: {number(float(a.score))}{far}")
    return grid(items, columns, captions=captions, title=title)


def _view(
    collection: Collection,
    target: ClassTarget,
    layer: str | None,
    space: Space,
    channel: int | None,
    composite: sx.Composite | str | None,
) -> View:
    if layer is None:
        first = collection.part([0])
        layer = read_by_the_last_layer(first.model, Inputs.of(first.inputs))
    model: Any = collection.family.model
    return View(model, class_target(target), layer, space, channel, composite)


def _points(collection: Collection, view: View, batch_size: int) -> Iterator[Points]:
    for part in collection.parts(batch_size):
        yield replace(view, model=part.model, rows=part.rows).of(Batch(Inputs.of(part.inputs), None))
