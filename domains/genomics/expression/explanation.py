"""Relevance of genes, patient by patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciexplain._files import PathName, written
from sciexplain._optional import require
from sciexplain.domains.genomics.expression.gene_network import GeneNetwork
from sciexplain.domains.genomics.expression.subnetwork import Subnetwork
from sciexplain.errors import InputError


@dataclass(frozen=True, eq=False)
class ExpressionExplanation:
    """Relevance of G genes in N patients.

    Attributes
    ----------
    relevance
        (N, G), in the unit of the explained output.
    values
        (N, G): expression as the model saw it, standardized where it was.
    score
        (N,): the explained output.
    target
        (N,): the explained class; None for a start relevance or a callable.
    output
        The model's output, logits where a final softmax or sigmoid was stepped over.
    genes, patients
        Names.
    method
        Of the explanation.
    classes
        Names of the columns of the output; empty where nobody knows.
    labels
        The class that each patient has; None where it is not known.
    unknown
        Operations without a rule.
    """

    relevance: Tensor
    values: Tensor
    score: Tensor
    target: Tensor | None
    output: Tensor
    genes: tuple[str, ...]
    patients: tuple[str, ...]
    method: str = "lrp"
    classes: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None
    unknown: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.patients), len(self.genes))
        if self.relevance.shape != shape or self.values.shape != shape or self.score.shape != shape[:1]:
            raise InputError(
                f"Relevance {tuple(self.relevance.shape)}, values {tuple(self.values.shape)} and scores "
                f"{tuple(self.score.shape)} for {shape[0]} patients and {shape[1]} genes."
            )

    def __len__(self) -> int:
        return len(self.patients)

    def __getitem__(self, patients: int | slice | Sequence[int] | NDArray[Any]) -> ExpressionExplanation:
        """Some patients, in that order."""
        places = np.atleast_1d(np.arange(len(self))[patients]).tolist()
        return replace(
            self,
            relevance=self.relevance[places],
            values=self.values[places],
            score=self.score[places],
            target=None if self.target is None else self.target[places],
            output=self.output[places] if self.output.ndim else self.output,
            patients=tuple(self.patients[i] for i in places),
            labels=None if self.labels is None else tuple(self.labels[i] for i in places),
        )

    def __repr__(self) -> str:
        lines = [f"ExpressionExplanation({self.method}, {len(self)} patients, {len(self.genes)} genes)"]
        for i in range(min(len(self), 5)):
            top = ", ".join(f"{gene} {relevance:+.3g}" for gene, relevance in self.top(i, 3))
            lines.append(f"  {self.patients[i]}:{self._named(i)} {float(self.score[i]):.4g}, of that {top}, …")
        return "\n".join(lines + (["  …"] if len(self) > 5 else []))

    def _named(self, i: int) -> str:
        if self.target is None:
            return ""
        target = int(self.target[i])
        return f" {self.classes[target]}" if target < len(self.classes) else f" class {target}"

    def row(self, patient: int | str) -> int:
        """The place of a patient, given by name or place.

        Raises
        ------
        InputError
            There is none.
        """
        if isinstance(patient, str):
            if patient not in self.patients:
                raise InputError(f"There is no patient {patient!r}; the first is {self.patients[0]!r}.")
            return self.patients.index(patient)
        if not -len(self) <= patient < len(self):
            raise InputError(f"There is no patient {patient} among {len(self)}.")
        return patient % len(self)

    def top(self, patient: int | str, k: int = 10) -> list[tuple[str, float]]:
        """The k genes with the largest absolute relevance, and their relevance."""
        relevance = self.relevance[self.row(patient)]
        order = torch.argsort(-relevance.abs(), stable=True)[:k].tolist()
        return [(self.genes[j], float(relevance[j])) for j in order]

    def subnetwork(self, patient: int | str, network: Any, k: int = 140, *, positive: bool = False) -> Subnetwork:
        """The links among the k most relevant genes of a patient.

        Parameters
        ----------
        patient
            Name or place.
        network
            What :meth:`GeneNetwork.of` takes.
        k
            How many genes; 140 as Chereda et al. 2021.
        positive
            Take the genes with the largest relevance instead of the largest absolute relevance.

        Raises
        ------
        InputError
            There is no such patient, or none of the genes is in the network.
        """
        row = self.row(patient)
        relevance = self.relevance[row]
        order = torch.argsort(-(relevance if positive else relevance.abs()), stable=True)[:k].tolist()
        whole = GeneNetwork.of(network)
        known = set(whole.genes)
        if k < 1 or not known & set(self.genes):
            raise InputError(
                f"k={k} of {len(self.genes)} genes, of which {len(known & set(self.genes))} are in the network; "
                "expected at least one, under the same kind of names."
            )
        return Subnetwork(
            whole.restricted([self.genes[j] for j in order]),
            relevance[order].double().numpy(),
            self.values[row, order].double().numpy(),
            self.patients[row],
            float(self.score[row]),
        )

    def to_pandas(self) -> Any:
        """Relevance as a ``DataFrame``, patients by genes."""
        pandas: Any = require("pandas", extra="genomics")
        return pandas.DataFrame(self.relevance.numpy(), list(self.patients), list(self.genes))

    def to_parquet(self, path: PathName) -> Path:
        """Write one row for each gene of each patient: ``patient``, ``score``, ``target``, ``gene``, ``value``,
        ``relevance``.

        Raises
        ------
        DataError
            The folder does not exist, or the file cannot be written.
        """
        arrow: Any = require("pyarrow", extra="genomics")
        parquet: Any = require("pyarrow.parquet", extra="genomics")
        n, g = len(self), len(self.genes)

        def repeated(names: Sequence[str], places: NDArray[np.int64]) -> Any:
            return arrow.DictionaryArray.from_arrays(arrow.array(places.astype(np.int32)), arrow.array(list(names)))

        patient = np.repeat(np.arange(n), g)
        target = arrow.nulls(n * g, arrow.int64())
        if self.target is not None:
            target = arrow.array(np.repeat(self.target.numpy(), g))
        table = arrow.table(
            {
                "patient": repeated(self.patients, patient),
                "score": np.repeat(self.score.double().numpy(), g),
                "target": target,
                "gene": repeated(self.genes, np.tile(np.arange(g), n)),
                "value": self.values.double().numpy().ravel(),
                "relevance": self.relevance.double().numpy().ravel(),
            }
        )
        return written(path, lambda file: parquet.write_table(table, file))
