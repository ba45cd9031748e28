"""What an explanation was asked of, so that it can be asked again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Origin:
    """The model, its inputs and the question, by reference: files and copies leave it behind.

    Attributes
    ----------
    model, inputs, target, method
        As given to :func:`sciexplain.explain`.
    options
        The method's, with ``composite``, ``layers``, ``ledger`` and ``on_unknown`` where it takes them.
    """

    model: Callable[..., Any]
    inputs: Any
    target: Any
    method: str
    options: Mapping[str, Any]

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()  # a pickled or copied explanation should not drag its model along
