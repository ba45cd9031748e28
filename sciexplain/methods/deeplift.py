"""DeepLIFT and DeepSHAP: the difference from a reference, shared out by multipliers that add up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ..engine import tags
from ..engine.base import OnUnknown
from ..engine.call import tensors_in
from ..engine.ledger import Row
from ..engine.reference import DeepLift
from ..errors import InputError, RuleError
from ..inputs import Inputs, buffers_restored
from ..linear_layer import Account
from ..targets import Target, explained_output, start
from .part import Part, convergence_error, gradients_to, integers_without_embedding
from .references import Reference, by_input, many_references, one_reference

Rule = Literal["rescale", "reveal_cancel"]


def deeplift(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    reference: Reference = None,
    rule: Rule = "rescale",
    ledger: bool = False,
    on_unknown: OnUnknown = "warn",
) -> Part:
    r"""DeepLIFT: :math:`\sum_i R_i = f(x) - f(x_0)` for a reference :math:`x_0`.

    Nonlinear functions of one number take the rescale rule; products, maxima, softmax and normalisations have
    multipliers that add up as well. Shrikumar et al. 2017.

    Parameters
    ----------
    reference : number, Tensor, or tuple or dict of them
        Shaped like the input (or broadcast to it). Default: zeros; token 0 for integer inputs.
    rule : "rescale" or "reveal_cancel"
        For functions that follow a linear operation: one multiplier, or positive and negative contributions apart.
    """
    given = {k: one_reference(r, v, k) for k, v, r in by_input(inputs, reference)}
    return _multiplied(model, inputs, target, [given], rule, ledger, on_unknown)


def deepshap(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    references: Any,
    rule: Rule = "rescale",
    ledger: bool = False,
    on_unknown: OnUnknown = "warn",
) -> Part:
    """DeepSHAP: the mean of DeepLIFT over references. Lundberg & Lee 2017.

    One forward pass for the samples, and one forward and one backward pass per reference.

    Parameters
    ----------
    references : Tensor, or tuple or dict of Tensors, shape (N, K, *input shape)
        K references for each sample; shape (1, K, …) to share them.
    rule : "rescale" or "reveal_cancel"
        As for :func:`deeplift`.
    """
    given = {k: many_references(r, v, k) for k, v, r in by_input(inputs, references)}
    counts = {k: r.shape[1] for k, r in given.items()}
    if len(set(counts.values())) != 1:
        raise InputError(f"The inputs have different numbers of references: {counts}.")
    count = next(iter(counts.values()))
    sets = [{k: r[:, i].expand(inputs.values[k].shape) for k, r in given.items()} for i in range(count)]
    return _multiplied(model, inputs, target, sets, rule, ledger, on_unknown)


def _multiplied(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    references: list[dict[str, Tensor]],
    rule: Rule,
    ledger: bool,
    on_unknown: OnUnknown,
) -> Part:
    if rule not in ("rescale", "reveal_cancel"):
        raise RuleError(f'rule={rule!r}: expected "rescale" or "reveal_cancel".')
    run = _Pass.of(model, inputs, on_unknown=on_unknown, ledger=ledger, reveal_cancel=rule == "reveal_cancel")
    engine = run.engine
    if callable(target):  # may be anything, so that its operations have multipliers too
        with engine:
            explained = target(run.output)
        begin = start(run.output, lambda _: explained, inputs.batch_size)
    else:
        explained = explained_output(run.output)
        begin = start(run.output, target, inputs.batch_size)
    fixed: Target = target if callable(target) else begin.fixed
    engine.find_hidden([explained])
    relevance = {k: torch.zeros(v.shape, dtype=_dtype(v, begin.score), device=v.device) for k, v in inputs.tensors()}
    replayed, count = torch.zeros_like(begin.score), len(references)
    multipliers = {k: torch.zeros_like(relevance[k]) for k in run.leaves}
    moved = set(run.leaves)  # and integers that became numbers; others, such as edges, stay as they are
    for i, reference in enumerate(references):
        output = run.replayed(reference)
        replayed += start(output, fixed, inputs.batch_size).score / count
        for name, multiplier, change in run.changes(begin.objective, reference, keep_graph=i + 1 < count):
            relevance[name] += change.to(relevance[name].dtype) / count
            moved.add(name)
            if name in multipliers:
                multipliers[name] += multiplier / count
    decisions = engine.all_decisions()
    others = ({k: r[k] for k in moved} for r in references)
    at_reference = _mean_score(model, inputs, others, fixed) if decisions else replayed
    engine.report_unknown()
    rows = None
    if engine.rows is not None:
        rows = [_closed(row, count) for row in engine.rows]
        rows.append(_constant("reference", "the score at the reference", "bias", at_reference))
        if decisions:
            treatment = f"the sample's decisions hold for the reference: {', '.join(sorted(decisions))}"
            rows.append(_constant("reference", treatment, "unruled", replayed - at_reference))
    return Part(
        relevance=relevance,
        output=explained.detach(),
        target=begin.target,
        score=begin.score,
        rows=rows,
        unknown=tuple(engine.unknown),
        convergence_error=convergence_error(begin.score - at_reference, relevance, inputs),
        multipliers=multipliers,
    )


@dataclass(frozen=True)
class _Pass:
    """The model run on a batch by the engine."""

    engine: DeepLift
    output: Any
    leaves: dict[str, Tensor]
    integers: dict[str, Tensor]
    shadows: dict[str, Tensor]
    slots: dict[str, int]
    """Where the tape has each input; those it has not, such as masks, are the same for every reference."""

    @classmethod
    def of(cls, model: Callable[..., Any], inputs: Inputs, **options: Any) -> _Pass:
        leaves = inputs.leaves()
        engine = DeepLift(roots=leaves.values(), **options)
        integers = {k: v.clone() for k, v in inputs.integers().items()}
        shadows = {k: engine.tokens.add(v) for k, v in integers.items()}
        # a model may change its input in place, which autograd forbids for leaves
        copies = {k: tags.as_input(v.clone()) for k, v in leaves.items()}
        slots = {k: engine.tape.add(v) for k, v in {**copies, **integers}.items()}
        with buffers_restored(model), engine:
            try:
                output = inputs.replaced({**copies, **integers}).call(model)
            except RuntimeError as error:
                if integers and not leaves and not engine.tokens.joined:
                    raise integers_without_embedding(integers) from error
                raise
        return cls(engine, output, leaves, integers, shadows, slots)

    def replayed(self, reference: Mapping[str, Tensor]) -> Any:
        """The output of the same operations on ``reference``."""
        tape = self.engine.tape
        ends = {s: t for t in tensors_in(_plain(self.output)) if (s := tape.slot_of(t)) is not None}
        values = tape.replay(((slot, reference[k].clone()) for k, slot in self.slots.items()), ends)
        return _replaced(self.output, {id(t): values[s] for s, t in ends.items()})

    def changes(
        self, objective: Tensor, reference: Mapping[str, Tensor], *, keep_graph: bool
    ) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Of each input that matters, its multiplier, and that times its change, for the reference replayed last."""
        roots = {**self.leaves, **self.shadows}
        alone = {} if self.leaves else self.integers
        for (name, root), m in zip(
            roots.items(), gradients_to(objective, list(roots.values()), alone, keep_graph=keep_graph), strict=True
        ):
            if m is not None:
                yield name, m, m if name in self.shadows else m * (root.detach() - reference[name])


def _dtype(value: Tensor, score: Tensor) -> torch.dtype:
    return value.dtype if value.is_floating_point() else score.dtype


def _closed(row: Row, count: int) -> Row:
    """The mean over references; what the operation did not pass on is a leak, and has its name."""
    row.received, row.passed = row.received / count, row.passed / count
    row.close()
    return row


def _constant(operation: str, treatment: str, account: Account, amount: Tensor) -> Row:
    row = Row(operation, "", treatment)
    row.received = row.absorbed[account] = amount.sum(dtype=torch.float64).item()
    return row


def _mean_score(
    model: Callable[..., Any], inputs: Inputs, references: Iterable[dict[str, Tensor]], fixed: Target
) -> Tensor:
    """Of the model itself, which is free to decide otherwise on the references, as the engine runs it."""
    scores = []
    for reference in references:
        try:
            output = _Pass.of(model, inputs.replaced(reference), on_unknown="gradient").output
        except Exception as error:  # of the user's model
            raise InputError(
                f"The model does not take the reference ({error}). It decides by its input, so that the reference must "
                "be one that it takes."
            ) from error
        scores.append(start(output, fixed, inputs.batch_size).score)
    return torch.stack(scores).mean(0)


def _plain(output: Any) -> Any:
    return dict(output) if isinstance(output, Mapping) else output


def _replaced(output: Any, values: Mapping[int, Tensor]) -> Any:
    """The model's output with other tensors in it."""
    if isinstance(output, Tensor):
        return values.get(id(output), output)
    if isinstance(output, Mapping):
        other: Any = copy(output)
        for key, value in output.items():
            other[key] = _replaced(value, values)
        return other
    if isinstance(output, tuple | list):
        items = [_replaced(o, values) for o in output]
        return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)
    return output
