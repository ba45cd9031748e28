"""Rows of tables, their columns and what is no row."""

import gzip
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sciexplain.domains.genomics.formats.tables import read_table
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError, InputError


def attempt(path: Path, **options: Any) -> tuple[list[Record], dict[str, str]]:
    failed: dict[str, str] = {}
    found = list(read_table(path, on_error=lambda place, error: failed.__setitem__(place, str(error)), **options))
    return [record for _, record in found], failed


def same(first: Record, second: Record) -> bool:
    """NaN equals NaN."""
    return repr(first) == repr(second)


ROWS = [
    Record("a", "AACGt", None, (1.5, -2.0)),
    Record("a", "GG", None, (math.nan, 3.0)),
]


@pytest.mark.parametrize("kind", ["comma", "tab", "semicolon", "gz", "crlf", "parquet"])
def test_every_kind_of_table(tmp_path: Path, kind: str) -> None:
    text = "Name,y1,DNA sequence,y2\na,1.5,AACGt,-2\n\na,,GG,3\n"
    path = tmp_path / "a.csv"
    if kind == "parquet":
        path = tmp_path / "a.parquet"
        columns = {"Name": ["a", "a"], "y1": [1.5, None], "DNA sequence": ["AACGt", "GG"], "y2": [-2, 3]}
        pq.write_table(pa.table(columns), path)
    elif kind == "gz":
        path = tmp_path / "a.csv.gz"
        path.write_bytes(gzip.compress(text.encode()))
    else:
        for sign, of in ((",", "comma"), ("\t", "tab"), (";", "semicolon")):
            text = text.replace(",", sign) if kind == of else text
        path.write_bytes(text.replace("\n", "\r\n").encode() if kind == "crlf" else text.encode())
    found = list(read_table(path, labels=["y1", "y2"]))
    assert [place for place, _ in found] == [f"{path.name}:{n}" for n in ((1, 2) if kind == "parquet" else (2, 4))]
    assert all(same(record, expected) for (_, record), expected in zip(found, ROWS, strict=True))


def test_columns_that_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("promoter,who,seq\nAACG,x,TT\n")
    assert [r for _, r in read_table(path)] == [Record("a.csv:2", "TT")]
    assert [r for _, r in read_table(path, sequence="promoter", name="who")] == [Record("x", "AACG")]
    for options in ({"sequence": "dna"}, {"name": "id"}, {"labels": ["y"]}):
        with pytest.raises(InputError, match="its columns are promoter, who, seq; expected one called"):
            list(read_table(path, **options))  # type: ignore[arg-type]
    path.write_text("promoter\nAACG\n")
    with pytest.raises(InputError, match="its columns are promoter; say with sequence= which"):
        list(read_table(path))


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ("chr1,10,14,-", Interval("chr1", 10, 14, "-")),
        ("chr1,11,14,-", Interval("chr1", 10, 14, "-")),  # 1-based, as the length tells
        ("chr1,10,15,+", None),
        ("chr1,10,14,", Interval("chr1", 10, 14)),
        ("chr1,,,", None),
    ],
)
def test_places(tmp_path: Path, row: str, place: Interval | None) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"chrom,start,end,strand,seq\n{row},AACG\n")
    (record,) = (record for _, record in read_table(path))
    assert record.interval == place and record.name == (str(place) if place else "a.csv:2")
    path.write_text("id,seq\nchr1:10-14(-),AACG\n")
    assert [r.interval for _, r in read_table(path)] == [Interval("chr1", 10, 14, "-")]


def test_what_is_no_row_is_reported_and_the_rest_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,seq,y\na,AC,1\nb,AC\nc,,1\nd,AC,high\ne,A"C,1\nf,"AC"x,1\ng,GG,2\n')
    records, failed = attempt(path, labels=["y"])
    assert [(r.name, r.labels) for r in records] == [("a", (1.0,)), ("e", (1.0,)), ("g", (2.0,))]
    assert records[1].sequence == 'A"C'
    assert failed.pop("a.csv:3") == "a.csv:3: the row has 2 cells; expected 3, as in the header"
    assert failed.pop("a.csv:4") == "a.csv:4: seq is ''; expected a sequence"
    assert failed.pop("a.csv:5") == "a.csv:5: y is 'high'; expected a number"
    assert "expected quotation marks in pairs" in failed.pop("a.csv:7") and not failed
    with pytest.raises(DataError, match=r"^a\.csv:3: (?!a\.csv)"):
        list(read_table(path))


def test_long_sequences_and_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"seq\n{'ACGT' * 50_000}\n")
    assert [len(record) for _, record in read_table(path)] == [200_000]
    path.write_text("\n")
    assert "nothing in it" in attempt(path)[1]["a.csv"]
    (tmp_path / "b.csv.gz").write_bytes(
        gzip.compress("".join(f"{i},AC{'G' * (i % 7)}\n" for i in range(9000)).encode())[:9000]
    )
    assert "cut off" in attempt(tmp_path / "b.csv.gz", sequence="AC")[1]["b.csv.gz"]
    (tmp_path / "c.parquet").write_bytes(b"PAR1 and no more")
    assert "cannot be read as Parquet" in attempt(tmp_path / "c.parquet")[1]["c.parquet"]
