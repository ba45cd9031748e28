"""LSTM and GRU with one autograd node for all steps but the first of each layer and direction.

A step written out is a dozen small operations that the engine takes one by one. Its gates are constants, so that only
the candidate and the state carry relevance: where nobody asks what happens inside, all values come without a graph,
and the backward pass goes through the steps with the same slopes and rules. The first step stays written out: only
there can the state be a constant (which makes its gate the signal), a gate, or the explained input itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...rules import Pass, Rule, ZBox
from .. import tags
from ..call import Call
from ..keep import Kept
from ..layer import Layer, keeps_graph
from ..maps import Dense
from ..precision import fine_dtype
from . import recurrent
from .recurrent import State, Step, Weights

if TYPE_CHECKING:
    from ..mode import LRP

Rules = tuple[Rule, Rule]
Matrix = tuple[Tensor, Tensor | None]
"""Weight and bias."""


@dataclass
class _Steps:
    """Steps that start from an active state, with rows of all steps one after another."""

    lrp: LRP
    rules: Rules
    weights: Weights
    spans: list[tuple[int, int]]
    """The rows of each step, in the order in which the steps are taken."""
    first_index: int = 0
    values: dict[str, Tensor] = field(default_factory=dict)

    layers_per_step = 1

    def forward(self, projected: Tensor, state: State, starts: State) -> tuple[Tensor, ...]:
        """Outputs in the rows' order, and the final state."""
        self.first_index = self.lrp.layer_count
        self.lrp.layer_count += self.layers_per_step * len(self.spans)
        out = self._allocate(projected, state)
        ended: list[State] = []
        for begin, end in self.spans:
            before, now = state[0].shape[0], end - begin
            if now < before:
                ended.append(tuple(s[now:] for s in state))
                state = tuple(s[:now] for s in state)
            elif now > before:
                state = tuple(torch.cat([s, start[before:now]]) for s, start in zip(state, starts, strict=True))
            state = self._step(begin, end, projected[begin:end], state, out[begin:end])
        return out, *(torch.cat(parts) for parts in zip(state, *reversed(ended), strict=True))

    def backward(
        self, to_out: Tensor | None, to_finals: list[Tensor], rows: int
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """What goes to the projected input, to the state of ``rows`` rows before, and to rows that begin later."""
        slopes = self._slopes()
        to_starts = [torch.zeros_like(m) for m in to_finals]
        counts = [rows, *(end - begin for begin, end in self.spans)]
        state = [m[: counts[-1]] for m in to_finals]
        for k in reversed(range(len(self.spans))):
            begin, end = self.spans[k]
            if to_out is not None:
                state[0] = state[0] + to_out[begin:end]
            state = self._step_back(k, begin, end, state, slopes)
            before, now = counts[k], counts[k + 1]
            if before > now:
                state = [torch.cat([m, last[now:before]]) for m, last in zip(state, to_finals, strict=True)]
            elif before < now:
                for m, start in zip(state, to_starts, strict=True):
                    start[before:now] = m[before:now]
                state = [m[:before] for m in state]
        return self._to_projected(slopes), state, to_starts

    def _allocate(self, projected: Tensor, state: State) -> Tensor:
        raise NotImplementedError

    def _step(self, begin: int, end: int, projected: Tensor, state: State, out: Tensor) -> State:
        raise NotImplementedError

    def _slopes(self) -> dict[str, Tensor]:
        raise NotImplementedError

    def _step_back(self, k: int, begin: int, end: int, state: list[Tensor], slopes: dict[str, Tensor]) -> list[Tensor]:
        raise NotImplementedError

    def _to_projected(self, slopes: dict[str, Tensor]) -> Tensor:
        raise NotImplementedError

    def _through_layer(self, number: int, c: Tensor, x: Tensor, z: Tensor, matrix: Matrix) -> Tensor:
        """``c`` of the product ``z`` with a matrix back to its input ``x``, by the rule."""
        weight, bias = matrix
        dtype = fine_dtype(z.dtype)
        keeps_x = any(rule.needs_input or rule.yields_relevance for rule in self.rules)
        layer = Layer(
            lrp=self.lrp,
            index=self.first_index + number,
            op="linear",
            map=Dense(),
            rules=self.rules,
            port=x,
            stage=tags.DEEP,
            raw_weight=weight,
            bias=None if bias is None else bias.to(dtype),
            kept_x=Kept(x) if keeps_x else None,
            kept_z=Kept(z),
            dtype=dtype,
        )
        return layer.propagate(c)

    def _candidate(self, part: int, parts: int) -> Matrix:
        """The rows of the recurrent product that make the candidate: of a rule, each row is its own matter."""
        w, b = self.weights.w_hh, self.weights.b_hh
        return w.chunk(parts)[part], None if b is None else b.chunk(parts)[part]


class _LSTM(_Steps):
    """``c' = f c + i tanh(g)``, ``h' = o tanh(c')``."""

    @property
    def layers_per_step(self) -> int:  # type: ignore[override]  # read-only here
        return 1 if self.weights.w_hr is None else 2

    def _allocate(self, projected: Tensor, state: State) -> Tensor:
        h, c = state
        rows, hidden = projected.shape[0], c.shape[-1]
        for name, width in {"gates": 4 * hidden, "h": h.shape[-1], "product": hidden, "g": hidden}.items():
            self.values[name] = projected.new_empty(rows, width)
        for name in ("tanh_g", "c", "tanh_c"):
            self.values[name] = projected.new_empty(rows, hidden)
        out = projected.new_empty(rows, h.shape[-1])
        if self.weights.w_hr is not None:
            # detached, or the node that returns it would hold itself
            self.values.update(wide=projected.new_empty(rows, hidden), out=out.detach())
        return out

    def _step(self, begin: int, end: int, projected: Tensor, state: State, out: Tensor) -> State:
        v, (h, c), weights = {k: t[begin:end] for k, t in self.values.items()}, state, self.weights
        hidden = c.shape[-1]
        product = F.linear(h, weights.w_hh, weights.b_hh)
        v["h"].copy_(h)
        v["product"].copy_(product[:, 2 * hidden : 3 * hidden])
        pre = product.add_(projected)
        g = v["g"].copy_(pre[:, 2 * hidden : 3 * hidden])
        i, f, _, o = torch.sigmoid(pre, out=v["gates"]).chunk(4, -1)
        c = torch.mul(f, c, out=v["c"]).addcmul_(i, torch.tanh(g, out=v["tanh_g"]))
        tanh_c = torch.tanh(c, out=v["tanh_c"])
        if weights.w_hr is None:
            return torch.mul(o, tanh_c, out=out), c
        return out.copy_(F.linear(torch.mul(o, tanh_c, out=v["wide"]), weights.w_hr)), c

    def _slopes(self) -> dict[str, Tensor]:
        v = self.values
        i, f, _, o = v["gates"].chunk(4, -1)
        return {
            "forget": f,
            "to_g": _secant(v["g"], v["tanh_g"]).mul_(i),
            "to_c": _secant(v["c"], v["tanh_c"]).mul_(o),
            "g": torch.empty_like(v["g"]),
        }

    def _step_back(self, k: int, begin: int, end: int, state: list[Tensor], slopes: dict[str, Tensor]) -> list[Tensor]:
        (h, c), v, rows = state, self.values, slice(begin, end)
        number = k * self.layers_per_step
        if self.weights.w_hr is not None:
            h = self._through_layer(number + 1, h, v["wide"][rows], v["out"][rows], (self.weights.w_hr, None))
        c = torch.addcmul(c, h, slopes["to_c"][rows])
        g = torch.mul(c, slopes["to_g"][rows], out=slopes["g"][rows])
        h = self._through_layer(number, g, v["h"][rows], v["product"][rows], self._candidate(2, 4))
        return [h, c * slopes["forget"][rows]]

    def _to_projected(self, slopes: dict[str, Tensor]) -> Tensor:
        return F.pad(slopes["g"], (2 * slopes["g"].shape[-1], slopes["g"].shape[-1]))


class _GRU(_Steps):
    """``h' = (1 − z) tanh(a + r (W h + b)) + z h``."""

    def _allocate(self, projected: Tensor, state: State) -> Tensor:
        rows, hidden = projected.shape[0], state[0].shape[-1]
        self.values["gates"] = projected.new_empty(rows, 2 * hidden)
        for name in ("h", "product", "pre", "tanh"):
            self.values[name] = projected.new_empty(rows, hidden)
        return projected.new_empty(rows, hidden)

    def _step(self, begin: int, end: int, projected: Tensor, state: State, out: Tensor) -> State:
        v, (h,) = {k: t[begin:end] for k, t in self.values.items()}, state
        hidden = h.shape[-1]
        product = F.linear(h, self.weights.w_hh, self.weights.b_hh)
        v["h"].copy_(h)
        candidate = v["product"].copy_(product[:, 2 * hidden :])
        gates = torch.sigmoid(product[:, : 2 * hidden] + projected[:, : 2 * hidden], out=v["gates"])
        r, z = gates.chunk(2, -1)
        pre = torch.addcmul(projected[:, 2 * hidden :], r, candidate, out=v["pre"])
        n = torch.tanh(pre, out=v["tanh"])
        return (torch.mul(1 - z, n, out=out).addcmul_(z, h),)

    def _slopes(self) -> dict[str, Tensor]:
        v = self.values
        r, z = v["gates"].chunk(2, -1)
        return {"reset": r, "keep": z, "n": _secant(v["pre"], v["tanh"]).mul_(1 - z), "a": torch.empty_like(v["h"])}

    def _step_back(self, k: int, begin: int, end: int, state: list[Tensor], slopes: dict[str, Tensor]) -> list[Tensor]:
        (h,), v, rows = state, self.values, slice(begin, end)
        a = torch.mul(h, slopes["n"][rows], out=slopes["a"][rows])
        through = self._through_layer(
            k, a * slopes["reset"][rows], v["h"][rows], v["product"][rows], self._candidate(2, 3)
        )
        return [torch.addcmul(through, h, slopes["keep"][rows])]

    def _to_projected(self, slopes: dict[str, Tensor]) -> Tensor:
        return F.pad(slopes["a"], (2 * slopes["a"].shape[-1], 0))


def _secant(z: Tensor, y: Tensor) -> Tensor:
    """The slope ``tanh(z) / z``, 1 at 0."""
    return torch.where(z == 0, 1.0, y / z)


class _Rest(torch.autograd.Function):
    """(projected, state, starts) → (outputs, final state)."""

    @staticmethod
    def forward(ctx: Any, steps: _Steps, size: int, projected: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        ctx.steps, ctx.size, ctx.rows = steps, size, states[0].shape[0]
        ctx.set_materialize_grads(False)
        out, *finals = steps.forward(projected, states[:size], states[size:])
        ctx.like = [torch.empty((), dtype=f.dtype, device=f.device).expand(f.shape) for f in finals]
        return out, *finals

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_out: Tensor | None, *to_finals: Tensor | None) -> tuple[Tensor | None, ...]:
        steps = ctx.steps
        if steps is None:
            raise RuntimeError("Relevance was propagated a second time; keep the graph with retain_graph=True.")
        finals = [
            torch.zeros_like(v, memory_format=torch.contiguous_format) if m is None else m
            for m, v in zip(to_finals, ctx.like, strict=True)
        ]
        with torch._C.DisableTorchFunction():
            projected, state, starts = steps.backward(to_out, finals, ctx.rows)
        if not keeps_graph():
            ctx.steps = None
        wanted = ctx.needs_input_grad[3 + ctx.size :]
        return None, None, projected, *state, *(m if w else None for m, w in zip(starts, wanted, strict=False))


def _fused(lrp: LRP, kind: Callable[..., _Steps]) -> recurrent.Run:
    """How to run one direction of one layer."""

    def run(
        step: Step, x: Tensor, sizes: list[int] | None, starts: State, weights: Weights, reverse: bool
    ) -> tuple[Tensor, State]:
        rules = _rules(lrp)
        steps = x.shape[0] if sizes is None else len(sizes)
        tensors = (x, *starts, *(w for w in weights if w is not None))
        if (
            steps < 2
            or not all(map(_separates_outputs, rules))
            or torch.is_autocast_enabled(x.device.type)
            or any(w is not None and w.requires_grad for w in weights)
            or any(t.dtype != x.dtype for t in tensors)
        ):
            return recurrent.run_steps(step, x, sizes, starts, weights, reverse)
        projected = F.linear(x, weights.w_ih, weights.b_ih)
        counts = [x.shape[1]] * steps if sizes is None else sizes
        flat = projected.flatten(0, 1) if sizes is None else projected
        count = counts[-1 if reverse else 0]
        total = flat.shape[0]
        own, others = (
            (slice(total - count, total), slice(0, total - count))
            if reverse
            else (
                slice(0, count),
                slice(count, total),
            )
        )
        state = step(flat[own], tuple(s[:count] for s in starts) if sizes is not None else starts, weights)
        others_counts = counts[:-1] if reverse else counts[1:]
        edges = [0]
        for n in others_counts:
            edges.append(edges[-1] + n)
        spans = list(pairwise(edges))[:: -1 if reverse else 1]
        later: State = ()
        rest = flat[others]
        with torch._C.DisableTorchFunction():
            if max(counts) > count:  # samples that begin later
                later = tuple(lrp.entering(s) if s.requires_grad and lrp.carries_relevance(s) else s for s in starts)
            part, *finals = cast(
                tuple[Tensor, ...],
                _Rest.apply(kind(lrp, rules, weights, spans), len(state), rest, *state, *later),
            )
            tags.put(part, tags.Tag(tags.DEEP), [rest, *state, *later])
        out = torch.cat([part, state[0]] if reverse else [state[0], part])
        return (out.unflatten(0, (steps, -1)) if sizes is None else out), tuple(finals)

    return run


def _rules(lrp: LRP) -> Rules:
    path = lrp.modules.path
    first, second = (lrp.composite.rule_for("linear", path, first=False, last=last) for last in (False, True))
    return first, second


def _separates_outputs(rule: Rule) -> bool:
    """Whether the rule is known to treat every output by itself, and needs no look at the input beforehand."""
    return type(rule).__module__ == Rule.__module__ and not isinstance(rule, Pass | ZBox)


def fits(lrp: LRP, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the input is a signal, nobody looks inside, and activations have no rule of their own."""
    if any(observer is not None for observer in (lrp.rows, lrp.trace, lrp.credits, lrp.twins)):
        return False
    if isinstance(lrp.composite.rule_for_module(lrp.modules.path), Pass):
        return False
    return bool(args) and isinstance(args[0], Tensor) and args[0].requires_grad


def _whole(name: str, kind: Callable[..., _Steps]) -> Callable[[Call], Any]:
    def handler(call: Call) -> Any:
        """As the simpler operations it is made of, all steps but the first at once."""
        call.treatment, call.stage = "gates are constant", tags.DEEP
        with call.lrp:
            return recurrent.network(recurrent.STEPS[name], _fused(call.lrp, kind))(*call.args, **call.kwargs)

    return handler


HANDLERS: dict[str, Callable[[Call], Any]] = {"lstm": _whole("lstm", _LSTM), "gru": _whole("gru", _GRU)}

FUSED: dict[str, Callable[[LRP, tuple[Any, ...], dict[str, Any]], bool]] = dict.fromkeys(HANDLERS, fits)
"""Written-out operations that are taken whole where this holds."""
