"""DeepLIFT and DeepSHAP: the difference from a reference, shared out by multipliers that add up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Any, Literal

import torch
from torch import Tensor

from ..engine import tags
from ..engine.base import OnUnknown
from ..engine.call import tensors_in
from ..engine.casts import FullPrecision
from ..engine.ledger import Row
from ..engine.reference import DeepLift
from ..errors import InputError, RuleError
from ..inputs import Inputs, buffers_restored
from ..linear_layer import Account
from ..targets import Target, explained_output, start
from .part import Part, convergence_error, gradients_to, integers_without_embedding

Rule = Literal["rescale", "reveal_cancel"]
Reference = float | Tensor | tuple[Any, ...] | Mapping[str, Any] | None


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
    given = {k: _one_reference(r, v, k) for k, v, r in _by_input(inputs, reference)}
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
    given = {k: _many_references(r, v, k) for k, v, r in _by_input(inputs, references)}
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
    leaves = inputs.leaves()
    engine = DeepLift(
        on_unknown=on_unknown, ledger=ledger, reveal_cancel=rule == "reveal_cancel", roots=leaves.values()
    )
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
        if callable(target):  # may be anything, so that its operations have multipliers too
            explained = target(output)
    if callable(target):
        begin = start(output, lambda _: explained, inputs.batch_size)
    else:
        begin = start(output, target, inputs.batch_size)
        explained = explained_output(output)
    fixed = target if callable(target) else begin.fixed
    engine.find_hidden([explained])
    if engine.tokens.joined:
        engine.decisions.update(engine.token_decisions)
    engine.decisions.update(u.operation for u in engine.unknown if u.operation.startswith("hidden"))
    roots = {**leaves, **shadows}
    references = [{k: r[k] for k in slots} for r in references]  # the rest, such as masks, is as it is
    relevance = {k: torch.zeros(v.shape, dtype=_dtype(v, begin.score), device=v.device) for k, v in inputs.tensors()}
    replayed = torch.zeros_like(begin.score)
    ends = {s: t for t in tensors_in(_plain(output)) if (s := engine.tape.slot_of(t)) is not None}
    count = len(references)
    structure: set[str] = set()
    for i, reference in enumerate(references):
        values = engine.tape.replay(((slots[k], reference[k].clone()) for k in slots), ends)
        found = gradients_to(
            begin.objective, list(roots.values()), {} if leaves else integers, keep_graph=i + 1 < count
        )
        for (name, root), m in zip(roots.items(), found, strict=True):
            if m is None:
                structure.add(name)  # integers that nothing turned into numbers stay as they are
                continue
            change = m if name in shadows else m * (root.detach() - reference[name])
            relevance[name] += change.to(relevance[name].dtype) / count
        swapped = _replaced(output, {id(t): values[s] for s, t in ends.items()})
        replayed += start(swapped, fixed, inputs.batch_size).score / count
    moved = [{k: v for k, v in r.items() if k not in structure or k in leaves} for r in references]
    at_reference = _mean_score(model, inputs, moved, fixed) if engine.decisions else replayed
    engine.report_unknown()
    rows = None
    if engine.rows is not None:
        rows = [_closed(row, count) for row in engine.rows]
        rows.append(_constant("reference", "the score at the reference", "bias", at_reference))
        if engine.decisions:
            treatment = f"the sample's decisions hold for the reference: {', '.join(sorted(engine.decisions))}"
            rows.append(_constant("reference", treatment, "unruled", replayed - at_reference))
    return Part(
        relevance=relevance,
        output=explained.detach(),
        target=begin.target,
        score=begin.score,
        rows=rows,
        unknown=tuple(engine.unknown),
        convergence_error=convergence_error(begin.score - at_reference, relevance, inputs),
    )


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
    model: Callable[..., Any], inputs: Inputs, references: list[dict[str, Tensor]], fixed: Target
) -> Tensor:
    """Of the model itself, which is free to decide otherwise on the references.

    Below a function mode, even an idle one, torch's modules do not take their fused paths, which differ on padding.
    """
    with torch.no_grad(), buffers_restored(model), FullPrecision():
        try:
            outputs = [inputs.replaced({k: v.clone() for k, v in r.items()}).call(model) for r in references]
        except Exception as error:
            raise InputError(
                f"The model does not take the reference ({error}). It decides by its input, so that the reference must "
                "be one that it takes."
            ) from error
        return torch.stack([start(o, fixed, inputs.batch_size).score for o in outputs]).mean(0)


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


# -- references ----------------------------------------------------------------------------------------------------


def _by_input(inputs: Inputs, given: Any) -> Iterator[tuple[str, Tensor, Any]]:
    """Name, value and reference of each input."""
    tensors = dict(inputs.tensors())
    if isinstance(given, Mapping):
        unfit = sorted(set(map(str, given)) - set(tensors))
        named = dict(given)
    elif isinstance(given, tuple | list):
        unfit = [str(i) for i, r in enumerate(given) if str(i) not in tensors and r is not None]
        named = {str(i): r for i, r in enumerate(given)}
    else:
        several = isinstance(given, Tensor) and len([t for t in tensors.values() if t.is_floating_point()]) > 1
        unfit = ["one tensor"] if several else []
        floats = [k for k, t in tensors.items() if t.is_floating_point()] or list(tensors)
        named = dict.fromkeys(floats, given)
    if unfit:
        raise InputError(
            f"The references are for {', '.join(unfit)}; the inputs are {', '.join(tensors)}. Give references in the "
            "structure of the inputs."
        )
    for name, value in tensors.items():
        yield name, value.detach(), named.get(name)


def _one_reference(given: Any, like: Tensor, name: str) -> Tensor:
    return _fitted(0 if given is None else given, like, like.shape, name)


def _many_references(given: Any, like: Tensor, name: str) -> Tensor:
    if not isinstance(given, Tensor) or given.ndim != like.ndim + 1 or given.shape[1] < 1:
        shape = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise InputError(
            f"references of {name!r}: got {shape}; expected a tensor (N, K, *input shape) with K references for each "
            f"of the N samples, here ({like.shape[0]}, K, {', '.join(map(str, like.shape[1:]))})."
        )
    return _fitted(given, like, torch.Size((like.shape[0], *given.shape[1:2], *like.shape[1:])), name)


def _fitted(given: Any, like: Tensor, shape: torch.Size, name: str) -> Tensor:
    values = torch.as_tensor(given, device=like.device).detach()
    if values.is_floating_point() and not bool(torch.isfinite(values).all()):
        raise InputError(f"The reference of {name!r} has values that are NaN or infinite.")
    if values.is_floating_point() and not like.is_floating_point() and bool((values != values.round()).any()):
        raise InputError(f"The reference of {name!r} has fractions, but the input is {like.dtype}.")
    try:
        return values.to(like.dtype).expand(shape)
    except RuntimeError:
        raise InputError(
            f"The reference of {name!r} has shape {tuple(values.shape)}; expected {tuple(shape)}, or what broadcasts "
            "to it."
        ) from None
