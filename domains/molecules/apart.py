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
from typing import IO, Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_WAITING = 2
_AHEAD = 8
"""Chunks whose results are there, or awaited, before a process that is slow is waited for."""
_PATIENCE = 1800.0
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

    Until those have started, which takes them seconds, and where they cannot keep up, it is done here.

    Parameters
    ----------
    here, there
        The function, as it is in this process and in others: that one, the things and what it makes of them are
        pickled.
    died
        What stands for a thing that ends the process it is in, or takes half an hour.
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
    owed: deque[_Helper[T, R] | list[R]] = deque()  # results, or who has them, in the order of the things
    some = list(islice(things, chunk))
    try:
        while some or owed:
            helpers = helpers or [_Helper(there, died) for _ in range(processes)]
            free = [helper for helper in helpers if some and helper.is_free()]
            if free:
                helper = min(free, key=lambda helper: len(helper.chunks))
                helper.give(some)
                owed.append(helper)
            elif owed and (not some or len(owed) >= _AHEAD or isinstance(owed[0], list) or owed[0].has_answer()):
                first = owed.popleft()
                yield from first if isinstance(first, list) else first.take()
                continue
            else:
                owed.append(list(map(here, some)))
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
            bufsize=0,  # or there could be answers that select does not see
            start_new_session=True,
        )
        _widen(self._process.stdout)
        self._is_ready: bool | None = None
        self._send(self._function)

    def is_free(self) -> bool:
        """Whether it has started and can be given a chunk."""
        if self._is_ready is None and self.has_answer():
            self._is_ready = self._receive() == _READY
        return bool(self._is_ready) and len(self.chunks) < _WAITING

    def has_answer(self, seconds: float = 0.0) -> bool:
        """Whether there is one, or will not be any, after so much time at most."""
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

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
        """Its next answer; None: it died, or was ended because it would not give one."""
        assert self._process.stdout is not None
        if not self.has_answer(_PATIENCE):
            self._process.kill()
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


def _take(source: IO[bytes], chunks: Queue[list[Any] | None]) -> None:
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


def _put(pipe: IO[bytes], message: Any) -> None:
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    left = memoryview(_SIZE.pack(len(content)) + content)
    while left:
        left = left[pipe.write(left) :]
    pipe.flush()


def _got(pipe: IO[bytes]) -> Any:
    """The next message.

    Raises
    ------
    EOFError
        There is none, or but part of one.
    """
    (size,) = _SIZE.unpack(_taken(pipe, _SIZE.size))
    return pickle.loads(_taken(pipe, size))


def _taken(pipe: IO[bytes], size: int) -> bytes:
    """So many bytes, in as few calls as the pipe allows: after each, threads take turns."""
    pieces = []
    while size:
        piece = pipe.read(size)
        if not piece:
            raise EOFError
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
