"""Integer inputs: each token, atom type or category gets the relevance summed over its embedding.

An integer tensor cannot carry a gradient, so a float *shadow* of the same shape goes beside it and follows its
rearrangements. Where the integers become numbers (an embedding, a cast), the shadow joins the graph and receives
relevance itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from . import names, tags
from .call import swapped, tensors_in
from .ledger import Row

if TYPE_CHECKING:
    from .mode import LRP

_TOGETHER = names.listed("cat concat concatenate stack hstack vstack dstack column_stack row_stack where masked_fill")
"""Tokens and constants side by side."""
_OWN = 0.5
"""What a shadow holds where its element is the input's; constants put beside it are whole numbers."""
_CASTS = {"to", "float", "double", "half", "bfloat16", "type", "type_as"}


def _rows_looked_up(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The index of ``table[tokens]`` or ``table.index_select(0, tokens)``."""
    if name in ("__getitem__", "index"):
        first, *others = [*args[1], None] if isinstance(args[1], tuple | list) else [args[1]]
        rows = isinstance(first, Tensor) and all(o is None or o is Ellipsis or o == slice(None) for o in others)
        return first if rows else None
    if name == "index_select":
        table, dim, index = (*args, *kwargs.values())[:3]
        return index if dim == 0 and isinstance(index, Tensor) and index is not table else None
    return None


class Tokens:
    """The shadows of integer tensors that come from the explained input."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor] | None = None) -> None:
        self._join = join
        self._shadows: Any = WeakIdKeyDictionary()
        self._stopped: Any = WeakIdKeyDictionary()
        self.joined = False
        """Whether integers of the input became numbers."""

    def add(self, tokens: Tensor) -> Tensor:
        """The shadow of an integer input; its gradient will be the relevance, shape of ``tokens``."""
        shadow = torch.full(tokens.shape, _OWN, dtype=torch.float64, device=tokens.device, requires_grad=True)
        self._shadows[tokens] = shadow
        return shadow

    def stop(self, detached: Tensor) -> None:
        """What was detached from the signal, or counted by integers, is no table of meanings to look those up in."""
        self._stopped[detached] = True

    def stop_too(self, name: str, args: tuple[Any, ...], given: Iterable[Tensor], result: Any) -> None:
        """The ``result`` of an operation without active tensors, if it has values of what was detached."""
        if len(self._stopped) == 0:
            return
        sources = tensors_in(args[:1]) if name in names.LIKE else given
        if any(t in self._stopped for t in sources):
            for made in tensors_in(result):
                if made.is_floating_point():
                    self.stop(made)

    def known(self, tensors: Iterable[Tensor]) -> bool:
        """Whether any of ``tensors`` comes from the explained integers."""
        return len(self._shadows) > 0 and any(t in self._shadows for t in tensors)

    def follow(
        self, lrp: LRP, func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run an operation without active tensors; integer inputs that take part stay known."""
        given = list(tensors_in((args, kwargs))) if len(self._shadows) else []
        tracked = [t for t in given if t in self._shadows]
        result = self._followed(lrp, func, name, args, kwargs, tracked) if tracked else func(*args, **kwargs)
        self.stop_too(name, args, given, result)
        for made in tensors_in(result) if tracked else ():
            if made.is_floating_point() and not made.requires_grad:
                self.stop(made)  # counted by the integers themselves, such as the degrees of a graph's nodes
        return result

    def _followed(
        self,
        lrp: LRP,
        func: Callable[..., Any],
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        tracked: list[Tensor],
    ) -> Any:
        if name == "embedding":
            return self._embed(lrp, func, args, kwargs)
        if name == "embedding_bag":
            return self._embed_bag(lrp, *args, **kwargs)
        result = func(*args, **kwargs)
        index = None if args and args[0] in self._stopped else _rows_looked_up(name, args, kwargs)
        if index is not None and index in self._shadows:
            return self._joined(lrp, self._shadows[index], result) if result.is_floating_point() else result
        if name == "__setitem__":
            self._written(*args)
            return result
        if name in _TOGETHER and isinstance(result, Tensor):
            self._shadows[result] = self._moved(lrp, func, args, kwargs, *tracked)
            return result
        if not args or args[0] is not tracked[0]:
            return result
        if not isinstance(result, Tensor):
            results = list(tensors_in(result))
            if name in names.MOVEMENT and len(tracked) == 1:
                for r, s in zip(results, tensors_in(self._moved(lrp, func, args, kwargs, tracked[0])), strict=True):
                    self._shadows[r] = s
            return result
        source = tracked[0]
        if result.is_floating_point():
            if name in _CASTS or ((name in names.AFFINE or name in ("mul", "div")) and result.shape == source.shape):
                return self._joined(lrp, self._shadows[source], result)
            return result
        if result is source:
            return result
        if name == "one_hot":
            self._shadows[result] = self._shadows[source].unsqueeze(-1).expand(result.shape)
        elif name in names.MOVEMENT and len(tracked) == 1:
            self._shadows[result] = self._moved(lrp, func, args, kwargs, source)
        elif result.dtype != torch.bool and result.shape == source.shape:
            self._shadows[result] = self._shadows[source]
        return result

    def _moved(self, lrp: LRP, func: Callable[..., Any], args: Any, kwargs: Any, *sources: Tensor) -> Any:
        """The same done with the shadows."""
        shadows = {id(source): self._shadows[source].clone() for source in sources}  # an operation may work in place
        args, kwargs = swapped((args, kwargs), shadows)
        return func(*args, **kwargs) if not any(isinstance(a, torch.dtype) for a in args) else shadows[id(sources[0])]

    def _written(self, target: Tensor, place: Any, values: Any) -> None:
        """``target[place] = values``, of which one comes from the input."""
        shadow = self._shadows.get(target)
        shadow = torch.zeros(target.shape, dtype=torch.float64, device=target.device) if shadow is None else shadow
        shadow = shadow.clone()
        shadow[place] = self._shadows.get(values, 0.0) if isinstance(values, Tensor) else 0.0
        self._shadows[target] = shadow

    def _joined(self, lrp: LRP, shadow: Tensor, value: Tensor) -> Tensor:
        """``value`` as an active tensor whose relevance, summed to the shape of ``shadow``, goes to the shadow."""
        self.joined = True
        if self._join is not None:
            return self._join(shadow, value)
        carries_relevance = lrp.yields_relevance
        kept = lrp.keeper.keep(value)
        extra = value.ndim - shadow.ndim
        row = None
        if lrp.rows is not None and not bool((own := shadow.detach() == _OWN).all()):
            row = Row("tokens", lrp.modules.name, "constant tokens take theirs")
            lrp.rows.append(row)

        def relevance(c: Tensor) -> Tensor:
            r = c if carries_relevance else c * kept.get()
            if lrp.credits is not None:
                lrp.credits.add(value, r)
            r = (r.flatten(-extra).sum(-1) if extra else r).to(shadow.dtype)
            if row is not None:
                row.add("received", r.masked_fill(own, 0.0))
                row.absorb("bias", r.masked_fill(own, 0.0))
            return r

        result = lrp.local(shadow, lrp.values_of(value).view_as(value), relevance)
        tags.put(result, tags.Tag(tags.RAW))
        return result

    def _embed(self, lrp: LRP, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        value = func(*args, **kwargs)
        tokens = args[0] if args and args[0] in self._shadows else kwargs.get("input", kwargs.get("indices"))
        if tokens is None:  # torch.embedding(weight, indices)
            tokens = args[1]
        return self._joined(lrp, self._shadows[tokens], value)

    def _embed_bag(
        self,
        lrp: LRP,
        input: Tensor,
        weight: Tensor,
        offsets: Tensor | None = None,
        max_norm: float | None = None,
        norm_type: float = 2,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        per_sample_weights: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Tensor:
        """An embedding of each token, then the bag's sum, mean or maximum."""
        with lrp:
            tokens = input.reshape(-1)
            offsets = None if offsets is None else offsets.detach()
            if offsets is None:
                bag = torch.arange(input.shape[0], device=input.device).repeat_interleave(input.shape[1])
                bags = input.shape[0]
            else:
                ends = (
                    offsets[1:] if include_last_offset else torch.cat([offsets[1:], offsets.new_tensor([len(tokens)])])
                )
                starts = offsets[:-1] if include_last_offset else offsets
                sizes = ends - starts
                bags = len(sizes)
                bag = torch.arange(bags, device=input.device).repeat_interleave(sizes)
            rows = F.embedding(tokens, weight)
            if padding_idx is not None:
                real = tokens != padding_idx
                rows, bag = rows[real], bag[real]
            if per_sample_weights is not None:
                scale = per_sample_weights.reshape(-1, 1)
                rows = rows * (scale if padding_idx is None else scale[real])
            out = rows.new_zeros(bags, weight.shape[1])
            if mode == "max":
                index = bag[:, None].expand(rows.shape)
                return out.scatter_reduce(0, index, rows, "amax", include_self=False)
            total = out.index_add(0, bag, rows)
            if mode == "sum":
                return total
            return total / torch.bincount(bag, minlength=bags).clamp(min=1)[:, None].to(total.dtype)
