"""Molecules: why a model says what it says, by atoms, bonds, walks and fragments.

>>> from sciexplain.domains import molecules
>>> m = molecules.explain(model, ["CCO", "c1ccccc1O"], featurizer="pyg")  # doctest: +SKIP
>>> m[0].atoms, m[0].bonds, m[0].walks(3), m[0].fragments("brics")  # doctest: +SKIP
>>> m.to_sdf("why.sdf")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sciexplain.domains.molecules import design, evaluate
from sciexplain.domains.molecules.audit import audit
from sciexplain.domains.molecules.bodies import Bodies
from sciexplain.domains.molecules.concepts import MoleculeConcepts, top_concepts
from sciexplain.domains.molecules.design import counterfactual, maximize
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
from sciexplain.domains.molecules.prototypes import limits_figure, prototype_limits, prototypes
from sciexplain.domains.molecules.read import attempts, count, read, read_one
from sciexplain.domains.molecules.removal import AtomRemoval, BondRemoval
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
    "AtomRemoval",
    "Bodies",
    "BondRemoval",
    "Drawing",
    "Fragment",
    "FragmentRelevance",
    "LRPExplainer",
    "Molecule",
    "MoleculeConcepts",
    "MoleculeExplanation",
    "MoleculeExplanations",
    "Potential",
    "attempts",
    "audit",
    "bonds_onto_heavy",
    "canonical_order",
    "canonical_smiles",
    "chemical_potential",
    "count",
    "counterfactual",
    "design",
    "draw",
    "embed",
    "evaluate",
    "explain",
    "force_decomposition",
    "fragments",
    "grid",
    "heavy_atoms",
    "hydrogens_added",
    "limits_figure",
    "load_model",
    "maximize",
    "onto_heavy",
    "perceive_bonds",
    "prototype_limits",
    "prototypes",
    "read",
    "read_one",
    "top_concepts",
    "view",
    "with_hydrogens",
]
