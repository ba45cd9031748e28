import threading
import time

import pytest

from sciexplain.runs.threads import Behind, ahead


def test_items_come_in_order_and_some_before_they_are_asked_for():
    taken = []

    def items():
        for n in range(1000):
            taken.append(n)
            yield n

    with ahead(items(), lambda n: 1, most=400) as coming:
        first = next(coming)
        deadline = time.monotonic() + 10
        while len(taken) < 300 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert 300 <= len(taken) < 1000
        assert [first, *coming] == list(range(1000))


def test_no_more_wait_than_asked_for():
    largest, waiting, lock = 0, 0, threading.Lock()

    def items():
        nonlocal waiting, largest
        for n in range(200):
            with lock:
                waiting += 1
                largest = max(largest, waiting)
            yield n

    with ahead(items(), lambda n: 100, most=400) as coming:
        for _ in coming:
            time.sleep(0.001)
            with lock:
                waiting -= 1
    assert largest <= 8  # four chunks of one, the one in use, the one that is put, the one that is made


def test_errors_come_in_their_place():
    def items():
        yield 1
        yield 2
        raise OSError("torn")

    found = []
    with pytest.raises(OSError, match="torn"), ahead(items(), lambda n: 1, most=100) as coming:
        for n in coming:
            found.append(n)
    assert found == [1, 2]


def test_the_reader_ends_when_nobody_wants_more():
    def items():
        while True:
            yield 0

    with ahead(items(), lambda n: 1, most=100) as coming:
        next(coming)
    deadline = time.monotonic() + 10
    while any(t.name == "sciexplain reader" for t in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(t.name == "sciexplain reader" for t in threading.enumerate())


def test_what_is_handed_over_is_done_before_the_end():
    done = []
    with Behind(lambda n: (time.sleep(0.001), done.append(n)), waiting=2) as behind:
        for n in range(50):
            behind.put(n)
    assert done == list(range(50))


def test_what_the_function_raises_is_raised_where_it_is_handed_over():
    def handle(n):
        if n == 3:
            raise OSError("full")

    with pytest.raises(OSError, match="full"), Behind(handle, waiting=1) as behind:
        for n in range(1000):
            behind.put(n)
    with pytest.raises(OSError, match="full"), Behind(handle) as behind:
        behind.put(3)


def test_an_error_inside_still_lets_it_finish():
    done = []
    with pytest.raises(KeyboardInterrupt), Behind(done.append) as behind:
        behind.put(1)
        raise KeyboardInterrupt
    assert done == [1]
