"""GenBank records against Biopython's own reading, and damaged ones."""

import gzip
from pathlib import Path

import pytest
from Bio import SeqIO
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord

from sciexplain.domains.genomics.formats.genbank import genbank_attempts
from sciexplain.domains.genomics.formats.lines import without_errors
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError

LETTERS = {"AB1.1": "AACGTTTGCANACCCTGATTACAG" * 7, "AB2.1": "TTGCAAACCAG"}


def text_of(name: str, letters: str) -> str:
    record = SeqRecord(Seq(letters), id=name, name=name.split(".")[0], annotations={"molecule_type": "DNA"})
    text: str = record.format("genbank")
    return text


@pytest.fixture
def texts() -> list[str]:
    return [text_of(name, letters) for name, letters in LETTERS.items()]


def attempt(path: Path) -> tuple[list[Record], dict[str, str]]:
    failed: dict[str, str] = {}
    found = list(without_errors(genbank_attempts(path), lambda place, error: failed.__setitem__(place, str(error))))
    return [record for _, record in found], failed


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["a.gb", "a.gb.gz"])
def test_records(tmp_path: Path, texts: list[str], end: str, name: str) -> None:
    path, data = tmp_path / name, "\n".join(texts).replace("\n", end).encode()
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    second = texts[0].count("\n") + 2
    assert list(without_errors(genbank_attempts(path), None)) == [
        (f"{name}:1", Record("AB1.1", LETTERS["AB1.1"], Interval("AB1.1", 0, 168))),
        (f"{name}:{second}", Record("AB2.1", LETTERS["AB2.1"], Interval("AB2.1", 0, 11))),
    ]
    if name == "a.gb":
        with path.open() as file:
            assert {entry.id: str(entry.seq) for entry in SeqIO.parse(file, "genbank")} == LETTERS


def test_damaged_records_are_reported_and_the_rest_read(tmp_path: Path, texts: list[str]) -> None:
    longer = texts[0].replace("168 bp", "170 bp")
    without = texts[0][: texts[0].index("ORIGIN")] + "CONTIG      join(AB3.1:1..168)\n//\n"
    noise = "LOCUS\nnothing\n//\n"
    path = tmp_path / "a.gbk"
    path.write_text(longer + texts[1] + without + noise + texts[1] + texts[0][:-30])
    records, failed = attempt(path)
    assert [record.name for record in records] == ["AB2.1", "AB2.1"]
    reasons = list(failed.values())
    assert len(reasons) == 4
    assert "170" in reasons[0] and "168" in reasons[0]
    assert "no sequence; expected one under ORIGIN" in reasons[1]
    assert "cut off; expected // as its last line" in failed["a.gbk"]
    with pytest.raises(DataError, match=r"^a\.gbk:1: (?!a\.gbk)"):
        list(without_errors(genbank_attempts(path), None))


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "a.gb").write_text("\n")
    assert "no records in it" in attempt(tmp_path / "a.gb")[1]["a.gb"]
