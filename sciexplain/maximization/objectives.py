"""What is maximised: a logit, a neuron, a channel, a direction; their sums; and the same for inputs that differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..engine.channels import by_channel
from ..errors import TargetError
from ..targets import logits_of
from .observe import Seen


class Objective:
    """From what a model did with n inputs to n values; objectives can be added, subtracted, and weighted."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the modules whose outputs it asks for."""
        return ()

    def __call__(self, seen: Seen) -> Tensor:
        """(n,)."""
        raise NotImplementedError

    def __mul__(self, weight: float) -> Objective:
        return Weighted(((float(weight), self),))

    __rmul__ = __mul__

    def __add__(self, other: Objective) -> Objective:
        return Weighted((*_terms(self), *_terms(other)))

    def __neg__(self) -> Objective:
        return self * -1.0

    def __sub__(self, other: Objective) -> Objective:
        return self + -other


@dataclass(frozen=True)
class Weighted(Objective):
    """A weighted sum, as ``Logit(3) - 0.5 * Logit(8)`` makes it."""

    terms: tuple[tuple[float, Objective], ...]

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for _, term in self.terms for name in term.layers))

    def __call__(self, seen: Seen) -> Tensor:
        return torch.stack([weight * term(seen) for weight, term in self.terms]).sum(0)

    def __mul__(self, weight: float) -> Objective:
        return Weighted(tuple((weight * w, term) for w, term in self.terms))


def _terms(objective: Objective) -> tuple[tuple[float, Objective], ...]:
    return objective.terms if isinstance(objective, Weighted) else ((1.0, objective),)


@dataclass(frozen=True)
class Logit(Objective):
    """The logit of a class, before a final softmax or sigmoid; of a dense output, summed over its places.

    Simonyan et al. 2013, eq. 1: the score, since a probability may also rise because other classes' scores fall.
    """

    index: int

    def __call__(self, seen: Seen) -> Tensor:
        logits = logits_of(seen.output)
        check_class(self.index, logits)
        return logits[:, self.index].reshape(len(logits), -1).sum(1)


class Only(Objective):
    """The output of a model that has a single one."""

    def __call__(self, seen: Seen) -> Tensor:
        logits = logits_of(seen.output)
        if logits.shape[1] != 1:
            raise TargetError(
                f"target=None: the model has {logits.shape[1]} outputs; say which to maximise, such as target=3."
            )
        return Logit(0)(seen)


@dataclass(frozen=True)
class LogProbability(Objective):
    """log p(class | input): by softmax, or by its own sigmoid where the model ends in one or has a single output.

    With the log-density of a prior it is the posterior of Montavon, Samek and Müller 2018, section 3.2.
    """

    index: int

    def __call__(self, seen: Seen) -> Tensor:
        logits = logits_of(seen.output)
        check_class(self.index, logits)
        return log_probabilities(logits, seen.stepped_over)[:, self.index].reshape(len(logits), -1).sum(1)


@dataclass(frozen=True)
class Score(Objective):
    """A function of the model's output, (n,)."""

    function: Callable[[Any], Tensor]

    def __call__(self, seen: Seen) -> Tensor:
        value = self.function(seen.output)
        if not isinstance(value, Tensor) or value.ndim > 1:
            given = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise TargetError(f"The target callable returned {given}; expected a tensor (N,), one value per sample.")
        return value.reshape(-1)


class _OfLayer(Objective):
    """Of one layer's output."""

    layer: str

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)


@dataclass(frozen=True)
class Neuron(_OfLayer):
    """One value of a layer's output.

    Parameters
    ----------
    layer
        The module's name, as ``model.named_modules()`` has it.
    index
        Its place behind the batch dimension: ``5`` in (N, 64), ``(5, 3, 3)`` in (N, 64, 7, 7).
    """

    layer: str
    index: int | tuple[int, ...]

    def __call__(self, seen: Seen) -> Tensor:
        output = seen.layers[self.layer]
        place = (self.index,) if isinstance(self.index, int) else tuple(self.index)
        shape = tuple(output.shape[1:])
        inside = len(place) == len(shape) and all(-n <= i < n for i, n in zip(place, shape, strict=True))
        if not inside:
            raise TargetError(
                f"Neuron({self.layer!r}, {self.index}): the layer puts out {shape} for each sample; expected "
                f"{len(shape)} indices inside, or Channel({self.layer!r}, …) for a whole channel."
            )
        for i in place:
            output = output[:, i]
        return output


@dataclass(frozen=True)
class Channel(_OfLayer):
    """The mean of a channel of a layer's output over all its places; ``axis`` is where channels are counted."""

    layer: str
    channel: int
    axis: int = 1

    def __call__(self, seen: Seen) -> Tensor:
        output = _channels(seen.layers[self.layer], self.layer, self.axis)
        if not -output.shape[1] <= self.channel < output.shape[1]:
            raise TargetError(
                f"Channel({self.layer!r}, {self.channel}): the layer has {output.shape[1]} channels along axis "
                f"{self.axis}."
            )
        return output[:, self.channel].mean(1)


@dataclass(frozen=True, eq=False)
class Direction(_OfLayer):
    """The projection of a layer's output on a vector.

    Parameters
    ----------
    layer
        The module's name.
    vector
        (channels,): the projection at every place, averaged over places. Or shaped as the layer's output for one
        sample: the scalar product.
    axis
        Where channels are counted.
    """

    layer: str
    vector: Tensor
    axis: int = 1

    def __call__(self, seen: Seen) -> Tensor:
        output = seen.layers[self.layer]
        vector = torch.as_tensor(self.vector).detach().to(output)
        if vector.shape == output.shape[1:]:
            return (output * vector).flatten(1).sum(1)
        channels = _channels(output, self.layer, self.axis)
        if vector.shape != channels.shape[1:2]:
            raise TargetError(
                f"Direction({self.layer!r}, …): a vector of shape {tuple(vector.shape)}; expected "
                f"({channels.shape[1]},), or {tuple(output.shape[1:])} as the layer puts out."
            )
        return torch.einsum("ncp,c->np", channels, vector).mean(1)


@dataclass(frozen=True)
class Diverse(Objective):
    r"""An objective for restarts that shall differ: :math:`f_a - \frac{w}{n - 1} \sum_{b \neq a} \cos(G_a, G_b)`.

    G is the Gram matrix of the channels of ``layer``, so that inputs differ in what they show, not in where. Olah et
    al. 2017, *Feature visualization*, section "Diversity".

    Parameters
    ----------
    target
        A class, a callable of the output, or another objective.
    layer
        The module's name.
    weight
        w, in units of the objective.
    axis
        Where channels are counted.
    """

    target: Any
    layer: str
    weight: float = 1.0
    axis: int = 1

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*objective_of(self.target).layers, self.layer)))

    def __call__(self, seen: Seen) -> Tensor:
        features = _channels(seen.layers[self.layer], self.layer, self.axis)
        if len(features) < 2:
            raise TargetError("Diverse(…) pushes restarts apart; expected restarts=2 or more.")
        grams = torch.nn.functional.normalize((features @ features.transpose(1, 2)).flatten(1), dim=1)
        alike = grams @ grams.T
        others = (alike.sum(1) - alike.diagonal()) / (len(features) - 1)
        return objective_of(self.target)(seen) - self.weight * others


def objective_of(target: Any) -> Objective:
    """An objective as it is; a class as its logit; None as the only output; a callable as a function of the output.

    Raises
    ------
    TargetError
    """
    if isinstance(target, Objective):
        return target
    if isinstance(target, Tensor) and target.ndim == 0 and not target.is_floating_point():
        target = int(target)
    if target is None:
        return Only()
    if hasattr(target, "__index__") and not isinstance(target, bool | Tensor):
        return Logit(int(target))
    if callable(target):
        return Score(target)
    raise TargetError(
        f"target={target!r}: expected a class index, None for the only output, a callable of the output, an objective "
        'such as Channel("conv1", 3), or a list of these.'
    )


def check_class(index: int, logits: Tensor) -> None:
    """That there is such a class among logits (N, classes, ...)."""
    if not -logits.shape[1] <= index < logits.shape[1]:
        raise TargetError(
            f"target {index} is out of range: the model has {logits.shape[1]} outputs (0 to {logits.shape[1] - 1})."
        )


def log_probabilities(logits: Tensor, stepped_over: str | None) -> Tensor:
    """(N, classes, ...): of a softmax, or of a sigmoid each where the model ends in one or has a single output."""
    if stepped_over == "sigmoid" or logits.shape[1] == 1:
        return torch.nn.functional.logsigmoid(logits)
    return logits.log_softmax(1)


def _channels(output: Tensor, layer: str, axis: int) -> Tensor:
    """(n, channels, places)."""
    if not (1 <= axis < output.ndim or -output.ndim < axis < 0):
        raise TargetError(f"layer {layer!r} puts out {tuple(output.shape)}; there is no axis={axis} with channels.")
    return by_channel(output, axis)
