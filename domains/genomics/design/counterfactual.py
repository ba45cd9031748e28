"""The nearest sequence of which a model says something else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from sciexplain._evaluation import evaluation_mode
from sciexplain._files import PathName
from sciexplain.domains.genomics.alphabet import Alphabet
from sciexplain.domains.genomics.design.constraints import Codes, Constraints
from sciexplain.domains.genomics.design.maximize import codes_of, edits_of, written_out
from sciexplain.domains.genomics.design.nearest import Hunt, Question, any_output
from sciexplain.domains.genomics.design.objective import Objective
from sciexplain.domains.genomics.design.problem import Problem
from sciexplain.domains.genomics.design.result import Edit, written_text
from sciexplain.domains.genomics.models import Layout, Model
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.errors import InputError


@dataclass(frozen=True)
class Counterfactual:
    """One sequence, and the nearest one found with another prediction.

    Attributes
    ----------
    name, start
        Of the sequence as given.
    sequence
        The other one; None where none was found within the edits allowed.
    edits
        By position; ``gain`` is by how much the prediction would move back if this edit alone were taken back.
    before, after
        What the model says of both: all outputs (logits where it ends in a softmax or sigmoid), or the one value that
        a threshold is for. ``after`` is empty where none was found.
    class_before, class_after
        The largest outputs; None where a threshold decides.
    at_least
        Edits that are needed: with fewer, all sequences were tried, or cannot keep to the constraints.
    """

    name: str
    start: str
    sequence: str | None
    edits: tuple[Edit, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    class_before: int | None
    class_after: int | None
    at_least: int

    @property
    def found(self) -> bool:
        """Whether there is one."""
        return self.sequence is not None

    @property
    def proven(self) -> bool:
        """Whether no allowed sequence with fewer edits has another prediction: such were all tried."""
        return self.found and len(self.edits) <= self.at_least

    def __str__(self) -> str:
        if not self.found:
            return f"{self.name}: none found; it needs {self.at_least} edits or more"
        made = " ".join(map(str, self.edits))
        least = "the fewest" if self.proven else f"found with {len(self.edits)}; it needs {self.at_least} or more"
        return f"{self.name}: {len(self.edits)} edits ({least}): {made}"


@dataclass(frozen=True, eq=False)
class Counterfactuals(Sequence[Counterfactual]):
    """Counterfactuals in the order of the sequences.

    Attributes
    ----------
    counterfactuals
        One for each sequence.
    """

    counterfactuals: tuple[Counterfactual, ...]

    def __len__(self) -> int:
        return len(self.counterfactuals)

    def __iter__(self) -> Iterator[Counterfactual]:
        return iter(self.counterfactuals)

    @overload
    def __getitem__(self, index: int) -> Counterfactual: ...
    @overload
    def __getitem__(self, index: slice) -> Counterfactuals: ...
    def __getitem__(self, index: int | slice) -> Counterfactual | Counterfactuals:
        found = self.counterfactuals[index]
        return Counterfactuals(found) if isinstance(found, tuple) else found

    def to_fasta(self, path: PathName) -> Path:
        """Write those that were found as FASTA; headers say how many edits and which, counted from 1.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        return written_text(path, "".join(_entry(one, one.sequence) for one in self if one.sequence is not None))

    def to_json(self, path: PathName, about: Mapping[str, Any] | None = None) -> Path:
        """Write JSON: what it is ``about`` as given, and all of them with their edits.

        Raises
        ------
        DataError
            The file cannot be written.
        """
        listed = [asdict(one) | {"proven": one.proven} for one in self]
        text = json.dumps({**(about or {}), "counterfactuals": listed}, indent=2, ensure_ascii=False) + "\n"
        return written_text(path, text)


def counterfactual(
    model: Model,
    sequences: Any,
    target: Any = None,
    *,
    threshold: float | None = None,
    edits: int = 20,
    positions: tuple[int, int] | None = None,
    gc: tuple[float, float] | None = None,
    forbidden: Sequence[str] = (),
    pairs: int = 100_000,
    steps: int = 200,
    seed: int = 0,
    alphabet: str | Alphabet | None = None,
    layout: Layout | None = None,
    batch_size: int | None = None,
    report: Callable[[int], object] = lambda done: None,
) -> Counterfactuals:
    """For each sequence, one with another prediction and as few substitutions as can be found.

    All single substitutions are tried, so one edit is the fewest if one is enough, and two are if not. If two were not
    found by search, all pairs are tried, which makes two or three edits proven too. Beyond, more edits are found by
    search with a growing budget, and :attr:`Counterfactual.at_least` says how many are needed for certain.

    Parameters
    ----------
    model
        As for :func:`maximize`.
    sequences
        As :meth:`Sequences.of` takes them. Letters that are unknown stay.
    target
        Without a threshold: the class to be predicted; None: any other than the one that is. With one: the output that
        is to cross it, an index or a callable from the output to (N,).
    threshold
        Of the target's value, which is a logit where the model ends in a sigmoid. None: 0 for models with one output
        and for callables; for several outputs the largest decides.
    edits
        At most.
    positions, gc, forbidden, seed, alphabet, layout, batch_size
        As for :func:`maximize`.
    pairs
        The proof for two edits is left out where more pairs than this would have to be tried: 9 L (L − 1) / 2 for DNA.
    steps
        Rounds of the search for each number of edits, at most.
    report
        Told how many sequences are done.

    Raises
    ------
    InputError
        A sequence cannot keep to the constraints, or options do not fit.
    TargetError, ModelError
        The model has no such output, or the target is predicted already.

    Notes
    -----
    Wachter, Mittelstadt and Russell 2017, *Counterfactual explanations without opening the black box*, with the number
    of substitutions as distance.

    Examples
    --------
    >>> import torch
    >>> counts = torch.nn.Conv1d(4, 1, 1)
    >>> _ = counts.weight.data.copy_(torch.tensor([0.0, 1, 1, 0])[None, :, None]), counts.bias.data.zero_()
    >>> model = torch.nn.Sequential(counts, torch.nn.Flatten(), torch.nn.Linear(6, 1, bias=False))
    >>> _ = torch.nn.init.ones_(model[2].weight)
    >>> print(counterfactual(model, "GCGATT", threshold=1.5)[0])
    sequence_0: 2 edits (the fewest): G1A C2A
    """
    if edits < 1 or pairs < 0 or steps < 1:
        raise InputError(f"edits={edits}, pairs={pairs}, steps={steps}; expected 1 or more, 0 or more, 1 or more.")
    if threshold is not None and not np.isfinite(threshold):
        raise InputError(f"threshold={threshold}; expected a number that the target can cross.")
    own = alphabet if alphabet is not None else getattr(model, "alphabet", None)
    given = Sequences.of(sequences, "DNA" if own is None or callable(own) else own)
    constraints = Constraints.of(gc, forbidden, given.alphabet)
    rng = np.random.default_rng(seed)
    found = []
    with evaluation_mode(model):
        outputs = Objective.of(
            model, target if callable(target) else any_output, given, layout=layout, batch_size=batch_size
        )
        for row, origin in enumerate(codes_of(given)):
            question = Question.of(outputs.beside(given[row]), origin, target, threshold, given.names[row])
            hunt = Hunt(question, constraints, origin, positions, given.names[row], pairs, steps, rng)
            found.append(_answer(hunt, hunt.nearest(edits), given.alphabet))
            report(row + 1)
    return Counterfactuals(tuple(found))


def _entry(one: Counterfactual, sequence: str) -> str:
    lines = "\n".join(sequence[i : i + 80] for i in range(0, len(sequence), 80))
    return f">{one.name} edits={len(one.edits)} {','.join(map(str, one.edits))}\n{lines}\n"


def _answer(hunt: Hunt, found: tuple[Problem, Codes | None, int], alphabet: Alphabet) -> Counterfactual:
    problem, codes, needed = found
    before = hunt.question.told(hunt.origin)
    after = () if codes is None else hunt.question.told(codes)

    def largest(outputs: tuple[float, ...]) -> int | None:
        return int(np.argmax(outputs)) if hunt.question.classes and outputs else None

    return Counterfactual(
        hunt.name,
        written_out(hunt.origin, alphabet),
        None if codes is None else written_out(codes, alphabet),
        () if codes is None else edits_of(problem, codes, alphabet),
        before,
        after,
        largest(before),
        largest(after),
        needed,
    )
