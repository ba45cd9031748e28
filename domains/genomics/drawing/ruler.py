"""From letters on a page to numbers on its axis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sciexplain.domains.genomics.interval import Interval


@dataclass(frozen=True)
class Ruler:
    """The axis under letters 0 to ``length`` from left to right, the i-th drawn from i − ½ to i + ½.

    Attributes
    ----------
    length
        In letters.
    interval
        Where they lie; None where that is not known.
    descending
        Whether coordinates fall from left to right, as they do along a sequence of the minus strand.
    first
        The number of the first letter where there is no interval.

    Examples
    --------
    >>> ruler = Ruler(10, Interval("chr1", 100, 110, "-"), descending=True)
    >>> ruler.number(0), ruler.edges(100, 102)
    (110, (7.5, 9.5))
    """

    length: int
    interval: Interval | None = None
    descending: bool = False
    first: int = 0

    def number(self, letter: int) -> int:
        """What a letter's tick says: its base, counted from 1 as browsers do; without an interval, from ``first``."""
        if self.interval is None:
            return self.first + letter
        return self.interval.end - letter if self.descending else self.interval.start + letter + 1

    def edges(self, start: int, end: int) -> tuple[float, float]:
        """Left and right edge of the bases ``start`` to ``end`` (0-based, half-open), also outside of the page."""
        origin = self.first if self.interval is None else self.interval.start
        left, right = start - origin - 0.5, end - origin - 0.5
        return (self.length - 1 - right, self.length - 1 - left) if self.descending else (left, right)

    def ticks(self, most: int) -> tuple[list[int], list[str]]:
        """At most so many letters with round numbers, and what is written below them."""
        low, high = sorted((self.number(0), self.number(self.length - 1)))
        step = next(s for s in _steps() if high // s - (low - 1) // s <= max(most, 1))
        numbers = range(-(-low // step) * step, high + 1, step)
        places = [high - n if self.descending else n - low for n in numbers]
        pairs = sorted(zip(places, numbers, strict=True))
        return [place for place, _ in pairs], [f"{n:,}".replace("-", "−") for _, n in pairs]

    @property
    def label(self) -> str:
        """The name of the axis."""
        if self.interval is None:
            return "position in the sequence (counted from 0)"
        return f"{self.interval.chrom}, base (counted from 1)"


def _steps() -> Iterator[int]:
    size = 1
    while True:
        yield from (size, 2 * size, 5 * size)
        size *= 10
