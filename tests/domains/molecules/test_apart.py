"""What other processes make of things is what this one makes of them, also where one of them dies."""

import os
import time
from collections.abc import Iterator
from itertools import chain, count, islice
from typing import Any

import pytest
from functions_apart import died, here, raising, slow, stuck, there

from sciexplain.domains.molecules import apart
from sciexplain.domains.molecules.apart import applied


def awaited(stop: int) -> Iterator[int]:
    """Numbers below 10, many times 500 while other processes start, and 1000 to ``stop``."""
    yield from range(10)
    for _ in range(400):
        time.sleep(0.01)
        yield 500
    yield from range(1000, stop)


def apply(function: Any, stop: int, processes: int = 2) -> list[tuple[int, int]]:
    return list(applied(here, function, awaited(stop), died, processes=processes, after=10, chunk=8))


def test_the_order_is_kept_and_a_death_costs_one_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_AHEAD", 0)
    found = apply(there, 1300)
    assert [n for n, _ in found if n != 500] == [*range(10), *range(1000, 1300)]
    assert [pid for n, pid in found if n < 10] == [os.getpid()] * 10
    late = dict(item for item in found if item[0] >= 1000)
    assert late.pop(1013) == 0 and os.getpid() not in late.values() and 2 <= len(set(late.values())) <= 3


def test_errors_are_raised_here() -> None:
    with pytest.raises(ValueError, match="no 500"):
        apply(raising, 1001)


def test_few_things_or_no_processes_are_done_here() -> None:
    for processes, things in ((3, range(10)), (0, range(100))):
        found = list(applied(here, raising, iter(things), died, processes=processes, after=10))
        assert found == [(n, os.getpid()) for n in things]


def test_who_is_slow_gets_a_hand() -> None:
    found = apply(slow, 1100, processes=1)
    assert [n for n, _ in found if n != 500] == [*range(10), *range(1000, 1100)]
    assert len({pid for n, pid in found if n >= 1000}) == 2


def test_who_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_AHEAD", 0)
    monkeypatch.setattr(apart, "_PATIENCE", 2.0)
    late = dict(item for item in apply(stuck, 1012, processes=1) if item[0] >= 1000)
    assert list(late) == list(range(1000, 1012)) and [n for n, pid in late.items() if not pid] == [1005]


def test_ending_early_ends_the_processes() -> None:
    stream = applied(here, there, chain(awaited(1000), count(2000)), died, processes=1, after=1, chunk=8)
    pid = next(pid for _, pid in stream if pid != os.getpid())
    assert len(list(islice(stream, 100))) == 100
    stream.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
