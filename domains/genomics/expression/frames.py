"""Files and tables of expression, as they are, before anything is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._files import PathName
from sciexplain._optional import require
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
        It is not there, of another kind, or no table.
    """
    pandas: Any = require("pandas", extra="genomics")
    path = existing(path)
    suffix = next((s for s in reversed(path.suffixes) if s.lower() not in (".gz", ".bz2", ".xz", ".zst")), "").lower()
    try:
        if suffix == ".parquet":
            frame = pandas.read_parquet(path)
            plain = isinstance(frame.index, pandas.RangeIndex) and len(frame.columns) > 0
            named = plain and not pandas.api.types.is_numeric_dtype(frame.dtypes.iloc[0])
            return frame.set_index(frame.columns[0]) if named else frame
        if suffix not in _SEPARATORS:
            raise DataError(f"{path} is no table that is read; expected {', '.join(_SEPARATORS)}, .parquet or .h5ad.")
        how = {"sep": _SEPARATORS[suffix], "header": None, "keep_default_na": False, "encoding": "utf-8-sig"}
        # pandas would rename columns that repeat, so that the header is read apart.
        header = pandas.read_csv(path, nrows=1, dtype=str, **how).iloc[0].tolist()
        # Rows of R's write.table have one more cell than its header.
        frame = pandas.read_csv(path, skiprows=1, dtype={0: str}, low_memory=False, **how)
        names = header if len(header) == frame.shape[1] - 1 else header[1:]
        if len(names) != frame.shape[1] - 1:
            raise DataError(f"{path} has {len(header)} names in its first line, but {frame.shape[1]} cells below.")
    except (ValueError, OSError, UnicodeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read as a table: {error}") from None
    return frame.set_index(0).set_axis([str(name).strip() for name in names], axis="columns")


def read_annotated(path: PathName) -> Any:
    """``AnnData`` from a file ``.h5ad``.

    Raises
    ------
    DataError
        It is not there, or cannot be read.
    """
    anndata: Any = require("anndata", extra="genomics")
    path = existing(path)
    try:
        return anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} cannot be read as AnnData: {error}") from None


def numbers(frame: Any) -> NDArray[np.float64]:
    """A table's cells; NaN where a cell is no number."""
    pandas: Any = require("pandas", extra="genomics")
    columns = [frame.iloc[:, j] for j in range(frame.shape[1])]
    if all(pandas.api.types.is_numeric_dtype(column.dtype) for column in columns):
        return np.array(frame.to_numpy(np.float64, na_value=np.nan))
    cells = [pandas.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan) for column in columns]
    return np.stack(cells, 1)


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
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    if len(lines) != 3 or len(lines[0]) < 2 or not lines[1][0].startswith("#"):
        raise DataError(
            f"{path} has {len(lines)} lines; expected the three of a categorical .cls: counts, '# names', one "
            "class for each sample."
        )
    names = " ".join(lines[1]).lstrip("#").split()
    samples, classes = lines[0][:2]
    signs = list(Counter(lines[2]))
    if [str(len(lines[2])), str(len(names))] != [samples, classes] or len(signs) > len(names):
        raise DataError(
            f"{path} promises {samples} samples of {classes} classes, but has {len(lines[2])} samples of {len(signs)} "
            f"and {len(names)} names."
        )
    named = {sign: sign for sign in signs} if set(signs) <= set(names) else dict(zip(signs, names, strict=False))
    return tuple(named[sign] for sign in lines[2])
