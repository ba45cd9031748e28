"""Data as users have it, read batch by batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from .errors import DataError, InputError
from .inputs import Inputs, passes


class Batch(NamedTuple):
    """Some samples, and their labels where the data has them."""

    inputs: Inputs
    labels: Tensor | None


class Samples:
    """Samples that are numbered in the order of the data.

    Parameters
    ----------
    data
        A tensor (N, …), a tuple or dict of them as the model's forward takes them; a data set or loader of torch, which
        is read in the order of its data set; a list of samples, each with its label; a list of batches, or anything
        else that can be iterated over for them. Arrays are taken as tensors. Where batches have one thing more than the
        model takes inputs, or are pairs whose first is a tuple or dict of inputs, the last is labels.
    model
        Whose inputs they are; batches go to its device.
    batch_size : int
        Of tensors and data sets; batches stay as they are.

    Raises
    ------
    InputError
        For anything else.
    """

    def __init__(self, data: Any, model: Callable[..., Any], batch_size: int) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: expected a positive number.")
        self._model, self._size = model, batch_size
        self._device = next((p.device for p in model.parameters()), None) if isinstance(model, nn.Module) else None
        self._with_labels = _with_labels(model)
        self._whole: Inputs | None = None
        self._labels: Tensor | None = None
        self._data = data
        if isinstance(data, Tensor | np.ndarray | tuple | Mapping):
            data, self._labels = self._parted(data)
            self._whole = Inputs.of(data, model)
        elif isinstance(data, DataLoader):
            self._data = _in_order(data)
        elif isinstance(data, Dataset) or _of_samples(data):
            # without a generator of its own, a loader draws from the global one
            self._data = DataLoader(data, batch_size, generator=torch.Generator())
        elif not isinstance(data, Iterable) or isinstance(data, str | bytes):
            raise InputError(
                f"data is {type(data).__name__}; expected a tensor, a tuple or dict of tensors, a Dataset, a "
                "DataLoader, or a list of batches."
            )

    @property
    def only_once(self) -> bool:
        """Whether samples are gone once they have been read."""
        return self._whole is None and isinstance(self._data, Iterator)

    def needed_again(self) -> None:
        """
        Raises
        ------
        DataError
            The data can be read only once.
        """
        if self.only_once:
            raise DataError(
                "The data is a generator, which can be read once, and the samples found in it are needed again; give a "
                "list of batches, a Dataset or a DataLoader."
            )

    def first(self) -> Batch:
        """The first batch, which comes again when samples are read."""
        if self.only_once:
            own = list(islice(self._data, 1))
            self._data = chain(own, self._data)
            found = self._read(own[0]) if own else None
        else:
            found = next(iter(self), None)
        if found is None:
            raise DataError("The data has no samples.")
        return found

    def __iter__(self) -> Iterator[Batch]:
        if self._whole is not None:
            for rows in passes(self._whole.batch_size, self._size):
                labels = None if self._labels is None else self._labels[rows]
                yield Batch(self._here(self._whole.rows(rows)), labels)
            return
        for batch in self._data:
            yield self._read(batch)

    def take(self, indices: Sequence[int], sizes: Sequence[int]) -> Inputs:
        """Samples by their numbers, as one batch; ``sizes`` are those of the batches.

        Raises
        ------
        DataError
            The data can be read only once, or has no rows that could be taken apart.
        """
        if self._whole is not None:
            return self._here(_rows(self._whole, torch.as_tensor(indices)))
        if isinstance(self._data, DataLoader) and not isinstance(self._data.dataset, IterableDataset):
            collate = self._data.collate_fn or default_collate
            return self._read(collate([self._data.dataset[i] for i in indices])).inputs
        self.needed_again()
        found: dict[int, Inputs] = {}
        begin = 0
        for batch, size in zip(self, sizes, strict=False):
            for i in sorted({i for i in indices if begin <= i < begin + size}):
                found[i] = _rows(batch.inputs, torch.tensor([i - begin]))
            begin += size
        parts = [found[i] for i in indices]
        first = parts[0]
        return first.replaced(
            {n: torch.cat([p.values[n] for p in parts]) for n, _ in first.tensors() if first.is_batched(n)}
        )

    def _read(self, batch: Any) -> Batch:
        batch, labels = self._parted(batch)
        return Batch(self._here(Inputs.of(batch, self._model)), labels)

    def _parted(self, batch: Any) -> tuple[Any, Tensor | None]:
        batch = _as_tensors(batch)
        if not isinstance(batch, tuple) or len(batch) < 2:
            return batch, None
        nested = len(batch) == 2 and isinstance(batch[0], tuple | dict)
        if not isinstance(batch[-1], Tensor) or not (nested or len(batch) == self._with_labels):
            return batch, None
        return (batch[0] if len(batch) == 2 else batch[:-1]), batch[-1]

    def _here(self, inputs: Inputs) -> Inputs:
        return inputs.replaced({name: value.detach().to(self._device) for name, value in inputs.tensors()})


def _rows(inputs: Inputs, index: Tensor) -> Inputs:
    n = inputs.batch_size
    if len(index) and not -n <= int(index.min()) <= int(index.max()) < n:
        raise InputError(f"samples {index.tolist()[:5]} of {n}.")
    return inputs.replaced({k: v[index.to(v.device)] for k, v in inputs.tensors() if inputs.is_batched(k)})


def _in_order(loader: DataLoader[Any]) -> DataLoader[Any]:
    """The same without shuffling, so that numbers of samples are those of the data set."""
    return DataLoader(
        loader.dataset,
        loader.batch_size or 1,
        collate_fn=loader.collate_fn,
        num_workers=loader.num_workers,
        generator=torch.Generator(),
    )


def _of_samples(data: Any) -> bool:
    """Whether it holds single samples, one by one, as a data set does: pairs with a label that is one number."""
    if not isinstance(data, Iterable):
        return hasattr(data, "__getitem__") and hasattr(data, "__len__")
    first = data[0] if isinstance(data, Sequence) and len(data) else None
    return isinstance(first, tuple | list) and len(first) == 2 and np.ndim(first[1]) == 0


def _as_tensors(batch: Any) -> Any:
    """Tuples in the place of lists, and tensors in that of arrays."""
    if isinstance(batch, tuple | list):
        return tuple(_as_tensors(b) for b in batch)
    if isinstance(batch, Mapping):
        return {name: _as_tensors(value) for name, value in batch.items()}
    return torch.as_tensor(batch) if isinstance(batch, np.ndarray) and batch.dtype.kind in "biuf" else batch


def _with_labels(model: Callable[..., Any]) -> int | None:
    """How many things a batch has where the last of them is labels; None where that cannot be told."""
    forward = model.forward if isinstance(model, nn.Module) else model
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):
        return 2
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    own = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return 2 if sum(p.default is p.empty for p in own) == 1 else len(own) + 1
