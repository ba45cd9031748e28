"""Expression as it is read: the same from every kind of table, nothing lost or renamed in silence."""

from __future__ import annotations

import gzip

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sciexplain.domains.genomics.expression import Expression, read_cls
from sciexplain.errors import DataError, InputError

VALUES = np.array([[1.5, -2.0, 0.0], [4.0, 5.25, 1e3]])
GENES, PATIENTS, LABELS = ("CD19", "NA", "MPO"), ("p1", "p2"), ("ALL", "AML")


def frame() -> pd.DataFrame:
    return pd.DataFrame(VALUES, list(PATIENTS), list(GENES))


def annotated(x=VALUES, **layers) -> anndata.AnnData:
    data = anndata.AnnData(x, pd.DataFrame({"type": LABELS}, list(PATIENTS)), pd.DataFrame(index=list(GENES)))
    data.layers.update(layers)
    return data


def written(path, table, **options):
    table.to_csv(path, **options)
    return path


SOURCES = {
    "frame": lambda tmp: (frame(), {}),
    "frame with labels": lambda tmp: (frame().assign(type=LABELS), {"labels": "type"}),
    "frame of text": lambda tmp: (frame().astype(str), {}),
    "frame, genes in rows": lambda tmp: (frame().T, {"genes_in": "rows"}),
    "frame, genes and labels in rows": lambda tmp: (
        frame().assign(type=LABELS).T, {"genes_in": "rows", "labels": "type"}),
    "csv": lambda tmp: (written(tmp / "x.csv", frame(), index_label="patient"), {}),
    "csv with labels": lambda tmp: (written(tmp / "x.csv", frame().assign(type=LABELS)), {"labels": "type"}),
    "tsv.gz, genes in rows": lambda tmp: (written(tmp / "x.tsv.gz", frame().T, sep="\t"), {"genes_in": "rows"}),
    "of R's write.table": lambda tmp: (_of_r(tmp / "x.txt"), {}),
    "parquet": lambda tmp: (_parquet(tmp / "x.parquet", frame()), {}),
    "parquet, names as a column": lambda tmp: (_parquet(tmp / "x.parquet", frame().reset_index()), {}),
    "AnnData": lambda tmp: (annotated(), {"labels": "type"}),
    "AnnData, sparse": lambda tmp: (annotated(sparse.csr_matrix(VALUES)), {}),
    "AnnData, a layer": lambda tmp: (annotated(np.zeros((2, 3)), raw=VALUES), {"layer": "raw"}),
    "h5ad": lambda tmp: (_h5ad(tmp / "x.h5ad"), {"labels": "type"}),
}  # fmt: skip


def _of_r(path):
    rows = ["\t".join(map(str, [name, *row])) for name, row in zip(PATIENTS, VALUES, strict=True)]
    path.write_text("\n".join(["\t".join(GENES), *rows]) + "\n")
    return path


def _parquet(path, table):
    table.to_parquet(path)
    return path


def _h5ad(path):
    """AnnData does not write the strings that newer pandas makes of names."""
    data = annotated()
    for names in (data.obs, data.var):
        names.index = names.index.astype(object)
    data.obs["type"] = pd.Categorical.from_codes([0, 1], pd.Index(LABELS, dtype=object))
    data.write_h5ad(path)
    return path


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_same_table(source, tmp_path):
    data, options = SOURCES[source](tmp_path)
    table = Expression.of(data, **options)
    np.testing.assert_array_equal(table.values, VALUES)
    assert (table.genes, table.patients) == (GENES, PATIENTS)
    assert table.labels == (LABELS if "labels" in options else None)


def test_arrays_and_tensors_get_names():
    for data in (VALUES, torch.from_numpy(VALUES), VALUES.tolist()):
        table = Expression.of(data)
        np.testing.assert_array_equal(table.values, VALUES)
        assert table.genes == ("gene_0", "gene_1", "gene_2")
    np.testing.assert_array_equal(Expression.of(VALUES.T, genes_in="rows").values, VALUES)


@pytest.mark.parametrize(
    "labels",
    [LABELS, np.array(LABELS), {"p2": "AML", "p1": "ALL"}, pd.Series({"p2": "AML", "p1": "ALL"})],
    ids=["list", "array", "mapping", "series"],
)
def test_labels_go_with_their_patients(labels):
    assert Expression.of(frame(), labels=labels).labels == LABELS


BAD = {
    "a word": ("x.csv", "id,A,B\np1,1,2\np2,low,3\n", "p2 has 1 cells"),
    "an empty cell": ("x.csv", "id,A,B\np1,1,2\np2,,3\n", "first for A in p2"),
    "infinite": ("x.csv", "id,A,B\np1,1,2\np2,inf,3\n", "no finite number"),
    "a decimal comma": ("x.tsv", "id\tA\tB\np1\t1\t2\np2\t1,5\t3\n", "p2 has 1 cells"),
    "a gene twice": ("x.csv", "id,A,A\np1,1,2\np2,2,3\n", 'Gene A is there more than once; say duplicates="first"'),
    "a patient twice": ("x.csv", "id,A,B\np1,1,2\np1,2,3\n", "'p1'"),
    "a gene without a name": ("x.csv", "id,A,\np1,1,2\np2,2,3\n", "no name"),
    "too many cells": ("x.csv", "id,A\np1,1,2,4\n", "2 names in its first line, but 4 cells"),
    "not a table": ("x.doc", "", "is no table"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_says_why(case, tmp_path):
    name, text, reason = BAD[case]
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=reason.replace("(", r"\(")):
        Expression.of(tmp_path / name)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        Expression.of(tmp_path / "none.csv")


def test_bad_rows_are_told_and_the_rest_is_read(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("id,A,B,B\np1,1,2,9\np2,x,3,9\np3,5,6,9\np3,0,0,9\n")
    told: list[str] = []
    table = Expression.of(path, labels=["a", "b", "c", "d"], on_error=lambda name, error: told.append(name))
    assert told == ["B", "p3", "p2"] == [name for name, _ in table.skipped]
    assert (table.patients, table.genes, table.labels) == (("p1", "p3"), ("A", "B"), ("a", "c"))
    np.testing.assert_array_equal(table.values, [[1, 2], [5, 6]])
    other = Expression.of(path, leave_out="genes", on_error=lambda *_: None)
    assert (other.patients, other.genes) == (("p1", "p2", "p3"), ("B",))
    np.testing.assert_array_equal(other.values, [[2], [3], [6]])


def test_genes_that_repeat_are_averaged_or_taken_once():
    twice = pd.DataFrame([[1.0, 5.0, 3.0], [2.0, 0.0, 4.0]], ["p1", "p2"], ["A", "B", "A"])
    mean = Expression.of(twice, duplicates="mean")
    assert mean.genes == ("A", "B")
    np.testing.assert_array_equal(mean.values, [[2, 5], [3, 0]])
    np.testing.assert_array_equal(Expression.of(twice, duplicates="first").values, [[1, 5], [2, 0]])


def test_genes_that_became_dates_are_warned_of():
    with pytest.warns(UserWarning, match="2 gene names look like dates.*1-Mar, 9-Sep"):
        Expression.of(pd.DataFrame([[1.0, 2.0, 3.0]], ["p"], ["1-Mar", "MARCHF1", "9-Sep"]))


WRONG = {
    "labels of another number": (lambda: Expression.of(frame(), labels=["a"]), "1 labels for 2 patients"),
    "labels that miss a patient": (lambda: Expression.of(frame(), labels={"p1": "a"}), "1 patients have no label: p2"),
    "a label that is missing": (lambda: Expression.of(frame(), labels=["a", np.nan]), "1 patients have no label: p2"),
    "a column that is not there": (lambda: Expression.of(frame(), labels="kind"), "no column 'kind'"),
    "a row that is not there": (lambda: Expression.of(frame().T, labels="kind", genes_in="rows"), "no index 'kind'"),
    "no obs column": (lambda: Expression.of(annotated(), labels="kind"), "there are type"),
    "no layer": (lambda: Expression.of(annotated(), layer="raw"), "no layer 'raw'"),
    "a layer of a frame": (lambda: Expression.of(frame(), layer="raw"), "is for AnnData"),
    "one dimension": (lambda: Expression.of([1.0, 2.0]), r"shape \(2,\)"),
    "genes it lacks": (lambda: Expression.of(frame()).with_genes(["CD19", "CD33"]), "1 of 2 genes .* CD33"),
    "a floor of zero": (lambda: Expression.of(frame()).log2(0), "floor=0"),
    "another side": (lambda: Expression.of(frame(), genes_in="row"), "genes_in='row'"),
    "another rule": (lambda: Expression.of(frame(), duplicates="max"), "duplicates='max'"),
    "NaN": (lambda: Expression(np.array([[np.nan]]), ("A",), ("p",)), "The value of A in p is nan"),
    "shapes": (lambda: Expression(VALUES, ("A",), ("p",)), r"shape \(2, 3\) with 1 patients"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused(case):
    ask, reason = WRONG[case]
    with pytest.raises(InputError, match=reason):
        ask()


@given(st.permutations(range(3)), st.permutations(range(2)))
def test_genes_and_patients_are_put_in_order_with_their_values(genes, patients):
    table = Expression.of(frame(), labels=LABELS)
    moved = table[patients].with_genes([GENES[j] for j in genes])
    np.testing.assert_array_equal(moved.values, VALUES[np.ix_(patients, genes)])
    assert moved.labels == tuple(LABELS[i] for i in patients)
    assert moved.patients == tuple(PATIENTS[i] for i in patients)


def test_log2_floors_and_caps():
    np.testing.assert_allclose(Expression.of(frame()).log2(2, 512).values, [[1, 1, 1], [2, np.log2(5.25), 9]])


CLS = {
    "names": ("3 2 1\n# ALL AML\nALL AML ALL\n", ("ALL", "AML", "ALL")),
    "names in another order": ("3 2 1\n# ALL AML\nAML ALL ALL\n", ("AML", "ALL", "ALL")),
    "numbers": ("3 2 1\n#ALL AML\n0 0 1\n", ("ALL", "ALL", "AML")),
    "numbers, in order of appearance": ("3 2 1\n# ALL AML\n1 1 0\n", ("ALL", "ALL", "AML")),
    "CRLF": ("2 2 1\r\n# a b\r\n0 1\r\n", ("a", "b")),
}


@pytest.mark.parametrize("case", CLS)
def test_cls_files_are_read(case, tmp_path):
    text, labels = CLS[case]
    (tmp_path / "x.cls").write_bytes(text.encode())
    assert read_cls(tmp_path / "x.cls") == labels


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("4 2 1\n# a b\n0 1 0\n", "promises 4 samples of 2 classes, but has 3"),
        ("3 2 1\n# a b\n0 1 2\n", "3 samples of 3"),
        ("3 3 1\n# a b\n0 1 1\n", "and 2 names"),
        ("#numeric\n#height\n1.5 2.5\n", "categorical"),
        ("0 1 1\n", "1 lines"),
    ],
)
def test_cls_files_that_contradict_themselves_are_refused(text, reason, tmp_path):
    (tmp_path / "x.cls").write_text(text)
    with pytest.raises(DataError, match=reason):
        read_cls(tmp_path / "x.cls")


def test_the_leukemia_table_is_what_its_lines_say(shared_data):
    path = shared_data("genomics/leukemia/Leukemia_hgu95av2.trim2.txt")
    table = Expression.of(path, genes_in="rows", labels=read_cls(shared_data("genomics/leukemia/Leukemia.cls")))
    assert table.values.shape == (48, 9020)
    lines = path.read_bytes()
    lines = (gzip.decompress(lines) if lines[:2] == b"\x1f\x8b" else lines).decode().splitlines()
    assert table.patients == tuple(lines[0].split("\t")[1:])
    for line in (lines[1], lines[4567], lines[-1]):
        gene, *cells = line.split("\t")
        np.testing.assert_array_equal(table.values[:, table.genes.index(gene)], np.array(cells, float))
    assert all(patient.startswith(label) for patient, label in zip(table.patients, table.labels, strict=True))
