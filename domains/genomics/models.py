"""How a model takes its sequences: (N, letters, L) or (N, L, letters)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from sciexplain._evaluation import evaluation_mode
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.errors import InputError
from sciexplain.targets import explained_output

Model = Callable[..., Any]
Layout = Literal["NCL", "NLC"]

_CHANNELS = {"NCL": "(N, channels, L)", "NLC": "(N, L, channels)"}


def layout_of(model: Model, sequences: Sequences, layout: Layout | None = None) -> Layout:
    """The layout that a model takes, found by trying.

    Parameters
    ----------
    model
        A callable on one of the two.
    sequences
        The first of them is tried.
    layout
        What the user says; None: what the model's attribute ``layout`` says, or else what works.

    Raises
    ------
    InputError
        The model takes neither, or another layout is asked for.

    Warns
    -----
    UserWarning
        The model takes both and answers differently; (N, channels, L) is then assumed.
    """
    asked = layout or getattr(model, "layout", None)
    if asked is not None:
        if asked not in _CHANNELS:
            raise InputError(f'layout={asked!r}; expected "NCL" or "NLC". For tokens give tokenizer=.')
        return cast(Layout, asked)
    one = like_model(model, sequences.inputs[:1])
    answers, reasons = {}, {}
    for name in _CHANNELS:
        try:
            with evaluation_mode(model), torch.no_grad():
                answers[name] = model(arranged(one, cast(Layout, name)))
        except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:
            reasons[name] = str(error).partition("\n")[0]
    if not answers:
        tried = "; ".join(
            f"{_CHANNELS[n]} = {tuple(arranged(one, cast(Layout, n)).shape)}: {r}" for n, r in reasons.items()
        )
        raise InputError(
            f"The model takes sequences of {sequences.length} letters in neither layout ({tried}). Check the length "
            "and the number of channels that it was trained with (a kernel may be longer than the sequence); for a "
            "model over tokens give tokenizer=."
        )
    if len(answers) == 2 and not _same(*answers.values()):
        warnings.warn(
            "The model takes both (N, channels, L) and (N, L, channels), and answers differently; the first is "
            'assumed. Say which with layout="NCL" or layout="NLC".',
            stacklevel=3,
        )
    return cast(Layout, next(iter(answers)))


def _same(a: Any, b: Any) -> bool:
    a, b = explained_output(a), explained_output(b)
    return a.shape == b.shape and bool(torch.equal(a, b))


def arranged(inputs: Tensor, layout: Layout) -> Tensor:
    """(…, channels, L) in a layout, or from it back again."""
    return inputs.transpose(-1, -2) if layout == "NLC" else inputs


def like_model(model: Model, inputs: Tensor) -> Tensor:
    """On the model's device and in its floating-point type."""
    like = next(iter(model.parameters()), None) if isinstance(model, nn.Module) else None
    if like is None or not like.is_floating_point():
        return inputs
    return inputs.to(device=like.device, dtype=like.dtype)


def as_called(model: Model, sequences: Sequences, layout: Layout | None = None) -> Model:
    """The model as a function of (N, letters + further channels, L), whatever its own layout."""
    found = layout_of(model, sequences, layout)
    if found == "NCL":
        return model
    return lambda inputs: model(arranged(inputs, found))
