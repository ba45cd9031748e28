"""Experiments on a model: a motif put in, a stretch taken out, two motifs at growing distance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciexplain.domains.genomics.encode import encode
from sciexplain.domains.genomics.models import Layout, Model, as_called, like_model
from sciexplain.domains.genomics.predict import predict
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.domains.genomics.shuffle import shuffle_dinucleotides
from sciexplain.errors import InputError

Operation = Callable[[Sequences], Any]
"""What is measured: from sequences to (N, …)."""


@dataclass(frozen=True, eq=False)
class Marginalization:
    """What a motif does to N sequences.

    Attributes
    ----------
    before, after
        (N, …): what was measured without and with the motif.
    """

    before: Tensor
    after: Tensor

    @property
    def effect(self) -> Tensor:
        """(N, …): after − before."""
        return self.after - self.before


@dataclass(frozen=True, eq=False)
class Ablation:
    """What M stretches are worth.

    Attributes
    ----------
    before
        (M, …): what was measured on the sequences as they are.
    after
        (M, n, …): with the letters of n shuffles there.
    """

    before: Tensor
    after: Tensor

    @property
    def effect(self) -> Tensor:
        """(M, …): before − mean after."""
        return self.before - self.after.mean(1)


@dataclass(frozen=True, eq=False)
class Spacing:
    """What two motifs do together at D distances, in N sequences.

    Attributes
    ----------
    distances
        D numbers of bp between the end of the first motif and the start of the second; negative: the second lies
        upstream, that far from the start of the first.
    background
        (N,): the prediction without motifs.
    first
        (N,): with the first alone.
    second, both
        (D, N): with the second alone where it would lie, and with both.
    """

    distances: tuple[int, ...]
    background: Tensor
    first: Tensor
    second: Tensor
    both: Tensor

    @property
    def effect(self) -> Tensor:
        """(D, N): both − background."""
        return self.both - self.background

    @property
    def interaction(self) -> Tensor:
        """(D, N): what both do beyond the sum of what each does alone."""
        return self.both - self.first - self.second + self.background


def insert(sequences: Any, motif: Any, position: int | None = None) -> Sequences:
    """Sequences with a motif in the place of the letters there.

    Parameters
    ----------
    sequences
        What :meth:`Sequences.of` takes.
    motif
        A text, a tensor (letters, length), or an object with ``ppm`` (length, letters), whose most frequent letters are
        taken.
    position
        Of its first letter, 0-based; None: in the middle.

    Raises
    ------
    InputError
        The motif does not fit in there.

    Examples
    --------
    >>> insert("AAAAAAAA", "GTC").texts
    ['AAGTCAAA']
    """
    batch = Sequences.of(sequences)
    letters = _letters(motif, batch)
    length = letters.shape[1]
    start = (batch.length - length) // 2 if position is None else position
    if start < 0 or start + length > batch.length:
        raise InputError(
            f"A motif of {length} letters at {start} does not fit into sequences of {batch.length} letters."
        )
    changed = batch.one_hot.clone()
    changed[:, :, start : start + length] = letters.to(changed)
    return batch.with_letters(changed)


def marginalize(
    model: Model,
    sequences: Any,
    motif: Any,
    target: Any = None,
    *,
    position: int | None = None,
    operation: Operation | None = None,
    layout: Layout | None = None,
    batch_size: int | None = None,
) -> Marginalization:
    """What a motif adds to sequences without signal, such as shuffled ones.

    Parameters
    ----------
    model
        As for :func:`explain`.
    sequences, motif, position
        As for :func:`insert`.
    target
        As for :func:`explain`; None: the class predicted before.
    operation
        What to measure in the place of the prediction, such as
        ``lambda s: explain(model, s, 0).nucleotides``.

    Examples
    --------
    >>> def model(x):  # counts G
    ...     return x[:, 2].sum(1, keepdim=True)
    >>> marginalize(model, ["ACACAC", "TTGTTT"], "GG", layout="NCL").effect
    tensor([2., 1.])
    """
    before = Sequences.of(sequences)
    measured = _measure(model, before, target, operation, layout, batch_size)
    return Marginalization(measured(before), measured(insert(before, motif, position)))


def ablate(
    model: Model,
    sequences: Any,
    regions: Any,
    target: Any = None,
    *,
    n: int = 20,
    seed: int = 0,
    operation: Operation | None = None,
    layout: Layout | None = None,
    batch_size: int | None = None,
) -> Ablation:
    """What stretches of sequences are worth: what is lost when their letters are those of shuffles.

    Parameters
    ----------
    model, sequences, target, operation
        As for :func:`marginalize`.
    regions
        One (start, end) for all sequences, or one for each; or :class:`Sites`, several of which may lie in a sequence.
    n
        Shuffles of the whole sequence, of each of which the stretch's letters are taken.
    seed
        Of the shuffles.

    Raises
    ------
    InputError
        A region outside the sequences.
    """
    batch = Sequences.of(sequences)
    places = _places(regions, batch)
    measured = _measure(model, batch, target, operation, layout, batch_size)
    rows = sorted({row for row, _, _ in places})
    shuffled = dict(zip(rows, shuffle_dinucleotides(batch.one_hot[rows], n, seed), strict=True))
    whole = measured(batch)
    after = []
    for row, start, end in places:
        changed = batch.one_hot[row].expand(n, -1, -1).clone()
        changed[:, :, start:end] = shuffled[row][:, :, start:end]
        after.append(measured(batch[[row] * n].with_letters(changed), [row] * n))
    return Ablation(whole[[row for row, _, _ in places]], torch.stack(after))


def spacing(
    model: Model,
    sequences: Any,
    first: Any,
    second: Any,
    distances: Iterable[int],
    target: Any = None,
    *,
    position: int | None = None,
    layout: Layout | None = None,
    batch_size: int | None = None,
) -> Spacing:
    """How what two motifs do together depends on the distance between them.

    Parameters
    ----------
    model, sequences, target
        As for :func:`marginalize`.
    first, second
        As ``motif`` there; give the reverse complement of one for another orientation.
    distances
        bp between the first's end and the second's start; negative for the second upstream.
    position
        Of the first; None: in the middle.

    Raises
    ------
    InputError
        A motif that does not fit in at one of the distances.

    References
    ----------
    Avsec et al. 2021, Nature Genetics 53, Fig. 4 (in-silico motif interactions).
    """
    batch = Sequences.of(sequences)
    a, b = _letters(first, batch), _letters(second, batch)
    begin = (batch.length - a.shape[1]) // 2 if position is None else position
    apart = tuple(distances)
    if not apart:
        raise InputError("There are no distances to try.")
    starts = [begin + a.shape[1] + d if d >= 0 else begin + d - b.shape[1] + 1 for d in apart]
    measured = _measure(model, batch, target, None, layout, batch_size)
    with_first = insert(batch, a, begin)
    return Spacing(
        apart,
        measured(batch),
        measured(with_first),
        torch.stack([measured(insert(batch, b, start)) for start in starts]),
        torch.stack([measured(insert(with_first, b, start)) for start in starts]),
    )


def _measure(
    model: Model, batch: Sequences, target: Any, operation: Operation | None, layout: Layout | None, size: int | None
) -> Callable[..., Tensor]:
    """A function of sequences, and of the rows that they come from; with the classes of the sequences as they were."""
    if operation is not None:
        return lambda sequences, rows=None: operation(sequences)
    called = as_called(model, batch, layout)
    _, classes = predict(called, like_model(model, batch.inputs), target, batch_size=size)
    fixed = target if classes is None else classes

    def prediction(sequences: Sequences, rows: Sequence[int] | None = None) -> Tensor:
        of_rows = fixed[list(rows)] if rows is not None and isinstance(fixed, Tensor) and fixed.ndim else fixed
        return predict(called, like_model(model, sequences.inputs), of_rows, batch_size=size)[0]

    return prediction


def _letters(motif: Any, batch: Sequences) -> Tensor:
    """(letters, length)."""
    if isinstance(motif, str):
        return encode(motif, batch.alphabet)[0]
    if hasattr(motif, "ppm"):
        frequencies = torch.as_tensor(motif.ppm)
        return torch.eye(len(batch.alphabet))[frequencies.argmax(1)].T
    if isinstance(motif, Tensor) and motif.ndim == 2 and motif.shape[0] == len(batch.alphabet):
        return motif
    given = tuple(motif.shape) if isinstance(motif, Tensor) else type(motif).__name__
    raise InputError(f"motif is {given}; expected a text, a tensor ({len(batch.alphabet)}, length), or a Motif.")


def _places(regions: Any, batch: Sequences) -> list[tuple[int, int, int]]:
    """(row, start, end) of each region."""
    listed = list(regions)
    if len(listed) == 2 and all(isinstance(bound, int) for bound in listed):
        listed = [tuple(listed)] * len(batch)
    if listed and hasattr(listed[0], "row"):
        places = [(site.row, site.start, site.end) for site in listed]
    elif len(listed) == len(batch):
        places = [(row, int(start), int(end)) for row, (start, end) in enumerate(listed)]
    else:
        raise InputError(
            f"{len(listed)} regions for {len(batch)} sequences; expected one (start, end), one each, or Sites."
        )
    for row, start, end in places:
        if not (0 <= row < len(batch) and 0 <= start < end <= batch.length):
            raise InputError(
                f"The region {start}-{end} of sequence {row} does not lie within {len(batch)} sequences of "
                f"{batch.length} letters."
            )
    return places
