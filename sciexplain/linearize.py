"""A model as a chain of linear maps between sites: what walks, pairs and subgraphs are contractions of.

Once the engine has fixed the local slopes, every layer of a message-passing model is one linear map from the states of
its sites (atoms) to their next states. :func:`linearize` finds the layers of any model the engine handles, and gives
each map as its adjoint: what flows back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .composites import Composite
from .engine.base import OnUnknown, UnknownOperation, engines_suspended
from .engine.hops import Hops
from .engine.layers import layers
from .engine.programs import as_written, never_compiled, original
from .engine.routes import Crossing, Routes
from .errors import InputError
from .explanation import Tensors
from .inputs import Inputs
from .methods.lrp import Propagation
from .targets import Target, normalized

__all__ = ["Linearization", "linearize"]


class Linearization:
    """One forward pass, cut into layers that can be run backwards as often as wanted.

    Cut 0 is the input, cut ``depth`` is behind the last message passing. Slopes are relevance over activation; those at
    a cut are a list with one tensor for each of its tensors.

    Attributes
    ----------
    sites : int
    depth : int
        Message-passing layers on the longest way from input to output.
    output, score, target, stepped_over, unknown
        As in :class:`sciexplain.Explanation`.
    relevance : Tensor, or tuple or dict of Tensors
        Of the inputs.
    cuts : tuple of tuples of Crossing
        The tensors of the cuts 1 … depth, each with the ``place`` (site) of its rows.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        given: Inputs,
        target: Target,
        places: Mapping[str, Tensor | None],
        sites: int,
        composite: Composite | str | None,
        on_unknown: OnUnknown,
        keep: bool,
    ) -> None:
        self.sites, self._places = sites, dict(places)
        hops = Hops()
        self._run = Propagation(given, composite, hops=hops, on_unknown=on_unknown)
        explained, self.stepped_over, begin = self._run.begin(model, target)
        self.score, self.target = begin.score, begin.target
        self.output: Tensor = explained if isinstance(explained, Tensor) else begin.score
        self.output = self.output.detach()
        self._dtype = begin.objective.dtype
        roots = self._run.roots
        missing = [name for name in roots if name not in places]
        if missing:
            raise InputError(f"inputs {missing} are explained; expected their places= (None: one row for each site).")
        found = layers(begin.objective, hops, sites, [(root, places[name]) for name, root in roots.items()])
        self.cuts = tuple(map(tuple, found.cuts))
        self.depth = len(self.cuts)
        self._routes = found.routes
        hops.forget()
        self._backward(begin.objective, keep)
        self._run.engine.report_unknown()
        self.unknown: tuple[UnknownOperation, ...] = tuple(self._run.engine.unknown)

    def _backward(self, objective: Tensor, keep: bool) -> None:
        """All that one backward pass tells, and, by its own derivative, what comes forward from the input alone."""
        roots = self._run.roots
        cuts = [c for cut in self.cuts for c in cut]
        passing = [x for r in self._routes if r is not None for x in r.routes]
        wanted = [*roots.values(), *(c.tensor for c in cuts), *(r.tensor for r in passing)]
        try:
            one = torch.ones_like(objective).requires_grad_()  # so that what flows back is on a graph of its own
            found = _gradients([objective], wanted, [one], keep=True, differentiable=True)
        except RuntimeError:  # a rule that works in place
            found = _gradients([objective], wanted, [torch.ones_like(objective)], keep=keep)
        at_input = self._run.as_relevance(dict(zip(roots, found, strict=False)), self._dtype)
        slopes = found[len(roots) :]
        self._from_input = self._forward_from_input(at_input, slopes)
        self._at_input = {name: r.detach() for name, r in at_input.items()}
        self.relevance: Tensors = self._run.inputs.rebuild(self._at_input)
        each = iter([_or_zeros(s, t).detach() for s, t in zip(slopes, wanted[len(roots) :], strict=True)])
        self._slopes = [[next(each) for _ in cut] for cut in self.cuts]
        through = list(each)
        values = None if self._from_input is None else iter(self._from_input[len(cuts) :])
        rows = iter([] if values is None else [_summed(v * s) for v, s in zip(values, through, strict=True)])
        self._flows = [
            None if r is None or values is None else [(x.place, x.to, next(rows)) for x in r.routes]
            for r in self._routes
        ]
        if not keep:
            self.cuts = tuple(tuple(_detached(c) for c in cut) for cut in self.cuts)
            self._routes = []

    def _forward_from_input(self, at_input: Mapping[str, Tensor], slopes: list[Tensor | None]) -> list[Tensor] | None:
        """What the fixed linear maps make of the input, without what biases add, at all that ``slopes`` belong to.

        Relevance at the input is linear in the slopes anywhere, so that this is its gradient to them. None where a
        rule's backward pass cannot be differentiated.
        """
        total = self.by_site(at_input).sum()
        known = [s for s in slopes if s is not None]
        if not total.requires_grad or not all(s.requires_grad for s in known):
            return None
        try:
            found = iter(_gradients([total], known, [torch.ones_like(total)], keep=True))
        except RuntimeError:
            return None
        zero = torch.zeros((), dtype=self._dtype)
        forward = [zero if s is None or (f := next(found)) is None else f for s in slopes]
        count = 0
        for cut in self.cuts:  # everything goes through every cut
            here = slice(count, count := count + len(cut))
            each = [u * s.detach() for u, s in zip(forward[here], slopes[here], strict=True) if s is not None]
            sums, size = sum(e.sum() for e in each), sum(e.abs().sum() for e in each)
            if not bool((sums - total.detach()).abs() <= torch.finfo(self._dtype).eps ** 0.5 * size):
                return None
        return forward

    # -- what one backward pass tells ------------------------------------------------------------------------------

    def slopes(self, cut: int) -> list[Tensor]:
        """Relevance over activation at a cut (1 … depth)."""
        return list(self._slopes[cut - 1])

    def states(self, cut: int) -> list[Tensor] | None:
        """What the linear maps make of the input at a cut (1 … depth): the activations, less what biases added.

        Times the slopes there it is the relevance that gets through to the input. None where a rule of the composite
        cannot be run forwards.
        """
        if self._from_input is None:
            return None
        begin = sum(len(c) for c in self.cuts[: cut - 1])
        return self._from_input[begin : begin + len(self.cuts[cut - 1])]

    def at(self, cut: int) -> Tensor:
        """(sites,): relevance at a cut (0 … depth)."""
        if cut == 0:
            return self.by_site(self._at_input)
        return self._by_place(
            cut, [_relevance(c, s) for c, s in zip(self.cuts[cut - 1], self._slopes[cut - 1], strict=True)]
        )

    def reaching_input(self, cut: int, slopes: Sequence[Tensor] | None = None) -> Tensor:
        """(sites,): of the relevance of slopes at a cut, what will get through to the input."""
        states = self.states(cut)
        assert states is not None
        return self._by_place(cut, [u * s for u, s in zip(states, slopes or self._slopes[cut - 1], strict=True)])

    def reaching(self, cut: int, slopes: Sequence[Tensor]) -> Tensor:
        """:meth:`reaching_input`; where rules cannot be run forwards, with what biases below the cut will take."""
        if self._from_input is not None:
            return self.reaching_input(cut, slopes)
        return self._by_place(cut, [_relevance(c, s) for c, s in zip(self.cuts[cut - 1], slopes, strict=True)])

    def flows(self, layer: int) -> tuple[Tensor, Tensor, Tensor] | None:
        """(from, to, relevance), (rows,) each: what travels through layer 1 … depth and gets through to the input.

        None where the layer is more than rows looked up, worked on one by one, and summed, or a rule cannot be run
        forwards; then relevance from site to site has to be asked for with :meth:`pull`.
        """
        flows = self._flows[layer - 1]
        if flows is None:
            return None
        empty = torch.zeros(0, dtype=torch.long)
        start, end = torch.cat([empty, *(f[0] for f in flows)]), torch.cat([empty, *(f[1] for f in flows)])
        return start, end, torch.cat([torch.zeros(0, dtype=self._dtype), *(f[2] for f in flows)])

    # -- running backwards -----------------------------------------------------------------------------------------

    def pull(self, cut: int, slopes: Sequence[Tensor]) -> list[Tensor]:
        """Slopes at cut - 1 from slopes at ``cut`` (2 … depth): the adjoint of one layer."""
        found = self._pulled(cut, [c.tensor for c in self.cuts[cut - 1]], slopes, [])[0]
        assert isinstance(found, list)
        return found

    def pull_to_input(self, slopes: Sequence[Tensor]) -> Tensor:
        """(sites,): relevance at the input from slopes at cut 1."""
        found = self._pulled(1, [c.tensor for c in self.cuts[0]], slopes, [])[0]
        assert isinstance(found, Tensor)
        return found

    def routes(self, layer: int) -> Routes | None:
        """How rows travel through layer 1 … depth; None where only whole sites can be asked."""
        return self._routes[layer - 1]

    def pull_along(self, layer: int, slopes: Sequence[Tensor]) -> tuple[list[Tensor] | Tensor, list[Tensor]]:
        """What :meth:`pull` gives (:meth:`pull_to_input` for the first layer), and slopes at all rows on their way."""
        routes = self._routes[layer - 1]
        assert routes is not None
        return self._pulled(layer, [c.tensor for c in self.cuts[layer - 1]], slopes, [r.tensor for r in routes.routes])

    def pull_lookup(self, layer: int, route: int, slopes: Tensor) -> list[Tensor] | Tensor:
        """What slopes at the tensor that a route's rows were looked up in are at the cut before, or at the input."""
        routes = self._routes[layer - 1]
        assert routes is not None
        operand = routes.routes[route].operand
        assert operand is not None
        return self._pulled(layer, [operand], [slopes], [])[0]

    def _pulled(
        self, layer: int, outputs: list[Tensor], slopes: Sequence[Tensor], extra: list[Tensor]
    ) -> tuple[list[Tensor] | Tensor, list[Tensor]]:
        roots = self._run.roots
        ends = list(roots.values()) if layer == 1 else [c.tensor for c in self.cuts[layer - 2]]
        found = _gradients(outputs, [*ends, *extra], list(slopes), keep=True)
        at_end, rows = found[: len(ends)], [_or_zeros(f, t) for f, t in zip(found[len(ends) :], extra, strict=True)]
        if layer == 1:
            return self.by_site(self._run.as_relevance(dict(zip(roots, at_end, strict=True)), self._dtype)), rows
        return [_or_zeros(f, t) for f, t in zip(at_end, ends, strict=True)], rows

    def _by_place(self, cut: int, relevance: Sequence[Tensor]) -> Tensor:
        total = torch.zeros(self.sites, dtype=self._dtype)
        for crossing, r in zip(self.cuts[cut - 1], relevance, strict=True):
            total.index_add_(0, crossing.place, _summed(r).to(self._dtype).expand(len(crossing.place)))
        return total

    def by_site(self, relevance: Mapping[str, Tensor]) -> Tensor:
        """(sites,): relevance of inputs, by name, summed."""
        total = torch.zeros(self.sites, dtype=self._dtype)
        for name, r in relevance.items():
            if name in self._places:
                rows, place = _summed(r), self._places[name]
                total = total + rows if place is None else total.index_add(0, place, rows.to(self._dtype))
        return total


def _gradients(
    outputs: list[Tensor], inputs: list[Tensor], slopes: list[Tensor], *, keep: bool, differentiable: bool = False
) -> list[Tensor | None]:
    with torch.inference_mode(False), torch.enable_grad():
        return list(
            torch.autograd.grad(
                outputs, inputs, slopes, allow_unused=True, retain_graph=keep, create_graph=differentiable
            )
        )


def _or_zeros(slope: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if slope is None else slope


def _relevance(crossing: Crossing, slope: Tensor) -> Tensor:
    return slope if crossing.carries_relevance else crossing.tensor.detach() * slope


def _summed(values: Tensor) -> Tensor:
    """Over all but the rows."""
    return values.flatten(1).sum(1) if values.ndim > 1 else values


def _detached(crossing: Crossing) -> Crossing:
    return Crossing(crossing.tensor.detach(), crossing.place, crossing.carries_relevance)


@never_compiled
def linearize(
    model: Callable[..., Any],
    inputs: Tensor | tuple[Any, ...] | dict[str, Any],
    target: Target = None,
    *,
    sites: int,
    places: Mapping[str, Tensor | None],
    composite: Composite | str | None = None,
    on_unknown: OnUnknown = "warn",
    keep: bool = True,
) -> Linearization:
    """Cut a model into linear layers between sites, such as the atoms of molecules.

    Parameters
    ----------
    model, inputs, target, composite, on_unknown
        As in :func:`sciexplain.explain`, with all sites of a batch in the rows of the inputs.
    sites : int
        How many sites the batch has.
    places : dict
        For every explained input (one tensor alone is called ``"input"``; those in a tuple ``"0"``, ``"1"``, …): the
        site of each row, (rows,); None where the rows are the sites.
    keep : bool
        Keep the graph, so that the layers can be run backwards again; False frees its memory.

    Returns
    -------
    Linearization

    Raises
    ------
    ModelError
        When relevance flows around a layer through something that belongs to no site.
    InputError, TargetError, RuleError, UnknownOperationError
        As :func:`sciexplain.explain`.

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> source, to = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> def model(x):  # two rounds of messages on a path of three sites, summed
    ...     for _ in range(2):
    ...         x = torch.zeros_like(x).index_add(0, to, x[source])
    ...     return x.sum(0)
    >>> x = torch.tensor([[1.0], [2.0], [4.0]])
    >>> layers = sx.linearize(model, x, sites=3, places={"input": None})
    >>> layers.depth, layers.at(0).tolist(), layers.at(1).tolist()
    (2, [2.0, 4.0, 8.0], [2.0, 10.0, 2.0])

    References
    ----------
    Schnake et al. 2020, *Higher-order explanations of graph neural networks via relevant walks*, IEEE TPAMI 44.
    """
    given = Inputs.of(inputs, None)
    if unknown := sorted(set(places) - {name for name, _ in given.tensors()}):
        raise InputError(f"places names {unknown}, but the inputs are {[name for name, _ in given.tensors()]}.")
    for name, place in places.items():
        rows = given.values[name].shape[0]
        if place is None and rows != sites:
            raise InputError(f"input {name!r} has {rows} rows for {sites} sites; expected places[{name!r}] (rows,).")
        if place is not None and (place.shape != (rows,) or place.is_floating_point()):
            raise InputError(
                f"places[{name!r}] has shape {tuple(place.shape)} and {place.dtype}; expected one site for each of the "
                f"{rows} rows, as integers."
            )
        if place is not None and rows and not 0 <= int(place.min()) <= int(place.max()) < sites:
            raise InputError(f"places[{name!r}] goes from {int(place.min())} to {int(place.max())}; sites: {sites}.")
    with engines_suspended(), as_written, torch.inference_mode(False), torch.enable_grad():
        return Linearization(original(model), given, normalized(target), places, sites, composite, on_unknown, keep)
