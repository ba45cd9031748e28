"""Whole models from pickled files, without running what a file may carry."""

from __future__ import annotations

import enum
import pickletools
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sciexplain._optional import require
from sciexplain.domains.molecules.families.schnetpack import library as schnetpack
from sciexplain.errors import ModelError
from sciexplain.runs.checkpoints import check_size

_MODULES = (
    "chemprop.nn.agg",
    "chemprop.nn.ffn",
    "chemprop.nn.message_passing.base",
    "chemprop.nn.metrics",
    "chemprop.nn.predictors",
    "chemprop.nn.transforms",
    "chemprop.nn.utils",
    "schnetpack.atomistic.aggregation",
    "schnetpack.atomistic.atomwise",
    "schnetpack.atomistic.distances",
    "schnetpack.atomistic.electrostatic",
    "schnetpack.atomistic.nuclear_repulsion",
    "schnetpack.atomistic.response",
    "schnetpack.model.base",
    "schnetpack.nn.activations",
    "schnetpack.nn.base",
    "schnetpack.nn.blocks",
    "schnetpack.nn.cutoff",
    "schnetpack.nn.equivariant",
    "schnetpack.nn.radial",
    "schnetpack.nn.so3",
    "schnetpack.representation.field_schnet",
    "schnetpack.representation.painn",
    "schnetpack.representation.schnet",
    "schnetpack.representation.so3net",
    "schnetpack.transform.atomistic",
    "schnetpack.transform.casting",
    "torch.nn.modules.activation",
    "torch.nn.modules.batchnorm",
    "torch.nn.modules.container",
    "torch.nn.modules.dropout",
    "torch.nn.modules.linear",
    "torch.nn.modules.normalization",
    "torch.nn.modules.sparse",
)
"""Where layers, metrics and options are defined that compute and do nothing else: no files, no code from strings."""

_FUNCTIONS = {
    "schnetpack.nn.activations.shifted_softplus",
    "schnetpack.nn.activations.softplus_inverse",
    "torchmetrics.metric.jit_distributed_available",
    *(f"torchmetrics.utilities.data.dim_zero_{how}" for how in ("sum", "mean", "max", "min", "cat")),
    *(f"torch.nn.functional.{name}" for name in ("elu", "gelu", "relu", "selu", "silu", "softplus", "tanh")),
    *(f"torch.nn.init.{name}" for name in ("zeros_", "ones_", "xavier_uniform_", "xavier_normal_", "constant_")),
    *(f"torch.nn.init.{name}" for name in ("kaiming_uniform_", "kaiming_normal_", "uniform_", "normal_")),
}
"""Functions that such models refer to, as harmless with any arguments."""

_DICTS = {"lightning.fabric.utilities.data.AttributeDict"}
"""Dictionaries that are read as plain ones, as torch's unpickler fills no others."""


def read(path: Path, *, unsafe_pickle: bool = False) -> Any:
    """What ``torch.save`` wrote: tensors, containers, and layers of chemprop, SchNetPack and torch.

    Parameters
    ----------
    path
        A file of torch 1.6 or newer.
    unsafe_pickle
        Read whatever it is. Such a file can do anything on this machine when it is read.

    Raises
    ------
    ModelError
        The file is damaged, or holds anything else.

    Notes
    -----
    The file's list of names is looked at before anything is built, and torch's restricted unpickler
    (``weights_only=True``) then builds nothing but what is on that list and on this module's own. Names with two
    underscores on either side are refused even as texts: as attributes of a layer, such as ``__reduce_ex__``, they
    would be asked by whatever copies or saves it later.
    """
    if unsafe_pickle:
        return _loaded(path, weights_only=False)
    if not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        raise ModelError(f"{path}: reading whole models safely needs torch 2.6 or newer; this is {torch.__version__}.")
    if not check_size(path):
        raise ModelError(f"{path} cannot be read as a file of torch.save (of torch 1.6 or newer).")
    try:
        names = sorted({*torch.serialization.get_unsafe_globals_in_checkpoint(path), *_special_names(path)})
    except Exception as error:  # a damaged file is answered with many kinds
        raise ModelError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    known = {name: _known(name) for name in names}
    if strange := [name for name, found in known.items() if found is None]:
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        raise ModelError(
            f"{path} holds {', '.join(strange[:3])}{more}, so reading it could run any code on this machine, and it "
            "was not read. Give the model as MODULE:FUNCTION with its state_dict as .safetensors, or, when you trust "
            "whoever made the file, pass --unsafe-pickle (unsafe_pickle=True)."
        )
    allowed: list[Any] = [(found, name) for name, found in known.items()]
    with torch.serialization.safe_globals(allowed):
        return _loaded(path, weights_only=True)


def _special_names(path: Path) -> Iterator[str]:
    """Texts of the pickle that are names which Python itself asks objects for."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.filename.rpartition("/")[2] == "data.pkl":
                for _, value, _ in pickletools.genops(archive.read(entry)):
                    if isinstance(value, str) and value.startswith("__") and value.endswith("__"):
                        yield value


def _known(name: str) -> Callable[..., Any] | None:
    """What a name stands for, if that is harmless."""
    if name in _DICTS:
        return dict
    module, _, attribute = name.rpartition(".")
    if name not in _FUNCTIONS and module not in _MODULES:
        return None
    if module.startswith("schnetpack."):
        schnetpack()
    found = getattr(require(module, extra="molecules"), attribute, None)
    if name in _FUNCTIONS:
        return found
    layer = isinstance(found, type) and issubclass(found, nn.Module | enum.Enum)
    return found if layer and found.__module__ == module else None


def _loaded(path: Path, *, weights_only: bool) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=weights_only)
    except Exception as error:  # of many kinds, as above
        first = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path} cannot be read: {type(error).__name__}: {first}") from error
