"""Why a model says this about these sequences: relevance per nucleotide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, overload

import torch
from torch import Tensor

import sciexplain as sx
from sciexplain.domains.genomics.alphabet import DNA, Alphabet
from sciexplain.domains.genomics.encode import Ambiguous, reverse_complement
from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.models import Layout, Model, arranged, as_called, layout_of, like_model
from sciexplain.domains.genomics.mutagenesis import mutagenesis
from sciexplain.domains.genomics.predict import predict
from sciexplain.domains.genomics.references import Reference, references_for
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.domains.genomics.tokens import Tokenizer, onto_letters, tokenized
from sciexplain.errors import InputError
from sciexplain.methods import SENSITIVITIES

Strand = Literal["+", "-", "both"]
Target = int | Sequence[int] | Tensor | Callable[[Any], Tensor] | None

LETTERS_AT_ONCE = 2**18
"""Letters of a batch: enough to keep a processor busy, few enough for its memory."""

_WITH_REFERENCE = {
    "deeplift": "reference",
    "deepshap": "references",
    "integrated_gradients": "baseline",
    "expected_gradients": "references",
}
_SEVERAL = ("deepshap", "expected_gradients")


@overload
def explain(
    model: Model, sequences: Any, target: Target = None, method: str = "lrp", strand: Strand = "+",
    reference: Reference = None, **options: Any,
) -> SequenceExplanation: ...  # fmt: skip
@overload
def explain(
    model: Model, sequences: Any, target: Mapping[str, Target], method: str = "lrp", strand: Strand = "+",
    reference: Reference = None, **options: Any,
) -> dict[str, SequenceExplanation]: ...  # fmt: skip
def explain(
    model: Model,
    sequences: Any,
    target: Target | Mapping[str, Target] = None,
    method: str = "lrp",
    strand: Strand = "+",
    reference: Reference = None,
    *,
    composite: sx.Composite | str | None = None,
    alphabet: str | Alphabet = DNA,
    ambiguous: Ambiguous = "zero",
    extra: Tensor | None = None,
    layout: Layout | None = None,
    tokenizer: Tokenizer | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    ledger: bool = False,
    on_unknown: Any = "warn",
    **options: Any,
) -> SequenceExplanation | dict[str, SequenceExplanation]:
    """Explain what a model says about sequences.

    Parameters
    ----------
    model
        Takes (N, letters, L), (N, L, letters), or token ids (N, T); the sequences go to its device and type.
    sequences
        Texts, :class:`Record`, a tensor (N, letters + further channels, L), or :class:`Sequences`; of one length.
    target
        As in :func:`sciexplain.explain`; for models with several heads a callable, such as :func:`profile` or
        :func:`counts`. A mapping of names to targets explains several tasks, and gives as many results.
    method
        One of ``sciexplain.METHODS``, or ``"mutagenesis"``: what replacing a letter takes away, on average.
    strand
        What the model is given: the sequences (``"+"``), their reverse complements (``"-"``), or the mean of
        ``"both"``. Results are always in the direction of the sequences.
    reference
        For DeepLIFT, DeepSHAP, integrated and expected gradients: ``"shuffled"``, a number of shuffles, ``"zero"``,
        ``"uniform"``, or a tensor. Default: 20 dinucleotide shuffles of each sequence for DeepSHAP and expected
        gradients, zeros for the others. Several references with ``"deeplift"`` are DeepSHAP.
    composite
        LRP rules, by name or as a :class:`sciexplain.Composite`. On one-hot letters the default, ε, is the gradient
        times the input in a network of ReLUs; ``"epsilon_alpha2_beta1"`` and ``"epsilon_plus"`` find sites better.
    alphabet, ambiguous, extra
        How texts are encoded, as in :meth:`Sequences.of`.
    layout
        ``"NCL"`` or ``"NLC"``; None: found by trying.
    tokenizer
        For models over tokens: :class:`KmerTokenizer`, one of Hugging Face's, or a callable that gives
        :class:`Tokens`.
    seed
        Of the shuffles.
    batch_size
        Sequences at a time; None fits batches to their length. The results are the same.
    ledger, on_unknown, **options
        As in :func:`sciexplain.explain`.

    Raises
    ------
    InputError
        Foreign letters, different lengths, or a layout that the model does not take.
    TargetError, ModelError, RuleError

    Notes
    -----
    With multipliers m and relevance R of a position's channels, the hypothetical contribution of letter b is
    :math:`\\sum_a R_a + m_b - \\sum_a x_a m_a`. For LRP it is relevance over activation, for DeepLIFT and DeepSHAP
    what their authors define (Shrikumar et al. 2017; Avsec et al. 2021, Methods), for gradients the gradient. For
    mutagenesis it is the change of the prediction less the mean over the letters.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv1d(4, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 1)).double().eval()
    >>> g = explain(model, ["ACGTAC", "GGGCCC"], strand="both")
    >>> g.nucleotides.shape, g.contributions.shape
    (torch.Size([2, 6]), torch.Size([2, 4, 6]))
    >>> bool(torch.allclose(g.contributions.sum(1), g.nucleotides))
    True
    """
    batch = Sequences.of(sequences, alphabet, ambiguous=ambiguous, extra=extra)
    question = ask(
        model, None, method, strand, reference, composite=composite, layout=layout, tokenizer=tokenizer, seed=seed,
        batch_size=batch_size, ledger=ledger, on_unknown=on_unknown, **options,
    )  # fmt: skip
    if tokenizer is None:
        question = replace(question, layout=layout_of(model, batch, layout))
    if isinstance(target, Mapping):
        return {name: replace(question, target=one)(batch) for name, one in target.items()}
    return replace(question, target=target)(batch)


def ask(
    model: Model,
    target: Target = None,
    method: str = "lrp",
    strand: Strand = "+",
    reference: Reference = None,
    *,
    composite: sx.Composite | str | None = None,
    layout: Layout | None = None,
    tokenizer: Tokenizer | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    ledger: bool = False,
    on_unknown: Any = "warn",
    **options: Any,
) -> Question:
    """What :func:`explain` answers, to be asked later: called with :class:`Sequences`, it gives their explanation.

    Such as ``again`` of relevance that was kept in a file: ``SequenceExplanation.of(…, again=ask(model, targets, …))``.

    Parameters
    ----------
    layout
        Has to be given, unless there is a ``tokenizer``.
    model, target, method, strand, reference, composite, tokenizer, seed, batch_size, ledger, on_unknown, **options
        As for :func:`explain`.

    Raises
    ------
    InputError
        They do not go together.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv1d(4, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 1)).double().eval()
    >>> question = ask(model, strand="both", layout="NCL")
    >>> question(Sequences.of(["ACGTAC", "GGGCCC"])).nucleotides.shape
    torch.Size([2, 6])
    """
    if strand not in ("+", "-", "both"):
        raise InputError(f'strand={strand!r}; expected "+", "-" or "both".')
    if reference is not None and method not in _WITH_REFERENCE:
        raise InputError(f"method={method!r} takes no reference; these do: {', '.join(_WITH_REFERENCE)}.")
    if given := [name for name in _WITH_REFERENCE.values() if name in options]:
        raise InputError(f"{given[0]}= is the core's word; give reference=, which is turned with the strand.")
    if method == "mutagenesis" and (composite is not None or ledger or tokenizer is not None):
        raise InputError('method="mutagenesis" takes no composite, ledger or tokenizer.')
    return Question(
        model, target, method, strand, reference, layout, tokenizer, seed, batch_size,
        {"composite": composite, "ledger": ledger, "on_unknown": on_unknown, **options},
    )  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What is asked about sequences; called with some, it answers."""

    model: Model
    target: Any
    method: str
    strand: Strand
    reference: Reference
    layout: Layout | None
    tokenizer: Tokenizer | None
    seed: int
    batch_size: int | None
    options: dict[str, Any] = field(default_factory=dict)

    def rows(self, rows: Sequence[int]) -> Question:
        """The same about some of the sequences."""

        def part(value: Any, dimensions: int) -> Any:
            return value[list(rows)] if isinstance(value, Tensor) and value.ndim >= dimensions else value

        return replace(self, target=part(self.target, 1), reference=part(self.reference, 3))

    def joined(self, questions: Sequence[Question]) -> Question:
        """This, about the sequences of several."""
        each = isinstance(self.target, Tensor) and self.target.ndim
        return replace(self, target=torch.cat([q.target for q in questions])) if each else self

    def __call__(self, sequences: Sequences) -> SequenceExplanation:
        target, answers = self.target, []
        if isinstance(target, Sequence):
            target = torch.as_tensor(target)
        for strand in ("+", "-") if self.strand == "both" else (self.strand,):
            answer = _one_strand(replace(self, target=target), sequences, strand)
            target = answer.target if answer.target is not None else target  # the same class on the other strand
            answers.append(answer)
        found = answers[0] if len(answers) == 1 else _mean(*answers)
        return replace(found, method=self.method, strand=self.strand, again=replace(self, target=target))


def _one_strand(question: Question, sequences: Sequences, strand: str) -> SequenceExplanation:
    if strand == "+":
        return _answered(question, sequences)

    def turned(value: Tensor) -> Tensor:
        return reverse_complement(value, sequences.alphabet)

    reference = question.reference
    if isinstance(reference, Tensor):
        reference = turned(reference)
    shown = replace(sequences, inputs=turned(sequences.inputs), intervals=(None,) * len(sequences), mask=None)
    found = _answered(replace(question, reference=reference), shown)
    return replace(
        found,
        sequences=sequences,
        nucleotides=found.nucleotides.flip(1),
        contributions=turned(found.contributions),
        extra=None if found.extra is None else found.extra.flip(2),
        _hypothetical=turned(found.hypothetical) if found.has_hypothetical else None,
    )


def _mean(a: SequenceExplanation, b: SequenceExplanation) -> SequenceExplanation:
    def mean(x: Tensor | None, y: Tensor | None) -> Any:
        return None if x is None or y is None else (x + y) / 2

    return replace(
        a,
        nucleotides=mean(a.nucleotides, b.nucleotides),
        contributions=mean(a.contributions, b.contributions),
        score=mean(a.score, b.score),
        extra=mean(a.extra, b.extra),
        _hypothetical=mean(a._hypothetical, b._hypothetical),
        explanations=a.explanations + b.explanations,
    )


def _answered(question: Question, sequences: Sequences) -> SequenceExplanation:
    if question.method == "mutagenesis":
        return _by_mutagenesis(question, sequences)
    if question.tokenizer is not None:
        return _over_tokens(question, question.tokenizer, sequences)
    assert question.layout is not None
    layout, inputs = question.layout, like_model(question.model, sequences.inputs)
    method, reference = _with_reference(question, replace(sequences, inputs=inputs))
    options: dict[str, Any] = {name: arranged(value, layout) for name, value in reference.items()}
    explanation = sx.explain(
        question.model,
        arranged(inputs, layout),
        question.target,
        method,
        batch_size=question.batch_size or max(1, LETTERS_AT_ONCE // sequences.length),
        **options,
        **question.options,
    )
    relevance, multipliers = explanation.relevance, explanation.multipliers
    assert isinstance(relevance, Tensor)
    relevance = arranged(relevance, layout).to(sequences.inputs.device)
    m = None if not isinstance(multipliers, Tensor) else arranged(multipliers, layout).to(relevance)
    letters = len(sequences.alphabet)
    x, r = sequences.one_hot.to(relevance), relevance[:, :letters]
    if question.method in (*SENSITIVITIES, "vargrad"):  # letters that are not there have some, too
        contributions = x * r
        nucleotides, hypothetical = contributions.sum(1), r if question.method != "vargrad" else None
    else:
        nucleotides, hypothetical = r.sum(1), None
        if m is not None:
            m = m[:, :letters]
            hypothetical = nucleotides[:, None] + m - (x * m).sum(1, keepdim=True)
        contributions = x * (nucleotides[:, None] if hypothetical is None else hypothetical)
    return SequenceExplanation(
        sequences,
        nucleotides,
        contributions,
        explanation.score,
        explanation.target,
        extra=relevance[:, letters:] if relevance.shape[1] > letters else None,
        explanations=(replace(explanation, origin=None),),  # its references would be kept for nothing
        _hypothetical=hypothetical,
    )


def _with_reference(question: Question, sequences: Sequences) -> tuple[str, dict[str, Tensor]]:
    """The method of the core, and its option with the reference."""
    method, reference = question.method, question.reference
    if method not in _WITH_REFERENCE or (reference is None and method not in _SEVERAL):
        return method, {}
    references = references_for("shuffled" if reference is None else reference, sequences, question.seed)
    if method == "deeplift" and references.shape[1] > 1:
        method = "deepshap"
    if method in _SEVERAL:
        return method, {"references": references}
    if references.shape[1] > 1:
        raise InputError(
            f'method={method!r} takes one reference, not {references.shape[1]}; "expected_gradients" or "deepshap" '
            "take several."
        )
    return method, {_WITH_REFERENCE[method]: references[:, 0]}


def _by_mutagenesis(question: Question, sequences: Sequences) -> SequenceExplanation:
    model = as_called(question.model, sequences, question.layout)
    options = {k: v for k, v in question.options.items() if k not in ("composite", "ledger", "on_unknown")}
    inputs = like_model(question.model, sequences.inputs)
    score, target = predict(model, inputs, question.target, batch_size=question.batch_size)
    fixed = question.target if target is None else target
    change = mutagenesis(model, inputs, fixed, batch_size=question.batch_size, **options)
    hypothetical = change - change.mean(1, keepdim=True)
    contributions = sequences.one_hot.to(hypothetical) * hypothetical
    return SequenceExplanation(
        sequences, contributions.sum(1), contributions, score, target, _hypothetical=hypothetical
    )


def _over_tokens(question: Question, tokenizer: Tokenizer, sequences: Sequences) -> SequenceExplanation:
    """Sequences with as many tokens go together, so that none is padded."""
    if question.reference is not None or question.method in (*_SEVERAL, "integrated_gradients"):
        raise InputError(
            f'method={question.method!r} with references is not defined on tokens; use "lrp" or "deeplift".'
        )
    tokens = [tokenized(tokenizer, text) for text in sequences.texts]
    groups: dict[int, list[int]] = {}
    for row, one in enumerate(tokens):
        groups.setdefault(len(one.ids), []).append(row)
    explanations, found = [], {}
    device = next((p.device for p in getattr(question.model, "parameters", list)()), torch.device("cpu"))
    for rows in groups.values():
        explanation = sx.explain(
            question.model,
            torch.tensor([tokens[row].ids for row in rows], device=device),
            question.rows(rows).target,
            question.method,
            batch_size=question.batch_size or max(1, LETTERS_AT_ONCE // sequences.length),
            **question.options,
        )
        explanations.append(explanation)
        assert isinstance(explanation.relevance, Tensor)
        for i, row in enumerate(rows):
            relevance = onto_letters(explanation.relevance[i].cpu(), tokens[row].spans, sequences.length)
            found[row] = (
                relevance,
                explanation.score[i],
                explanation.target[i] if explanation.target is not None else None,
            )
    nucleotides, scores, targets = zip(*(found[row] for row in range(len(sequences))), strict=True)
    total = torch.stack(nucleotides)
    return SequenceExplanation(
        sequences,
        total,
        sequences.one_hot.to(total) * total[:, None],
        torch.stack(scores),
        None if targets[0] is None else torch.stack(targets),
        explanations=tuple(explanations),
    )
