"""Sequences with motifs at known places: what a network has to find is written into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexplain.datasets.motif_blocks import Block, MotifWriter, drawn, matrix_of, placed
from sciexplain.datasets.sequences import LabelledSequences, MotifInstance
from sciexplain.datasets.splits import random_split
from sciexplain.errors import InputError

Decoy = Literal["partial", "shuffled", "half", "neutral"]

MOTIFS: Mapping[str, str] = MappingProxyType(
    {
        "CTCF": "CCGCGNGGNGGCAG",  # Kim et al., Cell 128, 1231 (2007)
        "SPI1": "AAAGAGGAAGTG",  # Pham et al., Nucleic Acids Res. 41, 6391 (2013)
        "REST": "TTCAGCACCACGGACAGCGCC",  # Schoenherr, Paquette and Anderson, PNAS 93, 9881 (1996)
        "AP1": "TGASTCA",  # Angel et al., Cell 49, 729 (1987)
        "CEBP": "RTTGCGYAAY",  # Osada et al., J. Biol. Chem. 271, 3891 (1996)
        "NRF1": "YGCGCAYGCGCR",  # Evans and Scarpulla, Genes Dev. 4, 1023 (1990)
    }
)
"""Binding sites after their papers, in IUPAC letters."""


def simulate_motifs(
    n: int = 2000,
    length: int = 200,
    *,
    motifs: Mapping[str, Any] | None = None,
    tasks: Mapping[str, Sequence[str]] | None = None,
    spacing: tuple[int, int] | None = None,
    ordered: bool = True,
    strands: Literal["both", "+"] = "both",
    positives: float = 0.5,
    gc: float = 0.5,
    dinucleotides: ArrayLike | None = None,
    decoys: Sequence[Decoy] = ("partial", "shuffled", "neutral"),
    mutation: float = 0.0,
    noise: float = 0.0,
    seed: int = 0,
) -> LabelledSequences:
    """Random sequences, some of which hold all motifs of a task: those are its positives.

    Parameters
    ----------
    n
        Sequences.
    length
        Of each, bp.
    motifs
        For each name a consensus in IUPAC letters, an array (L, 4) of probabilities over A, C, G, T, or an object with
        such an array as ``ppm``. None: :data:`MOTIFS`.
    tasks
        For each task the motifs that a positive has, all of them; the tasks' labels are independent. None: one,
        ``"CTCF"``.
    spacing
        Fewest and most bp between neighbouring motifs of a task; None: they lie anywhere, not on each other.
    ordered
        Whether motifs at a spacing come in the order of their task, or in any.
    strands
        ``"both"``: on either strand, motifs at a spacing together; ``"+"``: all as written.
    positives
        Share of positives in each task.
    gc
        Share of G and C in the background.
    dinucleotides
        (4, 4): frequencies of dinucleotides in the background, first letter by rows; in place of ``gc``.
    decoys
        What else is written. ``"partial"``: negatives of a task with several motifs have all but one of them, or all at
        a wrong spacing, or, with ``strands="+"``, in another order. In half of the sequences each, whatever their
        labels: ``"shuffled"``, a motif of the tasks with its letters permuted; ``"half"``, a half of one;
        ``"neutral"``, a motif that no task names.
    mutation
        Share of the motifs' letters that are replaced by another.
    noise
        Share of labels that are turned around in the end.
    seed
        Of everything but the division, which is random with seed 0.

    Returns
    -------
    :class:`LabelledSequences` with ``truth`` and ``decoys``. Each sequence is a chromosome of its own name.

    Raises
    ------
    InputError
        A motif or an option that cannot be, or motifs that do not fit into ``length``.

    Notes
    -----
    The background may hold a short motif by chance, as genomes do; that is not in ``truth``. A palindrome's strand, and
    the order of palindromes on both strands, mean nothing.

    Examples
    --------
    >>> pairs = {"SPI1 and CEBP": ("SPI1", "CEBP")}
    >>> data = simulate_motifs(100, tasks=pairs, spacing=(5, 20), gc=0.4)
    >>> data.targets.sum(0), len(data.truth)
    (array([50.], dtype=float32), 100)
    >>> site = data.truth[0]
    >>> site.motif, site.strand, data.records[site.row].sequence[site.start : site.end]
    ('SPI1', '+', 'AAAGAGGAAGTG')
    """
    matrices = {name: matrix_of(name, motif) for name, motif in (MOTIFS if motifs is None else motifs).items()}
    wanted = {task: tuple(names) for task, names in ({"CTCF": ("CTCF",)} if tasks is None else tasks).items()}
    _check(n, length, matrices, wanted, spacing, strands, decoys, {"positives": positives, "gc": gc, "noise": noise,
           "mutation": mutation})  # fmt: skip
    rng = np.random.default_rng([seed, 1])  # not what the division into parts draws from
    targets = np.zeros((n, len(wanted)), np.float32)
    for column in targets.T:
        column[rng.permutation(n)[: round(positives * n)]] = 1
    letters = _background(rng, n, length, gc, dinucleotides)
    writer = MotifWriter(rng, matrices, spacing, ordered, strands, mutation)
    used = {name for names in wanted.values() for name in names}
    truth: list[MotifInstance] = []
    false: list[MotifInstance] = []
    for row in range(n):
        blocks: list[Block] = []
        for (task, names), label in zip(wanted.items(), targets[row], strict=True):
            if label:
                blocks += writer.grammar(names, task)
            elif "partial" in decoys and len(names) > 1:
                blocks += writer.partial(names)
        for decoy in ("shuffled", "half", "neutral"):
            names = tuple(name for name in matrices if (name in used) != (decoy == "neutral"))
            if decoy in decoys and names and rng.random() < 0.5:
                blocks.append(writer.decoy(decoy, names[rng.integers(len(names))]))
        for part in placed(rng, blocks, length):
            letters[row, part.start : part.end] = part.letters
            (truth if part.task else false).append(
                MotifInstance(row, part.start, part.end, part.strand, part.motif, part.task)
            )
    turned = rng.random(targets.shape) < noise
    targets[turned] = 1 - targets[turned]
    train, valid, test = random_split(n)
    return LabelledSequences(
        "simulated", _records(letters), targets, tuple(wanted), "classification", train, valid, test,
        "random, seed 0", tuple(truth), tuple(false),
    )  # fmt: skip


def load_simulated(kind: Literal["motif", "pair"]) -> LabelledSequences:
    """Named cases of :func:`simulate_motifs`: ``"motif"`` asks for CTCF, ``"pair"`` for SPI1 before CEBP."""
    if kind == "motif":
        return replace(simulate_motifs(10_000), name="simulated-motif")
    pair = {"SPI1 and CEBP": ("SPI1", "CEBP")}
    return replace(simulate_motifs(10_000, tasks=pair, spacing=(5, 20)), name="simulated-pair")


def _background(
    rng: np.random.Generator, n: int, length: int, gc: float, dinucleotides: ArrayLike | None
) -> NDArray[np.int64]:
    if dinucleotides is None:
        return drawn(rng, np.broadcast_to([(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2], (n, length, 4)))
    pairs = np.asarray(dinucleotides, np.float64)
    if pairs.shape != (4, 4) or (pairs < 0).any() or (pairs.sum(1) == 0).any():
        raise InputError(
            f"dinucleotides has shape {pairs.shape}; expected (4, 4), frequencies, first letter by rows, no row all "
            "zero."
        )
    following = pairs / pairs.sum(1, keepdims=True)
    letters = np.empty((n, length), np.int64)
    letters[:, 0] = drawn(rng, np.broadcast_to(pairs.sum(1) / pairs.sum(), (n, 4)))
    for place in range(1, length):
        letters[:, place] = drawn(rng, following[letters[:, place - 1]])
    return letters


def _records(letters: NDArray[np.int64]) -> tuple[Any, ...]:
    from sciexplain.domains.genomics.interval import Interval
    from sciexplain.domains.genomics.sequences import Record

    width = len(str(len(letters) - 1))
    records = []
    for row, codes in enumerate(np.frombuffer(b"ACGT", "S1")[letters]):
        name = f"simulated_{row:0{width}d}"
        records.append(Record(name, b"".join(codes).decode(), Interval(name, 0, len(codes), "+")))
    return tuple(records)


def _check(
    n: int,
    length: int,
    matrices: Mapping[str, NDArray[np.float64]],
    tasks: Mapping[str, Sequence[str]],
    spacing: tuple[int, int] | None,
    strands: str,
    decoys: Sequence[str],
    shares: Mapping[str, float],
) -> None:
    if n < 1 or length < 1:
        raise InputError(f"n={n}, length={length}; expected one sequence of one letter at least.")
    if not tasks or not all(tasks.values()):
        raise InputError(f"tasks={dict(tasks)!r}; expected a task at least, and a motif at least for each.")
    for task, names in tasks.items():
        if unknown := [name for name in names if name not in matrices]:
            raise InputError(f"task {task!r} names the motif {unknown[0]!r}; there are {', '.join(matrices)}.")
    if spacing is not None and not 0 <= spacing[0] <= spacing[1]:
        raise InputError(f"spacing={spacing}; expected the fewest and the most bp, 0 or more.")
    if strands not in ("both", "+"):
        raise InputError(f'strands={strands!r}; expected "both" or "+".')
    if unknown := [decoy for decoy in decoys if decoy not in ("partial", "shuffled", "half", "neutral")]:
        raise InputError(f'decoys has {unknown[0]!r}; expected "partial", "shuffled", "half", "neutral".')
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise InputError(f"{name}={share}; expected a share, 0 to 1.")
