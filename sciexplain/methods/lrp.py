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
from ..errors import InputError
from ..inputs import Inputs, buffers_restored
from ..targets import Target, explained_output, start
from .part import Part, gradients_to, integers_without_embedding


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
        try:
            output = inputs.replaced({**copies, **integers}).call(model)
        except RuntimeError as error:
            if integers and not leaves and not engine.tokens.joined:
                raise integers_without_embedding(integers) from error
            raise
        if callable(target):
            explained, stepped_over = _stepped_over(output)
            begin = start(explained, target, inputs.batch_size)
            ends = [begin.objective]
    if not callable(target):
        explained, stepped_over = _stepped_over(explained_output(output))
        begin = start(explained, target, inputs.batch_size)
        ends = [explained]
    engine.find_hidden(ends)
    roots = {**leaves, **shadows}
    gradients = gradients_to(begin.objective, list(roots.values()), {} if leaves else integers)
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
        elif name in shadows:
            relevance[name] = c.to(begin.score.dtype)
        elif engine.yields_relevance:
            relevance[name] = c
        else:
            relevance[name] = value.detach() * c
    if engine.rows is not None:
        for row in engine.rows:
            row.close()
    return Part(
        relevance=relevance,
        output=next(tensors_in(explained), begin.score).detach(),
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
    if isinstance(output, tuple | list):
        pairs = [_stepped_over(o) for o in output]
        items, over = [o for o, _ in pairs], next((s for _, s in pairs if s), None)
        return (type(output)(*items) if hasattr(output, "_fields") else type(output)(items)), over
    if type(output) is dict:
        named = {k: _stepped_over(v) for k, v in output.items()}
        return {k: o for k, (o, _) in named.items()}, next((s for _, s in named.values() if s), None)
    return output, None
