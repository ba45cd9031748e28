"""Relevance of channels: what each contributes at the output of a layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..composites import Composite
from ..engine.base import OnUnknown
from ..engine.programs import never_compiled, original
from ..errors import InputError
from ..inputs import Inputs
from ..targets import Target, normalized, rows_of
from .journey import ChannelAxis, Journey, travelling, waypoints_for


@never_compiled
def channel_relevance(
    model: Callable[..., Any],
    inputs: Tensor | tuple[Any, ...] | dict[str, Any],
    target: Target = None,
    layers: str | Sequence[str] = (),
    *,
    composite: Composite | str | None = None,
    channel_axis: ChannelAxis = None,
    on_unknown: OnUnknown = "warn",
    batch_size: int | None = None,
) -> dict[str, Tensor]:
    """How relevant each channel of a layer is, for each sample.

    Parameters
    ----------
    model, inputs, target, composite, channel_axis, on_unknown, batch_size
        As in :func:`sciexplain.concepts.conditional`.
    layers : str, or sequence of str
        Names of modules.

    Returns
    -------
    dict of Tensor, (rows, channels)
        For each layer, relevance at its output, summed over positions. Rows are those of the output: samples, or the
        nodes of a graph model.

    Raises
    ------
    InputError, TargetError, ModelError, RuleError, UnknownOperationError

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv1d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    >>> found = sx.concepts.channel_relevance(model, torch.randn(5, 4, 10), 1, layers="0")
    >>> found["0"].shape
    torch.Size([5, 6])
    """
    names = [layers] if isinstance(layers, str) else list(dict.fromkeys(layers))
    if not names:
        raise InputError("layers is empty; expected names of modules.")
    model = original(model)
    given, target = Inputs.of(inputs, model), normalized(target)
    parts = []
    for rows, part in given.parts(batch_size):
        with travelling():
            waypoints, own = waypoints_for(names, channel_axis), rows_of(target, rows, given.batch_size)
            journey = Journey(model, part, own, waypoints, composite=composite, on_unknown=on_unknown)
            parts.append(journey.all_channels(names))
    return {name: torch.cat([p[name].detach() for p in parts]) for name in names}
