"""What a run asks of a domain: samples to read, batches to explain, and what becomes of all of them together."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sciexplain.runs.classes import Decision
from sciexplain.runs.format import Failure, Run


@dataclass(frozen=True)
class Sample:
    """One sample, read and ready for the model.

    Attributes
    ----------
    id
        Unique within the data.
    input
        Where it came from: a path, and the place inside it where there are several.
    content
        What the domain explains: a picture, a molecule, a sequence.
    size
        How much it adds to a batch: pixels times channels, atoms, letters. Memory is reckoned to grow with it.
    bucket
        Samples of one bucket, such as pictures of one shape, can share a batch.
    """

    id: str
    input: str
    content: Any
    size: int
    bucket: Hashable = None


Attempt = Sample | Failure


@dataclass(frozen=True)
class Answer:
    """What came out for one sample.

    Attributes
    ----------
    decision
        What the model says; None in every place where it has no classes.
    target
        The class that is explained, if one is.
    score
        The explained output.
    relevance
        In the domain's shape: (C, H, W), (atoms,), (L,).
    gap
        Score minus relevance minus what was absorbed; None when no ledger was kept.
    tables
        Columns to add to the domain's tables, by the table's name.
    texts
        Text to add to the domain's files, by the file's name.
    draw
        Draws the sample to a path of the right suffix, which it is given without one, and returns that path.
    """

    decision: Decision
    target: int | None
    score: float
    relevance: NDArray[np.float32]
    gap: float | None = None
    tables: Callable[[], Mapping[str, Mapping[str, Sequence[Any]]]] = dict
    texts: Callable[[], Mapping[str, str]] = dict
    draw: Callable[[Path], Path] | None = None


@dataclass(frozen=True)
class Explained:
    """What came out for a batch.

    Attributes
    ----------
    answers
        In the order of the samples: an answer, or the error that this sample ran into.
    unknown
        How often an operation had no rule, by its name and its module's.
    """

    answers: Sequence[Answer | Exception]
    unknown: Mapping[tuple[str, str], int] = field(default_factory=dict)


class Work(ABC):
    """A data set and a question that is asked of every sample of it.

    It is made anew by every process that takes part, from what ``run.json`` says was asked.

    Attributes
    ----------
    noun
        What its samples are called: ``"pictures"``.
    shard
        Samples that go into one shard, unless asked otherwise: what is done again when a run is broken off.
    most
        Samples that a batch has at most: more of them would not be faster.
    wrong_question
        Errors of :meth:`explain` that tell of the question, not of one sample: no other sample would fare better.
    tables
        Schemas of the domain's tables, which grow with the rows: ``atoms``, ``nucleotides``.
    texts
        Files that grow with the rows: ``molecules.sdf``.
    """

    noun: ClassVar[str]
    shard: ClassVar[int]
    most: ClassVar[int]
    wrong_question: ClassVar[tuple[type[Exception], ...]]
    tables: Mapping[str, pa.Schema] = {}
    texts: tuple[str, ...] = ()

    @abstractmethod
    def count(self) -> int | None:
        """How many attempts :meth:`read` makes; None where only reading tells."""

    @abstractmethod
    def read(self, start: int = 0) -> Iterator[Attempt]:
        """Samples in the order of the data, and failures at their place among them.

        Parameters
        ----------
        start
            The first to read; those before it cost little. ``read(n)`` is ``read(0)`` without its first n.
        """

    @abstractmethod
    def explain(self, samples: Sequence[Sample]) -> Explained:
        """Explain a batch.

        Raises
        ------
        Exception
            Whatever the user's model raises; the batch is then halved, down to the samples that fail alone.
        """

    def finish(self, run: Run, say: Callable[[str], object]) -> "Finding":
        """What becomes of all rows together, once they are there; done again if it is broken off.

        Parameters
        ----------
        run
            With all its rows.
        say
            Told what is being done.
        """
        return Finding()


@dataclass(frozen=True)
class Finding:
    """What came of all rows together.

    Attributes
    ----------
    lines
        To tell the user.
    entries
        For ``run.json``.
    """

    lines: Sequence[str] = ()
    entries: Mapping[str, Any] = field(default_factory=dict)
