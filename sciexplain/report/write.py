"""Writing a report: one folder of pages, scripts and data, there whole or not at all."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexplain._optional import require
from sciexplain.errors import DataError
from sciexplain.report.audit import Audit, read_audit
from sciexplain.report.columns import Columns, read_columns
from sciexplain.report.content import Content
from sciexplain.report.details import chosen, write_samples
from sciexplain.report.failures import write_failures
from sciexplain.report.first_page import first_page
from sciexplain.report.labels import Labels
from sciexplain.report.overview import overview
from sciexplain.report.page import assets, page
from sciexplain.report.payload import Data
from sciexplain.report.rows import write_rows
from sciexplain.runs import Run

MARK = "report.json"
"""The file by which a folder is known as a report."""

_PAGE = 60
_UNRULED = ("operation", "module", "count")
_PAGES = ("index", "gallery", "sample", "findings", "audit")


@dataclass(frozen=True)
class Written:
    """What came out.

    Attributes
    ----------
    index
        The page to open first.
    rows, samples, failed
        How many rows the gallery has, how many of them a page of their own, and how many samples failed.
    """

    index: Path
    rows: int
    samples: int
    failed: int


def write_report(
    run: Run,
    content: Content,
    out: Path,
    *,
    colours: ArrayLike,
    labels: Labels | None = None,
    classes: Sequence[str] | None = None,
    samples: int = 10_000,
    notes: Sequence[str] = (),
    overwrite: bool = False,
    say: Callable[[str], object] = lambda text: None,
) -> Written:
    """Write a run as pages that open from disk.

    Rows are read shard by shard and samples drawn one by one; memory grows with the number of rows by some 50 bytes
    each, not by what their relevance takes.

    Parameters
    ----------
    run
        Finished or not.
    content
        What its domain adds.
    out
        The folder to make.
    colours
        (steps, 3) sRGB in 0..1 for relevance from full negative to full positive.
    labels
        True classes.
    classes
        Names of the classes, by index; None: those that the content knows.
    samples
        The most that get a page of their own.
    notes
        Sentences for the first page.
    overwrite
        Replace the report that ``out`` holds. Anything but a report is never replaced.
    say
        Told what is being done.

    Raises
    ------
    DataError
        ``out`` holds something else, or cannot be written.
    MissingDependencyError
        jinja2 is not installed.
    """
    check_free(out, overwrite=overwrite)
    require("jinja2", extra="report")  # before the work, not after it
    unfinished = out.with_name(f"{out.name}-partial-{token_hex(6)}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        unfinished.mkdir()
        made = _Writing(unfinished, run, content, np.asarray(colours, np.float64), classes, notes, say).all(
            labels, samples
        )
        _move(unfinished, out)
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Written(out / "index.html", *made)


def check_free(out: Path, *, overwrite: bool) -> None:
    """That a report may be written there.

    Raises
    ------
    DataError
        It is a file, or a folder that holds something else, or a report that is not to be replaced.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise DataError(f"{out} is not a folder; give one that is empty or does not exist")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not _is_report(out):
        raise DataError(f"{out} is not empty and holds no report, so nothing in it is replaced; give another folder")
    if not overwrite:
        raise DataError(f"{out} holds a report already; give another folder or --overwrite")


def _is_report(folder: Path) -> bool:
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(mark, dict) and mark.get("format") == "sciexplain-report"


def _move(made: Path, out: Path) -> None:
    """Put the new folder in place of the old one."""
    if not out.exists():
        os.replace(made, out)
        return
    old = out.with_name(f"{made.name}-old")
    os.replace(out, old)
    try:
        os.replace(made, out)
    except OSError:
        os.replace(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)


class _Writing:
    """One report on its way."""

    def __init__(
        self,
        folder: Path,
        run: Run,
        content: Content,
        colours: NDArray[np.float64],
        classes: Sequence[str] | None,
        notes: Sequence[str],
        say: Callable[[str], object],
    ) -> None:
        self.folder, self.run, self.content, self.say = folder, run, content, say
        self.data = Data(folder / "data")
        self.meta = dict(content.meta())
        known = self.meta.get("classes") if classes is None else classes
        self.classes = None if known is None else [str(name) for name in known]
        self.meta |= {"classes": self.classes}
        self.notes = [*notes, *self.meta.get("notes", ())]
        self.colours = (colours * 255).round().clip(0, 255).astype(int)

    def all(self, labels: Labels | None, samples: int) -> tuple[int, int, int]:
        """Write everything; how many rows, samples and failures there are."""
        run, data = self.run, self.data
        self.say("reading rows")
        columns = read_columns(run, labels)
        errors = run.errors
        audit = read_audit(run)
        drawn, numbers = write_samples(data, self.content, chosen(columns, samples).tolist(), self.say)
        there = frozenset(numbers)
        self.say("writing rows")
        rows = write_rows(data, run, columns, None if audit is None else audit.clusters, there)
        self.say("gathering findings")
        tables = self._tables()
        data.write("overview", overview(columns))
        if audit is not None:
            data.write("audit", audit.drawn(there))
        names = self._names()
        report = {
            **names,
            "view": self.content.view,
            "page": _PAGE,
            "meta": self.meta,
            "classes": self.classes,
            "colours": self.colours,
            "rows": rows,
            "samples": drawn,
            "failures": write_failures(data, errors),
            "unruled": [[one[name] for name in _UNRULED] for one in run.info.get("operations_without_a_rule") or ()],
            "tables": tables,
            "filters": _filters(columns, audit),
        }
        data.write("report", report)
        told = first_page(run.info, columns, len(errors), noun=names["noun"], notes=self.notes, labels=labels)
        self._pages({**names, **told}, audit)
        self._mark(len(columns), drawn["count"])
        return len(columns), drawn["count"], len(errors)

    def _names(self) -> dict[str, Any]:
        info = self.run.info
        of = [
            Path(str((info.get(part) or {}).get(name, ""))).name
            for part, name in (("data", "path"), ("model", "reference"))
        ]
        return {
            "title": " · ".join(name for name in of if name) or self.run.path.name,
            "noun": str(self.meta.get("noun", "samples")),
        }

    def _tables(self) -> list[dict[str, Any]]:
        """Write the findings, one file each; what the page needs to know of them."""
        listed: list[dict[str, Any]] = []
        for table in self.content.tables():
            described = {"key": table.key, "title": table.title, "note": table.note}
            columns = [{"name": c.name, "kind": c.kind, "unit": c.unit} for c in table.columns]
            self.data.write(f"tables/{table.key}", {**described, "columns": columns, "rows": table.rows})
            listed.append({**described, "rows": len(table.rows)})
        return listed

    def _files(self) -> list[tuple[str, str]]:
        """The run's own files and the ways to them, if the report lies in its folder, so that they move together."""
        run, here = self.run.path.resolve(), self.folder.resolve()
        if run not in here.parents:
            return []
        up = "../" * (len(here.parts) - len(run.parts))
        return [(name, up + quote(name)) for name in self.content.files()]

    def _pages(self, values: Mapping[str, Any], audit: Audit | None) -> None:
        own = self.content.assets()
        folder = self.folder / "assets"
        folder.mkdir()
        for name, held in {**own, **assets()}.items():
            (folder / name).write_bytes(held)
        views = [name for name in own if name.startswith("report_")]
        listed = [("Overview", "index"), ("Gallery", "gallery"), ("Findings", "findings"), ("Audit", "audit")]
        absent = {"audit"} if audit is None else set()
        shared = {
            **values,
            "pages": [(title, f"{name}.html") for title, name in listed if name not in absent],
            "files": self._files(),
            "view_scripts": [name for name in views if name.endswith(".js")],
            "view_styles": [name for name in views if name.endswith(".css")],
        }
        for name in _PAGES:
            if name not in absent:
                (self.folder / f"{name}.html").write_text(page(name, shared), encoding="utf-8", errors="replace")

    def _mark(self, rows: int, samples: int) -> None:
        mark = {
            "format": "sciexplain-report",
            "version": version("sciexplain"),
            "run": str(self.run.path),
            "rows": rows,
            "samples": samples,
        }
        (self.folder / MARK).write_text(json.dumps(mark, indent=1) + "\n", encoding="utf-8")


def _filters(columns: Columns, audit: Audit | None) -> dict[str, Any]:
    """What one can filter by: values and how often they are there."""

    def counted(values: Iterable[int]) -> list[tuple[int, int]]:
        return sorted((int(value), many) for value, many in Counter(values).items() if value >= 0)

    found = {name: counted(getattr(columns, name).tolist()) for name in ("prediction", "label")}
    targets = counted(columns.target.tolist())
    if len(targets) > 1 and (columns.target != columns.prediction).any():
        found["target"] = targets
    if audit is not None:
        found["cluster"] = counted(audit.clusters.values())
    return {
        **{name: of for name, of in found.items() if of},
        "outcome": bool(columns.judged.any()),
        "probability": bool(np.isfinite(columns.probability).any()),
    }
