"""Options that stand for every input: a number, a tensor, or one of either for each input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..inputs import Inputs

PerInput = float | Tensor | tuple[Any, ...] | Mapping[str, Any]


def for_each_input(option: Any, inputs: Inputs, name: str) -> dict[str, Any]:
    """An option by input name: given once for all, or in the structure of the inputs.

    Raises
    ------
    InputError
        When the structures differ.
    """
    names = [k for k, _ in inputs.tensors()]
    if isinstance(option, Mapping):
        if set(option) != set(names) or inputs.structure != "dict":
            raise InputError(f"{name} is a dict of {sorted(option)}; expected one for each of the inputs {names}.")
        return dict(option)
    if isinstance(option, tuple | list) and inputs.structure == "tuple":
        if len(option) != len(inputs.values):
            raise InputError(
                f"{name} has {len(option)} parts; expected one for each of the {len(inputs.values)} inputs."
            )
        return {k: v for k, v in zip(inputs.values, option, strict=True) if k in names}
    return dict.fromkeys(names, option)


def values_like(option: PerInput, inputs: Inputs, names: list[str], name: str) -> dict[str, Tensor]:
    """Baseline or fill values, each expanded to its input.

    Parameters
    ----------
    names : list of str
        The inputs they are for.
    name : str
        Of the option, for messages.

    Raises
    ------
    InputError
        When they do not fit an input, or are not finite.
    """
    given, found = for_each_input(option, inputs, name), {}
    if isinstance(option, Tensor) and option.ndim and len(names) > 1:
        raise InputError(
            f"A tensor {name} needs a single input tensor; for several give a number, or one {name} for each input in "
            "their structure."
        )
    tensors = dict(inputs.tensors())
    for key in names:
        like = tensors[key]
        values = torch.as_tensor(given[key])
        if not bool(torch.isfinite(values).all()):
            raise InputError(f"The {name} has values that are NaN or infinite.")
        if not like.is_floating_point() and bool((values != values.to(like.dtype)).any()):
            raise InputError(f"The {name} {given[key]!r} does not fit an integer input; give whole numbers.")
        try:
            found[key] = values.to(like).expand_as(like)
        except RuntimeError:
            raise InputError(
                f"The {name} has shape {tuple(values.shape)}, the input {tuple(like.shape)}; they must broadcast."
            ) from None
    return found


def removable(inputs: Inputs) -> list[str]:
    """The inputs of which a method can take parts away: numbers and tokens; truth values are masks.

    Raises
    ------
    InputError
        When there are none, or one of floats is shared by the samples of the batch.
    """
    names = []
    for name, value in inputs.tensors():
        if value.dtype == torch.bool:
            continue
        if inputs.is_batched(name):
            names.append(name)
        elif value.is_floating_point():  # integers that are no samples are left alone, such as the edges of a graph
            raise InputError(
                f"The input {name!r} of shape {tuple(value.shape)} is shared by the {inputs.batch_size} samples; this "
                "method needs one for each. Repeat it, or bind it in a function."
            )
    if not names:
        raise InputError("The inputs are truth values; expected numbers or tokens, parts of which can be taken away.")
    return names
