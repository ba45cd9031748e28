"""Stretches of the genome as files for browsers: BED with nine columns, GFF3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

import numpy as np

from sciexplain._files import PathName, written
from sciexplain.domains.colormap import relevance_colours
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import DataError, InputError

# What GFF3 lets stand as it is; everything else is percent-encoded.
_SEQID_LETTERS = "!$^*+?|:"
_ATTRIBUTE_LETTERS = "!$^*+?|: ()[]/@#<>'\"{}`~"


@dataclass(frozen=True)
class Feature:
    """A stretch of the genome with a name and a number.

    Attributes
    ----------
    interval
        Where it is.
    name
        For the reader.
    score
        Signed, such as the summed relevance.
    type
        Term of the Sequence Ontology, for GFF3.
    attributes
        What else is known, for GFF3.
    """

    interval: Interval
    name: str = ""
    score: float = 0.0
    type: str = "sequence_feature"
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)


def write_lines(path: PathName, lines: Iterable[str]) -> Path:
    """Write lines as UTF-8, each ended by a line feed whatever the system."""

    def write(file: Path) -> None:
        handle: TextIO
        with file.open("w", encoding="utf-8", newline="\n") as handle:
            handle.writelines(line + "\n" for line in lines)

    return written(path, write)


def item_colour(value: float, limit: float) -> str:
    """A signed number as ``r,g,b`` of the map ``"relevance"``, which is full at ``±limit``.

    Examples
    --------
    >>> item_colour(1.0, 1.0), item_colour(-1.0, 1.0)
    ('160,52,42', '6,88,175')
    """
    table = relevance_colours()
    middle = len(table) // 2
    share = np.clip(value / limit, -1, 1) if limit > 0 else 0.0
    # A browser's ground is white: the palest third of the map would not be seen there.
    strength = np.copysign(1 / 3 + 2 / 3 * abs(share), share) if share else 0.0
    return ",".join(str(round(255 * c)) for c in table[round(middle + middle * strength)])


def write_bed(
    path: PathName,
    features: Sequence[Feature],
    *,
    limit: float | None = None,
    chroms: Iterable[str] = (),
) -> Path:
    """Write features as BED with nine columns, red where the score is positive and blue where it is negative.

    The columns are separated by tabs: chrom, start, end, name, score, strand, thickStart, thickEnd, itemRgb. BED's
    score is a whole number: 1000 · \\|score\\| / ``limit``. IGV and the UCSC browser show the colours.

    Parameters
    ----------
    path
        An existing file is replaced only when the new one is complete.
    features
        In any order; lines are sorted by chromosome, start and end.
    limit
        The score that gets the full colour; None: the largest in magnitude.
    chroms
        The order of chromosomes, such as ``Genome.chroms``; others follow by name.

    Raises
    ------
    DataError
        The file cannot be written.
    InputError
        A score is not finite, or ``limit`` is not above 0.
    """
    _finite(features)
    if limit is not None and not 0 < limit < np.inf:
        raise InputError(f"limit={limit}; expected above 0 and finite")
    full = max((abs(f.score) for f in features), default=0.0) if limit is None else limit

    def line(feature: Feature) -> str:
        place = feature.interval
        share = min(abs(feature.score) / full, 1.0) if full else 0.0
        cells = (place.chrom, place.start, place.end, one_line(feature.name) or ".", round(1000 * share), place.strand)
        return "\t".join(map(str, (*cells, place.start, place.end, item_colour(feature.score, full))))

    return write_lines(path, map(line, in_order(features, chroms)))


def write_gff3(
    path: PathName,
    features: Sequence[Feature],
    *,
    source: str = "sciexplain",
    chrom_sizes: Mapping[str, int] | None = None,
) -> Path:
    """Write features as GFF3, 1-based with both ends in.

    Parameters
    ----------
    path
        An existing file is replaced only when the new one is complete.
    features
        In any order; lines are sorted by chromosome, start and end. ``name`` becomes the attribute ``Name``.
    source
        Second column.
    chrom_sizes
        In bp; gives a line ``##sequence-region`` for each chromosome in use, and their order.

    Raises
    ------
    DataError
        The file cannot be written, or a chromosome has no size or is shorter than a feature's end.
    InputError
        A score is not finite.

    Notes
    -----
    Sequence Ontology, *Generic Feature Format Version 3*, 1.26: tabs, line ends, ``%``, ``;``, ``=``, ``&`` and ``,``
    in values are percent-encoded.
    """
    _finite(features)
    lines = ["##gff-version 3"]
    if chrom_sizes is not None:
        for feature in features:
            check_size(feature.interval, chrom_sizes)
        used = {f.interval.chrom for f in features}
        lines += [f"##sequence-region {_seqid(c)} 1 {size}" for c, size in chrom_sizes.items() if c in used]

    def line(feature: Feature) -> str:
        place = feature.interval
        attributes = ({"Name": feature.name} if feature.name else {}) | dict(feature.attributes)
        last = ";".join(f"{_value(key)}={_value(value)}" for key, value in attributes.items()) or "."
        cells = (_seqid(place.chrom), one_line(source), feature.type, place.start + 1, place.end)
        return "\t".join(map(str, (*cells, f"{feature.score:.6g}", place.strand, ".", last)))

    return write_lines(path, [*lines, *map(line, in_order(features, chrom_sizes or ()))])


def in_order(features: Sequence[Feature], chroms: Iterable[str] = ()) -> list[Feature]:
    """Sorted by chromosome (those in ``chroms`` first, in that order), then start, then end."""
    rank = {chrom: i for i, chrom in enumerate(chroms)}

    def key(feature: Feature) -> tuple[int, str, int, int]:
        place = feature.interval
        return rank.get(place.chrom, len(rank)), place.chrom, place.start, place.end

    return sorted(features, key=key)


def check_size(interval: Interval, chrom_sizes: Mapping[str, int]) -> None:
    """Refuse an interval that its chromosome has no room for.

    Raises
    ------
    DataError
        The chromosome has no size, or ends before the interval does.
    """
    if interval.chrom not in chrom_sizes:
        known = ", ".join(list(chrom_sizes)[:3]) or "none"
        raise DataError(f"{interval}: no size is given for {interval.chrom}; there are sizes for {known} …")
    if interval.end > chrom_sizes[interval.chrom]:
        raise DataError(
            f"{interval} ends after {interval.chrom} does, which has {chrom_sizes[interval.chrom]} bp; "
            "expected the sizes of the same assembly"
        )


def one_line(text: str) -> str:
    """Tabs and line ends, which would break a table, become spaces."""
    return " ".join(text.split())


def _finite(features: Sequence[Feature]) -> None:
    for feature in features:
        if not np.isfinite(feature.score):
            raise InputError(f"{feature.name or feature.interval} has the score {feature.score}; expected finite ones")


def _seqid(text: str) -> str:
    return quote(text, safe=_SEQID_LETTERS)


def _value(text: str) -> str:
    return quote(text, safe=_ATTRIBUTE_LETTERS)
