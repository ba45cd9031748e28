"""Work on things one after the other, done by processes of their own, which keep the order and may die."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import select
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from queue import Queue
from threading import Thread
from typing import IO, Any, BinaryIO, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_WAITING = 2
_SIZE = struct.Struct("<Q")
_PIPE = 1 << 20
_READY = "ready"
_START = "import json, runpy, sys; sys.path[:] = json.loads(sys.argv[2]); runpy.run_path(sys.argv[1])['serve']()"


def applied(
    here: Callable[[T], R],
    there: Callable[[T], R],
    things: Iterator[T],
    died: Callable[[T], R],
    *,
    processes: int,
    after: int,
    chunk: int = 64,
) -> Iterator[R]:
    """Apply a function to things, in their order: to the first of them here, to the others in other processes.

    Until those have started, which takes them seconds, all is done here.

    Parameters
    ----------
    here, there
        The function, as it is in this process and in others: that one, the things and what it makes of them are
        pickled.
    died
        What stands for a thing that ends the process it is in.
    processes
        How many.
    after
        Things that are not worth other processes.
    chunk
        Things that are handed over at a time.

    Raises
    ------
    Exception
        Whatever the function raises.
    """
    yield from map(here, islice(things, after if processes else None))
    helpers: list[_Helper[T, R]] = []
    asked: deque[_Helper[T, R]] = deque()
    some = list(islice(things, chunk))
    try:
        while some or asked:
            if not helpers:
                helpers = [_Helper(there, died) for _ in range(processes)]
            free = [helper for helper in helpers if some and helper.is_free()]
            if free:
                asked.append(min(free, key=lambda helper: len(helper.chunks)))
                asked[-1].give(some)
            elif asked:
                yield from asked.popleft().take()
                continue
            else:
                yield from map(here, some)
            some = list(islice(things, chunk))
    finally:
        for helper in helpers:
            helper.end()


class _Helper(Generic[T, R]):
    """A process, and the chunks whose results it owes."""

    def __init__(self, function: Callable[[T], R], died: Callable[[T], R]) -> None:
        self._function, self._died = function, died
        self.chunks: deque[list[T]] = deque()
        self._start()

    def _start(self) -> None:
        # In a session of its own Ctrl-C does not reach it; it ends when its input does, however this process ends.
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, __file__, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _widen(self._process.stdout)
        self._is_ready: bool | None = None
        self._send(self._function)

    def is_free(self) -> bool:
        """Whether it has started and can be given a chunk."""
        assert self._process.stdout is not None
        if self._is_ready is None and select.select([self._process.stdout], [], [], 0)[0]:
            self._is_ready = self._receive() == _READY
        return bool(self._is_ready) and len(self.chunks) < _WAITING

    def give(self, chunk: list[T]) -> None:
        """More to do."""
        self.chunks.append(chunk)
        self._send(chunk)

    def take(self) -> list[R]:
        """The results of its first chunk; where it died of that, one by one, of new processes."""
        chunk = self.chunks.popleft()
        found = self._receive()
        if isinstance(found, Exception):
            raise found
        if found is None:
            found = [self._alone(thing) for thing in chunk]
            for waiting in self.chunks:
                self._send(waiting)
        return list(found)

    def _alone(self, thing: T) -> R:
        if self._process.poll() is not None:
            self.end()
            self._start()
            self._is_ready = self._receive() == _READY  # else the answer to a chunk would be taken for it
        self._send([thing])
        found = self._receive()
        if isinstance(found, Exception):
            raise found
        one: R = self._died(thing) if found is None else found[0]
        return one

    def _send(self, message: Any) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died, which shows where its answer is waited for
            _put(self._process.stdin, message)

    def _receive(self) -> Any:
        """Its next answer; None: it died."""
        assert self._process.stdout is not None
        try:
            return _got(self._process.stdout)
        except EOFError:
            self._process.wait()
            return None

    def end(self) -> None:
        """Close it."""
        self._process.kill()
        self._process.communicate()


def serve() -> None:
    """What such a process does: apply the function that comes first to the chunks that follow."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what is printed must not come among the answers
    function = _got(sys.stdin.buffer)
    chunks: Queue[list[Any] | None] = Queue()
    # Taken off the pipe at once, so that both ends never wait for each other.
    Thread(target=_take, args=(sys.stdin.buffer, chunks), daemon=True).start()
    answer: Any = _READY
    while True:
        _put(answers, answer)
        chunk = chunks.get()
        if chunk is None:
            return
        try:
            answer = [function(thing) for thing in chunk]
        except Exception as error:  # raised where the answer is taken
            answer = error


def _take(source: BinaryIO, chunks: Queue[list[Any] | None]) -> None:
    try:
        while True:
            chunks.put(_got(source))
    except EOFError:
        chunks.put(None)


def _widen(pipe: IO[bytes] | None) -> None:
    """Let a pipe hold a whole chunk, where that can be."""
    import fcntl

    if pipe is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # more than the system allows
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


def _put(pipe: BinaryIO | IO[bytes], message: Any) -> None:
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    pipe.write(_SIZE.pack(len(content)) + content)
    pipe.flush()


def _got(pipe: BinaryIO | IO[bytes]) -> Any:
    """The next message, read in as few calls as the pipe allows: after each, threads take turns.

    Raises
    ------
    EOFError
        There is none, or but part of one.
    """
    head = pipe.read(_SIZE.size)
    if len(head) < _SIZE.size:
        raise EOFError
    (size,) = _SIZE.unpack(head)
    content = pipe.read(size)
    if len(content) < size:
        raise EOFError
    return pickle.loads(content)
