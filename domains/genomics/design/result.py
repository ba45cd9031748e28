"""Designed sequences, the best first, with what was changed in them and what that gained."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

from sciexplain._files import PathName, written
from sciexplain.domains.genomics.formats.frames import frame
from sciexplain.domains.genomics.sequences import Sequences


@dataclass(frozen=True)
class Edit:
    """One letter that was replaced.

    Attributes
    ----------
    position
        0-based.
    before, after
        The letters.
    gain
        By how much the prediction would fall (for counterfactuals, move back) if this edit alone were taken back.
    """

    position: int
    before: str
    after: str
    gain: float

    def __str__(self) -> str:
        return f"{self.before}{self.position + 1}{self.after}"


@dataclass(frozen=True)
class Design:
    """One designed sequence.

    Attributes
    ----------
    name
        ``design_0`` and so on; or that of the sequence that it was made from.
    sequence
        Its letters.
    objective
        What was maximised: the prediction, and with a prior what that adds.
    prediction
        What the model says of exactly these letters: the target's value, a logit where the model ends in a softmax or
        sigmoid.
    before
        The same of the sequence that it was made from; None from scratch.
    edits
        By position; empty from scratch.
    gc
        Share of G and C among the known letters; None for proteins.
    log_density
        Under the prior, in nats; None without one.
    settled
        Whether no allowed substitution is better (and with a budget no exchange of edits), by the exact change of each;
        otherwise the steps ran out.
    """

    name: str
    sequence: str
    objective: float
    prediction: float
    before: float | None
    edits: tuple[Edit, ...]
    gc: float | None
    log_density: float | None
    settled: bool


@dataclass(frozen=True, eq=False)
class Designs(Sequence[Design]):
    """Designed sequences of one length, the best first.

    Attributes
    ----------
    designs
        Each of them.
    sequences
        The same as :func:`~sciexplain.domains.genomics.explain` takes them, with further channels if there are any.
    method
        ``"relaxed"`` or ``"search"``.
    typical
        Mean log-density of real sequences under the prior, in nats, where it says so; otherwise None.
    """

    designs: tuple[Design, ...]
    sequences: Sequences
    method: str
    typical: float | None = None

    def __len__(self) -> int:
        return len(self.designs)

    def __iter__(self) -> Iterator[Design]:
        return iter(self.designs)

    @overload
    def __getitem__(self, index: int) -> Design: ...
    @overload
    def __getitem__(self, index: slice) -> Designs: ...
    def __getitem__(self, index: int | slice) -> Design | Designs:
        if isinstance(index, slice):
            return Designs(self.designs[index], self.sequences[index], self.method, self.typical)
        return self.designs[index]

    @classmethod
    def joined(cls, parts: Sequence[Designs]) -> Designs:
        """Designs that were made apart in the same way, as one; the best first."""
        pairs = [(design, part.sequences[i]) for part in parts for i, design in enumerate(part)]
        pairs.sort(key=lambda pair: -pair[0].objective)
        sequences = Sequences(
            torch.cat([one.inputs for _, one in pairs]),
            tuple(one.names[0] for _, one in pairs),
            tuple(one.intervals[0] for _, one in pairs),
            pairs[0][1].alphabet,
        )
        return cls(tuple(design for design, _ in pairs), sequences, parts[0].method, parts[0].typical)

    @property
    def texts(self) -> list[str]:
        """Their letters."""
        return [design.sequence for design in self]

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """(L, letters): the letters' shares at each position, as :func:`draw_logo` takes probabilities."""
        counts = self.sequences.one_hot.double().sum(0).t().cpu().numpy()
        known = counts.sum(1, keepdims=True)
        return np.asarray(np.divide(counts, known, out=np.full_like(counts, 1 / counts.shape[1]), where=known > 0))

    def to_pandas(self) -> Any:
        """A table with a row for each; edits as text, such as ``A12G``, counted from 1."""
        numbers = {
            "objective": "float64",
            "prediction": "float64",
            "before": "float64",
            "gc": "float64",
            "log_density": "float64",
        }
        columns: dict[str, tuple[str, list[Any]]] = {"name": ("object", [d.name for d in self])}
        columns["sequence"] = ("object", [d.sequence for d in self])
        for name, kind in numbers.items():
            values = [getattr(d, name) for d in self]
            columns[name] = (kind, [float("nan") if v is None else v for v in values])
        columns["edits"] = ("object", [" ".join(map(str, d.edits)) for d in self])
        columns["settled"] = ("bool", [d.settled for d in self])
        return frame(columns)

    def to_fasta(self, path: PathName) -> Path:
        """Write FASTA; headers say the prediction and the number of edits.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        return written_text(path, "".join(map(_entry, self)))

    def to_json(self, path: PathName, about: Mapping[str, Any] | None = None) -> Path:
        """Write JSON: what it is ``about`` as given, and all designs with their edits.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        content = dict(about or {}) | {"method": self.method, "typical_log_density": self.typical}
        content |= {"designs": [asdict(design) for design in self]}
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        return written_text(path, text)


def written_text(path: PathName, text: str) -> Path:
    """A file of text, whole or not at all."""

    def write(file: Path) -> None:
        file.write_text(text, encoding="utf-8")

    return written(path, write)


def _entry(design: Design) -> str:
    edits = "" if design.before is None else f" edits={len(design.edits)} before={design.before:.6g}"
    lines = "\n".join(design.sequence[i : i + 80] for i in range(0, len(design.sequence), 80))
    return f">{design.name} prediction={design.prediction:.6g}{edits}\n{lines}\n"
