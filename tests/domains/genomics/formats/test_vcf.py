"""Variants as the file has them, and the alleles that have no letters."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from sciexplain.domains.genomics.formats.vcf import Variant, read_vcf
from sciexplain.domains.genomics.genome import Genome
from sciexplain.errors import DataError

Data = Callable[[str], Path]

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def attempt(path: Path) -> tuple[list[Variant], list[str]]:
    failed: list[str] = []
    return list(read_vcf(path, on_error=lambda place, error: failed.append(str(error)))), failed


@pytest.mark.parametrize("header", [HEADER, "##fileformat=VCFv4.2\n", ""])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["a.vcf", "a.vcf.gz"])
def test_rows(tmp_path: Path, header: str, end: str, name: str) -> None:
    text = header + "chr1\t5\trs1\tG\tA,t\t.\tPASS\tAC=1\nchr2\t1\t.\tAT\tA\t.\t.\t.\nchr2\t1\t.\tA\tACG\n"
    data = text.replace("\n", end).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    found = list(read_vcf(tmp_path / name))
    assert found == [
        Variant("chr1", 4, "G", "A", "rs1"),
        Variant("chr1", 4, "G", "T", "rs1"),
        Variant("chr2", 0, "AT", "A", "chr2:1:AT>A"),
        Variant("chr2", 0, "A", "ACG", "chr2:1:A>ACG"),
    ]
    assert [str(variant.interval) for variant in found] == ["chr1:4-5", "chr1:4-5", "chr2:0-2", "chr2:0-1"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("chr1\t5\t.\tG\t<DEL>", "the allele <DEL> is symbolic"),
        ("chr1\t5\t.\tG\tG]chr2:9]", "is a breakend"),
        ("chr1\t5\t.\tG\t[chr2:9[G", "is a breakend"),
        ("chr1\t5\t.\tG\tG.", "is a breakend"),
        ("chr1\t5\t.\tG\t*", "the allele * is missing because of a deletion"),
        ("chr1\t5\t.\tG\t.", "there is no alternative allele"),
        ("chr1\t5\t.\tG\tg", "the allele G is the reference allele itself"),
        ("chr1\t5\t.\tG\tX1", "the allele is 'X1'; expected letters"),
        ("chr1\t5\t.\t<X>\tA", "the reference allele is '<X>'; expected letters"),
        ("chr1\t0\t.\tG\tA", "the position is 0; expected 1 or more"),
        ("chr1\tfive\t.\tG\tA", "the position is 'five'; expected a whole number"),
        ("chr1\t5\t.\tG", "the row has 4 columns; expected at least 5"),
    ],
)
def test_what_has_no_letters_is_reported_and_the_rest_read(tmp_path: Path, row: str, reason: str) -> None:
    path = tmp_path / "a.vcf"
    path.write_text(f"{HEADER}chr1\t1\t.\tA\tC\n{row}\nchr1\t9\t.\tA\tC\n")
    found, failed = attempt(path)
    assert [variant.position for variant in found] == [0, 8]
    assert len(failed) == 1 and failed[0].startswith("a.vcf:4: ") and reason in failed[0]
    with pytest.raises(DataError, match=r"^a\.vcf:4: (?!a\.vcf)"):
        list(read_vcf(path))


def test_one_bad_allele_of_several(tmp_path: Path) -> None:
    path = tmp_path / "a.vcf"
    path.write_text("chr1\t1\tx\tA\tC,*,<INS>,AG\n")
    found, failed = attempt(path)
    assert [variant.alt for variant in found] == ["C", "AG"] and len(failed) == 2


def test_empty_and_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.vcf"
    path.write_text("\n")
    assert attempt(path) == ([], ["a.vcf: there is nothing in it; expected rows of chrom, position, id, ref and alt"])
    path.write_text(HEADER)
    assert attempt(path) == ([], [])  # a whole file without variants
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(gzip.compress("".join(f"1\t{i * i}\t.\tA\tC\n" for i in range(1, 9999)).encode())[:9000])
    found, failed = attempt(path)
    assert [v.position + 1 for v in found] == [i * i for i in range(1, len(found) + 1)] and len(found) > 100
    assert len(failed) == 1 and "a.vcf.gz is cut off" in failed[0]


def test_reference_alleles_match_the_genome(shared_data: Data) -> None:
    folder = shared_data("genomics/human_chr1_1m")
    with Genome(folder / "hg38_1m.fa.gz") as genome:
        for name, agree in (("eqtl.vcf", 8), ("eqtl_flip.vcf", 0)):
            variants = list(read_vcf(folder / name))
            assert len(variants) == 8
            assert sum(genome.fetch(v.interval).upper() == v.ref for v in variants) == agree
        assert all(v.id == f"{v.chrom}_{v.position + 1}_{v.ref}_{v.alt}_b38" for v in read_vcf(folder / "eqtl.vcf"))
