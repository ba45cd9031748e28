"""The zoo: every architecture as its author wrote it, explained to the last digit.

    python benchmarks/zoo.py [--only PATTERN] [--composite NAME ...]

For each architecture of the register, with random weights in float64: the operations without a rule (there must be
none), the ledger's gap of LRP and of DeepLIFT relative to the relevance that came and went, and the time of one
explanation in plain gradients. The exit code is 1 when a row fails.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import _architectures
import torch
from _architectures import ZOO, Case
from torch import Tensor, nn

import sciexplain as sx

TOLERANCE = 1e-8
COMPOSITES = ("epsilon", "attention")


@dataclass
class Row:
    """What was found out about one architecture; ``notes`` say why a column is empty or a row failed."""

    name: str
    family: str
    gaps: dict[str, float] = field(default_factory=dict)
    reach: float | None = None
    """The relevance, of either sign, that arrives at the input, relative to the score."""
    unknown: set[str] = field(default_factory=set)
    times: float | None = None
    notes: list[str] = field(default_factory=list)
    failed: bool = False

    @property
    def passes(self) -> bool:
        sound = not (self.failed or self.unknown) and all(gap <= TOLERANCE for gap in self.gaps.values())
        return sound and self.reach is not None and self.reach > TOLERANCE


def gap(explanation: sx.Explanation) -> float:
    """The ledger's gap relative to the score."""
    ledger = explanation.ledger
    assert ledger is not None
    return float((ledger.gap.abs() / explanation.score.abs().double().clamp_min(1e-30)).max())


def incompleteness(explanation: sx.Explanation) -> tuple[float, float]:
    """What DeepLIFT lacks to the difference of the scores, and what of it decisions are worth, relative to the score.

    Where a model decides (an expert, an index), the sample's decision holds for the reference; the ledger says so, and
    the first figure is without it.
    """
    ledger, error = explanation.ledger, explanation.convergence_error
    assert ledger is not None
    assert error is not None
    decided = sum((r.unruled for r in ledger.rows if r.operation == "reference"), torch.zeros_like(ledger.gap))
    score = explanation.score.abs().double().clamp_min(1e-30)
    return float(((error - decided).abs() / score).max()), float((decided.abs() / score).max())


def reach(explanation: sx.Explanation) -> float:
    relevance = explanation.relevance
    parts = relevance.values() if isinstance(relevance, dict) else _as_tuple(relevance)
    total = sum(float(part.abs().sum()) for part in parts if isinstance(part, Tensor))
    return total / float(explanation.score.abs().sum())


def examine(name: str, composites: tuple[str, ...]) -> Row:
    row = Row(name, ZOO[name].family)
    try:
        case = _architectures.build(name)
    except Exception as error:
        row.failed = True
        row.notes.append(f"not built: {_short(error)}")
        return row
    for composite in composites:
        try:
            found = sx.explain(*case, composite=composite, ledger=True, on_unknown="gradient")
            row.gaps[composite] = gap(found)
            row.reach = min(reach(found), row.reach or torch.inf)
            row.unknown |= {u.operation for u in found.unknown}
        except Exception as error:
            row.failed = True
            row.notes.append(f"{composite}: {_short(error)}")
    try:
        found = sx.explain(*case, method="deeplift", reference=references(case), ledger=True, on_unknown="gradient")
        row.gaps["deeplift"], decided = incompleteness(found)
        if decided > TOLERANCE:
            row.notes.append(f"{decided:.0%} of the score by the sample's decisions")
    except Exception as error:
        row.failed = True
        row.notes.append(f"deeplift: {_short(error)}")
    if not row.failed:
        explain = best_time(lambda: sx.explain(*case, composite=composites[0], on_unknown="gradient"))
        row.times = explain / best_time(lambda: gradient(case))
    return row


def references(case: Case) -> Any:
    """A reference of another value everywhere: one same number, one same token; special tokens stay."""

    def other(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return torch.full_like(value, 0.05) if value.is_floating_point() else value.clamp(max=3)

    inputs = case.inputs
    if isinstance(inputs, dict):
        return {k: v if "mask" in k else other(v) for k, v in inputs.items()}
    return tuple(map(other, inputs)) if isinstance(inputs, tuple) else other(inputs)


def gradient(case: Case) -> None:
    """One forward and one backward pass to the input, or to what the embeddings returned."""
    given = case.inputs if isinstance(case.inputs, dict) else dict(enumerate(_as_tuple(case.inputs)))
    leaves = {k: v.clone().requires_grad_() for k, v in given.items() if v.is_floating_point()}
    ends = list(leaves.values())
    hooks: list[Any] = []
    if not leaves:
        embeddings = (m for m in case.model.modules() if isinstance(m, nn.Embedding))
        hooks = [m.register_forward_hook(lambda m, a, out: ends.append(out)) for m in embeddings]
    values = {**given, **leaves}
    output = case.model(**values) if isinstance(case.inputs, dict) else case.model(*values.values())
    for hook in hooks:
        hook.remove()
    if callable(case.target):
        score = case.target(output).sum()
    else:
        first = output[0] if isinstance(output, tuple) else output
        score = first.flatten(2).sum(-1)[:, 1].sum() if first.ndim > 2 else first[:, 1 % first.shape[1]].sum()
    torch.autograd.grad(score, [t for t in ends if t.requires_grad], allow_unused=True)


def _as_tuple(inputs: Any) -> tuple[Any, ...]:
    return inputs if isinstance(inputs, tuple) else (inputs,)


def best_time(run: Callable[[], object], repeats: int = 2) -> float:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ").replace("|", "/")[:160]


def table(rows: Iterator[Row], composites: tuple[str, ...]) -> Iterator[str]:
    columns = (*composites, "deeplift")
    gaps = " | ".join(f"gap {c}" for c in columns)
    yield f"| architecture | family | without a rule | {gaps} | reach | × gradient | |"
    yield "|---|---|---|" + "---:|" * (len(columns) + 2) + "---|"
    for row in rows:
        gaps = [f"{row.gaps[c]:.0e}" if c in row.gaps else "—" for c in columns]
        times = "—" if row.times is None else f"{row.times:.1f}"
        arrived = "—" if row.reach is None else f"{row.reach:.1g}"
        verdict = ("" if row.passes else "FAILED ") + "; ".join(row.notes)
        cells = (row.name, row.family, ", ".join(sorted(row.unknown)), *gaps, arrived, times, verdict)
        yield "| " + " | ".join(cells) + " |"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", metavar="PATTERN", help='names, such as "timm *" (shell wildcards)')
    parser.add_argument("--composite", nargs="+", default=list(COMPOSITES), metavar="NAME")
    given = parser.parse_args(arguments)
    names = [name for name in ZOO if fnmatchcase(name.lower(), given.only.lower())]
    if not names:
        parser.error(f"no architecture fits {given.only!r}; there are {', '.join(ZOO)}")
    rows: list[Row] = []

    def examined() -> Iterator[Row]:
        for name in names:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the libraries
                rows.append(examine(name, tuple(given.composite)))
            yield rows[-1]

    begin = time.perf_counter()
    for line in table(examined(), tuple(given.composite)):
        print(line, flush=True)
    failed = [row.name for row in rows if not row.passes]
    worst = max((g for row in rows for g in row.gaps.values()), default=0.0)
    minutes = (time.perf_counter() - begin) / 60
    print(
        f"\n{len(rows) - len(failed)} of {len(rows)} architectures conserve, worst gap {worst:.0e}, {minutes:.1f} min"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
