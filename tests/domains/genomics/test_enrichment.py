"""Gene sets: Fisher's exact test, the running sum written out, gseapy's scores, and nulls that keep their level."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from scipy.stats import fisher_exact

from sciexplain.domains.genomics.annotation import Annotation, Gene
from sciexplain.domains.genomics.enrichment import enrich
from sciexplain.domains.genomics.genes import GeneTable, link_genes
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.statistics import benjamini_hochberg
from sciexplain.errors import DataError, InputError

ANY = {"min_size": 1, "max_size": 10_000}


@pytest.mark.parametrize("background", [60, 200])
def test_over_representation_is_fishers_exact_test(background: int) -> None:
    rng = np.random.default_rng(background)
    universe = [f"g{i}" for i in range(background)]
    chosen = rng.choice(universe, 25, replace=False).tolist()
    sets = {f"s{k}": rng.choice(universe, k, replace=False).tolist() for k in range(1, 50)}
    sets |= {"all": universe, "chosen": chosen, "none": [g for g in universe if g not in chosen]}
    result = enrich(chosen, sets, background=universe, **ANY)  # type: ignore[arg-type]
    assert (result.background, result.background_of, len(result)) == (background, "as given", len(sets))
    for row in result:
        inside = len(set(chosen) & set(sets[row.name]))
        table = [[inside, row.size - inside], [25 - inside, background - row.size - 25 + inside]]
        odds, p = fisher_exact(table, alternative="greater")
        assert (row.size, row.overlap, set(row.genes)) == (
            len(sets[row.name]),
            inside,
            set(chosen) & set(sets[row.name]),
        )
        assert row.p == pytest.approx(p, rel=1e-9) and row.odds_ratio == pytest.approx(odds, nan_ok=True)
        assert math.isnan(row.es) and math.isnan(row.nes)
    assert [row.q for row in result] == pytest.approx(benjamini_hochberg([row.p for row in result]).tolist())


def test_the_background_is_that_which_is_given() -> None:
    sets = {"A": ["a", "b", "c", "d"], "B": ["e", "f", "g", "h"]}
    own = enrich(["a", "b", "x"], sets, **ANY)  # type: ignore[arg-type]
    assert (own.background, own.background_of, own.unmatched) == (8, "genes of all sets", {"x": "in no gene set"})
    assert own[0].p == pytest.approx(fisher_exact([[2, 2], [0, 4]], alternative="greater")[1])
    # what was chosen but is in no set was drawn all the same, where the background has it
    wide = enrich(["a", "b", "x", "E"], sets, background=[*"abcdefgxyz"], **ANY)  # type: ignore[arg-type]
    assert wide[0].p == pytest.approx(fisher_exact([[2, 2], [1, 5]], alternative="greater")[1])
    assert {row.name: row.size for row in wide} == {"A": 4, "B": 3}
    assert wide.unmatched == {"x": "in no gene set", "E": "in no gene set; they have e"}
    narrow = enrich(["a", "b", "h"], sets, background=[*"abcdefg"], **ANY)  # type: ignore[arg-type]
    assert narrow.unmatched == {"h": "not in the background"}
    assert narrow[0].p == pytest.approx(fisher_exact([[2, 2], [0, 3]], alternative="greater")[1])


def test_the_leading_edge_makes_the_score() -> None:
    values = {"a": 9.0, "b": 8.0, "c": 7.0, "d": 6.0, "e": 1.0, "f": -1.0, "g": -5.0, "h": -6.0, "i": -7.0}
    sets = {"top": ["b", "a", "d", "f"], "bottom": ["h", "c", "i"], "unknown": ["x", "y"]}
    result = enrich(values, sets, permutations=500, **ANY)  # type: ignore[arg-type]
    rows = {row.name: row for row in result}
    assert rows["top"].genes == ("a", "b", "d") and rows["top"].es == pytest.approx(23 / 24 - 1 / 5)
    assert rows["bottom"].genes == ("i", "h") and rows["bottom"].es == pytest.approx(7 / 20 - 6 / 6)
    assert rows["top"].nes > 0 > rows["bottom"].nes
    assert result.skipped == {"unknown": "0 of its 2 genes are in the background; expected 1 to 8"}
    assert result.unmatched == dict.fromkeys("eg", "in no gene set")


def test_a_set_whose_genes_weigh_nothing_has_no_score() -> None:
    result = enrich({"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0}, {"zero": ["b", "c"], "a": ["a"]}, permutations=200, **ANY)  # type: ignore[arg-type]
    zero = next(row for row in result if row.name == "zero")
    assert (zero.es, zero.p, zero.genes) == (0.0, 1.0, ()) and math.isnan(zero.nes)


def test_gsea_keeps_its_level_where_nothing_is_enriched() -> None:
    rng = np.random.default_rng(0)
    names = [f"g{i}" for i in range(150)]
    p, least = [], []
    for seed in range(25):
        values = dict(zip(names, rng.normal(0.3, 1, 150).round(1).tolist(), strict=True))
        sets = {f"s{k}": rng.choice(names, int(rng.integers(5, 40)), replace=False).tolist() for k in range(20)}
        result = enrich(values, sets, permutations=400, seed=seed, **ANY)  # type: ignore[arg-type]
        p += [row.p for row in result]
        least.append(result[0].q)
    for level in (0.01, 0.05, 0.2):
        assert np.mean(np.array(p) <= level) <= level + 3 * (level / len(p)) ** 0.5
    assert 0.4 < np.median(p) < 0.6 and np.mean(np.array(least) <= 0.1) < 0.35


def signal_to_noise(shared_data: Callable[[str], Path]) -> pd.Series:
    table = pd.read_csv(shared_data("genomics/leukemia/Leukemia_hgu95av2.trim2.txt"), sep="\t", index_col=0)
    all_, aml = table.filter(like="ALL"), table.filter(like="AML")
    return (all_.mean(axis=1) - aml.mean(axis=1)) / (all_.std(axis=1) + aml.std(axis=1))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_leukemia_hallmarks_as_gseapy_scores_them(shared_data: Callable[[str], Path]) -> None:
    gseapy = pytest.importorskip("gseapy")
    path = shared_data("genomics/leukemia/h.all.v7.0.symbols.gmt")
    values = signal_to_noise(shared_data)
    ours = enrich(values, path, permutations=1000, max_size=300)
    options = {"min_size": 10, "max_size": 300, "permutation_num": 400, "seed": 1, "threads": 1, "no_plot": True}
    frame = gseapy.prerank(rnk=values, gene_sets=str(path), outdir=None, **options).res2d.set_index("Term")
    assert {row.name for row in ours} == set(frame.index) and len(ours) == 50
    for row in ours:
        peer = frame.loc[row.name]
        assert row.es == pytest.approx(float(peer["ES"]), abs=1e-9)
        assert sorted(row.genes) == sorted(peer["Lead_genes"].split(";"))
        # few random sets score below zero on this ranking: its p-values rest on about twenty
        assert row.p == pytest.approx(float(peer["NOM p-val"]), abs=0.12 if row.es > 0 else 0.4)
        assert row.nes == pytest.approx(float(peer["NES"]), abs=0.1 if row.es > 0 else 0.5)
    # lymphoid blasts divide; their cycle is what ALL has over AML
    assert {row.name for row in ours[:4]} >= {"HALLMARK_E2F_TARGETS", "HALLMARK_MYC_TARGETS_V1"}
    assert ours[0].q < 0.05


def test_tied_genes_may_come_in_any_order() -> None:
    rng = np.random.default_rng(3)
    names = [f"g{i}" for i in range(300)]
    values = pd.Series(rng.normal(size=300).round(0), index=names)
    sets = {f"s{k}": rng.choice(names, 30, replace=False).tolist() for k in range(10)}
    first, second = (
        {row.name: row for row in enrich(v, sets, permutations=200)}
        for v in (values, values.sample(frac=1, random_state=1))
    )
    for name in sets:
        assert first[name].es == pytest.approx(second[name].es, abs=1e-12)
        assert set(first[name].genes) == set(second[name].genes)
        assert (first[name].p, first[name].nes) == pytest.approx((second[name].p, second[name].nes))


@pytest.mark.parametrize("as_what", ["series", "index", "columns"])
def test_rankings_of_pandas(as_what: str) -> None:
    values = {"a": 3.0, "b": 1.0, "c": -1.0, "d": -2.0}
    series = pd.Series(values)
    table = {"series": series, "index": series.to_frame("v"), "columns": series.rename_axis("gene").reset_index()}
    sets = {"A": ["a", "b"]}
    expected = enrich(values, sets, permutations=50, **ANY)  # type: ignore[arg-type]
    assert enrich(table[as_what], sets, permutations=50, **ANY).results[0].p == expected[0].p  # type: ignore[arg-type]


def genome() -> Annotation:
    """In each 10 kb one gene; every tenth of them is 8 kb long, the rest 200 bp."""
    return Annotation.of(
        Gene(f"id{i}", f"G{i}", Interval("c", 10_000 * i, 10_000 * i + (8000 if i % 10 == 0 else 200), "+"))
        for i in range(200)
    )


def linked(seed: int, n: int = 30) -> GeneTable:
    starts = np.random.default_rng(seed).integers(0, 1_999_980, n)
    sites = [Interval("c", int(a), int(a) + 12) for a in starts]
    return link_genes(sites, genome(), distance=500, promoter=(300, 0), chrom_sizes={"c": 2_000_000}, permutations=199)


def test_long_genes_are_not_enriched_for_being_long() -> None:
    sets = {"long": [f"G{i}" for i in range(0, 200, 10)], "short": [f"G{i}" for i in range(1, 200, 7) if i % 10]}
    ours, fisher = [], []
    for seed in range(40):
        table = linked(seed)
        names = [row.name for row in table]
        rows = {row.name: row for row in enrich(table, sets)}
        plain = {row.name: row for row in enrich(names, sets, background=[g.name for g in table.background])}
        assert rows["long"].overlap == plain["long"].overlap
        ours.append(rows["long"].p)
        fisher.append(plain["long"].p)
    assert np.mean(np.array(fisher) <= 0.05) > 0.5
    assert np.mean(np.array(ours) <= 0.05) <= 0.05 + 3 * (0.05 / 40) ** 0.5


def test_gene_tables_by_both_methods_and_by_id() -> None:
    sites = [Interval("c", 10_000 * i + 5 * k, 10_000 * i + 5 * k + 4) for i in (11, 12, 13) for k in range(5)]
    table = link_genes(sites, genome(), permutations=499)
    sets = {"hit": ["G11", "id12", "G13", "G14"], "other": ["G1", "G2", "G3"], "case": ["g11", "nothing"]}
    result = enrich(table, sets, method="both", permutations=500, min_size=3)
    assert (result.background, result.background_of) == (200, "genes within reach of the regions")
    assert [(row.name, row.method) for row in result] == [
        ("hit", "ora"),
        ("other", "ora"),
        ("hit", "gsea"),
        ("other", "gsea"),
    ]
    for row in (result[0], result[2]):
        assert (row.size, set(row.genes)) == (4, {"G11", "id12", "G13"}) and row.p < 0.01
    assert result[1].p == 1.0 and result[3].p == 1.0
    assert list(result.skipped) == ["case"] and result.unmatched == {}
    assert [r.p for r in enrich(table, sets, method="gsea", permutations=500, min_size=3)] == [r.p for r in result[2:]]


def test_tables_hold_what_the_rows_do(tmp_path: Path) -> None:
    result = enrich(["a", "b", "e"], {"A": ["a", "b", "c"], "B": ["d", "e"]}, **ANY)  # type: ignore[arg-type]
    frame = result.to_pandas()
    table = parquet.read_table(result.to_parquet(tmp_path / "sets.parquet"))
    assert frame.loc[0, "genes"] == ("a", "b") and frame.loc[0, "overlap"] == 2
    assert table.column("genes").to_pylist() == [["a", "b"], ["e"]]
    assert table.column("p").to_pylist() == [row.p for row in result] == frame["p"].tolist()
    assert (
        table.schema.metadata[b"background_of"] == b"genes of all sets" and table.schema.metadata[b"background"] == b"5"
    )


SETS = {"A": ["CD33", "CD34", "MPO"], "B": ["x", "y"]}


@pytest.mark.parametrize(
    "genes, sets, options, error, message",
    [
        (["cd33"], SETS, ANY, DataError, "none of the 1 genes .*: cd33 is in no gene set; they have CD33"),
        (["CD33"], SETS, {}, DataError, "no set has 10 to 500 genes among the 5 .* 'A' has 3, of 3"),
        (["CD33"], SETS, {**ANY, "background": ["q"]}, DataError, "such as q and CD33, CD34, MPO"),
        ("CD33", SETS, ANY, InputError, "is one text"),
        ([], SETS, ANY, InputError, "nothing was given"),
        ([3], SETS, ANY, InputError, "3 was given"),
        (["CD33"], {}, ANY, DataError, "no gene sets"),
        (["CD33"], {"A": "CD33"}, ANY, InputError, "set 'A': 'CD33' is one text"),
        (["CD33"], SETS, {**ANY, "method": "gsea"}, InputError, "needs a ranking"),
        (["CD33"], SETS, {**ANY, "method": "fisher"}, InputError, "method='fisher'"),
        ({"CD33": 1.0, "x": 2.0}, SETS, {**ANY, "method": "ora"}, InputError, "chooses no genes"),
        ({"CD33": 1.0, "x": 2.0}, SETS, {**ANY, "background": ["x"]}, InputError, "bring their own"),
        ({"CD33": math.nan, "x": 2.0}, SETS, ANY, InputError, "1 of 2 values are not finite"),
        ({"CD33": "high", "x": 2.0}, SETS, ANY, InputError, "expected a number"),
        (pd.Series([1.0, 2.0], ["x", "x"]), SETS, ANY, InputError, "'x' is ranked 2 times"),
        (pd.DataFrame({"a": [1.0], "b": [1.0], "c": [1.0]}), SETS, ANY, InputError, "columns"),
        (["CD33"], SETS, {"min_size": 0}, InputError, "min_size=0"),
        (["CD33"], SETS, {"min_size": 9, "max_size": 8}, InputError, "max_size=8"),
        ({"CD33": 1.0, "x": 2.0}, SETS, {**ANY, "permutations": 0}, InputError, "permutations=0"),
        ({"CD33": 1.0, "x": 2.0}, SETS, {**ANY, "weight": -1.0}, InputError, "weight=-1"),
    ],
)
def test_what_cannot_be_tested(
    genes: object, sets: object, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        enrich(genes, sets, **options)  # type: ignore[arg-type]
