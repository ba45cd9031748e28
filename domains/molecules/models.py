"""Models of molecules from the files their libraries write."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sciexplain._optional import require
from sciexplain.domains.molecules import families
from sciexplain.domains.molecules.families.base import LibraryFamily
from sciexplain.domains.molecules.families.unpickling import read
from sciexplain.errors import ModelError
from sciexplain.runs.models import load_model as build_model

_LARGEST_CONFIG = 1 << 17
_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", "")


def load_model(
    reference: str | Path,
    *,
    weights: str | Path | None = None,
    featurizer: Callable[[Any], Any] | str | None = None,
    unit: str = "",
    tasks: Sequence[str] = (),
    unsafe_pickle: bool = False,
) -> LibraryFamily:
    """A trained model and how it takes molecules.

    Parameters
    ----------
    reference
        A chemprop 2 model (``.pt``) or checkpoint (``.ckpt``); what SchNetPack wrote: its ``best_model``, or the folder
        of the run with that in it; a folder of this package's own reference models; or ``"MODULE:FUNCTION"``, a
        function of yours that returns the model.
    weights
        For ``"MODULE:FUNCTION"``: a ``.safetensors`` file, or a state_dict that ``torch.save`` wrote.
    featurizer, unit, tasks
        As for :func:`~sciexplain.domains.molecules.families.find`. Chemprop's task names and SchNetPack's unit are
        found where training wrote them.
    unsafe_pickle
        Also read pickled files that carry code. Such a file can do anything on this machine when it is read.

    Raises
    ------
    ModelError
        There is no such file, it cannot be read safely, or it holds no model.

    Notes
    -----
    Files of chemprop and SchNetPack are pickles of layers, not only of numbers. They are read if nothing else is in
    them; see :mod:`~sciexplain.domains.molecules.families.unpickling`.

    Examples
    --------
    >>> family = load_model("model_0/best.pt", unit="log mol/L")  # doctest: +SKIP
    >>> family.predict(list(molecules.read("drugs.smi")))  # doctest: +SKIP
    """
    path = Path(reference)
    known: dict[str, Any] = {}
    if not path.exists() and ":" in str(reference):
        model: Any = build_model(str(reference), weights, unsafe_pickle=unsafe_pickle)
    elif weights is not None:
        raise ModelError(f"weights={str(weights)!r} belong to a model given as MODULE:FUNCTION, not to {path}.")
    elif (path / "model.json").is_file() and (path / "model.safetensors").is_file():
        model = require("sciexplain.domains.molecules.reference", extra="molecules").load(path)
    else:
        path = _file(path)
        model, known = _from_file(path, unsafe_pickle=unsafe_pickle)
    family = families.find(
        model.eval(),
        featurizer,
        unit=unit or _text(getattr(model, "unit", "")),
        tasks=tasks or known.get("tasks") or _texts(getattr(model, "tasks", ())),
    )
    if not family.unit and len(family.tasks) == 1:
        family.unit = _text(known.get("units", {}).get(family.tasks[0]))
    return family


def _file(path: Path) -> Path:
    if path.is_dir():
        if not (path / "best_model").is_file():
            raise ModelError(
                f"{path}: found no model in this folder; expected SchNetPack's best_model, or model.json beside "
                "model.safetensors."
            )
        return path / "best_model"
    if not path.is_file():
        raise ModelError(f"There is no file {path}; give a file, a folder, or MODULE:FUNCTION.")
    if path.suffix not in _SUFFIXES:
        raise ModelError(f"{path}: expected a file ending in {', '.join(s for s in _SUFFIXES if s)}, or a best_model.")
    return path


def _from_file(path: Path, *, unsafe_pickle: bool) -> tuple[nn.Module, dict[str, Any]]:
    """The model of a file, and what is known of its output."""
    content = read(path, unsafe_pickle=unsafe_pickle)
    if isinstance(content, nn.Module):
        return content, {"units": _schnetpack_units(path.with_name("config.yaml"))}
    if isinstance(content, Mapping):
        settings, columns = content.get("hyper_parameters"), content.get("output_columns")
        if isinstance(settings, Mapping) and "message_passing" in settings:
            return _chemprop(content, path), {"tasks": _texts(columns)}
        held = f"a dict of {', '.join([str(name)[:40] for name in content if isinstance(name, str)][:4])}, …"
    else:
        held = f"a {type(content).__name__}"
    raise ModelError(
        f"{path} holds {held}; expected a model of chemprop 2 or SchNetPack. For a state_dict give the model "
        "as MODULE:FUNCTION and the file as weights."
    )


def _chemprop(content: Mapping[str, Any], path: Path) -> nn.Module:
    """Chemprop's own loader, on what has been read already."""
    buffer = io.BytesIO()
    torch.save({key: content[key] for key in ("hyper_parameters", "state_dict")}, buffer)
    buffer.seek(0)
    try:
        return require("chemprop.models", extra="molecules").MPNN.load_from_file(buffer, map_location="cpu")
    except Exception as error:  # chemprop calls what the file says, as far as it was let through, with what it says
        first = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"{path} cannot be read as a chemprop MPNN: {type(error).__name__}: {first}. Files of chemprop 1 and 2.0 "
            "become readable with: chemprop convert"
        ) from error


def _schnetpack_units(config: Path) -> dict[str, Any]:
    """The unit of each property, from the configuration that a run of SchNetPack wrote beside its model."""
    if not config.is_file() or config.stat().st_size > _LARGEST_CONFIG:
        return {}
    yaml: Any = require("yaml", extra="molecules")
    try:
        text = config.read_text(encoding="utf-8")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            return {}  # aliases of aliases grow without bound when they are merged, and training writes none
        return dict(yaml.safe_load(text)["data"]["property_units"])
    except (KeyError, TypeError, ValueError, OSError, RecursionError, yaml.YAMLError):
        return {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) and "${" not in value else ""


def _texts(value: Any) -> tuple[str, ...]:
    listed = isinstance(value, tuple | list) and all(isinstance(v, str) for v in value)
    return tuple(value) if listed else ()
