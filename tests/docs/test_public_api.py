"""The public names are those that are listed, and all of them are documented."""

import difflib
import inspect
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "public_api.py"


@pytest.fixture(scope="module")
def public_api():
    spec = spec_from_file_location("public_api", SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_list_is_up_to_date(public_api):
    written, found = public_api.PAGE.read_text(encoding="utf-8"), public_api.listing()
    drift = difflib.unified_diff(written.splitlines(), found.splitlines(), "listed", "found", n=0, lineterm="")
    assert written == found, "the public API changed; if that is meant, run: make docs\n" + "\n".join(drift)


def test_a_change_is_seen(public_api):
    class Kind:
        def method(self, a, *, b=1): ...

    Kind.__module__ = "sciexplain.x"
    assert list(public_api._entry("Kind", Kind)) == ["    class Kind()", "        .method(a, *, b=)"]
    assert list(public_api._entry("f", lambda a, /, b=0, *c, d, **e: 0)) == ["    f(a, b=, *c, d, **e)"]


def test_everything_public_says_what_it_is(public_api):
    silent = []
    for name in public_api.MODULES:
        module = import_module(name)
        for entry in getattr(module, "__all__", ()):
            thing = getattr(module, entry)
            if (inspect.isclass(thing) or inspect.isroutine(thing)) and not inspect.getdoc(thing):
                silent.append(f"{name}.{entry}")
    assert not silent
