"""Making a record: the decision is asked for again, alone, and everything about it is written down."""

from __future__ import annotations

import base64
import math
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor, nn

from .._evaluation import evaluation_mode
from ..errors import InputError
from . import digest
from .answer import Answer, Case
from .caveats import caveats
from .faithfulness import faithfulness
from .record import FORMAT, FORMAT_VERSION, Record

ALTERNATIVES = 5
_PACKAGES = ("sciexplain", "torch", "numpy", "rdkit", "torch-geometric", "chemprop", "schnetpack", "transformers")


def record(
    case: Case,
    *,
    labels: Sequence[str] | None = None,
    prototypes: Sequence[Mapping[str, Any]] = (),
    measure: bool = True,
    asked: Mapping[str, Any] | None = None,
    expected: Tensor | None = None,
    seed: int = 0,
) -> Record:
    """The record of one decision.

    Parameters
    ----------
    case
        The decision, at hand to be asked again.
    labels
        Class names.
    prototypes
        The nearest known examples, the nearest first: each has ``name``, ``label`` and ``distance``.
    measure
        Measure how faithful this explanation is, where the case says how parts are taken away.
    asked
        How the question was put, such as a run's ``run.json``; kept as it is.
    expected
        Relevance that was got before; what is got now must be the same, up to rounding.
    seed
        Of the random orders that faithfulness is held against.

    Raises
    ------
    InputError
        Asked again, the model gives another relevance than ``expected``; or labels are not as many as classes.
    """
    if not isinstance(prototypes, Sequence):
        raise InputError(
            f"prototypes is {type(prototypes).__name__}; expected for each, the nearest first, a dict with name, label "
            "and distance."
        )
    with evaluation_mode(case.model):
        answer = case.ask()
        _same(answer.parts, expected)
        decision = _decision(answer, labels)
        measured = None
        if measure and case.removal is not None:
            measured = faithfulness(case.removal(answer), seed=seed)
        picture = None if case.picture is None else case.picture(answer)
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "kind": case.kind,
        "input": {"name": case.name, "sha256": digest.of_tensors(case.inputs), "described": dict(case.described)},
        "model": _model(case.model),
        "versions": _versions(),
        "question": {**case.question, "seed": seed},
        "decision": decision,
        "relevance": {name: digest.packed(value) for name, value in answer.relevance.items()},
        "conservation": _conservation(answer),
        "faithfulness": None if measured is None else {"removed": case.removed, **measured},
        "prototypes": [dict(p) for p in prototypes],
        "caveats": caveats(answer, decision, measured),
        "picture": None if picture is None else base64.b64encode(picture).decode(),
        "asked": None if asked is None else dict(asked),
    }
    return Record.sealed(document)


def _same(found: Tensor, expected: Tensor | None) -> None:
    if expected is None:
        return
    expected = expected.to(found)
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    if found.shape != expected.shape or float((found - expected).abs().max()) > 1e-3 * scale:
        raise InputError(
            "Asked again, the model gives another relevance for this sample: the model or its input was changed since, "
            "or the model is random. Explain again, then make the record."
        )


def _decision(answer: Answer, labels: Sequence[str] | None) -> dict[str, Any]:
    """The prediction, what comes next to it, and what was explained."""
    logits = answer.logits.detach().double().cpu().flatten()
    if labels is not None and len(logits) > 1 and len(labels) != len(logits):
        raise InputError(f"{len(labels)} labels ({', '.join(labels)[:80]}) for {len(logits)} classes; expected as many")

    def named(number: int) -> str:
        return str(number) if labels is None else str(labels[number])

    alternatives: list[dict[str, Any]] = []
    if len(logits) > 1:
        likely = logits.sigmoid() if answer.stepped_over == "sigmoid" else logits.softmax(0)
        for i in logits.argsort(descending=True, stable=True)[:ALTERNATIVES].tolist():
            alternatives.append(
                {"class": i, "label": named(i), "logit": float(logits[i]), "probability": float(likely[i])}
            )
    elif answer.stepped_over == "sigmoid":
        likely = logits.sigmoid()
    probability = float(likely.max()) if len(logits) > 1 or answer.stepped_over == "sigmoid" else None
    return {
        "score": answer.score,
        "unit": answer.unit,
        "target": answer.target,
        "label": None if answer.target is None or len(logits) == 1 else named(answer.target),
        "probability": probability,
        "stepped_over": answer.stepped_over,
        "alternatives": alternatives,
    }


def _conservation(answer: Answer) -> dict[str, Any]:
    total = math.fsum(answer.parts.detach().double().cpu().flatten().tolist())
    return {
        "score": answer.score,
        "relevance": total,
        "absorbed": None if answer.absorbed is None else dict(answer.absorbed),
        "gap": answer.gap,
        "promised": answer.conserves,
    }


def _model(model: Any) -> dict[str, Any]:
    kind = type(model) if isinstance(model, nn.Module) else model
    parameters = list(model.parameters()) if isinstance(model, nn.Module) else []
    return {
        "class": f"{kind.__module__}.{getattr(kind, '__qualname__', type(kind).__qualname__)}",
        "state_sha256": digest.of_model(model),
        "parameters": sum(p.numel() for p in parameters),
        "dtype": str(parameters[0].dtype).removeprefix("torch.") if parameters else None,
        "device": str(parameters[0].device) if parameters else None,
    }


def _versions() -> dict[str, str]:
    """Of what a result may depend on, as far as it is installed."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found | {"threads": str(torch.get_num_threads())}
