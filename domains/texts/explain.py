"""Why a model said this about these texts: relevance per token and per word."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import sciexplain as sx
from sciexplain.domains.texts.encode import EncodedText, Model, Text, Tokenizer, batched, encode
from sciexplain.domains.texts.html import as_html
from sciexplain.errors import InputError, ModelError, TargetError

Target = int | str | Sequence[int | str] | Tensor | Callable[[Any], Tensor] | None


@dataclass(frozen=True, eq=False)
class TextExplanation:
    """Relevance of the tokens of N texts.

    Attributes
    ----------
    encoded
        The N texts, each as the tokenizer cuts it: its tokens, and which of them are special.
    explanation
        What :func:`sciexplain.explain` gave for the padded batch: ``output``, ``relevance`` of every input, ….
    names
        What was explained for each text: a class's label or the next token; None where the target is no class.
    """

    encoded: tuple[EncodedText, ...]
    explanation: sx.Explanation
    names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def tokens(self) -> tuple[tuple[str, ...], ...]:
        """Each text's tokens as the tokenizer writes them; ``encoded[i].special`` marks those that it added."""
        return tuple(e.tokens for e in self.encoded)

    @property
    def relevance(self) -> tuple[Tensor, ...]:
        """For each text, relevance of its tokens (T,), without padding, in units of the explained output."""
        relevance = self.explanation.relevance
        assert isinstance(relevance, dict)
        return tuple(r[: len(e)] for r, e in zip(relevance["input_ids"], self.encoded, strict=True))

    @property
    def words(self) -> tuple[tuple[tuple[str, float], ...], ...]:
        """Each text's words as they stand in it, with the sum over their tokens; special tokens as they are.

        Raises
        ------
        InputError
            For a tokenizer that does not tell where its tokens come from.
        """
        return tuple(
            tuple((word, float(r[run].sum())) for word, run in e.words)
            for e, r in zip(self.encoded, self.relevance, strict=True)
        )

    @property
    def score(self) -> Tensor:
        """(N,): the explained output."""
        return self.explanation.score

    @property
    def ledger(self) -> sx.Ledger | None:
        """Where the whole score went; None if it was not asked for."""
        return self.explanation.ledger

    @property
    def target(self) -> Tensor | None:
        """(N,): the class, or the number of the next token; None for a start relevance or a callable."""
        return self.explanation.target

    def to_html(self, limit: float | None = None) -> str:
        """The texts on coloured ground, blue for negative, red for positive, with a scale; values on hovering.

        Parameters
        ----------
        limit
            The relevance that gets the full colour; None: the largest of all texts, which are thus comparable.
        """
        return as_html(self, limit)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __repr__(self) -> str:
        lines = [f"TextExplanation({self.explanation.method}, {len(self)} texts)"]
        for i, (encoded, relevance) in enumerate(zip(self.encoded, self.relevance, strict=True)):
            name = "" if self.names is None else f" {self.names[i]!r}"
            top = relevance.abs().topk(min(3, len(encoded))).indices.tolist()
            tokens = ", ".join(f"{encoded.tokens[t]} {relevance[t]:+.3g}" for t in top)
            lines.append(f"  {_shortened(encoded.text)}:{name} {float(self.score[i]):.4g}, of that {tokens}, …")
        return "\n".join(lines)


def explain(
    model: Model,
    tokenizer: Tokenizer,
    texts: Text | Sequence[Text],
    target: Target = None,
    method: str = "lrp",
    *,
    composite: sx.Composite | str | None = None,
    position: int = -1,
    max_length: int | None = None,
    ledger: bool = False,
    batch_size: int | None = None,
    **options: Any,
) -> TextExplanation:
    """Explain what a model says about texts.

    Parameters
    ----------
    model
        Takes ``input_ids`` and gives logits, for the text (a classifier, (N, classes)) or for each token (a causal
        language model, (N, T, vocabulary); a token classifier). Any model of transformers with such a head.
    tokenizer
        The model's own.
    texts
        A text or several; a pair of texts each for models that take two.
    target
        None: the predicted class or next token. A number, a class's label, a token, or one of these for each text. A
        callable takes logits (N, classes) or (N, vocabulary) to (N,).
    method
        ``"lrp"``, or another that takes tokens, such as ``"deeplift"``.
    ledger, batch_size, **options
        As in :func:`sciexplain.explain`.
    composite
        A composite or its name; ``"attention"`` for AttnLRP.
    position
        For models with an output for each token: the token whose output is explained. The last one's, by default, is
        what comes next.
    max_length
        Cut longer texts.

    Raises
    ------
    InputError
        No texts, a text without tokens, or texts of different lengths with a tokenizer that cannot pad.
    TargetError
        A name that is neither a label nor one token.

    Notes
    -----
    Texts are padded on the right and the padding is masked, so that a text gets the values that it gets alone. Tokens
    do not make up the whole score: what comes from positions, token types and biases is constant.

    References
    ----------
    Achtibat et al. 2024, *AttnLRP: attention-aware layer-wise relevance propagation for transformers*, ICML.
    """
    if not callable(tokenizer):
        raise InputError(f"tokenizer is {type(tokenizer).__name__}; expected the model's tokenizer, to call on a text.")
    given: tuple[Any, ...] = (texts,) if _is_text(texts) else tuple(texts)
    if not given:
        raise InputError("There are no texts to explain.")
    if strange := [t for t in given if not _is_text(t)]:
        raise InputError(f"texts has {strange[0]!r}; expected texts, or pairs of texts.")
    encoded = encode(tokenizer, given, max_length)
    run = _LogitsOfText(model, position)
    explanation = sx.explain(
        run,
        batched(encoded, model, tokenizer),
        _target(target, model, tokenizer),
        method,
        composite=composite,
        ledger=ledger,
        batch_size=batch_size,
        **options,
    )
    return TextExplanation(encoded, explanation, _names(explanation, run.per_token, model, tokenizer))


class _LogitsOfText:
    """The model as one that gives logits (N, classes): those at one position where it gives some at each."""

    def __init__(self, model: Model, position: int) -> None:
        self._model, self._position = model, position
        self.per_token = False

    def __call__(self, **inputs: Tensor) -> Tensor:
        output = self._model(**inputs)
        logits = output if isinstance(output, Tensor) else getattr(output, "logits", None)
        if not isinstance(logits, Tensor):
            raise ModelError(
                f"The model returned {type(output).__name__} without logits; expected a classifier or a language "
                "model. Use sx.explain with a callable target for other outputs."
            )
        self.per_token = logits.ndim == 3
        if not self.per_token:
            return logits
        mask = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"]))
        lengths = mask.sum(1)
        if int(lengths.min()) < (-self._position if self._position < 0 else self._position + 1):
            raise TargetError(f"position={self._position}: the shortest text has {int(lengths.min())} tokens.")
        at = lengths + self._position if self._position < 0 else torch.full_like(lengths, self._position)
        return logits[torch.arange(len(logits), device=logits.device), at]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, str) for part in value)
    )


def _target(target: Target, model: Model, tokenizer: Tokenizer) -> Any:
    if isinstance(target, str):
        return _number(target, model, tokenizer)
    if isinstance(target, Sequence):
        return [_number(t, model, tokenizer) if isinstance(t, str) else t for t in target]
    return target


def _number(name: str, model: Model, tokenizer: Any) -> int:
    """Of a class by its label, or of a token by its own or the text's spelling."""
    labels = getattr(getattr(model, "config", None), "label2id", None) or {}
    if name in labels:
        return int(labels[name])
    if name in (vocabulary := tokenizer.get_vocab()):
        return int(vocabulary[name])
    ids = list(tokenizer(name, add_special_tokens=False)["input_ids"])
    if len(ids) == 1 and ids[0] != getattr(tokenizer, "unk_token_id", None):
        return int(ids[0])
    pieces = tokenizer.convert_ids_to_tokens(ids)
    raise TargetError(
        f"target={name!r} is no label of the model ({', '.join(map(str, labels)) or 'it has none'}) and no single "
        f"token (the tokenizer makes {pieces} of it)."
    )


def _names(explanation: sx.Explanation, per_token: bool, model: Model, tokenizer: Any) -> tuple[str, ...] | None:
    target, choices = explanation.target, explanation.output.shape[-1]
    if target is None:
        return None
    labels = getattr(getattr(model, "config", None), "id2label", None) or {}
    numbers = target.tolist()
    if len(labels) == choices:
        return tuple(str(labels.get(n, n)) for n in numbers)
    if per_token:
        return tuple(tokenizer.convert_ids_to_tokens(numbers))
    return tuple(map(str, numbers))


def _shortened(text: Text) -> str:
    whole = text if isinstance(text, str) else " / ".join(text)
    return repr(whole if len(whole) <= 40 else whole[:39] + "…")
