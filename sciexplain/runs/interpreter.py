"""Python's interpreter during a run: whose turn it is, and how often it looks for garbage."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SWITCH_SECONDS = 5e-4
_ALLOCATIONS = 10_000


@contextmanager
def tuned() -> Iterator[None]:
    """Threads take turns more often than by default, and garbage is looked for less often, in what the run makes alone.

    Every operation of PyTorch gives the interpreter away and wants it back: the thread that explains waits less for the
    others. A million objects of imported libraries are there to stay: to search them again and again takes an eighth of
    the time of explaining small molecules. Afterwards all is as it was.
    """
    switch, (allocations, *older) = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(min(switch, _SWITCH_SECONDS))
    gc.freeze()
    if allocations:  # 0: not by itself at all
        gc.set_threshold(max(allocations, _ALLOCATIONS), *older)
    try:
        yield
    finally:
        gc.set_threshold(allocations, *older)
        gc.unfreeze()
        sys.setswitchinterval(switch)
