"""Effects of variants, on a model that says where each letter is."""

import gzip

import pytest
import torch
from rule_tester import randomize
from torch import nn

from sciexplain.domains.genomics import Genome, Variant, encode, explain, variant_effects

CHROM = "ACGTTGCAAGGTCCATTGACGGATTCACGT"
L = 8


class Weighted(nn.Module):
    """Each place and letter has its own weight, so that a shift by one changes the answer."""

    def __init__(self, length=L):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(4, length, dtype=torch.float64))
        self.length = length

    def forward(self, x):
        return (x * self.weight).sum((1, 2))[:, None]


NET = Weighted()


@pytest.fixture
def files(tmp_path):
    (tmp_path / "g.fa").write_text(f">chr1\n{CHROM[:17]}\n{CHROM[17:]}\n")
    return tmp_path


def vcf(folder, *lines):
    path = folder / "x.vcf"
    path.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n" + "".join(line + "\n" for line in lines))
    return path


def expected(position, ref, alt):
    """Both windows, letter by letter, with N where there is no chromosome."""
    whole = "N" * 50 + CHROM + "N" * 50
    at = position + 50
    assert whole[at : at + len(ref)] == ref
    left = whole[at - L // 2 : at]
    return [(left + allele + whole[at + len(ref) :])[:L] for allele in (ref, alt)]


CASES = [
    (10, "G", "A"),
    (10, "G", "GTT"),  # insertion
    (10, "GTCC", "G"),  # deletion
    (10, "GT", "CA"),
    (0, "A", "C"),
    (1, "C", "T"),
    (29, "T", "G"),
    (27, "CGT", "C"),
    (3, "TTGCAAGGT", "T"),  # longer than what is left of the window
]


@pytest.mark.parametrize(("position", "ref", "alt"), CASES)
def test_every_kind(files, position, ref, alt):
    path = vcf(files, f"chr1\t{position + 1}\tv1\t{ref}\t{alt}")
    (found,) = variant_effects(NET, path, files / "g.fa")
    windows = expected(position, ref, alt)
    y = NET(encode(windows, dtype=torch.float64)).detach().flatten()
    assert found.reference == pytest.approx(float(y[0])) and found.alternative == pytest.approx(float(y[1]))
    assert found.effect == pytest.approx(float(y[1] - y[0]))
    g = explain(NET, windows, layout="NCL")
    own = [g.nucleotides[i, 4 : 4 + len(a)].sum() for i, a in enumerate((ref, alt))]
    assert found.relevance_effect == pytest.approx(float(own[1] - own[0]))
    assert found.variant == Variant("chr1", position, ref, alt, "v1")
    assert (found.interval.start, found.interval.end) == (max(0, position - 4), min(30, position + 4))


def test_the_change_of_a_substitution_is_that_of_mutagenesis(files):
    (found,) = variant_effects(NET, [Variant("chr1", 10, "G", "A", "")], files / "g.fa")
    assert found.effect == pytest.approx(float((NET.weight[0, 4] - NET.weight[2, 4]).detach()))
    assert found.relevance_effect == pytest.approx(found.effect)  # a linear model without bias


def test_what_fails_is_told_and_the_rest_is_done(files):
    path = vcf(
        files,
        "chr1\t11\ta\tG\tA",
        "chr1\t11\tb\tC\tG",  # swapped
        "chr1\t11\tc\tT\tC",
        "chr7\t11\td\tG\tA",
        "chr1\t11\te\tG\t<DEL>",
        "chr1\t99\tf\tG\tA",
        "chr1\t12\tg\tT\tA",
    )
    with pytest.warns(UserWarning, match="5 of 7 variants"):
        found = variant_effects(NET, path, files / "g.fa", batch_size=1)
    assert [e.variant.id for e in found] == ["a", "g"]
    reasons = dict(found.failures)
    assert "are they swapped" in reasons["chr1:11:C>G"]
    assert "the genome has G there, not T" in reasons["chr1:11:T>C"] and "swapped" not in reasons["chr1:11:T>C"]
    assert "chr7" in reasons["chr7:11:G>A"] and "beyond the end" in reasons["chr1:99:G>A"]
    assert any("DEL" in reason for reason in reasons.values())


def test_tables(files, tmp_path):
    found = variant_effects(NET, vcf(files, "chr1\t11\ta\tG\tA,T"), files / "g.fa")
    table = found.to_pandas()
    assert table.position.tolist() == [11, 11] and table.alt.tolist() == ["A", "T"]
    found.to_parquet(tmp_path / "v.parquet")
    assert len(found[0:2]) == len(found) == 2


def test_length_is_found(files):
    net = randomize(nn.Sequential(nn.Conv1d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 2)))
    a = variant_effects(net, [Variant("chr1", 10, "G", "A", "")], files / "g.fa", 1)
    b = variant_effects(net, [Variant("chr1", 10, "G", "A", "")], files / "g.fa", 1, length=8, layout="NCL")
    assert a[0] == b[0] and len(a[0].interval) == 8


def test_both_strands_and_a_genome_that_stays_open(files):
    with Genome(files / "g.fa") as genome:
        (both,) = variant_effects(NET, [Variant("chr1", 10, "G", "A", "")], genome, strand="both")
        (plus,) = variant_effects(NET, [Variant("chr1", 10, "G", "A", "")], genome)
        (minus,) = variant_effects(NET, [Variant("chr1", 10, "G", "A", "")], genome, strand="-")
    assert both.effect == pytest.approx((plus.effect + minus.effect) / 2)


def test_real_variants(shared_data):
    """Of eight eQTL variants the reference alleles are the genome's; swapped, none is."""
    folder = shared_data("genomics/human_chr1_1m/eqtl.vcf").parent
    genome = folder / "hg38_1m.fa.gz"
    net = Weighted(100)
    found = variant_effects(net, folder / "eqtl.vcf", genome)
    assert len(found) == 8 and not found.failures
    with pytest.warns(UserWarning, match="are they swapped"):
        assert len(variant_effects(net, folder / "eqtl_flip.vcf", genome)) == 0


def test_compressed(files):
    path = vcf(files, "chr1\t11\ta\tG\tA")
    packed = files / "x.vcf.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert variant_effects(NET, packed, files / "g.fa")[0] == variant_effects(NET, path, files / "g.fa")[0]
