"""Genes of BED, and which genes lie where."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.annotation import Annotation, Gene, Transcript, read_genes
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import DataError, InputError

Data = Callable[[str], Path]

BED12 = "chr1\t10\t100\tABC1\t0\t-\t20\t90\t0\t2\t30,40,\t0,50,"


def attempt(path: Path) -> tuple[list[Gene], dict[str, str]]:
    failed: dict[str, str] = {}
    return list(read_genes(path, on_error=lambda place, error: failed.__setitem__(place, str(error)))), failed


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_bed(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.bed"
    path.write_bytes(f"#x{end}{BED12}{end}chr1 3 7 DEF2 0 +{end}chr1\t3\t9\t.\tGHI3{end}".encode())
    transcript = Transcript("ABC1", Interval("chr1", 10, 100, "-"), ((10, 40), (60, 100)), ((20, 40), (60, 90)))
    assert list(read_genes(path)) == [
        Gene("DEF2", "DEF2", Interval("chr1", 3, 7, "+")),
        Gene("GHI3", "GHI3", Interval("chr1", 3, 9)),
        Gene("ABC1", "ABC1", Interval("chr1", 10, 100, "-"), "", (transcript,)),
    ]
    assert (transcript.utr5, transcript.utr3) == (((90, 100),), ((10, 20),))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("chr1\t1\t9", "the gene has no name"),
        (BED12.replace("\t2\t30", "\t3\t30"), "the blocks (columns 10 to 12) are 3, 30,40, and 0,50,"),
        (BED12.replace("0,50,", "0,51,"), "within chr1:10-100(-)"),
        (BED12.replace("0,50,", "0,x,"), "a block is 'x'"),
        ("chr1\t9\t1\tA", "ends at or before its start"),
    ],
)
def test_a_line_that_is_no_gene_is_reported_and_the_rest_read(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "a.bed"
    path.write_text(f"chr1\t1\t2\tfirst\n{line}\nchr1\t3\t4\tlast\n")
    genes, failed = attempt(path)
    assert [gene.name for gene in genes] == ["first", "last"]
    assert list(failed) == ["a.bed:2"] and reason in failed["a.bed:2"]
    with pytest.raises(DataError, match=r"^a\.bed:2: (?!a\.bed)"):
        read_genes(path)


def test_ids_are_unique_and_names_may_not_be(tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text("chrX\t1\t9\tASMT\nchrY\t1\t9\tASMT\nchrY\t3\t9\tASMT\n")
    assert [(g.id, g.name) for g in read_genes(path)] == [
        ("ASMT", "ASMT"),
        ("ASMT@chrY:1-9", "ASMT"),
        ("ASMT@chrY:3-9", "ASMT"),
    ]


def test_biotypes_and_names_of_files(tmp_path: Path) -> None:
    path = tmp_path / "a.gff3.gz"
    rows = "chr1\tx\tgene\t11\t20\t.\t-\t.\tID=a;biotype=protein_coding\nchr1\tx\tpseudogene\t1\t9\t.\t-\t.\tID=b\n"
    path.write_bytes(gzip.compress(rows.encode()))
    assert [gene.id for gene in read_genes(path)] == ["b", "a"]
    assert [gene.id for gene in read_genes(path, biotypes=["protein_coding"])] == ["a"]
    with pytest.raises(InputError, match=r"none of these; it has \['protein_coding', 'pseudogene'\]"):
        read_genes(path, biotypes=["tRNA"])
    with pytest.raises(InputError, match="biotypes='tRNA'; expected a list"):
        read_genes(path, biotypes="tRNA")
    with pytest.raises(InputError, match=r"it ends in '\.txt'; expected \.gff3"):
        read_genes(tmp_path / "a.txt")
    with pytest.raises(DataError, match="there is no such file"):
        read_genes(tmp_path / "none.gtf")


@pytest.mark.parametrize(("name", "reason"), [("a.gff3", "there are no genes in it"), ("a.bed", "no regions in it")])
def test_empty(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / name).write_text("##gff-version 3\n")
    genes, failed = attempt(tmp_path / name)
    assert not genes and list(failed) == [name] and reason in failed[name]


def test_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.gff3.gz"
    rows = "".join(f"chr1\tx\tgene\t{i * i}\t{i * i + 5}\t.\t-\t.\tID=g{i}\n" for i in range(1, 9999))
    path.write_bytes(gzip.compress(rows.encode())[:20000])
    genes, failed = attempt(path)
    assert "a.gff3.gz is cut off" in failed["a.gff3.gz"]
    assert len(genes) > 100 and [gene.id for gene in genes] == [f"g{i}" for i in range(1, len(genes) + 1)]


SPANS = st.lists(
    st.tuples(st.sampled_from(["chr1", "chr2"]), st.integers(0, 60), st.integers(1, 40), st.sampled_from("+-.")),
    max_size=25,
)


@given(SPANS, st.sampled_from(["chr1", "chr2", "chr3"]), st.integers(0, 90), st.integers(1, 30))
def test_overlapping_is_what_shares_a_base(
    spans: list[tuple[str, int, int, str]], chrom: str, start: int, length: int
) -> None:
    genes = [
        Gene(f"g{i}", f"g{i}", Interval(on, begin, begin + size, strand))  # type: ignore[arg-type]
        for i, (on, begin, size, strand) in enumerate(spans)
    ]
    annotation = Annotation.of(genes)
    assert len(annotation) == len(genes) == sum(len(annotation.on(chrom)) for chrom in annotation.chroms)
    bases = set(range(start, start + length))
    expected = {
        g.id for g in genes if g.interval.chrom == chrom and bases & set(range(g.interval.start, g.interval.end))
    }
    found = annotation.overlapping(Interval(chrom, start, start + length))
    assert {gene.id for gene in found} == expected and len(found) == len(expected)
    assert [g.interval.start for g in found] == sorted(g.interval.start for g in found)
    assert [g.interval.start for g in annotation.on(chrom)] == sorted(g.interval.start for g in annotation.on(chrom))


def test_real_genes(shared_data: Data) -> None:
    path = shared_data("genomics/human_chr1_1m/gencode_v28_hg38_protein_coding_l12_genes.bed")
    genes = read_genes(path)
    assert len(genes) == 19883 == len({gene.id for gene in genes})
    assert {gene.interval.strand for gene in genes} == {"."}
    assert [gene.name for gene in genes.overlapping(Interval("chr1", 944_300, 944_400))] == ["SAMD11", "NOC2L"]
    assert [gene.id for gene in genes if gene.name == "ASMT"] == ["ASMT", "ASMT@chrY:1615001-1643081"]
    yeast = read_genes(shared_data("genomics/yeast_chr1_2/yeast_chr1+2.gff3"))
    assert yeast.chroms == ("chrI", "chrII")
    assert [gene.name for gene in yeast.on("chrI")][:3] == ["YAL069W", "YAL068W-A", "PAU8"]
