"""Molecules: why a model says what it says, by atoms, bonds, walks and fragments.

>>> from sciexplain.domains import molecules
>>> m = molecules.explain(model, ["CCO", "c1ccccc1O"], featurizer="pyg")  # doctest: +SKIP
>>> m[0].atoms, m[0].bonds, m[0].walks(3), m[0].fragments("brics")  # doctest: +SKIP
>>> m.to_sdf("why.sdf")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sciexplain.domains.molecules.bodies import Bodies
from sciexplain.domains.molecules.draw import Drawing, draw
from sciexplain.domains.molecules.explain import explain
from sciexplain.domains.molecules.explanation import MoleculeExplanation, MoleculeExplanations
from sciexplain.domains.molecules.forces import force_decomposition
from sciexplain.domains.molecules.fragment_relevance import FragmentRelevance
from sciexplain.domains.molecules.fragments import Fragment, fragments
from sciexplain.domains.molecules.grid import grid
from sciexplain.domains.molecules.indices import (
    bonds_onto_heavy,
    canonical_order,
    canonical_smiles,
    heavy_atoms,
    hydrogens_added,
    onto_heavy,
)
from sciexplain.domains.molecules.models import load_model
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.prepare import embed, perceive_bonds, with_hydrogens
from sciexplain.domains.molecules.probe import Potential, chemical_potential
from sciexplain.domains.molecules.read import read, read_one
from sciexplain.domains.molecules.view3d import view

if TYPE_CHECKING:
    from sciexplain.domains.molecules.pyg_explainer import LRPExplainer


def __getattr__(name: str) -> Any:
    """``LRPExplainer`` is a class of torch_geometric's, which is imported when it is asked for."""
    if name != "LRPExplainer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sciexplain.domains.molecules.pyg_explainer import LRPExplainer

    return LRPExplainer


__all__ = [
    "Bodies",
    "Drawing",
    "Fragment",
    "FragmentRelevance",
    "LRPExplainer",
    "Molecule",
    "MoleculeExplanation",
    "MoleculeExplanations",
    "Potential",
    "bonds_onto_heavy",
    "canonical_order",
    "canonical_smiles",
    "chemical_potential",
    "draw",
    "embed",
    "explain",
    "force_decomposition",
    "fragments",
    "grid",
    "heavy_atoms",
    "hydrogens_added",
    "load_model",
    "onto_heavy",
    "perceive_bonds",
    "read",
    "read_one",
    "view",
    "with_hydrogens",
]
