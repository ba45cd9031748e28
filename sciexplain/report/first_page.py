"""What the first page says in words: what was asked of which model and data, and how it went."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sciexplain.report.columns import Columns
from sciexplain.report.labels import Labels

_ELSEWHERE = frozenset(["model", "weights", "data", "out", "overwrite", "quiet", "progress"])
"""Options that are told in other places, or that nobody asks about afterwards."""


def first_page(
    info: Mapping[str, Any],
    columns: Columns,
    failed: int,
    *,
    noun: str = "samples",
    notes: Sequence[str] = (),
    labels: Labels | None = None,
) -> dict[str, Any]:
    """Values of the template ``index.html``.

    Parameters
    ----------
    info
        The run's ``run.json``.
    columns
        Its rows.
    failed
        How many samples have no row.
    noun
        What samples are called.
    notes
        Sentences to read first.
    labels
        Where true classes come from.
    """
    unfinished = f"The run is {info.get('status')}: this is what it had when the report was made."
    return {
        "heading": f"{whole(len(columns))} {noun} of {Path(_of(info, 'data', 'path')).name}",
        "lead": f"As {_of(info, 'model', 'reference')} sees them: {_what(info, columns)} explained by {_how(info)}.",
        "notes": [*([] if info.get("status") == "finished" else [unfinished]), *notes],
        "facts": _facts(info, columns, failed, labels),
        "failed": failed,
        "unruled": bool(info.get("operations_without_a_rule")),
        "remarks": [str(note) for note in (info.get("surfaced") or {}).get("notes", ())],
        "asked": asked(info),
    }


def asked(info: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """What the run was asked, in tables of names and values: the model, the data, options, versions."""
    model, data = dict(info.get("model") or {}), dict(info.get("data") or {})
    files = data.pop("files", None) or []
    if files:
        size = sum(file.get("bytes") or 0 for file in files)
        data |= {"count": None, "files": f"{whole(len(files))} of {whole(size)} bytes"}
    options = {
        f"--{name.replace('_', '-')}": value
        for name, value in (info.get("options") or {}).items()
        if name not in _ELSEWHERE and value is not False and value != []
    }
    sections = {"Model": model, "Data": data, "Options": options, "Versions": info.get("versions") or {}}
    return [
        (title, [(name.replace("_", " "), _text(value)) for name, value in lines.items() if value is not None])
        for title, lines in sections.items()
    ]


def whole(number: int) -> str:
    """With narrow spaces between thousands."""
    return f"{number:,}".replace(",", "\u202f")


def _of(info: Mapping[str, Any], part: str, name: str) -> str:
    return str((info.get(part) or {}).get(name, ""))


def _what(info: Mapping[str, Any], columns: Columns) -> str:
    target = (info.get("options") or {}).get("target")
    if target is not None:
        return f"class {target}"
    return "the predicted class" if (columns.prediction >= 0).any() else "the output"


def _how(info: Mapping[str, Any]) -> str:
    options = info.get("options") or {}
    method = str(options.get("method") or "lrp")
    return f"{method} ({options['composite']})" if options.get("composite") else method


def _facts(info: Mapping[str, Any], columns: Columns, failed: int, labels: Labels | None) -> list[tuple[str, str]]:
    facts = [("explained", whole(len(columns))), ("failed", whole(failed))]
    judged = int(columns.judged.sum())
    if judged:
        right = judged - int(columns.wrong.sum())
        facts.append(("right", f"{100 * right / judged:.1f} % of {whole(judged)} labelled"))
    if labels is not None:
        facts.append(("labels", Path(labels.source).name))
    started, finished = _when(info.get("started")), _when(info.get("finished"))
    if started is not None:
        facts.append(("started", f"{started:%Y-%m-%d %H:%M} UTC"))
    if started is not None and finished is not None:
        seconds = (finished - started).total_seconds()
        facts.append(("took", _duration(seconds)))
        if seconds > 0:
            facts.append(("throughput", f"{len(columns) / seconds:.3g} rows/s"))
    return facts


def _when(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
