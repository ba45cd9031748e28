"""Write ``attribution.md``: what LRP and DeepLIFT do with each operation, as the code's own tables say it.

python docs/attribution.py
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from inspect import cleandoc, getsource
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

from sciexplain.engine import handlers, multipliers, names
from sciexplain.engine.multipliers import written

PAGE = Path(__file__).with_name("attribution.md")

HEAD = """\
# What is attributed how

Written by `make docs` from the tables in `sciexplain/engine`; a test holds it to them.

Operations go by torch's names, and functions, methods, operators, modules, in-place variants and the operators of
exported programs are one thing. LRP carries `c`, relevance over activation, so that relevance is `activation × c`
everywhere, and every line says which local slope `c` is multiplied with. DeepLIFT's multipliers go from the change of
a result, between reference and sample, to the changes of its arguments. An operation in no line, or with a dash, is
named in a warning: LRP then uses torch's gradient, DeepLIFT its average along the line from reference to sample.

| operations | LRP | DeepLIFT | source |
|---|---|---|---|
"""

SETS = ("DROPOUT", "MOVEMENT", "AFFINE", "LINEAR", "HOMOGENEOUS", "TAYLOR", "ACTIVATIONS", "NORMALIZERS")
PARTS = "As the simpler operations it is made of."
Treatment = tuple[str, str]
"""What is done, and the file that does it."""


def _first_paragraph(text: str) -> str:
    """Of a docstring, as Markdown."""
    line = " ".join(cleandoc(text).split("\n\n")[0].split())
    line = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", line).replace("``", "`")
    return line.replace("|", "\\|")


def _docstrings_of(module: ModuleType) -> dict[str, str]:
    """The strings that stand under the tables of a module."""
    body = ast.parse(getsource(module)).body
    return {
        table.targets[0].id: string.value.value
        for table, string in pairwise(body)
        if isinstance(table, ast.Assign) and isinstance(table.targets[0], ast.Name)
        if isinstance(string, ast.Expr) and isinstance(string.value, ast.Constant)
    }


def _documented(function: Callable[..., Any]) -> str:
    """What a function says of itself, or the one that made it."""
    if function.__doc__:
        return _first_paragraph(function.__doc__)
    maker = getattr(sys.modules[function.__module__], function.__qualname__.split(".")[0])
    return _first_paragraph(maker.__doc__ or "")


def _file(function: Callable[..., Any]) -> str:
    return "/".join(function.__module__.split(".")[2:]) + ".py"


def _in_a_set(name: str) -> Treatment | None:
    for table in SETS:
        if name in getattr(names, table):
            return _first_paragraph(_TABLES[table]), f"names.py: {table}"
    return None


def lrp(name: str) -> Treatment | None:
    """As ``LRP`` decides."""
    if (handler := handlers.HANDLERS.get(name)) is not None:
        said = _documented(handler)
        return (said, _file(handler)) if said else _in_a_set(name)
    if (formula := handlers.WRITTEN_OUT.get(name)) is not None:
        return PARTS, _file(formula)
    return _in_a_set(name)


def deeplift(name: str) -> Treatment | None:
    """As ``multipliers.multiplied`` decides, of operations with signals in every argument."""
    if (formula := multipliers.WRITTEN_OUT.get(name)) is not None:
        return PARTS, _file(formula)
    if name in multipliers.LINEAR and name not in multipliers.HANDLERS:
        return _first_paragraph(_MULTIPLIERS["LINEAR"]), "multipliers/__init__.py: LINEAR"
    if name in multipliers.BILINEAR or name == "prod":
        return _first_paragraph(_MULTIPLIERS["BILINEAR"]), "multipliers/__init__.py: BILINEAR"
    if (handler := multipliers.HANDLERS.get(name)) is not None:
        return _documented(handler), _file(handler)
    return None


_TABLES, _MULTIPLIERS = _docstrings_of(names), _docstrings_of(multipliers)


def _shown(name: str) -> bool:
    """Whether users call it so, rather than exported programs."""
    return name.strip("_") == name or name.startswith("__")


def page() -> str:
    known = {name for table in SETS for name in getattr(names, table)} | set(handlers.HANDLERS)
    known |= {n for n, f in handlers.WRITTEN_OUT.items() if not f.__module__.endswith("operators")}
    known |= set(multipliers.HANDLERS) | multipliers.BILINEAR | set(written.WRITTEN_OUT)
    rows: dict[tuple[Treatment | None, Treatment | None], list[str]] = {}
    for name in sorted({names.ALIASES.get(n, n) for n in known} - names.CONSTANT):
        if _shown(name):
            rows.setdefault((lrp(name), deeplift(name)), []).append(name)
    lines = []
    for (a, b), operations in sorted(rows.items(), key=lambda row: (_source(row[0][0]), _source(row[0][1]), row[1])):
        sources = dict.fromkeys(t[1] for t in (a, b) if t is not None)
        cells = (
            ", ".join(f"`{n}`" for n in operations),
            "—" if a is None else a[0],
            "—" if b is None else b[0],
            "; ".join(f"`{s}`" for s in sources),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return HEAD + "\n".join(lines) + "\n"


def _source(treatment: Treatment | None) -> str:
    return "~" if treatment is None else treatment[1]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
