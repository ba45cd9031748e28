"""What a designed sequence is to have much of: a model's output, and probability among real sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciexplain.domains.genomics.alphabet import Alphabet
from sciexplain.domains.genomics.design.constraints import Codes, Floats
from sciexplain.domains.genomics.models import Layout, Model, as_called, like_model
from sciexplain.domains.genomics.mutagenesis import mutagenesis
from sciexplain.domains.genomics.reference.prior import log_likelihood
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.errors import ModelError, NonFiniteOutputError, SciExplainError, TargetError
from sciexplain.maximization.observe import observe
from sciexplain.targets import explained_output

Value = Callable[[Any], Tensor]
"""From a model's output to one value for each sequence."""

_LETTERS_AT_ONCE = 2**18


@dataclass(frozen=True, eq=False)
class Objective:
    r"""A value of the model, and with a prior :math:`f(x) + \lambda \min(0, \log p(x) - \tau)`.

    τ is the log-density that real sequences typically have, where the prior says it: the densest sequences are dull
    repeats, so what is denser than real ones counts no more. Otherwise :math:`f(x) + \lambda \log p(x)`.

    Attributes
    ----------
    model
        From (n, channels, L) to its output.
    value
        Of that, with logits in place of a final softmax or sigmoid.
    like
        A tensor of the model's device and type.
    alphabet
        Of the sequences.
    extra
        (channels, L) after the letters; None without.
    unknown
        (letters, L): what stands at letters that are unknown, such as a quarter of each; None: zeros.
    prior, weight
        The density and λ.
    squashed
        Whether the model ends in a softmax or sigmoid.
    batch_size
        Sequences at a time; None: as many as have 2¹⁸ letters.
    """

    model: Model
    value: Value
    like: Tensor
    alphabet: Alphabet
    extra: Tensor | None = None
    unknown: Tensor | None = None
    prior: Any = None
    weight: float = 1.0
    squashed: bool = False
    batch_size: int | None = None

    @classmethod
    def of(
        cls, model: Model, target: Any, one: Sequences, *, prior: Any = None, weight: float = 1.0,
        layout: Layout | None = None, batch_size: int | None = None,
    ) -> Objective:  # fmt: skip
        """For a model, tried on one sequence; the model is to be in evaluation mode.

        Raises
        ------
        InputError, ModelError, TargetError
            The model takes no such sequence, or has no such target.
        """
        called = as_called(model, one, layout)
        x = like_model(model, one.inputs[:1]).detach().requires_grad_()
        try:
            with torch.enable_grad():
                seen = observe(called, x)
        except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:
            if isinstance(error, SciExplainError):
                raise
            reason = str(error).partition("\n")[0]
            raise ModelError(f"The model does not take sequences of {one.length} letters: {reason}") from error
        found = cls(
            called, value_of(target, seen.output), x.detach()[:, :, :0], one.alphabet, prior=prior, weight=weight,
            squashed=seen.stepped_over is not None, batch_size=batch_size,
        )  # fmt: skip
        found.beside(one).values(np.zeros((1, one.length), np.int64))
        return found

    @property
    def letters(self) -> int:
        """Of the alphabet."""
        return len(self.alphabet)

    def beside(self, sequence: Sequences) -> Objective:
        """For one sequence: with its channels after the letters, and what it has for letters that are unknown."""
        extra = None if sequence.extra is None else sequence.extra[0].to(self.like)
        return replace(self, extra=extra, unknown=sequence.one_hot[0].to(self.like))

    def __call__(self, one_hot: Tensor, extra: Tensor | None = None) -> Tensor:
        """(n, letters, L) to (n,), with gradients; ``extra`` (n, channels, L) for sequences that differ in it."""
        found = self.predicted(one_hot, extra)
        if self.prior is None:
            return found
        return found + self.weight * _falling_short(self.prior, one_hot).to(found)

    def predicted(self, one_hot: Tensor, extra: Tensor | None = None) -> Tensor:
        """(n, letters, L) to the model's value (n,)."""
        found = self.value(self.outputs(one_hot, extra))
        return found if one_hot.requires_grad else found.detach()

    def outputs(self, one_hot: Tensor, extra: Tensor | None = None) -> Any:
        """(n, letters, L) to the model's output, logits in place of a final softmax or sigmoid."""
        extra = self.extra if extra is None else extra
        x = one_hot.to(self.like)
        if extra is not None:
            x = torch.cat([x, extra.expand(len(x), -1, -1)], 1)
        if not self.squashed:
            return self.model(x)
        with torch.enable_grad():  # what is squashed is known by the graph
            return observe(self.model, x if x.requires_grad else x.detach().requires_grad_()).output

    def one_hot(self, codes: Codes) -> Tensor:
        """(n, L) to (n, letters, L)."""
        table = np.eye(self.letters + 1, self.letters)
        known = torch.from_numpy(np.moveaxis(table[codes], -1, 1)).to(self.like)
        if self.unknown is None or not (codes == self.letters).any():
            return known
        here = torch.from_numpy(codes == self.letters).to(self.like.device)
        return torch.where(here[:, None], self.unknown, known)

    def values(self, codes: Codes, *, predicted: bool = False) -> Floats:
        """(n, L) to (n,) as float64, of real sequences; ``predicted``: of the model alone.

        Raises
        ------
        NonFiniteOutputError
            One is NaN or infinite.
        """
        size = self.batch_size or max(1, _LETTERS_AT_ONCE // codes.shape[1])
        function = self.predicted if predicted else self
        with torch.no_grad():
            parts = [function(self.one_hot(codes[i : i + size])) for i in range(0, len(codes), size)]
        found = np.asarray(torch.cat(parts).double().cpu().numpy())
        if not np.isfinite(found).all():
            raise NonFiniteOutputError("The model's value is NaN or infinite for some sequences; check its output.")
        return found

    def effects(self, codes: Codes, positions: tuple[int, int] | None = None) -> Floats:
        """(L,) to (L, letters): by how much every single substitution raises the objective, exactly.

        ``positions``: first and last, exclusive, that are changed; the others have 0.
        """
        if self.squashed:  # windows would be of what is squashed
            return self._effects_in_full(codes, positions=positions)
        x = self.one_hot(codes[None])
        if self.extra is not None:
            x = torch.cat([x, self.extra[None]], 1)
        given = Sequences(x, ("",), (None,), self.alphabet)
        found = mutagenesis(
            lambda inputs: self.value(self.model(inputs)), given, layout="NCL", positions=positions,
            batch_size=self.batch_size,
        )  # fmt: skip
        effects = np.asarray(found[0, : self.letters].double().t().cpu().numpy())
        if self.prior is None:
            return effects
        of_prior = self._effects_in_full(codes, lambda x: _falling_short(self.prior, x), positions)
        return effects + self.weight * of_prior

    def _effects_in_full(
        self,
        codes: Codes,
        function: Callable[[Tensor], Tensor] | None = None,
        positions: tuple[int, int] | None = None,
    ) -> Floats:
        first, last = positions or (0, len(codes))
        where, letter = substitutions(codes[first:last], self.letters)
        where = where + first
        changed = np.repeat(codes[None], len(where) + 1, 0)
        changed[np.arange(len(where)), where] = letter
        size = self.batch_size or max(1, _LETTERS_AT_ONCE // len(codes))
        function = function or self
        with torch.no_grad():
            parts = [function(self.one_hot(changed[i : i + size])) for i in range(0, len(changed), size)]
        values = torch.cat(parts).double().cpu().numpy()
        found = np.zeros((len(codes), self.letters))
        found[where, letter] = values[:-1] - values[-1]
        return found


def substitutions(codes: Codes, letters: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions and letters of all single substitutions of known letters (L,), by position."""
    where, letter = np.nonzero((codes[:, None] != np.arange(letters)) & (codes < letters)[:, None])
    return where, letter


def value_of(target: Any, output: Any) -> Value:
    """A target in any of its forms, checked on one output.

    Parameters
    ----------
    target
        None: the only output; an index; or a callable from the output to (n,).
    output
        Of one sequence.

    Raises
    ------
    TargetError
        It does not fit the output.
    """
    if callable(target):
        found = target(output)
        if not isinstance(found, Tensor) or found.numel() != 1:
            given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise TargetError(f"The target callable returned {given} for one sequence; expected one value, shape (1,).")
        return lambda output: target(output).reshape(-1)
    y = explained_output(output)
    outputs = y.shape[1] if y.ndim > 1 else 1
    if target is None:
        if y.numel() != 1:
            raise TargetError(
                f"The model has an output of shape {tuple(y.shape)} for one sequence; say which is meant: target=0 "
                f"to {outputs - 1}, or a callable from the output to one value for each sequence."
            )
        target = 0
    if isinstance(target, Tensor) and target.numel() == 1 and not target.is_floating_point():
        target = int(target)
    if isinstance(target, bool) or not hasattr(target, "__index__"):
        raise TargetError(f"target={target!r}; expected None, the index of an output, or a callable.")
    index = int(target)
    if not -outputs <= index < outputs:
        raise TargetError(f"target={index}: the model has {outputs} outputs, 0 to {outputs - 1}.")

    def chosen(output: Any) -> Tensor:
        y = explained_output(output)
        y = y[:, None] if y.ndim == 1 else y
        return y[:, index].flatten(1).sum(1) if y.ndim > 2 else y[:, index]

    return chosen


def _falling_short(prior: Any, one_hot: Tensor) -> Tensor:
    """(n,): log-density, or by how much it is below that of typical sequences, 0 at most."""
    density = log_likelihood(prior, one_hot)
    typical = getattr(prior, "typical", None)
    if typical is None or not torch.isfinite(torch.as_tensor(typical)):
        return density
    return (density - torch.as_tensor(typical).to(density)).clamp(max=0)
