"""Every raw record is one attempt, wherever reading starts and however the file falls into blocks."""

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rdkit import Chem

from sciexplain.domains.molecules import read_lines, read_parquet
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read import attempts, count, read
from sciexplain.errors import DataError, InputError

SETTINGS = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Seen = tuple[str, str, str]


def seen(source: Any, start: int = 0) -> list[Seen]:
    """Of each attempt its place, and the name or the reason."""
    return [
        (place, "", f"{found.name} {found.numbers.tolist()} {found.labels}")
        if isinstance(found, Molecule)
        else (place, type(found).__name__, str(found))
        for place, found in attempts(source, start=start)
    ]


def check(source: Any, records: int | None = None) -> list[Seen]:
    """That counting and starting anywhere agree with reading all of it."""
    whole = seen(source)
    assert count(source) == len(whole) and len({place for place, *_ in whole}) == len(whole)
    for start in {1, 2, len(whole) // 2, len(whole) - 1, len(whole), len(whole) + 3}:
        assert seen(source, max(0, start)) == whole[max(0, start) :]
    good = [found for found in whole if not found[1]]
    failed: list[str] = []
    read_names = [
        f"{m.name} {m.numbers.tolist()} {m.labels}" for m in read(source, on_error=lambda p, e: failed.append(p))
    ]
    assert read_names == [name for *_, name in good]
    assert failed == [place for place, error, _ in whole if error]
    if records is not None:
        assert len(whole) == records
    return whole


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    return path


def in_blocks(path: Path, sizes: list[int], monkeypatch: pytest.MonkeyPatch, records: int | None = None) -> list[Seen]:
    """The attempts, which are the same whatever the size of a block."""
    found = check(path, records)
    for size in sizes:
        monkeypatch.setattr(read_lines, "_BLOCK", size)
        assert check(path) == found
    monkeypatch.undo()
    return found


SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=2)
BAD = ["C1CC", "xx", "", "CN(C)(C)C"]
SMILES = st.sampled_from(["CCO", "c1ccccc1", "[Na+].[Cl-]", *BAD])
CELLS = st.text(st.sampled_from('ab ",;\t\n\r#é5.'), max_size=12)
SUFFIX = st.sampled_from(["", ".gz"])
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@SETTINGS
@given(
    rows=st.lists(st.tuples(SMILES, CELLS, CELLS), max_size=12),
    delimiter=st.sampled_from(",;\t"),
    end=ENDS,
    suffix=SUFFIX,
    sizes=SIZES,
    blank=st.integers(0, 2),
)
def test_tables_that_are_well_formed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: Any,
    delimiter: str,
    end: str,
    suffix: str,
    sizes: Any,
    blank: int,
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    writer.writerows([("smiles", "name", "y"), *rows])
    path = written(
        tmp_path, f"a.csv{suffix}", ("\r\n" * blank + text.getvalue() + "\r\n" * blank).replace("\r\n", end).encode()
    )
    found = in_blocks(path, sizes, monkeypatch, len(rows))
    for (_, error, told), (smiles, name, _) in zip(found, rows, strict=True):
        assert bool(error) == (smiles in BAD)
        name = name.replace("\r\n", end).strip()
        if not error and name:
            assert told.startswith(name.replace("\r\n", "\n").replace("\r", "\n"))


@SETTINGS
@given(text=st.text(st.sampled_from('CO1()",;\t \n\r#$é5'), max_size=120), suffix=SUFFIX, sizes=SIZES)
@pytest.mark.parametrize("name", ["a.csv", "a.smi", "a.txt", "a.xyz", "a.sdf"])
def test_text_of_any_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, suffix: str, sizes: Any
) -> None:
    head = "smiles,name\n" if name == "a.csv" else ""
    in_blocks(written(tmp_path, name + suffix, (head + text).encode()), sizes, monkeypatch)


@SETTINGS
@given(
    lines=st.lists(
        st.tuples(st.sampled_from(["", "# x", "  ", " CC y", "CCO z", "C1CC", "\tN", "smiles"])), max_size=12
    ),
    end=ENDS,
    sizes=SIZES,
)
def test_lines_of_smiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: Any, end: str, sizes: Any) -> None:
    texts = [line for (line,) in lines]
    path = written(tmp_path, "a.smi", end.join(texts).encode())
    wanted = [
        (f"a.smi:{number}", line)
        for number, line in enumerate(texts, 1)
        if line.strip() and line[0] != "#" and (number, line) != (1, "smiles")
    ]
    nothing = not any(line.strip() for line in texts)
    found = in_blocks(path, sizes, monkeypatch, len(wanted) + nothing)
    assert nothing or [place for place, *_ in found] == [place for place, _ in wanted]


BLOCK = Chem.MolToMolBlock(Chem.MolFromSmiles("OCC"))
RECORDS = [
    BLOCK + "> <y>\n1\n\n$$$$\n",
    BLOCK + "$$$$\n",
    BLOCK.replace("V2000", "V9000") + "$$$$ end\n",
    "junk\n$$$$\n",
    "$$$$\n",
    BLOCK + "> <y>\n$$$\n\n$$$$\n",
]
FRAMES = [
    "3\nwater\nO 0 0 0.1\nH 0 0.8 -0.5\nH 0 -0.8 -0.5\n",
    "1\n7\nHe 0 0 0\n",
    "2\n\nH 0 0 0\n",
    "0\n\n",
    "1\n\nQq 0 0 0\n\n",
    " 1 \nProperties=species:S:1:pos:R:3 y=2\nHe 0 0 0\n",
]


@SETTINGS
@given(records=st.lists(st.sampled_from(RECORDS), min_size=1, max_size=6), end=ENDS, suffix=SUFFIX, sizes=SIZES)
def test_records_of_sdf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: Any, end: str, suffix: str, sizes: Any
) -> None:
    text = "".join(records).replace("\n", end)
    in_blocks(written(tmp_path, f"a.sdf{suffix}", text.encode()), sizes, monkeypatch, len(records))


@SETTINGS
@given(
    junk=st.sampled_from(["", "\n", "hello\n"]),
    frames=st.lists(st.sampled_from(FRAMES), min_size=1, max_size=6),
    end=ENDS,
    sizes=SIZES,
)
def test_frames_of_xyz(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, junk: str, frames: Any, end: str, sizes: Any
) -> None:
    text = (junk + "".join(frames)).replace("\n", end)
    records = len(frames) + bool(junk.strip())
    in_blocks(written(tmp_path, "a.xyz", text.encode()), sizes, monkeypatch, records)


@SETTINGS
@given(
    smiles=st.lists(st.one_of(st.none(), SMILES), max_size=30),
    group=st.integers(1, 12),
    batch=st.integers(1, 9),
    dictionary=st.booleans(),
)
def test_rows_of_parquet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smiles: Any, group: int, batch: int, dictionary: bool
) -> None:
    table = pa.table({"y": list(range(len(smiles))), "smiles": pa.array(smiles, pa.string()), "l": [[1]] * len(smiles)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=group, use_dictionary=dictionary)
    monkeypatch.setattr(read_parquet, "_BATCH", batch)
    found = check(tmp_path / "a.parquet", len(smiles))
    for number, (place, error, told) in enumerate(found):
        assert place == f"a.parquet:{number + 1}" and (error or told.endswith(f"{{'y': {float(number)}}}"))


def test_a_damaged_row_group_has_as_many_attempts_as_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"smiles": ["CCO", "CN", "CC", "C"]}), path, row_group_size=2, compression="zstd")
    content = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).dictionary_page_offset
    content[start : start + 20] = bytes(20)
    path.write_bytes(bytes(content))
    found = check(path, 4)
    assert [error for _, error, _ in found] == ["", "", "DataError", "DataError"]
    assert [place for place, *_ in found] == [f"a.parquet:{i}" for i in (1, 2, 3, 4)]


def test_folders_and_lists(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    written(folder, "a.csv", b"smiles\nCCO\nC1CC\n")
    written(folder, "b.csv", b"nothing\n1\n")
    written(folder, "c.smi.gz", b"CC\nCN\n")
    written(folder, "d.xyz", "".join(FRAMES).encode())
    (folder / "e.sdf.gz").write_bytes(gzip.compress("".join(RECORDS).encode())[:-20])
    found = check(folder)
    assert [place for place, *_ in found][:5] == ["a.csv:2", "a.csv:3", "b.csv", "c.smi.gz:1", "c.smi.gz:2"]
    check([folder, "CCO", None, Chem.MolFromSmiles("CC"), ["C", folder / "none.csv"]], len(found) + 5)
    assert count(iter(["C"])) is None and count("CCO") == 1 and count(tmp_path / "none.csv") == 1
    with pytest.raises(InputError, match="start=-1"):
        attempts("C", start=-1)


def test_molecules_that_are_passed_over_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    path = written(tmp_path, "a.smi", b"CC\nCO\nCN\n")
    original = Chem.MolFromSmiles
    monkeypatch.setattr(Chem, "MolFromSmiles", lambda text: parsed.append(text) or original(text))
    assert count(path) == 3 and [place for place, _ in attempts(path, start=2)] == ["a.smi:3"] and parsed == ["CN"]


def test_what_is_wrong_comes_with_its_cause(tmp_path: Path) -> None:
    ((place, found),) = attempts(written(tmp_path, "a.parquet", b"none"))
    assert place == "a.parquet" and isinstance(found, DataError) and found.__cause__ is not None
