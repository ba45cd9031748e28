"""Models that come as something else than plain Python: exported, compiled, checkpointed, spread over devices.

An explanation needs the operations as the author wrote them. Torch's own switches bring them back, for as long as an
explanation runs and in its thread only; where torch has none, one of its names stands for a pass-through meanwhile.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch import Tensor, nn

P = ParamSpec("P")
T = TypeVar("T")


def original(model: Any) -> Any:
    """The model inside exported programs, compiled modules and functions, and wrappers for several devices.

    An exported program becomes modules with the names of the original ones, so that rules and layers by name hold.
    """
    while (inner := _inside(model)) is not model:
        model = inner
    return model


def _inside(model: Any) -> Any:
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return model.module
    if isinstance(model, nn.Module):
        compiled = sys.modules.get("torch._dynamo")
        return model._orig_mod if compiled is not None and isinstance(model, compiled.OptimizedModule) else model
    exported = sys.modules.get("torch.export")
    if exported is not None and isinstance(model, exported.ExportedProgram):
        return _modules_of(exported, model)
    return getattr(model, "_torchdynamo_orig_callable", model)


def _modules_of(exported: Any, program: Any) -> nn.Module:
    try:
        module = cast(nn.Module, exported.unflatten(program))
    except Exception:  # of many kinds, for programs that torch cannot cut into modules again
        return cast(nn.Module, program.module())
    for part in module.modules():
        graph: Any = getattr(part, "graph", None)
        for node in graph.nodes if isinstance(graph, torch.fx.Graph) else ():
            if node.target is torch.ops.aten.copy.default:
                node.target = _copied
    return module


def _copied(target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    """What assignments become in a decomposed program; torch's own form has no derivative."""
    return source.to(target).expand(target.shape).clone()


class Shared:
    """A change of torch's own state, made by the first who comes, undone by the last who goes, in whatever order.

    ``change`` is a function to a context manager. It is told apart whether this thread is among those inside.
    """

    def __init__(self, change: Callable[[], AbstractContextManager[Any]]) -> None:
        self._change = change
        self._lock = threading.Lock()
        self._count = 0
        self._undo = ExitStack()
        self._thread = threading.local()

    def __enter__(self) -> None:
        with self._lock:
            if self._count == 0:
                self._undo.enter_context(self._change())
            self._count += 1
        self._thread.depth = getattr(self._thread, "depth", 0) + 1

    def __exit__(self, *exc: object) -> None:
        self._thread.depth -= 1
        with self._lock:
            self._count -= 1
            if self._count == 0:
                self._undo.close()

    @property
    def here(self) -> bool:
        return getattr(self._thread, "depth", 0) > 0


@contextmanager
def replaced(owner: Any, name: str, stand_in: Callable[[Any], Any]) -> Iterator[None]:
    """``owner.name`` as what ``stand_in`` makes of it; nothing where this torch has no such name."""
    before = getattr(owner, name, None)
    if before is None:
        yield
        return
    setattr(owner, name, stand_in(before))
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def _changed() -> Iterator[None]:
    with ExitStack() as stack:
        if (dynamo := sys.modules.get("torch._dynamo")) is not None:
            stack.enter_context(dynamo.set_stance("force_eager"))
            stack.enter_context(replaced(dynamo.OptimizedModule, "__call__", _without_wrapper))
        if (checkpoint := sys.modules.get("torch.utils.checkpoint")) is not None:
            stack.enter_context(replaced(checkpoint, "CheckpointFunction", _without_function))
            stack.enter_context(replaced(checkpoint, "_checkpoint_without_reentrant_generator", _without_generator))
        yield


as_written = Shared(_changed)
"""Inside, compiled functions run as their source says, and checkpoints keep what they would compute again.

Computing again happens in the backward pass, where no engine looks on, or inside one opaque function.
"""


def _without_wrapper(call: Callable[..., Any]) -> Callable[..., Any]:
    """Torch would warn of module hooks that run twice."""

    def __call__(module: Any, *args: Any, **kwargs: Any) -> Any:
        return module._orig_mod(*args, **kwargs) if as_written.here else call(module, *args, **kwargs)

    return __call__


def _without_function(checkpoint: Any) -> Any:
    class Direct:
        @staticmethod
        def apply(function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
            return function(*args) if as_written.here else checkpoint.apply(function, preserve, *args)

    return Direct


def _without_generator(checkpoint: Callable[..., Generator[None]]) -> Any:
    """Torch runs the function at the first yield; nothing is prepared before and nothing is dropped after."""

    def direct(*args: Any, **kwargs: Any) -> Generator[None]:
        return iter_once() if as_written.here else checkpoint(*args, **kwargs)

    def iter_once() -> Generator[None]:
        yield

    return direct


def never_compiled(function: Callable[P, T]) -> Callable[P, T]:
    """``function`` as it is also when called from code that torch compiles, and everything it calls."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        dynamo = sys.modules.get("torch._dynamo")
        outside = function if dynamo is None else cast(Callable[P, T], dynamo.disable(function))
        return outside(*args, **kwargs)

    run._torchdynamo_disable = True  # type: ignore[attr-defined]  # torch._dynamo.disable would import the compiler
    return run
