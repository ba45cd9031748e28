"""Fine-tuning of a copy of a model, with a penalty beside the loss."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._evaluation import evaluation_mode
from ..errors import InputError, ModelError
from ..inputs import Inputs
from ..maximization.observe import observe
from ..targets import explained_output, logits_of

__all__ = ["Epoch", "Mended", "fine_tuned"]

Loss = Callable[[Tensor, Tensor], Tensor]
"""From outputs and labels to one value per sample."""


class Epoch(NamedTuple):
    """One pass over the data: means over its samples, as the model was when it met them.

    Attributes
    ----------
    number : int
        From 1.
    loss : float
        Of the labels alone.
    penalty : float
        Without its weight; 0 where there is none.
    accuracy : float or None
        None where labels are no classes.
    """

    number: int
    loss: float
    penalty: float
    accuracy: float | None


@dataclass(frozen=True, eq=False)
class Mended:
    """A model after fine-tuning.

    Attributes
    ----------
    model : nn.Module
        A copy; what was given is as it was.
    history : tuple of Epoch
    """

    model: nn.Module
    history: tuple[Epoch, ...]


class Batch(NamedTuple):
    """Inputs as the model's forward takes them, and what belongs to them."""

    inputs: Any
    labels: Tensor
    masks: Any = None
    weights: Tensor | None = None


Penalized = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]
"""From the model and a batch to its outputs and a penalty per sample."""


def fine_tuned(
    model: nn.Module,
    inputs: Any,
    labels: Tensor | None = None,
    *,
    sample_weights: Tensor | None = None,
    loss: Loss | None = None,
    epochs: int = 5,
    lr: float = 1e-3,
    batch_size: int = 64,
    seed: int = 0,
    callback: Callable[[Epoch], object] | None = None,
) -> Mended:
    r"""Train a copy of a model further, by Adam, on data that was mended (:mod:`sciexplain.mend.data`).

    Outputs are those of evaluation mode, so that BatchNorm keeps its statistics and nothing random happens.

    Parameters
    ----------
    model : nn.Module
        Returns logits; a final softmax or sigmoid is stepped over. Left as it is; of its copy, the parameters that
        require gradients change, or all, where none does.
    inputs : Tensor (N, \*shape), tuple or dict of them, or an iterable of batches
        Without ``labels``: a list or ``DataLoader`` of ``(inputs, labels)``, iterated over once per epoch. A batch of
        graphs is one ``(inputs, labels)`` whose inputs are all that the model's forward takes.
    labels : (N,) whole numbers, or Tensor shaped like the output
        Classes, or for each output whether it applies, as a float or truth value.
    sample_weights : Tensor (N,)
        Of each sample in the loss, such as :func:`sciexplain.mend.data.independent_weights`.
    loss : callable
        From logits and labels to (N,). None: cross-entropy; for one output, or several labels, that of each sigmoid.
    epochs, lr, batch_size, seed
        Passes, Adam's learning rate, and how samples are drawn.
    callback : callable
        Is told every :class:`Epoch`.

    Raises
    ------
    InputError, ModelError

    Examples
    --------
    >>> import torch
    >>> from sciexplain import mend
    >>> x = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    >>> mended = mend.fine_tuned(torch.nn.Linear(5, 2), x, (x[:, 0] > 0).long(), epochs=20, lr=0.1)
    >>> mended.history[-1].accuracy > 0.9
    True
    """

    def plain(copied: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        output = explained_output(observe(copied, batch.inputs).output)
        return output, output.new_zeros(len(batch.labels))

    batches = Batches(inputs, labels, None, sample_weights, batch_size, seed)
    return trained(model, batches, plain, loss=loss, weight=0.0, epochs=epochs, lr=lr, callback=callback)


def trained(
    model: nn.Module,
    batches: Iterable[Batch],
    penalized: Penalized,
    *,
    loss: Loss | None,
    weight: float,
    epochs: int,
    lr: float,
    callback: Callable[[Epoch], object] | None,
) -> Mended:
    """A copy of the model after ``epochs`` passes over ``batches``."""
    if not isinstance(model, nn.Module):
        raise ModelError(f"model is {type(model).__name__}; expected a torch module, whose parameters are to change.")
    if not hasattr(epochs, "__index__") or epochs < 1 or not lr > 0 or not 0 <= weight < float("inf"):
        raise InputError(
            f"epochs={epochs}, lr={lr}, weight={weight}: expected a whole number from 1, more than 0, and 0 or more."
        )
    with torch.inference_mode(False):
        copied = copy.deepcopy(model)
    parameters = [p for p in copied.parameters() if p.requires_grad]
    if frozen := not parameters:  # for use, not against change
        parameters = list(copied.requires_grad_().parameters())
    if not parameters:
        raise ModelError("The model has no parameters that could change.")
    optimizer = torch.optim.Adam(parameters, lr=lr)
    history: list[Epoch] = []
    with evaluation_mode(copied), torch.inference_mode(False), torch.enable_grad():
        for number in range(1, epochs + 1):
            sums, known = torch.zeros(4, dtype=torch.float64), True
            for batch in batches:
                output, penalty = penalized(copied, batch)
                each = (supervised if loss is None else loss)(output, batch.labels)
                if each.shape != batch.labels.shape[:1]:
                    raise InputError(f"loss returned {tuple(each.shape)}; expected a value for each of "
                                     f"{len(batch.labels)} samples.")  # fmt: skip
                weighted = each if batch.weights is None else each * batch.weights.to(each)
                total = weighted.mean() + weight * penalty.mean()
                if not bool(torch.isfinite(total.detach())):
                    raise ModelError(
                        f"The loss became {float(total.detach())} in epoch {number}; lower lr={lr} or the penalty's "
                        f"weight={weight}."
                    )
                optimizer.zero_grad()
                total.backward()
                optimizer.step()
                right = _right(output.detach(), batch.labels)
                known = known and right is not None
                of_labels, of_penalty = float(each.detach().sum()), float(penalty.detach().sum())
                sums += torch.tensor([of_labels, of_penalty, float(right or 0), len(batch.labels)])
            n = max(float(sums[3]), 1.0)
            accuracy = float(sums[2]) / n if known else None
            history.append(Epoch(number, float(sums[0]) / n, float(sums[1]) / n, accuracy))
            if callback is not None:
                callback(history[-1])
    copied.zero_grad()
    if frozen:
        copied.requires_grad_(False)
    return Mended(copied, tuple(history))


def supervised(output: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of classes, or the mean over the outputs of a sigmoid's."""
    logits = logits_of(output)
    if logits.shape[1] > 1 and not labels.is_floating_point():
        if bool((labels < 0).any() | (labels >= logits.shape[1]).any()):
            raise InputError(
                f"labels go from {int(labels.min())} to {int(labels.max())}; the model has {logits.shape[1]} outputs "
                f"(0 to {logits.shape[1] - 1})."
            )
        each = F.cross_entropy(logits, labels, reduction="none")
        return each.flatten(1).mean(1) if each.ndim > 1 else each
    columns = labels.to(logits).reshape(len(labels), -1)
    if columns.shape != logits.shape:
        raise InputError(
            f"labels of shape {tuple(labels.shape)} and {labels.dtype} do not fit outputs {tuple(logits.shape)}; "
            "expected classes (N,), int64, or a float for every output."
        )
    return F.binary_cross_entropy_with_logits(logits, columns, reduction="none").mean(1)


def _right(output: Tensor, labels: Tensor) -> int | None:
    logits = logits_of(output)
    if labels.is_floating_point() or labels.ndim > 1 or logits.ndim > 2:
        return None
    said = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).long()
    return int((said == labels).sum())


class Batches:
    """Batches drawn anew in every pass, the same with the same seed; or those given, in their own order."""

    def __init__(
        self, inputs: Any, labels: Tensor | None, masks: Any, weights: Tensor | None, batch_size: int, seed: int
    ) -> None:
        self._draw = torch.Generator().manual_seed(seed)
        self._given, self._size = inputs, batch_size
        self._whole: tuple[Inputs, Tensor, dict[str, Tensor], Tensor | None] | None = None
        if labels is None:
            if isinstance(inputs, Tensor | tuple | dict) or iter(inputs) is inputs:
                raise InputError(
                    f"inputs is {type(inputs).__name__} and there are no labels; expected tensors with labels=, or a "
                    "list or DataLoader of batches (inputs, labels, …), which can be iterated over in every epoch."
                )
            if weights is not None or masks is not None:
                raise InputError("Masks and weights of batches are given in them: (inputs, labels, masks, weights).")
            return
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: expected a positive number.")
        named, labels = Inputs.of(inputs), _labels(labels)
        weights = None if weights is None else torch.as_tensor(weights)
        n = named.batch_size
        if not n:
            raise InputError("The batch is empty: the first dimension of the input is 0.")
        if len(labels) != n or (weights is not None and weights.shape != (n,)):
            given = "" if weights is None else f", sample_weights of shape {tuple(weights.shape)}"
            raise InputError(f"{len(labels)} labels{given} for {n} samples; expected one for each.")
        self._whole = named, labels, masks_by_name(masks, named), weights

    def __iter__(self) -> Iterator[Batch]:
        if self._whole is None:
            for given in self._given:
                yield _as_batch(given)
            return
        inputs, labels, masks, weights = self._whole
        for rows in torch.randperm(len(labels), generator=self._draw).split(self._size):
            chosen = {k: v[rows.to(v.device)] for k, v in inputs.tensors() if inputs.is_batched(k)}
            yield Batch(
                inputs.replaced(chosen).rebuild(inputs.replaced(chosen).values),
                labels[rows.to(labels.device)],
                {k: _rows_of(m, rows, inputs.values[k]) for k, m in masks.items()},
                None if weights is None else weights[rows.to(weights.device)],
            )


def masks_by_name(masks: Any, inputs: Inputs) -> dict[str, Tensor]:
    """Masks by the names of the inputs that they are of, each with its input's dimensions where it is one per sample.

    Raises
    ------
    InputError
        A mask without channels could be one for each sample or one for each channel.
    """
    if masks is None:
        return {}
    if not isinstance(masks, dict):
        several = isinstance(masks, tuple | list) and inputs.structure != "tensor"
        masks = dict(zip(inputs.values, masks if several else [masks], strict=False))
    return {k: _of_samples(torch.as_tensor(m), inputs.values.get(k)) for k, m in masks.items() if m is not None}


def _of_samples(mask: Tensor, values: Any) -> Tensor:
    """With the dimension of samples, and that of channels, where one of them is missing."""
    if not isinstance(values, Tensor) or mask.ndim != values.ndim - 1:
        return mask
    if values.ndim < 3 or mask.shape != (len(values), *values.shape[2:]):
        return mask[None]
    if len(values) == values.shape[1] > 1:
        raise InputError(
            f"A mask of shape {tuple(mask.shape)} for inputs of shape {tuple(values.shape)} could be one for each of "
            f"{len(values)} samples or of {len(values)} channels; give it all dimensions, with 1 for what it holds for."
        )
    return mask[:, None]


def _rows_of(mask: Tensor, rows: Tensor, values: Tensor) -> Tensor:
    """One mask per sample is drawn with it; a mask for all is not."""
    return mask[rows.to(mask.device)] if mask.ndim == values.ndim and len(mask) == len(values) else mask


def _labels(given: Any) -> Tensor:
    """Classes (N,) as int64, and one number or truth value per output as floats."""
    labels = torch.as_tensor(given)
    if labels.is_floating_point():
        return labels
    return labels.to(torch.get_default_dtype()) if labels.dtype == torch.bool and labels.ndim > 1 else labels.long()


def _as_batch(given: Any) -> Batch:
    if not isinstance(given, tuple | list) or not 2 <= len(given) <= 4 or not hasattr(given[1], "dtype"):
        size = f" of {len(given)}" if isinstance(given, tuple | list) else ""
        raise InputError(
            f"A batch is {type(given).__name__}{size}; expected (inputs, labels), (inputs, labels, masks) or (inputs, "
            "labels, masks, weights), with labels a tensor."
        )
    inputs, labels, *more = given
    return Batch(inputs, _labels(labels), *more)
