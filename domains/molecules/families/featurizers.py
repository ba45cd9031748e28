"""From a molecule to the graph a PyG model was trained on."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sciexplain._optional import require
from sciexplain.domains.molecules.families.base import called, symbol, with_positions
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError, ModelError, SciExplainError

Featurizer = Callable[[Any], Any]


def pyg(mol: Any) -> Any:
    """PyG's own categories: 9 integers for each atom, 3 for each directed bond.

    Those of ``torch_geometric.utils.from_rdmol`` and ``from_smiles``, and so of ``MoleculeNet`` there: atomic number,
    chirality, degree, formal charge, hydrogens, radical electrons, hybridization, aromatic, in ring; bond type,
    stereo, conjugated.
    """
    return require("torch_geometric.utils", extra="molecules").from_rdmol(mol)


def positions(molecule: Molecule) -> Any:
    """Atomic numbers ``z`` (n,) and positions ``pos`` (n, 3) in Å, for models of geometries."""
    data = require("torch_geometric.data", extra="molecules").Data
    return data(
        z=torch.as_tensor(molecule.numbers, dtype=torch.long),
        pos=torch.tensor(np.asarray(with_positions(molecule), dtype=np.float64)),
        charge=torch.tensor([molecule.charge]),
    )


NAMED: dict[str, Featurizer] = {"pyg": pyg, "positions": positions}


def find(featurizer: Featurizer | str | None) -> Featurizer | None:
    """A featurizer by its name, or the one given.

    Raises
    ------
    ModelError
        There is none of this name, or it takes SMILES, which say nothing of the order of the atoms.
    """
    if featurizer is None:
        return None
    if isinstance(featurizer, str):
        if featurizer not in NAMED:
            raise ModelError(f"featurizer={featurizer!r}: expected {', '.join(map(repr, NAMED))} or a function.")
        return NAMED[featurizer]
    if not callable(featurizer):
        raise ModelError(f"featurizer is {type(featurizer).__name__}; expected a function of an RDKit molecule.")
    first = _first_parameter(featurizer)
    if first is not None and (first.name in ("smiles", "smi") or first.annotation in (str, "str")):
        raise ModelError(
            "The featurizer takes SMILES, in which atoms may stand in another order; give a function of an RDKit "
            'molecule, such as torch_geometric.utils.from_rdmol (featurizer="pyg").'
        )
    return featurizer


def apply(featurizer: Featurizer, molecule: Molecule) -> Any:
    """What a featurizer makes of a molecule.

    It gets the RDKit molecule where there is one, or the :class:`Molecule` where it asks for that by annotation or
    where only positions are known.

    Raises
    ------
    InputError
        It cannot take this molecule.
    """
    first = _first_parameter(featurizer)
    annotation = getattr(first, "annotation", None)
    whole = annotation is Molecule or (isinstance(annotation, str) and annotation.rpartition(".")[2] == "Molecule")
    try:
        return featurizer(molecule if whole or molecule.mol is None else molecule.mol)
    except SciExplainError:
        raise
    except Exception as error:  # of the user's own function
        atoms = _quoted(str(error), molecule)
        raise InputError(
            f"{called(molecule)}: the featurizer cannot take it: {type(error).__name__}: {error}"
            + (f" ({', '.join(atoms)})." if atoms else ".")
        ) from error


def _first_parameter(function: Featurizer) -> inspect.Parameter | None:
    try:
        return next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):  # such as of builtins
        return None


def _quoted(message: str, molecule: Molecule, limit: int = 3) -> list[str]:
    """The atoms whose element a message names; numbers up to 10 may as well be degrees or charges."""
    words = set(re.findall(r"\w+", message))
    found = [
        f"atom {i} is {symbol(int(z))}"
        for i, z in enumerate(molecule.numbers)
        if symbol(int(z)) in words or (z > 10 and str(z) in words)
    ]
    return found[:limit]
