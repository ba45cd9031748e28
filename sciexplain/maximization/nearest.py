"""The search for counterfactuals: the nearest points at which a model's prediction is another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, NonFiniteOutputError, TargetError
from ..targets import logits_of
from .nearest_result import Counterfactual, Search
from .objectives import check_class
from .observe import observe
from .parameterizations import Bound, Pixels
from .priors import drawn, log_density_of
from .surroundings import like_codes

Target = int | Tensor | Callable[[Any], Tensor] | None


class Free(Pixels):
    """Inputs by themselves; what may not change stays."""

    def __init__(self, inputs: Tensor, mutable: Tensor | None, low: Bound, high: Bound) -> None:
        super().__init__(tuple(inputs.shape[1:]) or (1,), low, high)
        self._inputs = inputs.detach()
        self._mutable = None if mutable is None else torch.as_tensor(mutable, device=inputs.device).bool()

    def project(self, codes: Tensor) -> Tensor:
        inside = super().project(codes)
        return inside if self._mutable is None else torch.where(self._mutable, inside, self._inputs)


class Nearest:
    """What is asked of each sample, and the search for the nearest points that answer it."""

    def __init__(
        self,
        model: Callable[..., Any],
        inputs: Tensor,
        target: Target,
        prior: Any,
        distance: str,
        scale: Tensor | Sequence[float] | float,
        margin: float,
        density_weight: float,
    ) -> None:
        self.model, self.inputs, self.prior = model, inputs, prior
        self.kind, self.scale = distance, torch.as_tensor(scale, dtype=inputs.dtype, device=inputs.device)
        self.win, self.density_weight = margin, density_weight
        self.target, self.prediction = target, None
        output = self._output(inputs)
        if not callable(target):
            logits = _classes(output)
            if len(logits) != len(inputs):
                raise InputError(
                    f"inputs has shape {tuple(inputs.shape)}, of which the model gives {len(logits)} rows; expected a "
                    "row for each of N samples (N, …): of a single one, (1, …)."
                )
            self.prediction = _predicted(logits)
            self.wanted = self._wanted(logits)
        self.output = logits_of(output).detach()
        self.margin = self.margins(output).detach()

    def _wanted(self, logits: Tensor) -> Tensor | None:
        """(N,) classes; None: any but the prediction."""
        if self.target is None:
            return None
        try:
            wanted = torch.as_tensor(self.target, device=logits.device)
        except (TypeError, ValueError, RuntimeError):
            wanted = logits.new_zeros(0)
        if wanted.is_floating_point() or wanted.dtype == torch.bool or wanted.numel() not in (1, len(logits)):
            raise TargetError(
                f"target={self.target!r}: expected None, a class, a class for each of {len(logits)} samples, or a "
                "callable."
            )
        both = logits if logits.shape[1] > 1 else logits.expand(-1, 2)
        for index in wanted.unique().tolist():
            check_class(index, both)
        return wanted.reshape(-1).expand(len(logits)).remainder(both.shape[1])

    def _output(self, inputs: Any) -> Any:
        return observe(self.model, inputs).output

    def margins(self, output: Any) -> Tensor:
        """(N,): by how much the asked-for prediction wins."""
        if callable(self.target):
            value = self.target(output)
            if not isinstance(value, Tensor) or value.numel() != len(self.inputs):
                raise TargetError(f"The target callable returned {value!r:.80}; expected ({len(self.inputs)},).")
            return value.reshape(-1)
        logits = _classes(output)
        if logits.shape[1] == 1:
            logits = torch.cat([torch.zeros_like(logits), logits], 1)
        assert self.prediction is not None
        index = (self.prediction if self.wanted is None else self.wanted)[:, None]
        own = logits.gather(1, index)[:, 0]
        others = logits.scatter(1, index, -torch.inf).amax(1)
        return others - own if self.wanted is None else own - others

    def distances(self, inputs: Tensor) -> Tensor:
        """(N,)."""
        apart = ((inputs - self.inputs) / self.scale).reshape(len(self.inputs), -1)
        return apart.abs().sum(1) if self.kind == "l1" else torch.linalg.vector_norm(apart, dim=1)

    def costs(self, inputs: Tensor, codes: Tensor, kind: str | None = None) -> Tensor:
        """(N,): what is minimised, the distance (squared for l2, which has a slope everywhere) and −λ log p."""
        apart = ((inputs - self.inputs) / self.scale).reshape(len(self.inputs), -1)
        cost = apart.abs().sum(1) if (kind or self.kind) == "l1" else (apart**2).sum(1)
        density = log_density_of(self.prior, codes) if self.density_weight else None
        return cost if density is None else cost - self.density_weight * density.to(cost)

    def decoded(self, codes: Tensor) -> Tensor:
        inputs = self.prior.decode(codes)
        if not isinstance(inputs, Tensor) or inputs.shape != self.inputs.shape:
            given = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
            raise InputError(f"the prior makes {given} of the codes; the inputs are {tuple(self.inputs.shape)}.")
        return inputs.to(self.inputs)

    def valid(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """(N,) whether the prediction is the asked-for one, and (N,) costs."""
        inputs = self.decoded(codes)
        return self._holds(self.margins(self._output(inputs))).detach(), self.costs(inputs, codes).detach()

    def _holds(self, margins: Tensor) -> Tensor:
        return margins > self.win if self.win == 0 else margins >= self.win

    def begin(self, steps: int, lr: float, generator: torch.Generator) -> Tensor:
        """Codes that the prior makes the inputs of, as nearly as it can."""
        encode = getattr(self.prior, "encode", None)
        codes = drawn(self.prior, len(self.inputs), generator) if encode is None else encode(self.inputs).detach()
        best = codes.to(like_codes(self.prior, self.model)).detach()
        codes = best.clone().requires_grad_()
        least = torch.full((len(codes),), torch.inf, dtype=self.inputs.dtype, device=self.inputs.device)
        stepping = torch.optim.Adam([codes], lr=lr)
        for _ in range(steps if encode is not None else 5 * steps):
            cost = self.costs(self.decoded(codes), codes, "l2")
            best, least = _better(cost.detach() < least, codes.detach(), cost.detach(), best, least)
            (codes.grad,) = torch.autograd.grad(cost.sum(), codes)
            stepping.step()
        return best

    def search(
        self, begin: Tensor, rounds: int, steps: int, lr: float, report: Callable[[Search], object]
    ) -> tuple[Tensor, Tensor]:
        """The nearest valid codes passed, and which samples have one."""
        n = len(begin)
        weight = torch.ones(n, dtype=self.inputs.dtype, device=self.inputs.device)
        below, above = torch.zeros_like(weight), torch.full_like(weight, torch.inf)
        best, least = begin.clone(), torch.full_like(weight, torch.inf)
        aim = self._aim(begin)
        for turn in range(rounds):
            codes = begin.clone().requires_grad_()
            stepping = torch.optim.Adam([codes], lr=lr)
            turned = torch.zeros(n, dtype=torch.bool, device=weight.device)
            for number in range(steps):
                inputs = self.decoded(codes)
                output = self._output(inputs)
                margins = self.margins(output)
                if not bool(torch.isfinite(margins).all()):
                    raise NonFiniteOutputError(f"The model's output is NaN or infinite in step {number + 1}.")
                if not margins.requires_grad:
                    raise TargetError("The target does not depend on the input; no counterfactual can be searched for.")
                holds, cost = self._holds(margins).detach(), self.costs(inputs, codes)
                turned |= holds
                best, least = _better(holds & (cost < least), codes.detach(), cost.detach(), best, least)
                missed = (self.win - (margins if aim is None else self._towards(aim, output))).clamp(min=0)
                (codes.grad,) = torch.autograd.grad((cost + weight * missed).sum(), codes)
                stepping.step()
                with torch.no_grad():
                    project = getattr(self.prior, "project", None)
                    codes.copy_(codes if project is None else project(codes))
                report(Search(turn * steps + number + 1, rounds * steps, int(torch.isfinite(least).sum())))
            above = torch.where(turned, torch.minimum(above, weight), above)
            below = torch.where(turned, below, torch.maximum(below, weight))
            weight = torch.where(torch.isinf(above), 10 * weight, (below + above) / 2)
        return best, torch.isfinite(least)

    def _aim(self, begin: Tensor) -> Tensor | None:
        """(N,): the class whose boundary is nearest by the slopes at the beginning; None where one is asked for."""
        if callable(self.target) or self.wanted is not None or self.output.shape[1] < 3:
            return None
        codes = begin.clone().requires_grad_()
        logits = _classes(self._output(self.decoded(codes)))
        assert self.prediction is not None
        own = logits.gather(1, self.prediction[:, None])
        others = logits.detach().scatter(1, self.prediction[:, None], -torch.inf)
        classes = others.topk(min(_CANDIDATES, logits.shape[1] - 1), dim=1).indices
        far = []
        for column in classes.unbind(1):
            apart = (own - logits.gather(1, column[:, None]))[:, 0]
            slope = torch.autograd.grad(apart.sum(), codes, retain_graph=True, allow_unused=True)[0]
            if slope is None:
                return None
            slope = (slope * self.scale if isinstance(self.prior, Free) else slope).reshape(len(codes), -1)
            sharp = isinstance(self.prior, Free) and self.kind == "l1"
            far.append(apart.detach() / (slope.abs().amax(1) if sharp else slope.norm(dim=1)).clamp(min=1e-30))
        return classes.gather(1, torch.stack(far, 1).argmin(1)[:, None])[:, 0]

    def _towards(self, aim: Tensor, output: Any) -> Tensor:
        """(N,): by how much the class aimed at beats the prediction."""
        logits = _classes(output)
        assert self.prediction is not None
        return (logits.gather(1, aim[:, None]) - logits.gather(1, self.prediction[:, None]))[:, 0]

    def nearer(self, begin: Tensor, codes: Tensor, found: Tensor) -> Tensor:
        """As far back on the straight way to the beginning as the prediction stays, where that is nearer."""
        with torch.no_grad():
            best, least = codes, self.valid(codes)[1]
            shape = (-1, *[1] * (codes.ndim - 1))
            low, high = torch.zeros_like(least), torch.ones_like(least)
            for _ in range(_HALVINGS):
                share = (low + high) / 2
                between = begin + share.to(codes).view(shape) * (codes - begin)
                holds, cost = self.valid(between)
                best, least = _better(found & holds & (cost < least), between, cost, best, least)
                low, high = torch.where(holds, low, share), torch.where(holds, share, high)
        return best

    def sparser(self, codes: Tensor, found: Tensor) -> Tensor:
        """The changes that do most for the prediction alone, so many of them, and so far, as is nearest.

        One change of a value counts by its slope times its size; half of them are left out again and again.
        """
        leaf = codes.clone().requires_grad_()
        (slope,) = torch.autograd.grad(self.margins(self._output(self.decoded(leaf))).sum(), leaf)
        with torch.no_grad():
            change = codes - self.inputs
            gain = (change * slope.nan_to_num()).reshape(len(codes), -1)
            rank = gain.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
            best, least = codes, self.valid(codes)[1]
            kept = rank.shape[1]
            while kept:
                few = torch.where((rank < kept).view(codes.shape), change, torch.zeros_like(change))
                for reach in self._reaches(few):
                    there = self._moved(few, reach)
                    holds, cost = self.valid(there)
                    best, least = _better(found & holds & (cost < least), there, cost, best, least)
                kept //= 2
        return best

    def _reaches(self, change: Tensor) -> Iterator[Tensor]:
        """(N,) factors of a change, towards the least with which the prediction turns."""
        low, high = (torch.full((len(change),), v, dtype=change.dtype, device=change.device) for v in (0.0, _FAR))
        yield high
        for _ in range(_HALVINGS):
            reach = (low + high) / 2
            yield reach
            holds = self.valid(self._moved(change, reach))[0]
            low, high = torch.where(holds, low, reach), torch.where(holds, reach, high)

    def _moved(self, change: Tensor, reach: Tensor) -> Tensor:
        moved: Tensor = self.prior.project(self.inputs + reach.view(-1, *[1] * (change.ndim - 1)) * change)
        return moved

    def result(self, codes: Tensor, found: Tensor, begin: Tensor | None) -> Counterfactual:
        inputs = self.decoded(codes)
        output = self._output(inputs)
        margins = self.margins(output).detach()
        shown, density = _only(inputs.detach(), found), None
        if begin is not None and (density := log_density_of(self.prior, codes)) is not None:
            density = density.detach()
        after = None if self.prediction is None else _predicted(_classes(output)).masked_fill(~found, -1)
        return Counterfactual(
            inputs=self.inputs,
            counterfactuals=shown,
            found=found,
            distance=self.distances(inputs).detach().masked_fill(~found, torch.inf),
            prediction=self.prediction,
            new_prediction=after,
            margin=self.margin,
            new_margin=margins,
            output=self.output,
            new_output=logits_of(output).detach(),
            reconstruction=None if begin is None else self.decoded(begin).detach(),
            codes=None if begin is None else codes.detach(),
            log_density=density,
        )


_HALVINGS = 20
_FAR = 8.0
_CANDIDATES = 10


def _classes(output: Any) -> Tensor:
    logits = logits_of(output)
    if logits.ndim != 2:
        raise TargetError(f"The output has shape {tuple(logits.shape)}; expected (N, classes), or a callable target.")
    return logits


def _predicted(logits: Tensor) -> Tensor:
    return (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.detach().argmax(1)


def _better(where: Tensor, codes: Tensor, cost: Tensor, best: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
    rows = where.view(-1, *[1] * (codes.ndim - 1))
    return torch.where(rows, codes, best), torch.where(where, cost, least)


def _only(values: Tensor, found: Tensor) -> Tensor:
    return torch.where(found.view(-1, *[1] * (values.ndim - 1)), values, torch.nan)
