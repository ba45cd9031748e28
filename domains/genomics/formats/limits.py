"""How much is taken from a file at most: far more than real ones have, and little enough for any computer."""

from __future__ import annotations

LONGEST_LINE = 2**26
"""Characters of a line of text, and of a quoted cell: a VCF row of a million genotypes has about half."""

LONGEST_SEQUENCE = 2**28
"""Letters of a sequence or a region: more than a human chromosome has."""

LONGEST_NAME = 2**14
"""Characters of the name of a sequence or of a chromosome."""

MOST_CHROMS = 2**22
"""Sequences of a genome: assemblies of single reads have about a million."""

LONGEST_GAP = 2**30
"""Bytes that are passed over in search of the end of a line before the rest of the file is given up."""

MOST_DIGITS = 18
"""Of a whole number, so that it fits into 64 bits."""

MOST_COLUMNS = 2**20
"""Cells of a row, and genes of a set."""

MOST_ALLELES = 10_000
"""Alternative alleles of a VCF row, parents of a GFF3 row, and blocks of a BED row."""

MOST_POSITIONS = 10_000
"""Rows of a motif."""

MOST_TIMES = 200
"""What is packed may unpack to so many times its size; text of genomics does to 3 to 30 times."""

UNPACKED_ANYHOW = 2**26
"""Bytes that may be unpacked whatever their packed size."""

MOST_VALUES = 2**30
"""Of a table that is held in memory: 8 GiB in double precision."""


def shown(text: object, most: int = 60) -> str:
    """A value as messages quote it, cut where it is long.

    Examples
    --------
    >>> shown("chr1"), shown("A" * 1000, most=8)
    ("'chr1'", "'AAAAAAA…")
    """
    written = repr(text[: most + 1] if isinstance(text, str | bytes) else text)
    return written if len(written) <= most else written[:most] + "…"
