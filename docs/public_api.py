"""Writes ``public_api.txt``: every public name with its parameters, so that a change of them is seen as one.

python docs/public_api.py
"""

import importlib
import inspect
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("public_api.txt")
MODULES = (
    "sciexplain",
    "sciexplain.audit",
    "sciexplain.compat.captum",
    "sciexplain.compat.quantus",
    "sciexplain.compat.tables",
    "sciexplain.composites",
    "sciexplain.concepts",
    "sciexplain.datasets",
    "sciexplain.domains.genomics",
    "sciexplain.domains.genomics.expression",
    "sciexplain.domains.images",
    "sciexplain.domains.molecules",
    "sciexplain.domains.texts",
    "sciexplain.errors",
    "sciexplain.evaluate",
    "sciexplain.maximization",
    "sciexplain.mend",
    "sciexplain.records",
    "sciexplain.rules",
    "sciexplain.runs",
)


def listing() -> str:
    """The page: a line for each name, indented below its module or class."""
    return "".join(f"{line}\n" for name in MODULES for line in _module(importlib.import_module(name)))


def _module(module: Any) -> Iterator[str]:
    yield module.__name__
    names = getattr(module, "__all__", None) or [name for name in vars(module) if _is_own(module, name)]
    for name in sorted(names):
        yield from _entry(name, getattr(module, name))


def _is_own(module: Any, name: str) -> bool:
    return not name.startswith("_") and getattr(getattr(module, name), "__module__", None) == module.__name__


def _entry(name: str, thing: Any) -> Iterator[str]:
    if inspect.ismodule(thing):
        yield f"    {name}: module"
    elif inspect.isclass(thing):
        yield f"    class {name}{_parameters(thing)}"
        for member in sorted(_members(thing)):
            found = inspect.getattr_static(thing, member, None)
            called = inspect.isroutine(found) and not isinstance(found, cached_property)
            yield f"        .{member}{_parameters(getattr(thing, member)) if called else ''}"
    elif callable(thing):
        yield f"    {name}{_parameters(thing)}"
    else:
        yield f"    {name}: {type(thing).__name__}"


def _members(kind: type) -> set[str]:
    """Methods, properties and annotated attributes of the package's own classes that this one is made of."""
    found: set[str] = set()
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] == "sciexplain":
            found |= {name for name in [*vars(base), *inspect.get_annotations(base)] if name[0] != "_"}
    return found


def _parameters(thing: Any) -> str:
    """Names of parameters; ``=`` where one has a default."""
    try:
        entries = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):  # of exceptions and of other builtins
        return "(…)"
    marks = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    made, starred = [], False
    for entry in entries:
        if entry.kind is inspect.Parameter.KEYWORD_ONLY and not starred:
            made.append("*")
        starred = starred or entry.kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_POSITIONAL)
        made.append(marks.get(entry.kind, "") + entry.name + ("" if entry.default is inspect.Parameter.empty else "="))
    return f"({', '.join(name for name in made if name not in ('self', 'cls'))})"


if __name__ == "__main__":
    PAGE.write_text(listing(), encoding="utf-8")
