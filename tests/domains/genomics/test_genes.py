"""Sites and genes: every relation on both strands to the base, a brute-force reference, and a calibrated null."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciexplain.domains.genomics.annotation import Annotation, Gene, Transcript, read_genes
from sciexplain.domains.genomics.genes import GeneTable, link_genes
from sciexplain.domains.genomics.interval import Interval, Strand
from sciexplain.errors import DataError, InputError


@dataclass(frozen=True)
class Placed:
    interval: Interval | None
    score: float = 1.0


MIRROR = 30_000


def mirrored(start: int, end: int, strand: str) -> tuple[int, int]:
    return (MIRROR - end, MIRROR - start) if strand == "-" else (start, end)


def model(strand: Strand, *, coding: bool = True) -> Gene:
    """5' UTR 10000-10300, CDS in three exons, 3' UTR 19200-20000; on the minus strand the same from 30000 downwards."""

    def spans(*pairs: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        return tuple(sorted(mirrored(*pair, strand) for pair in pairs))

    place = Interval("chr1", *mirrored(10_000, 20_000, strand), strand)
    exons = spans((10_000, 10_500), (14_000, 15_000), (19_000, 20_000))
    cds = spans((10_300, 10_500), (14_000, 15_000), (19_000, 19_200)) if coding else ()
    return Gene("g", "G", place, transcripts=(Transcript("t", place, exons, cds),))


def link(site: Interval, *genes: Gene, **options: object) -> GeneTable:
    return link_genes([site], Annotation.of(genes), permutations=1, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize(
    "start, end, relation, distance",
    [
        (8_990, 9_000, "upstream", -1001),
        (8_990, 9_001, "promoter", -1000),
        (9_990, 10_000, "promoter", -1),
        (9_990, 10_001, "five_prime_utr", 0),
        (10_290, 10_300, "five_prime_utr", 290),
        (10_290, 10_301, "cds", 290),
        (10_499, 10_509, "cds", 499),
        (10_500, 10_510, "intron", 500),
        (13_990, 14_000, "intron", 3990),
        (13_990, 14_001, "cds", 3990),
        (14_999, 15_010, "cds", 4999),
        (15_000, 15_010, "intron", 5000),
        (18_990, 19_001, "cds", 8990),
        (19_199, 19_210, "cds", 9199),
        (19_200, 19_210, "three_prime_utr", 9200),
        (19_999, 20_010, "three_prime_utr", 9999),
        (20_000, 20_010, "downstream", 10_000),
        (9_000, 21_000, "cds", 0),
    ],
)
def test_relations_to_the_base(start: int, end: int, relation: str, distance: int, strand: Strand) -> None:
    (found,) = link(Interval("chr1", *mirrored(start, end, strand)), model(strand)).links
    assert (found.relation, found.distance) == (relation, distance)


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("start, relation", [(10_290, "exon"), (10_490, "exon"), (10_500, "intron"), (19_999, "exon")])
def test_relations_without_cds(start: int, relation: str, strand: Strand) -> None:
    (found,) = link(Interval("chr1", *mirrored(start, start + 10, strand)), model(strand, coding=False)).links
    assert found.relation == relation


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize(
    "start, relation, distance",
    [(11_990, "promoter", -1), (11_000, "promoter", -991), (10_990, "intron", 990), (12_099, "promoter", 99)],
)
def test_promoters_of_other_transcripts_lie_in_introns(
    start: int, relation: str, distance: int, strand: Strand
) -> None:
    gene = model(strand)
    second = Interval("chr1", *mirrored(12_000, 15_000, strand), strand)
    late = Transcript("late", second, (mirrored(14_000, 15_000, strand),))
    gene = Gene(gene.id, gene.name, gene.interval, transcripts=(*gene.transcripts, late))
    (found,) = link(Interval("chr1", *mirrored(start, start + 10, strand)), gene).links
    assert (found.relation, found.distance) == (relation, distance)


@pytest.mark.parametrize(
    "start, end, relation, distance",
    [(1990, 2000, "near", 1), (2010, 2020, "gene", 10), (2980, 3000, "gene", 0), (3000, 3010, "near", 1)],
)
def test_genes_without_strand_have_no_side(start: int, end: int, relation: str, distance: int) -> None:
    (found,) = link(Interval("chr1", start, end, "-"), Gene("g", "G", Interval("chr1", 2000, 3000))).links
    assert (found.relation, found.distance) == (relation, distance)


def test_a_body_beyond_its_exons_is_no_intron() -> None:
    """As of RPS8A in the annotation of yeast."""
    part = Transcript(
        "t", Interval("chr1", 2000, 2600, "-"), ((2000, 2100), (2300, 2600)), ((2000, 2100), (2300, 2600))
    )
    gene = Gene("g", "G", Interval("chr1", 2000, 3000, "-"), transcripts=(part,))
    found = [link(Interval("chr1", at, at + 5), gene, promoter=(100, 0)).links[0].relation for at in (2200, 2800, 2650)]
    assert found == ["intron", "gene", "promoter"]


def test_promoter_widths_and_distance_are_those_asked_for() -> None:
    site = Interval("chr1", 9_890, 9_900)
    gene = model("+")
    assert link(site, gene, promoter=(101, 0)).links[0].relation == "promoter"
    assert link(site, gene, promoter=(100, 0)).links[0].relation == "upstream"
    assert link(site, gene, promoter=(0, 0), distance=101).links[0].distance == -101
    table = link(site, gene, promoter=(0, 0), distance=100)
    assert table.links == () and len(table) == 0
    assert table.unlinked == {0: "chr1:9890-9900 overlaps no gene, and none starts within 100 bp"}


def test_all_genes_that_overlap_or_start_as_near_are_linked() -> None:
    left, right = Gene("l", "L", Interval("chr1", 0, 1000, "-")), Gene("r", "R", Interval("chr1", 4000, 5000, "+"))
    twin = Gene("t", "T", Interval("chr1", 4000, 7000, "+"))
    table = link(Interval("chr1", 2496, 2504), left, right, twin)
    assert [(x.gene, x.relation, x.distance) for x in table.links] == [
        ("l", "upstream", -1497),
        ("r", "upstream", -1497),
        ("t", "upstream", -1497),
    ]
    assert [x.gene for x in link(Interval("chr1", 2495, 2504), left, right, twin).links] == ["l"]
    assert [x.gene for x in link(Interval("chr1", 500, 4100), left, right, twin).links] == ["l", "r", "t"]
    # another chromosome's genes are far, wherever they lie on it
    other = Gene("o", "O", Interval("chr2", 0, 10, "+"))
    assert [x.gene for x in link(Interval("chr1", 7500, 7510), left, twin, other).links] == ["t"]


def test_genes_gather_their_sites() -> None:
    sites = [
        Placed(Interval("chr1", 10_400, 10_410), 2.0),
        Placed(Interval("chrM", 5, 9), 5.0),
        Placed(Interval("chr1", 9_500, 9_510), -3.0),
        Placed(None, 9.0),
    ]
    table = link_genes(iter(sites), Annotation.of([model("+")]), permutations=99)
    (row,) = table
    assert (row.sites, row.n_sites, row.relevance, row.score) == ((0, 2), 2, 5.0, -1.0)
    assert (row.relation, row.distance, row.start, row.end, row.strand) == ("cds", 400, 10_000, 20_000, "+")
    assert table.unlinked == {1: "no gene is on chrM", 3: "its sequence has no place on the genome"}


# A genome small enough to try every base.
LENGTH = 120
WIDTHS = {"promoter": (7, 3), "distance": 9}
SPANS = st.tuples(st.integers(0, LENGTH - 2), st.integers(1, 25)).map(lambda s: (s[0], min(s[0] + s[1], LENGTH)))
GENES = st.lists(st.tuples(st.sampled_from("ab"), SPANS, st.sampled_from("+-.")), min_size=1, max_size=8)
STRETCHES = st.lists(st.tuples(st.sampled_from("ab"), SPANS), min_size=1, max_size=8)


def annotated(genes: list[tuple[str, tuple[int, int], Strand]]) -> Annotation:
    return Annotation.of(
        Gene(str(i), str(i), Interval(chrom, *span, strand)) for i, (chrom, span, strand) in enumerate(genes)
    )


def brute_force(site: Interval, annotation: Annotation) -> set[tuple[str, int]]:
    """Base by base, and gene by gene."""
    up, down = 7, 3
    bases = set(range(site.start, site.end))
    overlapping, nearby = set(), {}
    for gene in annotation:
        if gene.interval.chrom != site.chrom:
            continue
        zone = set(range(gene.interval.start, gene.interval.end))
        if gene.interval.strand == "+":
            starts = [gene.interval.start]
            zone |= {starts[0] + i for i in range(-up, down)}
        elif gene.interval.strand == "-":
            starts = [gene.interval.end - 1]
            zone |= {starts[0] - i for i in range(-up, down)}
        else:
            starts = [gene.interval.start, gene.interval.end - 1]
        steps = min((base - at for base in bases for at in starts), key=abs)
        signed = {"+": steps, "-": -steps, ".": abs(steps)}[gene.interval.strand]
        nearby[gene.id] = signed
        if zone & bases:
            overlapping.add((gene.id, signed))
    least = min(map(abs, nearby.values()), default=10)
    return overlapping or {(g, d) for g, d in nearby.items() if abs(d) == least <= 9}


@given(GENES, STRETCHES)
@settings(max_examples=150)
def test_links_are_those_of_brute_force(genes: list, stretches: list) -> None:  # type: ignore[type-arg]
    annotation = annotated(genes)
    sites = [Interval(chrom, *span) for chrom, span in stretches if annotation.on(chrom)]
    table = link_genes(sites, annotation, permutations=1, **WIDTHS)  # type: ignore[arg-type]
    for i, site in enumerate(sites):
        assert {(x.gene, x.distance) for x in table.links if x.site == i} == brute_force(site, annotation)
    assert len(table.links) == len({(x.site, x.gene) for x in table.links})
    assert {x.site for x in table.links} | set(table.unlinked) == set(range(len(sites)))


@given(GENES, st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, LENGTH), st.integers(1, 4)), max_size=5))
@settings(max_examples=150)
def test_background_is_what_any_base_of_the_regions_is_linked_to(genes: list, regions: list) -> None:  # type: ignore[type-arg]
    annotation = annotated(genes)
    searched = [Interval(chrom, at, at + width) for chrom, at, width in regions]
    table = link_genes([], annotation, regions=searched, permutations=1, **WIDTHS)  # type: ignore[arg-type]
    bases = [Interval(r.chrom, at, at + 1) for r in searched for at in range(r.start, r.end)]
    assert {gene.id for gene in table.background} == {g for base in bases for g, _ in brute_force(base, annotation)}


def test_background_at_every_border() -> None:
    """Genes 17 and 18 bp apart, so that the middle is a base or between two, and others too far for the distance."""
    starts = [10, 27, 45, 75]
    annotation = annotated([("a", (at, at + 2), "+") for at in starts] + [("a", (100, 104), "-")])  # type: ignore[arg-type]
    options = {"promoter": (1, 1), "distance": 12, "permutations": 1}
    for at in range(LENGTH):
        for width in (1, 2, 3):
            table = link_genes([], annotation, regions=[Interval("a", at, at + width)], **options)  # type: ignore[arg-type]
            bases = [Interval("a", base, base + 1) for base in range(at, at + width)]
            expected = {
                x.gene
                for x in link_genes(bases, annotation, **options).links  # type: ignore[arg-type]
            }
            assert {gene.id for gene in table.background} == expected, (at, width)


def test_the_null_is_that_of_all_places() -> None:
    """One site of 4 bp: of all places it can have in the regions, the share that each gene catches."""
    genes = [("a", (10, 20), "+"), ("a", (18, 40), "-"), ("b", (0, 5), "+"), ("b", (60, 70), "."), ("a", (90, 95), "-")]
    annotation = annotated(genes)  # type: ignore[arg-type]
    regions = [Interval("a", 0, 30), Interval("a", 25, 100), Interval("b", 2, 40), Interval("b", 50, 53)]
    table = link_genes([Interval("a", 12, 16)], annotation, regions=regions, permutations=20_000, **WIDTHS)  # type: ignore[arg-type]
    assert [str(r) for r in table.regions] == ["a:0-100", "b:2-40", "b:50-53"]
    places = [Interval("a", at, at + 4) for at in range(97)] + [Interval("b", at, at + 4) for at in range(2, 37)]
    caught = [{g for g, _ in brute_force(place, annotation)} for place in places]
    share = [sum(gene.id in c for c in caught) / len(places) for gene in table.background]
    np.testing.assert_allclose(table.placements().mean(0), share, atol=5 * 0.5 / 20_000**0.5)
    (row,) = table
    assert row.p == pytest.approx((1 + table.placements()[:, 0].sum()) / 20_001)


@pytest.mark.parametrize("copies", [1, 2])
def test_p_is_calibrated_where_sites_lie_anywhere(copies: int) -> None:
    """Also where each place was seen twice, as in windows that overlap."""
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 195_000, 40)
    annotation = Annotation.of(
        Gene(str(i), str(i), Interval("c", int(a), int(a + w), "+-"[i % 2]))  # type: ignore[arg-type]
        for i, (a, w) in enumerate(zip(starts, rng.integers(100, 5000, 40), strict=True))
    )
    regions = [Interval("c", at, at + 2000) for at in range(0, 200_000, 4000)]
    p = []
    for seed in range(40):
        chosen = rng.integers(len(regions), size=30)
        offsets, widths = rng.integers(0, 1980, 30), rng.integers(5, 20, 30)
        scores = rng.exponential(size=30)
        sites = [
            Placed(Interval("c", regions[r].start + o, regions[r].start + o + w), s)
            for r, o, w, s in zip(*(x.tolist() for x in (chosen, offsets, widths, scores)), strict=True)
            for _ in range(copies)
        ]
        table = link_genes(
            sites, annotation, regions=regions, promoter=(500, 50), distance=3000, permutations=199, seed=seed
        )
        p += [row.p for row in table] + [1.0] * (len(table.background) - len(table))
    for level in (0.01, 0.05, 0.2):
        assert np.mean(np.array(p) <= level) <= level + 3 * (level / len(p)) ** 0.5
    # and not by being useless: at 0.2 few genes are too seldom met to reach it
    assert np.mean(np.array(p) <= 0.2) > 0.12


def test_the_gene_that_sites_prefer_comes_first() -> None:
    annotation = Annotation.of(
        Gene(str(i), f"G{i}", Interval("c", 10_000 * i + 5000, 10_000 * i + 8000, "+")) for i in range(20)
    )
    rng = np.random.default_rng(1)
    random = [Interval("c", int(a), int(a) + 10) for a in rng.integers(0, 200_000, 10)]
    promoter = [Interval("c", 74_100 + 50 * i, 74_110 + 50 * i) for i in range(8)]
    table = link_genes([*random, *promoter], annotation, permutations=2000)
    assert table[0].name == "G7" and table[0].relation == "promoter"
    assert table[0].p == pytest.approx(1 / 2001) and table[0].q == pytest.approx(20 / 2001)
    assert table[1].q > 0.05
    assert [row.p for row in table] == sorted(row.p for row in table)
    again = link_genes([*random, *promoter], annotation, permutations=2000)
    assert (again.rows, again.met.tobytes()) == (table.rows, table.met.tobytes())


@pytest.mark.parametrize("genes, permutations", [(2, 1000), (300, 6000), (6000, 1666), (30_000, 1000)])
def test_permutations_are_enough_for_one_gene_or_what_time_allows(genes: int, permutations: int) -> None:
    annotation = Annotation.of(Gene(str(i), str(i), Interval("c", 10 * i, 10 * i + 5, "+")) for i in range(genes))
    table = link_genes([Interval("c", 3, 5)], annotation, promoter=(0, 0), distance=0)
    assert (table.permutations, len(table.background)) == (permutations, genes)
    assert table.placements().shape == (permutations, genes)


def test_divergent_yeast_genes_share_their_promoter(shared_data: Callable[[str], Path]) -> None:
    path = shared_data("genomics/yeast_chr1_2/yeast_chr1+2.gff3")
    genes = {gene.name: gene for gene in read_genes(path)}
    left, right = genes["GAL10"], genes["GAL1"]
    assert (left.interval.strand, right.interval.strand) == ("-", "+") and left.tss < right.tss
    middle = (left.tss + right.tss) // 2
    sites = [Placed(Interval("chrII", middle - 8, middle + 9, strand), 1.0) for strand in ("+", "-")]
    table = link_genes(sites, path, chrom_sizes={"chrII": 813_184})
    assert {(x.site, x.name, x.relation) for x in table.links} == {
        (i, name, "promoter") for i in range(2) for name in ("GAL1", "GAL10")
    }
    assert all(x.distance < 0 for x in table.links)
    assert [str(region) for region in table.regions] == ["chrII:0-813184"]
    assert {gene.interval.chrom for gene in table.background} == {"chrII"}


def test_human_genes_without_strand(shared_data: Callable[[str], Path]) -> None:
    path = shared_data("genomics/human_chr1_1m/gencode_v28_hg38_protein_coding_l12_genes.bed")
    table = link_genes([Interval("chr1", 65_500, 65_520), Interval("chr1", 71_600, 71_620)], path, permutations=10)
    assert [(x.name, x.relation, x.distance) for x in table.links] == [("OR4F5", "gene", 81), ("OR4F5", "near", 16)]


def test_tables_hold_what_the_rows_do(tmp_path: Path) -> None:
    sites = [Placed(Interval("chr1", 10_400, 10_410), 2.0), Placed(Interval("chr1", 9_500, 9_510), -3.0)]
    table = link_genes(sites, Annotation.of([model("+")]), permutations=9)
    frame = table.to_pandas()
    assert frame.loc[0, "sites"] == (0, 1) and frame.loc[0, "n_sites"] == 2 and frame.loc[0, "score"] == -1.0
    read = parquet.read_table(table.to_parquet(tmp_path / "genes.parquet")).to_pylist()
    assert read == [{**frame.iloc[0].to_dict(), "sites": [0, 1]}]
    (line,) = table.to_bed(tmp_path / "genes.bed").read_text().splitlines()
    assert line.split("\t")[:6] == ["chr1", "10000", "20000", "G", "1000", "+"]
    nothing = link_genes([], Annotation.of([model("+")]), permutations=9)
    assert len(nothing) == 0 and nothing.background == ()
    assert parquet.read_table(nothing.to_parquet(tmp_path / "none.parquet")).num_rows == 0
    assert list(nothing.to_pandas()) == list(frame)


@pytest.mark.parametrize(
    "sites, options, error, text",
    [
        ([Interval("1", 5, 9)], {}, DataError, "none of the 1 sites .* no gene is on 1, and genes are on chr1"),
        ([Placed(None)], {}, DataError, "no place on the genome"),
        ([Placed(Interval("chr1", 5, 9), np.nan)], {}, InputError, "site 0, at chr1:5-9, has the score nan"),
        (["chr1:5-9"], {}, InputError, "site 0 is 'chr1:5-9'"),
        (
            [Interval("chr1", 5, 9)],
            {"regions": [Interval("chr1", 0, 8)]},
            InputError,
            "outside the regions, first chr1",
        ),
        ([Interval("chr1", 5, 9)], {"regions": [Interval("chr1", 6, 90)]}, InputError, "1 of 1 sites lie outside"),
        ([Interval("chr1", 5, 9)], {"regions": []}, InputError, "1 of 1 sites lie outside"),
        ([Interval("chr1", 5, 9)], {"chrom_sizes": {"chr1": 8}}, InputError, "of the same assembly"),
        ([], {"promoter": (-1, 5)}, InputError, "promoter="),
        ([], {"distance": -1}, InputError, "distance=-1"),
        ([], {"permutations": 0}, InputError, "permutations=0"),
    ],
)
def test_what_cannot_be_linked(
    sites: list[object], options: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        link_genes(sites, Annotation.of([model("+")]), **options)  # type: ignore[arg-type]


def test_an_annotation_without_genes_is_refused() -> None:
    with pytest.raises(DataError, match="no genes"):
        link_genes([Interval("chr1", 5, 9)], Annotation.of([]))
