"""A source of molecules as chunks of records, which can be counted without being read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from sciexplain.domains.molecules.molecule import Molecule

Load = Callable[[], Molecule]
Record = tuple[str, Load]
"""The place of a record, such as ``"drugs.csv:12"``, and the call that reads it."""


@dataclass(frozen=True)
class Columns:
    """Which columns or properties hold the SMILES and the name; None to look for the usual ones."""

    smiles: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Chunk:
    """Some records in a row.

    Attributes
    ----------
    count
        How many there are.
    records
        Those from a number on, counted from 0. An error that it raises stands for all that are still missing.
    place
        Of the record of a number, where :attr:`records` does not come so far.
    """

    count: int
    records: Callable[[int], Iterator[Record]]
    place: Callable[[int], str] = lambda number: ""

    def from_record(self, start: int) -> Iterator[Record]:
        """Exactly ``count - start`` records: those from the number ``start`` on."""
        at, error = start, Exception("found no more records; expected as many as the file says")
        try:
            for record in islice(self.records(start), self.count - start):
                yield record
                at += 1
        except Exception as raised:  # of a damaged file; libraries raise whatever they please
            error = raised
        for number in range(at, self.count):
            yield self.place(number), partial(failing, error)


def only(place: str, load: Load) -> Chunk:
    """A chunk of one record."""
    return Chunk(1, lambda start: iter([(place, load)][start:]))


def failing(error: Exception) -> Molecule:
    """Instead of a molecule that cannot be read."""
    raise error
