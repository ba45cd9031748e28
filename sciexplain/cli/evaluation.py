"""How faithful a run's explanations are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

import sciexplain as sx
from sciexplain.cli.evaluation_subjects import Subject
from sciexplain.errors import InputError, SciExplainError
from sciexplain.evaluate import Flipping, Removal, Scores
from sciexplain.evaluate.scores import Better

METRICS = ("deletion", "insertion", "sensitivity", "stability", "sanity", "conservation", "agreement", "localization")
_DRAWN = 4
"""Curves of other methods in the picture; more cannot be told apart."""

MEANINGS = {
    "deletion gain": "score kept, least less most relevant first; chance 0",
    "deletion lead": "score lost sooner than in random order; chance 0",
    "insertion lead": "score back sooner than in random order; chance 0",
    "sensitivity-n": "does relevance go with lost score, set by set? 1 best",
    "max-sensitivity": "change under 2 % noise; small is stable",
    "randomised weights": "likeness to a network that learnt nothing; 0 best",
    "not in relevance": "|score − Σ relevance| / Σ |relevance|: what biases took",
    "ledger gap": "of that, what nobody took; 0 exact",
    "agreement": "rank correlation with the run's explanation",
    "localization AUC": "is relevance higher on the mask? 1 best, chance 0.5",
    "localization mass": "share of positive relevance on the mask",
    "mask": "share of the sample on the mask: mass by chance",
}


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Attributes
    ----------
    method
        The run's own, as the table names it.
    scores
        One entry for each metric and method, of all samples.
    curves
        By mode, those to draw by name; ``"random"`` among them.
    unmeasured
        Metrics that could not be measured, and why.
    """

    method: str
    ids: tuple[str, ...]
    scores: list[Scores]
    curves: dict[str, dict[str, Flipping]] = field(default_factory=dict)
    unmeasured: dict[str, str] = field(default_factory=dict)


class Remembered:
    """A removal that scores nothing twice: methods share the ends of their curves, and all of their random sets.

    Parameters
    ----------
    removal
        See :class:`sciexplain.evaluate.Removal`.
    """

    def __init__(self, removal: Removal) -> None:
        self._removal, self._known = removal, dict[tuple[int, bytes], float]()
        self.sizes = removal.sizes
        self.inert = getattr(removal, "inert", None)

    def scores(self, samples: Sequence[int], kept: Sequence[Tensor] | Tensor) -> Tensor:
        """As the removal's."""
        keys = [
            (int(i), blake2b(k.numpy().tobytes(), digest_size=16).digest()) for i, k in zip(samples, kept, strict=True)
        ]
        places = {key: place for place, key in enumerate(keys) if key not in self._known}
        if places:
            new = list(places.values())
            found = self._removal.scores([int(samples[i]) for i in new], [kept[i] for i in new])
            self._known.update(zip(places, found.tolist(), strict=True))
        return torch.tensor([self._known[key] for key in keys], dtype=torch.float64)


class One:
    """One sample of a removal, as a removal of its own."""

    def __init__(self, removal: Removal, sample: int) -> None:
        self._removal, self._sample = removal, sample
        self.sizes = removal.sizes[sample : sample + 1]

    def scores(self, samples: Sequence[int], kept: Sequence[Tensor] | Tensor) -> Tensor:
        """As the removal's."""
        return self._removal.scores([self._sample] * len(samples), list(kept))


def measure(
    subject: Subject,
    metrics: Sequence[str],
    baselines: Sequence[str],
    masks: Sequence[Tensor] | None,
    *,
    steps: int | None,
    seed: int,
    say: Callable[[str], object] = lambda text: None,
) -> Evaluation:
    """Measure a run's explanations, and those of other methods beside them.

    Parameters
    ----------
    subject
        The samples.
    metrics
        Of ``METRICS``.
    baselines
        ``"random"``, and methods or composites to explain the same samples with.
    masks
        For each sample, where relevance should lie, shaped as it or without its channels.
    steps
        Of curves; None: as many as parts, at most 50.
    seed
        Of whatever is drawn.
    say
        Told what is being done.

    Raises
    ------
    SciExplainError
        A method that is not defined here, or a sample whose score is not a number.
    """
    own = subject.method
    by_name: dict[str, list[Tensor]] = {own: subject.relevance}
    if own in baselines:
        raise InputError(f"--baseline {own}: the run was explained by it; leave it out.")
    for name in baselines:
        say(f"explaining by {name}")
        by_name[name] = subject.random() if name == "random" else subject.other(name)
    found = Evaluation(own, subject.ids, [])
    removal = Remembered(subject.removal)
    steps = steps or min(50, max(removal.sizes))
    folded = subject.folded(by_name)
    for mode, flip in (("deletion", _delete), ("insertion", _insert)):
        if mode in metrics:
            say(mode)
            flip(found, removal, folded, subject.unit, steps=steps, seed=seed)
    if "sensitivity" in metrics:
        say("sensitivity-n")
        for name, relevance in folded.items():
            found.scores.append(Scores(name, "sensitivity-n", _sensitivity_n(removal, relevance, seed), "higher"))
    if "stability" in metrics:
        say("max-sensitivity")
        _try(found, "max-sensitivity", subject.max_sensitivity, "the inputs are categories, which take no noise")
    if "sanity" in metrics:
        say("randomised weights")
        _try(found, "randomised weights", lambda: _randomised(subject, seed), "not defined for models over tokens")
    if "conservation" in metrics:
        say("conservation")
        _conserve(found, subject)
    places = {name: subject.places(relevance) for name, relevance in by_name.items()}
    if "agreement" in metrics:
        for name in baselines:
            alike = sx.evaluate.agreement(places[own], places[name]).spearman
            found.scores.append(Scores(name, "agreement", alike))
    if masks is not None and "localization" in metrics:
        _localize(found, places, masks)
    return found


def _delete(
    found: Evaluation, removal: Removal, folded: Mapping[str, list[Tensor]], unit: str, *, steps: int, seed: int
) -> None:
    made = sx.evaluate.compare(removal, folded, steps=steps, seed=seed)
    for metric, values in (("deletion gain", made.gains), ("deletion lead", made.leads)):
        found.scores.extend(Scores(name, metric, of, "higher", unit) for name, of in values.items())
    drawn = _drawn(found, made.most)
    found.curves["deletion"] = drawn | {f"{found.method}, least relevant first": made.least[found.method]}
    found.curves["deletion"]["random order"] = made.random


def _insert(
    found: Evaluation, removal: Removal, folded: Mapping[str, list[Tensor]], unit: str, *, steps: int, seed: int
) -> None:
    """Most relevant first alone: the other way round it is the curve of deletion backwards."""

    def flipped(relevance: list[Tensor], order: Any) -> Flipping:
        return sx.evaluate.flipping(removal, relevance, order=order, mode="insertion", steps=steps, seed=seed)

    random = flipped(folded[found.method], "random")
    most = {name: flipped(relevance, "most") for name, relevance in folded.items()}
    for name, curves in most.items():
        found.scores.append(Scores(name, "insertion lead", curves.areas - random.areas, "higher", unit))
    found.curves["insertion"] = {**_drawn(found, most), "random order": random}


def _drawn(found: Evaluation, most: Mapping[str, Flipping]) -> dict[str, Flipping]:
    """The run's own first, so that it has one colour in all panels."""
    others = [name for name in most if name not in (found.method, "random")][:_DRAWN]
    return {f"{name}, most relevant first": most[name] for name in (found.method, *others)}


def _sensitivity_n(removal: Removal, relevance: list[Tensor], seed: int) -> Tensor:
    sizes = (0.1, 0.3, 0.5)
    each = [sx.evaluate.subset_correlation(removal, relevance, size=size, subsets=50, seed=seed) for size in sizes]
    return torch.stack(each).nanmean(0)


def _randomised(subject: Subject, seed: int) -> Tensor | None:
    """The mean over several random networks: one may be like the trained one by chance."""
    found = [alike for i in range(5) if (alike := subject.randomised(seed + i)) is not None]
    return torch.stack(found).nanmean(0) if found else None


def _conserve(found: Evaluation, subject: Subject) -> None:
    relevance = subject.relevance
    # by the magnitude of relevance: scores may be near 0
    size = torch.stack([r.abs().sum() for r in relevance])
    size = torch.where(size > 0, size, torch.nan)
    missing = (subject.score - torch.stack([r.sum() for r in relevance])).abs()
    found.scores.append(Scores(found.method, "not in relevance", missing / size))
    gap = subject.ledger_kept
    gap = subject.gap() if gap is None else gap
    _add(found, "ledger gap", None if gap is None else gap.abs() / size, "lower", "the method keeps no ledger")


def _localize(found: Evaluation, by_name: Mapping[str, list[Tensor]], masks: Sequence[Tensor]) -> None:
    for name, relevance in by_name.items():
        where = sx.evaluate.localization([r.flatten() for r in relevance], [mask.flatten() for mask in masks])
        found.scores.append(Scores(name, "localization AUC", where.auc, "higher"))
        found.scores.append(Scores(name, "localization mass", where.mass, "higher"))
    found.scores.append(Scores(found.method, "mask", where.coverage))


def _try(found: Evaluation, metric: str, measured: Callable[[], Tensor | None], why: str) -> None:
    """A figure that the others do not need: where it fails, they stand."""
    try:
        _add(found, metric, measured(), "lower", why)
    except SciExplainError as error:
        found.unmeasured[metric] = str(error)


def _add(found: Evaluation, metric: str, values: Tensor | None, better: Better | None, why: str) -> None:
    if values is None:
        found.unmeasured[metric] = why
    else:
        found.scores.append(Scores(found.method, metric, values, better))
