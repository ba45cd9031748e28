"""What a domain adds to a report: how a sample is drawn, and what all samples together show."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Kind = Literal["text", "number", "image", "sample", "class"]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name
        As its head says.
    kind
        ``"text"``; ``"number"``, to the right and sorted by size; ``"image"``, a ``data:`` URL of SVG or PNG;
        ``"sample"``, the number of an attempt, which links to its page; ``"class"``, the index of a class, which is
        shown by its name where it has one, or text in its place.
    unit
        Of numbers, said once in the head.
    """

    name: str
    kind: Kind = "text"
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """What the data set shows, row by row: on the page one can sort it, filter it, and save it as CSV.

    Attributes
    ----------
    key
        Unique in the report; letters, digits and ``_``, as it names a file.
    title
        Above it.
    columns, rows
        What is in it: text, numbers (None and NaN are empty cells), ``data:`` URLs, numbers of attempts.
    note
        A sentence below the title: what the numbers are, and how they came about.
    """

    key: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    note: str = ""


class Content(ABC):
    """What a domain adds to the report of a run that it was made for.

    Attributes
    ----------
    view
        The script that draws samples, as ``sciexplain.views`` has it: ``"picture"``.
    """

    view: ClassVar[str]

    @abstractmethod
    def assets(self) -> Mapping[str, bytes]:
        """Scripts and styles by their file name, to lie in ``assets/`` beside the core's.

        Those called ``report_….js`` and ``report_….css`` are part of the gallery, of samples' pages and of the audit's,
        in this order; others, such as a large library, are there for ``sciexplain.asset(name)`` to load when they are
        needed.
        """

    def meta(self) -> Mapping[str, Any]:
        """What holds for all samples; views get it as ``context.meta``.

        The report itself reads ``classes`` (names, by index), ``unit`` (of score and relevance), ``noun`` (what samples
        are called, ``"pictures"``), and ``notes`` (sentences for the first page, such as why inputs are missing).
        """
        return {}

    @abstractmethod
    def samples(self, numbers: Sequence[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """What the view needs of each of these attempts, in ascending order, one after the other.

        A sample of which there is nothing to show is left out. Plain values and arrays of numpy; not finite is null.

        Parameters
        ----------
        numbers
            Ascending; they may be many, and what is yielded may be large: hold only what is at hand.
        """

    def tables(self) -> Iterator[Table]:
        """What the data set shows: top fragments, motifs, genes."""
        return iter(())

    def files(self) -> tuple[str, ...]:
        """Names of files in the run's folder that other programs read; the findings link to them."""
        return ()
