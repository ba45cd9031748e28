"""True classes of samples, from a user's file or from the data themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain.errors import DataError

UNKNOWN = -1


@dataclass(frozen=True)
class Labels:
    """Classes by samples' ids, or by their numbers.

    Attributes
    ----------
    by_id, by_number
        One of the two; the other is None.
    source
        Where they come from.
    """

    by_id: Mapping[str, int] | None
    by_number: NDArray[np.int64] | None
    source: str

    def of(self, numbers: NDArray[np.int64], ids: Sequence[str]) -> NDArray[np.int64]:
        """Those of some samples; -1 where there is none."""
        if self.by_id is not None:
            return np.array([self.by_id.get(name, UNKNOWN) for name in ids], np.int64)
        assert self.by_number is not None
        inside = numbers < len(self.by_number)
        return np.where(inside, self.by_number[np.where(inside, numbers, 0)], UNKNOWN)


def read_labels(path: Path, classes: Sequence[str] | None) -> Labels:
    """Read labels from a table with the columns ``id`` and ``label``, or an NPZ archive with the array ``labels``.

    Parameters
    ----------
    path
        CSV, TSV, Parquet, or NPZ; the array's order is that of the samples as they were read, failed ones included.
    classes
        Their names by index, for labels that are names.

    Raises
    ------
    DataError
        The file cannot be read, lacks what is needed, or has a name that is no class.
    """
    if path.suffix.lower() == ".npz":
        found = npz_labels(path)
        if found is None:
            raise DataError(f"{path}: found no array 'labels'; expected one, with a label for every sample")
        return Labels(None, np.array(_indices(found.tolist(), classes, path), np.int64), str(path))
    ids, labels = label_columns(path)
    return Labels(dict(zip(ids, _indices(labels, classes, path), strict=True)), None, str(path))


def own_labels(data: Path, classes: Sequence[str] | None) -> Labels | None:
    """The labels that NPZ data bring along; None where there are none that can be read as classes."""
    if data.suffix.lower() != ".npz" or not data.is_file():
        return None
    try:
        return None if npz_labels(data) is None else read_labels(data, classes)
    except DataError:
        return None


def npz_labels(path: Path) -> NDArray[Any] | None:
    """The array ``labels`` of an NPZ archive; None where it has none.

    Raises
    ------
    DataError
        The archive cannot be read, or labels are not one for each sample.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            labels = archive.get("labels")
    except Exception as error:  # zipfile, zlib and NumPy answer a damaged archive with many kinds
        raise DataError(f"{path} cannot be read as NPZ: {type(error).__name__}: {str(error)[:200]}") from error
    if labels is not None and getattr(labels, "ndim", None) != 1:  # what is no array comes as bytes
        found = f"of shape {labels.shape}" if isinstance(labels, np.ndarray) else "that are no array"
        raise DataError(f"{path}: found labels {found}; expected (N,)")
    return labels


def label_columns(path: Path) -> tuple[list[str], list[str]]:
    """The columns ``id`` and ``label`` of a table as texts, empty where there is nothing.

    Raises
    ------
    DataError
        It cannot be read, or lacks one of them.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            table = pa.parquet.read_table(path)
        else:
            parsing = pa.csv.ParseOptions(delimiter="\t" if path.suffix.lower() in (".tsv", ".tab") else ",")
            # an id such as 007 is a name, not a number
            types = pa.csv.ConvertOptions(column_types={"id": pa.string(), "label": pa.string()})
            table = pa.csv.read_csv(path, parse_options=parsing, convert_options=types)
        names = table.column_names
    except (pa.ArrowException, ValueError, OSError) as error:  # names that are not UTF-8 are a ValueError
        raise DataError(f"{path}: cannot be read as a table: {error}") from error
    if missing := {"id", "label"} - set(names):
        raise DataError(f"{path}: found the columns {', '.join(names)[:200]}; expected {sorted(missing)[0]!r}")
    ids, labels = (["" if v is None else str(v) for v in table[name].to_pylist()] for name in ("id", "label"))
    return ids, labels


def _indices(labels: Sequence[Any], classes: Sequence[str] | None, path: Path) -> list[int]:
    """Labels as indices of classes; an empty one is unknown."""
    of_name = {name: index for index, name in enumerate(classes or ())}
    found = []
    for label in labels:
        text = str(label).strip()
        if text in of_name:
            found.append(of_name[text])
        elif text == "":
            found.append(UNKNOWN)
        elif _whole(text) is not None:
            found.append(int(_whole(text) or 0))
        else:
            known = f"one of {', '.join(list(of_name)[:5])}, …" if of_name else "class indices"
            raise DataError(
                f"{path}: found the label {text[:80]!r}; expected {known}; name all classes with --classes a,b,c"
            )
    return found


def _whole(text: str) -> int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() and number >= 0 else None
