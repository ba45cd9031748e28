"""The pages that the code makes: each public name has its entry, each command its options, each formula its signs."""

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import sciexplain

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module", autouse=True)
def beside():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        yield
    for name in ("pages", "notebooks", "mathematics", "docstrings"):
        sys.modules.pop(name, None)


def test_every_public_name_has_one_entry():
    pages = importlib.import_module("pages")
    text = "\n".join(pages.reference().values())
    entries = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    assert len(entries) == len(set(entries))
    assert {f"{f.__module__}.{f.__qualname__}" for f in sciexplain.METHODS.values()} <= set(entries)
    for _, rooms in pages.AREAS.values():
        for path in rooms.keys() - {"sciexplain.methods"}:
            room = importlib.import_module(path)
            for name in getattr(room, "__all__", ()):
                value = getattr(room, name)
                if isinstance(value, ModuleType):
                    continue
                full = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
                assert full in entries or f"{path}.{name}" in entries, f"{path}.{name}"


def test_every_command_is_there_with_its_options():
    page = importlib.import_module("pages").command_line()
    for command in ("explain images", "explain molecules", "explain genomics", "evaluate", "audit", "data list"):
        assert f"`sciexplain {command}`" in page
    assert "--composite" in page and "130" in page


def test_every_formula_of_the_docstrings_is_known():
    to_mathml = importlib.import_module("mathematics").to_mathml
    formulae = set()
    for found in pkgutil.walk_packages(sciexplain.__path__, "sciexplain."):
        module = importlib.import_module(found.name)
        owners = [module, *(v for v in vars(module).values() if getattr(v, "__module__", None) == found.name)]
        owners += [v for owner in owners if isinstance(owner, type) for v in vars(owner).values()]
        for owner in owners:
            formulae |= set(re.findall(r":math:`([^`]+)`", inspect.getdoc(owner) or ""))
    assert len(formulae) > 50
    for tex in formulae:
        assert to_mathml(tex).count("<") == to_mathml(tex).count(">")


def test_formulae():
    to_mathml = importlib.import_module("mathematics").to_mathml
    assert to_mathml(r"R_i") == "<math><msub><mi>R</mi><mi>i</mi></msub></math>"
    assert to_mathml(r"w_{ij}^+") == (
        "<math><msubsup><mi>w</mi><mrow><mi>i</mi><mi>j</mi></mrow><mo>+</mo></msubsup></math>"
    )
    with pytest.raises(ValueError, match="unheard"):
        to_mathml(r"\unheard x")


def test_roles_become_links_and_examples_stay_code():
    griffe = pytest.importorskip("griffe")
    as_markdown = importlib.import_module("docstrings").as_markdown
    module = griffe.Module("sciexplain")
    text = as_markdown("See :func:`~sciexplain.explain.explain`.\n\n>>> 1 + 1  # doctest: +SKIP\n2", module)
    assert '<autoref optional identifier="sciexplain.explain.explain"><code>explain</code></autoref>' in text
    assert "```pycon\n>>> 1 + 1\n2\n```" in text


def test_nothing_on_the_pages_is_loaded_from_elsewhere():
    assert "font: false" in (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    for page in [*DOCS.rglob("*.md"), *DOCS.rglob("*.css"), *DOCS.rglob("*.js")]:
        assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?https?:""", page.read_text(encoding="utf-8")), page
