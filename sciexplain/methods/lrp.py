"""Layer-wise relevance propagation with the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..composites import Composite
from ..engine import tags
from ..engine.call import tensors_in
from ..engine.mode import LRP, OnUnknown
from ..errors import InputError, ModelError
from ..inputs import Inputs, buffers_restored
from ..targets import Target, explained_output, start
from .part import Part


def lrp(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    composite: Composite | str,
    layers: Sequence[str],
    ledger: bool,
    on_unknown: OnUnknown,
) -> Part:
    """One forward pass inside the engine, one backward pass."""
    leaves = inputs.leaves()
    engine = LRP(composite, on_unknown=on_unknown, ledger=ledger, layers=layers, roots=leaves.values())
    integers = {k: v.detach() for k, v in inputs.tensors() if k not in leaves and v.dtype != torch.bool}
    shadows = {k: engine.tokens.add(v) for k, v in integers.items()}
    # a model may change its input in place, which autograd forbids for leaves
    copies = {k: tags.as_input(v.clone()) for k, v in leaves.items()}
    with buffers_restored(model), engine:
        output = inputs.replaced({**copies, **integers}).call(model)
        logits, stepped_over = _stepped_over(output)
        begin = start(logits, target)
    _check_connected(begin.objective, leaves, integers)
    engine.find_hidden([begin.objective])
    roots = {**leaves, **shadows}
    gradients = torch.autograd.grad(begin.objective, list(roots.values()), allow_unused=True)
    engine.report_unknown()
    if missing := engine.captures.missing():
        raise InputError(f"layers={missing}: no module of that name gave an output that depends on the input.")
    relevance: dict[str, Tensor] = {}
    found = dict(zip(roots, gradients, strict=True))
    for name, value in inputs.tensors():
        c = found.get(name)
        if c is None:
            like = value if value.is_floating_point() else begin.score
            relevance[name] = torch.zeros(value.shape, dtype=like.dtype, device=value.device)
        elif name in shadows or engine.yields_relevance:
            relevance[name] = c
        else:
            relevance[name] = value.detach() * c
    if engine.rows is not None:
        for row in engine.rows:
            row.close()
    explained = logits if callable(target) else explained_output(logits)
    first = next(tensors_in(explained), begin.score)
    return Part(
        relevance=relevance,
        output=first.detach(),
        target=begin.target,
        score=begin.score,
        layers={k: tuple(s.relevance for s in slots) for k, slots in engine.captures.slots.items()},
        rows=engine.rows,
        unknown=tuple(engine.unknown),
        stepped_over=stepped_over,
    )


def _stepped_over(output: Any) -> tuple[Any, str | None]:
    """The output with logits in the place of every final softmax or sigmoid, and the name of the first of those."""
    if isinstance(output, Tensor):
        if not output.requires_grad:
            return output, None
        tag = tags.tag_of(output)
        return (output, None) if tag.logits is None else (tag.logits, tag.squash)
    if type(output) in (tuple, list):
        pairs = [_stepped_over(o) for o in output]
        return type(output)(o for o, _ in pairs), next((s for _, s in pairs if s), None)
    if type(output) is dict:
        named = {k: _stepped_over(v) for k, v in output.items()}
        return {k: o for k, (o, _) in named.items()}, next((s for _, s in named.values() if s), None)
    return output, None


def _check_connected(objective: Tensor, leaves: dict[str, Tensor], integers: dict[str, Tensor]) -> None:
    if objective.requires_grad:
        return
    if integers and not leaves:
        kinds = ", ".join(f"{name} ({tuple(v.shape)}, {v.dtype})" for name, v in integers.items())
        raise InputError(
            f"The input is integer and meets no embedding: {kinds}. Integers stand for tokens or categories that an "
            "embedding turns into numbers; if these are numbers, pass them as floats: inputs.float()."
        )
    raise ModelError(
        "The explained output does not depend on the input through differentiable operations (was it computed under "
        "torch.no_grad(), detached, or by NumPy?)."
    )
