"""The density of atom environments against its formulas, written out from RDKit's other account of environments."""

import math
from collections import defaultdict

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from sciexplain.domains.molecules.design.prior import learn, learn_prior
from sciexplain.errors import InputError

REFERENCE = ["CCO", "CCCO", "CCN", "c1ccccc1", "Cc1ccccc1O", "CC(=O)O", "C", "CC(=O)Oc1ccccc1C(=O)O", "C1CCCCC1", "FC"]
OTHERS = ["CCCCO", "Nc1ccccc1", "FC#CBr", "C", "O=[N+]([O-])c1ccccc1"]


def mols(smiles):
    return [Chem.MolFromSmiles(s) for s in smiles]


def paths_of(mol, radius):
    """Of each atom its environments by growing radius, from the map of environments to (atom, radius)."""
    library = rdFingerprintGenerator
    kept = library.AdditionalOutput()
    kept.AllocateBitInfoMap()
    generator = library.GetMorganGenerator(radius=radius, includeRedundantEnvironments=True)
    generator.GetSparseCountFingerprint(mol, additionalOutput=kept)
    at = {(atom, r): bit for bit, places in kept.GetBitInfoMap().items() for atom, r in places}
    return [tuple(at.get((i, r), 0) for r in range(radius + 1)) for i in range(mol.GetNumAtoms())]


def reference_density(mol, data, radius):
    """The mean over atoms of log P, from the definition."""
    continuations = defaultdict(list)
    for other in data:
        for path in paths_of(other, radius):
            for r in range(radius + 1):
                continuations[path[:r]].append(path[: r + 1])
    kinds = [
        len({p for listed in continuations.values() for p in listed if len(p) == r + 1}) for r in range(radius + 1)
    ]
    total = []
    for path in paths_of(mol, radius):
        log = 0.0
        for r in range(radius + 1):
            listed = continuations[path[:r]]
            count, different = len(listed), len(set(listed))
            seen = listed.count(path[: r + 1])
            if not seen:
                log += math.log(different / (count + different) / kinds[r])
                break
            log += math.log(seen / (count + different))
        total.append(log)
    return float(np.mean(total))


@pytest.mark.parametrize("radius", [0, 1, 2])
@pytest.mark.parametrize("smiles", [*OTHERS, "CCO", "CC(=O)Oc1ccccc1C(=O)O"])
def test_density_is_its_definition(smiles, radius):
    data = mols(REFERENCE)
    (mol,) = mols([smiles])
    expected = reference_density(mol, data, radius)
    assert learn(data, radius=radius).log_density(mol) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("radius", [0, 1, 2])
def test_probabilities_add_up_to_one(radius):
    """Over every seen end, and every unseen one, of which there are as many as seen ones of that radius."""
    prior = learn(mols(REFERENCE), radius=radius)
    total = 0.0
    for path in prior.counts:
        if len(path) == radius + 1:
            total += math.exp(prior._log(path))
        else:
            total += prior.kinds[len(path)] * math.exp(prior._log((*path, -1)))
    assert total == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("typical", [0.0, 0.3, 1.0])
def test_floor_leaves_each_molecule_out(typical):
    data = mols(REFERENCE)
    left_out = [reference_density(mol, data[:i] + data[i + 1 :], 1) for i, mol in enumerate(data)]
    assert learn(data, typical=typical).floor == pytest.approx(np.quantile(left_out, typical), abs=1e-12)


def test_molecules_are_read_and_what_is_no_reference_is_refused():
    assert learn_prior(REFERENCE).counts == learn(mols(REFERENCE)).counts
    with pytest.raises(InputError, match="1 molecules; expected two or more"):
        learn_prior(["CCO"])
    with pytest.raises(InputError, match="radius=-1"):
        learn(mols(REFERENCE), radius=-1)
