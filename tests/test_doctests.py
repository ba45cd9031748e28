"""The examples in the docstrings of the installed package run."""

import doctest
import importlib
import pkgutil

import pytest

import sciexplain


def _modules():
    for module in pkgutil.walk_packages(sciexplain.__path__, "sciexplain."):
        yield module.name
    yield "sciexplain"


@pytest.mark.parametrize("name", _modules())
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    assert failed == 0
