"""Networks of genes: the same from every source, and what is derived from patients or sets."""

from __future__ import annotations

import networkx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.expression import Expression, GeneNetwork
from sciexplain.errors import DataError, InputError

LINKS = [("A", "B", 0.5), ("B", "C", 2.0), ("B", "A", 0.9), ("D", "D", 1.0), ("D", "C", 1.0)]
EXPECTED = {("A", "B"): 0.9, ("B", "C"): 2.0, ("C", "D"): 1.0}


def as_dict(network):
    return {
        tuple(sorted((network.genes[i], network.genes[j]))): w
        for (i, j), w in zip(network.edges.tolist(), network.weights.tolist(), strict=True)
    }


def graph():
    found = networkx.Graph()
    for a, b, w in [*LINKS[1:3], *LINKS[4:]]:
        found.add_edge(a, b, weight=w)
    return found


def text(separator, header=""):
    return header + "".join(separator.join(map(str, link)) + "\n" for link in LINKS)


SOURCES = {
    "pairs": lambda tmp: LINKS,
    "frame": lambda tmp: pd.DataFrame(LINKS),
    "networkx": lambda tmp: graph(),
    "tsv": lambda tmp: _file(tmp / "x.tsv", text("\t")),
    "tsv with a header": lambda tmp: _file(tmp / "x.tsv", text("\t", "protein1\tprotein2\tcombined_score\n")),
    "csv with a comment": lambda tmp: _file(tmp / "x.csv", text(",", "# of yesterday\nsource,target,weight\n")),
}


def _file(path, content):
    path.write_text(content)
    return path


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_same_network(source, tmp_path):
    assert as_dict(GeneNetwork.of(SOURCES[source](tmp_path))) == EXPECTED


def test_two_columns_and_sif_have_weight_one(tmp_path):
    plain = _file(tmp_path / "x.tsv", "gene1\tgene2\nA\tB\nC\tNA\n")
    sif = _file(tmp_path / "x.sif", "A\tpp\tB\nC\tpp\tNA\n")
    for path in (plain, sif):
        assert as_dict(GeneNetwork.of(path)) == {("A", "B"): 1.0, ("C", "NA"): 1.0}


def test_genes_are_in_the_order_asked_for_and_links_to_others_are_left_out():
    network = GeneNetwork.of(LINKS, ["C", "X", "B"])
    assert network.genes == ("C", "X", "B")
    assert as_dict(network) == {("B", "C"): 2.0}
    assert as_dict(GeneNetwork.of(LINKS).restricted(["C", "X", "B"])) == {("B", "C"): 2.0}


WRONG = {
    "one name": ([("A",)], DataError, "Link 0 is"),
    "a text": (["AB"], DataError, "Link 0 is 'AB'"),
    "no weight": ([("A", "B", "strong")], DataError, "weight 'strong'"),
    "a negative weight": ([("A", "B", -0.2)], DataError, "weight -0.2"),
    "a missing name": (pd.DataFrame({"a": ["A", None], "b": ["B", "C"]}), DataError, "Link 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_link_is_refused(case):
    links, error, reason = WRONG[case]
    with pytest.raises(error, match=reason):
        GeneNetwork.of(links)


def test_genes_under_other_names_are_refused():
    with pytest.raises(InputError, match="None of the 5 links"):
        GeneNetwork.of(LINKS, ["ENSG1", "ENSG2"])


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda e: e[0] < e[1])))
def test_connected_parts_are_those_of_networkx(edges):
    edges = sorted(edges)
    network = GeneNetwork(tuple("abcdefghij"), np.array(edges, np.int64).reshape(-1, 2), np.ones(len(edges)))
    reference = networkx.Graph(edges)
    reference.add_nodes_from(range(10))
    assert set(network.components()) == {tuple(sorted(part)) for part in networkx.connected_components(reference)}
    sizes = [len(part) for part in network.components()]
    assert sizes == sorted(sizes, reverse=True)


def test_correlation_links_each_gene_to_its_nearest():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(12, 30))
    values[:, 7] = -values[:, 3] + 0.01 * rng.normal(size=12)
    values[:, 5] = 2.0
    table = Expression(values, tuple(f"g{i}" for i in range(30)), tuple(f"p{i}" for i in range(12)))
    network = GeneNetwork.from_correlation(table, 2)
    with np.errstate(invalid="ignore"):
        r = np.nan_to_num(np.abs(np.corrcoef(values.T)))
    np.fill_diagonal(r, -1)
    expected = {tuple(sorted((i, int(j)))) for i in range(30) for j in np.argsort(-r[i])[:2] if r[i, j] > 1e-9}
    assert {tuple(e) for e in network.edges.tolist()} == expected
    np.testing.assert_allclose(network.weights, [r[i, j] for i, j in network.edges], atol=1e-6)
    assert (3, 7) in expected
    assert not (network.edges == 5).any()


def test_gene_sets_link_their_members_by_the_number_that_they_share():
    network = GeneNetwork.from_gene_sets({"s": ["A", "B", "B", "Z"], "t": ["B", "A", "C"]}, ["C", "B", "A"])
    assert as_dict(network) == {("A", "B"): 2.0, ("B", "C"): 1.0, ("A", "C"): 1.0}
