"""``genomics.evaluate``: what the score does as letters or sites go, by the run's explanation and by others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

import sciexplain as sx
from sciexplain import evaluate
from sciexplain.domains.genomics.explain import Question
from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.fillers import Filler
from sciexplain.domains.genomics.models import arranged, like_model
from sciexplain.domains.genomics.removal import NucleotideRemoval
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.errors import InputError
from sciexplain.evaluate.curves import Comparison, Flipping, Mode, Order
from sciexplain.evaluate.flipping import Steps
from sciexplain.evaluate.localization import Localization, Sign
from sciexplain.evaluate.sanity import Sanity

Parts = int | Sequence[Iterable[tuple[int, int]]]


def flipping(
    g: SequenceExplanation,
    nucleotides: Tensor | None = None,
    *,
    filler: Filler = "shuffled",
    parts: Parts = 1,
    draws: int = 4,
    order: Order = "most",
    mode: Mode = "deletion",
    steps: Steps = 50,
    seed: int = 0,
) -> Flipping:
    """The score as letters are taken away, most relevant first: a faithful explanation lets it fall fast.

    Parameters
    ----------
    g
        Sequences as they were explained, on the strand or strands that they were.
    nucleotides
        (N, L): other relevance of the same sequences; None: the explanation's own. A part's is the sum of its letters'.
    filler, parts, draws
        What stands where letters were, and what goes at once; see :class:`~.removal.NucleotideRemoval`.
    order, mode, steps
        As for :func:`sciexplain.evaluate.flipping`.
    seed
        Of the draws, of ties and of a random order.

    Raises
    ------
    InputError
        A filler or parts that do not fit; a sequence without parts.

    Examples
    --------
    >>> g = genomics.explain(model, records)  # doctest: +SKIP
    >>> most, least = (genomics.evaluate.flipping(g, order=o) for o in ("most", "least"))  # doctest: +SKIP
    >>> least.difference(most)  # what the order is worth, in the score's unit  # doctest: +SKIP
    """
    removal = removal_of(g, filler=filler, parts=parts, draws=draws, seed=seed)
    relevance = removal.relevance(g.nucleotides if nucleotides is None else nucleotides)
    return evaluate.flipping(removal, relevance, order=order, mode=mode, steps=steps, seed=seed)


def compare(
    g: SequenceExplanation,
    others: Sequence[str] | Mapping[str, Tensor] = (),
    *,
    filler: Filler = "shuffled",
    parts: Parts = 1,
    draws: int = 4,
    mode: Mode = "deletion",
    steps: Steps = 50,
    seed: int = 0,
) -> Comparison:
    """This explanation beside others of the same sequences and targets, and a random order.

    Parameters
    ----------
    others
        Names of methods or composites (see :func:`attributed`), or (N, L) relevance by name.
    g, filler, parts, draws, mode, steps, seed
        As for :func:`flipping`.

    Returns
    -------
    Comparison
        With ``"explanation"`` for this one.
    """
    removal = removal_of(g, filler=filler, parts=parts, draws=draws, seed=seed)
    if not isinstance(others, Mapping):
        others = {name: attributed(g, name) for name in others}
    every = {name: removal.relevance(r) for name, r in {"explanation": g.nucleotides, **others}.items()}
    return evaluate.compare(removal, every, mode=mode, steps=steps, seed=seed)


def localization(
    g: SequenceExplanation, truth: Any, nucleotides: Tensor | None = None, *, sign: Sign = "positive"
) -> Localization:
    """Whether relevance lies on sites that are known, such as planted motifs.

    Parameters
    ----------
    g
        N sequences as they were explained.
    truth
        Truth values (N, L); for each sequence its stretches (start, end), or a single one, 0-based and half-open; or
        :class:`~sciexplain.domains.genomics.Sites`.
    nucleotides
        (N, L): other relevance; None: the explanation's own.
    sign
        As for :func:`sciexplain.evaluate.localization`.

    Raises
    ------
    InputError
        Truth that does not fit the sequences.

    Examples
    --------
    >>> genomics.evaluate.localization(g, [[(40, 59)]] * len(g)).auc.mean()  # doctest: +SKIP
    """
    values = g.nucleotides if nucleotides is None else nucleotides
    return evaluate.localization(values.detach().double().cpu(), masks_of(truth, g.sequences), sign=sign)


def masks_of(truth: Any, sequences: Sequences) -> Tensor:
    """(N, L) truth values: where the known sites are.

    Raises
    ------
    InputError
        They do not fit the sequences.
    """
    n, length = len(sequences), sequences.length
    masks = torch.zeros(n, length, dtype=torch.bool)
    if isinstance(truth, Tensor | np.ndarray):
        given = torch.as_tensor(truth)
        if tuple(given.shape) != (n, length):
            raise InputError(f"truth has shape {tuple(given.shape)}; expected {(n, length)}, as the sequences.")
        return given.cpu() > 0
    listed = list(truth)
    if listed and all(hasattr(site, "row") for site in listed):
        stretches = [(site.row, site.start, site.end) for site in listed]
    elif len(listed) == n:
        each = [[of] if len(of) == 2 and not isinstance(of[0], Sequence) else of for of in map(list, listed)]
        stretches = [(row, int(a), int(b)) for row, of in enumerate(each) for a, b in of]
    else:
        raise InputError(f"{len(listed)} lists of true stretches for {n} sequences; expected one for each.")
    for row, start, end in stretches:
        if not (0 <= row < n and 0 <= start < end <= length):
            raise InputError(
                f"The true stretch {start}-{end} of sequence {row} does not lie within {n} sequences of {length} "
                "letters."
            )
        masks[row, start:end] = True
    return masks


def attributed(g: SequenceExplanation, method: str) -> Tensor:
    """Relevance of the same sequences' letters (N, L), for the same targets and strands, by another method.

    Parameters
    ----------
    g
        Sequences as they were explained.
    method
        One of ``sciexplain.METHODS``, ``"mutagenesis"``, or the name of a composite of LRP rules; with its defaults.
        Methods with references have those of the explanation, or their own.

    Raises
    ------
    InputError, RuleError
        A method that there is not.
    """
    question = question_of(g)
    composite = method in sx.composites.PRESETS
    if not composite and method not in (*sx.METHODS, "mutagenesis"):
        raise InputError(
            f"method={method!r}: expected one of {', '.join((*sx.METHODS, 'mutagenesis'))}, or a composite: "
            f"{', '.join(sx.composites.PRESETS)}."
        )
    asked = replace(
        question,
        method="lrp" if composite else method,
        reference=None,
        options={"on_unknown": "gradient", "composite": method} if composite else {"on_unknown": "gradient"},
    )
    return asked(g.sequences).nucleotides


def max_sensitivity(g: SequenceExplanation, *, radius: float = 0.02, draws: int = 10, seed: int = 0) -> Tensor | None:
    """The largest relative change of relevance under a little noise on the letters' channels, (N,) float64.

    None for models over tokens, which take none. See :func:`sciexplain.evaluate.max_sensitivity`.
    """
    question = question_of(g)
    if question.tokenizer is not None:
        return None

    def again(model: Any, inputs: Tensor, target: Any) -> Tensor:
        return replace(question, target=target)(replace(g.sequences, inputs=inputs)).nucleotides

    inputs = like_model(question.model, g.sequences.inputs)
    return evaluate.max_sensitivity(
        question.model, inputs, question.target, explain=again, radius=radius, draws=draws, seed=seed
    )


def sanity(g: SequenceExplanation, **options: Any) -> Sanity | None:
    """How alike explanations stay as the network's layers become random; they should not.

    None for models over tokens. Options as for :func:`sciexplain.evaluate.sanity`, such as ``efficient=True``.

    Raises
    ------
    ModelError
        The model is no module with parameters.
    """
    question = question_of(g)
    if question.tokenizer is not None:
        return None
    layout = question.layout or "NCL"

    def again(network: Any, inputs: Tensor, target: Any) -> Tensor:
        shown = replace(g.sequences, inputs=arranged(inputs, layout))
        return replace(question, model=network, target=target)(shown).nucleotides

    inputs = arranged(like_model(question.model, g.sequences.inputs), layout)
    return evaluate.sanity(question.model, inputs, question.target, explain=again, **options)


def gap(g: SequenceExplanation) -> Tensor | None:
    """What the ledger of each sequence cannot account for, (N,) float64; the mean over both strands.

    None for methods without a ledger and for models over tokens.
    """
    question = question_of(g)
    if question.method not in ("lrp", "deeplift") or question.tokenizer is not None:
        return None
    found = replace(question, options={**question.options, "ledger": True})(g.sequences)
    ledgers = [e.ledger for e in found.explanations if e.ledger is not None]
    return torch.stack([ledger.gap.detach().double().cpu() for ledger in ledgers]).mean(0)


def removal_of(
    g: SequenceExplanation, *, filler: Filler = "shuffled", parts: Parts = 1, draws: int = 4, seed: int = 0
) -> NucleotideRemoval:
    """The sequences with parts that can be taken away, for :mod:`sciexplain.evaluate`."""
    question = question_of(g)
    return NucleotideRemoval(
        question.model,
        g.sequences,
        question.target,
        filler=filler,
        parts=parts,
        draws=draws,
        strand=question.strand,
        layout=question.layout,
        tokenizer=question.tokenizer,
        alphabet=g.sequences.alphabet,
        seed=seed,
        batch_size=question.batch_size,
    )


def question_of(g: SequenceExplanation) -> Question:
    """What was asked about the sequences, with the classes that were explained as target.

    Raises
    ------
    InputError
        The explanation does not know, as it was read or changed since.
    """
    if not isinstance(g.again, Question):
        raise InputError(
            "This explanation does not know its model any more: it was made of given relevance or centred. Take the "
            "result of genomics.explain, and give other relevance of the same sequences as nucleotides."
        )
    return g.again
