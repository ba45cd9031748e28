"""TorchScript run node by node in Python, so that its operations come by like those of any other model.

A traced or scripted module calls its submodules through Python again, and so their names are known as always. What
stays outside is named in one clear error: then the original module must be given.
"""

from __future__ import annotations

import functools
import operator
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError
from .modules import ModuleStack
from .programs import Shared, replaced

Values = dict[str, Any]


class Interpreter:
    """Runs scripted methods and functions; ``modules`` is told which module runs."""

    def __init__(self, modules: ModuleStack) -> None:
        self._modules = modules

    def method(self, method: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        running, owner = self._modules.innermost, method.owner
        if getattr(running, "_c", None) == owner:
            owner = running
        elif isinstance(owner, torch._C.ScriptModule):
            owner = torch.jit._recursive.wrap_cpp_module(owner)
        return self._method(owner, method, args, kwargs)

    def function(self, function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        source = getattr(function, "_torchdynamo_inline", None)  # the Python function that was scripted or traced
        if source is not None:
            return source(*args, **kwargs)
        return self._graph(function.graph, _bound(function.schema.arguments, args, kwargs))

    def _method(self, owner: Any, method: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        return self._graph(method.graph, [owner, *_bound(method.schema.arguments[1:], args, kwargs)])

    def _graph(self, graph: Any, inputs: Sequence[Any]) -> Any:
        results = self._block(graph, inputs, {})
        return results[0] if len(results) == 1 else tuple(results)

    def _block(self, block: Any, inputs: Sequence[Any], values: Values) -> list[Any]:
        values.update(zip((v.debugName() for v in block.inputs()), inputs, strict=True))
        for node in block.nodes():
            results = self._node(node, values)
            values.update(zip((v.debugName() for v in node.outputs()), results, strict=True))
        return [values[v.debugName()] for v in block.outputs()]

    def _node(self, node: Any, values: Values) -> Sequence[Any]:
        kind = node.kind()
        if kind in _STRUCTURE:
            return _STRUCTURE[kind](self, node, values)
        inputs = [values[v.debugName()] for v in node.inputs()]
        if kind in _PRIMITIVES:
            return _PRIMITIVES[kind](node, *inputs)
        result = _operation(node)(*inputs)
        outputs = node.outputsSize()
        return (result,) if outputs == 1 else result if outputs else ()

    # -- nodes with blocks, and calls ------------------------------------------------------------------------------

    def _if(self, node: Any, values: Values) -> list[Any]:
        yes, no = node.blocks()
        return self._block(yes if values[node.input().debugName()] else no, (), values)

    def _loop(self, node: Any, values: Values) -> list[Any]:
        trips, condition, *carried = (values[v.debugName()] for v in node.inputs())
        (body,) = node.blocks()
        trip = 0
        while condition and trip < trips:
            condition, *carried = self._block(body, (trip, *carried), values)
            trip += 1
        return carried

    def _call_method(self, node: Any, values: Values) -> tuple[Any]:
        owner, *args = (values[v.debugName()] for v in node.inputs())
        name = node.s("name")
        if not isinstance(owner, torch.jit.ScriptModule):
            return (getattr(owner, name)(*args),)
        method = owner._c._get_method(name)
        if name.startswith("forward"):  # a traced module that ran more than once has forward1, forward2, …
            return (self._modules.run(owner, lambda: self._method(owner, method, args, {})),)
        return (self._method(owner, method, args, {}),)

    def _call_function(self, node: Any, values: Values) -> tuple[Any]:
        _, *args = (values[v.debugName()] for v in node.inputs())
        return (self._graph(_function_graph(node), args),)

    def _fork(self, node: Any, values: Values) -> tuple[Any]:
        return (self._graph(node.g("Subgraph"), [values[v.debugName()] for v in node.inputs()]),)

    def _constant(self, node: Any, values: Values) -> tuple[Any]:
        output = node.output()
        return (None if output.type().kind() == "FunctionType" else output.toIValue(),)


_STRUCTURE: dict[str, Callable[[Interpreter, Any, Values], Sequence[Any]]] = {
    "prim::Constant": Interpreter._constant,
    "prim::If": Interpreter._if,
    "prim::Loop": Interpreter._loop,
    "prim::CallMethod": Interpreter._call_method,
    "prim::CallFunction": Interpreter._call_function,
    "prim::fork": Interpreter._fork,
}


def _attribute(node: Any, owner: Any) -> tuple[Any]:
    name = node.s("name")
    if not isinstance(owner, torch.jit.ScriptModule):
        return (getattr(owner, name),)
    if name in owner._modules:
        return (owner._modules[name],)
    value = owner._c.getattr(name)
    # a parameter of a loaded script is a plain tensor that requires gradients, as an active one does
    return (value.detach() if isinstance(value, Tensor) and value.is_leaf else value,)


def _set_attribute(node: Any, owner: Any, value: Any) -> tuple[()]:
    setattr(owner._c if isinstance(owner, torch.jit.ScriptModule) else owner, node.s("name"), value)
    return ()


def _new(node: Any) -> tuple[Any]:
    """An object of torch's own, such as ``torch.no_grad()``; its ``__init__`` is called next."""
    home, _, path = node.output().type().annotation_str.removeprefix("__torch__.").partition(".")
    if home != "torch":
        raise _beyond(node)
    kind = operator.attrgetter(path)(torch)
    return (kind.__new__(kind),)


def _python(node: Any, *inputs: Any) -> tuple[Any]:
    """A function that the script left to Python."""
    return (node.pyobj()(*(i._c if isinstance(i, torch.jit.ScriptModule) else i for i in inputs)),)


def _raise(node: Any, message: str, *kind: Any) -> tuple[()]:
    raise torch.jit.Error(message)


_PRIMITIVES: dict[str, Callable[..., Sequence[Any]]] = {
    "prim::GetAttr": _attribute,
    "prim::SetAttr": _set_attribute,
    "prim::ListConstruct": lambda node, *items: ([*items],),
    "prim::TupleConstruct": lambda node, *items: (items,),
    "prim::DictConstruct": lambda node, *items: (dict(zip(items[::2], items[1::2], strict=True)),),
    "prim::ListUnpack": lambda node, items: items,
    "prim::TupleUnpack": lambda node, items: items,
    "prim::TupleIndex": lambda node, items, i: (items[i],),
    "prim::TupleSlice": lambda node, items: (items[node.i("beg") : node.i("end")],),
    "prim::Uninitialized": lambda node: (None,),
    "prim::unchecked_cast": lambda node, value: (value,),
    "prim::unchecked_unwrap_optional": lambda node, value: (value,),
    "prim::PythonOp": _python,
    "prim::CreateObject": _new,
    "prim::Enter": lambda node, context: (context.__enter__(),),
    "prim::Exit": lambda node, context: (context.__exit__(None, None, None),),
    "prim::RaiseException": _raise,
    "prim::Print": lambda node, *values: print(*values) or (),
    "aten::format": lambda node, text, *values: (text.format(*values),),
    "aten::__is__": lambda node, one, other: (one is other,),
    "aten::__isnot__": lambda node, one, other: (one is not other,),
    "aten::wait": lambda node, value: (value,),
}


def _changed(change: Callable[..., Any]) -> Callable[..., Any]:
    """TorchScript's list methods return the list."""

    def run(container: Any, *args: Any) -> Any:
        change(container, *args)
        return container

    return run


_ON_CONTAINERS: dict[str, Callable[..., Any]] = {
    "__getitem__": operator.getitem,
    "__contains__": operator.contains,
    "_set_item": _changed(operator.setitem),
    "Delete": operator.delitem,
    "add": operator.add,
    "add_": operator.iadd,
    "append": _changed(list.append),
    "clear": lambda container: container.clear(),
    "copy": lambda container: container.copy(),
    "dict": dict,
    "extend": _changed(list.extend),
    "get": lambda container, *args: container.get(*args),
    "insert": _changed(list.insert),
    "items": lambda container: [*container.items()],
    "keys": lambda container: [*container.keys()],
    "len": len,
    "list": list,
    "mul": operator.mul,
    "pop": lambda container, *args: container.pop(*args),
    "reverse": _changed(list.reverse),
    "slice": lambda container, start, end, step: container[start:end:step],
    "update": lambda container, other: container.update(other),
    "values": lambda container: [*container.values()],
}
"""Through torch they would work on a copy."""

_CONTAINERS = ("t[]", "Tensor[]", "int[]", "float[]", "bool[]", "str", "Dict")


def _operation(node: Any) -> Callable[..., Any]:
    namespace, name = node.kind().split("::", 1)
    schema = node.schema()
    if schema == "(no schema)":
        raise _beyond(node)
    if namespace == "aten" and name in _ON_CONTAINERS and schema.partition("(")[2].startswith(_CONTAINERS):
        return _ON_CONTAINERS[name]
    found = _overload(schema)
    if found is None:
        raise _beyond(node)
    return found


@functools.cache
def _overload(schema: str) -> Callable[..., Any] | None:
    """The operator of a schema, taking all its arguments by position."""
    namespace, _, rest = schema.partition("(")[0].partition("::")
    name, _, overload = rest.partition(".")
    try:
        found = getattr(getattr(getattr(torch.ops, namespace), name), overload or "default")
    except AttributeError:
        return None
    names = [a.name for a in found._schema.arguments if a.kwarg_only]
    if not names:
        return found
    return lambda *args: found(*args[: -len(names)], **dict(zip(names, args[-len(names) :], strict=True)))


def _function_graph(call: Any) -> Any:
    """The function that a node calls, as a graph: torch gives it only by inlining."""
    graph: Any = torch._C.Graph()
    function, *given = call.inputs()
    constant = graph.createClone(function.node(), lambda value: value)
    graph.appendNode(constant)
    inputs = [graph.addInput() for _ in given]
    for ours, theirs in zip(inputs, given, strict=True):
        ours.setType(theirs.type())
    in_order = iter((constant.output(), *inputs))
    graph.appendNode(clone := graph.createClone(call, lambda _: next(in_order)))
    for output in clone.outputs():
        graph.registerOutput(output)
    torch._C._jit_pass_inline(graph)
    return graph


def _bound(arguments: Sequence[Any], args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
    """The values of ``arguments`` in their order."""
    values = list(args)
    for argument in arguments[len(args) :]:
        if argument.name not in kwargs and not argument.has_default_value():
            raise TypeError(f"the scripted model misses its argument {argument.name!r}")
        values.append(kwargs.get(argument.name, argument.default_value))
    if len(values) > len(arguments):
        raise TypeError(f"the scripted model takes {len(arguments)} arguments, {len(values)} were given")
    return values


def _beyond(node: Any) -> ModelError:
    place = node.sourceRange().strip().splitlines()
    where = f" ({place[-1].strip()})" if place else ""
    return ModelError(
        f"The TorchScript model has {node.kind()!r}{where}, which cannot be followed outside the script. "
        "Pass the original nn.Module instead of the scripted, traced or frozen one."
    )


_running = threading.local()


def _stand_in(run: Callable[..., Any], call: Callable[..., Any]) -> Callable[..., Any]:
    def __call__(script: Any, *args: Any, **kwargs: Any) -> Any:
        interpreters = getattr(_running, "interpreters", ())
        return run(interpreters[-1], script, args, kwargs) if interpreters else call(script, *args, **kwargs)

    return __call__


@contextmanager
def _calls_replaced() -> Iterator[None]:
    with (
        replaced(torch._C.ScriptMethod, "__call__", functools.partial(_stand_in, Interpreter.method)),
        replaced(torch._C.ScriptFunction, "__call__", functools.partial(_stand_in, Interpreter.function)),
    ):
        yield


_calls = Shared(_calls_replaced)


@contextmanager
def followed(modules: ModuleStack) -> Iterator[None]:
    """Scripts called in this thread run node by node; torch calls them past every mode and subclass."""
    interpreters = _running.__dict__.setdefault("interpreters", [])
    with _calls:
        interpreters.append(Interpreter(modules))
        try:
            yield
        finally:
            interpreters.pop()
