"""The result of an explanation, and its file format (safetensors beside JSON, never pickle)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ._json import read_json
from .engine.base import UnknownOperation
from .engine.ledger import ACCOUNTS, Ledger, LedgerRow
from .errors import DataError
from .origin import Origin

if TYPE_CHECKING:
    from .prototypes import Prototypes
    from .records import Record

Tensors = Tensor | tuple[Tensor, ...] | dict[str, Tensor]
FORMAT = 1


@dataclass(frozen=True)
class Explanation:
    """Relevance of a batch.

    Attributes
    ----------
    relevance : Tensor, or tuple or dict of Tensors
        Structure and shapes of the inputs.
    output : Tensor
        What was explained: the model's output, logits where a final softmax or sigmoid was stepped over.
    target : Tensor, shape (N,), or None
        The explained class of each sample; None for a start relevance or a callable.
    score : Tensor, shape (N,)
        The relevance that started, in the unit of the output.
    method : str
    layers : dict of Tensor
        Relevance at the outputs of the modules asked for; a tuple of tensors where a module has several outputs or ran
        several times. For Grad-CAM the map, under the name of its module.
    ledger : Ledger or None
        Where the score went; None unless asked for.
    unknown : tuple of UnknownOperation
        Operations without a rule: name, module, count.
    stepped_over : str or None
        ``"softmax"``, ``"log_softmax"`` or ``"sigmoid"``, where the model ends in one.
    convergence_error : Tensor, shape (N,), or None
        Score − score of the baseline − Σ relevance, for the methods that promise 0.
    multipliers : Tensor, or tuple or dict of Tensors, or None
        What one more unit of an input would have got: relevance over activation in LRP, DeepLIFT's multipliers (their
        mean over references), the gradient or its mean. None for methods without, and for LRP whose first rule yields
        relevance itself (z^B, w², flat); tokens have none.
    origin : Origin or None
        The model and the inputs, so that :meth:`record` can ask again; None for what was read from a file.
    """

    relevance: Tensors
    output: Tensor
    target: Tensor | None
    score: Tensor
    method: str = "lrp"
    layers: Mapping[str, Tensor | tuple[Tensor, ...]] = field(default_factory=dict)
    ledger: Ledger | None = None
    unknown: tuple[UnknownOperation, ...] = ()
    stepped_over: str | None = None
    convergence_error: Tensor | None = None
    multipliers: Tensors | None = None
    origin: Origin | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        over = f", {self.stepped_over} stepped over" if self.stepped_over else ""
        gap = f", ledger gap {self.ledger.gap.abs().max():.2g}" if self.ledger is not None else ""
        if self.convergence_error is not None:
            gap = f", convergence error {self.convergence_error.abs().max():.2g}"
        unknown = f", {len(self.unknown)} operations without a rule" if self.unknown else ""
        return f"Explanation({self.method}, {len(self.score)} samples{over}{gap}{unknown})"

    def record(
        self,
        index: int = 0,
        *,
        name: str = "",
        labels: Sequence[str] | None = None,
        prototypes: Prototypes | Sequence[Mapping[str, Any]] = (),
        measure: bool = True,
        seed: int = 0,
    ) -> Record:
        """The record of one sample's decision: asked for again, alone, and written down to be verified.

        Parameters
        ----------
        index
            Of the sample.
        name
            Of the sample.
        prototypes
            Of :func:`sciexplain.prototypes`, to be named the nearest first.
        labels, measure, seed
            As for :func:`sciexplain.records.record`.

        Raises
        ------
        InputError
            The explanation was read from a file or copied, or its model or inputs were changed since.

        Examples
        --------
        >>> import torch, sciexplain as sx
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
        >>> record = sx.explain(model, torch.randn(2, 4)).record(1, name="Mary's loan", labels=["no", "later", "yes"])
        >>> len(record.document["decision"]["alternatives"])
        3
        """
        from .records.make import record
        from .records.tensor_case import case_of, known_to, relevance_of

        case = case_of(self, index, name=name)
        known = known_to(prototypes, self, index)
        expected = relevance_of(self, index)
        return record(case, labels=labels, prototypes=known, measure=measure, expected=expected, seed=seed)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``path`` (``.safetensors``) and the same name with ``.json``.

        Raises
        ------
        DataError
            When the folder does not exist.
        """
        from safetensors.torch import save_file

        file = _safetensors_path(path)
        if not file.parent.is_dir():
            raise DataError(f"Cannot save to {file}: the folder {file.parent} does not exist.")
        tensors: dict[str, Tensor] = {}
        document = {
            "format": FORMAT,
            "method": self.method,
            "stepped_over": self.stepped_over,
            "unknown": [list(u) for u in self.unknown],
            "relevance": _pack("relevance", self.relevance, tensors),
            "output": _pack("output", self.output, tensors),
            "target": _pack("target", self.target, tensors),
            "score": _pack("score", self.score, tensors),
            "layers": _pack("layers", dict(self.layers), tensors),
            "convergence_error": _pack("convergence_error", self.convergence_error, tensors),
            "multipliers": _pack("multipliers", self.multipliers, tensors),
            "ledger": None if self.ledger is None else _pack_ledger(self.ledger, tensors),
        }
        save_file(tensors, file)
        os.chmod(file, 0o644)  # safetensors leaves it readable for the owner only
        file.with_suffix(".json").write_text(json.dumps(document, indent=1))


def load(path: str | os.PathLike[str]) -> Explanation:
    """Read what :meth:`Explanation.save` wrote.

    Raises
    ------
    DataError
        When a file is missing, damaged or of another format.

    Notes
    -----
    Neither file can hold code: one has numbers, the other text.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = _safetensors_path(path)
    for part in (file, file.with_suffix(".json")):
        if not part.is_file():
            raise DataError(f"No file {part}; an explanation is a .safetensors file with a .json file beside it.")
    document = read_json(file.with_suffix(".json"), what="explanation")
    version = document.get("format") if isinstance(document, dict) else None
    if version != FORMAT:
        raise DataError(f"{file.with_suffix('.json')} has format {version!r}; this version reads format {FORMAT}.")
    try:
        return _explanation(document, load_file(file))
    except (LookupError, TypeError, ValueError, AttributeError, OSError, RecursionError, SafetensorError) as error:
        raise DataError(
            f"{file} and {file.with_suffix('.json').name} are cut off or do not belong together: {error!r}."
        ) from None


def _explanation(document: dict[str, Any], tensors: dict[str, Tensor]) -> Explanation:
    """The explanation of a document, every part of which is held to the type that its attribute has."""
    ledger, unknown = document["ledger"], document["unknown"]

    def one(name: str, *, needed: bool = True) -> Any:
        value = _unpack(document.get(name), tensors)
        return value if value is None and not needed else _of(Tensor, value, name)

    def several(name: str, *, needed: bool = True) -> Any:
        value = _unpack(document.get(name), tensors)
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
        if needed or value is not None:
            for part in parts:
                _of(Tensor | tuple | None, part, name)
        return value

    score = one("score")
    if score.ndim != 1:
        raise ValueError(f"score has shape {tuple(score.shape)}")
    return Explanation(
        relevance=several("relevance"),
        output=one("output"),
        target=one("target", needed=False),
        score=score,
        method=_of(str, document["method"], "method"),
        layers=_of(dict, several("layers"), "layers"),
        ledger=None if ledger is None else _unpack_ledger(ledger, tensors),
        unknown=tuple(UnknownOperation(_of(str, o, "unknown"), _of(str, m, "unknown"), int(n)) for o, m, n in unknown),
        stepped_over=_of(str | None, document["stepped_over"], "stepped_over"),
        convergence_error=one("convergence_error", needed=False),  # younger than the format
        multipliers=several("multipliers", needed=False),
    )


def _of(kind: Any, value: Any, name: str) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{name} is a {type(value).__name__}")
    return value


def _safetensors_path(path: str | os.PathLike[str]) -> Path:
    file = Path(path)
    return file if file.suffix == ".safetensors" else file.with_name(file.name + ".safetensors")


def _pack(name: str, value: Any, tensors: dict[str, Tensor]) -> Any:
    """JSON for ``value``, its tensors put aside under names of their own."""
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, tuple | list):
        return {"tuple": [_pack(f"{name}.{i}", v, tensors) for i, v in enumerate(value)]}
    if isinstance(value, dict):
        return {"dict": {k: _pack(f"{name}.{k}", v, tensors) for k, v in value.items()}}
    return value


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "tuple" in value:
        return tuple(_unpack(v, tensors) for v in value["tuple"])
    return {k: _unpack(v, tensors) for k, v in value["dict"].items()}


_COLUMNS = ("received", "passed", *ACCOUNTS)


def _pack_ledger(ledger: Ledger, tensors: dict[str, Tensor]) -> dict[str, Any]:
    tensors["ledger.gap"] = ledger.gap
    for account, amount in ledger.absorbed.items():
        tensors[f"ledger.absorbed.{account}"] = amount
    if ledger.rows:
        for column in _COLUMNS:
            tensors[f"ledger.rows.{column}"] = torch.stack([getattr(row, column) for row in ledger.rows])
    return {"rows": [[row.operation, row.module, row.treatment] for row in ledger.rows]}


def _unpack_ledger(document: dict[str, Any], tensors: dict[str, Tensor]) -> Ledger:
    rows = tuple(
        LedgerRow(
            *(_of(str, word, "ledger") for word in (operation, module, treatment)),
            *(tensors[f"ledger.rows.{column}"][i] for column in _COLUMNS),
        )
        for i, (operation, module, treatment) in enumerate(document["rows"])
    )
    return Ledger(tensors["ledger.gap"], {a: tensors[f"ledger.absorbed.{a}"] for a in ACCOUNTS}, rows)
