"""What is written is read back by the libraries that own the formats."""

import ase.io
import ase.io.cube
import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from ase.build import molecule as ase_molecule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rdkit import Chem

from sciexplain.domains.molecules.files import write_cube, write_extxyz, write_sdf
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.tables import write_csv, write_parquet
from sciexplain.errors import DataError, InputError

RANDOM = np.random.default_rng(0)


def of(smiles: str, name: str = "", sanitize: bool = True) -> Molecule:
    mol = Chem.MolFromSmiles(smiles, sanitize=sanitize)
    return Molecule(np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]), name or smiles, mol)


def in_space(name: str) -> Molecule:
    atoms = ase_molecule(name)
    return Molecule(atoms.numbers.astype(np.int64), name, positions=atoms.positions + RANDOM.normal(size=3))


def numbers(molecule: Molecule) -> np.ndarray:
    return RANDOM.normal(size=len(molecule)) * 10.0 ** RANDOM.integers(-20, 20, len(molecule))


def read_sdf(path) -> list:
    return list(Chem.SDMolSupplier(str(path), removeHs=False, sanitize=False))


def relevance(mol) -> list[float]:
    return [atom.GetDoubleProp("Relevance") for atom in mol.GetAtoms()]


@pytest.mark.parametrize("v3000", [False, True])
def test_sdf(tmp_path, v3000):
    molecules = [
        of("C/C=C\\C"),
        of("c1ccccc1[N+](=O)[O-].[Na+]", "a name\nwith a line break\n$$$$"),
        of("c1cccc1", sanitize=False),
        in_space("CH3CH2OH"),
        of("C" * 150),
    ]
    values = [numbers(molecule) for molecule in molecules]
    pairs = [{(1, 0): 1 / 3, (2, 2): -1e-17, (0, 3): 2.0} for _ in molecules]
    scores = [0.1, -2.0, 3e-300, 4.0, 5.0]
    path = write_sdf(tmp_path / "a.sdf", molecules, values, pairs, scores, unit="eV\n\n$$$$", target="gap", v3000=v3000)
    read = read_sdf(path)
    assert len(read) == len(molecules) and ("V3000" in path.read_text()) == v3000
    for mol, molecule, value, score in zip(read, molecules, values, scores, strict=True):
        assert [atom.GetAtomicNum() for atom in mol.GetAtoms()] == molecule.numbers.tolist()
        assert relevance(mol) == value.tolist()
        assert mol.GetDoubleProp("Score") == score and mol.GetProp("Target") == "gap"
        assert mol.GetProp("RelevanceUnit") == "eV $$$$"
        lines = [line.split() for line in mol.GetProp("PairRelevance").split("\n")]
        assert {(int(i), int(j)): float(v) for i, j, v in lines} == {(0, 1): 1 / 3, (2, 2): -1e-17, (0, 3): 2.0}
        assert mol.GetBondBetweenAtoms(0, 1).GetDoubleProp("Relevance") == 1 / 3
        assert len({tuple(row) for row in mol.GetConformer().GetPositions().tolist()}) == len(molecule)
    assert read[1].GetProp("_Name") == "a name with a line break $$$$"
    np.testing.assert_allclose(read[3].GetConformer().GetPositions(), molecules[3].positions, atol=1e-4)
    sanitized = next(iter(Chem.SDMolSupplier(str(path), removeHs=False)))
    assert Chem.MolToSmiles(sanitized) == "C/C=C\\C"
    assert not molecules[0].mol.GetAtomWithIdx(0).HasProp("Relevance"), "the user's molecule was changed"


def test_sdf_of_many_atoms_becomes_v3000(tmp_path):
    molecule = Molecule(np.full(1200, 10), "neon", positions=RANDOM.uniform(0, 200, (1200, 3)))
    values = numbers(molecule)
    (mol,) = read_sdf(write_sdf(tmp_path / "a.sdf", [molecule], [values]))
    assert relevance(mol) == values.tolist()


def test_extxyz_is_exact(tmp_path):
    molecules = [in_space("CH3CH2OH"), in_space("C60"), in_space("O2")]
    cell = RANDOM.normal(size=(3, 3))
    molecules.append(Molecule(np.array([11, 17]), "salt", None, np.eye(3)[:2], 1, "", cell, (True, False, True)))
    values = [numbers(molecule) for molecule in molecules]
    path = write_extxyz(tmp_path / "a.xyz", molecules, values, [1 / 3, -1.0, 1e-9, 7.0], unit="kcal/mol", target="E")
    frames = ase.io.read(path, ":")
    for frame, molecule, value, score in zip(frames, molecules, values, [1 / 3, -1.0, 1e-9, 7.0], strict=True):
        np.testing.assert_array_equal(frame.numbers, molecule.numbers)
        np.testing.assert_array_equal(frame.positions, molecule.positions)
        np.testing.assert_array_equal(frame.arrays["relevance"], value)
        assert frame.info["score"] == score and frame.info["unit"] == "kcal/mol" and frame.info["target"] == "E"
        assert frame.info["name"] == molecule.name and tuple(frame.pbc) == molecule.periodic
    np.testing.assert_array_equal(frames[-1].cell.array, cell)
    assert frames[-1].info["charge"] == 1 and not frames[0].cell.array.any()


@pytest.mark.parametrize(
    "name", ["12", "T", "F/C=C\\F", 'a "b"', "a=b [1,2]", "", "_JSON 1", "1 2 3", "two\nlines", "Å"]
)
def test_extxyz_names(tmp_path, name):
    path = write_extxyz(tmp_path / "a.xyz", [Molecule(np.array([1]), name, positions=np.zeros((1, 3)))], [[1.0]])
    assert ase.io.read(path).info.get("name", "") == name


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=12))
def test_extxyz_any_name_comes_back(tmp_path, name):
    path = write_extxyz(tmp_path / "a.xyz", [Molecule(np.array([1]), name, positions=np.zeros((1, 3)))], [[1.0]])
    assert ase.io.read(path).info["name"] == name


@pytest.mark.parametrize("steps", [np.array([0.2, 0.3, 0.4]), np.array([[0.2, 0, 0], [0.1, 0.3, 0], [0, 0, 0.4]])])
def test_cube(tmp_path, steps):
    molecule, values = in_space("H2O"), RANDOM.normal(size=(3, 4, 5))
    path = write_cube(tmp_path / "a.cube", molecule, values, [1.0, 2.0, 3.0], steps, unit="eV")
    with path.open() as file:
        read = ase.io.cube.read_cube(file)
    np.testing.assert_allclose(read["data"], values, rtol=1e-6)
    np.testing.assert_allclose(read["origin"], [1, 2, 3], atol=1e-6)
    np.testing.assert_allclose(read["spacing"], np.diag(steps) if steps.ndim == 1 else steps, atol=1e-6)
    np.testing.assert_allclose(read["atoms"].positions, molecule.positions, atol=1e-6)
    # In the file: bohr.
    assert float(path.read_text().splitlines()[2].split()[1]) == pytest.approx(1.0 / 0.529177, rel=1e-5)


@pytest.mark.parametrize(
    ("write", "read", "suffix"),
    [(write_csv, pyarrow.csv.read_csv, ".csv"), (write_parquet, pyarrow.parquet.read_table, ".parquet")],
)
def test_tables(tmp_path, write, read, suffix):
    molecules = [of("CCO", 'name, with "quotes"\nand lines'), of("Cl")]
    values = [numbers(molecule) for molecule in molecules]
    paths = write(tmp_path / f"a{suffix}", molecules, values, [{(0, 1): 0.1, (1, 1): 2.0}, {}], unit="eV")
    assert [path.name for path in paths] == [f"a.atoms{suffix}", f"a.bonds{suffix}"]
    parse = {"parse_options": pyarrow.csv.ParseOptions(newlines_in_values=True)} if suffix == ".csv" else {}
    atoms, bonds = (read(str(path), **parse).to_pydict() for path in paths)
    assert atoms["relevance"] == [*values[0].tolist(), *values[1].tolist()]
    assert atoms["molecule"] == [0, 0, 0, 1] and atoms["atom"] == [0, 1, 2, 0]
    assert atoms["element"] == ["C", "C", "O", "Cl"] and set(atoms["unit"]) == {"eV"}
    assert atoms["name"] == [molecules[0].name] * 3 + ["Cl"]
    assert list(zip(bonds["molecule"], bonds["i"], bonds["j"], bonds["relevance"], strict=True)) == [
        (0, 0, 1, 0.1),
        (0, 1, 1, 2.0),
    ]
    assert [path.name for path in write(tmp_path / "b", molecules, values)] == [f"b.atoms{suffix}"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_sdf(tmp_path / "a.sdf", [of("CO")], [[1.0, 2.0]])
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"atoms of shape \(3,\)"):
        write_sdf(path, [of("CO"), of("CC")], [[1.0, 2.0], [1.0, 2.0, 3.0]])
    (tmp_path / "folder.cube").mkdir()
    with pytest.raises(DataError, match=r"folder\.cube: cannot be written"):
        write_cube(tmp_path / "folder.cube", in_space("O2"), np.zeros((2, 2, 2)), np.zeros(3), np.ones(3))
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.sdf", "folder.cube"]


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_sdf(path, [in_space("O2")], [[1.0, 2.0]]),
        lambda path: write_extxyz(path, [in_space("O2")], [[1.0, 2.0]]),
        lambda path: write_cube(path, in_space("O2"), np.zeros((2, 2, 2)), np.zeros(3), np.ones(3)),
        lambda path: write_csv(path, [in_space("O2")], [[1.0, 2.0]]),
        lambda path: write_parquet(path, [in_space("O2")], [[1.0, 2.0]]),
    ],
)
def test_a_missing_folder_is_named(tmp_path, write):
    with pytest.raises(DataError, match=r"the folder .*none does not exist"):
        write(tmp_path / "none" / "a")
    assert not list(tmp_path.iterdir())


def test_bad_input(tmp_path):
    with pytest.raises(InputError, match="scores of 1 molecules for 2"):
        write_sdf(tmp_path / "a.sdf", [of("C"), of("O")], scores=[1.0])
    with pytest.raises(InputError, match="without a geometry"):
        write_extxyz(tmp_path / "a.xyz", [of("C")], [[1.0]])
    with pytest.raises(InputError, match="neither atoms nor bonds"):
        write_csv(tmp_path / "a.csv", [of("C")])
