"""Records that a data set could not take, and why."""

from typing import NamedTuple


class Failure(NamedTuple):
    """A record that was left out, and why."""

    place: str
    reason: str


class Failures(list[Failure]):
    """The records left out so far; :meth:`add` is what readers take as ``on_error``."""

    def add(self, place: str, error: Exception) -> None:
        """Note a record, its place and what its error says beyond that."""
        self.append(Failure(place, str(error).removeprefix(f"{place}: ")))
