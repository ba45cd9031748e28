"""The engine: LRP as autograd with other local slopes, seen through a ``TorchFunctionMode``."""

from .mode import LRP

__all__ = ["LRP"]
