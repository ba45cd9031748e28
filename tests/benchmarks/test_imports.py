"""What benchmarks, examples and pages import from the package is there: most of them are too long to be run."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for folder in ("benchmarks", "docs", "examples") for path in (ROOT / folder).rglob("*.py"))


def missing(source):
    """Names that are imported and are not there."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names if alias.name.partition(".")[0] == "sciexplain"]
            yield from (name for name in modules if not import_module(name))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sciexplain":
            for alias in node.names:
                if not hasattr(import_module(node.module), alias.name):
                    try:
                        import_module(f"{node.module}.{alias.name}")
                    except ImportError:
                        yield f"{node.module}.{alias.name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_is_there(path):
    assert not list(missing(path.read_text(encoding="utf-8")))


def test_what_is_not_there_is_seen():
    assert list(missing("from sciexplain.rules import Epsilon, Nothing\nfrom sciexplain import rules, nowhere")) == [
        "sciexplain.rules.Nothing",
        "sciexplain.nowhere",
    ]
