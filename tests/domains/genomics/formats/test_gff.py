"""Genes of GFF3 and GTF, in whatever order and shape the rows are, against what was meant and against real starts."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from sciexplain.domains.genomics.formats.gff import read_gff
from sciexplain.domains.genomics.gene import Gene, Transcript
from sciexplain.domains.genomics.genome import Genome
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import DataError

Data = Callable[[str], Path]


def gff(*rows: str, chrom: str = "chr1") -> str:
    """Rows of ``type start end strand attributes``."""
    lines = []
    for row in rows:
        type_, start, end, strand, *attributes = row.split(" ", 4)
        lines.append("\t".join([chrom, "x", type_, start, end, ".", strand, ".", *attributes]) + "\n")
    return "".join(lines)


def attempt(path: Path, text: str) -> tuple[list[Gene], dict[str, str]]:
    path.write_bytes(text.encode())
    failed: dict[str, str] = {}
    return read_gff(path, on_error=lambda place, error: failed.__setitem__(place, str(error))), failed


# chr1 from 0: the gene 10-100 on the minus strand, exons 10-40 and 60-100, translated from 90 down to 20.
NESTED = (
    "gene 11 100 - ID=g1;Name=ABC1;biotype=protein_coding",
    "mRNA 11 100 - ID=t1;Parent=g1",
    "exon 11 40 - Parent=t1",
    "exon 61 100 - Parent=t1",
    "CDS 21 40 - ID=c1;Parent=t1",
    "CDS 61 90 - ID=c1;Parent=t1",
)
EXPECTED = Gene(
    "g1",
    "ABC1",
    Interval("chr1", 10, 100, "-"),
    "protein_coding",
    (Transcript("t1", Interval("chr1", 10, 100, "-"), ((10, 40), (60, 100)), ((20, 40), (60, 90))),),
)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_in_any_order(tmp_path: Path, seed: int, end: str) -> None:
    rows = [*NESTED, "gene 5 6 + ID=g0", "telomere 1 4 . ID=x"]
    random.Random(seed).shuffle(rows)
    text = "##gff-version 3\n#!x\n\n" + gff(*rows) + "##FASTA\n>chr1\nACGT\n"
    found, failed = attempt(tmp_path / "a.gff3", text.replace("\n", end))
    assert not failed
    assert {gene.id: gene for gene in found} == {"g1": EXPECTED, "g0": Gene("g0", "g0", Interval("chr1", 4, 6, "+"))}


def test_parts_of_the_transcript() -> None:
    (transcript,) = EXPECTED.transcripts
    assert (EXPECTED.tss, transcript.tss) == (99, 99)
    assert transcript.introns == ((40, 60),)
    assert transcript.utr5 == ((90, 100),) and transcript.utr3 == ((10, 20),)
    plus = Transcript("t", Interval("chr1", 10, 100, "+"), transcript.exons, ((70, 90),))
    assert (plus.tss, plus.utr5, plus.utr3) == (10, ((10, 40), (60, 70)), ((90, 100),))
    silent = Transcript("t", Interval("chr1", 10, 100, "+"), transcript.exons)
    assert silent.utr5 == silent.utr3 == ()


GTF = (
    'gene 11 100 - gene_id "g1"; gene_name "ABC1"; gene_type "protein_coding";',
    'transcript 11 100 - gene_id "g1"; transcript_id "t1"; gene_name "ABC1"; gene_type "protein_coding";',
    'exon 61 100 - gene_id "g1"; transcript_id "t1"; gene_name "ABC1"; gene_type "protein_coding"; note "a; b";',
    'exon 11 40 - gene_id "g1"; transcript_id "t1"; exon_number 2;',
    'CDS 61 90 - gene_id "g1"; transcript_id "t1";',
    'CDS 24 40 - gene_id "g1"; transcript_id "t1";',
    'stop_codon 21 23 - gene_id "g1"; transcript_id "t1";',
    'start_codon 88 90 - gene_id "g1"; transcript_id "t1";',
)


@pytest.mark.parametrize("rows", [GTF, GTF[::-1], GTF[1:], GTF[2:]], ids=["all", "reversed", "no gene", "exons only"])
def test_gtf(tmp_path: Path, rows: tuple[str, ...]) -> None:
    assert attempt(tmp_path / "a.gtf", gff(*rows)) == ([EXPECTED], {})


def test_gtf_whose_transcripts_are_called_as_their_genes(tmp_path: Path) -> None:
    """As Ensembl's of yeast were."""
    rows = [row.replace("t1", "g1") for row in GTF[1:]]
    ((gene,), failed) = attempt(tmp_path / "a.gtf", gff(*rows))
    assert not failed and gene.id == "g1" and [t.exons for t in gene.transcripts] == [((10, 40), (60, 100))]


@pytest.mark.parametrize(
    ("rows", "gene"),
    [
        # SGD: a CDS directly in its gene, a symbol beside the systematic name
        (
            ("gene 11 40 - ID=YAL1C;Name=YAL1C;gene=ABC1", "CDS 11 40 - Parent=YAL1C;Name=YAL1C;gene=ABC1;"),
            Gene(
                "YAL1C",
                "ABC1",
                Interval("chr1", 10, 40, "-"),
                "protein_coding",
                (Transcript("YAL1C", Interval("chr1", 10, 40, "-"), ((10, 40),), ((10, 40),)),),
            ),
        ),
        # SGD: a tRNA without a gene
        (
            (
                "tRNA 11 40 + ID=tA(UGC)A;Name=tA(UGC)A",
                "noncoding_exon 11 20 + Parent=tA(UGC)A",
                "noncoding_exon 31 40 + Parent=tA(UGC)A",
            ),
            Gene(
                "tA(UGC)A",
                "tA(UGC)A",
                Interval("chr1", 10, 40, "+"),
                "tRNA",
                (Transcript("tA(UGC)A", Interval("chr1", 10, 40, "+"), ((10, 20), (30, 40))),),
            ),
        ),
        # Prokka: nothing but a CDS, of two rows
        (
            ("CDS 11 20 + ID=c;gene=abcA", "CDS 31 40 + ID=c;gene=abcA"),
            Gene(
                "c",
                "abcA",
                Interval("chr1", 10, 40, "+"),
                "protein_coding",
                (Transcript("c", Interval("chr1", 10, 40, "+"), ((10, 20), (30, 40)), ((10, 20), (30, 40))),),
            ),
        ),
        # NCBI: a miRNA in its primary transcript
        (
            (
                "gene 11 40 + ID=g;gene=MIR1;gene_biotype=miRNA",
                "primary_transcript 11 40 + ID=p;Parent=g",
                "exon 11 40 + Parent=p",
                "miRNA 15 20 + ID=m;Parent=p",
                "exon 15 20 + Parent=m",
            ),
            Gene(
                "g",
                "MIR1",
                Interval("chr1", 10, 40, "+"),
                "miRNA",
                (
                    Transcript("p", Interval("chr1", 10, 40, "+"), ((10, 40),)),
                    Transcript("m", Interval("chr1", 14, 20, "+"), ((14, 20),)),
                ),
            ),
        ),
        # the gene's row is missing, and the transcript has UTRs but no exons
        (
            ("mRNA 11 40 + ID=t;Parent=g", "five_prime_UTR 11 15 + Parent=t", "CDS 16 40 + Parent=t"),
            Gene(
                "g",
                "g",
                Interval("chr1", 10, 40, "+"),
                "protein_coding",
                (Transcript("t", Interval("chr1", 10, 40, "+"), ((10, 40),), ((15, 40),)),),
            ),
        ),
        # percent-encoding, a comma within an id, an exon of two transcripts, no strand known
        (
            ("pseudogene 11 40 ? ID=a%2Cb;Name=x%3By%20z", "exon 11 40 ? Parent=a%2Cb"),
            Gene(
                "a,b",
                "x;y z",
                Interval("chr1", 10, 40, "."),
                "pseudogene",
                (Transcript("a,b", Interval("chr1", 10, 40, "."), ((10, 40),)),),
            ),
        ),
    ],
    ids=["sgd gene", "sgd tRNA", "prokka", "miRNA", "no gene", "encoded"],
)
def test_shapes(tmp_path: Path, rows: tuple[str, ...], gene: Gene) -> None:
    for order in (rows, rows[::-1]):
        found, failed = attempt(tmp_path / "a.gff3", gff(*order))
        assert not failed and len(found) == 1
        (one,) = found
        assert sorted(one.transcripts, key=lambda t: t.interval) == sorted(gene.transcripts, key=lambda t: t.interval)
        assert (one.id, one.name, one.interval, one.biotype) == (gene.id, gene.name, gene.interval, gene.biotype)


def test_spaces_and_signs_in_values(tmp_path: Path) -> None:
    ((gene,), failed) = attempt(tmp_path / "a.gff3", gff('gene 1 9 + Name=two words; ID=g ;Note=a "b";x;'))
    assert not failed and (gene.id, gene.name) == ("g", "two words")
    ((gene,), failed) = attempt(tmp_path / "a.gtf", gff("gene 1 9 + gene_name x=y; gene_id g"))
    assert not failed and (gene.id, gene.name) == ("g", "x=y")


def test_an_exon_of_two_transcripts(tmp_path: Path) -> None:
    rows = ("gene 1 9 + ID=g", "mRNA 1 9 + ID=a;Parent=g", "mRNA 1 7 + ID=b;Parent=g", "exon 1 4 + Parent=a,b")
    ((gene,), failed) = attempt(tmp_path / "a.gff3", gff(*rows))
    assert not failed and [(t.id, t.exons) for t in gene.transcripts] == [("a", ((0, 4),)), ("b", ((0, 4),))]


def test_one_id_on_two_chromosomes(tmp_path: Path) -> None:
    found, failed = attempt(tmp_path / "a.gff3", gff(*NESTED) + gff(*NESTED, chrom="chrY"))
    assert not failed and [gene.interval.chrom for gene in found] == ["chr1", "chrY"]
    assert all(len(gene.transcripts) == 1 and len(gene.transcripts[0].exons) == 2 for gene in found)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("chr1\tx\tgene\t1\t9\t.\t+\t.\n", "8 columns; expected 9, by tabs"),
        (gff("gene 9 1 + ID=g"), "chr1:9-1 is no stretch; expected 1 <= start <= end"),
        (gff("gene 0 9 + ID=g"), "chr1:0-9 is no stretch"),
        (gff("gene one 9 + ID=g"), "the start is 'one'; expected a whole number"),
        (gff("gene 1 9 x ID=g"), "the strand is 'x'"),
        (gff("gene 1 9 + Note=none"), "the gene has neither ID nor Parent"),
        (gff("exon 1 9 + ID=e"), "the exon e has no Parent"),
        (gff("gene 11 99 - ID=g1"), "a second gene g1 on chr1; the first is on line 1"),
        (
            gff("exon 1 9 + Parent=lost") + gff("CDS 1 9 + Parent=lost"),
            "Parent=lost of the exon is no gene or transcript",
        ),
        (gff('exon 1 9 + gene_id "g"'), "the exon has no gene_id or no transcript_id"),
    ],
)
def test_what_is_no_feature_is_reported_and_the_rest_read(tmp_path: Path, row: str, reason: str) -> None:
    path = tmp_path / "a.gff3"
    found, failed = attempt(path, gff(*NESTED[:3]) + row + gff(*NESTED[3:]))
    assert found == [EXPECTED]
    assert list(failed) == ["a.gff3:4"] and failed["a.gff3:4"].startswith("a.gff3:4: ") and reason in failed["a.gff3:4"]
    with pytest.raises(DataError, match=r"^a\.gff3:4: (?!a\.gff3)"):
        read_gff(path)


def test_circle_of_parents(tmp_path: Path) -> None:
    found, failed = attempt(tmp_path / "a.gff3", gff("mRNA 1 9 + ID=a;Parent=b", "mRNA 1 9 + ID=b;Parent=a"))
    assert not failed and {t.id for gene in found for t in gene.transcripts} == {"a", "b"}


def test_yeast(shared_data: Data) -> None:
    """Every coding sequence begins with a start codon and ends with the only stop codon: a base off, and few would."""
    path = shared_data("genomics/yeast_chr1_2/yeast_chr1+2.gff3")
    genes = read_gff(path)
    assert len(genes) == 573 + 8 + 2 + 17 + 3 + 2 + 1  # genes, transposons', pseudogenes, tRNA, snoRNA, ncRNA, snRNA
    strands = {"+": 0, "-": 0}
    with Genome(path.parent) as genome:
        for gene in genes:
            for transcript in (t for t in gene.transcripts if t.cds):
                strand = transcript.interval.strand
                parts = [genome.fetch(Interval(gene.interval.chrom, a, b, strand)) for a, b in transcript.cds]
                letters = "".join(parts[:: -1 if strand == "-" else 1]).upper()
                codons = [letters[i : i + 3] for i in range(0, len(letters), 3)]
                assert len(letters) % 3 == 0 and codons[0] == "ATG" and codons[-1] in ("TAA", "TAG", "TGA"), gene
                if "transposable" not in gene.biotype:
                    assert not {"TAA", "TAG", "TGA"} & set(codons[:-1]), gene
                strands[strand] += 1
    assert strands == {"+": 279, "-": 304}
    named = {gene.id: gene for gene in genes}
    tfc3 = named["YAL001C"]
    assert (tfc3.name, tfc3.interval, tfc3.tss) == ("TFC3", Interval("chrI", 147595, 151168, "-"), 151167)
    assert len(tfc3.transcripts[0].introns) == 1
    assert named["tP(UGG)A"].biotype == "tRNA" and named["tP(UGG)A"].name == "TRN1"
