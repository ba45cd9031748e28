"""Data as users have it, read batch by batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from .errors import DataError, InputError
from .inputs import Inputs


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
        is read in the order of its data set; a list of batches, or anything else that can be iterated over for them.
        Where batches are pairs and the model takes one input, the second is labels.
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
        self._one_input = _takes_one(model)
        self._whole: Inputs | None = None
        self._labels: Tensor | None = None
        self._data = data
        if isinstance(data, Tensor | tuple | Mapping):
            data, self._labels = self._parted(data)
            self._whole = Inputs.of(data, model)
        elif isinstance(data, DataLoader):
            self._data = _in_order(data)
        elif isinstance(data, Dataset):
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
        if self._data is not None and isinstance(self._data, Iterator):
            batch = next(self._data, None)
            if batch is None:
                raise DataError("The data has no samples.")
            self._data = chain([batch], self._data)
            return self._read(batch)
        found = next(iter(self), None)
        if found is None:
            raise DataError("The data has no samples.")
        return found

    def __iter__(self) -> Iterator[Batch]:
        if self._whole is not None:
            for begin in range(0, self._whole.batch_size, self._size):
                rows = slice(begin, begin + self._size)
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
        batch, labels = self._parted(tuple(batch) if isinstance(batch, list) else batch)
        return Batch(self._here(Inputs.of(batch, self._model)), labels)

    def _parted(self, batch: Any) -> tuple[Any, Tensor | None]:
        if self._one_input and isinstance(batch, tuple) and len(batch) == 2 and isinstance(batch[1], Tensor):
            return batch
        return batch, None

    def _here(self, inputs: Inputs) -> Inputs:
        if self._device is None:
            return inputs
        return inputs.replaced({name: value.to(self._device) for name, value in inputs.tensors()})


def _rows(inputs: Inputs, index: Tensor) -> Inputs:
    n = inputs.batch_size
    if len(index) and not -n <= int(index.min()) <= int(index.max()) < n:
        raise InputError(f"samples {index.tolist()[:5]} of {n}.")
    return inputs.replaced({k: v[index.to(v.device)] for k, v in inputs.tensors() if v.ndim and v.shape[0] == n})


def _in_order(loader: DataLoader[Any]) -> DataLoader[Any]:
    """The same without shuffling, so that numbers of samples are those of the data set."""
    return DataLoader(
        loader.dataset,
        loader.batch_size or 1,
        collate_fn=loader.collate_fn,
        num_workers=loader.num_workers,
        generator=torch.Generator(),
    )


def _takes_one(model: Callable[..., Any]) -> bool:
    """Whether the model takes one input, so that a second is a label."""
    forward = model.forward if isinstance(model, nn.Module) else model
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):
        return True
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return False
    own = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(own) == 1 or (len(own) > 1 and sum(p.default is p.empty for p in own) == 1)
