"""Damaged files of genomics: read or refused, each row one attempt; benchmarks/fuzz.py has a million of them."""

import random

import _fuzz_genomics
import pytest
from _mutate import mutated
from hypothesis import given, settings
from hypothesis import strategies as st

from sciexplain.domains import genomics
from sciexplain.errors import DataError, SciExplainError

TARGETS, SEEDS = _fuzz_genomics.TARGETS, _fuzz_genomics.SEEDS


def fed(name: str, content: bytes) -> None:
    try:
        TARGETS[name](content)
    except SciExplainError as error:
        assert str(error)


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_whole_is_read_or_refused(name: str) -> None:
    for content in SEEDS[name]:
        fed(name, content)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [("fasta", 4, 2), ("bed", 4, 3), ("genbank", 2, 0), ("csv", 3, 0), ("parquet", 3, 0), ("narrowPeak", 2, 1)],
)
def test_the_targets_reach_what_they_are_to_reach(kind: str, good: int, bad: int) -> None:
    content = SEEDS[f"genomics/{kind.lower()}"][0]
    path = _fuzz_genomics.put(f"good.{ {'fasta': 'fa', 'genbank': 'gb'}.get(kind, kind) }", content)
    found = [one for _, one in genomics.attempts(path, genome=_fuzz_genomics.whole())]
    wrong = sum(isinstance(one, DataError) for one in found)
    assert (len(found) - wrong, wrong) == (good, bad)


@pytest.mark.parametrize("name", TARGETS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_what_is_damaged_is_read_or_refused(name: str, seed: int) -> None:
    fed(name, mutated(SEEDS[name], random.Random(seed)))


@pytest.mark.parametrize("name", TARGETS)
@given(content=st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=30, deadline=None)
def test_anything_is_read_or_refused(name: str, content: bytes) -> None:
    fed(name, content)


LINES = st.lists(
    st.lists(
        st.sampled_from(["chr1", "chr2", "0", "4", "11", "-1", "+", ".", "", "x", "1e3", "ID=g", 'gene_id "g";', ">a"])
        | st.text(max_size=6),
        max_size=13,
    ).map("\t".join),
    max_size=8,
).map("\n".join)


@pytest.mark.parametrize("name", [name for name in TARGETS if not name.endswith(("gz", "parquet", "h5ad", "modisco"))])
@given(text=LINES)
@settings(max_examples=40, deadline=None)
def test_lines_of_words_are_read_or_refused(name: str, text: str) -> None:
    fed(name, text.encode("utf-8", "surrogatepass"))
