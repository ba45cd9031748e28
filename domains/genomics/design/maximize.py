"""What a model thinks that a class of sequences looks like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from sciexplain._evaluation import evaluation_mode
from sciexplain.domains.genomics.alphabet import Alphabet, alphabet_of
from sciexplain.domains.genomics.design.constraints import Codes, Constraints
from sciexplain.domains.genomics.design.objective import Objective
from sciexplain.domains.genomics.design.problem import Problem
from sciexplain.domains.genomics.design.relaxed import relaxed
from sciexplain.domains.genomics.design.result import Design, Designs, Edit
from sciexplain.domains.genomics.design.search import Found, search
from sciexplain.domains.genomics.lengths import length_of
from sciexplain.domains.genomics.models import Layout, Model
from sciexplain.domains.genomics.reference.prior import log_likelihood
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.errors import InputError

Method = Literal["relaxed", "search"]
_METHODS = ("relaxed", "search")
_RESTARTS = 8


@dataclass(frozen=True)
class Progress:
    """How far a maximisation is.

    Attributes
    ----------
    done, total
        Steps: of the gradient ascent, and then one for each sequence that is finished by search.
    best
        The best value so far.
    """

    done: int
    total: int
    best: float


def maximize(
    model: Model,
    target: Any = None,
    *,
    length: int | None = None,
    start: Any = None,
    edits: int | None = None,
    positions: tuple[int, int] | None = None,
    gc: tuple[float, float] | None = None,
    forbidden: Sequence[str] = (),
    method: Method = "relaxed",
    restarts: int | None = None,
    steps: int = 200,
    prior: Any = None,
    prior_weight: float = 1.0,
    seed: int = 0,
    alphabet: str | Alphabet | None = None,
    layout: Layout | None = None,
    batch_size: int | None = None,
    report: Callable[[Progress], object] = lambda progress: None,
) -> Designs:
    r"""Sequences that a model gives its highest output: from scratch, or by few edits of real ones.

    What is returned are real letters that keep to every constraint, with predictions for exactly these letters. Both
    methods end in a search by saturation mutagenesis, so that no allowed substitution is better, nor, with a budget, an
    exchange of one edit for another (unless ``steps`` run out, see :attr:`Design.settled`).

    Parameters
    ----------
    model
        Takes (N, letters, L) or (N, L, letters). Is run in evaluation mode, and left as it was.
    target
        None: the only output; an index, whose logit counts where the model ends in a softmax or sigmoid; or a callable
        from the output to (N,), such as :func:`~sciexplain.domains.genomics.profile`.
    length
        L, in letters; None: that of ``start``, or of the model.
    start
        Real sequences to begin with, as :meth:`Sequences.of` takes them; one design is returned for each. Letters that
        are unknown stay. None: from scratch.
    edits
        How many letters of each may change; None: any number.
    positions
        First and last position, exclusive, that may change; None: all.
    gc
        Least and greatest share of G and C among the known letters.
    forbidden
        Motifs that may not occur, on either strand, such as restriction sites; IUPAC letters stand for several.
    method
        ``"relaxed"``: gradient ascent on letters' logits through straight-through Gumbel draws, then search.
        ``"search"``: search alone, for models without gradients.
    restarts
        Attempts: from scratch all are returned (None: 8), of each real sequence the best (None: 1).
    steps
        Of the gradient ascent, and rounds of the search, at most, for each attempt.
    prior
        A density of sequences, with ``log_likelihood(one_hot)``, such as :func:`genomics.reference.load_prior` reads.
        From scratch, attempts begin with what it draws, if it has ``draw(count, seed)``.
    prior_weight
        λ in :math:`f(x) + \lambda \min(0, \log p(x) - \tau)`, with τ the prior's ``typical`` log-density of real
        sequences; without that in :math:`f(x) + \lambda \log p(x)`. For a logit f and λ = 1 the latter is log-odds of
        the class given the sequence and log-density of the sequence, as in Montavon, Samek and Müller 2018, section
        3.2.
    seed
        Of starts and draws; the same seed gives the same sequences.
    alphabet
        None: the model's attribute ``alphabet``, that of ``start``, or DNA.
    layout
        As in :func:`genomics.explain`.
    batch_size
        Sequences at a time.
    report
        Called after each step.

    Raises
    ------
    InputError
        No sequence keeps to the constraints (the message says how many edits are needed), or options do not fit.
    TargetError, ModelError
        The model has no such output.

    Notes
    -----
    Linder and Seelig 2021, *Fast activation maximization for molecular sequence design*, BMC Bioinformatics 22, 510;
    Schreiber, Lu and Noble 2020, *Ledidi: Designing genomic edits that induce functional activity*, for few edits.
    Constraints are not penalties here: each step takes the best allowed sequence, found exactly by dynamic programming.

    Examples
    --------
    >>> import torch
    >>> likes = torch.nn.Conv1d(4, 1, 4, bias=False)
    >>> _ = likes.weight.data.copy_(torch.tensor([[0.0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0], [1, 1, 0, 0]])[None])
    >>> model = torch.nn.Sequential(likes, torch.nn.AdaptiveMaxPool1d(1), torch.nn.Flatten())
    >>> found = maximize(model, length=12, steps=20, restarts=2)
    >>> [(d.prediction, "TTGA" in d.sequence) for d in found]
    [(4.0, True), (4.0, True)]
    >>> few = maximize(model, start=["CCCCTTCACCCC"], edits=1, forbidden=["CCCCCCCC"])
    >>> few[0].sequence, [str(edit) for edit in few[0].edits]
    ('CCCCTTGACCCC', ['C7G'])
    """
    if method not in _METHODS:
        raise InputError(f'method={method!r}; expected "relaxed" or "search".')
    _check(length, start, edits, positions, restarts, steps)
    given = _given(model, start, length, alphabet, layout)
    constraints = Constraints.of(gc, forbidden, given.alphabet)
    rng = np.random.default_rng(seed)
    with evaluation_mode(model), evaluation_mode(prior):
        objective = Objective.of(
            model, target, given, prior=prior, weight=prior_weight, layout=layout, batch_size=batch_size
        )
        origins = [None] if start is None else codes_of(given)
        problems = [
            Problem.of(objective.beside(given[i]), constraints, origin, edits, given.length, positions, given.names[i])
            for i, origin in enumerate(origins)
        ]
        attempts = (_RESTARTS if start is None else 1) if restarts is None else restarts
        rows = [problem for problem in problems for _ in range(attempts)]
        near = _drawn(prior, attempts, seed) if start is None else [problem.origin for problem in rows]
        total = len(rows) + (steps if method == "relaxed" else 0)
        if method == "relaxed":
            begun = relaxed(rows, near, steps, rng, lambda step, best: report(Progress(min(step, steps), total, best)))
        else:
            begun = [problem.beginning(rng, codes) for problem, codes in zip(rows, near, strict=True)]
        found: list[Found] = []
        for problem, codes in zip(rows, begun, strict=True):
            found.append(search(problem, codes, steps))
            report(Progress(total - len(rows) + len(found), total, max(f.value for f in found)))
        if start is not None:  # the best attempt of each
            found = [max(found[i : i + attempts], key=lambda f: f.value) for i in range(0, len(found), attempts)]
            rows = problems
        return _designs(rows, found, given, method, prior)


def codes_of(given: Sequences) -> list[Codes]:
    """Each sequence as places in the alphabet, its length where there is no single letter."""
    x = given.one_hot
    single = ((x != 0).sum(1) == 1) & (x.amax(1) == 1)
    return list(torch.where(single, x.argmax(1), len(given.alphabet)).cpu().numpy().astype(np.int64))


def edits_of(problem: Problem, codes: Codes, alphabet: Alphabet) -> tuple[Edit, ...]:
    """What differs from the origin, and how much of the prediction each edit alone holds."""
    positions = problem.edited(codes)
    if problem.origin is None or not positions:
        return ()
    without = np.repeat(codes[None], len(positions) + 1, 0)
    without[np.arange(len(positions)), positions] = problem.origin[positions]
    values = problem.objective.values(without, predicted=True)
    return tuple(
        Edit(p, alphabet.letters[problem.origin[p]], alphabet.letters[codes[p]], float(values[-1] - value))
        for p, value in zip(positions, values[:-1], strict=True)
    )


def gc_of(codes: Codes, alphabet: Alphabet) -> float | None:
    """Share of G and C among the known letters; None where there are none."""
    if not alphabet.complement:
        return None
    strong = [alphabet.letters.index(letter) for letter in "GC"]
    known = int((codes < len(alphabet)).sum())
    return float(np.isin(codes, strong).sum() / known) if known else None


def written_out(codes: Codes, alphabet: Alphabet) -> str:
    """The letters."""
    table = alphabet.letters + alphabet.unknown
    return "".join(table[code] for code in codes)


def _designs(problems: Sequence[Problem], found: Sequence[Found], given: Sequences, method: str, prior: Any) -> Designs:
    order = sorted(range(len(found)), key=lambda i: -found[i].value)
    scratch = problems[0].origin is None
    designs = []
    for place, i in enumerate(order):
        problem, codes = problems[i], found[i].codes
        if not (problem.constraints.hold(codes[None])[0] and len(problem.edited(codes)) <= _budget(problem)):
            raise AssertionError("a designed sequence breaks a constraint")  # never: the search is over allowed ones
        before = None
        if problem.origin is not None:
            before = float(problem.objective.values(problem.origin[None], predicted=True)[0])
        density = None
        if prior is not None:
            with torch.no_grad():
                density = float(log_likelihood(prior, problem.objective.one_hot(codes[None]))[0])
        designs.append(
            Design(
                f"design_{place}" if scratch else given.names[i],
                written_out(codes, given.alphabet),
                found[i].value,
                float(problem.objective.values(codes[None], predicted=True)[0]),
                before,
                edits_of(problem, codes, given.alphabet),
                gc_of(codes, given.alphabet),
                density,
                found[i].settled,
            )
        )
    one_hot = torch.cat([problems[i].objective.one_hot(found[i].codes[None]) for i in order])
    if scratch:
        names = tuple(design.name for design in designs)
        sequences = Sequences(one_hot, names, (None,) * len(names), given.alphabet)
    else:
        sequences = given[order].with_letters(one_hot)
    typical = getattr(prior, "typical", None)
    return Designs(tuple(designs), sequences, method, None if typical is None else float(typical))


def _budget(problem: Problem) -> int:
    return len(problem.options) if problem.edits is None or problem.origin is None else problem.edits


def _given(
    model: Model, start: Any, length: int | None, alphabet: str | Alphabet | None, layout: Layout | None
) -> Sequences:
    """The sequences to start from, or, from scratch, one of unknown letters."""
    own = alphabet if alphabet is not None else getattr(model, "alphabet", None)
    own = "DNA" if own is None or callable(own) else own
    if start is not None:
        return Sequences.of(start, own)
    letters = alphabet_of(own)
    length = length_of(model, len(letters), layout) if length is None else length
    return replace(Sequences.of(letters.letters[0] * length, letters), names=("a sequence from scratch",))


def _drawn(prior: Any, count: int, seed: int) -> list[Codes | None]:
    """Beginnings that a prior draws; None for each where it does not."""
    draw = getattr(prior, "draw", None)
    if draw is None:
        return [None] * count
    return list(draw(count, seed).argmax(1).cpu().numpy().astype(np.int64))


def _check(
    length: int | None,
    start: Any,
    edits: int | None,
    positions: tuple[int, int] | None,
    restarts: int | None,
    steps: int,
) -> None:
    if start is not None and length is not None:
        raise InputError("length and start are both given; the sequences to start from have their own length.")
    if start is None and (edits is not None or positions is not None):
        what = "edits" if edits is not None else "positions"
        raise InputError(f"{what} without start; give the real sequences that may be edited.")
    if length is not None and length < 1:
        raise InputError(f"length={length}; expected 1 letter or more.")
    if edits is not None and edits < 0:
        raise InputError(f"edits={edits}; expected a number of letters, 0 or more.")
    if (restarts is not None and restarts < 1) or steps < 1:
        raise InputError(f"restarts={restarts}, steps={steps}; expected 1 or more.")
