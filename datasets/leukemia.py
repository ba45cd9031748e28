"""Genes of two kinds of leukemia, and sets of genes to look for."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciexplain.datasets.expression import LabelledExpression
from sciexplain.datasets.fetch import Source, fetch
from sciexplain.domains.genomics.formats.gmt import read_gmt
from sciexplain.errors import DataError

_FOLDER = "https://raw.githubusercontent.com/zqfang/GSEApy/{}/tests/extdata/"


def _source(file: str, commit: str, sha256: str) -> Source:
    return Source(_FOLDER.format(commit) + file, sha256, f"genomics/leukemia/{file}")


_VALUES = _source(
    "Leukemia_hgu95av2.trim2.txt",
    "476d0aabb275ffd9b764b5035b085d8a2897fbee",
    "227d388fab9529268f412680b2ca0383496797dd41977667505abaeb29a50a6c",
)
_CLASSES = _source(
    "Leukemia.cls",
    "8611014ddbde0117dc0d1f0422c9846ac94a6a41",
    "87831b330868d7461e9ecd203cdab9bb7daeff382b3c8f90583064549168cd58",
)
_HALLMARK = _source(
    "h.all.v7.0.symbols.gmt",
    "8611014ddbde0117dc0d1f0422c9846ac94a6a41",
    "4803c09aae50bbd96d53fc681bd5545a4c89278993c15145dd7b7c994f893516",
)


def load_leukemia() -> LabelledExpression:
    """9 020 genes in 24 patients with acute lymphoblastic leukemia (ALL) and 24 with acute myeloid leukemia (AML).

    Values are average differences of Affymetrix HG-U95Av2 arrays, which may be negative; probes of one gene are
    averaged. There is no division: with 48 patients, cross-validate. ``gene_sets`` are MSigDB's 50 Hallmark sets.

    Raises
    ------
    DataError
        The files are not there and cannot be fetched, or are others; a row that is none, by its line.

    References
    ----------
    S. A. Armstrong et al., Nat. Genet. 30, 41 (2002); A. Liberzon et al., Cell Syst. 1, 417 (2015).
    """
    values, classes, sets = (fetch(s, name="leukemia", extra="genomics") for s in (_VALUES, _CLASSES, _HALLMARK))
    genes, patients, table = read_expression(values)
    names, labels = read_classes(classes)
    if len(labels) != len(patients):
        raise DataError(f"{classes.name} has {len(labels)} labels; expected {len(patients)}, one for each patient")
    return LabelledExpression(
        "leukemia", table, genes, patients, labels, names, "average difference", read_gmt(sets)
    )  # fmt: skip


def read_expression(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.float64]]:
    """Genes, patients and values (patients, genes) of a table with a gene in each row, cells apart by tabs.

    Raises
    ------
    DataError
        A row with another number of cells, a cell that is no number, a gene that comes twice.
    """
    header, *lines = _lines(path) or [""]
    patients = tuple(header.split("\t")[1:])
    rows: dict[str, list[float]] = {}
    for number, line in enumerate(lines, 2):
        gene, *cells = line.split("\t")
        place, called = f"{path.name}:{number}", gene[:80]
        if len(cells) != len(patients):
            raise DataError(
                f"{place}: {called} has {len(cells)} values; expected {len(patients)}, one for each patient"
            )
        if gene in rows:
            raise DataError(f"{place}: {called} is there already; expected each gene once")
        try:
            rows[gene] = [float(cell) for cell in cells]
        except ValueError as error:
            raise DataError(f"{place}: {called}: {str(error)[:200]}") from error
    return tuple(rows), patients, np.array(list(rows.values())).T


def read_classes(path: Path) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Class names and labels of a file of GSEA's CLS format: ``48 2 1``, ``# ALL AML``, and each sample's class.

    Raises
    ------
    DataError
        It is none.
    """
    lines = list(islice((line.split() for line in _lines(path) if line.strip()), 4))
    if len(lines) != 3 or lines[1][:1] != ["#"] or not set(lines[2]) <= set(lines[1][1:]):
        raise DataError(
            f"{path.name} is no CLS file; expected counts, # and the classes' names, and each sample's class"
        )
    names = tuple(lines[1][1:])
    number = {name: i for i, name in reversed(list(enumerate(names)))}
    return names, np.array([number[label] for label in lines[2]], np.int64)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is no text in UTF-8: {error}") from error
