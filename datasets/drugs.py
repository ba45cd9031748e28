"""Drugs, metabolites and reagents that every chemist knows, labelled on the spot."""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np

from sciexplain.datasets.crippen import crippen_contributions
from sciexplain.datasets.left_out import Failures
from sciexplain.datasets.molecules import LabelledMolecules, divide
from sciexplain.datasets.quantum import XtbResult, xtb
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read import read
from sciexplain.errors import SciExplainError


def drugs() -> list[Molecule]:
    """525 molecules with their usual names, without stereochemistry; salts as their neutral compound."""
    with as_file(files("sciexplain.datasets") / "drugs.csv") as path:
        return list(read(path, smiles="smiles", name="name"))


def load_drugs() -> LabelledMolecules:
    """Crippen's logP of :func:`drugs`, and what each atom contributes to it (hydrogens with their heavy atom).

    The division is by scaffold.
    """
    molecules = drugs()
    truth = [crippen_contributions(molecule) for molecule in molecules]
    targets = np.array([[terms.sum()] for terms in truth])
    (train, valid, test), split = divide(molecules, "scaffold")
    return LabelledMolecules(
        "drugs", molecules, targets, ("Crippen logP",), ("log10",), "regression", train, valid, test, split, truth
    )


def load_drugs_xtb(limit: int | None = None) -> LabelledMolecules:
    """GFN2-xTB's total energy and HOMO-LUMO gap of :func:`drugs`, at an embedded geometry with all hydrogens.

    The atoms' true contributions are GFN2-xTB's own atom-resolved energies. All 525 take about a minute. What cannot
    be embedded or does not converge is in ``failures``.

    Parameters
    ----------
    limit
        Only so many, those with the fewest heavy atoms.
    """
    chosen = sorted(drugs(), key=len)[:limit]
    results: list[XtbResult] = []
    failures = Failures()
    for molecule in chosen:
        try:
            results.append(xtb(molecule))
        except SciExplainError as error:
            failures.add(molecule.source, error)
    molecules = [result.molecule for result in results]
    (train, valid, test), split = divide(molecules, "scaffold")
    return LabelledMolecules(
        "drugs-xtb",
        molecules,
        np.array([[result.energy, result.gap] for result in results]),
        ("GFN2-xTB total energy", "GFN2-xTB HOMO-LUMO gap"),
        ("eV", "eV"),
        "regression",
        train,
        valid,
        test,
        split,
        [result.atom_energies for result in results],
        failures=tuple(failures),
    )
