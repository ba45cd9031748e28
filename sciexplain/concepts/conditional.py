"""Relevance that passes given channels or subspaces on its way: concept relevance propagation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import Tensor

from ..composites import Composite
from ..engine.base import OnUnknown, UnknownOperation
from ..engine.programs import never_compiled, original
from ..errors import InputError
from ..explanation import Tensors
from ..inputs import Inputs
from ..targets import Target, normalized, rows_of
from .journey import ChannelAxis, Journey, Leg, travelling, waypoints_for
from .projections import ChannelSet, Condition, Subspace, projection_of


@dataclass(frozen=True)
class ConditionalRelevance:
    """Relevance of a batch that passes the conditions.

    Attributes
    ----------
    relevance : Tensor, or tuple or dict of Tensors
        Structure and shapes of the inputs.
    conditions : dict
        As given.
    passed : dict of Tensor, (rows,)
        For each layer with a condition, what has passed it and all above it: one number for each row of its output, the
        samples of most models, the nodes of graph models. What the lowest passes is the sum of ``relevance``, less what
        biases below it take.
    score : Tensor, shape (N,)
        The relevance that started, in the unit of the output.
    target : Tensor, shape (N,), or None
    output : Tensor
        What was explained.
    unknown : tuple of UnknownOperation
        Operations without a rule: name, module, count.
    """

    relevance: Tensors
    conditions: Mapping[str, Any]
    passed: Mapping[str, Tensor]
    score: Tensor
    target: Tensor | None
    output: Tensor
    unknown: tuple[UnknownOperation, ...] = ()

    def __repr__(self) -> str:
        return f"ConditionalRelevance({len(self.score)} samples, through {', '.join(map(repr, self.passed))})"


@overload
def conditional(
    model: Callable[..., Any], inputs: Any, target: Target = None, conditions: Mapping[str, Condition] = ...,
    *, composite: Composite | str | None = None, channel_axis: ChannelAxis = None, on_unknown: OnUnknown = "warn",
    batch_size: int | None = None,
) -> ConditionalRelevance: ...  # fmt: skip
@overload
def conditional(
    model: Callable[..., Any], inputs: Any, target: Target, conditions: Sequence[Mapping[str, Condition]],
    *, composite: Composite | str | None = None, channel_axis: ChannelAxis = None, on_unknown: OnUnknown = "warn",
    batch_size: int | None = None,
) -> tuple[ConditionalRelevance, ...]: ...  # fmt: skip
@never_compiled
def conditional(
    model: Callable[..., Any],
    inputs: Tensor | tuple[Any, ...] | dict[str, Any],
    target: Target = None,
    conditions: Mapping[str, Condition] | Sequence[Mapping[str, Condition]] = (),
    *,
    composite: Composite | str | None = None,
    channel_axis: ChannelAxis = None,
    on_unknown: OnUnknown = "warn",
    batch_size: int | None = None,
) -> ConditionalRelevance | tuple[ConditionalRelevance, ...]:
    r"""The part of an explanation that goes through given channels or subspaces of layers (CRP).

    Relevance over activation :math:`c` at the output of a layer is projected, :math:`c \to P c`, before it goes on. For
    channels :math:`P` keeps theirs, as in the paper; for a subspace with orthonormal basis :math:`U` it is
    :math:`U U^\top`, so that relevance is that of the activations' part in the subspace. Conditions on several layers
    form a chain. Only what passes all of them counts: relevance that takes a way around a layer, such as a skip
    connection, belongs to none of its channels. Over all channels of a layer, or over orthogonal subspaces that
    together fill it, conditional relevance sums to that which passes the layer, which is all of it where every way from
    the input to the output does.

    Parameters
    ----------
    model, inputs, target, composite, on_unknown, batch_size
        As in :func:`sciexplain.explain`; the model is explained in evaluation mode.
    conditions : dict, or sequence of dicts
        From a module's name to a channel, several, a mask of booleans (channels,), or the basis of a subspace as
        columns (channels, dimensions); a direction is a basis of one column. With several dicts there is one result for
        each, from one forward pass. A layer with a BatchNorm behind it has the output of both.
    channel_axis : int, or dict from names to ints
        Which dimension of a layer's output has the channels. None: as its module, or the last linear layer before,
        says.

    Returns
    -------
    ConditionalRelevance, or a tuple of them

    Raises
    ------
    InputError
        No such module, no such channel, a basis that does not fit; a subspace where channels are merged away.
    TargetError, ModelError, RuleError, UnknownOperationError
        As :func:`sciexplain.explain`.

    References
    ----------
    Achtibat et al. 2023, *From attribution maps to human-understandable explanations through Concept Relevance
    Propagation*, Nature Machine Intelligence 5. Subspaces: Chormai et al. 2024, *Disentangled explanations of neural
    network predictions by finding relevant subspaces*, IEEE TPAMI 46.

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> _ = torch.manual_seed(0)
    >>> linear = torch.nn.Linear
    >>> model = torch.nn.Sequential(linear(3, 4), torch.nn.ReLU(), linear(4, 2))
    >>> x = torch.randn(2, 3)
    >>> each = sx.concepts.conditional(model, x, 1, [{"0": channel} for channel in range(4)])
    >>> whole = sx.explain(model, x, 1).relevance
    >>> bool(torch.allclose(sum(e.relevance for e in each), whole, atol=1e-6))
    True
    """
    several = not isinstance(conditions, Mapping)
    listed = [conditions] if isinstance(conditions, Mapping) else list(conditions)
    if not listed or not all(listed):
        raise InputError(
            'conditions is empty; expected {"layer": channels}, or several of these, such as [{"layer": 0}, '
            '{"layer": 1}].'
        )
    projections = [{name: projection_of(name, value) for name, value in one.items()} for one in listed]
    model = original(model)
    given, target = Inputs.of(inputs, model), normalized(target)
    names = list(dict.fromkeys(name for one in listed for name in one))
    held = [n for n in names if any(isinstance(one.get(n), Subspace) for one in projections)]
    parts: list[list[ConditionalRelevance]] = []
    for rows, part in given.parts(batch_size):
        with travelling():
            waypoints, own = waypoints_for(names, channel_axis, held), rows_of(target, rows, given.batch_size)
            journey = Journey(model, part, own, waypoints, composite=composite, on_unknown=on_unknown)
            parts.append(_answers(journey, part, listed, projections))
    results = tuple(_joined(given, each) for each in zip(*parts, strict=True))
    return results if several else results[0]


def _answers(
    journey: Journey,
    inputs: Inputs,
    conditions: Sequence[Mapping[str, Any]],
    projections: Sequence[Mapping[str, ChannelSet | Subspace]],
) -> list[ConditionalRelevance]:
    """Legs that conditions share are travelled once."""
    start = journey.start
    known: dict[Any, Leg] = {}
    found = []
    for given, wanted in zip(conditions, projections, strict=True):
        fitted = {n: p.fitted(n, journey.waypoints[n].channels) for n, p in wanted.items()}
        order, leg, passed = [n for n in journey.names if n in fitted], journey.leg, {}
        for place, name in enumerate(order):
            before = {n: fitted[n] for n in order[:place]}
            # a module that runs more than once is passed under the conditions still to come, too
            shared = len(journey.waypoints[name].entries) == 1
            key = (name, tuple((n, p.key) for n, p in (before if shared else fitted).items()))
            with journey.letting_through(fitted):
                if key not in known:
                    known[key] = journey.to(name, leg)
            leg = known[key]
            passed[name] = journey.projected(name, leg, fitted[name])
        with journey.letting_through(fitted):
            relevance = journey.at_inputs(leg)
        found.append(
            ConditionalRelevance(
                relevance=inputs.rebuild({k: r.detach() for k, r in relevance.items()}),
                conditions=given,
                passed=passed,
                score=start.score,
                target=start.target,
                output=journey.output,
                unknown=journey.unknown,
            )
        )
    return found


def _joined(given: Inputs, parts: Sequence[ConditionalRelevance]) -> ConditionalRelevance:
    if len(parts) == 1:
        return parts[0]
    first, relevance = parts[0], {}
    for name, _ in given.tensors():
        each = [given.named(p.relevance)[name] for p in parts]
        relevance[name] = torch.cat(each) if given.is_batched(name) else torch.stack(each).sum(0)
    targets = [p.target for p in parts if p.target is not None]
    return ConditionalRelevance(
        relevance=given.rebuild(relevance),
        conditions=first.conditions,
        passed={name: torch.cat([p.passed[name] for p in parts]) for name in first.passed},
        score=torch.cat([p.score for p in parts]),
        target=torch.cat(targets) if targets else None,
        output=torch.cat([p.output for p in parts]),
        unknown=tuple({u[:2]: u for p in parts for u in p.unknown}.values()),
    )
