"""Which molecules may be made, and that drugs may."""

import pytest
from rdkit import Chem

from sciexplain import datasets
from sciexplain.domains.molecules.design.chemistry import UNSTABLE, Chemistry, chemistry, whole
from sciexplain.domains.molecules.design.question import plain
from sciexplain.errors import InputError

UNUSUAL = {
    "peroxide": "COOC",
    "hypohalite": "COCl",
    "N-halogen": "CNCl",
    "polyhalogen": "CI(Cl)Cl",
    "chain of nitrogens": "CN(C)N(C)NC",
    "tetrazene": "CN=NN(C)N",
    "N-O-N or O-N-O": "CNONC",
    "polysulfide": "CSSSC",
    "hypervalent": "C[SH]=O",
    "S-O-S or S-N-S": "CSOSC",
    "sulfenic": "CSO",
    "gem-diol or hemiaminal": "CC(O)O",
    "hemiacetal outside a ring": "CC(O)OC",
    "alpha-halo ether or amine": "COCCl",
    "enol or enamine with H": "CC=CO",
    "N-H imine": "CC=N",
    "diazene with H": "CN=N",
    "allene or ketene": "CC=C=O",
    "ynol or ynamine": "CC#CO",
    "N-oxide with H": "C[NH2+][O-]",
    "nitrile oxide": "CC#[N+][O-]",
    "acyl nitro": "CC(=O)[N+](=O)[O-]",
    "carbonic acid": "COC(=O)O",
    "vicinal tricarbonyl": "CC(=O)C(=O)C(C)=O",
    "cyclic alkyne": "C1CCCC#CCC1",
    "cyclic allene": "C1CCC=C=CC1",
    "cyclopropene or smaller aromatic": "C1=CC1",
    "fused small rings": "C1C2CC12",
    "spiro small rings": "C1CC12CC2",
}
ANY = Chemistry(frozenset(range(1, 100)), 99, UNSTABLE)


def refusal(smiles, **limits):
    return Chemistry(**{**vars(ANY), **limits}).refusal(Chem.MolFromSmiles(smiles))


@pytest.mark.parametrize("name", UNSTABLE)
def test_every_pattern_finds_what_it_is_named_after(name):
    only = {name: UNSTABLE[name]}
    assert refusal(UNUSUAL[name], forbidden=only) == f"forbidden: {name}"
    assert refusal(UNUSUAL[name]) is not None


@pytest.mark.parametrize(
    "smiles",
    [
        "CC(=O)Oc1ccccc1C(=O)O", "O=[N+]([O-])c1ccccc1", "CS(=O)C", "CS(=O)(=O)NC", "OC1OCCCC1", "COP(=O)(OC)OC",
        "NC(N)=O", "c1cnoc1", "c1cnsc1", "CN=[N+]=[N-]", "O=C1CC2CCC1C2", "C1CC12CCCCC2", "CC(N)=NC",
        "C[n+]1ccccc1.[Cl-]", "c1nn[nH]n1",
    ],
)  # fmt: skip
def test_usual_groups_are_no_reason(smiles):
    assert refusal(smiles) in (None, "several molecules")


@pytest.mark.parametrize(
    ("smiles", "limits", "why"),
    [
        ("CCCC", {"max_atoms": 3}, "too large"),
        ("CCF", {"elements": frozenset({6})}, "element"),
        ("C[CH2]", {}, "radical"),
        ("CC[NH3+]", {}, "charge"),
        ("[NH3+]CCC(=O)[O-]", {}, "charge"),
        ("CC.O", {}, "several molecules"),
        ("C1CCCCCCCC1", {}, "large ring"),
        ("C1CC2CCC1=C2", {}, "double bond at a bridgehead"),
    ],
)
def test_other_reasons(smiles, limits, why):
    assert refusal(smiles, **limits) == why


def test_drugs_are_hardly_refused():
    """Real molecules are the test of patterns for unreal ones."""
    mols = [pair[0] for pair in plain(datasets.load("drugs").molecules) if pair is not None]
    refused = [mol for mol in mols if ANY.refusal(mol) is not None]
    assert len(mols) == 525 and len(refused) <= 8


def test_limits_come_from_the_start():
    start = [whole(Chem.MolFromSmiles(s))[0] for s in ("CCOOCC", "CCCl", "C1CCCCCCCCC1")]
    found = chemistry(start, forbidden={"ether": "COC"})
    assert found.elements == {6, 8, 17} and found.max_atoms == 9 and found.largest_ring == 10
    assert "peroxide" not in found.forbidden and {"ether", "polysulfide"} <= found.forbidden.keys()
    assert chemistry(start, elements=["C", "Br"], max_atoms=4).elements == {6, 35}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"elements": ["Xx"]}, "elements has 'Xx'"),
        ({"forbidden": ["C("]}, r"the SMARTS 'C\('"),
        ({"max_atoms": 0}, "max_atoms=0"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        chemistry([Chem.MolFromSmiles("CCO")], **options)
