"""Whether a record's decision and explanation can be had again, to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .._evaluation import evaluation_mode
from . import digest
from .answer import Case
from .make import _versions
from .record import Record


@dataclass(frozen=True)
class Check:
    """One thing compared: what the record says, and what is found now."""

    what: str
    identical: bool
    recorded: str
    found: str


@dataclass(frozen=True)
class Verification:
    """The comparison of a record with its decision asked for again.

    Attributes
    ----------
    checks
        Of the document, the input, the model, the decision and each relevance.
    versions
        Libraries and settings that differ from the record's; they explain differences, and are none themselves.
    """

    checks: tuple[Check, ...]
    versions: tuple[Check, ...]

    @property
    def identical(self) -> bool:
        """Whether everything is the same, to the last digit."""
        return all(check.identical for check in self.checks)

    def lines(self) -> Iterator[str]:
        """The outcome in words, a line each."""
        yield "identical" if self.identical else "NOT identical"
        for check in self.checks:
            yield (
                f"{check.what}: identical ({check.recorded})"
                if check.identical
                else f"{check.what}: recorded {check.recorded}, found {check.found}"
            )
        for check in self.versions:
            yield f"{check.what}: recorded with {check.recorded}, now {check.found}"


def verify(record: Record, case: Case) -> Verification:
    """Ask the question of a record again.

    Parameters
    ----------
    record
        As it was made.
    case
        The same sample and model, as far as one knows.
    """
    document = record.document
    with evaluation_mode(case.model):
        answer = case.ask()
    now = digest.of_document({k: v for k, v in document.items() if k != "digest"})
    model = digest.of_model(case.model)
    checks = [
        Check("record", now == record.digest, record.digest[:16], now[:16]),
        _check("input", document["input"]["sha256"], digest.of_tensors(case.inputs)),
        _check("model", document["model"]["state_sha256"], model),
        Check(
            "explained class",
            document["decision"]["target"] == answer.target,
            str(document["decision"]["target"]),
            str(answer.target),
        ),
        Check("score", record.score == answer.score, repr(record.score), repr(answer.score)),
    ]
    for name, entry in document["relevance"].items():
        value = answer.relevance.get(name)
        if value is None:
            checks.append(Check(f"relevance of {name}", False, entry["sha256"][:16], "none"))
            continue
        found = digest.packed(value)
        same = (found["sha256"], found["shape"]) == (entry["sha256"], entry["shape"])
        checks.append(
            Check(
                f"relevance of {name}",
                same,
                entry["sha256"][:16],
                found["sha256"][:16] if same else _apart(digest.unpacked(entry), digest.unpacked(found)),
            )
        )
    here = _versions()
    versions = [
        Check(name, False, str(then), here.get(name, "not installed"))
        for name, then in document["versions"].items()
        if here.get(name) != then
    ]
    return Verification(tuple(checks), tuple(versions))


def _check(what: str, recorded: str | None, found: str | None) -> Check:
    return Check(what, recorded == found, str(recorded)[:16], str(found)[:16])


def _apart(recorded: NDArray[Any], found: NDArray[Any]) -> str:
    """How far two relevance maps are apart."""
    if recorded.shape != found.shape:
        return f"another shape, {found.shape} for {recorded.shape}"
    a, b = (torch.from_numpy(np.array(v, np.float64)) for v in (recorded, found))
    scale = float(a.abs().max())
    apart = float((a - b).abs().max())
    return f"up to {apart:.2g} apart, where the largest is {scale:.2g}"
