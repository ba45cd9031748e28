"""Runs as `sciexplain explain` leaves them, made up, and a domain that has something to draw for each row."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from sciexplain.report import Column, Content, Table
from sciexplain.runs import Run, open_run
from sciexplain.runs.format import FAILURE_SCHEMA, ROW_SCHEMA

CLASSES = ("cat", "dog", "scooter", "zebra")
_SHARD = 10_000

_VIEW = Path(__file__).parent / "report" / "dots.js"


class Dots(Content):
    """Every sample is eight numbers."""

    view = "dots"

    def __init__(self, run: Run, tables: Sequence[Table] = (), **meta: Any) -> None:
        self.run, self._tables = run, tables
        self._meta = {"unit": "logit", "noun": "samples", "classes": list(CLASSES)} | meta

    def assets(self) -> Mapping[str, bytes]:
        return {"report_dots.js": _VIEW.read_bytes(), "library.js": b"globalThis.library = 1;"}

    def meta(self) -> Mapping[str, Any]:
        return self._meta

    def samples(self, numbers: Sequence[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        wanted = set(numbers)
        for batch in self.run.rows.to_batches(columns=["number", "relevance"], batch_size=500):
            for number, relevance in zip(batch["number"].to_pylist(), batch["relevance"], strict=True):
                if number in wanted:
                    yield number, {"values": np.asarray(relevance.values)}

    def tables(self) -> Iterator[Table]:
        return iter(self._tables)


def make_run(
    path: Path,
    rows: int = 150,
    *,
    failed: int = 0,
    ids: Mapping[int, str] | None = None,
    classes: int = 4,
    status: str = "finished",
    info: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Run:
    """A run of made-up pictures; every 50th attempt may have failed."""
    random = np.random.default_rng(seed)
    attempts = np.setdiff1d(np.arange(rows + failed), 50 * np.arange(failed))[:rows] if failed else np.arange(rows)
    names = [(ids or {}).get(int(n), f"picture_{n:06d}.png") for n in attempts]
    logits = random.normal(size=(rows, max(classes, 2))) * 2
    order = np.argsort(-logits, axis=1)
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    relevance = random.normal(size=(rows, 8)).astype(np.float32)
    some = np.arange(rows)
    (path / "rows").mkdir(parents=True)
    (path / "pictures").mkdir()
    for shard, start in enumerate(range(0, rows, _SHARD)):
        part = slice(start, start + _SHARD)
        none = [None] * len(attempts[part])
        table = pa.table(
            {
                "number": attempts[part],
                "id": names[part],
                "input": [f"data/{name}" for name in names[part]],
                "prediction": order[part, 0] if classes else none,
                "probability": softmax[some, order[:, 0]][part] if classes else none,
                "target": order[part, 0] if classes else none,
                "runner_up": order[part, 1] if classes else none,
                "score": logits[some, order[:, 0]][part],
                "relevance": list(relevance[part]),
                "shape": [[8]] * len(none),
                "gap": 10.0 ** random.uniform(-9, -5, rows)[part] * random.choice([-1, 0, 1], rows)[part],
                "picture": none,
                "seconds": random.uniform(0.001, 0.002, rows)[part],
            },
            schema=ROW_SCHEMA,
        )
        pa.parquet.write_table(table, path / "rows" / f"part-{shard:05d}.parquet")
    broken = [50 * i for i in range(failed)]
    errors = pa.table(
        {
            "number": broken,
            "id": [f"picture_{n:06d}.png" for n in broken],
            "input": [f"data/picture_{n:06d}.png" for n in broken],
            "reason": [
                f"picture_{n:06d}.png: cannot be read: broken at byte {n}" if n % 100 else "3 pixels; expected 4"
                for n in broken
            ],
            "stage": ["read" if n % 100 else "preprocess" for n in broken],
        },
        schema=FAILURE_SCHEMA,
    )
    pa.parquet.write_table(errors, path / "errors.parquet")
    asked = {
        "format": "sciexplain-run",
        "format_version": 1,
        "status": status,
        "command": "explain images",
        "model": {"reference": "models/net.py:make", "class": "net.Net", "state_sha256": "ab" * 32, "weights": None},
        "data": {"path": "data", "sha256": "cd" * 32, "files": [{"path": "data/a", "bytes": 1234, "sha256": "e"}]},
        "versions": {"sciexplain": "0.1.0", "torch": "2.13.0"},
        "options": {"method": "lrp", "composite": "epsilon_plus", "target": None, "mean": [0.5], "ledger": True},
        "operations_without_a_rule": [],
        "started": "2026-01-01T10:00:00+00:00",
        "finished": "2026-01-01T10:02:30+00:00" if status != "running" else None,
        "counts": {"rows": rows, "failed": failed},
    }
    (path / "run.json").write_text(json.dumps({**asked, **(info or {})}), encoding="utf-8")
    return open_run(path)


def labels_of(run: Run, *, right: float = 0.9, seed: int = 1) -> dict[str, int]:
    """Labels that agree with so many of the predictions."""
    random = np.random.default_rng(seed)
    table = run.rows.to_table(columns=["id", "prediction"]).to_pydict()
    agree = random.random(len(table["id"])) < right
    return {
        name: int(p if ok else (p + 1) % len(CLASSES))
        for name, p, ok in zip(table["id"], table["prediction"], agree, strict=True)
    }


_LOGO = (
    "data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg' width='80' height='20'>"
    "<text y='15'>GATA</text></svg>"
)
FINDINGS = (
    Table(
        "fragments",
        "Fragments",
        (
            Column("fragment"),
            Column("samples", "number"),
            Column("relevance", "number", "kcal/mol"),
            Column("example", "sample"),
        ),
        [(f"C{'C' * (i % 7)}=O {i}", i % 90, None if i == 3 else (i - 60) / 7, i) for i in range(120)],
        "Mean relevance of what they hold.",
    ),
    Table("motifs", "Motifs", (Column("motif"), Column("logo", "image")), [("GATA", _LOGO)]),
)
