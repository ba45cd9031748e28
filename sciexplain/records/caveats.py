"""What a reader of an explanation must know before relying on it, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .answer import Answer

_UNSURE = 0.7
_CLOSE = 0.25
_CANCELS = 5.0
_BIAS = 0.25
_GAP = 1e-3

ALWAYS = (
    "Relevance says what this model used. It does not say what is true of the world, nor what would happen if the "
    "input were changed.",
)


def caveats(answer: Answer, decision: Mapping[str, Any], faithfulness: Mapping[str, Any] | None) -> list[str]:
    """The caveats of one decision, the gravest first; each rests on a figure of the record.

    Parameters
    ----------
    answer
        What was explained.
    decision, faithfulness
        As the record has them.
    """
    relevance = answer.parts.double()
    size, score = float(relevance.abs().sum()), answer.score
    found = []
    if answer.unknown:
        names = ", ".join(sorted({operation for operation, _, _ in answer.unknown}))
        found.append(
            f"The model has operations without a propagation rule ({names}); relevance behind them is doubtful."
        )
    if answer.gap is not None and abs(answer.gap) > _GAP * max(abs(score), size):
        found.append(f"The ledger does not close: {answer.gap:.3g} of the score {score:.3g} is not accounted for.")
    if faithfulness is None:
        found.append("It was not measured whether taking the most relevant parts away changes the prediction.")
    elif faithfulness["beaten"] < 0.95 * faithfulness["random_orders"]:
        found.append(
            f"Only {faithfulness['beaten']} of {faithfulness['random_orders']} random orders lower the score less than "
            "taking the most relevant parts away first: do not rely on this map."
        )
    if answer.conserves is False:
        found.append("This method does not promise that relevance sums to the score; only its pattern can be read.")
    if answer.absorbed is not None and abs(answer.absorbed["bias"]) > _BIAS * max(abs(score), 1e-30):
        found.append(
            f"Biases inside the model carry {answer.absorbed['bias']:.3g} of the score {score:.3g}; no part of the "
            "input is credited with that."
        )
    if size > _CANCELS * max(abs(float(relevance.sum())), 1e-30):
        found.append(
            f"Relevance for and against largely cancels (together {size:.3g}, in sum {float(relevance.sum()):.3g}); "
            "read regions, not single parts."
        )
    probability, alternatives = decision["probability"], decision["alternatives"]
    if probability is not None and probability < _UNSURE:
        found.append(f"The model is not sure: it gives its prediction a probability of {probability:.2f}.")
    if len(alternatives) > 1 and alternatives[0]["logit"] - alternatives[1]["logit"] < _CLOSE:
        found.append(
            f"Class {alternatives[1]['label']} comes so close to class {alternatives[0]['label']} that a small change "
            "of the input may turn the decision."
        )
    if decision["target"] is not None and alternatives and decision["target"] != alternatives[0]["class"]:
        found.append(
            f"What is explained is class {decision['label']}, which is not what the model predicts: that is class "
            f"{alternatives[0]['label']}."
        )
    return [*found, *ALWAYS]
