"""Damaged files of everything but the domains' readers; benchmarks/fuzz.py has a million of them."""

import random

import _fuzz_core
import pytest
from _mutate import mutated
from hypothesis import given, settings
from hypothesis import strategies as st

from sciexplain.errors import SciExplainError


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """What is remembered of named functions, apart from the user's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.parametrize("name", _fuzz_core.TARGETS)
def test_what_is_whole_is_read_or_refused(name):
    for content in _fuzz_core.SEEDS[name]:
        try:
            _fuzz_core.TARGETS[name](content)
        except SciExplainError as error:
            assert str(error)


WHOLE = ("core/explanation.json", "core/record.json", "core/model.json", "core/checkpoint", "core/rows", "core/idx")


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_whole_is_read(name):
    """So that the targets reach what they are to reach."""
    _fuzz_core.TARGETS[name](_fuzz_core.SEEDS[name][0])


@pytest.mark.parametrize("name", _fuzz_core.TARGETS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_what_is_damaged_is_read_or_refused(name, seed):
    content = mutated(_fuzz_core.SEEDS[name], random.Random(seed))
    try:
        _fuzz_core.TARGETS[name](content)
    except SciExplainError as error:
        assert str(error)


@pytest.mark.parametrize("name", _fuzz_core.TARGETS)
@given(content=st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=30, deadline=None)
def test_anything_is_read_or_refused(name, content):
    try:
        _fuzz_core.TARGETS[name](content)
    except SciExplainError as error:
        assert str(error)
