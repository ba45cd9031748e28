"""Real molecules that a model scores highest, found by evolution over SELFIES and fragments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np

from sciexplain.domains.molecules.design.chemistry import chemistry
from sciexplain.domains.molecules.design.evolution import Evolution, Moves, first, survivors
from sciexplain.domains.molecules.design.groups import GROUPS, parsed_group
from sciexplain.domains.molecules.design.likeness import fingerprint
from sciexplain.domains.molecules.design.prior import Prior, learn_prior
from sciexplain.domains.molecules.design.question import Prepare, plain, question, starting
from sciexplain.domains.molecules.design.result import Design, Generation
from sciexplain.errors import InputError

_PATIENCE = 3
"""Steps without a new molecule, after which there are none."""


def maximize(
    model: Any,
    target: Any = None,
    *,
    start: Any = None,
    direction: Literal["up", "down"] = "up",
    similarity: tuple[Any, float] | None = None,
    prior: Prior | Any | None = None,
    steps: int = 30,
    population: int = 100,
    top: int = 100,
    moves: Moves = "both",
    elements: Iterable[str] | None = None,
    max_atoms: int | None = None,
    forbidden: Mapping[str, str] | Iterable[str] | None = None,
    groups: Iterable[str] = tuple(GROUPS.values()),
    prepare: Prepare | None = None,
    featurizer: Any = None,
    unit: str = "",
    batch_size: int = 64,
    seed: int = 0,
    report: Callable[[Generation], object] = lambda generation: None,
) -> Design:
    """Search for real molecules for which a model's output is as large, or as small, as it gets.

    A population of molecules evolves: in every step each new one is an old one with changed SELFIES (STONED), with an
    edited atom, bond, ring or group, or a part of one joined to a part of another; the best of old and new stay. All
    are sanitized by RDKit, whole, uncharged, without radicals, free of what chemists would not make
    (:data:`~sciexplain.domains.molecules.design.chemistry.UNSTABLE`), and met only once.

    A model is only right near its data, and a search finds where it is wrong. ``prior`` keeps the search near them:
    its molecules then consist of atom environments as usual as those of the reference. Without it the molecules are
    valid, and no more.

    Parameters
    ----------
    model
        As for :func:`sciexplain.domains.molecules.explain`. Its own output counts, in its unit; a probability that is
        1 everywhere in reach cannot guide a search: give the logit, by ``target``.
    target
        None (the only output), a column of the output, weights of all columns (tasks,), or a callable from the output
        (K, tasks) to (K,).
    start
        Molecules to begin with, as :func:`sciexplain.domains.molecules.read` takes them: SMILES, a file, a list. None:
        the molecule of ``similarity``. Of more than ``population``, the better half of these and others at random.
    direction
        ``"up"`` or ``"down"``.
    similarity
        ``(molecule, value)``: only molecules whose Tanimoto similarity to it (Morgan, radius 2) is at least ``value``.
    prior
        None; molecules to learn one from (a list, a file); or a
        :class:`~sciexplain.domains.molecules.design.Prior`. Molecules below its floor are left out.
    steps, population, top
        Steps of the evolution (fewer where nothing new is left), molecules in it, and molecules in the result.
    moves
        ``"selfies"``, ``"fragments"`` (edits of the graph, crossover), or ``"both"``.
    elements
        Symbols of heavy atoms; None: those of ``start``.
    max_atoms
        Heavy atoms, at most; None: half as many again as the median of ``start``.
    forbidden
        SMARTS, or names and SMARTS, of what may not be in a result, such as structural alerts.
    groups
        SMILES with ``*``: groups that edits attach.
    prepare
        From a molecule with implicit hydrogens to what the model takes, such as
        :func:`sciexplain.domains.molecules.embed` for models of geometries. None: explicit hydrogens if ``start`` has
        them.
    featurizer, unit
        As for :func:`sciexplain.domains.molecules.explain`.
    batch_size
        Molecules asked at a time; the result is the same.
    seed
        The same seed gives the same molecules.
    report
        Is told of every generation.

    Raises
    ------
    InputError
        Nothing to start from, none of it that the model takes, or a number out of range.
    TargetError, ModelError, DataError

    Examples
    --------
    >>> from sciexplain.domains import molecules
    >>> solubility = molecules.load_model("solubility/")  # doctest: +SKIP
    >>> design = maximize(solubility, start="drugs.csv", prior="drugs.csv")  # doctest: +SKIP
    >>> design.grid().save("soluble.png"), design.to_csv("soluble.csv")  # doctest: +SKIP

    References
    ----------
    J. H. Jensen, Chem. Sci. 10, 3567 (2019). STONED: A. Nigam et al., Chem. Sci. 12, 7079 (2021). Constraints are
    kept by the rule of K. Deb, Comput. Methods Appl. Mech. Eng. 186, 311 (2000): who keeps them is before who does not.
    """
    if direction not in ("up", "down") or moves not in ("selfies", "fragments", "both"):
        raise InputError(
            f'direction={direction!r}, moves={moves!r}; expected "up" or "down", and "selfies", "fragments" or "both"'
        )
    if steps < 0 or population < 2 or top < 1 or seed < 0:
        raise InputError(
            f"steps={steps}, population={population}, top={top}, seed={seed}; expected at least 0, 2, 1 and 0"
        )
    groups = tuple(groups)
    for group in groups:
        parsed_group(group)
    anchor = None if similarity is None else _anchor(similarity)
    if start is None and similarity is None:
        raise InputError("There is nothing to start from; give start=, SMILES or a file of molecules.")
    given, dropped = starting(similarity[0] if start is None and similarity is not None else start)
    made = [pair for pair in plain(given) if pair is not None]
    dropped.update({"start: RDKit refuses it": len(given) - len(made)} if len(made) < len(given) else {})
    begin = {smiles: mol for mol, smiles in made if "." not in smiles}
    dropped.update({"start: several molecules": n} if (n := sum("." in smiles for _, smiles in made)) else {})
    if not begin:
        raise InputError(f"found nothing to start from: {_told(dropped)}; expected one whole molecule or more")
    known = prior if prior is None or isinstance(prior, Prior) else learn_prior(prior)
    asked = question(model, given, featurizer=featurizer, prepare=prepare, batch_size=batch_size, unit=unit)
    allowed = chemistry(list(begin.values()), elements=elements, max_atoms=max_atoms, forbidden=forbidden)
    sign = 1.0 if direction == "up" else -1.0
    run = Evolution(asked, target, sign, allowed, anchor, known, moves, groups, dropped)
    rng = np.random.default_rng(seed)
    found = run.begin(begin)
    archive = {one.smiles: one for one in found}
    pool = first(found, population, rng)
    trace = [run.generation(0, pool)]
    report(trace[-1])
    since = 0
    for step in range(1, steps + 1):
        new = run.offspring(pool, archive, population, step, rng)
        archive |= {one.smiles: one for one in new}
        pool = survivors([*pool, *new], population)
        trace.append(run.generation(step, pool))
        report(trace[-1])
        since = 0 if new else since + 1
        if since == _PATIENCE:
            break
    return run.result(archive, list(begin.values()), trace, top)


def _anchor(similarity: tuple[Any, float]) -> tuple[Any, float]:
    """The fingerprint to be like, and how much."""
    try:
        to, value = similarity
        value = float(value)
    except (TypeError, ValueError):
        raise InputError(f"similarity={similarity!r}; expected a molecule and a value, such as ('CCO', 0.4)") from None
    if not 0 <= value <= 1:
        raise InputError(f"similarity of at least {value}; expected 0 to 1")
    pairs = plain(starting(to)[0])
    if len(pairs) != 1 or pairs[0] is None:
        raise InputError(f"similarity to {len(pairs)} molecules; expected exactly one")
    return fingerprint(pairs[0][0]), value


def _told(dropped: Counter[str]) -> str:
    return "; ".join(f"{n} {why}" for why, n in dropped.items())
