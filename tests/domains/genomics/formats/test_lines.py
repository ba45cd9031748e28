"""Lines as they stand in the file, whatever ends or packs them, and files that are cut off."""

import gzip
import re
from pathlib import Path

import pytest
from Bio import bgzf

from sciexplain.domains.genomics.formats.lines import Lines, cells_of, strand_of, suffix_of, whole_number
from sciexplain.errors import DataError

LINES = [(1, "first\tline"), (2, ""), (3, "läst")]
TEXT = "first\tline\n\nläst\n"


def packed(path: Path, text: bytes) -> Path:
    """Written as the name says."""
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text))
    elif path.suffix == ".bgz":
        with bgzf.open(str(path), "wb") as file:
            file.write(text)
    else:
        path.write_bytes(text)
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.txt.bgz"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_every_ending_and_packing(tmp_path: Path, name: str, end: str, start: str) -> None:
    path = packed(tmp_path / name, (start + TEXT.replace("\n", end)).encode())
    assert list(Lines(path)) == LINES
    without = packed(tmp_path / f"b{name}", TEXT.rstrip().encode())
    assert list(Lines(without)) == LINES


def test_compression_is_told_by_the_content(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_text(TEXT, encoding="utf-8")
    (tmp_path / "a.txt").write_bytes(gzip.compress(TEXT.encode()))
    assert list(Lines(tmp_path / "a.gz")) == list(Lines(tmp_path / "a.txt")) == LINES


def until_error(path: Path) -> list[str]:
    *found, (number, error) = Lines(path)
    assert number == 0 and isinstance(error, DataError) and f"{path.name} is cut off" in str(error)
    return [str(line) for _, line in found]


@pytest.mark.parametrize("suffix", [".gz", ".bgz"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.999])
def test_cut_off_after_whole_lines(tmp_path: Path, suffix: str, kept: float) -> None:
    whole = [f"line {i} {i * i % 9973}" for i in range(40000)]
    path = packed(tmp_path / f"a.txt{suffix}", "".join(f"{line}\n" for line in whole).encode())
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    found = until_error(path)
    assert len(found) > 100 and found == whole[: len(found)]


def test_cut_off_between_two_blocks(tmp_path: Path) -> None:
    """As gzip the file is whole then: only the last, empty block is missing."""
    path = packed(tmp_path / "a.bgz", b"line\n" * 30000)
    with path.open("rb") as file:
        starts = [start for start, *_ in bgzf.BgzfBlocks(file)]
    path.write_bytes(path.read_bytes()[: starts[1]])
    unpacked = gzip.decompress(path.read_bytes())
    assert until_error(path) == ["line"] * unpacked.count(b"\n") and not unpacked.endswith(b"\n")


def test_damaged_and_missing(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.gz", TEXT.encode() * 100)
    data = bytearray(path.read_bytes())
    data[25] ^= 0xFF
    path.write_bytes(data)
    *_, (number, error) = Lines(path)
    assert number == 0 and re.search(r"a\.gz is (damaged|cut off)", str(error))
    ((number, error),) = Lines(tmp_path / "none.txt")
    assert number == 0 and "there is no such file" in str(error)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.bed", ".bed"), ("a.b.BED.GZ", ".bed"), ("a.fa.bgz", ".fa"), ("a.fa.bgzip", ".fa"), ("a.gz", ""), ("a", "")],
)
def test_suffix(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix


def test_cells() -> None:
    assert cells_of("chr1\t1\ta name\t") == ["chr1", "1", "a name", ""]
    assert cells_of("chr1  1 2") == ["chr1", "1", "2"]
    assert [strand_of(s) for s in "+-.?"] == ["+", "-", ".", "."]
    assert (whole_number("-7", "x"), whole_number("007", "x")) == (-7, 7)
    for text in ("1_000", "1e3", "1.0", "", "-", "٣", "1,000"):
        with pytest.raises(DataError, match="the start is"):
            whole_number(text, "the start")
    with pytest.raises(DataError, match="strand"):
        strand_of("x")
