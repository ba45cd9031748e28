"""The ledger: where the relevance went, operation by operation, to the last digit.

Relevance at a tensor is its value times the ``c`` that arrives there. Every operation's row measures what its outputs
receive and what its inputs get; the difference is booked to what the operation is known to absorb. What no operation
can account for stays visible as the gap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ..linear_layer import Account

ACCOUNTS: tuple[Account, ...] = ("bias", "stabilizer", "unruled")


@dataclass(eq=False)
class Row:
    """One operation of one run: all numbers are sums over the whole tensors, in float64."""

    operation: str
    module: str
    treatment: str
    remainder: Account | None = None
    """Where what the operation keeps is booked when it does not account for it by itself."""
    received: float = 0.0
    passed: float = 0.0
    absorbed: dict[Account, float] = field(default_factory=lambda: dict.fromkeys(ACCOUNTS, 0.0))

    def absorb(self, account: Account, amount: Tensor) -> None:
        self.absorbed[account] += amount.sum(dtype=torch.float64).item()

    def close(self) -> None:
        if self.remainder is not None:
            self.absorbed[self.remainder] += self.received - self.passed - sum(self.absorbed.values())

    def add(self, side: Literal["received", "passed"], relevance: Tensor) -> None:
        setattr(self, side, getattr(self, side) + relevance.sum(dtype=torch.float64).item())

    def measure(self, tensor: Tensor, side: Literal["received", "passed"], carries_relevance: bool) -> None:
        """Add the relevance at ``tensor`` to one side of the row when the backward pass comes by."""
        values = tensor.detach().clone()

        def add(c: Tensor | None) -> None:
            if c is None:
                return
            relevance = c if carries_relevance else torch.where(c == 0, 0.0, _product(values, c))
            self.add(side, relevance)

        tensor.register_hook(add)


def _product(values: Tensor, c: Tensor) -> Tensor:
    """In float64; of complex numbers that of the real and of the imaginary parts."""
    if values.is_complex():
        return (values.conj() * c).real.to(torch.float64)
    return values.to(torch.float64) * c


@dataclass(frozen=True)
class LedgerRow:
    """One operation; tensors of shape (N,)."""

    operation: str
    module: str
    treatment: str
    received: Tensor
    passed: Tensor
    bias: Tensor
    stabilizer: Tensor
    unruled: Tensor


@dataclass(frozen=True)
class Ledger:
    """Where the score of each sample went.

    Attributes
    ----------
    gap : Tensor, shape (N,)
        Score − Σ relevance − Σ absorbed; rounding, unless something escaped the engine.
    absorbed : dict of Tensor, shape (N,)
        By ``"bias"`` (constants added anywhere), ``"stabilizer"`` (the ε of denominators) and ``"unruled"``
        (operations without a rule).
    rows : tuple of LedgerRow
        Per operation, in the order of the forward pass.
    """

    gap: Tensor
    absorbed: dict[str, Tensor]
    rows: tuple[LedgerRow, ...]

    def __str__(self) -> str:
        total = {"received": "", "passed": ""} | {k: f"{v.sum():.6g}" for k, v in self.absorbed.items()}
        lines = [("module", "operation", "treatment", "received", "passed", *ACCOUNTS)]
        for row in self.rows:
            numbers = (row.received, row.passed, row.bias, row.stabilizer, row.unruled)
            lines.append((row.module, row.operation, row.treatment, *(f"{n.sum():.6g}" for n in numbers)))
        lines.append(("total", "", "", *total.values()))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = ["  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([*table, f"gap {self.gap.abs().max():.3g}"])


def assemble(runs: list[list[Row]], score: Tensor, relevance: Tensor) -> Ledger:
    """The ledger of a batch from the rows of one run per sample.

    Parameters
    ----------
    runs : list of N lists of Row
        Closed rows, one list per sample.
    score, relevance : Tensor, shape (N,)
        The start relevance and the summed relevance of all inputs.
    """
    n = len(runs)
    table: dict[tuple[int, str, str, str], dict[str, Tensor]] = {}
    for sample, rows in enumerate(runs):
        for position, row in enumerate(rows):
            key = (position, row.module, row.operation, row.treatment)
            columns = table.setdefault(
                key, {c: torch.zeros(n, dtype=torch.float64) for c in ("received", "passed", *ACCOUNTS)}
            )
            columns["received"][sample], columns["passed"][sample] = row.received, row.passed
            for account in ACCOUNTS:
                columns[account][sample] = row.absorbed[account]
    ordered = sorted(table.items(), key=lambda item: item[0][0])
    out = tuple(LedgerRow(op, module, treatment, **columns) for (_, module, op, treatment), columns in ordered)
    absorbed: dict[str, Tensor] = {
        a: sum((getattr(r, a) for r in out), torch.zeros(n, dtype=torch.float64)) for a in ACCOUNTS
    }
    total = sum(absorbed.values(), torch.zeros(n, dtype=torch.float64))
    gap = score.detach().cpu().to(torch.float64) - relevance.detach().cpu().to(torch.float64) - total
    return Ledger(gap, absorbed, out)
