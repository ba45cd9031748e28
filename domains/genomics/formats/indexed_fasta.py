"""Letters of one FASTA file by their places in it."""

from __future__ import annotations

import gzip
import os
import shutil
import zlib
from bisect import bisect_right
from pathlib import Path
from secrets import token_hex
from typing import Any

from sciexplain._optional import require
from sciexplain.domains.genomics.formats.lines import compression_of, cut_off, damaged, is_cut_off
from sciexplain.errors import DataError

_KEPT_BLOCKS = 64


class IndexedFasta:
    """One file, plain or compressed.

    pyfaidx makes and reads the index; the letters are read here. pyfaidx 0.9 raises at the first base of a full bgzip
    block, and shifts silently where a record's last line is longer than the others; and its file position would be
    shared by the processes that a data loader starts.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = path
        folder.mkdir()
        file, self.index, self._blocks = _indexed(path, folder)
        self._file = file.open("rb")
        self._starts = [start for _, start in self._blocks]
        self._recent: dict[int, bytes] = {}
        self._checked: set[str] = set()

    def close(self) -> None:
        self._file.close()

    def letters(self, chrom: str, start: int, end: int) -> str:
        if chrom not in self._checked:
            self._check(chrom)
            self._checked.add(chrom)
        record = self.index[chrom]
        first, last = (
            record.offset + place + place // record.lenc * (record.lenb - record.lenc) for place in (start, end - 1)
        )
        found = self._bytes(first, last + 1).replace(b"\n", b"").replace(b"\r", b"").decode("ascii", "replace")
        if len(found) != end - start:
            raise self._displaced(chrom)
        return found

    def _bytes(self, start: int, end: int) -> bytes:
        """Of the unpacked file; fewer if it ends before."""
        if not self._blocks:
            return os.pread(self._file.fileno(), end - start, start)
        number = bisect_right(self._starts, start) - 1
        skipped, parts, missing = start - self._starts[number], [], end - start
        while missing > 0 and number < len(self._blocks):
            parts.append(self._block(number)[skipped : skipped + missing])
            missing -= len(parts[-1])
            skipped, number = 0, number + 1
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        block = self._recent.get(number)
        if block is None:
            # No block is longer than 64 KiB, packed or not; the stream's own check sum is compared.
            stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            try:
                block = stream.decompress(os.pread(self._file.fileno(), 1 << 16, self._blocks[number][0]))
            except zlib.error as error:
                raise damaged(self.path, error) from error
            if len(self._recent) >= _KEPT_BLOCKS:
                self._recent.pop(next(iter(self._recent)), None)
            self._recent[number] = block
        return block

    def _check(self, chrom: str) -> None:
        """That the chromosome lies where the index says: its header before, its last letter, the next header behind."""
        record = self.index[chrom]
        before = self._bytes(record.prev_bend, record.offset).decode("utf-8", "replace").strip().splitlines()
        name = before[-1][1:].split() if before and before[-1].startswith(">") else []
        # The last line of a file may lack its end.
        end = self._bytes(record.bend - (record.lenb - record.lenc) - 1, record.bend + 1)
        behind = end[1:].lstrip()
        if name[:1] != [chrom] or not end[:1].strip() or (behind and not behind.startswith(b">")):
            raise self._displaced(chrom)

    def _displaced(self, chrom: str) -> DataError:
        return DataError(
            f"{self.path.name}: {chrom} does not lie where the index says. Either its lines differ in length: expected "
            f"all but the last to be equal, and that not longer; or {self.path.name}.fai is of another file: remove "
            "it, and it is made again"
        )


def _indexed(path: Path, folder: Path) -> tuple[Path, dict[str, Any], list[tuple[int, int]]]:
    """The file to read, pyfaidx's index of it, and where its bgzip blocks begin: packed and unpacked."""
    pyfaidx: Any = require("pyfaidx", extra="genomics")
    kind = compression_of(path)
    if kind == "bgzip" and is_cut_off(path):
        raise cut_off(path, kind)
    # pyfaidx goes by the name, which may not tell: bgzip files must end in .gz, others must not.
    file = folder / ("genome.fa.gz" if kind == "bgzip" else "genome.fa")
    if kind == "gzip":
        _unpack(path, file)
    else:
        file.symlink_to(path.resolve())
    suffixes = {"bgzip": (".gzi", ".fai"), "gzip": (), "": (".fai",)}[kind]
    indices = [(Path(f"{path}{suffix}"), Path(f"{file}{suffix}")) for suffix in suffixes]
    kept = bool(indices) and all(_is_current(beside, path) for beside, _ in indices)
    if kept:
        for beside, used in indices:
            used.symlink_to(beside.resolve())
    try:
        faidx = pyfaidx.Faidx(str(file), as_raw=True)
    except EOFError as error:
        raise cut_off(path, kind) from error
    except (pyfaidx.FastaIndexingError, ValueError, OSError, zlib.error) as error:
        raise DataError(f"{path.name} cannot be indexed: {str(error).replace(str(file), path.name)}") from error
    faidx.close()
    if not kept:
        for beside, made in indices:
            _publish(made, beside)
    blocks = [(block.cstart, block.ustart) for block in faidx.gzi_index] if kind == "bgzip" else []
    return file, dict(faidx.index), blocks


def _is_current(index: Path, path: Path) -> bool:
    return index.is_file() and index.stat().st_size > 0 and index.stat().st_mtime >= path.stat().st_mtime


def _unpack(path: Path, file: Path) -> None:
    try:
        with gzip.open(path) as packed, file.open("wb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
    except EOFError as error:
        raise cut_off(path, "gzip") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise damaged(path, error) from error


def _publish(made: Path, beside: Path) -> None:
    """Keep an index for the next time, whole or not at all, since others may be reading; no matter where it cannot."""
    if not beside.parent.stat().st_mode & 0o222:
        return  # meant not to be written to, even by those who could
    unfinished = beside.with_name(f".{token_hex(8)}.fai")
    try:
        shutil.copyfile(made, unfinished)
        os.replace(unfinished, beside)
    except OSError:
        unfinished.unlink(missing_ok=True)
