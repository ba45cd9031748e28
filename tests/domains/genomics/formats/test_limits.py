"""What is too large is refused with the limit in the message, and the rest is read, in little memory."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sciexplain.domains import genomics
from sciexplain.domains.genomics.expression import Expression
from sciexplain.domains.genomics.formats import (
    delimited_rows,
    fasta,
    fasta_index,
    genbank,
    gff_rows,
    gmt,
    lines,
    meme,
    parquet_rows,
    regions,
    tables,
    unpacking,
    vcf,
)
from sciexplain.domains.genomics.formats.hdf5 import check_hdf5
from sciexplain.domains.genomics.formats.limits import LONGEST_SEQUENCE, shown
from sciexplain.errors import DataError, InputError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits, made small enough for small files."""
    for module in (fasta, tables, genbank, fasta_index):
        monkeypatch.setattr(module, "LONGEST_SEQUENCE", 100)
    monkeypatch.setattr(genbank, "_LONGEST", 200)
    monkeypatch.setattr(lines, "LONGEST_LINE", 200)
    for module in (fasta, tables, regions, genbank, gff_rows, gmt, meme, vcf):
        monkeypatch.setattr(module, "LONGEST_NAME", 20)
    for module in (gff_rows, vcf):
        monkeypatch.setattr(module, "MOST_ALLELES", 5)
    for module in (gmt, delimited_rows):
        monkeypatch.setattr(module, "MOST_COLUMNS", 5)
    monkeypatch.setattr(delimited_rows, "LONGEST_LINE", 60)
    monkeypatch.setattr(meme, "MOST_POSITIONS", 4)


def attempts(path: Path, text: str, **options: Any) -> tuple[list[str], list[str]]:
    """Names that were read, and what was told of the others."""
    path.write_text(text)
    found = [one for _, one in genomics.attempts(path, **options)]
    assert genomics.count(path) == len(found)
    names = [one.name for one in found if isinstance(one, genomics.Record)]
    return names, [str(one) for one in found if isinstance(one, DataError)]


GENBANK = """LOCUS       ?                          2 bp    DNA     linear   UNK 01-JAN-1980
VERSION     ?
ORIGIN
        1 ac
//
"""


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.fa", f">a\nAC\n>b\n{'A' * 101}\n>c\nGT\n", "a.fa:3: 'b' is longer than 100 letters"),
        ("a.fa", ">a\nAC\n>b\nACGT\n" + "ACG\n" * 40 + ">c\nGT\n", "a.fa:3: 'b' is longer than 100 letters"),
        ("a.fa", f">a\nAC\n>{'x' * 150}\nAC\n>c\nGT\n", "is longer than 100 letters"),
        ("a.fa", f">a\nAC\n>{'x' * 50}\nAC\n>c\nGT\n", "has 50 characters; expected at most 20"),
        ("a.gb", "{a}LOCUS {long}\n//\n{c}", "a.gb:6: the line, which begins with 'LOCUS  A A A"),
        ("a.gb", "{a}LOCUS b\nORIGIN\n{origin}//\n{c}", "a.gb:6: the record is longer than 100 letters"),
        ("a.csv", f"id,seq\na,AC\nb,{'A' * 250}\nc,GT\n", "a.csv:3: the line, which begins with 'b,AAAA"),
        (
            "a.csv",
            f"id,seq\na,AC\nb,{'A' * 150}\nc,GT\n",
            "a.csv:3: the sequence has 150 letters; expected at most 100",
        ),
        ("a.csv", f"id,seq\na,AC\n{'b' * 30},AC\nc,GT\n", "a.csv:3: the name 'bbb"),
        ("a.csv", "id,seq\na,AC\nb,A,,,,,,\nc,GT\n", "a.csv:3: the row has 8 cells; expected at most 5"),
        ("a.csv", f'id,seq\na,AC\nb,"{"A" * 70}"\nc,GT\n', "field larger than field limit (60)"),
        ("a.csv", f'id,seq\na,AC\nb,"A\n{"A" * 250}\nc,GT\n', "a.csv:3: the line, which begins with 'AAAA"),
    ],
)
def test_the_rest_of_a_file_is_read(tmp_path: Path, name: str, text: str, message: str) -> None:
    for known in ("a", "c"):
        text = text.replace(f"{{{known}}}", GENBANK.replace("?", known))
    text = text.replace("{long}", " A" * 120).replace("{origin}", "        1 acgtacgtac\n" * 20)
    names, told = attempts(tmp_path / name, text)
    assert names == ["a", "c"] and len(told) == 1 and message in told[0] and len(told[0]) < 400


@pytest.mark.usefixtures("small")
def test_regions(tmp_path: Path) -> None:
    genome = tmp_path / "genome.fa"
    genome.write_text(">chr1\n" + "ACGT" * 20 + "\n")
    tabs = "\t" * 30
    text = f"chr1\t0\t4\ta\n{'x' * 40}\t0\t4\nchr1\t{'1' * 60}\t9\nchr1\t0\t4{tabs}\n{'y' * 300}\nchr1\t2\t6\tc\n"
    names, told = attempts(tmp_path / "a.bed", text, genome=genome)
    assert names == ["a", "c"]
    parts = ("the name 'xxx", "of at most 18 digits", "more than 12 columns", "is longer than 200 characters")
    assert len(told) == 4 and all(part in one for part, one in zip(parts, told, strict=True))


def test_wide_regions(tmp_path: Path) -> None:
    genome = tmp_path / "genome.fa"
    genome.write_text(">chr1\nACGTACGT\n")
    text = f"chr1\t0\t4\ta\nchr1\t0\t{10**9}\nchr1\t0\t{10**17}\nchr1\t2\t6\tc\n"
    for options in ({}, {"pad": True}):
        names, told = attempts(tmp_path / "a.bed", text, genome=genome, **options)
        assert names == ["a", "c"]
        assert all(f"expected at most {LONGEST_SEQUENCE}" in one for one in told) and len(told) == 2
    with pytest.raises(InputError, match=rf"length={10**12}; .* at most {LONGEST_SEQUENCE}"):
        genomics.attempts(tmp_path / "a.bed", genome=genome, length=10**12)
    with genomics.Genome(genome) as opened, pytest.raises(DataError, match="expected at most"):
        opened.window("chr1", -(10**10), 10**10)


def noted(read: Callable[..., Any], path: Path, text: str) -> tuple[Any, list[str]]:
    path.write_text(text)
    told: list[str] = []
    return read(path, on_error=lambda place, error: told.append(str(error))), told


@pytest.mark.usefixtures("small")
def test_annotations_variants_sets_and_motifs(tmp_path: Path) -> None:
    gene = "chr1\tx\tgene\t1\t9\t.\t+\t.\tID={}\n"
    exon = "chr1\tx\texon\t1\t9\t.\t+\t.\tParent=a,b,c,d,e,f\n"
    genes, told = noted(genomics.read_genes, tmp_path / "a.gff3", gene.format("a") + gene.format("b" * 30) + exon)
    assert [g.id for g in genes] == ["a"] and "the name 'bbb" in told[0] and "the exon has 6 parents" in told[1]

    row = "chr1\t5\t{}\tA\t{}\n"
    text = (
        row.format("a", "C")
        + row.format("b" * 30, "C")
        + row.format("c", "C,G,T,N,C,G")
        + f"chr1\t5\t.\t{'AX' * 60}\tC\n"
    )
    variants, told = noted(
        lambda path, on_error: list(genomics.read_vcf(path, on_error=on_error)), tmp_path / "a.vcf", text
    )
    assert [v.id for v in variants] == ["a"] and "6 alternative alleles" in told[1] and len(told[2]) < 140

    sets, told = noted(genomics.read_gmt, tmp_path / "a.gmt", "a\t\tG\nb\t" + "\tG" * 9 + "\nc\t\t" + "G" * 30 + "\n")
    assert list(sets) == ["a"] and "the line has 9 genes" in told[0] and "expected at most 20" in told[1]

    head, good, rows = "MEME version 4\n", "letter-probability matrix:\n1 0 0 0\n", "1 0 0 0\n" * 30
    text = f"{head}MOTIF a\n{good}MOTIF b\n{good}{rows}MOTIF {'c' * 30}\n{good}MOTIF d\n{good}"
    motifs, told = noted(genomics.read_motifs, tmp_path / "a.meme", text)
    assert [m.name for m in motifs] == ["a", "d"] and "more than 4 rows" in told[0] and "the name 'ccc" in told[1]


SLOW = {
    "a.gtf": 'chr1\tx\tgene\t1\t9\t.\t+\t.\tgene_id "g"; {}',
    "a.gff3": "chr1\tx\tgene\t1\t9\t.\t+\t.\tID=g; {}",
    "a.meme": "MEME version 4\nMOTIF x\nletter-probability matrix: {}\n1 0 0 0\n",
    "b.meme": "MEME version 4\nMOTIF x\nletter-probability matrix:\n{} 0 0 0\n",
    "a.jaspar": ">x\nA [{}]\nC [1]\nG [1]\nT [1]\n",
    "a.gmt": "a\t\tTP53,{}\n",
}


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("cell", [" ", "a", "1", "a ", ";", "; ", '"', "=", "1.", ",1", "1 "])
def test_each_letter_is_looked_at_once(tmp_path: Path, name: str, cell: str) -> None:
    """A pattern that goes back over what it has seen would take hours for a megabyte."""
    path = tmp_path / name
    path.write_text(SLOW[name].format(cell * (2**20 // len(cell)) + "!"))
    read: Any = {"gtf": genomics.read_genes, "gff3": genomics.read_genes, "gmt": genomics.read_gmt}
    try:
        read.get(name[2:], genomics.read_motifs)(path, on_error=lambda place, error: None)
    except DataError as error:
        assert str(error)


@pytest.mark.parametrize("kind", ["a.fa", "a.bed", "a.csv", "a.gb", "a.gmt", "a.meme", "a.gff3", "a.vcf", "expression"])
def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A thousand times as large unpacked as packed, and more than the memory that is used to find out."""
    monkeypatch.setattr(unpacking, "UNPACKED_ANYHOW", 2**23)
    heads = {"a.fa": ">a\n", "a.csv": "id,seq\n", "a.meme": "MEME version 4\n", "expression": "name,a\n"}
    letter = {"a.bed": "#", "a.gff3": "#", "a.vcf": "#", "a.gmt": " "}.get(kind, "A")
    body = "p,1\n" * 2**18 if kind == "expression" else letter * (2**20 - 1) + "\n"
    packer = zlib.compressobj(9, wbits=31)
    path = tmp_path / ("a.csv.gz" if kind == "expression" else f"{kind}.gz")
    path.write_bytes(packer.compress((heads.get(kind, "") + body * 64).encode()) + packer.flush())
    genome = tmp_path / "genome.fa"
    genome.write_text(">chr1\nACGT\n")
    tracemalloc.start()
    if kind in ("a.fa", "a.bed", "a.csv", "a.gb"):
        told = [str(one) for _, one in genomics.attempts(path, genome=genome if kind == "a.bed" else None)]
    else:
        reading: Any = {"a.gmt": genomics.read_gmt, "a.meme": genomics.read_motifs, "a.gff3": genomics.read_genes}
        reading |= {"a.vcf": lambda path: list(genomics.read_vcf(path)), "expression": Expression.of}
        with pytest.raises(DataError) as raised:
            reading[kind](path)
        told = [str(raised.value)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "unpacks to more than 200 times its size, as no real data do" in told[-1]
    assert peak < 2**26


def test_a_genome_that_is_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "UNPACKED_ANYHOW", 2**23)
    path = tmp_path / "a.fa.gz"
    path.write_bytes(gzip.compress(b">chr1\n" + b"A" * 2**25))
    with pytest.raises(DataError, match=r"a\.fa\.gz unpacks to more than 200 times"):
        genomics.Genome(path)


@pytest.mark.parametrize(
    "index",
    [
        "chr1\t8\t6\t0\t1\n",  # lines of no letters
        f"chr1\t{10**17}\t6\t8\t9\n",
        f"chr1\t8\t{10**18 - 1}\t8\t9\n",
        f"chr1\t{'9' * 5000}\t6\t8\t9\n",
        "chr1\t8\t6\t8\t900\n",
        "chr1\t-8\t6\t8\t9\n",
        "chr1\t8\t6\n",
        "chr1\t8\t0\t8\t9\n",
        "\x00\n",
    ],
)
def test_an_index_that_lies(tmp_path: Path, index: str) -> None:
    """It is made again where it is none, and told where it does not fit."""
    path = tmp_path / "a.fa"
    path.write_text(">chr1\nACGTACGT\n")
    (tmp_path / "a.fa.fai").write_text(index)
    with genomics.Genome(path) as genome:
        try:
            assert genome.fetch(genomics.Interval("chr1", 2, 6)) == "GTAC"
        except DataError as error:
            assert "does not lie where the index says" in str(error)


def test_rows_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_rows, "_ROWS_ANYHOW", 100)
    monkeypatch.setattr(parquet_rows, "_ROWS_PER_BYTE", 1)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"sequence": ["A"] * 5000}), path)
    ((place, error),) = genomics.attempts(path)
    assert place == "a.parquet" and "it says that it has 5000 rows in" in str(error) and genomics.count(path) == 1


def test_a_long_text_that_a_dictionary_repeats(tmp_path: Path) -> None:
    """Unpacked at once, its 4096 rows would be 4 GiB."""
    path = tmp_path / "a.parquet"
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(4096, np.int32)), ["A" * 2**20])
    pq.write_table(pa.table({"sequence": texts}), path)
    assert path.stat().st_size < 2**18
    pa.default_memory_pool().release_unused()
    assert sum(len(one) for _, one in genomics.attempts(path, numbers=range(0, 4096, 512))) == 8 * 2**20
    assert parquet_rows._rows_at_once(pq.ParquetFile(path), 0) < 1024


def hdf5(path: Path, make: Callable[[Any], object]) -> Path:
    with h5py.File(path, "w") as file:
        make(file)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda f: f.create_dataset("X", (10**6, 10**6), "f8", chunks=(100, 100)),
            "says that it holds 8000000000000 bytes",
        ),
        (lambda f: f.__setitem__("X", h5py.ExternalLink("other.h5", "/X")), "has a link, 'X'"),
        (lambda f: f.__setitem__("X", h5py.SoftLink("/Y")), "has a link, 'X'"),
        (lambda f: f.create_dataset("X", (4,), "u1", external=[("/etc/passwd", 0, 4)]), "has 'X' in another file"),
        (lambda f: f.create_group("X").attrs.create("shape", [10**6, 10**6]), "a matrix of shape"),
    ],
)
def test_hdf5(tmp_path: Path, make: Callable[[Any], object], message: str) -> None:
    path = hdf5(tmp_path / "a.h5", make)
    with pytest.raises(DataError, match=message):
        check_hdf5(path)
    with pytest.raises(DataError, match=message):
        genomics.read_modisco_results(path)
    path = path.rename(tmp_path / "a.h5ad")
    with pytest.raises(DataError, match=message):
        Expression.of(path)


def test_hdf5_groups_that_hold_each_other(tmp_path: Path) -> None:
    check_hdf5(hdf5(tmp_path / "a.h5", lambda f: f.create_group("a/b").__setitem__("c", f["a"])))
    (tmp_path / "b.h5").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    with pytest.raises(DataError, match="is no HDF5 file, damaged or cut off"):
        check_hdf5(tmp_path / "b.h5")


def test_expression(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sciexplain.domains.genomics.expression import frames

    monkeypatch.setattr(frames, "MOST_COLUMNS", 5)
    path = tmp_path / "a.csv"
    for text in (f"n{',a' * 9}\np,1\n", f"n,a\np{',1' * 9}\n"):
        path.write_text(text)
        with pytest.raises(DataError, match="has a line of more than 5 cells"):
            Expression.of(path)
    path.write_text("n,a,b\np,1,2\n")
    assert Expression.of(path).values.tolist() == [[1, 2]]
    for suffix in (".parquet",):
        pq.write_table(pa.table({f"g{i}": [1.0] for i in range(9)}), path.with_suffix(suffix))
        with pytest.raises(DataError, match="has 1 rows of 9 columns; expected at most 5 columns"):
            Expression.of(path.with_suffix(suffix))


def test_values_are_shown_short() -> None:
    assert shown("chr1") == "'chr1'" and len(shown("x" * 10**6)) == 61 and shown(None) == "None"
