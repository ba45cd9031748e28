import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem.Crippen import MolLogP
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from sciexplain import datasets
from sciexplain.datasets.drugs import drugs, load_drugs_xtb

# Molecular formulae as pharmacopoeias and handbooks have them.
FORMULAE = {
    "aspirin": "C9H8O4",
    "paracetamol": "C8H9NO2",
    "ibuprofen": "C13H18O2",
    "caffeine": "C8H10N4O2",
    "nicotine": "C10H14N2",
    "morphine": "C17H19NO3",
    "cocaine": "C17H21NO4",
    "quinine": "C20H24N2O2",
    "cholesterol": "C27H46O",
    "testosterone": "C19H28O2",
    "dexamethasone": "C22H29FO5",
    "penicillin G": "C16H18N2O4S",
    "amoxicillin": "C16H19N3O5S",
    "tetracycline": "C22H24N2O8",
    "ciprofloxacin": "C17H18FN3O3",
    "atorvastatin": "C33H35FN2O5",
    "simvastatin": "C25H38O5",
    "sildenafil": "C22H30N6O4S",
    "imatinib": "C29H31N7O",
    "lapatinib": "C29H26ClFN4O4S",
    "sitagliptin": "C16H15F6N5O",
    "levothyroxine": "C15H11I4NO4",
    "warfarin": "C19H16O4",
    "omeprazole": "C17H19N3O3S",
    "artemisinin": "C15H22O5",
    "folic acid": "C19H19N7O6",
    "riboflavin": "C17H20N4O6",
    "montelukast": "C35H36ClNO3S",
    "metformin": "C4H11N5",
    "cyclophosphamide": "C7H15Cl2N2O2P",
    "glyphosate": "C3H8NO5P",
    "trinitrotoluene": "C7H5N3O6",
    "tetrahydrocannabinol": "C21H30O2",
    "squalene": "C30H50",
}


@pytest.fixture(scope="module")
def molecules():
    return drugs()


def test_every_line_is_a_molecule_and_none_is_there_twice(molecules):
    assert len(molecules) == 525
    assert len({molecule.name for molecule in molecules}) == 525
    assert len({Chem.MolToSmiles(molecule.mol) for molecule in molecules}) == 525
    assert all(molecule.charge == 0 for molecule in molecules)


def test_formulae(molecules):
    found = {molecule.name: CalcMolFormula(molecule.mol) for molecule in molecules if molecule.name in FORMULAE}
    assert found == FORMULAE


def test_contributions_add_up_to_logp(molecules):
    data = datasets.load("drugs")
    assert [molecule.name for molecule in data.molecules] == [molecule.name for molecule in molecules]
    for molecule, truth, (target,) in zip(data.molecules, data.atom_truth, data.targets, strict=True):
        assert len(truth) == len(molecule)
        assert truth.sum() == pytest.approx(MolLogP(molecule.mol), abs=1e-9)
        assert target == pytest.approx(truth.sum(), abs=1e-12)


def test_the_smallest_with_xtb():
    data = load_drugs_xtb(limit=12)
    assert len(data) + len(data.failures) == 12
    for molecule, truth, (energy, gap) in zip(data.molecules, data.atom_truth, data.targets, strict=True):
        assert len(truth) == len(molecule.positions)
        assert truth.sum() == pytest.approx(energy, abs=1e-9)
        assert 0 < gap < 20
    assert not np.isnan(data.targets).any()
