"""From texts to a model's input, and from tokens back to places in the text."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sciexplain.errors import InputError

Model = Callable[..., Any]
Tokenizer = Callable[..., Any]
"""As in transformers: called with a list of texts; its own words for tokens by ``convert_ids_to_tokens``."""
Text = str | tuple[str, str]

_BESIDE = ("offset_mapping", "special_tokens_mask")
"""What the tokenizer is asked for beyond the model's input."""


@dataclass(frozen=True)
class Place:
    """Where a token comes from: characters ``start`` to ``end`` of the text, or of the first or second of a pair."""

    word: int
    part: int
    start: int
    end: int


@dataclass(frozen=True)
class EncodedText:
    """One text as the tokenizer cuts it, without padding.

    Attributes
    ----------
    text
        As given; a pair for models that take two.
    inputs
        The model's input as the tokenizer gives it: ``input_ids`` and what goes with them, a number per token.
    tokens
        The tokens as the tokenizer writes them, such as ``"##ing"`` or ``"Ġworld"``.
    special
        Whether a token was added by the tokenizer (``[CLS]``, ``<s>``).
    places
        Where each token comes from, None for special ones; None altogether for a tokenizer that does not tell.
    """

    text: Text
    inputs: dict[str, tuple[int, ...]]
    tokens: tuple[str, ...]
    special: tuple[bool, ...]
    places: tuple[Place | None, ...] | None

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def words(self) -> tuple[tuple[str, slice], ...]:
        """Each word as it stands in the text, and its tokens; special tokens are words of their own.

        A word ends where the tokenizer says so, and at white space, which some tokenizers make part of a longer unit.
        """
        if self.places is None:
            raise InputError(
                "This tokenizer does not tell which word a token belongs to; use its fast version "
                "(AutoTokenizer.from_pretrained(..., use_fast=True)), or look at the tokens."
            )
        begins = [i for i in range(len(self)) if i == 0 or not self._continues(i)]
        runs = [slice(a, b) for a, b in zip(begins, [*begins[1:], len(self)], strict=True)]
        return tuple((self._written(run), run) for run in runs)

    def part(self, place: Place) -> str:
        """The text that a token is from: the only one, or one of a pair."""
        return self.text if isinstance(self.text, str) else self.text[place.part]

    def _continues(self, i: int) -> bool:
        assert self.places is not None
        before, place = self.places[i - 1], self.places[i]
        if before is None or place is None or (before.part, before.word) != (place.part, place.word):
            return False
        text = self.part(place)
        return not any(c.isspace() for c in text[before.end : min(place.start + 1, len(text))])

    def _written(self, run: slice) -> str:
        assert self.places is not None
        first, last = self.places[run][0], self.places[run][-1]
        if first is None or last is None:
            return self.tokens[run.start]
        return self.part(first)[first.start : last.end].strip() or self.tokens[run.start]


def encode(tokenizer: Tokenizer, texts: Sequence[Text], max_length: int | None = None) -> tuple[EncodedText, ...]:
    """Cut texts into tokens.

    Raises
    ------
    InputError
        For a text that has no tokens.
    """
    fast = bool(getattr(tokenizer, "is_fast", False))
    options: dict[str, Any] = {} if max_length is None else {"truncation": True, "max_length": max_length}
    if fast:
        options["return_offsets_mapping"] = True
    batch = tokenizer(list(texts), return_special_tokens_mask=True, **options)
    encoded = []
    for i, text in enumerate(texts):
        inputs = {k: tuple(batch[k][i]) for k in batch if k not in _BESIDE}
        ids = list(inputs["input_ids"])
        if not ids:
            raise InputError(f"Text {i} ({text!r}) has no tokens; leave it out.")
        tokens = tuple(tokenizer.convert_ids_to_tokens(ids))  # type: ignore[attr-defined]
        special = tuple(map(bool, batch["special_tokens_mask"][i]))
        encoded.append(EncodedText(text, inputs, tokens, special, _places(batch, i) if fast else None))
    return tuple(encoded)


def _places(batch: Any, i: int) -> tuple[Place | None, ...]:
    rows = zip(batch.word_ids(i), batch.sequence_ids(i), batch["offset_mapping"][i], strict=True)
    return tuple(
        None if word is None or part is None else Place(word, part, int(start), int(end))
        for word, part, (start, end) in rows
    )


def batched(encoded: Sequence[EncodedText], model: Model, tokenizer: Tokenizer) -> dict[str, Tensor]:
    """The batch that the model takes, padded on the right, where positions stay what they are for each text alone.

    Raises
    ------
    InputError
        For texts of different lengths and a tokenizer without a padding token.
    """
    lengths = [len(e) for e in encoded]
    pad = getattr(tokenizer, "pad_token_id", None)
    if pad is None and len(set(lengths)) > 1:
        raise InputError(
            f"The texts have {min(lengths)} to {max(lengths)} tokens and the tokenizer has no padding token; set one "
            "(tokenizer.pad_token = tokenizer.eos_token, and model.config.pad_token_id for a classifier), or explain "
            "texts of one length at a time."
        )
    padding = {"input_ids": pad or 0, "token_type_ids": getattr(tokenizer, "pad_token_type_id", 0)}
    taken, device = _names_taken(model), _device(model)
    rows = {k: [e.inputs[k] for e in encoded] for k in encoded[0].inputs} | {
        "attention_mask": [(1,) * n for n in lengths]
    }
    return {
        name: _padded(values, padding.get(name, 0)).to(device)
        for name, values in rows.items()
        if taken is None or name in taken
    }


def _names_taken(model: Model) -> frozenset[str] | None:
    """The arguments that the model names; None where it does not even name ``input_ids``."""
    try:
        names = frozenset(inspect.signature(getattr(model, "forward", model)).parameters)
    except (TypeError, ValueError):
        return None
    return names if "input_ids" in names else None


def _padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    result = torch.full((len(rows), max(map(len, rows))), value, dtype=torch.long)
    for i, row in enumerate(rows):
        result[i, : len(row)] = torch.as_tensor(row)
    return result


def _device(model: Model) -> torch.device:
    first = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    return torch.device("cpu") if first is None else first.device
