"""Pages that the code itself says: the API reference and the command line's. A hook of mkdocs.

Every name in ``__all__`` of the rooms below has its entry; nothing is listed twice, and nothing by hand.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import warnings
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import notebooks  # beside this file, which is not on the path

os.environ["NO_COLOR"] = "1"

AREAS: dict[str, tuple[str, dict[str, str]]] = {
    "core": ("Core", {"sciexplain": "sx", "sciexplain.rules": "rules", "sciexplain.composites": "composites"}),
    "methods": ("Methods", {"sciexplain.methods": "methods"}),
    "images": (
        "Images",
        {
            "sciexplain.domains.images": "images",
            "sciexplain.domains.images.evaluate": "evaluate",
            "sciexplain.domains.images.reference": "reference",
        },
    ),
    "molecules": (
        "Molecules",
        {
            "sciexplain.domains.molecules": "molecules",
            "sciexplain.domains.molecules.evaluate": "evaluate",
            "sciexplain.domains.molecules.reference": "reference",
            "sciexplain.domains.molecules.design": "design",
        },
    ),
    "genomics": (
        "Genomics",
        {
            "sciexplain.domains.genomics": "genomics",
            "sciexplain.domains.genomics.expression": "expression",
            "sciexplain.domains.genomics.evaluate": "evaluate",
            "sciexplain.domains.genomics.reference": "reference",
            "sciexplain.domains.genomics.design": "design",
        },
    ),
    "texts": ("Texts", {"sciexplain.domains.texts": "texts"}),
    "evaluate": ("Evaluation", {"sciexplain.evaluate": "evaluate"}),
    "maximize": (
        "Maximisation and concepts",
        {"sciexplain.maximization": "maximization", "sciexplain.concepts": "concepts"},
    ),
    "audit": (
        "Audit, mend, records",
        {"sciexplain.audit": "audit", "sciexplain.mend": "mend", "sciexplain.records": "records"},
    ),
    "runs": ("Runs", {"sciexplain.runs": "runs"}),
    "datasets": ("Data sets", {"sciexplain.datasets": "datasets"}),
    "compat": (
        "For other libraries' users",
        {
            "sciexplain.compat.captum": "captum",
            "sciexplain.compat.quantus": "quantus",
            "sciexplain.compat.tables": "tables",
        },
    ),
}


TABLES = {"sciexplain.methods": "METHODS", "sciexplain.composites": "PRESETS"}
"""Rooms that offer functions by name in a table."""
FIRST = {"sciexplain": ("explain", "Explanation", "load", "Composite", "Ledger", "LRP")}
"""What a room's page begins with; the rest is in the order of ``__all__``, errors last."""


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    warnings.filterwarnings("ignore", message=".*torch.jit.script")  # of PyG, when it is imported
    for name, content in reference().items():
        files.append(File.generated(config, f"api/{name}.md", content=content))
    files.append(File.generated(config, "api/command-line.md", content=command_line()))
    for notebook in notebooks.found():
        content, pictures = notebooks.as_page(notebook)
        files.append(File.generated(config, f"examples/{notebook.stem}.md", content=content))
        for name, picture in pictures.items():
            files.append(File.generated(config, f"examples/{name}", content=picture))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """On the page of examples, names of notebooks link to their pages; search finds guides before tables."""
    if page.file.src_uri.startswith(("benchmarks/", "examples/")):
        page.meta.setdefault("search", {"boost": 0.3})
    if page.file.src_uri != "examples.md":
        return markdown
    for notebook in notebooks.found():
        markdown = markdown.replace(f"`{notebook.stem}`", f"[`{notebook.stem}`](examples/{notebook.stem}.md)")
    return markdown


_SHIM = re.compile(r'<script src="https://[^"]*iframe-worker[^"]*"></script>')


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Nothing is loaded from elsewhere: the theme's helper for search from the disk is ours."""
    return _SHIM.sub(f'<script src="{"../" * page.url.count("/")}assets/offline.js"></script>', output)


def on_post_template(output: str, template_name: str, config: Any) -> str:
    return _SHIM.sub("", output)


def reference() -> dict[str, str]:
    """The pages of the reference; what several rooms offer stands in the first."""
    seen: set[str] = set()
    return {name: _area(title, rooms, seen) for name, (title, rooms) in AREAS.items()}


def _area(title: str, rooms: dict[str, str], seen: set[str]) -> str:
    parts = [f"# {title}"]
    if "sciexplain.methods" in rooms:
        parts.append(
            'What `sx.explain(model, inputs, target, method="…")` calls: the first three parameters are its own, what '
            "follows the star are the options to give by name."
        )
    for path, short in rooms.items():
        parts.append(f"## `{path}`")
        parts.append(_entry(path, members=False, show_root_heading=False, show_root_toc_entry=False))
        for name, full in _public(importlib.import_module(path)):
            if full not in seen:
                seen.add(full)
                parts.append(_entry(full, heading=f"{short}.{name}", toc_label=name))
    return "\n\n".join(parts) + "\n"


def _public(room: ModuleType) -> Iterator[tuple[str, str]]:
    """Name and full path of what a room offers, rooms of their own left out."""
    table = TABLES.get(room.__name__)
    if table is not None:
        yield from ((name, f"{f.__module__}.{f.__qualname__}") for name, f in getattr(room, table).items())
    if table == "METHODS":
        return
    names = room.__all__ if hasattr(room, "__all__") else [n for n in vars(room) if not n.startswith("_")]
    first = FIRST.get(room.__name__, ())
    for name in (*first, *sorted(set(names) - set(first), key=lambda n: (n.endswith("Error"), names.index(n)))):
        value = getattr(room, name)
        if isinstance(value, ModuleType):
            continue
        module = getattr(value, "__module__", "")
        is_object = module.startswith("sciexplain") and hasattr(value, "__qualname__")
        if not hasattr(room, "__all__") and (not is_object or module != room.__name__):
            continue  # what it imports
        yield name, f"{module}.{value.__qualname__}" if is_object else f"{room.__name__}.{name}"


def _entry(path: str, **options: Any) -> str:
    lines = [f"::: {path}", "    options:"]
    lines += [
        f"      {key}: {str(value).lower() if isinstance(value, bool) else value}" for key, value in options.items()
    ]
    return "\n".join(lines)


def command_line() -> str:
    """What ``--help`` says of every command."""
    import typer.main

    app = importlib.import_module("sciexplain.cli.main").app
    parts = [
        "# Command line",
        "Written from the same descriptions as `--help`. Exit codes: 0 done; 1 finished, with rows that failed, which "
        "are listed in the run; 2 wrong usage; 130 stopped, to be gone on with by the same command.",
    ]
    parts += _commands(typer.main.get_command(app), "sciexplain", None)
    return "\n\n".join(parts) + "\n"


def _commands(command: Any, name: str, parent: Any) -> Iterator[str]:
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    children = getattr(command, "commands", {})
    if parent is not None:
        yield f"{'##' if name.count(' ') == 1 else '###'} `{name}`"
    if command.help:
        yield _prose(command.help)
    options = [record for p in command.params if (record := p.get_help_record(context)) is not None]
    if options and not children:
        yield "| option | |\n|---|---|\n" + "\n".join(f"| {_cell(o, code=True)} | {_cell(h)} |" for o, h in options)
    for child, each in children.items():
        yield from _commands(each, f"{name} {child}", context)


def _prose(text: str) -> str:
    """Help as Markdown: what is escaped for a terminal's paragraphs is a paragraph here."""
    return escape(cleandoc(text).replace("\b", ""))


def _cell(text: str, *, code: bool = False) -> str:
    line = " ".join(text.split()).replace("|", "\\|")
    return f"`{line}`" if code else escape(line)


def escape(text: str) -> str:
    """``<…>`` and ``*`` as they are, outside of code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if i % 2 else part.replace("<", "&lt;").replace("*", "\\*").replace("[", "\\[")
        for i, part in enumerate(parts)
    )
