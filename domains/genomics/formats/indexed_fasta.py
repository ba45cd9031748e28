"""Letters of one FASTA file by their places in it."""

from __future__ import annotations

import os
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from threading import Lock

from sciexplain.domains.genomics.formats.fasta_index import Place, index_of, read_index, written_index
from sciexplain.domains.genomics.formats.unpacking import (
    Kind,
    compression_of,
    cut_off,
    damaged,
    is_cut_off,
    unpacked,
    unreadable,
)
from sciexplain.errors import DataError

_KEPT_BLOCKS = 64
_BLOCK = 1 << 16
_LONGEST_HEADER = 1 << 16


class IndexedFasta:
    """One file, plain or compressed.

    Parameters
    ----------
    path
        Plain and bgzip files are read where they lie.
    folder
        Does not exist; made where the file is packed otherwise, and has to be unpacked.

    Attributes
    ----------
    index
        Where each sequence lies.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = path
        kind = compression_of(path)
        if kind == "bgzip" and is_cut_off(path):
            raise cut_off(path, kind)
        try:
            self.index = self._indexed(kind)
            file = path
            if kind == "gzip":
                folder.mkdir()
                file = folder / "genome.fa"
                with file.open("wb") as plain:
                    plain.writelines(unpacked(path, kind))
            self._file = file.open("rb")
        except OSError as error:
            raise unreadable(path, error) from error
        self._blocks = list(self._walked()) if kind == "bgzip" else []
        self._starts = [start for _, start in self._blocks]
        self._recent: dict[int, bytes] = {}
        self._keeping = Lock()
        self._checked: set[str] = set()

    def close(self) -> None:
        self._file.close()

    def letters(self, chrom: str, start: int, end: int) -> str:
        if chrom not in self._checked:
            self._check(chrom)
            self._checked.add(chrom)
        place = self.index[chrom]
        text = self._bytes(place.byte_of(start), place.byte_of(end - 1) + 1)
        found = text.replace(b"\n", b"").replace(b"\r", b"").decode("ascii", "replace")
        if len(found) != end - start:
            raise self._displaced(chrom)
        return found

    def _indexed(self, kind: Kind) -> dict[str, Place]:
        """The index that lies beside the file, or one that is made, and kept there for the next time."""
        beside = Path(f"{self.path}.fai")
        # that of a file which is unpacked each time would be of no use to others
        known = read_index(beside) if kind != "gzip" and _is_current(beside, self.path) else None
        if known is not None:
            return known
        try:
            made = index_of(unpacked(self.path, kind))
        except DataError as error:
            if str(error).startswith(self.path.name):
                raise
            raise DataError(f"{self.path.name} cannot be indexed: {error}") from error
        if kind != "gzip":
            _publish(written_index(made), beside)
        return made

    def _walked(self) -> Iterator[tuple[int, int]]:
        """Where the blocks of a bgzip file begin, packed and unpacked."""
        packed = unpacked = 0
        size = os.fstat(self._file.fileno()).st_size
        while packed < size:
            head = os.pread(self._file.fileno(), 18, packed)
            step = int.from_bytes(head[16:18], "little") + 1
            # a block is a gzip file of its own, whose header has nothing but its length
            if (
                head[:4] != b"\x1f\x8b\x08\x04"
                or head[10:16] != b"\x06\x00BC\x02\x00"
                or not 26 <= step <= size - packed
            ):
                raise damaged(self.path, DataError(f"there is no block of bgzip at byte {packed}"))
            yield packed, unpacked
            length = int.from_bytes(os.pread(self._file.fileno(), 4, packed + step - 4), "little")
            if length > _BLOCK:
                raise damaged(self.path, DataError(f"the block at byte {packed} says that it has {length} bytes"))
            packed, unpacked = packed + step, unpacked + length

    def _bytes(self, start: int, end: int) -> bytes:
        """Of the unpacked file; fewer if it ends before."""
        if start >= 1 << 62:
            return b""
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
                block = stream.decompress(os.pread(self._file.fileno(), _BLOCK, self._blocks[number][0]), _BLOCK + 1)
            except zlib.error as error:
                raise damaged(self.path, error) from error
            with self._keeping:
                if len(self._recent) >= _KEPT_BLOCKS:
                    self._recent.pop(next(iter(self._recent)), None)
                self._recent[number] = block
        return block

    def _check(self, chrom: str) -> None:
        """That the chromosome lies where the index says: its header before, its last letter, the next header behind."""
        place = self.index[chrom]
        before = self._bytes(max(0, place.offset - _LONGEST_HEADER), place.offset)
        lines = before.decode("utf-8", "replace").splitlines()
        name = lines[-1][1:].split() if before.endswith(b"\n") and lines[-1].startswith(">") else []
        # The last line of a file may lack its end.
        last = place.byte_of(place.letters - 1)
        end = self._bytes(last, last + 1 + place.width - place.line + 1)
        behind = end[1:].lstrip()
        if name[:1] != [chrom] or not end[:1].strip() or (behind and not behind.startswith(b">")):
            raise self._displaced(chrom)

    def _displaced(self, chrom: str) -> DataError:
        return DataError(
            f"{self.path.name}: {chrom} does not lie where the index says. Either its lines differ in length: expected "
            f"all but the last to be equal, and that not longer; or {self.path.name}.fai is of another file: remove "
            "it, and it is made again"
        )


def _is_current(index: Path, path: Path) -> bool:
    return index.is_file() and index.stat().st_size > 0 and index.stat().st_mtime >= path.stat().st_mtime


def _publish(text: str, beside: Path) -> None:
    """Keep an index for the next time, whole or not at all, since others may be reading; no matter where it cannot."""
    if not beside.parent.stat().st_mode & 0o222:
        return  # meant not to be written to, even by those who could
    unfinished = beside.with_name(f".{token_hex(8)}.fai")
    try:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
        os.replace(unfinished, beside)
    except OSError:
        unfinished.unlink(missing_ok=True)
