"""Damaged files of molecules; benchmarks/fuzz.py has a million of them."""

import random
from pathlib import Path

import _fuzz_molecules
import pytest
from _mutate import mutated
from hypothesis import given, settings
from hypothesis import strategies as st

from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read import attempts

TARGETS, SEEDS = _fuzz_molecules.TARGETS, _fuzz_molecules.SEEDS
TEXT = st.text(st.sampled_from('CNO[]()=#123%.+-@/\\ \t\n\r,;"|$:é\0M>< '), max_size=80)
READ = {
    "molecules/csv": [3, 3, 1], "molecules/tsv": [3], "molecules/smi": [3, 3], "molecules/txt": [2, 1, 0],
    "molecules/csv.gz": [3, 6], "molecules/sdf": [2, 2, 1, 2], "molecules/sdf.v3000": [1, 2, 1, 1],
    "molecules/xyz": [2, 2, 1], "molecules/extxyz": [2, 1], "molecules/parquet": [5, 5, 5],
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_is_whole_is_read(name: str, tmp_path: Path) -> None:
    """So that damage meets what is to be damaged."""
    path = tmp_path / ("a." + name.partition("/")[2].removesuffix(".v3000"))
    for content, wanted in zip(SEEDS[name], READ[name], strict=True):
        path.write_bytes(content)
        assert sum(isinstance(found, Molecule) for _, found in attempts(path)) == wanted
        TARGETS[name](content)


@pytest.mark.parametrize("name", TARGETS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_what_is_damaged_is_read_or_refused(name: str, seed: int) -> None:
    TARGETS[name](mutated(SEEDS[name], random.Random(seed)))


@pytest.mark.parametrize("name", TARGETS)
@given(content=st.binary(max_size=200) | TEXT.map(str.encode))
@settings(max_examples=40, deadline=None)
def test_anything_is_read_or_refused(name: str, content: bytes) -> None:
    TARGETS[name](content)
