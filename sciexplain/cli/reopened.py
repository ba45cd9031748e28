"""A run opened again: its rows, its model, and the samples it was made of."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor, nn

from sciexplain.errors import DataError
from sciexplain.prototypes import Prototypes
from sciexplain.records import Case
from sciexplain.runs import Run

Kind = Literal["images", "molecules", "genomics"]


class _Named(Protocol):
    @property
    def id(self) -> str: ...


S = TypeVar("S", bound=_Named)

_FAR = 64  # samples that are sooner read than skipped


@dataclass(frozen=True)
class Reopened(ABC):
    """What a run was asked, at hand to be asked again.

    Attributes
    ----------
    run
        Its folder.
    model
        The network, in evaluation mode.
    data
        The file or folder of samples.
    """

    run: Run
    model: nn.Module
    data: Path
    kind: ClassVar[Kind]

    @property
    def options(self) -> Mapping[str, Any]:
        """Of the command that made the run."""
        options: Mapping[str, Any] = self.run.info["options"]
        return options

    @cached_property
    def table(self) -> pa.Table:
        """The rows without their relevance."""
        columns = [name for name in self.run.rows.schema.names if name != "relevance"]
        return self.run.rows.to_table(columns=columns)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Of the rows, in their order.

        Raises
        ------
        DataError
            Two rows have the same.
        """
        ids = tuple(self.table["id"].to_pylist())
        if len(set(ids)) < len(ids):
            twice = next(name for name, count in Counter(ids).items() if count > 1)
            raise DataError(f"{self.run.path}: two rows have the id {twice!r}; give every sample a name of its own")
        return ids

    def relevance(self, ids: Sequence[str]) -> list[Tensor]:
        """As the run has it, each in the domain's shape: (C, H, W), (atoms,) or (L,).

        Raises
        ------
        DataError
            The run has no such row.
        """
        self.check(ids)
        wanted = pc.field("id").isin(list(dict.fromkeys(ids)))
        rows = self.run.rows.to_table(columns=["id", "relevance", "shape"], filter=wanted)
        try:
            found = {
                row["id"]: torch.from_numpy(np.array(row["relevance"], np.float32)).reshape(row["shape"])
                for row in rows.to_pylist()
            }
        except (RuntimeError, TypeError) as error:
            raise DataError(f"{self.run.path}: relevance and shape of a row do not agree: {error}") from error
        return [found[name] for name in ids]

    @abstractmethod
    def samples(self, ids: Sequence[str]) -> Any:
        """The samples, read again: pictures, molecules or :class:`~sciexplain.domains.genomics.Sequences`.

        Not held against the rows, which a record alone does not have: see :meth:`check`.

        Raises
        ------
        DataError
            The run or its data has no such sample.
        """

    @abstractmethod
    def explain(self, ids: Sequence[str]) -> Any:
        """The explanation of these samples as the run was asked for it, in the domain's form."""

    @abstractmethod
    def case(self, name: str, labels: Sequence[str] | None = None) -> Case:
        """The decision about one sample, at hand to be asked again; its picture names classes by their labels."""

    @abstractmethod
    def prototypes(self, ids: Sequence[str], target: int | None, k: int, *, layer: str | None = None) -> Prototypes:
        """k of these samples that stand for all of them; see :func:`sciexplain.prototypes`."""

    def check(self, ids: Iterable[str]) -> None:
        """That the run has these rows.

        Raises
        ------
        DataError
            One is not there.
        """
        known = set(self.ids)
        if missing := [name for name in ids if name not in known]:
            some = ", ".join(self.ids[:3]) + (", …" if len(known) > 3 else "")
            there = f"its {len(known)} rows are {some}" if known else "it has none"
            raise DataError(f"{self.run.path} has no row {missing[0]!r}; {there}")

    def picked(self, ids: Sequence[str], attempts: Callable[[int], Iterator[S | None]]) -> list[S]:
        """Those samples, in that order, reading little else.

        Parameters
        ----------
        ids
            Of the samples.
        attempts
            Reads from the attempt of that number on; None stands for one that failed.

        Raises
        ------
        DataError
            The data has no such sample.
        """
        found: dict[str, S] = {}
        if self._numbers:
            for sample in _at(sorted(self._numbers[name] for name in set(ids)), attempts):
                if sample is not None:
                    found[sample.id] = sample
        else:
            missing = set(ids)
            for sample in attempts(0):
                if sample is not None and sample.id in missing:
                    found[sample.id] = sample
                    missing.discard(sample.id)
                if not missing:
                    break
        if lost := [name for name in ids if name not in found]:
            raise DataError(f"{self.data} has no sample {lost[0]!r}, which {self.run.path} was made of")
        return [found[name] for name in ids]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """The places of the samples in the data; none where only ``run.json`` is there, as with a record."""
        if not (self.run.path / "rows").is_dir():
            return {}
        return dict(zip(self.ids, self.table["number"].to_pylist(), strict=True))


def _at(numbers: Sequence[int], attempts: Callable[[int], Iterator[S | None]]) -> Iterator[S | None]:
    """The attempts of rising numbers: read on where the next is near, begun anew where it is far."""
    stream: Iterator[S | None] = iter(())
    at = -_FAR
    for number in numbers:
        if number - at >= _FAR:
            stream, at = attempts(number), number
        sample = next(islice(stream, number - at, None), None)
        at = number + 1
        yield sample
