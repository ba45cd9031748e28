"""One sequence's decision, at hand to be asked again."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from torch import Tensor

from sciexplain.domains.genomics.drawing.tracks import draw_tracks
from sciexplain.domains.genomics.removal import NucleotideRemoval
from sciexplain.errors import InputError
from sciexplain.records import Answer, Case
from sciexplain.records.composite_json import to_json
from sciexplain.records.tensor_case import CONSERVING

if TYPE_CHECKING:
    from sciexplain.domains.genomics.explanation import SequenceExplanation

_SHOWN = 200


def sequence_case(g: SequenceExplanation, row: int) -> Case:
    """The case of one explained sequence.

    Raises
    ------
    InputError
        The explanation does not know its model: it was put together from relevance computed elsewhere.
    """
    one = g[[row]]
    question: Any = one.again
    model = getattr(question, "model", None)
    if question is None or model is None:
        raise InputError(
            "This explanation does not know its model (it was put together from relevance computed elsewhere); explain "
            "the sequence with genomics.explain, then make its record."
        )
    sequences, name = one.sequences, one.sequences.names[0]
    interval = sequences.intervals[0]

    def ask() -> Answer:
        asked: SequenceExplanation = question(sequences)
        e = asked.explanations[0] if asked.explanations else None
        logits = asked.score if e is None else e.output[0] if e.output.ndim == 2 else asked.score
        return Answer(
            relevance={"nucleotides": asked.nucleotides[0].detach().cpu()},
            logits=logits,
            score=float(asked.score[0]),
            target=None if asked.target is None else int(asked.target[0]),
            stepped_over=None if e is None else e.stepped_over,
            unknown=tuple((u.operation, u.module, u.count) for e in asked.explanations for u in e.unknown),
            conserves=question.method in CONSERVING,
        )

    def removal(answer: Answer) -> tuple[NucleotideRemoval, Tensor]:
        taken = NucleotideRemoval(
            model,
            sequences,
            answer.target if answer.target is not None else question.target,
            filler="shuffled",
            strand=question.strand,
            layout=question.layout,
            tokenizer=question.tokenizer,
            alphabet=sequences.alphabet,
        )
        return taken, answer.parts

    def drawn(answer: Answer) -> bytes:
        from matplotlib import pyplot as plt

        figure = draw_tracks(one, 0)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=200)
        plt.close(figure)
        return buffer.getvalue()

    letters = sequences.texts[0]
    shown = letters if len(letters) <= _SHOWN else f"{letters[:_SHOWN]}… ({len(letters)} letters)"
    composite = question.options.get("composite")
    return Case(
        kind="sequence",
        model=model,
        name=name,
        inputs={"one_hot": sequences.inputs},
        question={
            "method": question.method,
            "target": None if one.target is None else int(one.target[0]),
            "composite": ("epsilon" if question.method == "lrp" else None) if composite is None else str(composite),
            "rules": to_json(composite),
            "options": {"strand": question.strand, "layout": question.layout, "random seed": question.seed},
            "options_in_words": {} if question.reference is None else {"reference": _told(question.reference)},
        },
        ask=ask,
        removal=removal,
        removed="single letters, which become those of shuffles that keep the dinucleotides",
        picture=drawn,
        described={"letters": shown, **({} if interval is None else {"place": str(interval)})},
    )


def _told(reference: Any) -> str:
    return f"a tensor {tuple(reference.shape)}" if isinstance(reference, Tensor) else str(reference)
