"""What the engine knows of a tensor beyond its values, kept on the autograd node that made it.

Autograd's own ``metadata`` dictionary follows a tensor through in-place changes and dies with the graph.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .gates import Hint

_KEY = "sciexplain"

RAW = 0
"""Values of the input itself, at most rearranged, scaled or shifted."""
SHALLOW = 1
"""Transformed, but no linear-type operation met yet."""
DEEP = 2
"""Behind a linear-type operation."""


@dataclass(slots=True)
class Tag:
    stage: int = DEEP
    gate: bool = False
    """A positive weight or a normalising statistic: constant when it multiplies a signal."""
    hint: Hint | None = None
    """What may make it a gate later."""
    logits: Tensor | None = None
    """For the output of a softmax or sigmoid (rearranged or not): the same before it."""
    squash: str = ""
    """The name of that softmax or sigmoid."""
    made_by: Any = None
    """For a stand-in or a copy: the node that made the values it holds."""


_UNSEEN = Tag(stage=DEEP)
_LEAF = Tag(stage=RAW)


def tag_of(tensor: Tensor) -> Tag:
    node: Any = tensor.grad_fn
    if node is None:
        return _LEAF
    tag: Tag | None = node.metadata.get(_KEY)
    if tag is not None:
        return tag
    # a view whose base was changed in place gets a new node
    return _UNSEEN if tensor._base is None else tag_of(tensor._base)


def as_input(tensor: Tensor) -> Tensor:
    """Mark a tensor computed outside the engine as the input itself."""
    put(tensor, Tag(RAW))
    return tensor


def is_tagged(node: Any) -> bool:
    return _KEY in node.metadata


def put(tensor: Tensor, tag: Tag, inputs: Iterable[Tensor] = ()) -> None:
    """Tag the node that made ``tensor``, and the untagged nodes between it and ``inputs``."""
    node: Any = tensor.grad_fn
    if node is None:
        return
    node.metadata[_KEY] = tag
    border = {t.grad_fn for t in inputs}  # not their ids, which others have once these are gone
    stack = [n for n, _ in node.next_functions]
    while stack:
        node = stack.pop()
        if node is None or node in border or is_tagged(node) or node.name().endswith("AccumulateGrad"):
            continue
        node.metadata[_KEY] = _UNSEEN
        stack.extend(n for n, _ in node.next_functions)


def producer(tensor: Tensor) -> Any:
    """The autograd node that made the values of ``tensor``, looking through stand-ins."""
    return origin(tensor.grad_fn)


def origin(node: Any) -> Any:
    """The node that made the values which ``node`` stands for."""
    while node is not None and (tag := node.metadata.get(_KEY)) is not None and tag.made_by is not None:
        node = tag.made_by
    return node
