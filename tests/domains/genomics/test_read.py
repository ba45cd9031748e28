"""Every kind of file gives the same letters at the same places, on both strands; nothing is shifted or lost."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from Bio import bgzf
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.genome import Genome
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.read import read, resized
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError, InputError

Data = Callable[[str], Path]

CHROM = "AACGTTTGCACACCCTGATTACAGGGaccaTTCN"  # no stretch is its own reverse complement's neighbour
PLACES = [Interval("chr1", 3, 12, "+"), Interval("chr1", 3, 12, "-"), Interval("chr1", 20, 30, "-")]


def letters_at(place: Interval) -> str:
    text = CHROM[place.start : place.end]
    return str(Seq(text).reverse_complement()) if place.strand == "-" else text


def attempt(path: Any, **options: Any) -> tuple[list[Record], dict[str, str]]:
    failed: dict[str, str] = {}
    return list(read(path, on_error=lambda place, error: failed.__setitem__(place, str(error)), **options)), failed


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{CHROM[:20]}\n{CHROM[20:]}\n")
    return path


def file_of(folder: Path, kind: str) -> Path:
    """The three places as a file of this kind, the letters reverse-complemented where it holds them."""
    path = folder / f"a.{kind}"
    if kind in ("fa", "fa.gz", "fa.bgz"):
        text = "".join(f">{place}\n{letters_at(place)}\n" for place in PLACES)
    elif kind in ("bed", "bed.gz", "narrowPeak"):
        rest = "\t1\t2\t3\t-1" if kind == "narrowPeak" else ""
        text = "".join(f"{p.chrom}\t{p.start}\t{p.end}\t.\t0\t{p.strand}{rest}\n" for p in PLACES)
    elif kind == "csv":
        text = "chrom,start,end,strand,sequence\n"
        text += "".join(f"chr1,{p.start},{p.end},{p.strand},{letters_at(p)}\n" for p in PLACES)
    elif kind == "tsv":  # 1-based, the end included
        text = "seq\tstart\tend\tchr\tstrand\n"
        text += "".join(f"{letters_at(p)}\t{p.start + 1}\t{p.end}\tchr1\t{p.strand}\n" for p in PLACES)
    else:
        pq.write_table(pa.table({"id": [str(p) for p in PLACES], "seq": [letters_at(p) for p in PLACES]}), path)
        return path
    if kind.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    elif kind.endswith(".bgz"):
        with bgzf.open(str(path), "wb") as file:
            file.write(text.encode())
    else:
        path.write_text(text)
    return path


KINDS = ["fa", "fa.gz", "fa.bgz", "bed", "bed.gz", "narrowPeak", "csv", "tsv", "parquet"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [None, *range(1, 10)])
def test_letters_and_places_agree(tmp_path: Path, genome: Path, kind: str, length: int | None) -> None:
    found = list(read(file_of(tmp_path, kind), genome=genome, length=length))
    for record, place in zip(found, PLACES, strict=True):
        centre = place.start + len(place) // 2
        start, end = (
            (place.start, place.end) if length is None else (centre - length // 2, centre - length // 2 + length)
        )
        expected = Interval("chr1", start, end, place.strand)
        assert record.interval == expected and record.name == str(place)
        assert record.sequence == letters_at(expected)


def test_genbank(tmp_path: Path) -> None:
    path = tmp_path / "a.gb"
    path.write_text(
        SeqRecord(Seq(CHROM.upper()), id="AB1.1", name="AB1", annotations={"molecule_type": "DNA"}).format("gb")
    )
    assert list(read(path)) == [Record("AB1.1", CHROM.upper(), Interval("AB1.1", 0, 34))]
    assert list(read(path, length=9)) == [Record("AB1.1", CHROM.upper()[13:22], Interval("AB1.1", 13, 22))]


def test_summits(tmp_path: Path, genome: Path) -> None:
    path = tmp_path / "a.narrowPeak"
    path.write_text("".join(f"chr1\t3\t12\tp\t0\t{strand}\t1\t2\t3\t7\n" for strand in "+-."))
    plus, minus, none = read(path, genome=genome, length=5)
    assert plus == Record("p", CHROM[8:13], Interval("chr1", 8, 13, "+"), (1.0,))
    assert minus.sequence == str(Seq(CHROM[8:13]).reverse_complement()) and none.sequence == plus.sequence
    assert CHROM[10] == plus.sequence[2] == "C" and minus.sequence[2] == "G"


@given(st.text("ACGTacgt", min_size=1, max_size=40), st.integers(1, 60), st.sampled_from("+-."))
def test_resized_letters_are_those_of_their_interval(text: str, length: int, strand: str) -> None:
    start = 100
    place = Interval("chr1", start, start + len(text), strand)  # type: ignore[arg-type]
    given_ = str(Seq(text).reverse_complement()) if strand == "-" else text
    found = resized(Record("r", given_, place), length, pad=True)
    assert found.interval is not None and len(found.sequence) == length == len(found.interval)
    chrom = "N" * start + text + "N" * 100
    expected = chrom[found.interval.start : found.interval.end]
    assert found.sequence == (str(Seq(expected).reverse_complement()) if strand == "-" else expected)
    assert found.interval.start + length // 2 == start + len(text) // 2
    without = resized(Record("r", given_), length, pad=True)
    assert len(without) == length and without.interval is None
    if strand != "-":
        assert without.sequence == found.sequence


def test_windows_off_the_chromosome(tmp_path: Path, genome: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text("chr1\t0\t4\tleft\t0\t-\nchr1\t30\t34\tright\t0\t+\nchr1\t10\t14\tinside\n")
    records, failed = attempt(path, genome=genome, length=8)
    assert [record.name for record in records] == ["inside"]
    assert "the window chr1:-2-6 of 8 bp around left is not within chr1, which has 34 bp" in failed["a.bed:1"]
    assert "chr1:28-36" in failed["a.bed:2"]
    left, right, inside = read(path, genome=genome, length=8, pad=True)
    assert (left.sequence, left.interval) == (str(Seq("NN" + CHROM[:6]).reverse_complement()), None)
    assert (right.sequence, right.interval) == (CHROM[28:] + "NN", None)
    assert inside.interval == Interval("chr1", 8, 16)


def test_short_sequences(tmp_path: Path) -> None:
    path = tmp_path / "a.fa"
    path.write_text(">chr1:1-5(-)\nACGT\n>chr1:50-54\nACGT\n>x\nACG\n>y\nAACCGGT\n")
    records, failed = attempt(path, length=7)
    assert [record.name for record in records] == ["y"]
    assert failed["a.fa:1"].endswith("chr1:1-5(-) has 4 letters; expected at least 7, or pad=True for N around it")
    first, second, x, _ = read(path, length=7, pad=True)
    assert (first.sequence, first.interval) == ("NNACGTN", Interval("chr1", 0, 7, "-"))
    assert (second.sequence, second.interval) == ("NACGTNN", Interval("chr1", 49, 56))
    assert (x.sequence, x.interval) == ("NNACGNN", None)
    assert next(read(path, length=9, pad=True)).interval is None  # it would begin at -1
    assert next(read(path, length=5, pad=True, alphabet="protein")).sequence == "XACGT"


@pytest.mark.parametrize(
    ("alphabet", "letters", "wrong"),
    [
        ("DNA", "ACGTUNRYSWKMBDHVacgtn-.", "MEVLI*"),
        ("RNA", "ACGUTNRYacgu", "ACE"),
        ("protein", "ACDEFGHIKLMNPQRSTVWYBZJXUO*acd", "AC1"),
    ],
)
def test_letters_of_another_alphabet_are_reported_and_the_rest_read(
    tmp_path: Path, alphabet: str, letters: str, wrong: str
) -> None:
    path = tmp_path / "a.fa"
    path.write_text(f">a\n{letters}\n>b\n{wrong}\n>c\n{letters}\n>d\nAÄ\n")
    records, failed = attempt(path, alphabet=alphabet)
    assert [(r.name, r.sequence) for r in records] == [("a", letters), ("c", letters)]
    place, letter = next((i, s) for i, s in enumerate(wrong) if s not in letters)
    assert failed["a.fa:3"].startswith(
        f"a.fa:3: b has {letter!r} at position {place} (0-based), which is no letter of {alphabet}; expected"
    )
    assert "d has 'Ä' at position 1" in failed["a.fa:7"]


def test_regions_that_the_genome_has_not(tmp_path: Path, genome: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text("1\t2\t4\nchr1\t30\t35\nchr1\t9\t3\nchr1\t2\t5\tgood\nchr1\t2\t5\tgood\n")
    for options in ({}, {"length": 3, "pad": True}):
        records, failed = attempt(path, genome=genome, **options)
        assert [r.name for r in records] == ["good", "good"] and records[0] == records[1]
        assert "a.bed:1: the genome has no 1; is it chr1?" in failed["a.bed:1"]
        assert "chr1:30-35 ends behind chr1, which has 34 bp" in failed["a.bed:2"]
        assert "chr1:9-3: ends at or before its start" in failed["a.bed:3"]
    with pytest.raises(DataError, match=r"^a\.bed:1: the genome has no 1"):
        list(read(path, genome=genome))


def test_what_cannot_be_asked(tmp_path: Path, genome: Path) -> None:
    bed = tmp_path / "a.bed"
    bed.write_text("chr1\t2\t4\n")
    with pytest.raises(InputError, match="regions of a BED file have no letters; give the genome's FASTA as genome="):
        read(bed)
    with pytest.raises(InputError, match="length=0"):
        read(genome, length=0)
    with pytest.raises(InputError, match=r"it ends in '\.doc'; expected \.fa"):
        read("a.doc")
    with pytest.raises(InputError, match=r"it ends in '\.gz'; expected"):
        read("a.parquet.gz")
    with pytest.raises(InputError, match=r"genome\.fa has no columns"):
        read(genome, labels=["y"])
    with pytest.raises(InputError, match=r"a\.bed is no table"):
        read(bed, genome=genome, sequence="seq")
    with pytest.raises(InputError, match="alphabet='dnb'"):
        read(genome, alphabet="dnb")
    with pytest.raises(DataError, match="no such file"):
        list(read(tmp_path / "none.fa"))


def test_several_files_and_an_open_genome(tmp_path: Path, genome: Path) -> None:
    bed = file_of(tmp_path, "bed")
    with Genome(genome) as opened:
        found = list(read([bed, genome, str(bed)], genome=opened))
        assert [r.sequence for r in found[:3]] == [letters_at(p) for p in PLACES] == [r.sequence for r in found[4:]]
        assert found[3] == Record("chr1", CHROM)
        assert opened.fetch(Interval("chr1", 0, 3)) == "AAC"  # it is the caller's to close


def test_it_streams(tmp_path: Path) -> None:
    path = tmp_path / "a.fa"
    path.write_text(">a\nAC\n>b\nxx\n")
    found = read(path)
    assert next(found).name == "a"
    with pytest.raises(DataError, match="b has 'x'"):
        next(found)


def test_real_regions(shared_data: Data) -> None:
    folder = shared_data("genomics/human_chr1_1m")
    records = list(read(folder / "seqs.bed", genome=folder / "hg38_1m.fa.gz", length=2001))
    with gzip.open(folder / "hg38_1m.fa.gz", "rt") as file:
        chrom = "".join(line.strip() for line in file if line[0] != ">")
    assert [str(record.interval) for record in records] == ["chr1:486600-488601", "chr1:958300-960301"]
    assert [record.sequence for record in records] == [chrom[486600:488601], chrom[958300:960301]]
    genes = folder / "gencode_v28_hg38_protein_coding_l12_genes.bed"
    found, failed = attempt(genes, genome=folder / "hg38_1m.fa.gz")
    assert [record.name for record in found][:2] == ["OR4F5", "OR4F29"] and len(found) + len(failed) == 19883
    assert all(
        record.sequence == chrom[record.interval.start : record.interval.end] for record in found if record.interval
    )
