"""Letters of a genome by their coordinates."""

from __future__ import annotations

import os
import re
import tempfile
import weakref
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType

from sciexplain._files import PathName
from sciexplain.domains.genomics.encode import reverse_complement_of
from sciexplain.domains.genomics.formats.indexed_fasta import IndexedFasta
from sciexplain.domains.genomics.formats.limits import LONGEST_SEQUENCE, shown
from sciexplain.domains.genomics.formats.lines import suffix_of
from sciexplain.domains.genomics.interval import Interval, Strand
from sciexplain.errors import DataError

FASTA_SUFFIXES = (".fa", ".fasta", ".fna", ".fas", ".ffn", ".mfa")
# A name is compared letter by letter with so many at most: a file may have millions of wrong ones.
_COMPARED, _LONGEST_MISTAKEN = 200, 100
_ROMAN = {"i": 1, "v": 5, "x": 10}


class Genome:
    """Chromosomes of one or several FASTA files, read where they lie.

    Parameters
    ----------
    path
        A FASTA file, a folder of them, or a list of files. Plain and bgzip files are read in place, through the index
        of ``samtools faidx``; where there is none, or only an old or damaged one, it is made, beside the file if the
        folder is writable. Plain gzip files cannot be read from the middle; they are unpacked to a temporary folder,
        which ``close`` removes.

    Attributes
    ----------
    chroms
        Length of each chromosome in bp, in the order of the files.

    Raises
    ------
    DataError
        No such file, one that is cut off or no FASTA, lines that differ in length, one chromosome twice.

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("small.fa").write_text(">chr1\\nAACCG\\nTGn\\n")
    >>> with Genome("small.fa") as genome:
    ...     genome.chroms, genome.fetch(Interval("chr1", 3, 7)), genome.fetch(Interval("chr1", 3, 7, "-"))
    ({'chr1': 8}, 'CGTG', 'CACG')
    """

    def __init__(self, path: PathName | Iterable[PathName]) -> None:
        files = _files(path)
        self._temporary = tempfile.TemporaryDirectory(prefix="sciexplain-genome-")
        self._remove = weakref.finalize(self, self._temporary.cleanup)
        self._of: dict[str, IndexedFasta] = {}
        self._open: list[IndexedFasta] = []
        self.chroms: dict[str, int] = {}
        try:
            for number, file in enumerate(files):
                fasta = IndexedFasta(file, Path(self._temporary.name) / str(number))
                self._open.append(fasta)
                for chrom, place in fasta.index.items():
                    if chrom in self._of:
                        raise DataError(
                            f"{chrom} is in {self._of[chrom].path.name} and again in {file.name}; expected each "
                            "chromosome once"
                        )
                    self._of[chrom], self.chroms[chrom] = fasta, place.letters
        except BaseException:
            self.close()
            raise

    def fetch(self, interval: Interval, pad: bool = False) -> str:
        """The letters of an interval, case kept; on the minus strand the reverse complement.

        Parameters
        ----------
        interval
            0-based and half-open.
        pad
            N for what lies behind the chromosome's end, instead of an error.

        Raises
        ------
        DataError
            No such chromosome, or the interval ends behind the chromosome.
        """
        length = self.length_of(interval.chrom)
        if interval.end > length and not pad:
            raise DataError(
                f"{interval} ends behind {interval.chrom}, which has {length} bp; expected one within it, or pad=True "
                "for N there"
            )
        return self.window(interval.chrom, interval.start, interval.end, interval.strand)

    def window(self, chrom: str, start: int, end: int, strand: Strand = "+") -> str:
        """The letters from ``start`` to ``end``, either of which may lie off the chromosome: N there.

        Raises
        ------
        DataError
            No such chromosome, or more letters than sequences may have.

        Examples
        --------
        >>> from pathlib import Path
        >>> _ = Path("small.fa").write_text(">chr1\\nAACCG\\nTGn\\n")
        >>> Genome("small.fa").window("chr1", -2, 3)
        'NNAAC'
        """
        length = self.length_of(chrom)
        if end - start > LONGEST_SEQUENCE:
            raise DataError(f"{chrom}:{start}-{end} has {end - start} bp; expected at most {LONGEST_SEQUENCE}")
        first, last = min(max(start, 0), length), min(max(end, 0), length)
        inside = self._of[chrom].letters(chrom, first, last) if first < last else ""
        if len(inside) < end - start:
            left = min(max(-start, 0), end - start)
            inside = "N" * left + inside + "N" * (end - start - left - len(inside))
        return reverse_complement_of(inside) if strand == "-" else inside

    def length_of(self, chrom: str) -> int:
        """Of a chromosome, in bp.

        Raises
        ------
        DataError
            There is none of that name; the message has the names that come close.
        """
        if chrom not in self.chroms:
            near = close_names(chrom, self._by_form)
            few = ", ".join([*self.chroms][:5]) + (", …" if len(self.chroms) > 5 else "")
            raise DataError(
                f"the genome has no {shown(chrom)[1:-1]}; "
                + (f"is it {' or '.join(near)}? " if near else "")
                + f"Expected one of its {len(self.chroms)}: {few}"
            )
        return self.chroms[chrom]

    @cached_property
    def _by_form(self) -> dict[str, set[str]]:
        return {chrom: _forms(chrom) for chrom in self.chroms}

    def close(self) -> None:
        """Close the files and remove what was unpacked."""
        for fasta in self._open:
            fasta.close()
        self._remove()

    def __enter__(self) -> Genome:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def close_names(chrom: str, chroms: Iterable[str] | Mapping[str, set[str]]) -> list[str]:
    """Chromosomes that may be meant, such as 1 and chrI by chr1; up to three.

    Examples
    --------
    >>> close_names("chr2", ["chrI", "chrII", "chrM"]), close_names("MT", ["chr1", "chrM"])
    (['chrII'], ['chrM'])
    """
    if len(chrom) > _LONGEST_MISTAKEN:
        return []
    known = chroms if isinstance(chroms, Mapping) else {other: _forms(other) for other in chroms}
    own = _forms(chrom)
    same = list(islice((other for other, forms in known.items() if own & forms), 3))
    return same or get_close_matches(chrom, list(islice(known, _COMPARED)), 3)


def _forms(chrom: str) -> set[str]:
    """A chromosome's bare name, also with a Roman number as a decimal one."""
    bare = re.sub(r"^(chromosome|chrom|chr)[_ ]?", "", chrom.lower()).lstrip("0")
    forms = {"m" if bare in ("mt", "mito", "mitochondrion") else bare}
    if re.fullmatch(r"x{0,3}(ix|iv|v?i{0,3})", bare) and bare:
        digits = [_ROMAN[sign] for sign in bare]
        forms.add(str(sum(-a if a < b else a for a, b in zip(digits, [*digits[1:], 0], strict=True))))
    return forms


def _files(path: PathName | Iterable[PathName]) -> Sequence[Path]:
    if not isinstance(path, str | os.PathLike):
        files = [Path(file) for file in path]
    elif Path(path).is_dir():
        files = sorted(file for file in Path(path).iterdir() if suffix_of(file) in FASTA_SUFFIXES)
    else:
        files = [Path(path)]
    if not files:
        raise DataError(
            f"{path}: no FASTA files there; expected some ending in {', '.join(FASTA_SUFFIXES)} (or with .gz)"
        )
    return files
