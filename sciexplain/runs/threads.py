"""Reading ahead and writing behind in threads of their own."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

_CHUNK = 64
_CHUNKS = 4
_POLL_SECONDS = 0.2


@contextmanager
def ahead(items: Iterable[T], size: Callable[[T], int], most: int) -> Iterator[Iterator[T]]:
    """Take items from an iterator in a thread, some of them before they are asked for.

    Parameters
    ----------
    items
        Used in the thread alone.
    size, most
        Of each item, and of those that wait, about.

    Raises
    ------
    Exception
        Whatever the iterator raises, in its place.
    """
    queue: Queue[list[T] | BaseException | None] = Queue(_CHUNKS)
    stopped = Event()

    def put(chunk: list[T] | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                return queue.put(chunk, timeout=_POLL_SECONDS)
            except Full:
                continue

    def run() -> None:
        chunk: list[T] = []
        taken = 0
        try:
            for item in items:
                if stopped.is_set():
                    return
                chunk.append(item)
                taken += size(item)
                if len(chunk) == _CHUNK or taken >= most // _CHUNKS:
                    put(chunk)
                    chunk, taken = [], 0
            put(chunk)
            put(None)
        except BaseException as error:  # raised where the items are used
            put(chunk)
            put(error)

    def taken() -> Iterator[T]:
        while (chunk := queue.get()) is not None:
            if isinstance(chunk, BaseException):
                raise chunk
            yield from chunk

    thread = Thread(target=run, name="sciexplain reader", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        stopped.set()


class Behind(Generic[T]):
    """Hands things to a function in a thread, in their order; a context manager that ends when all are done.

    Parameters
    ----------
    handle
        Called in the thread.
    waiting
        How many may wait before :meth:`put` does.
    """

    def __init__(self, handle: Callable[[T], object], waiting: int = 8) -> None:
        self._handle = handle
        self._queue: Queue[T | None] = Queue(waiting)
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="sciexplain writer", daemon=True)

    def __enter__(self) -> "Behind[T]":
        self._thread.start()
        return self

    def put(self, item: T) -> None:
        """Hand one over.

        Raises
        ------
        Exception
            What the function raised for an earlier one.
        """
        while True:
            self._check()
            try:
                return self._queue.put(item, timeout=_POLL_SECONDS)
            except Full:
                continue

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._queue.put(None)
        self._thread.join()
        if error is None:
            self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._handle(item)
                except BaseException as error:  # raised where things are handed over
                    self._error = error
