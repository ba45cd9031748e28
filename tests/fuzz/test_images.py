"""Damaged files of every format are read or refused, never anything else; ``benchmarks/fuzz.py`` does far more."""

from collections.abc import Callable

import pytest
from _fuzz_images import SEEDS, TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_NUMBERS = [0, 1, 2, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63]


@st.composite
def damaged(draw: Callable, seeds: list[bytes]) -> bytes:
    """A whole file with some bytes replaced, left out, doubled, or made a number that is an end of its range."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        place, length = draw(st.integers(0, len(content))), draw(st.sampled_from([1, 2, 4, 12, 64]))
        how = draw(st.sampled_from(["replace", "number", "leave out", "double", "cut"]))
        if how == "replace":
            content[place : place + length] = draw(st.binary(max_size=8))
        elif how == "number":
            order = draw(st.sampled_from(["little", "big"]))
            number = draw(st.sampled_from(_NUMBERS)) % 256**length
            content[place : place + length] = number.to_bytes(length, order)
        elif how == "leave out":
            del content[place : place + length]
        elif how == "double":
            content[place:place] = content[place : place + length]
        else:
            del content[place:]
    return bytes(content)


@pytest.mark.filterwarnings("ignore")  # decoders have much to say about such files
@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files(name: str) -> None:
    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(damaged(SEEDS[name]))
    def check(content: bytes) -> None:
        TARGETS[name](content)

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_whole_files(name: str) -> None:
    assert SEEDS[name]
    for content in SEEDS[name]:
        TARGETS[name](content)
