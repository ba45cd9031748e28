"""Relevance of genes: what the core says, under the right names, whatever the table's kind and order."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import sciexplain as sx
from sciexplain.domains.genomics.expression import (
    Expression,
    GeneGraphCNN,
    GeneNetwork,
    Standardizer,
    evidence,
    explain,
    mlp,
)
from sciexplain.errors import InputError, TargetError

G, N = 12, 5
GENES = tuple(f"g{i}" for i in range(G))
PATIENTS = tuple(f"p{i}" for i in range(N))
LINKS = [(f"g{i}", f"g{j}") for i in range(G) for j in (i + 1, i + 4) if j < G]


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return Expression(rng.normal(3, 2, (N, G)), GENES, PATIENTS, ("a", "b", "a", "b", "c"))


def dense(classes=3):
    torch.manual_seed(0)
    return mlp(G, classes, (16, 8)).double().eval()


def graph():
    torch.manual_seed(0)
    return GeneGraphCNN(GeneNetwork.of(LINKS, GENES), 3, hidden=(8,)).double().eval()


class OverNodes(nn.Module):
    """A graph network as one writes it with torch_geometric: nodes of all patients, their links, and whose they are."""

    def __init__(self):
        super().__init__()
        geometric = pytest.importorskip("torch_geometric.nn")
        torch.manual_seed(0)
        self.conv = geometric.ChebConv(1, 4, 3, bias=False).double()
        self.out = nn.Linear(4 * G, 3, bias=False).double()

    def forward(self, x, edge_index, edge_weight, batch):
        lambda_max = torch.full((int(batch.max()) + 1,), 2.0, dtype=x.dtype)
        return self.out(self.conv(x, edge_index, edge_weight, batch, lambda_max).relu().reshape(-1, 4 * G))


class WithChannel(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(1, 3, 1, bias=False).double()
        self.out = nn.Linear(3 * G, 3, bias=False).double()

    def forward(self, x):
        return self.out(self.conv(x.transpose(1, 2)).relu().flatten(1))


MODELS = {
    "dense": (dense, {}),
    "graph CNN": (graph, {}),
    "over nodes": (OverNodes, {"network": LINKS}),
    "with a channel": (WithChannel, {}),
}


@pytest.mark.parametrize("kind", MODELS)
def test_all_of_the_score_is_shared_out(kind, table):
    make, options = MODELS[kind]
    exact = sx.composites.get("epsilon", epsilon=1e-12)
    e = explain(make(), table, composite=exact, on_unknown="error", **options)
    torch.testing.assert_close(e.relevance.sum(1), e.score, rtol=1e-8, atol=1e-10)
    assert e.target.tolist() == e.output.argmax(1).tolist()
    assert (e.genes, e.patients, e.labels) == (GENES, PATIENTS, table.labels)


@pytest.mark.parametrize("kind", MODELS)
def test_patients_are_explained_for_themselves(kind, table):
    make, options = MODELS[kind]
    model = make()
    whole = explain(model, table, 1, **options)
    order = [3, 0, 4]
    part = explain(model, table[order], 1, batch_size=2, **options)
    torch.testing.assert_close(part.relevance, whole.relevance[order], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(whole[order].relevance, whole.relevance[order])
    assert part.patients == whole[order].patients == ("p3", "p0", "p4")
    torch.testing.assert_close(part.score, whole.score[order])


@pytest.mark.parametrize("kind", ["dense", "graph CNN", "over nodes"])
def test_a_model_that_names_its_genes_takes_them_in_any_order(kind, table):
    make, options = MODELS[kind]
    model = make()
    expected = explain(model, table, 0, **options)
    model.genes = GENES
    mixed = list(np.random.default_rng(1).permutation(G))
    frame = pd.DataFrame(table.values, PATIENTS, GENES).iloc[:, mixed].assign(more=0.0)
    e = explain(model, frame, 0, **options)
    assert e.genes == GENES
    torch.testing.assert_close(e.relevance, expected.relevance, rtol=1e-9, atol=1e-12)
    with pytest.raises(InputError, match="1 of 12 genes are not in the table: g3"):
        explain(model, frame.drop(columns="g3"), 0, **options)


def test_relevance_follows_genes_when_the_model_does():
    """Equivariance: columns of the table and of the first weights moved alike move relevance alike."""
    model, moved = dense(), dense()
    order = torch.randperm(G, generator=torch.Generator().manual_seed(0))
    first = next(m for m in moved if isinstance(m, nn.Linear))
    first.weight.data = first.weight.data[:, order]
    x = np.random.default_rng(0).normal(size=(N, G))
    for composite in (None, "epsilon_plus", "deep_taylor"):
        a = explain(model, x, 1, composite=composite).relevance
        b = explain(moved, x[:, order], 1, composite=composite).relevance
        torch.testing.assert_close(b, a[:, order], rtol=1e-9, atol=1e-12)


def test_frames_annotated_data_and_files_give_the_same(table, tmp_path):
    model = dense()
    expected = explain(model, table.values, 2).relevance
    frame = pd.DataFrame(table.values, PATIENTS, GENES)
    frame.to_csv(tmp_path / "x.csv")
    data = anndata.AnnData(np.zeros((N, G)), pd.DataFrame(index=PATIENTS), pd.DataFrame(index=GENES))
    data.layers["log"] = table.values
    for given, options in ((frame, {}), (tmp_path / "x.csv", {}), (data, {"layer": "log"})):
        e = explain(model, given, 2, **options)
        torch.testing.assert_close(e.relevance, expected, rtol=1e-9, atol=1e-12)
        assert (e.genes, e.patients) == (GENES, PATIENTS)


METHODS = {
    "input_x_gradient": {},
    "integrated_gradients": {},
    "deeplift": {},
    "gradient": {},
    "occlusion": {"window": 1},
}


@pytest.mark.parametrize("method", METHODS)
def test_is_what_the_core_says_on_standardized_values(method, table):
    model, scaling = dense(), Standardizer.fit(table)
    options = METHODS[method]
    e = explain(model, table, 1, method, standardize=scaling, **options)
    seen = torch.from_numpy((table.values - scaling.mean) / scaling.scale)
    torch.testing.assert_close(e.values, seen)
    torch.testing.assert_close(e.relevance, sx.explain(model, seen, 1, method, **options).relevance)
    model.standardizer = scaling
    torch.testing.assert_close(explain(model, table, 1, method, **options).relevance, e.relevance)


def test_references_are_patients(table):
    model, scaling = dense(), Standardizer.fit(table)
    seen = torch.from_numpy(scaling.apply(table).values)
    mixed = list(np.random.default_rng(1).permutation(G))
    others = pd.DataFrame(table.values, PATIENTS, GENES).iloc[1:4, mixed]
    e = explain(model, table, 1, "deepshap", standardize=scaling, reference=others)
    torch.testing.assert_close(
        e.relevance, sx.explain(model, seen, 1, "deepshap", references=seen[None, 1:4]).relevance
    )
    with torch.no_grad():
        torch.testing.assert_close(e.relevance.sum(1), model(seen)[:, 1] - model(seen[1:4])[:, 1].mean())
    e = explain(model, table, 1, "deeplift", standardize=scaling, reference=others)
    mean = seen[1:4].mean(0, keepdim=True)
    torch.testing.assert_close(e.relevance, sx.explain(model, seen, 1, "deeplift", reference=mean).relevance)
    with pytest.raises(InputError, match="compares with other patients"):
        explain(model, table, 1, "deepshap")
    with pytest.raises(InputError, match="reference= is for"):
        explain(model, table, 1, reference=others)


def test_moderation_keeps_a_gene_that_hardly_varies_in_bounds():
    values = np.random.default_rng(0).normal(size=(40, 9))
    values[:, 0] = 5 + 1e-3 * values[:, 0]
    values[:, 1] = 7.0
    table = Expression.of(values)
    plain, moderated = Standardizer.fit(table, 0.0), Standardizer.fit(table)
    np.testing.assert_allclose(plain.apply(table).values[:, [0, *range(2, 9)]].std(0), 1)
    typical = np.median(values.std(0))
    np.testing.assert_allclose(moderated.scale, (values.std(0) + typical) / 2)
    new = Expression.of(values[:1] + 4)
    assert abs(plain.apply(new).values[0, 0]) > 1000
    assert abs(moderated.apply(new).values[0]).max() < 10
    assert np.isfinite(plain.apply(new).values).all()


def test_classes_have_names(table):
    model = dense()
    with pytest.raises(TargetError, match="does not say what its classes are called"):
        explain(model, table, "b")
    model.classes = ("a", "b", "c")
    expected = explain(model, table, [0, 1, 0, 1, 2]).relevance
    torch.testing.assert_close(explain(model, table, table.labels).relevance, expected)
    torch.testing.assert_close(explain(model, table, "b").relevance, explain(model, table, 1).relevance)
    with pytest.raises(TargetError, match="no class 'd'; there are a, b, c"):
        explain(model, table, "d")
    with pytest.raises(TargetError, match="2 targets for 5 patients"):
        explain(model, table, ["a", "b"])


def test_evidence_is_the_own_logit_less_the_mean_of_the_others(table):
    own = [2, 0, 1, 1, 0]
    e = explain(dense(), table, evidence(own), composite=sx.composites.get("epsilon", epsilon=1e-12))
    logits = e.output.numpy()
    expected = [row[c] - np.delete(row, c).mean() for row, c in zip(logits, own, strict=True)]
    np.testing.assert_allclose(e.score.numpy(), expected, rtol=1e-10)
    np.testing.assert_allclose(e.relevance.sum(1).numpy(), expected, rtol=1e-7)
    one = explain(dense(1), table, evidence([1, 0, 1, 0, 0]))
    np.testing.assert_allclose(one.score.numpy(), one.output[:, 0].numpy() * [1, -1, 1, -1, -1])


def test_the_model_is_left_as_it_was_and_dropout_is_off(table):
    model = dense().train()
    a, b = explain(model, table, 1), explain(model, table, 1)
    torch.testing.assert_close(a.relevance, b.relevance)
    torch.testing.assert_close(a.relevance, explain(dense(), table, 1).relevance)
    assert all(m.training for m in model.modules())


WRONG = {
    "other genes": (dense, {"table": np.zeros((2, 7))}, "expression of 7 genes in no layout"),
    "no network": (OverNodes, {}, "give the network of genes"),
    "a network for none": (dense, {"network": LINKS}, "network= is for a model"),
    "no such layout": (dense, {"layout": "rows"}, "layout='rows'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused(case, table):
    make, options, reason = WRONG[case]
    options = {"table": table} | options
    with pytest.raises(InputError, match=reason):
        explain(make(), **options)


def test_tables_of_relevance_have_every_gene_of_every_patient(table, tmp_path):
    e = explain(dense(), table, 1)
    frame = e.to_pandas()
    assert (tuple(frame.index), tuple(frame.columns)) == (PATIENTS, GENES)
    np.testing.assert_array_equal(frame.to_numpy(), e.relevance.numpy())
    long = pd.read_parquet(e.to_parquet(tmp_path / "r.parquet"))
    assert list(long) == ["patient", "score", "target", "gene", "value", "relevance"]
    wide = long.pivot(index="patient", columns="gene", values="relevance").loc[list(PATIENTS), list(GENES)]
    np.testing.assert_array_equal(wide.to_numpy(), e.relevance.numpy())
    row = long[(long.patient == "p3") & (long.gene == "g7")].iloc[0]
    assert (row.value, row.score, row.target) == (table.values[3, 7], float(e.score[3]), 1)


def test_top_genes_are_those_of_the_largest_absolute_relevance(table):
    e = explain(dense(), table, 1)
    top = e.top("p2", 4)
    order = np.argsort(-np.abs(e.relevance[2].numpy()))[:4]
    assert top == [(GENES[j], float(e.relevance[2, j])) for j in order]
    assert e.top(2, 4) == top
    with pytest.raises(InputError, match="no patient 'x'"):
        e.top("x")
    with pytest.raises(InputError, match="no patient 9"):
        e.top(9)
