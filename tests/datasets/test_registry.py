from importlib import import_module

import pytest

from sciexplain import datasets
from sciexplain.datasets import registry
from sciexplain.errors import DataError


@pytest.mark.parametrize("ask", [datasets.load, datasets.describe])
def test_unknown_name_lists_the_names(ask):
    with pytest.raises(DataError, match="'minst'; there are: digits, mnist, drugs, "):
        ask("minst")


def test_every_name_is_described():
    assert all(datasets.describe(name) for name in datasets.names())


def test_every_loader_is_there():
    for entry in registry.REGISTRY.values():
        assert callable(getattr(import_module(f"sciexplain.datasets.{entry.module}"), entry.function))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("simulated-motif", datasets.LabelledSequences),
        ("drugs", datasets.LabelledMolecules),
        ("digits", datasets.LabelledImages),
    ],
)
def test_what_is_built_in_loads_under_its_name(name, kind):
    assert isinstance(datasets.load(name), kind)
