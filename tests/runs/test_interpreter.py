"""Python's interpreter during a run, and afterwards."""

import gc
import sys

import pytest

from sciexplain.runs.interpreter import tuned


def _state():
    return sys.getswitchinterval(), gc.get_threshold(), gc.get_freeze_count()


def test_all_is_as_before_afterwards_also_after_an_error():
    before = _state()
    with pytest.raises(KeyboardInterrupt), tuned():
        assert sys.getswitchinterval() <= 0.001
        assert gc.get_threshold()[0] >= 10_000 and gc.get_freeze_count() > 0
        raise KeyboardInterrupt
    assert _state() == before


@pytest.fixture
def thresholds():
    before = gc.get_threshold()
    yield gc.set_threshold
    gc.set_threshold(*before)


@pytest.mark.parametrize("allocations", [0, 50_000])
def test_who_looks_for_garbage_less_often_already_is_left_alone(thresholds, allocations):
    thresholds(allocations, 5, 7)
    with tuned():
        assert gc.get_threshold() == (allocations, 5, 7)
    assert gc.get_threshold() == (allocations, 5, 7)


def test_circles_that_the_run_makes_are_still_found():
    class Circle:
        alive = 0

        def __init__(self):
            self.itself = self
            Circle.alive += 1

        def __del__(self):
            Circle.alive -= 1

    with tuned():
        for _ in range(100_000):
            Circle()
        assert Circle.alive < 30_000
