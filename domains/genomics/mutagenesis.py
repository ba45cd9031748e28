"""In-silico saturation mutagenesis: what every single substitution does to a prediction."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciexplain._evaluation import evaluation_mode
from sciexplain.domains.genomics.models import Layout, Model, as_called, like_model
from sciexplain.domains.genomics.reach.record import Record, Score, record
from sciexplain.domains.genomics.reach.replay import Replayed, replay
from sciexplain.domains.genomics.reach.watch import Mixing, Unfollowable
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.errors import InputError, NonFiniteOutputError
from sciexplain.targets import explained_output, start

_LOG = logging.getLogger(__name__)

#: Bytes of a pass's largest tensor, where no batch size is asked for: what a processor keeps at hand, or a card holds.
_BYTES = {"cpu": 2**24, "cuda": 2**30}
#: Positions in one pass, at least and at most.
_FEWEST, _MOST = 4, 128
#: Whole sequences in one pass.
_WHOLE = 32
#: Substitutions of the first sequence that are compared with the whole model.
_CHECKED = 8


def mutagenesis(
    model: Model,
    sequences: Any,
    target: Any = None,
    *,
    positions: tuple[int, int] | None = None,
    batch_size: int | None = None,
    layout: Layout | None = None,
    check: bool = True,
) -> Tensor:
    r"""What each of the 3 L substitutions does to the prediction, :math:`f(x^{p \to b}) - f(x)`, exactly.

    The model's own forward pass runs on the windows of positions that a substitution reaches: of a linear layer the
    change alone, of an activation or a maximum the changed values beside the original's, of a recurrent layer the
    steps from the change on, of a dense layer the columns touched. From where on an operation mixes all positions
    (attention), or is not known, whole tensors are used. Nair et al. 2022, *fastISM: performant in silico saturation
    mutagenesis for convolutional neural networks*, had the windows for convolutions.

    Parameters
    ----------
    model
        On (N, channels, L) or (N, L, channels). Is run as it predicts, in evaluation mode, and left as it was.
    sequences
        (N, 4 + further channels, L), or whatever :meth:`Sequences.of` takes. Further channels stay as they are.
    target
        The value explained, as the model gives it: None for the only output or for the class predicted for the original
        sequence; a class, or (N,) of them; or a callable from the output for any number of rows to one value each.
    positions
        First and last position, exclusive, that are changed; None: all.
    batch_size
        Substitutions in one pass; None: by the size of the largest tensor.
    layout
        As in :func:`genomics.explain`.
    check
        Compare some substitutions of every sequence with the model on whole sequences, run one at a time. Where they
        differ, the model is run on whole sequences throughout, and a warning says so.

    Returns
    -------
    (N, 4, L), in the model's type: zero for the letter that is there and outside ``positions``. Where no single letter
    is there, such as at an N, all four against the prediction as it is.

    Raises
    ------
    InputError
        ``positions`` outside the sequence, or ``batch_size`` below 1.
    TargetError
        The target does not fit the output.
    NonFiniteOutputError
        A prediction is NaN or infinite.

    Warns
    -----
    UserWarning
        The windows gave something else than the whole model.

    Examples
    --------
    >>> import torch
    >>> layers = torch.nn.Conv1d(4, 8, 5), torch.nn.ReLU(), torch.nn.AdaptiveMaxPool1d(1), torch.nn.Flatten()
    >>> model = torch.nn.Sequential(*layers, torch.nn.Linear(8, 1))
    >>> mutagenesis(model, ["ACGTTGCA", "NACCGTTA"]).shape
    torch.Size([2, 4, 8])
    """
    given = Sequences.of(sequences)
    first, last = positions or (0, given.length)
    if not 0 <= first < last <= given.length:
        raise InputError(f"positions={positions}; expected (start, end) within 0 to {given.length}, end exclusive.")
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch_size={batch_size}; expected a positive number of substitutions.")
    letters = len(given.alphabet)
    inputs = like_model(model, given.inputs).detach()
    with torch.no_grad(), evaluation_mode(model):
        called = as_called(model, given, layout)
        scan = _Scan(called, range(first, last), letters, batch_size, check)
        targets = [_of_row(target, i, len(given)) for i in range(len(given))]
        return torch.stack([scan.effects(x, _score_of(called, x, t)) for x, t in zip(inputs, targets, strict=True)])


def _of_row(target: Any, row: int, rows: int) -> Any:
    if isinstance(target, list | tuple):
        target = torch.as_tensor(target)
    return target[row : row + 1] if isinstance(target, Tensor) and target.ndim and len(target) == rows else target


def _score_of(model: Model, sequence: Tensor, target: Any) -> Score:
    """From outputs to what is explained, the class that is predicted for the sequence kept."""
    begin = start(model(sequence[None].clone()), target, 1)
    if begin.target is None:
        fixed: Callable[[Any], Tensor] = begin.fixed  # type: ignore[assignment]
        return lambda output: fixed(output).reshape(-1)
    chosen = int(begin.target)

    def score(output: Any) -> Tensor:
        y = explained_output(output)
        if y.ndim > 1:
            y = y[:, chosen]
        return y.flatten(1).sum(1) if y.ndim > 1 else y

    return score


@dataclass(frozen=True, eq=False)
class _Substitutions:
    """All single substitutions of a sequence, by position.

    Attributes
    ----------
    sequence
        (channels, L).
    positions, letters
        (M,) each, on the CPU.
    count
        Number of letters, which are the first channels.
    """

    sequence: Tensor
    positions: Tensor
    letters: Tensor
    count: int

    @classmethod
    def of(cls, sequence: Tensor, positions: range, letters: int) -> _Substitutions:
        there = sequence[:letters, positions.start : positions.stop].cpu()
        single = (there != 0).sum(0) == 1
        other = ~((there == 1) & single)
        where = other.t().nonzero()
        return cls(sequence, where[:, 0] + positions.start, where[:, 1], letters)

    def __len__(self) -> int:
        return len(self.positions)

    def deltas(self, rows: slice) -> Tensor:
        """(rows, channels): by how much the position's column differs."""
        there = self.sequence[:, self.positions[rows].to(self.sequence.device)].t()
        found = -there
        found[:, self.count :] = 0
        index = torch.arange(len(found), device=found.device)
        found[index, self.letters[rows].to(found.device)] += 1
        return found

    def inputs(self, rows: slice) -> Tensor:
        """(rows, channels, L)."""
        deltas = self.deltas(rows)
        found = self.sequence.expand(len(deltas), *self.sequence.shape).clone()
        index = torch.arange(len(deltas), device=found.device)
        found[index, :, self.positions[rows].to(found.device)] += deltas
        return found


class _Scan:
    """Runs one model over the substitutions of sequence after sequence, by windows as long as these are right."""

    def __init__(self, model: Model, positions: range, letters: int, batch_size: int | None, check: bool) -> None:
        self.model, self.positions, self.letters = model, positions, letters
        self.batch_size, self.check = batch_size, check
        self.reason: str | None = None
        self.record: Record | None = None
        self.store: dict[Any, Tensor] = {}
        self.rows = 0
        self.checked = False
        self.alone: bool | None = None

    def effects(self, sequence: Tensor, score: Score) -> Tensor:
        """(letters, L)."""
        changes = _Substitutions.of(sequence, self.positions, self.letters)
        original = score(self.model(sequence[None].clone()))
        scores = self._scores(changes, score)
        if not bool(torch.isfinite(scores).all()):
            raise NonFiniteOutputError(
                "The prediction is NaN or infinite for some substitutions; check the model's output."
            )
        found = scores.new_zeros(self.letters, sequence.shape[1])
        found[changes.letters.to(found.device), changes.positions.to(found.device)] = scores - original
        return found

    def _scores(self, changes: _Substitutions, score: Score) -> Tensor:
        if self.reason is None and len(changes):
            try:
                return self._by_windows(changes, score)
            except Unfollowable as error:
                self.reason, self.alone = str(error), isinstance(error, Mixing) or None
                _LOG.info("mutagenesis runs the model on whole sequences: %s", error)
        return self._in_full(changes, score)

    def _by_windows(self, changes: _Substitutions, score: Score) -> Tensor:
        """(M,), by windows.

        Raises
        ------
        Unfollowable
            This model cannot be run so, or gives something else.
        """
        try:
            self.record = kept = record(self.model, score, changes.sequence[None], self.record)
            self.rows = self.rows or self._fitting(changes, score, kept)
            found = torch.cat(
                [self._pass(changes, score, kept, rows).scores for rows in _slices(len(changes), self.rows)]
            )
        except Unfollowable:
            raise
        except Exception as error:  # an operation used in a way that its handler does not know
            raise Unfollowable(f"{type(error).__name__}: {error}") from error
        if not bool(torch.isfinite(found).all()):
            raise Unfollowable("values are read that no window has")
        if self.check:
            self._compare(changes, score, found)
        return found

    def _pass(self, changes: _Substitutions, score: Score, kept: Record, rows: slice) -> Replayed:
        return replay(self.model, score, kept, changes.positions[rows], changes.deltas(rows), self.store)

    def _fitting(self, changes: _Substitutions, score: Score, kept: Record) -> int:
        """Substitutions in one pass: all those of a position, of as many positions as the largest tensor allows."""
        middle = len(changes) // 2
        tried = self._pass(changes, score, kept, slice(middle, middle + 1))
        _LOG.debug("mutagenesis gives all positions to: %s", ", ".join(sorted(tried.whole)) or "no operation")
        if self.batch_size is not None:
            return self.batch_size
        size = tried.largest * changes.sequence.element_size()
        each = self.letters - 1
        return each * min(max(_BYTES.get(changes.sequence.device.type, 2**24) // (size * each), _FEWEST), _MOST)

    def _compare(self, changes: _Substitutions, score: Score, found: Tensor) -> None:
        """With the whole model, one row at a time.

        Raises
        ------
        Unfollowable
            They differ.
        """
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randint(len(changes), (_CHECKED if not self.checked else 2,), generator=generator)
        rows = torch.cat([torch.tensor([0, len(changes) - 1]), drawn]).tolist()
        expected = torch.cat([score(self.model(changes.inputs(slice(i, i + 1)))) for i in rows])
        original = score(self.model(changes.sequence[None].clone()))
        precision = torch.finfo(found.dtype).eps
        allowed = (
            precision**0.43 * (expected - original).abs().max() + precision**0.6 * expected.abs().max() + 16 * precision
        )
        difference = (found[rows] - expected).abs().max()
        self.checked = True
        if difference > allowed:
            reason = f"windows gave predictions that differ by {float(difference):.2g} from the whole model's"
            warnings.warn(f"mutagenesis runs the model on whole sequences, which takes longer: {reason}.", stacklevel=7)
            raise Unfollowable(reason)

    def _in_full(self, changes: _Substitutions, score: Score) -> Tensor:
        """(M,), by the model on whole sequences."""
        size = self.batch_size or _WHOLE
        if self.alone is None:
            self.alone = self._mixes(changes, score, slice(0, min(size, len(changes))))
        parts = [score(self.model(changes.inputs(rows))) for rows in _slices(len(changes), 1 if self.alone else size)]
        return torch.cat([changes.sequence.new_zeros(0), *parts])

    def _mixes(self, changes: _Substitutions, score: Score, rows: slice) -> bool:
        """Whether a sequence must be on its own to have its own score."""
        alone = score(self.model(changes.inputs(slice(0, 1))))
        try:
            together = score(self.model(changes.inputs(rows)))
        except RuntimeError:  # a model of batches of one
            return True
        allowed = torch.finfo(alone.dtype).eps ** 0.43 * together.abs().max()
        return len(together) != rows.stop or bool((alone[0] - together[0]).abs() > allowed)


def _slices(count: int, size: int) -> Iterator[slice]:
    for begin in range(0, count, size):
        yield slice(begin, min(count, begin + size))
