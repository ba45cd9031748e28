"""Files and tables of expression, as they are, before anything is left out."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._files import PathName
from sciexplain._optional import require
from sciexplain.domains.genomics.formats.hdf5 import check_hdf5
from sciexplain.domains.genomics.formats.limits import LONGEST_LINE, MOST_COLUMNS, MOST_VALUES
from sciexplain.domains.genomics.formats.lines import reported_lines
from sciexplain.domains.genomics.formats.parquet_rows import count_parquet, parquet_header
from sciexplain.domains.genomics.formats.unpacking import check_growth
from sciexplain.errors import DataError

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".tab": "\t"}


def is_frame(data: Any) -> bool:
    """Whether it is a table of pandas; without importing pandas."""
    return hasattr(data, "iloc") and hasattr(data, "columns")


def is_annotated(data: Any) -> bool:
    """Whether it is AnnData, or alike."""
    return hasattr(data, "obs_names") and hasattr(data, "var_names")


def shortened(names: Sequence[object]) -> str:
    """The first few names, and how many more there are."""
    more = f", and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(str, names[:5])) + more


def existing(path: PathName) -> Path:
    """A path of a file.

    Raises
    ------
    DataError
        There is none.
    """
    found = Path(path)
    if not found.is_file():
        raise DataError(f"There is no file {found}.")
    return found


def read_frame(path: PathName) -> Any:
    """A file's table, its first column as names; names are kept as they are, also where they repeat or read ``NA``.

    Raises
    ------
    DataError
        It is not there, of another kind, no table, or larger than :mod:`~sciexplain.domains.genomics.formats.limits`.
    """
    path = existing(path)
    suffix = next((s for s in reversed(path.suffixes) if s.lower() not in _PACKED), "").lower()
    if suffix != ".parquet" and suffix not in _SEPARATORS:
        raise DataError(f"{path} is no table that is read; expected {', '.join(_SEPARATORS)}, .parquet or .h5ad.")
    try:
        return _read_parquet(path) if suffix == ".parquet" else _read_text(path, _SEPARATORS[suffix])
    except DataError:
        raise
    except Exception as error:  # damaged files are answered by pandas and what unpacks them with whatever they meet
        raise DataError(f"{path} cannot be read as a table: {error}") from None


def _read_parquet(path: Path) -> Any:
    pandas: Any = require("pandas", extra="genomics")
    _check_cells(path, count_parquet(path), len(parquet_header(path)))
    parquet: Any = require("pyarrow.parquet", extra="genomics")
    parquet.read_table(path).validate(full=True)  # pandas would take any bytes for text, and fail later
    frame = pandas.read_parquet(path)
    plain = isinstance(frame.index, pandas.RangeIndex) and len(frame.columns) > 0
    named = plain and not pandas.api.types.is_numeric_dtype(frame.dtypes.iloc[0])
    return frame.set_index(frame.columns[0]) if named else frame


def _read_text(path: Path, separator: str) -> Any:
    pandas: Any = require("pandas", extra="genomics")
    with _text_of(path) as text:
        # pandas would rename columns that repeat, so that the header is read apart; and it would make room for as many
        # columns as the first line has cells.
        header, first = (_cells(path, text.readline(LONGEST_LINE + 1), separator) for _ in range(2))
    if not header:
        raise DataError(f"{path} is empty; expected names in its first line, and cells below.")
    with _text_of(path) as text:
        text.readline(LONGEST_LINE)
        frame = pandas.read_csv(
            text, sep=separator, header=None, dtype={0: str}, keep_default_na=False, low_memory=False
        )
    # Rows of R's write.table have one more cell than its header.
    names = header if len(header) == len(first) - 1 else header[1:]
    if len(names) != frame.shape[1] - 1:
        raise DataError(f"{path} has {len(header)} names in its first line, but {frame.shape[1]} cells below.")
    return frame.set_index(0).set_axis([str(name).strip() for name in names], axis="columns")


def _cells(path: Path, line: str, separator: str) -> list[str]:
    if len(line) > LONGEST_LINE or line.count(separator) >= MOST_COLUMNS:
        raise DataError(f"{path} has a line of more than {MOST_COLUMNS} cells or {LONGEST_LINE} characters.")
    return next(csv.reader([line], delimiter=separator), [])


def _text_of(path: Path) -> io.TextIOWrapper:
    """The text of a table, unpacked as its name says."""
    suffix = path.suffix.lower()
    packed: Any = _PACKED[suffix](path) if suffix in _PACKED else path.open("rb")
    raw: Any = _Checked(path, packed) if suffix in _PACKED else packed
    return io.TextIOWrapper(io.BufferedReader(raw) if suffix in _PACKED else raw, encoding="utf-8-sig")


def _zstd(path: Path) -> Any:
    arrow: Any = require("pyarrow", extra="genomics")
    return arrow.input_stream(str(path), compression="zstd")


_PACKED: Mapping[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _zstd}


class _Checked(io.RawIOBase):
    """What is unpacked, as far as it is not far more than such files have."""

    def __init__(self, path: Path, packed: Any) -> None:
        self._path, self._packed, self._size = path, packed, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._packed.read(len(buffer))
        self._size += len(piece)
        check_growth(self._path, self._path.stat().st_size, self._size)
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._packed.close()
        super().close()


def read_annotated(path: PathName) -> Any:
    """``AnnData`` from a file ``.h5ad``.

    Raises
    ------
    DataError
        It is not there, cannot be read, is too large, or has parts in other files.
    """
    anndata: Any = require("anndata", extra="genomics")
    path = existing(path)
    try:
        check_hdf5(path)
        return anndata.read_h5ad(path)
    except DataError:
        raise
    except Exception as error:  # damaged files are answered by anndata with whatever it meets
        raise DataError(f"{path} cannot be read as AnnData: {error}") from None


def _check_cells(path: Path, rows: int, columns: int) -> None:
    if columns > MOST_COLUMNS or rows * columns > MOST_VALUES:
        raise DataError(
            f"{path} has {rows} rows of {columns} columns; expected at most {MOST_COLUMNS} columns and {MOST_VALUES} "
            "cells."
        )


def numbers(frame: Any) -> NDArray[np.float64]:
    """A table's cells; NaN where a cell is no number."""
    pandas: Any = require("pandas", extra="genomics")
    columns = [frame.iloc[:, j] for j in range(frame.shape[1])]
    if all(pandas.api.types.is_numeric_dtype(column.dtype) for column in columns):
        return np.array(frame.to_numpy(np.float64, na_value=np.nan))
    return np.stack([_numbers(column) for column in columns], 1)


def _numbers(column: Any) -> NDArray[np.float64]:
    pandas: Any = require("pandas", extra="genomics")
    try:
        return np.asarray(pandas.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan))
    except (OverflowError, TypeError, ValueError):  # of whole numbers that are too large, and cells that are lists
        return np.array([_number(cell) for cell in column])


def _number(cell: Any) -> float:
    try:
        return float(cell)
    except (OverflowError, TypeError, ValueError):
        return np.nan


def read_cls(path: PathName) -> tuple[str, ...]:
    """The class of each sample, from a file ``.cls`` of GSEA.

    The first line has the numbers of samples and of classes and a 1, the second, after ``#``, the names of the classes,
    the third the class of each sample, by its name or by any sign; signs are named in order of appearance.

    Raises
    ------
    DataError
        It is not there, has a continuous phenotype, or its lines do not fit each other.

    Examples
    --------
    >>> from pathlib import Path
    >>> written = Path("two.cls").write_text("3 2 1\\n# ALL AML\\n0 0 1\\n")
    >>> read_cls("two.cls")
    ('ALL', 'ALL', 'AML')

    References
    ----------
    https://docs.gsea-msigdb.org/#GSEA/Data_Formats/
    """
    path = existing(path)
    lines = list(islice((line.split() for _, line in reported_lines(path, None) if line.strip()), 4))
    if len(lines) != 3 or len(lines[0]) < 2 or not lines[1][0].startswith("#"):
        many = len(lines) if len(lines) < 4 else "more than 3"
        raise DataError(
            f"{path} has {many} lines; expected the three of a categorical .cls: counts, '# names', one class for each "
            "sample."
        )
    names = " ".join(lines[1]).lstrip("#").split()
    samples, classes = lines[0][:2]
    signs = list(Counter(lines[2]))
    if [str(len(lines[2])), str(len(names))] != [samples, classes] or len(signs) > len(names):
        raise DataError(
            f"{path} promises {samples[:20]} samples of {classes[:20]} classes, but has {len(lines[2])} samples of "
            f"{len(signs)} and {len(names)} names."
        )
    named = {sign: sign for sign in signs} if set(signs) <= set(names) else dict(zip(signs, names, strict=False))
    return tuple(named[sign] for sign in lines[2])
