"""Readers of molecules, to be fed with damaged files: ``TARGETS`` take bytes, ``SEEDS`` are whole files to damage."""

import gzip
import os
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from io import BytesIO, StringIO
from itertools import islice
from pathlib import Path

import ase
import ase.io
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rdkit import Chem
from rdkit.Chem import AllChem

from sciexplain.domains.molecules.convert import from_smiles
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read import attempts, count
from sciexplain.domains.molecules.sdf_record import sdf_record
from sciexplain.errors import DataError

MOST = 100
"""Attempts that are looked at; damage that repeats lines makes many."""
WRITTEN = 60
"""Atoms of the largest molecule that is written again."""

_MEMORY = Path("/dev/shm" if Path("/dev/shm").is_dir() else tempfile.gettempdir())


def feed(suffix: str, content: bytes) -> None:
    """Read a file of this content; molecules that come of it must be ones, and errors must be told as such.

    Raises
    ------
    Exception
        What a reader should have told as a :class:`~sciexplain.errors.DataError`.
    """
    path = _MEMORY / f"fuzz-{os.getpid()}{suffix}"
    try:
        path.write_bytes(content)
        found = list(islice(attempts(path), MOST))
        for place, one in found:
            _check(place, one)
        if len(found) < MOST:
            assert count(path) == len(found), (count(path), len(found))
        if len(found) > 1:
            later = [place for place, _ in islice(attempts(path, start=1), MOST - 1)]
            assert later == [place for place, _ in found[1:]], (later, found)
    finally:
        path.unlink(missing_ok=True)


def feed_smiles(content: bytes) -> None:
    """Read a SMILES, and write its molecule."""
    try:
        molecule = from_smiles(content.decode("utf-8", "replace"))
    except DataError as error:
        assert str(error).startswith("found ") and "\n" not in str(error), repr(str(error))
        return
    _check("", molecule)


def _check(place: str, found: Molecule | DataError) -> None:
    if isinstance(found, DataError):
        assert str(found).startswith(f"{place}: found "), repr(str(found))
        assert "\n" not in str(found) and len(str(found)) < 2000, repr(str(found))
        return
    n = len(found)
    assert n and found.numbers.dtype == np.int64 and 0 <= found.numbers.min() <= found.numbers.max() <= 118
    assert found.mol is None or found.mol.GetNumAtoms() == n
    assert found.positions is None or (found.positions.shape == (n, 3) and np.isfinite(found.positions).all())
    assert isinstance(found.name, str) and isinstance(found.charge, int)
    if n <= WRITTEN:
        pairs = {(i, i): -1e-20 for i in range(n)} | {(0, n - 1): 0.1}
        text = sdf_record(found, np.linspace(-1, 1, n), pairs, 1 / 3, unit="eV")
        assert text.count("\n$$$$\n") == 1 and text.endswith("\n\n$$$$\n"), text


def _geometry(smiles: str) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    return mol


def _sdf(*blocks: str) -> bytes:
    return "".join(f"{block}> <y>\n1.5\n\n>  <name>  (2)\na\nb\n\n$$$$\n" for block in blocks).encode()


def _xyz(*frames: ase.Atoms, kind: str) -> bytes:
    text = StringIO()
    ase.io.write(text, frames, format=kind)
    return text.getvalue().encode()


def _parquet(table: pa.Table, **options: object) -> bytes:
    buffer = BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


_SMILES = ("CCO", "c1ccccc1O", "C/C=C\\C", "[Na+].[Cl-]", "N[C@@H](C)C(=O)O", "C1CC", "*C", "[13CH4]", "CC |$a;b$|")
_CSV = b'name,smiles,y\nethanol,CCO,1.5\n"a, ""b""\nc",c1ccccc1,\nx,C1CC,007\n\nsalt,[Na+].[Cl-],1e-3\n'
_FLAT = [Chem.MolToMolBlock(Chem.MolFromSmiles(text)) for text in ("CCO", "C[C@H](N)C(=O)O", "c1ccc2[nH]ccc2c1")]
_SOLID = [Chem.MolToMolBlock(_geometry(text)) for text in ("CO", "C[NH3+]")]
_LONG = [Chem.MolToV3KMolBlock(_geometry("CC=O")), Chem.MolToV3KMolBlock(Chem.MolFromSmiles("C[C@H](F)Cl |o1:1|"))]
_RICH = Chem.MolFromSmiles("*CC(=O)[O-].[13CH3]N* |$R1;;;;;;;R2$,Sg:n:1,2:n:ht,SgD:3:a:b:gt:c:d:|")
_QUERY = Chem.MolFromSmarts("[#6,#7]-[!#8]~C:c")
for _mol in (_RICH, _QUERY):
    AllChem.Compute2DCoords(_mol)
_RICH_BLOCKS = [write(mol) for mol in (_RICH, _QUERY) for write in (Chem.MolToMolBlock, Chem.MolToV3KMolBlock)]
_WATER = ase.Atoms("OHH", [[0, 0, 0.1], [0, 0.8, -0.5], [0, -0.8, -0.5]], info={"charge": 0, "name": "water"})
_METAL = ase.Atoms("Na", cell=[3, 3, 3], pbc=[True, True, False], info={"energy": -2.5, "note": "a b"})
_TABLE = pa.table(
    {
        "smiles": [*_SMILES[:6], None],
        "name": [f"m{i}" for i in range(7)],
        "y": [1, None, 3, 4, 5, 6, 7],
        "z": [0.5] * 7,
        "day": pa.array(range(7), pa.date32()),
        "list": [[1, 2]] * 7,
    }
)
_PLAIN = b"3\nwater\nO 0.0 0.0 0.1\nH 0.0 0.8 -0.5\nH 0.0 -0.8 -0.5\n2\n7\n6 0 0 0 0.1\n8 0 0 1.1 x\n\n"

SEEDS: dict[str, list[bytes]] = {
    "molecules/smiles": [
        *(text.encode() for text in _SMILES),
        *(b"C%10CC%10", b"[Fe+3].[Cl-].[Cl-].[Cl-]", b"F[Po@SP1](Cl)(Br)I", b"C->[Pt]", b"[2H]O[2H]", b"[#6]~[#7]"),
        *(
            b"c1cc2ccc3cccc4ccc(c1)c2c34",
            b"CC |(0,0,;1,0,)|",
            b"C[C@@H](O)F |&1:1|",
            b"[CH2:7]=[CH2:8]",
            b"C%(100)C%(100)",
        ),
        *(b"*C* |$R1;;R2$,Sg:n:1:n:ht|", b"[U+6]", b"C1CC2CC1C2", b"[nH]1cccc1", b"CC{-}C", b"CCO ethanol |x|"),
    ],
    "molecules/csv": [_CSV, _CSV.replace(b",", b";").replace(b"\n", b"\r\n"), b"\xef\xbb\xbfSMILES\nCC\n"],
    "molecules/tsv": [_CSV.replace(b",", b"\t")],
    "molecules/smi": [b"SMILES Name\nCCO\tethyl alcohol\n\n# x\nc1ccccc1 benzene\nC1CC bad\n CC\n", b"C\rCC\rCCC"],
    "molecules/txt": [b"CCO ethanol\nCC\n", b"id\tsmiles\n1\tCC\n", b"hello world\n"],
    "molecules/csv.gz": [gzip.compress(_CSV, mtime=0), gzip.compress(_CSV, 1, mtime=0) * 2],
    "molecules/sdf": [
        _sdf(*_FLAT[:2]),
        _sdf(_SOLID[0]) + b"junk\n$$$$\n" + _sdf(_FLAT[2]),
        _sdf(_SOLID[1]),
        _sdf(*_RICH_BLOCKS[::2]),
    ],
    "molecules/sdf.v3000": [_sdf(_LONG[0]), _sdf(_LONG[1], _FLAT[0]), *map(_sdf, _RICH_BLOCKS[1::2])],
    "molecules/mol": [block.encode() for block in (*_FLAT, *_SOLID, *_LONG, *_RICH_BLOCKS)],
    "molecules/xyz": [_PLAIN, _PLAIN.replace(b"\n", b"\r\n"), _xyz(_WATER, kind="xyz")],
    "molecules/extxyz": [_xyz(_WATER, _METAL, kind="extxyz"), _xyz(_METAL, kind="extxyz")],
    "molecules/parquet": [
        _parquet(_TABLE, row_group_size=3),
        _parquet(_TABLE.select(["smiles", "y"]), compression="zstd", use_dictionary=False),
        _parquet(_TABLE.select(["name", "smiles"]), compression="none", data_page_version="2.0"),
    ],
}
"""Whole files, by the names of the targets that take them."""

TARGETS: dict[str, Callable[[bytes], None]] = {
    "molecules/smiles": feed_smiles,
    **{
        name: partial(feed, "." + name.partition("/")[2].removesuffix(".v3000"))
        for name in SEEDS
        if name != "molecules/smiles"
    },
}
"""What to call with bytes; it returns where they are read or refused, and raises where a reader fails."""

warnings.filterwarnings("ignore", module="ase")
