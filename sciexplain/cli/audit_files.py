"""Files of an audit: what it found, as JSON, as a table of samples, and as a picture."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from sciexplain._files import written
from sciexplain.audit import Cluster, Spray
from sciexplain.cli.audit_subjects import AuditSubject
from sciexplain.errors import DataError
from sciexplain.report.labels import label_columns


def write(found: Spray, folder: Path, ids: Sequence[str], asked: Mapping[str, Any], figure: Any) -> list[Path]:
    """Write ``audit.png``, ``audit.json`` and ``clusters.parquet``; their paths."""
    document = {
        **asked,
        "alarm": found.alarm,
        "classes": {
            str(c): {"eigenvalues": values.tolist(), "eigengap": found.eigengap[c]}
            for c, values in found.eigenvalues.items()
        },
        "clusters": [_described(rank, one, ids) for rank, one in enumerate(found, start=1)],
    }
    table = _table(found, ids)
    # a name of each file's own suffix, as the writers go by it
    return [
        written(folder / "audit.png", lambda path: figure.savefig(path, dpi=150)),
        written(folder / "audit.json", lambda path: _dump(path, document)),
        written(folder / "clusters.parquet", lambda path: pa.parquet.write_table(table, path, compression="zstd")),
    ]


def read_labels(given: str, subject: AuditSubject) -> tuple[NDArray[np.int64], list[str]]:
    """Labels of samples as numbers, and their names in that order.

    Raises
    ------
    DataError
        The table cannot be read, has no columns ``id`` and ``label``, or leaves a sample out; there is no such column.
    """
    column = subject.column(given) if not Path(given).is_file() else None
    if column is None:
        column = _read_column(Path(given), subject.ids)
    names = sorted(set(column), key=lambda name: (not name.isdecimal(), len(name) if name.isdecimal() else 0, name))
    number = {name: i for i, name in enumerate(names)}
    return np.array([number[name] for name in column], np.int64), names


def _read_column(path: Path, ids: Sequence[str]) -> list[str]:
    """The label of each sample."""
    if not path.is_file():
        raise DataError(f"--labels {path}: there is no such table, and the run's data has no such column")
    of = {name: label for name, label in zip(*label_columns(path), strict=True) if label}
    if unknown := [name for name in ids if name not in of]:
        raise DataError(f"{path}: has no label of {len(unknown)} samples of the run, the first {unknown[0]!r}")
    return [of[name] for name in ids]


def _described(rank: int, one: Cluster, ids: Sequence[str]) -> dict[str, Any]:
    return {
        "cluster": rank,
        "class": one.target,
        "samples": len(one),
        "alarm": one.alarm,
        "place": one.place,
        "p": one.p,
        "suspicion": one.suspicion,
        "where": one.where,
        "label": one.label,
        "purity": one.purity,
        "parts": {name: {"value": part.value, "words": part.words, "p": part.p} for name, part in one.parts.items()},
        "members": [ids[i] for i in one.members.tolist()],
    }


def _table(found: Spray, ids: Sequence[str]) -> pa.Table:
    """A row for each sample, in the order of the run; clusters count from 1, as in audit.json."""
    cluster = found.cluster
    asked = cluster >= 0
    suspicion = np.array([one.suspicion for one in found])
    alarm = np.array([one.alarm for one in found], bool)
    assert found.embedding is not None
    return pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "class": pa.array(found.target, pa.int64()),
            "cluster": pa.array(cluster + 1, pa.int64(), mask=~asked),
            "x": pa.array(found.embedding[:, 0], pa.float32()),
            "y": pa.array(found.embedding[:, 1], pa.float32()),
            "suspicion": pa.array(suspicion[cluster], pa.float64(), mask=~asked),
            "alarm": pa.array(alarm[cluster], pa.bool_(), mask=~asked),
        }
    )


def _dump(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
