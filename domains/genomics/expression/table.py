"""Expression of genes in patients, with names on both sides."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.genomics.expression.frames import (
    is_annotated,
    is_frame,
    numbers,
    read_annotated,
    read_frame,
    shortened,
)
from sciexplain.errors import DataError, InputError, SciExplainError

Labels = str | Sequence[Any] | Mapping[str, Any] | None
Duplicates = Literal["error", "first", "mean"]
OnError = Callable[[str, SciExplainError], object] | None


@dataclass(frozen=True, eq=False)
class Expression:
    """Expression of G genes in N patients.

    Attributes
    ----------
    values
        (N, G), finite, in the unit of what was given.
    genes, patients
        Their names, each once.
    labels
        The class of each patient; None where it is not known.
    skipped
        Patients and genes that were left out while reading, and why.
    """

    values: NDArray[np.float64]
    genes: tuple[str, ...]
    patients: tuple[str, ...]
    labels: tuple[str, ...] | None = None
    skipped: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        values = np.asarray(self.values, np.float64)
        names = {"genes": tuple(map(str, self.genes)), "patients": tuple(map(str, self.patients))}
        labels = None if self.labels is None else tuple(map(str, self.labels))
        if values.ndim != 2 or values.shape != (len(names["patients"]), len(names["genes"])):
            raise InputError(
                f"Values of shape {values.shape} with {len(names['patients'])} patients and {len(names['genes'])} "
                "genes; expected (patients, genes)."
            )
        for kind, found in names.items():
            if repeated := [name for name, times in Counter(found).items() if times > 1]:
                raise InputError(f"{len(repeated)} {kind} are there more than once: {shortened(repeated)}.")
        if labels is not None and len(labels) != len(values):
            raise InputError(f"{len(labels)} labels for {len(values)} patients; expected one for each.")
        if not np.isfinite(values).all():
            row, column = (int(i[0]) for i in np.nonzero(~np.isfinite(values)))
            raise InputError(
                f"The value of {names['genes'][column]} in {names['patients'][row]} is {values[row, column]}; expected "
                "finite numbers. Impute them, or let Expression.of leave such patients or genes out (on_error=)."
            )
        for name, value in (("values", values), *names.items(), ("labels", labels)):
            object.__setattr__(self, name, value)

    @classmethod
    def of(
        cls,
        data: Any,
        *,
        labels: Labels = None,
        genes_in: Literal["columns", "rows"] = "columns",
        layer: str | None = None,
        duplicates: Duplicates = "error",
        leave_out: Literal["patients", "genes"] = "patients",
        on_error: OnError = None,
    ) -> Expression:
        """From what users have: a data frame, a file, AnnData, an array.

        Parameters
        ----------
        data
            A pandas ``DataFrame`` with names; a file ``.csv``, ``.tsv``, ``.txt`` (tabs), also ``.gz``, ``.parquet`` or
            ``.h5ad``, whose first column has names; ``AnnData`` (obs are patients); an array or tensor (N, G), whose
            genes are then called ``gene_0``, …; or :class:`Expression`.
        labels
            The class of each patient: one for each, a mapping from their names, or the name of the column (in
            ``genes_in="rows"`` the row; of ``AnnData`` the column of ``obs``) that has them.
        genes_in
            Where the genes of a table are.
        layer
            Of ``AnnData``; None: ``X``.
        duplicates
            What to do with a gene that is there more than once: an error, its first row, or their mean.
        leave_out
            Whether a missing or non-numeric cell costs its patient or its gene, where ``on_error`` is given.
        on_error
            Is told the name of each patient or gene that is left out, and why; they are listed in ``skipped``. None:
            the first is raised.

        Raises
        ------
        DataError
            A file that cannot be read, cells that are no numbers, names that are there more than once.
        InputError
            Something else than expression, or labels that do not fit.

        Warns
        -----
        UserWarning
            Gene names that a spreadsheet turned into dates (Ziemann et al. 2016, Genome Biology 17:177).

        Examples
        --------
        >>> import pandas
        >>> frame = pandas.DataFrame({"CD19": [1.0, 9.0], "MPO": [7.0, 2.0], "type": ["AML", "ALL"]}, ["a", "b"])
        >>> table = Expression.of(frame, labels="type")
        >>> table.genes, table.patients, table.labels
        (('CD19', 'MPO'), ('a', 'b'), ('AML', 'ALL'))
        """
        if isinstance(data, Expression):
            return data if labels is None else replace(data, labels=_labels_for(labels, data.patients))
        if genes_in not in ("columns", "rows") or leave_out not in ("patients", "genes"):
            raise InputError(
                f'genes_in={genes_in!r}, leave_out={leave_out!r}; expected "columns" or "rows", and "patients" or '
                '"genes".'
            )
        if isinstance(data, str | PathLike):
            data = read_annotated(data) if str(data).endswith(".h5ad") else read_frame(data)
        if layer is not None and not is_annotated(data):
            raise InputError(f"layer={layer!r} is for AnnData; {type(data).__name__} has none.")
        given: Any = labels
        if is_annotated(data):
            cells, patients, genes, given = _from_annotated(data, layer, labels)
        elif is_frame(data):
            if isinstance(labels, str):
                axis = "columns" if genes_in == "columns" else "index"
                if labels not in getattr(data, axis):
                    raise InputError(f"The table has no {axis[:6]} {labels!r} with labels.")
                given = list(data[labels] if axis == "columns" else data.loc[labels])
                data = data.drop(**{axis: labels})
            cells, patients, genes = numbers(data), list(map(str, data.index)), list(map(str, data.columns))
            if genes_in == "rows":
                cells, patients, genes = cells.T, genes, patients
        else:
            cells = _array(data)
            cells = cells.T if genes_in == "rows" else cells
            patients = [f"patient_{i}" for i in range(len(cells))]
            genes = [f"gene_{i}" for i in range(cells.shape[1])]
        return _checked(cells, patients, genes, _labels_for(given, patients), duplicates, leave_out, on_error)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        labels = "" if self.labels is None else ", " + ", ".join(f"{n} {c}" for c, n in Counter(self.labels).items())
        skipped = f", {len(self.skipped)} left out" if self.skipped else ""
        return f"Expression({len(self)} patients{labels}, {len(self.genes)} genes{skipped})"

    def __getitem__(self, patients: int | slice | Sequence[int] | NDArray[Any]) -> Expression:
        """Some patients, in that order."""
        places = np.atleast_1d(np.arange(len(self))[patients])
        return replace(
            self,
            values=self.values[places],
            patients=tuple(self.patients[i] for i in places),
            labels=None if self.labels is None else tuple(self.labels[i] for i in places),
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that occur, sorted; empty where none are known."""
        return tuple(sorted(set(self.labels or ())))

    def with_genes(self, genes: Sequence[str]) -> Expression:
        """These genes in this order.

        Raises
        ------
        InputError
            Some are not in the table.
        """
        if tuple(genes) == self.genes:
            return self
        place = {gene: i for i, gene in enumerate(self.genes)}
        if missing := [gene for gene in genes if gene not in place]:
            raise InputError(
                f"{len(missing)} of {len(genes)} genes are not in the table: {shortened(missing)}. Gene names must be "
                "of one kind (symbols or identifiers), and the table must have all genes that the model takes."
            )
        return replace(self, values=self.values[:, [place[gene] for gene in genes]], genes=tuple(genes))

    def log2(self, floor: float = 1.0, ceiling: float = np.inf) -> Expression:
        """log2 of the values, those below ``floor`` raised to it and those above ``ceiling`` lowered.

        Each value is changed for itself, so that nothing is learned from other patients. Intensities of early
        Affymetrix arrays, which may be negative, take a floor of 100 and a ceiling of 16 000 (Dudoit et al. 2002,
        J. Am. Stat. Assoc. 97:77).

        Raises
        ------
        InputError
            ``floor`` is not above 0.
        """
        if not 0 < floor < ceiling:
            raise InputError(f"floor={floor:g}, ceiling={ceiling:g}: expected 0 < floor < ceiling.")
        return replace(self, values=np.log2(np.clip(self.values, floor, ceiling)))


def _array(data: Any) -> NDArray[np.float64]:
    if hasattr(data, "detach"):
        data = data.detach().cpu().numpy()
    try:
        found = np.asarray(data, np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.ndim != 2:
        raise InputError(
            f"{type(data).__name__} of shape {np.shape(data)}; expected a DataFrame, a file, AnnData or an array "
            "(patients, genes)."
        )
    return found


def _from_annotated(
    data: Any, layer: str | None, labels: Labels
) -> tuple[NDArray[np.float64], list[str], list[str], Any]:
    if layer is not None and layer not in data.layers:
        raise InputError(f"AnnData has no layer {layer!r}; there are {', '.join(data.layers) or 'none'}.")
    cells = data.X if layer is None else data.layers[layer]
    if cells is None:
        raise InputError(f"AnnData has no X; give layer=, one of {', '.join(data.layers) or 'none'}.")
    if isinstance(labels, str):
        if labels not in data.obs:
            raise InputError(f"AnnData has no obs column {labels!r}; there are {', '.join(data.obs) or 'none'}.")
        labels = list(data.obs[labels])
    dense = cells.toarray() if hasattr(cells, "toarray") else cells
    return np.array(dense, np.float64), list(map(str, data.obs_names)), list(map(str, data.var_names)), labels


def _labels_for(labels: Any, patients: Sequence[str]) -> tuple[str, ...] | None:
    if labels is None:
        return None
    if isinstance(labels, str):
        raise InputError(f"labels={labels!r} names a column, but what was given has none; give one label per patient.")
    if hasattr(labels, "to_dict"):  # a pandas Series, by its index
        labels = {str(name): label for name, label in labels.to_dict().items()}
    if isinstance(labels, Mapping):
        if missing := [name for name in patients if name not in labels]:
            raise InputError(f"{len(missing)} patients have no label: {shortened(missing)}.")
        labels = [labels[name] for name in patients]
    found = list(labels)
    if len(found) != len(patients):
        raise InputError(f"{len(found)} labels for {len(patients)} patients; expected one for each.")
    if unknown := [name for name, label in zip(patients, found, strict=True) if label is None or label != label]:
        raise InputError(f"{len(unknown)} patients have no label: {shortened(unknown)}.")
    return tuple(map(str, found))


def _checked(
    cells: NDArray[np.float64],
    patients: list[str],
    genes: list[str],
    labels: tuple[str, ...] | None,
    duplicates: Duplicates,
    leave_out: str,
    on_error: OnError,
) -> Expression:
    """What has one name and finite values; the rest is raised or told."""
    skipped: list[tuple[str, str]] = []

    def told(name: str, message: str) -> None:
        error = DataError(message)
        if on_error is None:
            raise error
        skipped.append((name, message))
        on_error(name, error)

    if duplicates == "mean":
        genes, inverse = _unique(genes)
        sums = np.zeros((len(genes), len(cells)))
        np.add.at(sums, inverse, cells.T)
        cells = (sums / np.bincount(inverse, minlength=len(genes))[:, None]).T
    elif duplicates not in ("error", "first"):
        raise InputError(f'duplicates={duplicates!r}; expected "error", "first" or "mean".')
    seen: set[str] = set()
    kept_genes = []
    for j, gene in enumerate(genes):
        if gene in seen and duplicates == "error":
            told(gene, f'Gene {gene} is there more than once; say duplicates="first" or "mean".')
        elif not gene:
            told(f"gene {j}", f"Gene {j} (counted from 0) has no name.")
        elif gene not in seen:
            kept_genes.append(j)
        seen.add(gene)
    kept_patients, seen = [], set()
    for i, patient in enumerate(patients):
        if patient in seen or not patient:
            told(patient or f"patient {i}", f"Patient {patient!r} ({i}, counted from 0) has no name of its own.")
        else:
            kept_patients.append(i)
        seen.add(patient)
    bad = ~np.isfinite(cells[np.ix_(kept_patients, kept_genes)])
    by = np.asarray(bad.any(1) if leave_out == "patients" else bad.any(0))
    for place in np.flatnonzero(by):
        row, column = (place, bad[place].argmax()) if leave_out == "patients" else (bad[:, place].argmax(), place)
        patient, gene = patients[kept_patients[row]], genes[kept_genes[column]]
        count = int(bad[row].sum() if leave_out == "patients" else bad[:, column].sum())
        name = patient if leave_out == "patients" else gene
        told(name, f"{name} has {count} cells that are missing or no finite number, the first for {gene} in {patient}.")
    if leave_out == "patients":
        kept_patients = [i for i, gone in zip(kept_patients, by.tolist(), strict=True) if not gone]
    else:
        kept_genes = [j for j, gone in zip(kept_genes, by.tolist(), strict=True) if not gone]
    if not kept_patients or not kept_genes:
        raise DataError(
            f"Nothing is left of {len(patients)} patients and {len(genes)} genes. Where one gene is missing in all "
            'patients, say leave_out="genes".'
        )
    _warn_of_dates([genes[j] for j in kept_genes])
    return Expression(
        cells[np.ix_(kept_patients, kept_genes)],
        tuple(genes[j] for j in kept_genes),
        tuple(patients[i] for i in kept_patients),
        None if labels is None else tuple(labels[i] for i in kept_patients),
        tuple(skipped),
    )


def _unique(names: list[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Each name once, in order of appearance, and where each one went."""
    place: dict[str, int] = {}
    inverse = np.array([place.setdefault(name, len(place)) for name in names], np.int64)
    return list(place), inverse


def _warn_of_dates(genes: list[str]) -> None:
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    dates = {text for m in months for d in range(1, 32) for text in (f"{d}-{m}", f"{m}-{d:02}")}
    if found := [gene for gene in genes if gene.title() in dates]:
        warnings.warn(
            f"{len(found)} gene names look like dates that a spreadsheet made of them: {shortened(found)}.",
            stacklevel=4,
        )
