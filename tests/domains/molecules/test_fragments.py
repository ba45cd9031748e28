"""Parts of real molecules: partitions are partitions, and RDKit's own counts, scaffolds and pieces are found."""

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import BRICS, Fragments
from rdkit.Chem.Scaffolds import MurckoScaffold

from sciexplain.domains.molecules.fragments import fragments
from sciexplain.domains.molecules.indices import owners
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.prepare import perceive_bonds, with_hydrogens
from sciexplain.domains.molecules.read import read, read_one
from sciexplain.errors import InputError

Parts = list[tuple[str, str, list[int]]]
PARTITIONS = ("brics", "murcko", "rings")


@cache
def esol(path: Path) -> list[Molecule]:
    return list(read(path))


@pytest.fixture
def molecules(shared_data: Callable[[str], Path]) -> list[Molecule]:
    return esol(shared_data("molecules/moleculenet/ESOL_delaney-processed.csv"))


def parts(smiles: str, kind: object) -> Parts:
    return [(part.name, part.smiles, sorted(part.atoms)) for part in fragments(read_one(smiles), kind)]  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", PARTITIONS)
def test_partitions_have_every_atom_once(molecules: list[Molecule], kind: str) -> None:
    for molecule in molecules:
        found = fragments(molecule, kind)  # type: ignore[arg-type]
        assert sorted(i for part in found for i in part.atoms) == list(range(len(molecule)))
        for part in found:
            assert len(Chem.GetMolFrags(Chem.MolFromSmiles(part.smiles, sanitize=False))) == 1
            heavy = Counter(molecule.numbers[sorted(part.atoms)].tolist())
            written = Counter(a.GetAtomicNum() for a in Chem.MolFromSmiles(part.smiles, sanitize=False).GetAtoms())
            assert {z: n for z, n in written.items() if z not in (0, 1)} == {z: n for z, n in heavy.items() if z != 1}


@pytest.mark.parametrize("kind", PARTITIONS)
def test_hydrogens_are_with_their_atoms(molecules: list[Molecule], kind: str) -> None:
    for seed, molecule in enumerate(molecules[::10]):
        full = with_hydrogens(molecule)
        order = np.random.default_rng(seed).permutation(len(full))
        mixed = read_one(Chem.RenumberAtoms(full.mol, order.tolist()))
        plain = fragments(molecule, kind)  # type: ignore[arg-type]
        own = owners(full)
        expected = {(p.name, frozenset(np.flatnonzero(np.isin(own[order], list(p.atoms))).tolist())) for p in plain}
        assert {(part.name, part.atoms) for part in fragments(mixed, kind)} == expected  # type: ignore[arg-type]


def test_brics_pieces_are_those_of_rdkit(molecules: list[Molecule]) -> None:
    for molecule in molecules[::5]:
        broken = Chem.Mol(BRICS.BreakBRICSBonds(molecule.mol))
        for atom in broken.GetAtoms():
            atom.SetIsotope(0)
        expected = Chem.MolToSmiles(broken).split(".")
        assert sorted(part.smiles for part in fragments(molecule, "brics")) == sorted(expected)


def test_scaffolds_are_those_of_rdkit(molecules: list[Molecule]) -> None:
    for molecule in molecules[::2]:
        scaffold = {i for part in fragments(molecule, "murcko") if part.name == "scaffold" for i in part.atoms}
        core = MurckoScaffold.GetScaffoldForMol(molecule.mol)
        assert len(scaffold) == core.GetNumAtoms()
        rings = {i for ring in molecule.mol.GetRingInfo().AtomRings() for i in ring}
        assert rings <= scaffold
        if scaffold:
            kept = Chem.RWMol(molecule.mol)
            for i in sorted(set(range(len(molecule))) - scaffold, reverse=True):
                kept.RemoveAtom(i)
            assert len(kept.GetSubstructMatch(core)) == core.GetNumAtoms()


def test_ring_systems_are_merged_rings(molecules: list[Molecule]) -> None:
    for molecule in molecules[::2]:
        systems: list[set[int]] = []
        for ring in map(set, molecule.mol.GetRingInfo().AtomRings()):
            touching = [system for system in systems if system & ring]
            systems = [system for system in systems if not system & ring] + [ring.union(*touching)]
        found = [part.atoms for part in fragments(molecule, "rings") if part.name == "ring system"]
        assert sorted(map(sorted, found)) == sorted(map(sorted, systems))


def test_functional_groups_are_counted_as_rdkit_counts_them(molecules: list[Molecule]) -> None:
    seen: Counter[str] = Counter()
    for molecule in molecules[::20]:
        found = Counter(part.name for part in fragments(molecule, "functional_groups"))
        assert found == Counter({name: n for name, count in Fragments.fns if (n := count(molecule.mol))})
        full = with_hydrogens(molecule)
        assert fragments(full, "functional_groups") == fragments(molecule, "functional_groups")
        seen += found
    assert len(seen) > 25


@pytest.mark.parametrize(
    ("smiles", "kind", "expected"),
    [
        ("CCOC", "brics", [("*CC", "*CC", [0, 1]), ("*OC", "*OC", [2, 3])]),
        ("CC", "brics", [("CC", "CC", [0, 1])]),
        ("[Na+].CC(=O)[O-]", "brics", [("[Na+]", "[Na+]", [0]), ("CC(=O)[O-]", "CC(=O)[O-]", [1, 2, 3, 4])]),
        ("O=C1CCC1C", "murcko", [("scaffold", "*C1CCC1=O", [0, 1, 2, 3, 4]), ("side chain", "*C", [5])]),
        ("C1CC1CCC1CC1.Cl", "murcko", [("scaffold", "C1CC1CCC1CC1", [*range(8)]), ("acyclic", "Cl", [8])]),
        ("C1CC1C1CC1", "rings", [("ring system", "*C1CC1", [0, 1, 2]), ("ring system", "*C1CC1", [3, 4, 5])]),
        ("C1CC12CC2", "rings", [("ring system", "C1CC12CC2", [*range(5)])]),
        ("O=C1CC1", "rings", [("chain", "*=O", [0]), ("ring system", "*=C1CC1", [1, 2, 3])]),
        ("CC(=O)OC", {"acid part": "C(=O)O"}, [("acid part", "O=CO", [1, 2, 3])]),
        ("CCO", ["CC", "CO", "[CH3]"], [("CC", "CC", [0, 1]), ("CO", "CO", [1, 2]), ("[CH3]", "C", [0])]),
        ("C.N", ["O"], []),
    ],
)  # fmt: skip
def test_parts_by_hand(smiles: str, kind: object, expected: Parts) -> None:
    assert parts(smiles, kind) == expected


def test_deuterium_is_with_its_ring() -> None:
    assert [sorted(part.atoms) for part in fragments(read_one("[2H]c1ccccc1C"), "rings")] == [
        [0, 1, 2, 3, 4, 5, 6],
        [7],
    ]


def test_smarts_match_hydrogens_only_where_they_say_so() -> None:
    methanol = with_hydrogens(read_one("CO"))
    assert [sorted(part.atoms) for part in fragments(methanol, ["[CH3]", "O[H]"])] == [[0], [1, 5]]


def test_more_matches_than_rdkit_gives_unasked() -> None:
    assert len(fragments(read_one("C" * 1500), ["[#6]"])) == 1500


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("scaffold", "kind='scaffold': expected 'brics', 'murcko', 'rings', 'functional_groups', or SMARTS in a list"),
        (["C", "C(("], r"The SMARTS 'C((' cannot be read: "),
        ({"ring": "c1cc"}, "The SMARTS 'c1cc' (ring) cannot be read: unclosed ring"),
        ([""], "The SMARTS '' cannot be read: expected a string that is not empty"),
    ],
)
def test_what_is_no_kind(kind: object, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError) as caught:
        fragments(read_one("CCO"), kind)  # type: ignore[arg-type]
    assert str(caught.value).startswith(words) and "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_bonds_are_needed(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("2\nwater's ion\nO 0 0 0\nH 0 0 0.97\n")
    ion = read_one(tmp_path / "a.xyz")
    with pytest.raises(InputError, match="perceive_bonds"):
        fragments(ion, "brics")
    with pytest.raises(InputError, match="perceive_bonds"):
        fragments(ion, ["O"])
    bonded = perceive_bonds(Molecule(ion.numbers, ion.name, positions=ion.positions, charge=-1))
    assert [(part.name, part.atoms) for part in fragments(bonded, "rings")] == [("chain", frozenset({0, 1}))]
