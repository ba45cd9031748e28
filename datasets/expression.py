"""Expression of genes in patients of known classes, as such data sets are given."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LabelledExpression:
    """Expression of genes in patients, and the patients' classes.

    Attributes
    ----------
    name
        Of the data set.
    values
        (patients, genes) float64, in the unit of the source.
    genes, patients
        Their names.
    labels
        (patients,) int64, indices into ``names``.
    names
        Class names.
    unit
        Of the values.
    gene_sets
        Sets to look for among genes that matter: name, genes.
    """

    name: str
    values: NDArray[np.float64]
    genes: tuple[str, ...]
    patients: tuple[str, ...]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    unit: str
    gene_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.patients)
