"""Files and objects of every kind against what was written into them, and damaged ones against their reasons."""

import csv
import gzip
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from sciexplain.domains.molecules.convert import value
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read import read, read_one
from sciexplain.errors import DataError, InputError

Data = Callable[[str], Path]

WATER = "3\nwater\nO 0.0 0.0 0.1\nH 0.0 0.8 -0.5\nH 0.0 -0.8 -0.5\n"


def attempt(source: Any, **options: Any) -> tuple[list[Molecule], dict[str, str]]:
    """What is read and, by place, why the rest is not."""
    failed: dict[str, str] = {}
    molecules = list(read(source, on_error=lambda place, error: failed.__setitem__(place, str(error)), **options))
    return molecules, failed


def ethanol_3d(name: str = "ethanol", **properties: str) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles("OCC"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    mol.SetProp("_Name", name)
    for key, text in properties.items():
        mol.SetProp(key, text)
    return mol


def sdf(*mols: Chem.Mol) -> str:
    def record(mol: Chem.Mol) -> str:
        properties = "".join(f"> <{key}>\n{mol.GetProp(key)}\n\n" for key in mol.GetPropNames())
        return Chem.MolToMolBlock(mol) + properties + "$$$$\n"

    return "".join(map(record, mols))


@pytest.mark.parametrize(
    ("file", "rows", "name", "label"),
    [
        ("ESOL_delaney-processed.csv", 1128, "Compound ID", "measured log solubility in mols per litre"),
        ("FreeSolv_SAMPL.csv", 642, "iupac", "expt"),
    ],
)
def test_tables_whose_rows_all_parse(shared_data: Data, file: str, rows: int, name: str, label: str) -> None:
    path = shared_data(f"molecules/moleculenet/{file}")
    molecules, failed = attempt(path)
    assert len(molecules) == rows and not failed
    with path.open() as lines:
        for line, (molecule, row) in enumerate(zip(molecules, csv.DictReader(lines), strict=True), 2):
            assert (molecule.source, molecule.name) == (f"{file}:{line}", row[name].strip())
            assert molecule.labels is not None and molecule.labels[label] == float(row[label])
            assert set(molecule.labels) == set(row) - {"smiles", name}
            atoms = [atom.GetAtomicNum() for atom in Chem.MolFromSmiles(row["smiles"]).GetAtoms()]
            assert molecule.numbers.tolist() == atoms and molecule.positions is None


def test_rows_that_do_not_parse_are_named_with_reasons(shared_data: Data, capfd: pytest.CaptureFixture[str]) -> None:
    path = shared_data("molecules/moleculenet/BBBP.csv")
    molecules, failed = attempt(path)
    assert (len(molecules), len(failed)) == (2039, 11)
    lines = path.read_text().splitlines()
    for place, message in failed.items():
        smiles = lines[int(place.removeprefix("BBBP.csv:")) - 1].rsplit(",", 1)[1]
        assert message.startswith(f"{place}: found '{smiles}', which RDKit does not read: Explicit valence for atom # ")
        assert "N, 4, is greater than permitted" in message and "\n" not in message
    with pytest.raises(DataError, match=r"^BBBP\.csv:61: found 'O=N"):
        list(read(path))
    assert capfd.readouterr().err == ""


def test_gzipped_table_with_empty_cells(shared_data: Data) -> None:
    molecules, failed = attempt(shared_data("molecules/moleculenet/tox21.csv.gz"), limit=1322)
    assert len(molecules) == 1322 and not failed
    assert molecules[0].name == "TOX3021" and molecules[0].charge == 0
    assert molecules[0].labels is not None
    assert (molecules[0].labels["NR-AhR"], molecules[0].labels["NR-Aromatase"]) == (1.0, None)


def test_sdf_of_qm9_with_a_damaged_record(shared_data: Data, capfd: pytest.CaptureFixture[str]) -> None:
    path = shared_data("molecules/qm9_mini/qm9_mini.sdf")
    molecules, failed = attempt(path)
    assert [molecule.name for molecule in molecules] == [f"gdb_{i}" for i in (*range(1, 20), 21)]
    assert list(failed) == ["qm9_mini.sdf:20"] and "Element ''" in failed["qm9_mini.sdf:20"]
    assert molecules[-1].source == "qm9_mini.sdf:21"
    methane = molecules[0]
    assert methane.numbers.tolist() == [6, 1, 1, 1, 1] and methane.positions is not None
    np.testing.assert_allclose(methane.positions[3], [-0.5408, 1.4475, -0.8766])
    assert capfd.readouterr().err == ""


def test_xyz_of_qm7(shared_data: Data, tmp_path: Path) -> None:
    with tarfile.open(shared_data("molecules/qm7/qm7_xyz_7101.tar.gz")) as archive:
        members = [member for member in archive if member.name.endswith(".xyz")][:40]
        archive.extractall(tmp_path, members, filter="data")
    folder = (tmp_path / members[0].name).parent
    molecules, failed = attempt(folder)
    files = sorted(folder.iterdir())
    assert len(molecules) == 40 and not failed
    for molecule, file in zip(molecules, files, strict=True):
        rows = [line.split() for line in file.read_text().splitlines()[2:]]
        assert molecule.source == f"{file.name}:1" and molecule.charge == 0 and molecule.mol is None
        assert [Chem.GetPeriodicTable().GetElementSymbol(int(z)) for z in molecule.numbers] == [row[0] for row in rows]
        np.testing.assert_allclose(molecule.positions, np.array([row[1:4] for row in rows], float))


CELLS = [
    ("CCO", "ethanol", "1.5"),
    ("[Na+].[Cl-]", "salt, solid", ""),
    ("C[CH2]", "ethyl radical", "high"),
    ("C", "", "-2"),
]
NAMES = ["ethanol", "salt, solid", "ethyl radical", "C"]
VALUES = [1.5, None, "high", -2.0]


@pytest.mark.parametrize(
    ("file", "delimiter"),
    [("a.csv", ","), ("a.CSV.gz", ","), ("a.csv", ";"), ("a.tsv", "\t"), ("a.txt", ","), ("a.txt", "\t")],
)
@pytest.mark.parametrize("column", ["smiles", "SMILES", "Canonical_SMILES", "my smiles (rdkit)"])
def test_tables(tmp_path: Path, file: str, delimiter: str, column: str) -> None:
    path = tmp_path / file
    with gzip.open(path, "wt", newline="") if file.endswith("gz") else path.open("w", newline="") as lines:
        lines.write("\ufeff")
        csv.writer(lines, delimiter=delimiter).writerows([("y", column, "Name"), *((y, s, n) for s, n, y in CELLS)])
    molecules, failed = attempt(path)
    assert not failed and [m.name for m in molecules] == NAMES
    assert [m.labels for m in molecules] == [{"y": y} for y in VALUES]
    assert [m.source for m in molecules] == [f"{file}:{i}" for i in range(2, 6)]
    assert [m.numbers.tolist() for m in molecules] == [[6, 6, 8], [11, 17], [6, 6], [6]]


def test_parquet(tmp_path: Path) -> None:
    smiles, names, _ = zip(*CELLS, strict=True)
    table = pa.table(
        {"smiles": [*smiles, None], "name": [*names, "?"], "y": [1, 2, None, 4, 5], "z": [0.5, None, 1, 2, 3]}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    molecules, failed = attempt(str(tmp_path / "a.parquet"))
    assert [m.name for m in molecules] == NAMES
    assert [m.labels for m in molecules] == [{"y": y, "z": z} for y, z in [(1, 0.5), (2, None), (None, 1), (4, 2)]]
    assert molecules[3].source == "a.parquet:4" and list(failed) == ["a.parquet:5"]


def test_columns_that_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("reactant_smiles,product_smiles,code,name\nCC,CCO,007,x\n")
    with pytest.raises(
        DataError, match=r"a\.csv: found the columns reactant_smiles, product_smiles, code, name; .*smiles="
    ):
        read_one(path)
    with pytest.raises(DataError, match="expected one named 'smile'"):
        read_one(path, smiles="smile")
    molecule = read_one(path, smiles="product_smiles", name="code")
    assert (molecule.name, molecule.labels) == ("007", {"reactant_smiles": "CC", "name": "x"})
    sd = tmp_path / "a.sdf"
    sd.write_text(sdf(ethanol_3d(code="E1", y="2")))
    molecule = read_one(sd, name="code")
    assert (molecule.name, molecule.labels) == ("E1", {"y": 2.0})
    with pytest.raises(DataError, match=r"a\.sdf:1: found the properties code, y; expected one named 'id'"):
        read_one(sd, name="id")


@pytest.mark.parametrize("file", ["a.smi", "a.txt", "a.smi.gz"])
@pytest.mark.parametrize("header", ["", "SMILES Name\n"])
def test_smi(tmp_path: Path, file: str, header: str) -> None:
    text = f"{header}CCO\tethyl alcohol\n\nc1ccccc1 benzene\nC1CC bad\nCC\n"
    (tmp_path / file).write_bytes(gzip.compress(text.encode()) if file.endswith("gz") else text.encode())
    molecules, failed = attempt(tmp_path / file)
    assert [m.name for m in molecules] == ["ethyl alcohol", "benzene", "CC"]
    first = 1 + bool(header)
    assert [m.source for m in molecules] == [f"{file}:{first + i}" for i in (0, 2, 4)]
    assert list(failed) == [f"{file}:{first + 3}"] and "unclosed ring" in failed[f"{file}:{first + 3}"]


def test_sdf_keeps_hydrogens_properties_and_only_true_geometry(tmp_path: Path) -> None:
    solid, flat = ethanol_3d(y="-1.25", note="two\nlines"), Chem.MolFromSmiles("OCC")
    AllChem.Compute2DCoords(flat)
    for file in ("a.sdf", "a.sdf.gz", "crlf.sdf"):
        text = sdf(solid, flat)
        text = text.replace("\n", "\r\n") if file == "crlf.sdf" else text
        (tmp_path / file).write_bytes(gzip.compress(text.encode()) if file.endswith("gz") else text.encode())
        first, second = read(tmp_path / file)
        assert first.labels == {"y": -1.25, "note": "two\nlines"} and first.name == "ethanol"
        assert first.numbers.tolist() == [8, 6, 6] + [1] * 6
        np.testing.assert_allclose(first.positions, solid.GetConformer().GetPositions(), atol=5e-5)
        assert second.positions is None and second.numbers.tolist() == [8, 6, 6] and second.name == "CCO"
    (tmp_path / "a.mol").write_text(Chem.MolToMolBlock(solid))
    assert read_one(tmp_path / "a.mol").source == "a.mol:1"


def test_extended_xyz(tmp_path: Path) -> None:
    frames = [ase.Atoms("OH", [[0, 0, 0], [0, 0, 0.97]], info={"charge": -1, "name": "hydroxide", "energy": -2.5})]
    frames += [ase.Atoms("Na", cell=[3, 3, 3], pbc=[True, True, False], info={"note": "metal"})]
    ase.io.write(tmp_path / "a.extxyz", frames, format="extxyz")
    ion, metal = read(tmp_path / "a.extxyz")
    assert (ion.charge, ion.name, ion.cell, ion.source) == (-1, "hydroxide", None, "a.extxyz:1")
    assert ion.labels is not None and ion.labels["energy"] == -2.5
    assert metal.periodic == (True, True, False) and metal.labels == {"note": "metal"} and metal.name == "Na"
    np.testing.assert_array_equal(metal.cell, 3 * np.eye(3))


def test_plain_xyz_with_atomic_numbers_and_further_columns(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text(WATER + "2\n7\n6 0 0 0 0.1 0.2\n8 0 0 1.1 0.3 x\n\n\n")
    water, oxide = read(tmp_path / "a.xyz")
    assert (water.name, water.numbers.tolist()) == ("water", [8, 1, 1])
    assert (oxide.name, oxide.numbers.tolist(), oxide.labels) == ("7", [6, 8], None)


def test_objects() -> None:
    mol = ethanol_3d()
    read_mol = read_one(mol)
    assert read_mol.mol is mol and read_mol.name == "ethanol" and len(read_mol) == 9
    np.testing.assert_array_equal(read_mol.positions, mol.GetConformer().GetPositions())
    raw = Chem.MolFromSmiles("c1ccccc1[N+](=O)[O-]", sanitize=False)
    assert read_one(raw).mol.GetRingInfo().NumRings() == 1 and raw.NeedsUpdatePropertyCache()
    atoms = ase.Atoms("OH", [[0, 0, 0], [0, 0, 0.97]], charges=[-0.8, -0.2])
    read_atoms = read_one(atoms)
    assert (read_atoms.charge, read_atoms.mol, read_atoms.name) == (-1, None, "HO")
    read_atoms.positions[0, 0] = 5  # type: ignore[index]
    assert atoms.positions[0, 0] == 0
    assert read_one(read_mol) is read_mol


def test_a_list_of_everything(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text(WATER * 2)
    entries = ["CCO", tmp_path / "a.xyz", ethanol_3d(), "C1CC", None, [ase.Atoms("He"), "CN"], read_one("O"), 5]
    molecules, failed = attempt(iter(entries))
    assert [m.source for m in molecules] == ["[0]", "a.xyz:1", "a.xyz:2", "[2]", "[5][0]", "[5][1]", ""]
    assert list(failed) == ["[3]", "[4]", "[7]"] and "found NoneType; expected a file" in failed["[4]"]
    assert [m.name for m in read(entries, limit=2)] == ["CCO", "water"]
    assert len(list(read(entries, limit=0))) == 0
    with pytest.raises(InputError, match="limit=-1"):
        read(entries, limit=-1)


@pytest.mark.parametrize("smiles", ["C", "[H+]", "*C", "[Fe+3].[Cl-].[Cl-].[Cl-]", "C[CH]C", "C" * 300, "C/C=C\\C"])
def test_unusual_smiles(smiles: str) -> None:
    molecule = read_one(smiles)
    assert molecule.numbers.tolist() == [atom.GetAtomicNum() for atom in Chem.MolFromSmiles(smiles).GetAtoms()]
    assert (molecule.name, molecule.source, molecule.charge) == (smiles, "", Chem.GetFormalCharge(molecule.mol))


def test_path_or_smiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").write_text("CC")
    for source, words in {
        "missing.csv": r"missing.csv: found no file of this name; expected one with molecules",
        "data": "found a file ending in ''; expected .csv",
        "no/such.pdb": "found no file 'no/such.pdb', and as a SMILES: .*syntax error",
        "Xy": "found 'Xy', which RDKit does not read: syntax error while parsing: Xy$",
        " ": "found nothing where the SMILES stands",
        "CC |bad": "found 'CC |bad'",
        "C" * 5000 + "(": "syntax error",
    }.items():
        with pytest.raises(DataError, match=words.replace("|", r"\|")):
            read_one(source)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: found a folder without molecules"):
        read_one(tmp_path / "empty")


def frame(*atoms: str, count: int | None = None, comment: str = "") -> str:
    return "\n".join([str(len(atoms) if count is None else count), comment, *atoms, ""])


GOOD_FRAME = frame("H 0 0 0", "H 0 0 0.74")
GOOD_RECORD = sdf(ethanol_3d())
BAD: list[tuple[str, str | bytes, dict[int | None, str], int]] = [
    # file, contents, reason by line or record (None: of the file), molecules that are read
    ("empty.csv", "", {None: "an empty file"}, 0),
    ("empty.smi", "\n\n", {None: "an empty file"}, 0),
    ("empty.xyz", "", {None: "an empty file"}, 0),
    ("empty.sdf", "\n", {None: "an empty file"}, 0),
    ("header.csv", "smiles\n", {}, 0),
    ("none.csv", "a,b\n1,2\n", {None: "found the columns a, b; expected one named smiles"}, 0),
    ("none.txt", "hello world\n", {None: "neither a header with a column of SMILES nor a SMILES"}, 0),
    ("cells.csv", "smiles,y\n,1\nCC,2\n , \n\nC,\n", {2: "nothing where the SMILES", 4: "nothing where the SMILES"}, 2),
    ("ragged.csv", "smiles,y\nCC\nCC,1\nC,1,2\n", {2: "a row of 1 cells; expected 2", 4: "a row of 3 cells"}, 1),
    ("long.csv", 'smiles,y\nC,"a\nb"\nC1,2\nCC,3\n', {4: "unclosed ring"}, 2),
    ("quote.csv", 'smiles,y\nC,1\nCC,"2\nCCC,3\n', {3: "lines 3 to 4"}, 1),
    ("latin.csv", "smiles,name\nC,m\xe9thane\nCC,x\n".encode("latin-1"), {2: "byte 0xe9 after 'm'; expected UTF-8"}, 1),
    ("utf16.csv", "smiles\nC\n".encode("utf-16"), {None: "expected UTF-8 text"}, 0),
    ("binary.xyz", bytes(range(128, 256)), {1: "expected UTF-8 text"}, 0),
    ("cut.csv.gz", gzip.compress(b"smiles\n" + b"C\n" * 9)[:-9], {None: "expected a whole file"}, 9),
    ("not.csv.gz", b"smiles\nC\n", {None: "expected a whole file"}, 0),
    ("not.parquet", b"smiles\nC\n", {None: "expected a whole file"}, 0),
    ("few.xyz", frame("H 0 0 0", count=2) + GOOD_FRAME, {1: "found 1 lines of atoms; expected 2"}, 1),
    ("many.xyz", frame("H 0 0 0", "H 0 0 1", count=1) + GOOD_FRAME, {1: "found 2 lines of atoms; expected 1"}, 1),
    ("cut.xyz", GOOD_FRAME + GOOD_FRAME[:-11], {2: "found 1 lines of atoms"}, 1),
    ("head.xyz", "hello\n" + GOOD_FRAME, {1: "found 'hello' where a frame begins"}, 1),
    ("zero.xyz", frame() + GOOD_FRAME, {1: "without atoms"}, 1),
    ("element.xyz", frame("Qq 0 0 0") + GOOD_FRAME, {1: "the element 'Qq'"}, 1),
    ("number.xyz", frame("150 0 0 0") + GOOD_FRAME, {1: "the atomic number 150; expected 1 to 118"}, 1),
    ("same.xyz", frame("H 0 0 0", "C 3 0 0", "H 3 0 0.09") + GOOD_FRAME, {1: "1 and 2 at a distance of 0.09 Å"}, 1),
    ("nan.xyz", frame("H 0 0 0", "H 0 nan 1") + GOOD_FRAME, {1: "found atom 1 at [0.0, nan, 1.0]"}, 1),
    ("inf.xyz", frame("H 0 0 -inf") + GOOD_FRAME, {1: "found atom 0 at"}, 1),
    ("words.xyz", frame("H 0 0 zero") + GOOD_FRAME, {1: "could not convert string to float: 'zero'"}, 1),
    ("columns.xyz", frame("H 0 0") + GOOD_FRAME, {1: "found 'H 0 0' on the frame's line 3; expected a symbol and"}, 1),
    ("charge.xyz", frame("H 0 0 0", comment="charge=0.5") + GOOD_FRAME, {1: "a total charge of"}, 1),
    ("cut.sdf", GOOD_RECORD + GOOD_RECORD[:300], {2: "no line 'M  END'"}, 1),
    ("cut_label.sdf", GOOD_RECORD + sdf(ethanol_3d(y="-12.5"))[:-9], {2: "the file's end inside a property"}, 1),
    ("counts.sdf", GOOD_RECORD.replace("  9  8", " 12  8", 1) + GOOD_RECORD, {1: "Atom line too short"}, 1),
    ("element.sdf", GOOD_RECORD.replace(" O  ", " Qq ", 1) + GOOD_RECORD, {1: "Element 'Qq' not found"}, 1),
    ("bond.sdf", GOOD_RECORD.replace("  1  2  1", "  1 99  1", 1) + GOOD_RECORD, {1: "RDKit does not read"}, 1),
    ("valence.sdf", GOOD_RECORD.replace("  1  2  1", "  1  2  3", 1) + GOOD_RECORD, {1: "valence for atom # 0 O"}, 1),
    ("junk.sdf", "junk\n$$$$\n" + GOOD_RECORD, {1: "no line 'M  END'"}, 1),
]  # fmt: skip


@pytest.mark.parametrize(("file", "content", "reasons", "good"), BAD, ids=[file for file, *_ in BAD])
def test_damaged_files(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    file: str,
    content: str | bytes,
    reasons: dict[int | None, str],
    good: int,
) -> None:
    path = tmp_path / file
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    molecules, failed = attempt(path)
    assert list(failed) == [file if at is None else f"{file}:{at}" for at in reasons]
    for message, (place, words) in zip(failed.values(), zip(failed, reasons.values(), strict=True), strict=True):
        assert message.startswith(f"{place}: found ") and words in message and "\n" not in message
    assert len(molecules) == good and capfd.readouterr().err == ""
    if reasons:
        with pytest.raises(DataError, match=f"^{next(iter(failed))}: "):
            list(read(path))


def test_overlapping_positions_of_a_mol_are_refused() -> None:
    mol = ethanol_3d()
    mol.GetConformer().SetAtomPosition(1, mol.GetConformer().GetAtomPosition(0))
    with pytest.raises(DataError, match="atoms 0 and 1 at a distance of 0 Å"):
        read_one(mol)
    with pytest.raises(DataError, match="without atoms"):
        read_one(Chem.Mol())
    with pytest.raises(DataError, match="cannot sanitize: Explicit valence for atom # 1 N, 4"):
        read_one(Chem.MolFromSmiles("CN(C)(C)C", sanitize=False))


def test_read_one_wants_exactly_one(tmp_path: Path) -> None:
    for source, words in {("CC", "CO"): "several: 'CC', 'CO'", (): "found none"}.items():
        with pytest.raises(DataError, match=words):
            read_one(list(source))


def test_only_a_block_is_in_memory(tmp_path: Path) -> None:
    with (tmp_path / "big.csv").open("w") as lines:
        lines.write("smiles,note\n")
        lines.writelines(f"CC,{i:05}{'x' * 4000}\n" for i in range(3000))
    tracemalloc.start()
    count = sum(1 for _ in read(tmp_path / "big.csv"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 3000 and peak < 3_000_000 < (tmp_path / "big.csv").stat().st_size / 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", 1.0), (" -2.50 ", -2.5), ("1e5", 1e5), (".5", 0.5), ("5.", 5.0), ("0", 0.0), ("0.10", 0.1), ("", None)]
    + [(text, text) for text in ("007", "1_000", "1e", "0x10", "50-00-0", "C", "9007199254740993")]
    + [(np.float32(0.5), 0.5), (True, 1.0), (2**60, 2**60), (None, None), ([1], [1])],
)
def test_values_of_cells(text: Any, expected: Any) -> None:
    found = value(text)
    assert found == expected and type(found) is type(expected)
