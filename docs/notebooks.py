"""The notebooks of ``examples/`` as pages, with the outputs that they were kept with; nothing is run."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "examples"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def found() -> list[Path]:
    return sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))


def as_page(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """Markdown, and the pictures it shows, by name."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for number, cell in enumerate(json.loads(notebook.read_text(encoding="utf-8"))["cells"]):
        source = "".join(cell["source"]).strip()
        if not source:
            continue
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code":
            parts.append(f"```python\n{source}\n```")
            for place, output in enumerate(cell["outputs"]):
                parts.append(_shown(output, f"{notebook.stem}-{number}-{place}", pictures))
    parts.insert(1, f"*`examples/{notebook.name}`, with the outputs of its last run.*")
    return "\n\n".join(filter(None, parts)) + "\n", pictures


def _in_one_block(html: str) -> str:
    """Without the blank lines that would end it for Markdown."""
    return re.sub(r"\n\s*\n", "\n", html)


def _shown(output: dict[str, Any], name: str, pictures: dict[str, bytes]) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        pictures[f"{name}.png"] = b64decode("".join(data["image/png"]))
        return f"![figure]({name}.png)"
    if "image/svg+xml" in data:
        pictures[f"{name}.svg"] = "".join(data["image/svg+xml"]).encode()
        return f"![figure]({name}.svg)"
    html = "".join(data.get("text/html", ""))
    if html and "<script" not in html and "<iframe" not in html:
        return f'<div class="output">{_in_one_block(html)}</div>'
    text = "".join(output.get("text", data.get("text/plain", "")))
    text = _COLOURS.sub("", text).strip("\n")
    return f"```text\n{text}\n```" if text else ""
