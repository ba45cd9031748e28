"""The case of a sample that is a tensor, or several: what :func:`sciexplain.explain` was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..errors import InputError
from ..inputs import Inputs
from ..samples import Batch
from .answer import Answer, Case
from .composite_json import from_json, to_json

if TYPE_CHECKING:
    from ..explanation import Explanation
    from ..origin import Origin
    from ..prototypes import Prototypes
    from .record import Record

_WITH_LEDGER = ("lrp", "deeplift", "deepshap")
CONSERVING = (*_WITH_LEDGER, "integrated_gradients", "expected_gradients", "shapley_sampling", "kernel_shap")
"""Methods whose relevance sums to the score, or to its difference from a baseline's."""


def case_of(
    explanation: Explanation,
    index: int = 0,
    *,
    name: str = "",
    described: Mapping[str, str] | None = None,
    kind: str = "tensor",
    picture: Callable[[Answer], bytes] | None = None,
) -> Case:
    """The case of one sample of an explanation.

    Raises
    ------
    InputError
        The explanation does not know what it was asked of, or has no such sample.
    """
    origin, alone, index = _alone(explanation, index)
    given, n = Inputs.of(origin.inputs), len(explanation.score)
    rows = slice(index, index + 1)
    options = {
        key: given.option_rows(value, rows, extra=key == "references") if n > 1 else value
        for key, value in origin.options.items()
    }
    if explanation.target is not None:
        target: Any = int(explanation.target[index])
    else:
        target = origin.target
        if isinstance(target, Tensor) and target.ndim and len(target) == n:
            target = target[rows]
    return _case(origin, alone, target, options, name, described or {}, kind, picture)


def known_to(
    prototypes: Prototypes | Sequence[Mapping[str, Any]], explanation: Explanation, index: int
) -> Sequence[Mapping[str, Any]]:
    """Prototypes as a record has them, the nearest to one sample of an explanation first; a list stays as it is."""
    if isinstance(prototypes, Sequence):
        return prototypes
    _, alone, _ = _alone(explanation, index)
    own = prototypes.view.of(Batch(alone, None)).features
    far = (prototypes.features - own).norm(dim=1)
    return [
        {
            "name": f"sample {prototypes.indices[i]}",
            "label": f"score {float(prototypes.scores[i]):.4g}",
            "distance": float(far[i]),
        }
        for i in far.argsort(stable=True).tolist()
    ]


def _alone(explanation: Explanation, index: int) -> tuple[Origin, Inputs, int]:
    """What was asked, the inputs of one sample, and its index from 0."""
    origin, n = explanation.origin, len(explanation.score)
    if origin is None:
        raise InputError(
            "This explanation does not know its model and inputs any more (it was read from a file, or copied); "
            "explain again, then make the record."
        )
    if isinstance(index, bool) or not isinstance(index, int) or not -n <= index < n:
        raise InputError(f"index={index!r}: expected the number of one of the explanation's {n} samples.")
    index %= n
    given = Inputs.of(origin.inputs)
    if n > 1 and given.batch_size != n:
        raise InputError(
            f"{given.batch_size} rows of input gave {n} scores, so rows are no samples of their own; explain the "
            "sample alone, then make its record."
        )
    return origin, given.rows(slice(index, index + 1)) if n > 1 else given, index


def case_again(
    record: Record, model: Any, inputs: Any, *, target: Any = None, composite: Any = None, **options: Any
) -> Case:
    """The case of a record, for a model and an input that one has at hand.

    Parameters
    ----------
    record
        Of a tensor or an image.
    model, inputs
        As for :func:`sciexplain.explain`, one sample.
    target, composite, **options
        What the record has in words only: a callable target, rules of one's own, options that are tensors.

    Raises
    ------
    InputError
        Such a word, and nothing given for it; or a record of molecules or sequences.
    """
    from ..origin import Origin

    question = record.document["question"]
    if record.document["kind"] not in ("tensor", "image"):
        raise InputError(
            f"This is the record of a {record.document['kind']}; verify it with `sciexplain verify`, or with the case "
            "that its domain makes."
        )
    chosen = dict(question["options"])
    chosen |= options if composite is None else {**options, "composite": composite}
    if composite is None and question["method"] == "lrp":
        chosen["composite"] = from_json(question["rules"])
        if chosen["composite"] is None and question["composite"] != "epsilon":
            raise InputError(
                f"The rules were not this package's own: give composite=, which was\n{question['composite']}"
            )
    if missing := [name for name in question["options_in_words"] if name not in options]:
        raise InputError(f"Give {missing[0]}=, of which the record has a digest only.")
    if target is None:
        target = question["target"]
        if isinstance(target, str):
            raise InputError(f"The target was {target}: give target=.")
    given = Inputs.of(inputs)
    first = next(iter(record.document["relevance"].values()))["shape"]
    if given.structure == "tensor" and list(inputs.shape[1:]) == first and len(inputs) > 1:
        raise InputError(
            f"inputs has shape {tuple(inputs.shape)}, {len(inputs)} samples; the record is of one: give x[i : i + 1]."
        )
    described = record.document["input"]["described"]
    name = record.document["input"]["name"]
    return _case(Origin(model, inputs, target, question["method"], chosen), given, target, chosen, name, described)


def _case(
    origin: Origin,
    given: Inputs,
    target: Any,
    options: Mapping[str, Any],
    name: str,
    described: Mapping[str, str],
    kind: str = "tensor",
    picture: Callable[[Answer], bytes] | None = None,
) -> Case:
    values = tuple(given.values.values())
    inputs = {"tensor": values[0], "tuple": values, "dict": given.values}[given.structure]

    def ask() -> Answer:
        from ..explain import explain

        asked = {k: v for k, v in options.items() if k != "ledger"}
        ledger = origin.method in _WITH_LEDGER
        e = explain(origin.model, inputs, target, origin.method, ledger=ledger, **asked)
        return answer_of(e)

    removal, removed = _removal(origin.model, inputs, target, origin.inputs)
    shapes = {f"shape of {key}": str(tuple(v.shape)) for key, v in given.tensors()}
    return Case(
        kind=kind,
        model=origin.model,
        name=name,
        inputs={key: _own(value) for key, value in given.values.items()},
        question=_question(origin.method, target, options),
        ask=ask,
        removal=removal,
        removed=removed,
        picture=picture,
        described={**shapes, **described},
    )


def answer_of(e: Explanation) -> Answer:
    """The answer of an explanation of one sample."""
    tensors = Inputs.of(e.relevance if not isinstance(e.relevance, tuple) else tuple(_present(e.relevance)))
    ledger = e.ledger
    return Answer(
        relevance={name: value[0] if value.shape[:1] == (1,) else value for name, value in tensors.tensors()},
        logits=e.output[0] if e.output.ndim > 1 else e.output,
        score=float(e.score[0]),
        target=None if e.target is None else int(e.target[0]),
        stepped_over=e.stepped_over,
        absorbed=None if ledger is None else {k: float(v[0]) for k, v in ledger.absorbed.items()},
        gap=None if ledger is None else float(ledger.gap[0]),
        unknown=tuple((u.operation, u.module, u.count) for u in e.unknown),
        conserves=e.method in CONSERVING,
    )


def relevance_of(e: Explanation, index: int) -> Tensor:
    """The first relevance of one sample, as :attr:`Answer.parts` has it."""
    first = next(v for _, v in Inputs.of(e.relevance).tensors())
    return first[index] if first.shape[:1] == e.score.shape else first


def _present(values: tuple[Tensor | None, ...]) -> list[Tensor]:
    return [v for v in values if v is not None]


def _own(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _removal(
    model: Any, inputs: Any, target: Any, whole: Any
) -> tuple[Callable[[Answer], tuple[Any, Tensor]] | None, str]:
    """How parts of one tensor are taken away, and that in words."""
    if not isinstance(inputs, Tensor) or not 2 <= inputs.ndim <= 5 or not inputs.is_floating_point():
        return None, ""
    from ..evaluate.fillers import Constant, Filler, Mean
    from ..evaluate.tensor_removal import TensorRemoval

    filler: Filler = Mean()
    removed = "single positions, which become the mean of their channel"
    if inputs.ndim == 2 and isinstance(whole, Tensor) and len(whole) > 1:
        filler, removed = Mean(whole.detach()), "single features, which become their mean over the batch"
    elif inputs.ndim == 2:
        filler, removed = Constant(0.0), "single features, which become 0"

    def fixed(answer: Answer) -> Any:
        return target if answer.target is None else answer.target

    def removal(answer: Answer) -> tuple[Any, Tensor]:
        parts = answer.parts if inputs.ndim == 2 else answer.parts.sum(0)
        return TensorRemoval(model, inputs, fixed(answer), filler=filler), parts.flatten()

    return removal, removed


def _question(method: str, target: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The question as JSON; what has no JSON form is told in words."""
    from .digest import of_tensors

    composite = options.get("composite")
    plain: dict[str, Any] = {}
    words: dict[str, str] = {}
    for name, value in options.items():
        if name in ("composite", "ledger", "on_unknown", "layers"):
            continue
        if value is None or isinstance(value, bool | int | float | str):
            plain[name] = value
        elif isinstance(value, tuple | list) and all(isinstance(v, bool | int | float | str) for v in value):
            plain[name] = list(value)
        else:
            words[name] = of_tensors({name: value}) if isinstance(value, Tensor) else repr(value)
    if isinstance(target, Tensor):
        target = int(target) if target.numel() == 1 and not target.is_floating_point() else "a start relevance"
    elif callable(target):
        target = f"the function {getattr(target, '__qualname__', repr(target))}"
    return {
        "method": method,
        "target": target,
        "composite": ("epsilon" if method == "lrp" else None) if composite is None else str(composite),
        "rules": to_json(composite),
        "options": plain,
        "options_in_words": words,
    }
