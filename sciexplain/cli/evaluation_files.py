"""What an evaluation leaves behind."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

import sciexplain as sx
from sciexplain._files import written
from sciexplain.cli.evaluation import MEANINGS, Evaluation


def write(
    found: Evaluation, folder: Path, asked: Mapping[str, Any], failures: Mapping[str, str], part: str, unit: str
) -> list[Path]:
    """Write ``evaluation.json``, ``evaluation.parquet`` and ``evaluation.png``.

    Parameters
    ----------
    found
        What was measured.
    folder
        Where to.
    asked
        What was asked of which run, as JSON values.
    failures
        Why, of the samples that were left out.
    part, unit
        What was taken away, and what scores are measured in.
    """
    rows = sx.evaluate.table(found.scores, reference=found.method)
    content = {
        **asked,
        "method": found.method,
        "samples": list(found.ids),
        "failed": dict(failures),
        "unmeasured": found.unmeasured,
        "table": [
            {
                **{k: _plain(v) for k, v in vars(row).items() if k != "difference"},
                "difference_to_run": None if row.difference is None else [_plain(v) for v in row.difference],
                "meaning": MEANINGS[row.metric],
            }
            for row in rows
        ],
        "curves": {
            mode: {
                "fractions": next(iter(curves.values())).fractions.tolist(),
                "mean": {name: c.mean.tolist() for name, c in curves.items()},
            }
            for mode, curves in found.curves.items()
        },
    }
    made = [written(folder / "evaluation.json", lambda path: _write_json(path, content))]
    columns = {
        "id": [name for s in found.scores for name in found.ids],
        "method": [s.method for s in found.scores for _ in found.ids],
        "metric": [s.metric for s in found.scores for _ in found.ids],
        "value": [_plain(v) for s in found.scores for v in s.values.tolist()],
        "unit": [s.unit for s in found.scores for _ in found.ids],
    }
    schema = pa.schema({k: pa.float64() if k == "value" else pa.string() for k in columns})
    table = pa.table(columns, schema=schema)
    made.append(written(folder / "evaluation.parquet", lambda path: pa.parquet.write_table(table, path)))
    if found.curves:
        made.append(written(folder / "evaluation.png", lambda path: _draw(path, found, part, unit)))
    else:
        (folder / "evaluation.png").unlink(missing_ok=True)  # of an evaluation before
    return made


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """NaN, which JSON has not, as null."""
    return None if isinstance(value, float) and value != value else value


def _draw(path: Path, found: Evaluation, part: str, unit: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8 * len(found.curves), 4.2), layout="constrained")
    panels = figure.subplots(1, len(found.curves), squeeze=False)[0]
    for panel, curves in zip(panels, found.curves.values(), strict=True):
        sx.evaluate.draw_curves(curves, unit=unit, part=part, baseline="random order", axes=panel)
        panel.get_legend().remove()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(found.curves), frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
