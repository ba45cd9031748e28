"""Letters of genomes against the text they were written from, on both strands, and files that cannot be trusted."""

import gzip
import os
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from Bio import bgzf
from Bio.Seq import Seq
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.genome import Genome, close_names
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import DataError

Data = Callable[[str], Path]

CHR1 = "AACGTTTgcaNACCCTGATTACAG"
CHR2 = "TTGCaaaCCAG"


def fasta(width: int = 7, end: str = "\n", **chroms: str) -> str:
    return "".join(
        f">{name} of a test{end}" + "".join(text[i : i + width] + end for i in range(0, len(text), width))
        for name, text in chroms.items()
    )


def written(path: Path, text: str) -> Path:
    """Plain, gzip for ``plain.fa.gz``, else bgzip."""
    if path.suffix == ".fa":
        path.write_bytes(text.encode())
    elif path.name.startswith("plain"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        with bgzf.open(str(path), "wb") as file:
            file.write(text.encode())
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Genome]:
    with Genome(written(tmp_path_factory.mktemp("small") / "a.fa", fasta(chr1=CHR1, chr2=CHR2))) as genome:
        yield genome


@pytest.mark.parametrize("name", ["a.fa", "a.fa.gz", "a.fa.bgz", "a.fa.bgzip", "plain.fa.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("width", [1, 7, 8, 100])
def test_every_interval_on_both_strands(tmp_path: Path, name: str, end: str, width: int) -> None:
    with Genome(written(tmp_path / name, fasta(width, end, chr1=CHR1, chr2=CHR2))) as genome:
        assert genome.chroms == {"chr1": 24, "chr2": 11}
        for chrom, text in (("chr1", CHR1), ("chr2", CHR2)):
            for start, stop in combinations(range(len(text) + 1), 2):
                part = text[start:stop]
                assert genome.fetch(Interval(chrom, start, stop)) == part
                assert genome.fetch(Interval(chrom, start, stop, "+")) == part
                assert genome.fetch(Interval(chrom, start, stop, "-")) == str(Seq(part).reverse_complement())


@given(start=st.integers(-30, 50), length=st.integers(1, 60), strand=st.sampled_from(["+", "-"]))
def test_windows_have_n_off_the_chromosome(small: Genome, start: int, length: int, strand: Literal["+", "-"]) -> None:
    expected = ("N" * 100 + CHR1 + "N" * 100)[100 + start : 100 + start + length]
    if strand == "-":
        expected = str(Seq(expected).reverse_complement())
    assert small.window("chr1", start, start + length, strand) == expected


def test_over_the_end(small: Genome) -> None:
    over = Interval("chr2", 7, 14, "-")
    with pytest.raises(DataError, match=r"chr2:7-14\(-\) ends behind chr2, which has 11 bp"):
        small.fetch(over)
    assert small.fetch(over, pad=True) == "NNNCTGG"


def test_blocks_of_bgzip(tmp_path: Path) -> None:
    """Reads that begin, end and lie across where the 64-KiB blocks meet, after more blocks than are kept."""
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)[np.random.default_rng(0).integers(0, 4, 5_000_000)]
    text = letters.tobytes().decode()
    with Genome(written(tmp_path / "a.fa.gz", fasta(60, chrom=text))) as genome:
        meetings = [int(block * 65536 * 60 / 61) for block in range(1, 78)]
        for place in [*meetings[:3], *meetings[-3:], meetings[0]]:
            for start in range(place - 40, place + 20):
                assert genome.fetch(Interval("chrom", start, start + 25)) == text[start : start + 25]
        assert genome.fetch(Interval("chrom", 0, len(text))) == text


@pytest.mark.parametrize(("given_", "near"), [("1", "chr1"), ("CHR2", "chr2"), ("chrI", "chr1"), ("chr11", "chr1")])
def test_chromosome_of_another_name(small: Genome, given_: str, near: str) -> None:
    with pytest.raises(DataError, match=f"has no {given_}; is it {near}"):
        small.fetch(Interval(given_, 0, 1))


@pytest.mark.parametrize(
    ("given_", "chroms", "near"),
    [
        ("chr4", ["chrI", "chrIV", "chrV"], ["chrIV"]),
        ("IX", ["chr1", "chr9"], ["chr9"]),
        ("X", ["chr1", "chrX"], ["chrX"]),
        ("chrM", ["1", "MT"], ["MT"]),
        ("ctg7", ["NC_000913.3"], []),
    ],
)
def test_close_names(given_: str, chroms: list[str], near: list[str]) -> None:
    assert close_names(given_, chroms) == near


def test_several_files_and_folders(tmp_path: Path) -> None:
    one = written(tmp_path / "chr1.fa", fasta(chr1=CHR1))
    two = written(tmp_path / "chr2.fa.gz", fasta(chr2=CHR2))
    (tmp_path / "README").write_text("no FASTA")
    for given_ in ([one, two], tmp_path, [str(one), str(two)]):
        with Genome(given_) as genome:
            assert genome.chroms == {"chr1": 24, "chr2": 11}
            assert genome.fetch(Interval("chr2", 4, 7)) == CHR2[4:7]
    with pytest.raises(DataError, match=r"chr1 is in chr1\.fa and again in chr1\.fa"):
        Genome([one, one])


def test_index_is_kept_used_and_made_again(tmp_path: Path) -> None:
    path = written(tmp_path / "a.fa", fasta(chr1=CHR1, chr2=CHR2))
    Genome(path).close()
    index = tmp_path / "a.fa.fai"
    assert [line.split("\t")[:2] for line in index.read_text().splitlines()] == [["chr1", "24"], ["chr2", "11"]]
    made = index.stat().st_mtime_ns
    Genome(path).close()
    assert index.stat().st_mtime_ns == made
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.fa", "a.fa.fai"]
    written(path, fasta(chr1=CHR1[1:]))
    os.utime(path, ns=(made + 10**9, made + 10**9))
    with Genome(path) as genome:
        assert genome.chroms == {"chr1": 23} and genome.fetch(Interval("chr1", 0, 4)) == CHR1[1:5]


def test_folder_that_is_not_to_be_written_to(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    path = written(folder / "a.fa.gz", fasta(chr1=CHR1))
    folder.chmod(0o555)
    try:
        with Genome(path) as genome:
            assert genome.fetch(Interval("chr1", 3, 9)) == CHR1[3:9]
        assert [p.name for p in folder.iterdir()] == ["a.fa.gz"]
    finally:
        folder.chmod(0o755)


def test_index_of_another_file(tmp_path: Path) -> None:
    """Copied with its old time, the index cannot be told by that."""
    path = written(tmp_path / "a.fa", fasta(chr0="ACG", chr1=CHR1))
    Genome(path).close()
    for other in (fasta(chr1=CHR1), fasta(chr0="ACGT", chr1=CHR1), fasta(chr0="ACG", chr1=CHR1 + "A", chr2="A")):
        written(path, other)
        os.utime(path, (0, 0))
        with Genome(path) as genome, pytest.raises(DataError, match=r"chr1 does not lie where the index says.*remove"):
            genome.fetch(Interval("chr1", 0, 2))


@pytest.mark.parametrize("behind", ["", ">chr2\nACGT\n"])
@pytest.mark.parametrize("last", ["ACGTA", "ACGTAC", "ACGTACGTACGTACG"])
def test_last_line_longer_than_the_others(tmp_path: Path, behind: str, last: str) -> None:
    """The formula of samtools would shift what lies in it."""
    path = written(tmp_path / "a.fa", f">chr1\nTTGC\nTTGC\n{last}\n{behind}")
    with pytest.raises(DataError, match="'chr1' has lines that differ in length"):
        Genome(path)
    letters = 8 + len(last)
    (tmp_path / "a.fa.fai").write_text(f"chr1\t{letters}\t6\t4\t5\n")
    with Genome(path) as genome, pytest.raises(DataError, match="its lines differ in length"):
        genome.fetch(Interval("chr1", 0, 2))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "there are no sequences in it"),
        ("chr1 ACGT\n", "text before the first header"),
        (">chr1\nAC\nACGT\nACG\n", "lines that differ in length"),
        (">chr1\nACGT\nACG\nACGT\n", "lines that differ in length"),
        (">chr1\nACGT\n\nACGT\n", "lines that differ in length"),
        (">chr1\nACGT\nACGT\r\nACGT\n", "lines that differ in length"),
        (">chr1\nACGT\n>chr1\nTTTT\n", "chr1 is there twice"),
        (">\nACGT\n", "a header has no name"),
    ],
)
def test_no_fasta(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DataError, match=rf"a\.fa cannot be indexed: .*{reason}"):
        Genome(written(tmp_path / "a.fa", text))
    assert not (tmp_path / "a.fa.fai").exists()


@pytest.mark.parametrize("name", ["a.fa.gz", "plain.fa.gz"])
@pytest.mark.parametrize("indexed", [False, True])
def test_cut_off(tmp_path: Path, name: str, indexed: bool) -> None:
    path = written(tmp_path / name, fasta(60, chr1="".join(map(str, np.arange(40000)))))
    if indexed:
        Genome(path).close()
    path.write_bytes(path.read_bytes()[:-3000])
    os.utime(path, (0, 0))
    with pytest.raises(DataError, match=rf"{name} is cut off"):
        Genome(path)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        Genome(tmp_path / "none.fa")
    with pytest.raises(DataError, match="no FASTA files there"):
        Genome(tmp_path)


def test_yeast_and_human(shared_data: Data) -> None:
    yeast = shared_data("genomics/yeast_chr1_2")
    with Genome(yeast) as genome, gzip.open(yeast / "chr2.fa.gz", "rt") as file:
        text = "".join(line.strip() for line in file if line[0] != ">")
        assert genome.chroms == {"chrI": 230208, "chrII": 813178}
        assert genome.fetch(Interval("chrII", 0, 813178)) == text
        assert genome.fetch(Interval("chrII", 555_001, 555_011, "-")) == str(
            Seq(text[555_001:555_011]).reverse_complement()
        )
    path = shared_data("genomics/human_chr1_1m/hg38_1m.fa.gz")
    with Genome(path) as genome, gzip.open(path, "rt") as file:
        text = "".join(line.strip() for line in file if line[0] != ">")
        assert genome.chroms == {"chr1": 1_000_000}
        assert genome.fetch(Interval("chr1", 0, 1_000_000)) == text
