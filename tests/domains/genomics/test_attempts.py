"""Every row of a file is one attempt, good or bad, wherever the reading begins."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from Bio import bgzf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sciexplain.domains.genomics.formats import lines, unpacking
from sciexplain.domains.genomics.formats.attempts import Bookmarks
from sciexplain.domains.genomics.genome import Genome
from sciexplain.domains.genomics.read import attempts, count, read
from sciexplain.errors import DataError

Rows = list[tuple[str, str]]
CHROM = "AACGTTTGCACACCCTGATTACAGGGaccaTTCN" * 3

name = st.text("ab:-0123456789 ", min_size=0, max_size=9)
letters = st.text("ACGTNacgtx ", min_size=0, max_size=12)
rows = st.lists(st.tuples(name, letters), min_size=0, max_size=12)


def fasta(found: Rows) -> str:
    return "".join(f">{name}\n{text[:5]}\n{text[5:]}\n" for name, text in found)


def bed(found: Rows) -> str:
    places = [(len(name), len(name) + len(text)) for name, text in found]
    lines = [f"chr{1 + (start == 3)}\t{start}\t{end}\t{'x' * start}" for start, end in places]
    return "track x\n" + "\n\n".join(lines) + "\n"


def genbank(found: Rows) -> str:
    records = []
    for i, (_, text) in enumerate(found):
        size = len(text) + (i % 3 == 2)  # not what the record says
        records.append(f"LOCUS       A{i} {size} bp DNA\nVERSION     A{i}.1\nORIGIN\n        1 {text.lower()}\n//\n")
    return "\n".join(records)


def csv(found: Rows) -> str:
    cells = ['"' + f"{name}\n" + '"' if ":" in name else name for name, _ in found]
    return "id,sequence\n" + "".join(
        f"{cell},{text}{',more' * (' ' in cell)}\n" for cell, (_, text) in zip(cells, found, strict=True)
    )


TEXTS: dict[str, Callable[[Rows], str]] = {"fa": fasta, "bed": bed, "gb": genbank, "csv": csv}


def written(path: Path, found: Rows, packed: str) -> Path:
    if path.suffix == ".parquet":
        columns = {"id": [name for name, _ in found], "sequence": [text or None for _, text in found]}
        table = pa.table(columns, pa.schema({"id": pa.string(), "sequence": pa.string()}))
        pq.write_table(table, path, row_group_size=3)
        return path
    text = TEXTS[path.suffix[1:]](found).encode()
    if packed == "gz":
        path = path.with_name(f"{path.name}.gz")
        # several gzip files one after the other are one, too
        path.write_bytes(gzip.compress(text[:20]) + gzip.compress(text[20:]))
    elif packed == "bgz":
        path = path.with_name(f"{path.name}.bgz")
        with bgzf.open(str(path), "wb") as file:
            file.write(text)
    else:
        path.write_bytes(text)
    return path


def told(found: Any) -> list[Any]:
    return [(place, str(one) if isinstance(one, DataError) else one) for place, one in found]


@pytest.mark.parametrize("kind", [*TEXTS, "parquet"])
@pytest.mark.parametrize("packed", ["", "gz", "bgz"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(found=rows, start=st.integers(0, 14), data=st.data())
def test_from_some_attempt_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, packed: str, found: Rows, start: int, data: Any
) -> None:
    monkeypatch.setattr(unpacking, "_AT_ONCE", 7)  # a mark for each few letters
    monkeypatch.setattr(unpacking, "_PACKED_AT_ONCE", 5)
    monkeypatch.setattr(lines, "_MARKED_BYTES", 1)
    genome = tmp_path / "genome.fa"
    genome.write_text(f">chr1\n{CHROM}\n")
    path = written(tmp_path / f"a.{kind}", found, packed)
    with Genome(genome) as opened:
        every = told(attempts(path, genome=opened))
        assert count(path) == len(every) and (not found or len(every) == len(found))
        assert told(attempts(path, start=start, genome=opened)) == every[start:]

        bookmarks = Bookmarks()
        assert count(path, bookmarks=bookmarks) == len(every)
        assert told(attempts(path, start=start, genome=opened, bookmarks=bookmarks)) == every[start:]
        picked = sorted(data.draw(st.sets(st.integers(0, 13), max_size=6)))
        expected = [every[number] for number in picked if number < len(every)]
        monkeypatch.setattr("sciexplain.domains.genomics.formats.attempts._FAR", data.draw(st.integers(0, 3)))
        assert told(attempts(path, numbers=picked, genome=opened, bookmarks=bookmarks)) == expected
        assert told(attempts(path, numbers=picked, genome=opened)) == expected


def test_of_several_files_one_after_the_other(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.fa", "b.csv", "none.fa", "c.fa")]
    for file, text in zip(files, (">a\nAC\n>b\n", "id,seq\nc,AC\nd,xx\n", "", ">e\nAC\n"), strict=True):
        file.write_text(text)
    files[2].unlink()
    every = told(attempts(files))
    assert [place for place, _ in every] == ["a.fa:1", "a.fa:3", "b.csv:2", "b.csv:3", "none.fa", "c.fa:1"]
    assert count(files) == 6
    for start in range(8):
        assert told(attempts(files, start=start)) == every[start:]
    assert told(attempts(files, numbers=[1, 3, 5, 9])) == [every[1], every[3], every[5]]


def test_reading_gives_the_good_ones_and_reports_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.fa"
    path.write_text(">a\nAC\n>b\n>c\nxx\n>d\nGT\n")
    failed: dict[str, str] = {}
    records = list(read(path, on_error=lambda place, error: failed.__setitem__(place, str(error))))
    every = dict(told(attempts(path)))
    assert [record.name for record in records] == ["a", "d"] and len(every) == 4
    assert failed == {place: one for place, one in every.items() if isinstance(one, str)}


def test_a_bookmark_of_another_file_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_AT_ONCE", 3)
    monkeypatch.setattr(lines, "_MARKED_BYTES", 1)
    path, bookmarks = tmp_path / "a.fa", Bookmarks()
    path.write_text("".join(f">{i}\nAC\n" for i in range(9)))
    assert count(path, bookmarks=bookmarks) == 9 and len(bookmarks.of(path)) > 3
    path.write_text("".join(f">longer{i}\nACGT\n" for i in range(9)))
    assert told(attempts(path, start=7, bookmarks=bookmarks)) == told(attempts(path))[7:]


def test_bookmarks_save_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_AT_ONCE", 100)
    monkeypatch.setattr(lines, "_MARKED_BYTES", 1000)
    path, bookmarks = tmp_path / "a.fa.gz", Bookmarks()
    path.write_bytes(gzip.compress("".join(f">{i}\nAC\n" for i in range(9000)).encode()))
    count(path, bookmarks=bookmarks)
    unpacked: list[bytes] = []
    whole = unpacking.Source.__iter__

    def watched(source: unpacking.Source) -> Any:
        for piece in whole(source):
            unpacked.append(piece)
            yield piece

    monkeypatch.setattr(unpacking.Source, "__iter__", watched)
    assert next(attempts(path, start=8500, bookmarks=bookmarks))[0] == "a.fa.gz:17001"
    assert sum(map(len, unpacked)) < 3000
    assert next(attempts(path, start=8500))[0] == "a.fa.gz:17001"
    assert sum(map(len, unpacked)) > 50_000


def test_damaged_rows_of_parquet_are_as_many_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = [f"{'A' * (i + 1)}C{'G' * (50 - i)}" for i in range(40)]
    pq.write_table(pa.table({"sequence": texts}), path, row_group_size=10, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    place = data.index(texts[15].encode())
    data[place - 4 : place] = b"\xff\xff\xff\x7f"  # the length of a text
    path.write_bytes(data)
    every = told(attempts(path))
    assert count(path) == len(every) == 40
    wrong = [i for i, (_, one) in enumerate(every) if isinstance(one, str)]
    assert 15 in wrong and set(wrong) <= set(range(10, 20))
    assert "it cannot be read as Parquet" in every[15][1]
    assert [one.sequence for i, (_, one) in enumerate(every) if i not in wrong] == texts[:10] + texts[20:]
    assert told(attempts(path, start=17)) == every[17:]
