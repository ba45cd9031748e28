"""Sequences from the files of genomics: FASTA, BED with a genome, GenBank, tables."""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from itertools import chain
from pathlib import Path

from sciexplain._files import PathName
from sciexplain.domains.genomics.alphabet import Alphabet, alphabet_of
from sciexplain.domains.genomics.formats.attempts import Bookmarks
from sciexplain.domains.genomics.formats.fasta import count_fasta, fasta_attempts
from sciexplain.domains.genomics.formats.genbank import count_genbank, genbank_attempts
from sciexplain.domains.genomics.formats.limits import LONGEST_SEQUENCE
from sciexplain.domains.genomics.formats.lines import OnError, located, suffix_of, without_errors
from sciexplain.domains.genomics.formats.regions import Region, bed_attempts, check_labels, count_bed, window_of
from sciexplain.domains.genomics.formats.tables import count_table, table_attempts
from sciexplain.domains.genomics.genome import FASTA_SUFFIXES, Genome
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError, InputError

_FASTA = (*FASTA_SUFFIXES, ".faa")
_BED = (".bed", ".narrowpeak", ".broadpeak", *(f".bed{n}" for n in range(3, 13)))
_GENBANK = (".gb", ".gbk", ".gbff", ".genbank")
_TABLE = (".csv", ".tsv", ".parquet")
_KNOWN = f"{', '.join(_FASTA + _BED[:3] + _GENBANK + _TABLE)} (all but Parquet also with .gz, .bgz or .bgzip)"

_COUNTS = {"FASTA": count_fasta, "BED": count_bed, "GenBank": count_genbank, "table": count_table}
_Found = Iterator[tuple[str, Record | Region | DataError]]
_Reader = Callable[[Path, Iterable[int] | None, Bookmarks | None], _Found]


def read(
    data: PathName | Iterable[PathName],
    *,
    genome: PathName | Sequence[PathName] | Genome | None = None,
    length: int | None = None,
    alphabet: str | Alphabet = "DNA",
    pad: bool = False,
    sequence: str | None = None,
    name: str | None = None,
    labels: Sequence[str] = (),
    on_error: OnError | None = None,
) -> Iterator[Record]:
    """Sequences one at a time, in the order of the file; names may occur again, and lower case is kept.

    Parameters
    ----------
    data
        A file, or a list of files, known by the name: FASTA (``.fa`` …), BED, narrowPeak and broadPeak, GenBank
        (``.gb`` …), tables (``.csv``, ``.tsv``, ``.parquet``). All but Parquet may be compressed by gzip or bgzip.
    genome
        For BED: a FASTA file, several, a folder of them, or a :class:`Genome`.
    length
        In letters; what is longer is cut around its centre, regions of a BED file are also extended. The centre of n
        letters is letter ``n // 2`` on the plus strand, or a narrowPeak's summit, and comes to be letter
        ``length // 2`` of the window there. None leaves lengths as they are.
    alphabet
        ``"DNA"``, ``"RNA"`` or ``"protein"``. A sequence with other letters is an error.
    pad
        With ``length``: extend what is shorter by N (X for proteins), as much on either side, and windows that lie
        partly off their chromosome by N there. Otherwise these are errors. A window off its chromosome has no
        interval, nor has a padded sequence whose interval would begin below 0.
    sequence, name, labels
        Columns of a table, see :func:`~.formats.tables.read_table`; ``labels`` also of BED, see
        :func:`~sciexplain.domains.genomics.formats.regions.read_bed`.
    on_error
        Called with the place of a bad row, such as ``"peaks.bed:12"``, and the error; reading then goes on. Without it
        the first bad row raises.

    Yields
    ------
    Record

    Raises
    ------
    InputError
        BED without a genome, a length below 1, columns of a file that has none.
    DataError
        What was found where, and what was expected.

    Examples
    --------
    >>> _ = Path("genome.fa").write_text(">chr1\\nAACCGGTTAGAC\\n")
    >>> _ = Path("peaks.bed").write_text("chr1 2 6 up 0 +\\nchr1 2 6 down 0 -\\nchr1 9 90 over\\n")
    >>> for record in read("peaks.bed", genome="genome.fa", on_error=lambda place, error: print(error)):
    ...     print(record.name, record.sequence, record.interval)
    up CCGG chr1:2-6(+)
    down CCGG chr1:2-6(-)
    peaks.bed:3: chr1:9-90 ends behind chr1, which has 12 bp; expected a region of this genome
    >>> [r.sequence for r in read("peaks.bed", genome="genome.fa", length=5, on_error=lambda place, error: None)]
    ['CCGGT', 'ACCGG']
    """
    found = attempts(
        data, genome=genome, length=length, alphabet=alphabet, pad=pad, sequence=sequence, name=name, labels=labels
    )
    return (record for _, record in without_errors(found, on_error))


def attempts(
    data: PathName | Iterable[PathName],
    *,
    start: int = 0,
    numbers: Iterable[int] | None = None,
    bookmarks: Bookmarks | None = None,
    genome: PathName | Sequence[PathName] | Genome | None = None,
    length: int | None = None,
    alphabet: str | Alphabet = "DNA",
    pad: bool = False,
    sequence: str | None = None,
    name: str | None = None,
    labels: Sequence[str] = (),
) -> Iterator[tuple[str, Record | DataError]]:
    """What :func:`read` reads, and what it cannot, each with its place: every row of a file is one attempt.

    Parameters
    ----------
    data, genome, length, alphabet, pad, sequence, name, labels
        As for :func:`read`.
    start
        The first attempt to make, from 0; those before it are passed over quickly.
    numbers
        Of the attempts to make, ascending from ``start`` on; others are passed over. None: all.
    bookmarks
        Remember where attempts are, so that later calls with the same need not pass over those before them.

    Yields
    ------
    The place, such as ``"peaks.bed:12"``, and the record or the error. What is wrong with a file as a whole, such as
    that it is cut off, is one attempt at the file's name.

    Raises
    ------
    InputError
        As :func:`read`.

    Examples
    --------
    >>> _ = Path("some.fa").write_text(">a\\nAC\\n>b\\n>c\\nGT\\n")
    >>> for place, found in attempts("some.fa", start=1):
    ...     print(place, found.sequence if isinstance(found, Record) else found)
    some.fa:3 some.fa:3: b has no sequence
    some.fa:4 GT
    """
    if length is not None and not 1 <= length <= LONGEST_SEQUENCE:
        raise InputError(f"length={length}; expected at least 1 letter, and at most {LONGEST_SEQUENCE}")
    alphabet = alphabet_of(alphabet)
    files = _listed(data)
    kinds = {_kind(file) for file in files}
    if "BED" in kinds and genome is None:
        raise InputError("regions of a BED file have no letters; give the genome's FASTA as genome= (--genome)")
    if labels and not kinds <= {"BED", "table"}:
        raise InputError(f"labels={list(labels)}, but {files[0].name} has no columns")
    if (sequence or name) and "table" not in kinds:
        raise InputError(f"sequence={sequence!r} and name={name!r} are columns, but {files[0].name} is no table")
    if "BED" in kinds:
        check_labels(labels)
    readers: Mapping[str, _Reader] = {
        "FASTA": fasta_attempts,
        "GenBank": genbank_attempts,
        "BED": partial(bed_attempts, labels=labels),
        "table": partial(table_attempts, sequence=sequence, name=name, labels=labels),
    }
    found: _Found
    if start == 0 and numbers is None:
        found = chain.from_iterable(readers[_kind(file)](file, None, bookmarks) for file in files)
    else:
        wanted = itertools.count(start) if numbers is None else (n for n in numbers if n >= start)
        found = _in_turn(files, readers, wanted, bookmarks)
    return _records(found, genome, length, alphabet, pad)


def count(data: PathName | Iterable[PathName], *, bookmarks: Bookmarks | None = None) -> int:
    """How many attempts :func:`attempts` makes, by a pass over the text: no letters are fetched, no row is read.

    Of a Parquet file this is what the file says.

    Parameters
    ----------
    data
        As for :func:`read`.
    bookmarks
        As for :func:`attempts`.

    Raises
    ------
    InputError
        By its name a file is of no known kind.

    Examples
    --------
    >>> _ = Path("some.fa").write_text(">a\\nAC\\n>b\\n>c\\nGT\\n")
    >>> count("some.fa")
    3
    """
    return sum(_COUNTS[_kind(file)](file, bookmarks) for file in _listed(data))


def _listed(data: PathName | Iterable[PathName]) -> list[Path]:
    return [Path(data)] if isinstance(data, str | os.PathLike) else [Path(file) for file in data]


def _in_turn(
    files: Sequence[Path], readers: Mapping[str, _Reader], numbers: Iterator[int], bookmarks: Bookmarks | None
) -> _Found:
    """The attempts with these numbers, which count on from file to file."""
    before, number = 0, next(numbers, None)
    for place, file in enumerate(files):
        kind = _kind(file)
        behind = before + (_COUNTS[kind](file, bookmarks) if place + 1 < len(files) else sys.maxsize)

        def here(first: int = before, behind: int = behind) -> Iterator[int]:
            nonlocal number
            while number is not None and number < behind:
                yield number - first
                number = next(numbers, None)

        yield from readers[kind](file, here(), bookmarks)
        before = behind


def _records(
    found: _Found,
    genome: PathName | Sequence[PathName] | Genome | None,
    length: int | None,
    alphabet: Alphabet,
    pad: bool,
) -> Iterator[tuple[str, Record | DataError]]:
    with ExitStack() as opened:
        if not (genome is None or isinstance(genome, Genome)):
            genome = opened.enter_context(Genome(genome))
        foreign = _foreign(alphabet).search
        for place, entry in found:
            record: Record | DataError
            try:
                if isinstance(entry, DataError):
                    record = entry
                else:
                    if isinstance(entry, Record):
                        record = entry if length is None else resized(entry, length, alphabet, pad=pad)
                    else:
                        assert genome is not None  # checked where it was asked for
                        record = fetched(entry, genome, length, pad=pad)
                    if wrong := foreign(record.sequence):
                        raise _strange(record, wrong, alphabet)
            except DataError as error:
                record = located(place, error)
            yield place, record


def fetched(region: Region, genome: Genome, length: int | None = None, *, pad: bool = False) -> Record:
    """The letters of a region, or of so many bp around its centre.

    Raises
    ------
    DataError
        The genome has no such chromosome, or the window is not within it and ``pad`` is not asked for.
    """
    chrom, strand, size = region.interval.chrom, region.interval.strand, genome.length_of(region.interval.chrom)
    start, end = (region.interval.start, region.interval.end) if length is None else window_of(region, length)
    if end - start > LONGEST_SEQUENCE:
        raise DataError(f"{region.interval} has {end - start} bp; expected at most {LONGEST_SEQUENCE}")
    if region.interval.end > size:
        raise DataError(f"{region.interval} ends behind {chrom}, which has {size} bp; expected a region of this genome")
    if (start < 0 or end > size) and not pad:
        raise DataError(
            f"the window {chrom}:{start}-{end} of {length} bp around {region.name} is not within {chrom}, which has "
            f"{size} bp; leave it out, or pad=True for N there"
        )
    within = start >= 0 and end <= size
    return Record(
        region.name,
        genome.window(chrom, start, end, strand),
        Interval(chrom, start, end, strand) if within else None,
        region.labels,
    )


def resized(record: Record, length: int | None, alphabet: str | Alphabet = "DNA", *, pad: bool = False) -> Record:
    """So many letters of a sequence around its centre.

    Raises
    ------
    DataError
        It has fewer, and ``pad`` is not asked for.

    Examples
    --------
    >>> resized(Record("peak", "AACGT", Interval("chr1", 10, 15)), 3)
    Record(name='peak', sequence='ACG', interval=Interval(chrom='chr1', start=11, end=14, strand='.'), labels=())
    """
    n = len(record)
    if length is None or n == length:
        return record
    if n < length and not pad:
        raise DataError(f"{record.name} has {n} letters; expected at least {length}, or pad=True for N around it")
    place = record.interval
    # From the plus strand's start, so that a region's letters are the same from FASTA as from BED.
    skipped = n // 2 - length // 2
    if place is not None and place.strand == "-":
        skipped = n - length - skipped
    if skipped >= 0 and n >= length:
        letters = record.sequence[skipped : skipped + length]
    else:
        unknown = alphabet_of(alphabet).unknown
        letters = unknown * -skipped + record.sequence + unknown * (length - n + skipped)
    if place is not None:
        start = place.start + n // 2 - length // 2
        place = replace(place, start=start, end=start + length) if start >= 0 else None
    return replace(record, sequence=letters, interval=place)


def _strange(record: Record, found: re.Match[str], alphabet: Alphabet) -> DataError:
    """What is said of a letter that the alphabet has not."""
    return DataError(
        f"{record.name} has {found[0]!r} at position {found.start()} (0-based), which is no letter of {alphabet.name}; "
        f"expected {alphabet.letters}, or {''.join(alphabet.ambiguous)} where it is ambiguous"
    )


@cache
def _foreign(alphabet: Alphabet) -> re.Pattern[str]:
    return re.compile(f"[^{re.escape(''.join(chr(byte) for byte in range(128) if alphabet.codes[byte] != 255))}]")


def _kind(file: Path) -> str:
    """FASTA, BED, GenBank or table.

    Raises
    ------
    InputError
        By its name it is none of these.
    """
    suffix = suffix_of(file)
    for kind, suffixes in (("FASTA", _FASTA), ("BED", _BED), ("GenBank", _GENBANK), ("table", _TABLE)):
        if suffix in suffixes and not (suffix == ".parquet" != file.suffix.lower()):
            return kind
    raise InputError(f"{file}: it ends in {file.suffix!r}; expected {_KNOWN}")
