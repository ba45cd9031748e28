"""A model as it predicts, whatever mode it is in."""

import functools
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def evaluation_mode(model: Any) -> Iterator[None]:
    """Evaluation mode for now, then each submodule as it was; of a function, those that it calls."""
    training = training_modules(model)
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def training_modules(model: Any) -> list[nn.Module]:
    """All submodules that are in training mode; a frozen script's have none."""
    return [m for part in _modules_of(model) for m in part.modules() if getattr(m, "training", False)]


def _modules_of(model: Any) -> list[nn.Module]:
    """The model, or the modules that a function closes over, is bound to, or names among its globals."""
    if isinstance(model, nn.Module):
        return [model]
    if isinstance(model, functools.partial):
        return [m for part in (model.func, *model.args, *model.keywords.values()) for m in _modules_of(part)]
    if inspect.ismethod(model):
        found = [model.__self__, *getattr(model.__self__, "__dict__", {}).values()]
    elif inspect.isfunction(model):
        names = inspect.getclosurevars(model)
        found = [*names.nonlocals.values(), *names.globals.values()]
    else:
        found = list(getattr(model, "__dict__", {}).values())
    return [part for part in found if isinstance(part, nn.Module)]
