"""What an audit needs of a run, by domain: relevance as it was kept, and the samples anew for edits and pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciexplain.audit import Spray
from sciexplain.cli.reopened import Reopened
from sciexplain.errors import DataError

_AT_ONCE = 256
_LONGEST = 64
"""Pixels along the longer side, at most, that maps are compared and averaged at."""


class AuditSubject(ABC):
    """A run, as an audit takes it; also a :class:`sciexplain.evaluate.Removal` of its samples' map entries.

    Parameters
    ----------
    opened
        The run.
    seed
        Of what is drawn.

    Attributes
    ----------
    target
        (N,) the explained classes; of a model of one output, 1 where it is above 0.
    sign
        (N,) −1 where relevance must be turned to speak for that class.
    sizes
        Parts of each sample.
    """

    def __init__(self, opened: Any, seed: int) -> None:
        self.opened, self.seed = opened, seed
        self._last: tuple[tuple[int, ...], Any] | None = None
        table = opened.table
        single = table["prediction"].null_count == len(table)
        scores = table["score"].to_numpy()
        if not single and table["target"].null_count:
            raise DataError(f"{opened.run.path} explains no classes; an audit compares the samples of one class")
        self.target: NDArray[np.int64] = (scores > 0).astype(np.int64) if single else table["target"].to_numpy()
        self.sign = np.where(scores > 0, 1, -1) if single else np.ones(len(scores), np.int64)
        self.sizes = self._sizes()

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Of the rows."""
        ids: tuple[str, ...] = self.opened.ids
        return ids

    @abstractmethod
    def _sizes(self) -> tuple[int, ...]:
        """Parts of each sample."""

    @abstractmethod
    def audited(self, *, labels: Any, edit: bool, **options: Any) -> Spray:
        """The audit; options are those of every domain."""

    def column(self, name: str) -> list[str] | None:
        """What the data says of each sample under a name; None where it says nothing."""
        return None

    def scores(self, samples: Sequence[int], kept: Sequence[Tensor]) -> Tensor:
        """What the model says for the explained classes when only some parts are left."""
        # An edit asks twice about the same samples.
        if self._last is None or self._last[0] != tuple(samples):
            self._last = tuple(samples), self._removal(tuple(samples))
        removal = self._last[1]
        found = removal.scores(range(len(samples)), [self._parts(removal, k) for k in kept]).cpu()
        return found * torch.from_numpy(self.sign[list(samples)])

    @abstractmethod
    def _removal(self, samples: tuple[int, ...]) -> Any:
        """Of samples explained anew."""

    def _parts(self, removal: Any, kept: Tensor) -> Tensor:
        """From what is kept of a map to what is kept of the removal's parts."""
        return kept

    def _rows(self) -> Iterator[tuple[NDArray[np.float32], list[int]]]:
        """Relevance of each row, flat, and its shape; never all at once."""
        for batch in self.opened.run.rows.to_batches(columns=["relevance", "shape"], batch_size=_AT_ONCE):
            for values, shape in zip(batch["relevance"], batch["shape"], strict=True):
                yield values.values.to_numpy(), shape.as_py()


class PictureSubject(AuditSubject):
    """Pictures, on maps of 64 pixels at most."""

    @cached_property
    def maps(self) -> NDArray[np.float32]:
        """(N, h, w): channels summed."""
        found = []
        for values, shape in self._rows():
            found.append(self._pooled(values.reshape(shape).sum(0)))
            if found[0].shape != found[-1].shape:
                raise DataError(f"{self.opened.run.path} has pictures of several shapes; explain them with --resize")
        return np.stack(found)

    def _sizes(self) -> tuple[int, ...]:
        return (self.maps[0].size,) * len(self.maps)

    def audited(self, *, labels: Any, edit: bool, **options: Any) -> Spray:
        from sciexplain.audit.spray import BORDER, border
        from sciexplain.domains.images.audit import OFF_OBJECT, audit, background

        off = np.concatenate([self._mean(background(inputs)) for inputs in self._inputs()])
        outside = {OFF_OBJECT: off, BORDER: border(*self.maps.shape[1:])}
        maps = torch.from_numpy(self.maps * self.sign[:, None, None])
        return audit(
            maps, target=self.target, labels=labels, outside=outside, edit=self if edit else False, seed=self.seed,
            **options,
        )  # fmt: skip

    def display(self, samples: Sequence[int]) -> tuple[list[Any], list[NDArray[np.float32]]]:
        """Pictures (H, W, C) as the network sees them, and their heatmaps on the same pixels."""
        ids = [self.ids[i] for i in samples]
        shown = self.opened.question.preprocess.to_display(self.opened.inputs(ids)).clamp(0, 1)
        heat = [r.sum(0).numpy() * self.sign[i] for r, i in zip(self.opened.relevance(ids), samples, strict=True)]
        return [one.permute(1, 2, 0).float().cpu().numpy() for one in shown], heat

    def _removal(self, samples: tuple[int, ...]) -> Any:
        from sciexplain.domains.images.evaluate import removal_of
        from sciexplain.evaluate.fillers import Resample

        explained = self.opened.explain([self.ids[i] for i in samples])
        return removal_of(explained, filler=Resample(self._others), seed=self.seed)

    def _parts(self, removal: Any, kept: Tensor) -> Tensor:
        height, width = removal.inputs.shape[-2:]
        rows, columns = (
            torch.arange(whole) * part // whole
            for whole, part in zip((height, width), self.maps.shape[1:], strict=True)
        )
        return kept.reshape(self.maps.shape[1:])[rows[:, None], columns].flatten()

    @cached_property
    def _others(self) -> Tensor:
        """What other pictures have where one is edited: some of all, not of the cluster that is looked at."""
        drawn = np.random.default_rng(self.seed).permutation(len(self.ids))[:_AT_ONCE]
        inputs: Tensor = self.opened.inputs([self.ids[i] for i in np.sort(drawn)])
        return inputs

    def _inputs(self) -> Iterator[Tensor]:
        """All pictures as the network gets them, in one pass over the data."""
        from sciexplain.domains import images

        wanted, found = set(self.ids), {}
        order = iter(self.ids)
        following = next(order, None)
        for picture in images.read(self.opened.data, self.opened.options["mode"], on_error=lambda name, error: None):
            if picture.name not in wanted:
                continue
            found[picture.name] = picture
            batch = []
            while following in found:
                batch.append(found.pop(following))
                following = next(order, None)
            if batch:
                yield self.opened.question.preprocess(batch)
        if following is not None:
            raise DataError(f"{self.opened.data} has no sample {following!r}, which {self.opened.run.path} was made of")

    @staticmethod
    def _pooled(rows: NDArray[Any]) -> NDArray[np.float32]:
        """(…, h, w): sums, so that the longer side has 64 pixels at most."""
        factor = max(1.0, max(rows.shape[-2:]) / _LONGEST)
        for axis in (-2, -1):
            side = rows.shape[axis]
            part = max(1, round(side / factor))
            starts = -(-np.arange(part) * side // part)
            rows = np.add.reduceat(rows, starts, axis=axis)
        return rows.astype(np.float32)

    def _mean(self, masks: NDArray[np.bool_]) -> NDArray[np.float32]:
        whole = masks.astype(np.float32)
        return self._pooled(whole) / self._pooled(np.ones_like(whole[0]))


class MoleculeSubject(AuditSubject):
    """Molecules, by the fragments in them."""

    @cached_property
    def molecules(self) -> list[Any]:
        """Those of the rows."""
        found: list[Any] = self.opened.samples(list(self.ids))
        return found

    @cached_property
    def atoms(self) -> list[NDArray[np.float32]]:
        """For each molecule (n,), speaking for its class."""
        return [values * sign for (values, _), sign in zip(self._rows(), self.sign.tolist(), strict=True)]

    def _sizes(self) -> tuple[int, ...]:
        return tuple(len(one) for one in self.atoms)

    def audited(self, *, labels: Any, edit: bool, **options: Any) -> Spray:
        from sciexplain.domains.molecules.audit import audit

        return audit(
            self.molecules, atoms=self.atoms, target=self.target, labels=labels, edit=self if edit else False,
            seed=self.seed, **options,
        )  # fmt: skip

    def column(self, name: str) -> list[str] | None:
        values = [(molecule.labels or {}).get(name) for molecule in self.molecules]
        # a class that was read as a number is 1, not 1.0
        texts = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
        return None if any(value is None for value in values) else texts

    @cached_property
    def table(self) -> Any:
        """Relevance by fragment; the columns of the audit's maps."""
        from sciexplain.domains.molecules.audit import fragment_table

        return fragment_table(self.molecules, atoms=self.atoms)

    def _removal(self, samples: tuple[int, ...]) -> Any:
        from sciexplain.domains.molecules.removal import AtomRemoval

        return AtomRemoval(self.opened.question.answer([self.molecules[i] for i in samples]), seed=self.seed)


class SequenceSubject(AuditSubject):
    """Sequences, by position and word."""

    @cached_property
    def sequences(self) -> Any:
        """Those of the rows."""
        return self.opened.samples(list(self.ids))

    @cached_property
    def rows(self) -> NDArray[np.float32]:
        """(N, L), speaking for their classes."""
        found = [values * sign for (values, _), sign in zip(self._rows(), self.sign.tolist(), strict=True)]
        if len({len(row) for row in found}) > 1:
            raise DataError(f"{self.opened.run.path} has sequences of several lengths; explain them with --length")
        return np.stack(found)

    def _sizes(self) -> tuple[int, ...]:
        return (self.rows.shape[1],) * len(self.rows)

    def audited(self, *, labels: Any, edit: bool, **options: Any) -> Spray:
        from sciexplain.domains.genomics import SequenceExplanation
        from sciexplain.domains.genomics.audit import audit

        explained = SequenceExplanation.of(self.sequences, nucleotides=torch.from_numpy(self.rows))
        return audit(
            explained, target=self.target, labels=labels, edit=self if edit else False, seed=self.seed, **options
        )

    def _removal(self, samples: tuple[int, ...]) -> Any:
        from sciexplain.domains.genomics.evaluate import removal_of

        return removal_of(self.opened.question.answer(self.sequences[list(samples)]), seed=self.seed)


_SUBJECTS: dict[str, type[AuditSubject]] = {
    "images": PictureSubject, "molecules": MoleculeSubject, "genomics": SequenceSubject,
}  # fmt: skip


def audit_subject(opened: Reopened, seed: int) -> AuditSubject:
    """The run as an audit takes it."""
    return _SUBJECTS[opened.kind](opened, seed)
