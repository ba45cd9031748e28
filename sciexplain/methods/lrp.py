"""Layer-wise relevance propagation with the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..composites import Composite
from ..engine import tags
from ..engine.base import OnUnknown
from ..engine.call import slopes_fixed, tensors_in
from ..engine.mode import LRP
from ..inputs import Inputs, buffers_restored
from ..targets import Start, Target, explained_output, start
from .part import Part, gradients_to, integers_without_embedding


def lrp(
    model: Callable[..., Any],
    inputs: Inputs,
    target: Target,
    *,
    composite: Composite | str | None = None,
    layers: Sequence[str] = (),
    ledger: bool = False,
    on_unknown: OnUnknown = "warn",
) -> Part:
    """One forward pass inside the engine, one backward pass."""
    run = Propagation(inputs, composite, layers=layers, ledger=ledger, on_unknown=on_unknown)
    return run.explained(model, target)


class Propagation:
    """A model's pass through the engine, and the relevance that flows back from it to the inputs.

    Parameters
    ----------
    inputs : Inputs
    composite : Composite, str or None
        None: ``"epsilon"``.
    **options
        Of :class:`~sciexplain.engine.LRP`.
    """

    def __init__(self, inputs: Inputs, composite: Composite | str | None = None, **options: Any) -> None:
        self.inputs, self._leaves = inputs, inputs.leaves()
        self.engine = LRP(composite or "epsilon", roots=self._leaves.values(), **options)
        self._integers = inputs.integers()
        self._shadows = {k: self.engine.tokens.add(v) for k, v in self._integers.items()}

    def forward(self, model: Callable[..., Any], finish: Callable[[Any], Any] = lambda output: output) -> Any:
        """The model's output, or what ``finish`` makes of it, in the engine as well."""
        # a model may change its input in place, which autograd forbids for leaves
        copies = {k: tags.as_input(v.clone()) for k, v in self._leaves.items()}
        if (twins := self.engine.twins) is not None:
            for name, copy in copies.items():
                twins.put(copy, self.inputs.values[name])
        with buffers_restored(model), self._slopes_fixed(), self.engine:
            try:
                output = self.inputs.replaced({**copies, **self._integers}).call(model)
            except RuntimeError as error:
                if self._integers and not self._leaves and not self.engine.tokens.joined:
                    raise integers_without_embedding(self._integers) from error
                raise
            return finish(output)

    @contextmanager
    def _slopes_fixed(self) -> Iterator[None]:
        token = slopes_fixed.set(self.engine.hops is not None or self.engine.twins is not None)
        try:
            yield
        finally:
            slopes_fixed.reset(token)

    def relevance(self, objective: Tensor, *, keep_graph: bool = False) -> dict[str, Tensor]:
        """At every tensor of the inputs, of their shapes, in the dtype of ``objective`` for integers."""
        return self.as_relevance(self.multipliers(objective, keep_graph=keep_graph), objective.dtype)

    def multipliers(
        self, objective: Tensor, *, keep_graph: bool = False, start: Tensor | None = None
    ) -> dict[str, Tensor | None]:
        """What flows back to the roots; with a ``start``, as :func:`~sciexplain.methods.part.gradients_to` says."""
        roots = self.roots
        integers = {} if self._leaves else self._integers
        gradients = gradients_to(objective, list(roots.values()), integers, keep_graph=keep_graph, start=start)
        return dict(zip(roots, gradients, strict=True))

    @property
    def roots(self) -> dict[str, Tensor]:
        """Where the graph of the explained output ends, by the names of the inputs."""
        return {**self._leaves, **self._shadows}

    def as_relevance(self, found: Mapping[str, Tensor | None], dtype: torch.dtype) -> dict[str, Tensor]:
        """Relevance from what flowed back to the roots, in ``dtype`` for integers."""
        relevance: dict[str, Tensor] = {}
        for name, value in self.inputs.tensors():
            c = found.get(name)
            if c is None:
                own = value.dtype if value.is_floating_point() else dtype
                relevance[name] = torch.zeros(value.shape, dtype=own, device=value.device)
            elif name in self._shadows:
                relevance[name] = c.to(dtype)
            else:
                values = value.detach() if self.engine.twins is None else value
                relevance[name] = c if self.engine.yields_relevance else values * c
        return relevance

    def begin(self, model: Callable[..., Any], target: Target) -> tuple[Any, str | None, Start]:
        """The forward pass: what is explained, what was stepped over to it, and where the backward pass begins."""
        samples = self.inputs.batch_size

        def begun(output: Any) -> tuple[Any, str | None, Start]:
            logits, stepped_over = _stepped_over(output)
            return logits, stepped_over, start(logits, target, samples)

        if callable(target):
            explained, stepped_over, begin = self.forward(model, begun)
            self.engine.find_hidden([begin.objective])
        else:
            explained, stepped_over, begin = begun(explained_output(self.forward(model)))
            self.engine.find_hidden([explained])
        return explained, stepped_over, begin

    def explained(self, model: Callable[..., Any], target: Target) -> Part:
        """Relevance for a target, with everything the engine has noted on the way."""
        engine = self.engine
        explained, stepped_over, begin = self.begin(model, target)
        found = self.multipliers(begin.objective)
        engine.report_unknown()
        engine.captures.check()
        if engine.rows is not None:
            for row in engine.rows:
                row.close()
        return Part(
            relevance=self.as_relevance(found, begin.objective.dtype),
            output=next(tensors_in(explained), begin.score).detach(),
            target=begin.target,
            score=begin.score,
            layers={k: tuple(s.relevance for s in slots) for k, slots in engine.captures.slots.items()},
            rows=engine.rows,
            unknown=tuple(engine.unknown),
            stepped_over=stepped_over,
            multipliers={}
            if engine.yields_relevance
            else {k: torch.zeros_like(v) if (c := found[k]) is None else c for k, v in self._leaves.items()},
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
