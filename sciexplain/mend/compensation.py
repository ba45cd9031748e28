"""Class artefact compensation (ClArC): an artefact's direction in a layer, suppressed there."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .._evaluation import evaluation_mode
from .._optional import require
from ..engine.channels import by_channel, own_axis, unknown_axis
from ..errors import InputError, ModelError
from ..inputs import Inputs, buffers_restored
from ..samples import Samples

__all__ = ["Compensated", "artefact_direction", "clarc"]

Direction = Literal["signal", "svm", "ridge"]


class Compensated(nn.Module):
    r"""A layer and what is done about an artefact in its output.

    With :math:`v` the artefact's direction, of length 1, and :math:`z` the mean of the activations that samples should
    look like along it, the output becomes

    .. math:: h(a) = a - v v^\top a + v v^\top z

    for channels at every position, or for all of the output at once. The layer is otherwise itself: attributes that it
    has are found here too.

    Attributes
    ----------
    layer : nn.Module
    direction, shift : Tensor
        :math:`v` and :math:`v v^\top z`, in the shape of channels or of the output.
    axis : int or None
        Of the channels; None: the direction is one of the whole output.
    how : str
    threshold : Tensor
        Of :math:`v^\top a`, mean over positions, above which ``"reactive"`` takes a sample to have the artefact.
    """

    direction: Tensor
    shift: Tensor
    threshold: Tensor

    def __init__(
        self, layer: nn.Module, direction: Tensor, shift: Tensor, axis: int | None, how: str, threshold: float
    ) -> None:
        super().__init__()
        self.layer, self.axis, self.how = layer, axis, how
        self.register_buffer("direction", direction)
        self.register_buffer("shift", shift)
        self.register_buffer("threshold", direction.new_tensor(threshold))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = self.layer(*args, **kwargs)
        if self.how == "augmentive" and not self.training:
            return output
        if isinstance(output, tuple):
            return self._changed(output[0]), *output[1:]
        return self._changed(output)

    def _changed(self, a: Tensor) -> Tensor:
        # Sums and products with constants alone: relevance goes through by the gradient, whatever rule layers get.
        if self.axis is None:
            direction, shift, dims = self.direction, self.shift, tuple(range(1, a.ndim))
        else:
            shape = [1] * a.ndim
            shape[self.axis] = -1
            direction, shift, dims = self.direction.reshape(shape), self.shift.reshape(shape), (self.axis,)
        along = (a * direction).sum(dims, keepdim=True)
        changed = a - along * direction + shift
        if self.how != "reactive":
            return changed
        strength = along.flatten(1).mean(1) if along.ndim > 1 else along
        return torch.where((strength > self.threshold).reshape(-1, *(1,) * (a.ndim - 1)), changed, a)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "layer":
                raise
            return getattr(self.layer, name)

    def extra_repr(self) -> str:
        return f"how={self.how!r}, axis={self.axis}"


def clarc(
    model: nn.Module,
    layer: str,
    with_artefact: Any,
    without_artefact: Any,
    *,
    how: Literal["projective", "augmentive", "reactive"] = "projective",
    direction: Direction | Tensor = "signal",
    per: Literal["unit", "channel"] = "unit",
    channel_axis: int | None = None,
    batch_size: int = 256,
) -> nn.Module:
    r"""A copy of a model with an artefact compensated in the output of one layer.

    - ``"projective"`` (p-ClArC): what samples have along the artefact's direction becomes what samples without it have
      on average. No training.
    - ``"augmentive"`` (a-ClArC): in training mode every sample gets the artefact's average, so that further training of
      the layers above (parameters below with ``requires_grad_(False)``) learns to ignore it; in evaluation mode the
      layer is as it was.
    - ``"reactive"``: projective, for the samples only that have more along the direction than half way between the
      two means.

    Parameters
    ----------
    model : nn.Module
        Left as it is.
    layer : str
        Name of a module in it (``model.named_modules()``), whose output, or first output, is (N, \*shape).
    with_artefact, without_artefact : Tensor, tuple or dict of Tensors, ``Dataset``, ``DataLoader`` or list of batches
        Inputs as the model's forward takes them, or data as for :func:`sciexplain.prototypes`; the same samples with
        and without the artefact, where that can be had, leave nothing else to differ.
    how : "projective", "augmentive" or "reactive"
    direction : "signal", "svm", "ridge" or Tensor
        The difference of the means, which is the pattern-CAV, cov(a, t) / var(t) (Pahde et al. 2022); or the normal of
        a linear support-vector machine, or of ridge regression, on standardized activations; or the direction itself.
    per : "unit" or "channel"
        A direction of the whole output, for an artefact that has its place, such as a tag in a corner; or of channels,
        suppressed at every position alike, for one that may be anywhere, at the price of all else they show.
    channel_axis : int
        1 for (N, channels, …), -1 for (N, …, channels), where the module does not tell.
    batch_size : int

    Returns
    -------
    nn.Module
        Of the model's class; ``get_submodule(layer)`` is a :class:`Compensated`.

    Raises
    ------
    InputError, ModelError

    References
    ----------
    Anders et al. 2022, *Finding and removing Clever Hans: using explanation methods to debug and improve deep models*,
    Information Fusion 77. Pahde et al. 2022, *Navigating neural space: revisiting concept activation vectors to
    overcome directional divergence*. Bareeva et al. 2024, *Reactive model correction*, CVPR workshops.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    >>> marked = x + torch.tensor([0.0, 0.0, 3.0])
    >>> mended = clarc(model, "0", marked, x)
    >>> bool(torch.allclose(mended(x), mended(marked), atol=1e-5))
    True
    """
    if how not in ("projective", "augmentive", "reactive") or per not in ("channel", "unit"):
        raise InputError(
            f'how={how!r}, per={per!r}: expected "projective", "augmentive" or "reactive", and "channel" or "unit".'
        )
    place = _module(model, layer)
    raw = [_activations(model, place, layer, given, batch_size) for given in (with_artefact, without_artefact)]
    axis = None if per == "unit" else _axis(place, layer, raw[0][0], channel_axis)
    try:
        has, lacks = (torch.cat([a if axis is None else by_channel(a, axis).mean(2) for a in parts]) for parts in raw)
    except RuntimeError:
        raise InputError(
            f'The output of {layer!r} changes its size with the input; per="unit" needs one size.'
        ) from None
    if has.shape[1:] != lacks.shape[1:]:
        raise InputError(
            f"The output of {layer!r} has shape {tuple(has.shape[1:])} with the artefact and {tuple(lacks.shape[1:])} "
            'without; per="unit" needs inputs of one size.'
        )
    v = artefact_direction(has, lacks, direction)
    kept = (has if how == "augmentive" else lacks).mean(0)
    middle = float(((has.mean(0) + lacks.mean(0)) / 2 * v).sum())
    parent, _, name = layer.rpartition(".")
    like = next((p for p in place.parameters()), has)
    shift = (kept * v).sum() * v
    with torch.inference_mode(False):  # tensors made in it can never be trained
        copied = copy.deepcopy(model)
        v, shift = v.to(like).clone(), shift.to(like).clone()
        changed = Compensated(copied.get_submodule(layer), v, shift, axis, how, middle)
    changed.training = copied.get_submodule(layer).training
    setattr(copied.get_submodule(parent), name, changed)
    return copied


def artefact_direction(with_artefact: Tensor, without_artefact: Tensor, how: Direction | Tensor = "signal") -> Tensor:
    r"""The direction, of length 1, from activations without an artefact to those with it.

    Parameters
    ----------
    with_artefact, without_artefact : Tensor (N, \*shape), (M, \*shape)
        Activations.
    how : "signal", "svm", "ridge" or Tensor
        As for :func:`clarc`.

    Examples
    --------
    >>> import torch
    >>> without = torch.tensor([[0.0, 0.0], [0.0, 2.0]])
    >>> artefact_direction(without + torch.tensor([3.0, 0.0]), without)
    tensor([1., 0.])
    """
    if isinstance(how, Tensor):
        found = how.to(with_artefact)
        if found.shape != with_artefact.shape[1:]:
            raise InputError(
                f"direction has shape {tuple(found.shape)}; the layer's output has {tuple(with_artefact.shape[1:])}."
            )
    elif how == "signal":
        found = with_artefact.mean(0) - without_artefact.mean(0)
    elif how in ("svm", "ridge"):
        found = _normal(with_artefact, without_artefact, how)
    else:
        raise InputError(f'direction={how!r}: expected "signal", "svm", "ridge" or a tensor.')
    length = found.norm()
    if not bool(length > 0):
        raise InputError(
            "Activations with and without the artefact do not differ in this layer; take another layer, or check that "
            "the samples with the artefact have it."
        )
    return found / length


def _normal(has: Tensor, lacks: Tensor, how: str) -> Tensor:
    """Of the plane that a linear model puts between the two, in the activations' own scale."""
    models: Any = require("sklearn.linear_model" if how == "ridge" else "sklearn.svm", extra="all")
    points = torch.cat([has, lacks]).flatten(1).double()
    mean, std = points.mean(0), points.std(0).clamp(min=1e-12)
    truth = torch.cat([torch.ones(len(has)), -torch.ones(len(lacks))])
    make = (lambda: models.Ridge()) if how == "ridge" else (lambda: models.LinearSVC(max_iter=10_000, random_state=0))
    fitted = make().fit(((points - mean) / std).cpu().numpy(), truth.numpy())
    normal = torch.as_tensor(fitted.coef_).reshape(-1).to(points) / std
    return normal.reshape(has.shape[1:]).to(has)


def _module(model: nn.Module, layer: str) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise ModelError(f"model is {type(model).__name__}; expected a torch module, one of whose layers is changed.")
    names = dict(model.named_modules())
    if not layer or layer not in names:
        some = ", ".join(repr(n) for n in list(names)[1:12])
        raise InputError(f"layer={layer!r}: no module of that name; there are {some}{' …' if len(names) > 12 else ''}.")
    return names[layer]


@torch.no_grad()
def _activations(model: nn.Module, place: nn.Module, layer: str, inputs: Any, batch_size: int) -> list[Tensor]:
    """The layer's output on all batches, as in evaluation mode."""
    caught: list[Tensor] = []

    def catch(module: nn.Module, args: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple | list) else output
        if not isinstance(first, Tensor) or first.ndim < 2 or not first.is_floating_point():
            raise InputError(f"The output of {layer!r} is no tensor (N, …) of floating point values.")
        caught.append(first.detach().clone())

    handle = place.register_forward_hook(catch)
    try:
        with evaluation_mode(model), buffers_restored(model):
            for batch in _batches(model, inputs, batch_size):
                batch.cloned().call(model)
    finally:
        handle.remove()
    if not caught:
        raise InputError(f"The model's forward pass does not come by {layer!r}.")
    return caught


def _batches(model: nn.Module, inputs: Any, size: int) -> Iterator[Inputs]:
    if not isinstance(inputs, Tensor | tuple | dict):
        yield from (batch.inputs for batch in Samples(inputs, model, size))
        return
    whole = Inputs.of(inputs)
    tensors = [name for name, _ in whole.tensors()]
    if len(tensors) > 1 and not all(whole.is_batched(name) for name in tensors):  # such as a graph
        yield whole
        return
    for _, part in whole.parts(size):
        yield part


def _axis(place: nn.Module, layer: str, output: Tensor, given: int | None) -> int:
    if given is not None:
        if not -output.ndim < given < output.ndim or given == 0:
            raise InputError(f"channel_axis={given}: the output of {layer!r} has shape {tuple(output.shape)}.")
        return given
    axis = 1 if output.ndim == 2 else own_axis(place, output)
    if axis is None and output.ndim < 4:
        raise unknown_axis(layer, output)
    return -1 if axis == output.ndim - 1 else axis or 1  # of more dimensions, images
