"""What the documentation's pages show runs as it stands there.

A block of Python is run where the line before it is ``<!-- runnable -->``; the blocks of a page share one namespace.
"""

import re
import warnings
from pathlib import Path

import _peers
import pytest
import torch

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BLOCK = re.compile(r"^<!-- runnable -->\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def snippets(page: Path) -> list[tuple[int, str]]:
    """Line and code of each block that is marked."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, m.start(1)), m[1]) for m in _BLOCK.finditer(text)]


PAGES = [page for page in sorted(DOCS.rglob("*.md")) if snippets(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_the_snippets_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    namespace = {"__name__": "page"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a reader should not be warned of what the page itself does
        for line, code in snippets(page):
            exec(compile("\n" * line + code, str(page), "exec"), namespace)


def test_every_mark_has_its_block():
    for page in DOCS.rglob("*.md"):
        assert page.read_text(encoding="utf-8").count("<!-- runnable -->") == len(snippets(page)), page


def test_the_newcomers_pages_have_some():
    named = {str(page.relative_to(DOCS)) for page in PAGES}
    assert {"start.md", "idea.md", "choose.md", *(f"coming-from/{p}.md" for p in ("zennit", "captum"))} <= named


_peers.torchvision()  # transformers imports it
