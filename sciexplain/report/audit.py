"""What ``sciexplain audit`` found of a run, for its report."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from sciexplain.report.columns import numbers_of
from sciexplain.report.payload import rounded
from sciexplain.runs import Run

_SHOWN = 6
"""Samples of each cluster that the page draws: those nearest its mean that have a drawing."""
_SIDE, _LENGTH = 64, 400
"""Most entries along a side of a mean map, and of a mean profile."""


@dataclass(frozen=True)
class Audit:
    """The audit that lies in the run's folder.

    Attributes
    ----------
    clusters
        Of each sample by its id, counted from 1, as the gallery filters by it; samples outside the audit are missing.
    page
        What ``assets/audit.js`` draws, as ``data/audit.js``; members of clusters by their numbers, nearest first.
    """

    clusters: Mapping[str, int]
    page: Mapping[str, Any]

    def drawn(self, numbers: Collection[int]) -> Mapping[str, Any]:
        """The page with a few members of each cluster, of those samples that have a drawing.

        It knows then how much room they take before the first of them is loaded.
        """
        clusters = [
            {**one, "members": [number for number in one["members"] if number in numbers][:_SHOWN]}
            for one in self.page["clusters"]
        ]
        return {**self.page, "clusters": clusters}


def read_audit(run: Run) -> Audit | None:
    """The audit; None where there is none."""
    document, table = run.path / "audit.json", run.path / "clusters.parquet"
    if not (document.is_file() and table.is_file()):
        return None
    found = json.loads(document.read_text(encoding="utf-8"))
    points = pa.parquet.read_table(table, columns=["id", "class", "cluster", "x", "y"]).to_pydict()
    of = {name: number for name, number in zip(points["id"], points["cluster"], strict=True) if number is not None}
    rows = run.rows.to_table(columns=["number", "id"])
    numbers = dict(zip(rows["id"].to_pylist(), numbers_of(rows).tolist(), strict=True))
    sizes = Counter(points["class"])
    shape, means = _means(run, of)
    return Audit(
        of,
        {
            "alarm": found["alarm"],
            "options": {name: found.get("options", {}).get(name) for name in ("alpha", "material", "embedding")},
            "classes": [
                {"class": int(name), "samples": sizes[int(name)], **_spectrum(one)}
                for name, one in found["classes"].items()
            ],
            "clusters": [_cluster(one, sizes, numbers, shape, means.get(one["cluster"])) for one in found["clusters"]],
            "points": _points(points, numbers),
        },
    )


def _spectrum(of_class: Mapping[str, Any]) -> dict[str, Any]:
    return {"eigenvalues": rounded(np.array(of_class["eigenvalues"], float)), "eigengap": of_class["eigengap"]}


def _cluster(
    one: Mapping[str, Any],
    sizes: Mapping[int, int],
    numbers: Mapping[str, int],
    shape: Sequence[int],
    mean: NDArray[np.float64] | None,
) -> dict[str, Any]:
    return {
        **{name: one[name] for name in ("cluster", "class", "samples", "alarm", "place", "p", "suspicion", "where")},
        "share": one["samples"] / max(1, sizes[one["class"]]),
        "parts": [[name, part["value"], part["words"]] for name, part in one["parts"].items()],
        "members": [numbers[name] for name in one["members"] if name in numbers],
        "mean": None if mean is None else {"of": shape, "shape": mean.shape, "values": rounded(mean.ravel(), 4)},
    }


def _points(points: Mapping[str, Sequence[Any]], numbers: Mapping[str, int]) -> dict[str, Any]:
    """Of samples that the run still has."""
    there = [i for i, name in enumerate(points["id"]) if name in numbers]
    places = np.array([[points["x"][i], points["y"][i]] for i in there], float).reshape(-1, 2)
    return {
        "number": [numbers[points["id"][i]] for i in there],
        "id": [points["id"][i] for i in there],
        "cluster": [points["cluster"][i] for i in there],
        "x": rounded(places[:, 0], 5),
        "y": rounded(places[:, 1], 5),
    }


def _means(run: Run, clusters: Mapping[str, int]) -> tuple[list[int], dict[int, NDArray[np.float64]]]:
    """The mean relevance of each cluster, where all samples have maps of one shape: profiles, or pictures' pixels.

    As the audit has it: of a model of one output, what speaks for its sign is positive.

    Returns
    -------
    shape
        Of the maps, as the run has them.
    means
        By cluster; none where shapes differ.
    """
    sums: dict[int, NDArray[np.float64]] = {}
    counts: Counter[int] = Counter()
    shape: list[int] = []
    columns = ["id", "prediction", "score", "relevance", "shape"]
    for batch in run.rows.to_batches(columns=columns, batch_size=64):
        for row in range(len(batch)):
            cluster, own = clusters.get(batch["id"][row].as_py()), batch["shape"][row].as_py()
            if cluster is None:
                continue
            shape = shape or own
            if own != shape or not 1 <= len(own) <= 3:
                return own, {}
            single = batch["prediction"][row].as_py() is None
            turned = -1 if single and batch["score"][row].as_py() <= 0 else 1
            values = batch["relevance"][row].values.to_numpy(zero_copy_only=False).astype(float).reshape(own)
            mean = turned * _pooled(values.sum(0) if len(own) == 3 else values)
            sums[cluster] = sums[cluster] + mean if cluster in sums else mean
            counts[cluster] += 1
    return shape, {cluster: total / counts[cluster] for cluster, total in sums.items()}


def _pooled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of neighbours, so that no side is longer than a page can show."""
    most = _LENGTH if values.ndim == 1 else _SIDE
    factor = max(1.0, max(values.shape) / most)
    for axis, side in enumerate(values.shape):
        parts = max(1, round(side / factor))
        values = np.add.reduceat(values, -(-np.arange(parts) * side // parts), axis=axis)
    return values
