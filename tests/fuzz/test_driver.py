"""That the benchmark finds what it looks for, and finds it again."""

import random

import fuzz
import pytest
from _mutate import mutated

from sciexplain.errors import DataError, SciExplainError


def reads(content):
    if b"refuse" in content:
        raise DataError("refused")
    if b"tell" in content:
        try:
            raise DataError("told, and gone on")
        except DataError:
            return
    if b"silent" in content:
        raise DataError("")
    if b"fail" in content:
        raise KeyError("fail")
    while b"hang" in content:
        pass


@pytest.fixture
def worker(tmp_path, monkeypatch):
    monkeypatch.setattr(SciExplainError, "__init__", SciExplainError.__init__)  # which the worker replaces
    signal = pytest.importorskip("signal")
    before = signal.getsignal(signal.SIGPROF)
    yield fuzz.Worker("a/target", reads, fuzz.Shared(tmp_path / "state"), tmp_path / "keep", limit=0.1)
    signal.signal(signal.SIGPROF, before)


def test_inputs_are_counted_by_what_became_of_them(worker, tmp_path):
    for content in (b"whole", b"refuse", b"tell", b"fail 1", b"fail 2", b"hang", b"silent"):
        worker.feed(content)
    state = worker.shared.get()
    assert (state.number, state.refused, state.whole - state.failures, state.failures) == (7, 2, 1, 4)
    assert worker.shared.input == b"silent"
    kept = {path.read_bytes(): path.with_suffix(".txt").read_text() for path in tmp_path.glob("keep/a_target/*.input")}
    assert set(kept) == {b"fail 1", b"fail 2", b"hang", b"silent"}
    assert "KeyError" in kept[b"fail 1"] and "TooSlow" in kept[b"hang"]


def test_many_failures_of_one_kind_are_kept_a_few_times(worker, tmp_path):
    for number in range(9):
        worker.feed(b"fail %d" % number)
    assert worker.shared.get().failures == 9
    assert len(list(tmp_path.glob("keep/a_target/*.input"))) == 3


def test_the_same_number_is_the_same_input():
    seeds = [b"chr1\t5\t10\n" * 3, b"chr2\t7\t9\n"]
    first = [fuzz.mutated(seeds, f"0 name {number}") for number in range(300)]
    assert first == [fuzz.mutated(seeds, f"0 name {number}") for number in range(300)]
    assert first[:2] == seeds and len(set(first)) > 250
    assert first != [fuzz.mutated(seeds, f"1 name {number}") for number in range(300)]


def test_damage_of_nothing_and_of_anything():
    for number in range(2000):
        made = mutated([b"", b"\n", bytes(range(256))], random.Random(number))
        assert len(made) <= 1 << 20
