"""What a search for counterfactuals found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class Search(NamedTuple):
    """Progress: the number of the step from 1, of how many, and for how many samples something was found."""

    number: int
    steps: int
    found: int


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """The nearest inputs found with another prediction.

    Attributes
    ----------
    inputs
        (N, …): as given.
    counterfactuals
        (N, …); NaN where none was found.
    found
        (N,) bool.
    distance
        (N,): to ``inputs``; infinite where none was found.
    prediction, new_prediction
        (N,): classes before and after, −1 where none was found; of a single output, 1 where its logit is above 0. None
        for a callable target.
    margin, new_margin
        (N,): by how much the asked-for prediction wins, in logits, before (negative) and after; for a callable, its
        value.
    output, new_output
        (N, …): the model's output, logits in the place of a final softmax or sigmoid.
    reconstruction
        (N, …): with a prior, what it makes of the code nearest to each input; the search began there.
    codes
        (N, \\*code_shape): of the counterfactuals, with a prior.
    log_density
        (N,): of the codes, where the prior has one.
    """

    inputs: Tensor
    counterfactuals: Tensor
    found: Tensor
    distance: Tensor
    prediction: Tensor | None
    new_prediction: Tensor | None
    margin: Tensor
    new_margin: Tensor
    output: Tensor
    new_output: Tensor
    reconstruction: Tensor | None = None
    codes: Tensor | None = None
    log_density: Tensor | None = None

    def __len__(self) -> int:
        return len(self.found)

    def __repr__(self) -> str:
        near = f", median distance {float(self.distance[self.found].median()):.3g}" if bool(self.found.any()) else ""
        return f"Counterfactual({int(self.found.sum())} of {len(self)} found{near})"

    @property
    def change(self) -> Tensor:
        """(N, …): counterfactual − input."""
        return self.counterfactuals - self.inputs

    def changed(self, threshold: float = 0.0) -> Tensor:
        """(N,): how many values changed by more than ``threshold``; 0 where nothing was found."""
        return (self.change.abs() > threshold).reshape(len(self.inputs), -1).sum(1)
