"""Records of FASTA files and the places that their headers name."""

from collections.abc import Callable
from pathlib import Path

import pytest
from Bio import SeqIO, bgzf
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.formats.fasta import place_of, read_fasta
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError

Data = Callable[[str], Path]


def attempt(path: Path) -> tuple[list[Record], dict[str, str]]:
    failed: dict[str, str] = {}
    found = list(read_fasta(path, on_error=lambda place, error: failed.__setitem__(place, str(error))))
    return [record for _, record in found], failed


def test_records_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.fa"
    path.write_bytes(b"; a comment\r\n# another\r\n>one of two\r\nACg\r\nNt t\r\n\r\n>one\r\nGG")
    found = list(read_fasta(path))
    assert found == [("a.fa:3", Record("one", "ACgNtt")), ("a.fa:7", Record("one", "GG"))]


def test_what_is_no_record_is_reported_and_the_rest_read(tmp_path: Path) -> None:
    path = tmp_path / "a.fa"
    path.write_text(">a\nAC\n>empty\n>\nACG\n>b\nGG\n")
    records, failed = attempt(path)
    assert [(r.name, r.sequence) for r in records] == [("a", "AC"), ("b", "GG")]
    assert failed == {
        "a.fa:3": "a.fa:3: empty has no sequence",
        "a.fa:4": "a.fa:4: the header has no name; expected > and a name",
    }
    with pytest.raises(DataError, match=r"^a\.fa:3: empty has no sequence"):
        list(read_fasta(path))


@pytest.mark.parametrize(
    ("text", "reason"), [("", "no sequences"), ("ACGT\n>a\nAC\n", "line 1 is 'ACGT'; expected a header")]
)
def test_no_fasta(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.fa").write_text(text)
    records, failed = attempt(tmp_path / "a.fa")
    assert not records and reason in failed["a.fa"]


def test_the_last_record_of_a_file_that_is_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.fa.gz"
    with bgzf.open(str(path), "wb") as file:
        file.write(b"".join(b">%d\nACGTAA%s\n" % (i, b"ACGT" * (i % 5)) for i in range(20000)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    records, failed = attempt(path)
    assert list(failed) == ["a.fa.gz"] and "is cut off" in failed["a.fa.gz"]
    assert 1000 < len(records) < 20000
    assert [(r.name, r.sequence) for r in records] == [
        (str(i), "ACGTAA" + "ACGT" * (i % 5)) for i in range(len(records))
    ]


@pytest.mark.parametrize(
    ("name", "letters", "place"),
    [
        ("chr1:10-14", 4, Interval("chr1", 10, 14)),
        ("chr1:10-14(-)", 4, Interval("chr1", 10, 14, "-")),
        ("peak::chr1:10-14(+)", 4, Interval("chr1", 10, 14, "+")),
        ("chr1:1,010-1,014", 4, Interval("chr1", 1010, 1014)),
        ("HLA:DRB1*1:0-3", 3, Interval("HLA:DRB1*1", 0, 3)),
        ("chr1:11-14", 4, Interval("chr1", 10, 14)),  # as samtools faidx counts
        ("chr1:0-3", 4, None),
        ("chr1:10-14", 3, None),
        ("chr1:10-14", 6, None),
        ("chr1:14-10", 4, None),
        ("chr1", 4, None),
    ],
)
def test_places(name: str, letters: int, place: Interval | None) -> None:
    assert place_of(name, letters) == place


@given(st.integers(0, 10**9), st.integers(1, 10**6), st.sampled_from("+-."))
def test_a_written_interval_is_read_again(start: int, length: int, strand: str) -> None:
    interval = Interval("chr1", start, start + length, strand)  # type: ignore[arg-type]
    assert place_of(str(interval), length) == interval


def test_against_biopython_on_real_peaks(shared_data: Data) -> None:
    import gzip

    path = shared_data("genomics/chipseq_100bp/ctcf.fa.gz")
    records, failed = attempt(path)
    with gzip.open(path, "rt") as file:
        expected = [(entry.id, str(entry.seq)) for entry in SeqIO.parse(file, "fasta")]
    assert not failed and len(records) == 39184
    assert [(r.name, r.sequence) for r in records] == expected
    assert all(r.interval is not None and str(r.interval) == r.name for r in records)
