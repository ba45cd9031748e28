"""Where relevance should lie, from a user's files: pixels, atoms or letters of a run's samples."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sciexplain.cli.reopened import Reopened
from sciexplain.errors import DataError


def read_masks(path: Path, opened: Reopened, ids: Sequence[str], samples: Any) -> tuple[list[Tensor], dict[str, str]]:
    """The masks of samples, and why of those without one.

    Parameters
    ----------
    path
        For pictures: a folder or file of as many pictures as the data, of the same names or in the same places, white
        where relevance should lie. For molecules: CSV, JSON lines or Parquet with the columns ``id`` (or ``name``) and
        ``atoms``, such as "0 1 4". For sequences: BED, on the genome, or with the sequences' names for chromosomes.
    opened
        The run.
    ids
        Of its rows.
    samples
        Their explanation, in the domain's form.

    Returns
    -------
    masks
        Truth values of those that have some, in the order of ``ids``; all False for the others.
    missing
        Reasons, by id.

    Raises
    ------
    DataError
        The file cannot be read, or has none of the samples.
    """
    found = _READERS[opened.kind](path, opened, ids, samples)
    missing = {name: f"{path.name} has no mask of it" for name, mask in zip(ids, found, strict=True) if not mask.any()}
    if len(missing) == len(found):
        raise DataError(f"{path} has masks of none of the {len(ids)} samples, such as {ids[0]!r}")
    return found, missing


def _pictures(path: Path, opened: Any, ids: Sequence[str], explained: Any) -> list[Tensor]:
    from sciexplain.domains import images

    preprocess = opened.question.preprocess
    frame = images.Preprocess(resize=preprocess.resize, crop=preprocess.crop)
    by_name = {_place(mask.name): mask for mask in images.read(path, "L")}
    found = []
    for name, relevance in zip(ids, explained.relevance, strict=True):
        mask = by_name.get(_place(name))
        if mask is None:
            found.append(torch.zeros(relevance.shape[1:], dtype=torch.bool))
            continue
        on_input = frame(mask)[0] > 0.5
        if on_input.shape != relevance.shape[1:]:
            raise DataError(
                f"{mask.name}: the mask becomes {tuple(on_input.shape)} pixels, the picture "
                f"{tuple(relevance.shape[1:])}; give masks of the pictures' sizes"
            )
        found.append(on_input)
    return found


def _place(name: str) -> str:
    """The place within a file, or the name without its ending."""
    within = re.search(r"\[[\d, ]+\]$", name)
    return within.group() if within else str(Path(name).with_suffix(""))


def _molecules(path: Path, opened: Any, ids: Sequence[str], explained: Any) -> list[Tensor]:
    atoms = _atoms(path)
    names = dict(zip(opened.table["id"].to_pylist(), opened.table["input"].to_pylist(), strict=True))
    found = []
    for name, a in zip(ids, explained, strict=True):
        mask = torch.zeros(len(a), dtype=torch.bool)
        listed = atoms.get(name, atoms.get(names[name], []))
        if strange := [i for i in listed if not 0 <= i < len(a)]:
            raise DataError(f"{path}: {name} has no atom {strange[0]}; it has {len(a)} (0 … {len(a) - 1})")
        mask[listed] = True
        found.append(mask)
    return found


def _atoms(path: Path) -> Mapping[str, list[int]]:
    """Atoms by id or name."""
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.suffix == ".parquet":
            rows = pyarrow.parquet.read_table(path).to_pylist()
        elif path.suffix in (".json", ".jsonl"):
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        else:
            text = pyarrow.csv.ConvertOptions(column_types={"atoms": "string"})
            rows = pyarrow.csv.read_csv(path, convert_options=text).to_pylist()
    except (ValueError, RecursionError, OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path} cannot be read as a table: {str(error).partition(chr(10))[0]}") from error
    if strange := [number for number, row in enumerate(rows, 1) if not isinstance(row, dict)]:
        raise DataError(f"{path}: row {strange[0]} is no object; expected id or name, and atoms, such as 0 1 4")
    key = next((k for k in ("id", "name") if rows and k in rows[0]), None)
    if key is None or any(not {key, "atoms"} <= row.keys() for row in rows):
        columns = ", ".join(map(repr, rows[0])) if rows else "none"
        raise DataError(
            f"{path} has the columns {columns[:200]}; expected id or name, and atoms, such as 0 1 4, in every row"
        )
    return {str(row[key]): _indices(row["atoms"], path) for row in rows}


def _indices(value: Any, path: Path) -> list[int]:
    words = value if isinstance(value, list) else re.split(r"[\s,;]+", str(value or "").strip())
    try:
        return [int(word) for word in words if word != ""]
    except (ValueError, TypeError, OverflowError):
        raise DataError(f"{path}: found the atoms {repr(value)[:80]}; expected numbers from 0, such as 0 1 4") from None


def _sequences(path: Path, opened: Any, ids: Sequence[str], explained: Any) -> list[Tensor]:
    sequences = explained.sequences
    found = [torch.zeros(sequences.length, dtype=torch.bool) for _ in ids]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as BED: {error}") from error
    by_name = {name: row for row, name in enumerate(sequences.names)}
    by_chromosome: dict[str, list[int]] = {}
    for row, interval in enumerate(sequences.intervals):
        if interval is not None:
            by_chromosome.setdefault(interval.chrom, []).append(row)
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        try:
            chromosome, start, end = line.split("\t")[0], *map(int, line.split("\t")[1:3])
        except ValueError:
            raise DataError(f"{path}:{number}: found {line!r}; expected chrom, start and end, with tabs") from None
        if chromosome in by_name:
            found[by_name[chromosome]][start:end] = True
        for row in by_chromosome.get(chromosome, ()):
            interval = sequences.intervals[row]
            first, last = max(start, interval.start) - interval.start, min(end, interval.end) - interval.start
            if first >= last:
                continue
            if interval.strand == "-":  # letters run from the interval's end
                first, last = len(interval) - last, len(interval) - first
            found[row][first:last] = True
    return found


_READERS = {"images": _pictures, "molecules": _molecules, "genomics": _sequences}
