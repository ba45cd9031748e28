"""The examples in the docstrings of the installed package run."""

import doctest
import importlib
import pkgutil

import pytest
import torch

import sciexplain

MODULES = ["sciexplain", *(m.name for m in pkgutil.walk_packages(sciexplain.__path__, "sciexplain."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)  # untrained networks of the examples: some draws leave no unit alive
    failed, _ = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    assert failed == 0
