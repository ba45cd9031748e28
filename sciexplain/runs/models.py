"""A model from a reference such as ``my_models:make`` and a file of weights."""

import importlib
import importlib.util
import os
import pickle
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from sciexplain.errors import ModelError
from sciexplain.runs import named
from sciexplain.runs.checkpoints import read_checkpoint

_PICKLED = (".pt", ".pth", ".ckpt", ".bin")
_LONGEST = 4096
"""Letters of a reference; no path is longer."""
_STATE_KEYS = ("state_dict", "model_state_dict", "model")


def load_model(reference: str, weights: str | Path | None = None, *, unsafe_pickle: bool = False) -> nn.Module:
    """Build a model by calling the user's function, load its weights, and set it to evaluation mode.

    Parameters
    ----------
    reference
        ``"MODULE:FUNCTION"``; the module is one to import, from the current directory or installed
        (``"package.models:make"``), or a file (``"models/net.py:make"``). The function takes no argument and
        returns the model. It is remembered as named by the user, see :mod:`~sciexplain.runs.named`.
    weights
        A ``.safetensors`` file, or what ``torch.save`` wrote (``.pt``, ``.pth``, ``.ckpt``, ``.bin``).
    unsafe_pickle
        Also read pickled files that carry code. Such a file can do anything on this machine when it is read.

    Raises
    ------
    ModelError
        The function cannot be found or fails, the weights cannot be read safely, or do not fit the model.
    """
    with _function(reference, "model", "my_models:make") as function:
        try:
            model = function()
        except Exception as error:  # of the user's code
            raise ModelError(f"{reference} failed: {_describe(error)}") from error
        if not isinstance(model, nn.Module):
            raise ModelError(f"{reference} should return a torch.nn.Module, but returned {type(model).__name__}")
        if weights is not None:
            _load_weights(model, Path(weights), unsafe_pickle=unsafe_pickle)
    return model.eval()


def load_function(reference: str) -> Callable[..., Any]:
    """A function of the user's, by ``"MODULE:FUNCTION"`` as in :func:`load_model`.

    Raises
    ------
    ModelError
        It cannot be found.
    """
    with _function(reference, "function", "my_features:graph") as function:
        return function


@contextmanager
def _function(reference: str, what: str, example: str) -> Iterator[Callable[..., Any]]:
    """The function of a reference; inside, the modules beside it can be imported."""
    module_name, separator, function_name = reference.rpartition(":")
    file = Path(module_name) if module_name.endswith(".py") else None
    is_name = file is not None or all(part.isidentifier() for part in module_name.split("."))
    if (
        not separator
        or not is_name
        or not function_name.isidentifier()
        or len(reference) > _LONGEST
        or "\0" in reference
    ):
        reference = reference[:_LONGEST]
        lacking = f"there is no folder {reference!r} in {Path.cwd()}; " if what == "model" and not separator else ""
        raise ModelError(f"{lacking}{what} {reference!r} should read MODULE:FUNCTION, such as {example}")
    with _importing_from([str(file.resolve().parent), *sys.path] if file else named.search_path(module_name)):
        module = _import_file(file) if file else _import(module_name)
        function = _find_function(module, module_name, function_name)
        named.remember(reference)
        yield function


@contextmanager
def _importing_from(path: list[str]) -> Iterator[None]:
    """Find modules there."""
    before = list(sys.path)
    sys.path[:] = path
    try:
        yield
    finally:
        sys.path[:] = before


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise ModelError(
                f"no module {name!r} in {Path.cwd()} or among the installed packages; "
                "give MODULE:FUNCTION or path/to/file.py:FUNCTION"
            ) from error
        raise ModelError(f"importing {name} failed: {_describe(error)}") from error
    except Exception as error:  # of the user's code
        raise ModelError(f"importing {name} failed: {_describe(error)}") from error


def _import_file(path: Path) -> ModuleType:
    if not os.path.isfile(path):  # a name that is too long is none, too
        raise ModelError(f"there is no file {path}")
    # A name of its own, so that a user's random.py does not replace the standard library's.
    name = f"_sciexplain_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # always, for a .py file
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # of the user's code
        raise ModelError(f"importing {path} failed: {_describe(error)}") from error
    return module


def _find_function(module: ModuleType, module_name: str, name: str) -> Callable[..., Any]:
    function = getattr(module, name, None)
    if callable(function):
        return function
    there = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    raise ModelError(f"{module_name} has no function {name!r}; it has: {', '.join(sorted(there)) or 'none'}")


def _load_weights(model: nn.Module, path: Path, *, unsafe_pickle: bool) -> None:
    if not path.is_file():
        raise ModelError(f"there is no weights file {path}")
    if path.suffix == ".safetensors":
        state = _read_safetensors(path)
    elif path.suffix in _PICKLED:
        state = _read_pickled(path, unsafe_pickle=unsafe_pickle)
    else:
        raise ModelError(f"weights file {path} should end in .safetensors or one of {', '.join(_PICKLED)}")
    try:
        fit = model.load_state_dict(state, strict=False)
    except Exception as error:  # another shape; what the file says of itself or a hook of the model's may raise more
        raise ModelError(f"the weights in {path} do not fit the model: {error}") from error
    if fit.missing_keys or fit.unexpected_keys:
        raise ModelError(
            f"the weights in {path} do not fit the model: "
            f"missing {_some(fit.missing_keys)}; not in the model {_some(fit.unexpected_keys)}"
        )


def _read_safetensors(path: Path) -> Mapping[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelError(f"{path} cannot be read as safetensors: {error}") from error


def _read_pickled(path: Path, *, unsafe_pickle: bool) -> Mapping[str, torch.Tensor]:
    try:
        content = torch.load(path, "cpu", weights_only=False) if unsafe_pickle else read_checkpoint(path)
    except ModelError:
        raise
    except pickle.UnpicklingError as error:
        if unsafe_pickle:
            raise ModelError(f"{path} cannot be read: {_describe(error)}") from error
        found = re.search(r"GLOBAL (\S+)", str(error))
        what = f"more than tensors ({found[1]})" if found else "more than tensors"
        raise ModelError(
            f"{path} holds {what}, so reading it could run any code on this machine, and it was not read; "
            "save its state_dict, best as .safetensors, or, when you trust whoever made the file, "
            "pass --unsafe-pickle (unsafe_pickle=True)"
        ) from error
    except Exception as error:  # torch.load answers a damaged file with many kinds
        raise ModelError(f"{path} cannot be read as PyTorch weights: {_describe(error)}") from error
    if isinstance(content, nn.Module):
        return content.state_dict()
    while isinstance(content, Mapping) and (key := next((k for k in _STATE_KEYS if k in content), None)):
        if not isinstance(content[key], Mapping):
            break
        content = content[key]
    if not isinstance(content, Mapping):
        raise ModelError(f"{path} should hold a state_dict, but holds a {type(content).__name__}")
    if strange := [key for key in content if not isinstance(key, str)]:
        raise ModelError(f"{path} should hold a state_dict, but has a key that is a {type(strange[0]).__name__}")
    return content


def _describe(error: Exception) -> str:
    """An error on one line, without the escape codes and advice that torch adds."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _some(names: list[str], limit: int = 5) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
