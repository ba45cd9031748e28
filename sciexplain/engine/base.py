"""What the engines share: a ``TorchFunctionMode`` that knows the running module, and names what it cannot handle.

Only tensors that depend on the explained input are *active*: parameters enter every operation detached, so that
``requires_grad`` says it. Nothing of the model is changed, and nothing has to be restored.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from ..errors import ModelError, RuleError, UnknownOperationError
from . import names, tags
from .call import tensors_in
from .keep import Keeper
from .modules import ModuleStack
from .programs import as_written
from .torchscript import followed

if TYPE_CHECKING:
    from .tokens import Tokens
    from .twins import Twins

OnUnknown = Literal["warn", "error", "gradient"]


class UnknownOperation(NamedTuple):
    """An operation without a rule that active tensors went through; torch's gradient was used."""

    operation: str
    module: str
    count: int  # type: ignore[assignment]  # tuple.count is not missed


class Engine(TorchFunctionMode):
    """Base of the engines.

    Parameters
    ----------
    on_unknown : "warn", "error" or "gradient"
        What to do about operations without a rule; they are listed in ``unknown`` either way.
    roots : iterable of Tensor
        The explained inputs; other leaves that require gradients are constants. None: only parameters are.
    on_output : callable
        Is told the name and the output of every module that has run.
    """

    tokens: Tokens
    twins: Twins | None = None

    def __init__(
        self,
        on_unknown: OnUnknown = "warn",
        roots: Iterable[Tensor] | None = None,
        on_output: Callable[[str, Any], None] | None = None,
    ) -> None:
        super().__init__()
        if on_unknown not in ("warn", "error", "gradient"):
            raise RuleError(f'on_unknown={on_unknown!r}: expected "warn", "error" or "gradient".')
        self.on_unknown = on_unknown
        self.keeper = Keeper()
        self.modules = ModuleStack(on_output)
        self._roots = None if roots is None else {id(t) for t in roots}
        self._unknown: Counter[tuple[str, str]] = Counter()
        self._warned: set[tuple[str, str]] = set()
        self._depth = 0
        self._contexts = ExitStack()
        self._suspended = 0

    # -- the context ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        if self._depth == 0:
            if torch.is_inference_mode_enabled():
                raise ModelError(
                    f"sx.{type(self).__name__} needs autograd, which torch.inference_mode() turns off; leave it, or "
                    "use sx.explain."
                )
            for context in (self.modules, engines_suspended(), as_written, followed(self.modules)):
                self._contexts.enter_context(context)
        self._depth += 1
        super().__enter__()
        return self

    def __exit__(self, exc_type: Any, exc: Any, traceback: Any) -> None:
        super().__exit__(exc_type, exc, traceback)
        self._depth -= 1
        if self._depth == 0:
            self._contexts.close()
            if exc_type is None:
                self.report_unknown()

    # -- operations without a rule ---------------------------------------------------------------------------------

    @property
    def unknown(self) -> list[UnknownOperation]:
        return [UnknownOperation(op, module, n) for (op, module), n in self._unknown.items()]

    def note_unknown(self, operation: str, module: str | None = None) -> None:
        module = self.modules.name if module is None else module
        self._unknown[operation, module] += 1
        if self.on_unknown == "error":
            where = f" in module {module!r}" if module else ""
            raise UnknownOperationError(
                f"The operation {operation!r}{where} has no propagation rule. "
                'Pass on_unknown="gradient" to use its gradient, or "warn" to be told.'
            )

    def report_unknown(self) -> None:
        new = [key for key in self._unknown if key not in self._warned]
        self._warned.update(new)
        if new and self.on_unknown == "warn":
            listing = ", ".join(f"{op} ({module or 'model'}, {self._unknown[op, module]}×)" for op, module in new)
            warnings.warn(
                f"Operations without a propagation rule, for which the gradient was used: {listing}. "
                "Relevance may not be conserved there; the ledger tells how much.",
                stacklevel=3,
            )

    def find_hidden(self, outputs: Iterable[Tensor]) -> None:
        """Name the operations in the graph of ``outputs`` that never came by: scripts, custom Functions, extensions."""
        stack, seen = [t.grad_fn for t in outputs], set()
        while stack:
            node = stack.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if not (tags.is_tagged(node) or _is_transparent(node)):
                self.note_unknown(f"hidden {node.name().removesuffix('Backward0').removesuffix('Backward')}", "")
            stack.extend(n for n, _ in node.next_functions)

    def note_training(self, operation: str) -> None:
        """Explained is the model as it predicts: dropout off, BatchNorm by its running statistics."""
        if ("training", operation) not in self._warned:
            self._warned.add(("training", operation))
            warnings.warn(
                f"The model is in training mode ({operation}); explained as in evaluation mode. "
                "Call model.eval() first.",
                stacklevel=3,
            )

    def note_cut(self, name: str, args: tuple[Any, ...], active: Iterable[Tensor], result: Any) -> bool:
        """Name an operation under ``no_grad`` that takes the input's values, not just its type or shape."""
        given = args[:1] if name in names.LIKE else list(active)
        cut = any(isinstance(t, Tensor) and t.requires_grad for t in given)
        if not cut or not any(t.is_floating_point() for t in tensors_in(result)):
            return False
        self.note_unknown(f"{name} under no_grad")
        return True

    def constant(self, func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An operation whose result carries no relevance by the author's own word."""
        result = func(*args, **kwargs)
        if name == "detach" and args[0].grad_fn is not None:
            self.tokens.stop(result)
        return result

    # -- parameters ------------------------------------------------------------------------------------------------

    def _without_parameters(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            if value.is_inference():  # autograd cannot keep it
                return value.clone()
            foreign = value.is_leaf and value.requires_grad and self._is_foreign(value)
            return self.detached(value) if foreign else value
        if type(value) in (tuple, list):
            return type(value)([self._without_parameters(v) for v in value])
        if type(value) is dict:
            return {k: self._without_parameters(v) for k, v in value.items()}
        return value

    def detached(self, parameter: Tensor) -> Tensor:
        return parameter.detach()

    def _is_foreign(self, leaf: Tensor) -> bool:
        return isinstance(leaf, nn.Parameter) if self._roots is None else id(leaf) not in self._roots


@contextmanager
def engines_suspended() -> Iterator[None]:
    """Engines already at work in this thread see nothing of what an explanation inside them does."""
    engines = [m for m in _get_current_function_mode_stack() if isinstance(m, Engine)]
    for engine in engines:
        engine._suspended += 1
    try:
        yield
    finally:
        for engine in engines:
            engine._suspended -= 1


_TRANSPARENT = (
    "AccumulateGrad",
    "AsStrided",
    "View",
    "Alias",
    "CopySlices",
    "CopyBackwards",
    "Slice",
    "Select",
    "Detach",
    "Clone",
    "ToCopy",
    "_Port",
)


def _is_transparent(node: Any) -> bool:
    """Nodes that autograd itself puts between others (regenerated views, copies), or the engine does."""
    return any(word in node.name() for word in _TRANSPARENT)
