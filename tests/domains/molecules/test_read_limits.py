"""Files made to take all time or memory: refused record by record, and the rest is read."""

import gzip
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rdkit import Chem

from sciexplain.domains.molecules import limits, prepare, read_lines
from sciexplain.domains.molecules.convert import check_positions, from_mol, from_smiles
from sciexplain.domains.molecules.files import write_sdf
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.prepare import embed
from sciexplain.domains.molecules.rdkit_log import rdkit_log
from sciexplain.domains.molecules.read import attempts, count
from sciexplain.domains.molecules.sdf_record import sdf_record
from sciexplain.errors import DataError, InputError

MIB = 1 << 20
RECORD = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO")) + "$$$$\n"
LYING = (
    "\n t\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\nM  V30 COUNTS {atoms} {bonds} 0 0 0\n"
    "M  V30 BEGIN ATOM\nM  V30 1 C 0 0 0 0\nM  V30 END ATOM\nM  V30 END CTAB\nM  END\n$$$$\n"
)
FLUORIDE = Chem.MolToV3KMolBlock(Chem.MolFromSmiles("C[C@H](F)Cl |o1:1|")) + "$$$$\n"
HELIUM = "1\n\nHe 0 0 0\n"
LINE, CELL = "a line of more than 1048576 bytes", "a cell of more than 131072 characters"

BOMBS: list[tuple[str, list[str], list[str]]] = [
    # file, parts, for each attempt the name of the molecule or words of the reason
    ("line.smi", ["CCO\n", "C" * 3 * MIB, "\nCC\n"], ["CCO", LINE, "CC"]),
    ("name.smi", ["CCO ", "n" * 3 * MIB, "\nCC\n"], [LINE, "CC"]),
    ("long.smi", ["C" * 20_001, "\nCC\n"], ["a SMILES of 20001 characters; expected at most 20000", "CC"]),
    ("open.smi", ["C" + "(" * 100_000, "\nCC\n"], ["a SMILES of 100001 characters", "CC"]),
    ("rings.smi", ["".join(f"C%({i})" for i in range(2000)), "\nCC\n"], ["unclosed ring", "CC"]),
    ("line.csv", ["smiles,y\nCC,", "z" * 3 * MIB, "\nCO,2\n"], ["a row of more than 1048576", "CO"]),
    ("cell.csv", ["smiles,y\nCC,", "z" * 200_000, "\nCO,2\n"], [CELL, "CO"]),
    ("number.csv", ["smiles,y\nCC,", "9" * 5_000, "\nCO,2\n"], ["CC", "CO"]),
    ("cells.csv", ["smiles,y\n", "CC," * 100_000, "\nCO,2\n"], ["a row of 100001 cells; expected 2", "CO"]),
    ("columns.csv", ["smiles", ",a" * 100_000, "\nCO\n"], ["found 100001 columns; expected at most 16384"]),
    ("header.csv", ["a," * 5_000, "b\nCO\n"], ["found the columns a, a.1, a.2"]),
    ("quoted.csv", ["smiles,y\nCC,1\nCO,\"", "z" * 200_000, '"\nCN,2\n'], ["CC", CELL, "CN"]),
    ("line.sdf", [RECORD, "x" * 3 * MIB, "\n", RECORD, RECORD], ["CCO", LINE, "CCO"]),
    ("property.sdf", [RECORD[:-5], "> <y>\n", "y" * 3 * MIB, "\n\n$$$$\n", RECORD], [LINE, "CCO"]),
    ("record.sdf", [RECORD, "x" * 60 + "\n"] + ["x" * 63 + "\n"] * (MIB // 3) + ["$$$$\n", RECORD],
     ["CCO", "a record of more than 16777216 bytes", "CCO"]),
    ("atoms.sdf", [LYING.format(atoms=10**9, bonds=0), RECORD], ["RDKit does not read", "CCO"]),
    ("bonds.sdf", [LYING.format(atoms=1, bonds=10**9), RECORD], ["RDKit does not read", "CCO"]),
    # which end the process in RDKit 2026.03
    ("list.sdf", [FLUORIDE.replace(" 4 Cl ", " 4 [] "), RECORD], ["found an empty list of elements", "CCO"]),
    ("not.sdf", [FLUORIDE.replace(" 4 Cl ", ' 4 "NOT [ ]" '), RECORD], ["found an empty list of elements", "CCO"]),
    ("stereo.sdf", [FLUORIDE.replace("STEREL1", "STEREL" + "1" * 50_000), RECORD], ["collection of more than", "CCO"]),
    ("split.sdf", [FLUORIDE.replace("ATOMS=(1 2)", "ATOMS=(1 -\n" + "M  V30 2 -\n" * 20_000 + "M  V30 2)"), RECORD],
     ["collection of more than", "CCO"]),
    ("whole.sdf", [FLUORIDE], ["C[C@H](F)Cl"]),
    ("count.xyz", ["1000000000\n\nHe 0 0 0\n", HELIUM], ["found 1 lines of atoms; expected 1000000000", "He"]),
    ("digits.xyz", ["9" * 3 * MIB, "\n\n", HELIUM], [LINE, "He"]),
    ("columns.xyz", ["1\nProperties=species:S:1:pos:R:3:x:R:1000000000\nHe 0 0 0\n", HELIUM],
     ["found 4 columns of atoms; expected 1000000004", "He"]),
    ("same.xyz", ["50000\n\n", "He 0 0 0\n" * 50_000, HELIUM], ["atoms 0 and 1 at a distance of 0 Å", "He"]),
]  # fmt: skip


@pytest.mark.parametrize(("file", "parts", "told"), BOMBS, ids=[file for file, *_ in BOMBS])
def test_one_record_is_refused_and_the_rest_read(tmp_path: Path, file: str, parts: list[str], told: list[str]) -> None:
    path = tmp_path / file
    path.write_text("".join(parts))
    del parts
    tracemalloc.start()
    found = [one for _, one in attempts(path)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count(path) == len(found) == len(told) and peak < 120 * MIB
    for one, words in zip(found, told, strict=True):
        if isinstance(one, Molecule):
            assert one.name == words
        else:
            assert words in str(one) and len(str(one)) < 1000 and "\n" not in str(one)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "smi", "txt", "sdf", "mol", "xyz", "extxyz"])
@pytest.mark.parametrize("byte", [b"\0", b"\n"])
def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, byte: bytes) -> None:
    monkeypatch.setattr(read_lines, "UNPACKED_ANYHOW", MIB)
    path = tmp_path / f"a.{suffix}.gz"
    path.write_bytes(gzip.compress(byte * 8 * MIB))
    ((place, found),) = attempts(path)
    assert place == path.name and "grows more than 200 times" in str(found) and count(path) == 1


def test_text_that_packs_well_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.smi.gz"
    path.write_bytes(gzip.compress(b"CCO ethanol\n" * 100_000))
    assert path.stat().st_size * limits.MOST_TIMES < 100_000 * 12 and count(path) == 100_000


@pytest.mark.parametrize("dictionary", [True, False])
def test_parquet_of_long_cells(tmp_path: Path, dictionary: bool) -> None:
    long = "x" * (limits.LONGEST_CELL + 1)
    table = pa.table({"smiles": ["CC", "CO", "CN"], "y": ["a", long, None], "z": [[1], [2], [3]]})
    pq.write_table(table, tmp_path / "a.parquet", use_dictionary=dictionary)
    first, second, third = (one for _, one in attempts(tmp_path / "a.parquet"))
    assert isinstance(first, Molecule) and isinstance(third, Molecule) and first.labels == {"y": "a"}
    assert "a.parquet:2: found a cell of more than 131072 characters" in str(second)


def test_parquet_that_repeats_a_long_text(tmp_path: Path) -> None:
    indices = pa.array(np.zeros(100_000, np.int32))
    column = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * limits.LONGEST_CELL]))
    pq.write_table(pa.table({"smiles": ["CC"] * 100_000, "y": column}), tmp_path / "a.parquet")
    before = pa.total_allocated_bytes()
    stream = attempts(tmp_path / "a.parquet")
    (_, first), *_ = (next(stream) for _ in range(5000))
    assert isinstance(first, Molecule) and pa.total_allocated_bytes() - before < 64 * MIB


@pytest.mark.parametrize(
    ("limit", "words"), [("MOST_ROWS", "a row group of 3 rows"), ("LARGEST_ROW_GROUP", "expected at most")]
)
def test_parquet_of_large_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, words: str) -> None:
    pq.write_table(pa.table({"smiles": ["CC", "CO", "CN"]}), tmp_path / "a.parquet")
    monkeypatch.setattr(f"sciexplain.domains.molecules.read_parquet.{limit}", 2)
    ((_, found),) = attempts(tmp_path / "a.parquet")
    assert words in str(found) and count(tmp_path / "a.parquet") == 1


def test_parquet_of_cells_that_python_lacks(tmp_path: Path) -> None:
    text = pa.array([b"CC", b"\xff", b"CO", b"CN"]).view(pa.string())
    dates = pa.array([0, 0, 2**30, 0], pa.date32())
    pq.write_table(pa.table({"smiles": text, "day": dates}), tmp_path / "a.parquet")
    found = [one for _, one in attempts(tmp_path / "a.parquet")]
    assert [isinstance(one, Molecule) for one in found] == [True, False, False, True]
    assert all("found a cell that cannot be read" in str(one) for one in found[1:3])


def test_columns_of_parquet_with_one_name(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array(["C"])] * 2, names=["smiles"] * 2), tmp_path / "a.parquet")
    ((_, found),) = attempts(tmp_path / "a.parquet")
    assert "two columns named 'smiles'" in str(found)


def test_deep_nesting_within_the_limit_is_read() -> None:
    assert len(from_smiles("C(" * 1000 + "C" + ")C" * 1000)) == 2001


def test_large_molecules_are_named_by_their_formula(tmp_path: Path) -> None:
    """A canonical SMILES of a long chain takes minutes."""
    n = 20_000
    atoms = "".join(f"M  V30 {i} C {i} 0 0 0\n" for i in range(1, n + 1))
    bonds = "".join(f"M  V30 {i} 1 {i} {i + 1}\n" for i in range(1, n))
    block = LYING.format(atoms=n, bonds=n - 1).replace("M  V30 1 C 0 0 0 0\n", atoms)
    block = block.replace("END ATOM\n", f"END ATOM\nM  V30 BEGIN BOND\n{bonds}M  V30 END BOND\n")
    (tmp_path / "a.sdf").write_text(block)
    ((_, found),) = attempts(tmp_path / "a.sdf")
    assert isinstance(found, Molecule) and found.name == f"C{n}H{2 * n + 2}"


def test_atoms_that_are_too_near() -> None:
    places = np.random.default_rng(0).uniform(0, 1000, (5000, 3))
    check_positions(places)
    for i, j, shift in ((7, 4000, 0.0), (7, 4000, 0.05), (0, 1, -0.05)):
        moved = places.copy()
        moved[j] = moved[i] + [shift, 0, 0]
        with pytest.raises(DataError, match=f"atoms {i} and {j} at a distance of {abs(shift):.3g} Å"):
            check_positions(moved)
    with pytest.raises(DataError, match="atoms 0 and 1 at a distance of 0 Å"):
        check_positions(np.array([[0.0, 0, 0], [-0.0, 0, 0]]))


def test_geometries_of_large_molecules_are_not_made() -> None:
    with pytest.raises(InputError, match="'big' has 602 atoms with its hydrogens; a geometry is made for at most 500"):
        embed(from_smiles("C" * 200, name="big"))


def test_the_search_for_a_geometry_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "EMBEDDING_SECONDS", 1)
    with pytest.raises(InputError, match="ETKDGv3 finds no geometry within 1 s"):
        embed(from_smiles("C12C3C4C1C5C4C3C25" * 30))


def test_large_molecules_are_written_without_a_formula(tmp_path: Path) -> None:
    """Their layout would take minutes."""
    (mol,) = Chem.SDMolSupplier(str(write_sdf(tmp_path / "a.sdf", [from_smiles("C" * 3000)])))
    places = mol.GetConformer().GetPositions()
    assert mol.GetNumAtoms() == 3000 and len(np.unique(places, axis=0)) == 3000


@pytest.mark.parametrize(
    ("smiles", "before", "after"),
    [
        ("*CCCC* |Sg:n:1,2:n:ht|", "ATOMS=(2 2 3)", "ATOMS=(1 5)"),  # bonds of a group without its atoms
        ("CC(=O)N |SgD:1:field:value::::|", "=field", f'="{"x" * 29}é"'),  # a letter that V2000 cuts
    ],
)
def test_groups_that_rdkit_cannot_write_are_left_out(smiles: str, before: str, after: str) -> None:
    mol = Chem.MolFromMolBlock(Chem.MolToV3KMolBlock(Chem.MolFromSmiles(smiles)).replace(before, after))
    n = mol.GetNumAtoms()
    supplier = Chem.SDMolSupplier()
    supplier.SetData(sdf_record(from_mol(mol, name="x"), np.ones(n), {(0, 1): 2.0}, 1.0, v3000="n:" in smiles))
    assert Chem.MolToSmiles(supplier[0]) == Chem.MolToSmiles(mol) and supplier[0].GetProp("_Name") == "x"


def test_every_thread_hears_its_own_errors(capfd: pytest.CaptureFixture[str]) -> None:
    inside, go = threading.Event(), threading.Event()
    heard: list[str] = []

    def listen() -> None:
        with rdkit_log() as reason:
            inside.set()
            go.wait()
            Chem.MolFromSmiles("C1CC")
            heard.append(reason())

    thread = threading.Thread(target=listen)
    with rdkit_log() as reason:
        thread.start()
        inside.wait(0.3)
        Chem.MolFromSmiles("CN(C)(C)C")
        heard.append(reason())
    go.set()
    thread.join()
    assert "valence" in heard[0] and "ring" not in heard[0] and "ring" in heard[1] and "valence" not in heard[1]
    assert capfd.readouterr().err == ""
