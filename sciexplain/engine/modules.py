"""Which module is running, through torch's own global forward hooks: nothing is attached to the model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.modules import module as nn_module


class ModuleStack:
    """The modules being called right now in this thread, outermost first, and their names in the outermost one."""

    def __init__(self, on_output: Callable[[str, Any], None] | None = None) -> None:
        self._stack: list[nn.Module] = []
        self._names: dict[nn.Module, str] = {}
        self._root: nn.Module | None = None
        self._on_output = on_output
        self._handles: list[Any] = []

    def __enter__(self) -> ModuleStack:
        thread = threading.get_ident()

        def push(module: nn.Module, args: Any) -> None:
            if threading.get_ident() == thread:
                self._push(module)

        def pop(module: nn.Module, args: Any, output: Any) -> None:
            if threading.get_ident() == thread:
                self._pop(module, output)

        self._handles = [
            nn_module.register_module_forward_pre_hook(push),
            nn_module.register_module_forward_hook(pop, always_call=True),
        ]
        return self

    def _push(self, module: nn.Module) -> None:
        if not self._stack and module is not self._root:
            self._root = module
            self._names = {m: _as_written(name) for name, m in reversed(list(module.named_modules()))}
        self._stack.append(module)

    def _pop(self, module: nn.Module, output: Any) -> None:
        if self._stack and self._stack[-1] is module:
            if self._on_output is not None and module in self._names:
                self._on_output(self._names[module], output)
            self._stack.pop()

    def run(self, module: nn.Module, method: Callable[[], Any]) -> Any:
        """What ``method`` returns, as a call of ``module``, for methods that torch's hooks do not notice."""
        output = None
        self._push(module)
        try:
            output = method()
        finally:
            self._pop(module, output)
        return output

    def __exit__(self, *exc: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles, self._stack, self._names, self._root = [], [], {}, None

    @property
    def name(self) -> str:
        """Dotted name of the innermost running module ("" for the model itself or a bare function)."""
        for module in reversed(self._stack):
            if (name := self._names.get(module)) is not None:
                return name
        return ""

    @property
    def innermost(self) -> nn.Module | None:
        return self._stack[-1] if self._stack else None

    @property
    def path(self) -> list[tuple[str, nn.Module]]:
        """(name, module) of the running modules, innermost first."""
        return [(self._names.get(m, ""), m) for m in reversed(self._stack)]


def _as_written(name: str) -> str:
    """Without the word that ``torch.compile`` puts into the names of what it wraps."""
    return ".".join(word for word in name.split(".") if word != "_orig_mod") if "_orig_mod" in name else name
