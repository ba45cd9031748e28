"""Sequences that stand for what a model says, and those that they do not explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sciexplain as sx
from sciexplain.domains.genomics.alphabet import DNA, Alphabet
from sciexplain.domains.genomics.drawing.logo import draw_logo
from sciexplain.domains.genomics.explain import explain
from sciexplain.domains.genomics.models import Layout, Model, arranged, layout_of, like_model
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.limits import Limits
from sciexplain.limits import prototype_limits as limits_of
from sciexplain.prototypes import Prototypes
from sciexplain.prototypes import prototypes as prototypes_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDE, _TALL, _GAP, _LEFT, _MARGIN = 11.0, 0.75, 0.45, 0.8, 0.3


def prototypes(
    model: Model,
    sequences: Any,
    target: Any = None,
    k: int = 5,
    *,
    alphabet: str | Alphabet = DNA,
    layout: Layout | None = None,
    **options: Any,
) -> Prototypes:
    """Typical and diverse sequences for an output of a model.

    Parameters
    ----------
    model, sequences, alphabet, layout
        As in :func:`sciexplain.domains.genomics.explain`.
    target, k, **options
        As in :func:`sciexplain.prototypes`.
    """
    batch = Sequences.of(sequences, alphabet)
    return prototypes_of(model, as_inputs(model, batch, layout), target, k, **options)


def prototype_limits(
    model: Model,
    sequences: Any,
    prototypes: Prototypes | Any,
    target: Any = None,
    *,
    alphabet: str | Alphabet = DNA,
    layout: Layout | None = None,
    **options: Any,
) -> Limits:
    """Which sequences of a class its prototypes do not explain.

    Parameters
    ----------
    model, sequences, alphabet, layout
        As in :func:`sciexplain.domains.genomics.explain`; sequences of other classes belong to them.
    prototypes
        Found among these sequences, or sequences of the same length, such as designed ones.
    target, **options
        As in :func:`sciexplain.prototype_limits`.
    """
    batch = Sequences.of(sequences, alphabet)
    inputs = as_inputs(model, batch, layout)
    if not isinstance(prototypes, Prototypes):
        prototypes = as_inputs(model, Sequences.of(prototypes, alphabet), layout)
    return limits_of(model, inputs, prototypes, target, **options)


def limits_figure(
    model: Model,
    sequences: Any,
    limits: Limits,
    *,
    alphabet: str | Alphabet = DNA,
    layout: Layout | None = None,
    composite: sx.Composite | str | None = None,
    each: int = 3,
) -> Figure:
    """Relevance of the letters of prototypes, of the sequences nearest to them, and of those that they do not explain.

    Parameters
    ----------
    model, sequences, alphabet, layout, composite
        As given to :func:`prototype_limits`.
    limits
        What that returned.
    each
        Sequences of each kind.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    batch = Sequences.of(sequences, alphabet)
    kinds = (("prototype", limits.prototypes or ()), ("explained", limits.typical), ("not explained", limits.missed))
    shown = [(kind, i) for kind, indices in kinds for i in list(indices)[:each]]
    found = explain(model, batch[[i for _, i in shown]], limits.view.target, composite=composite, layout=layout)
    tall = len(shown) * (_TALL + _GAP) + 2 * _MARGIN
    figure = Figure(figsize=(_WIDE, tall), facecolor="white")
    FigureCanvasAgg(figure)
    for row, (kind, index) in enumerate(shown):
        top = _MARGIN + row * (_TALL + _GAP) + _GAP / 2
        place = (_LEFT / _WIDE, 1 - (top + _TALL) / tall, (_WIDE - _LEFT - _MARGIN) / _WIDE, _TALL / tall)
        ax = draw_logo(
            found.contributions[row].T.detach().cpu().double().numpy(),
            ax=figure.add_axes(place),
            alphabet=batch.alphabet,
        )
        far = "" if kind == "prototype" else f", distance {limits.distance(index):.3g}"
        title = f"{kind}: {batch.names[index]}, score {float(found.score[row]):.3g}{far}".replace("-", "−")
        ax.set_title(title, size=8, loc="left", pad=2)
        ax.tick_params(labelsize=7)
        ax.set_ylabel("relevance", size=7)
    return figure


def as_inputs(model: Model, batch: Sequences, layout: Layout | None) -> Any:
    """As the model takes them."""
    return arranged(like_model(model, batch.inputs), layout_of(model, batch, layout))
