"""Why a model said this about these pictures: relevance per pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import sciexplain as sx
from sciexplain.domains.images.attempts import Picture
from sciexplain.domains.images.listing import PathName
from sciexplain.domains.images.preprocess import Preprocess, as_picture
from sciexplain.domains.images.read import read
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from sciexplain.records import Record

Model = Callable[..., Any]
Pictures = Picture | PathName | NDArray[Any] | Tensor | Sequence[Picture | PathName | NDArray[Any]]
Target = int | Tensor | Callable[[Any], Tensor] | None

_BOXED = ("epsilon_gamma_box", "deep_taylor")


@dataclass(frozen=True, eq=False)
class ImageExplanation:
    """Relevance of the pixels of N pictures.

    Attributes
    ----------
    pictures
        The N pictures, at their original size.
    relevance
        (N, C, H, W): of the network's input, in units of the explained output.
    explanation
        What :func:`sciexplain.explain` gave: ``output``, ``target``, ``score``, ``layers``, ``ledger``, ….
    preprocess
        How the pictures became the input; None where the input itself was given.
    labels
        Class names, if known.
    """

    pictures: tuple[Picture, ...]
    relevance: Tensor
    explanation: sx.Explanation
    preprocess: Preprocess | None = None
    labels: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def heatmap(self) -> Tensor:
        """(N, H, W): signed sum over channels; ``heatmap[i].sum()`` is the relevance of picture i."""
        return self.relevance.sum(1)

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
        """(N,): the class explained for each picture; None for a start relevance or a callable."""
        return self.explanation.target

    def original(self, i: int) -> Tensor:
        """(h, w): the heatmap of picture i on its original pixels, with the same sum."""
        if self.preprocess is None:
            return self.heatmap[i]
        return self.preprocess.to_original(self.heatmap[i], self.pictures[i].size)

    def label(self, i: int) -> str:
        """Name of the class that was explained for picture i; empty where the target is no class."""
        return class_name(self.target, i, self.labels)

    def record(self, i: int = 0, *, prototypes: Any = (), **options: Any) -> Record:
        """The record of picture i's decision; ``prototypes`` as for :meth:`sciexplain.Explanation.record`.

        Options as for :func:`sciexplain.records.record`.
        """
        from sciexplain.domains.images.case import picture_case
        from sciexplain.records import record
        from sciexplain.records.tensor_case import known_to

        options["prototypes"] = known_to(prototypes, self.explanation, i)
        expected = self.relevance[i]
        return record(picture_case(self, i), **{"labels": self.labels, "expected": expected, **options})


def explain(
    model: Model,
    pictures: Pictures,
    target: Target = None,
    *,
    preprocess: Preprocess | None = None,
    composite: sx.Composite | str | None = None,
    method: str = "lrp",
    ledger: bool = False,
    batch_size: int | None = None,
    labels: Sequence[str] | None = None,
    **options: Any,
) -> ImageExplanation:
    """Explain what a model says about pictures.

    Parameters
    ----------
    model
        Takes (N, C, H, W), returns (N, classes). Pictures go to its device and floating-point type.
    pictures
        A :class:`Picture`, a path, an array (H, W) or (H, W, C), a list of these; or a tensor (N, C, H, W)
        that is the network's input already.
    target, method, ledger, batch_size, **options
        As in :func:`sciexplain.explain`.
    preprocess
        From picture to input; None: pictures go in as they are, 0 black to 1 white. For tensors it says what
        was done to them: they are not processed again.
    composite
        A composite or its name. ``"epsilon_gamma_box"`` and ``"deep_taylor"`` take the bounds of their z^B
        rule (Montavon et al. 2017, eq. 16) from ``preprocess``.
    labels
        Class names.

    Raises
    ------
    InputError
        Pictures that do not become one batch, or ``"epsilon_gamma_box"`` for tensors without ``preprocess``.
    DataError
        A path that cannot be read.

    Examples
    --------
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2, bias=False))
    >>> e = explain(net, np.ones((2, 2), dtype=np.float32), target=1)
    >>> bool(torch.allclose(e.heatmap.sum((1, 2)), e.score, atol=1e-5))
    True
    """
    shown, inputs = prepare(model, pictures, preprocess)
    explanation = sx.explain(
        model,
        inputs,
        target,
        method,
        composite=composite_for(composite, preprocess, pictures),
        ledger=ledger,
        batch_size=batch_size,
        **options,
    )
    processed = None if isinstance(pictures, Tensor) else preprocess
    names = None if labels is None else tuple(labels)
    return ImageExplanation(shown, single(explanation.relevance), explanation, processed, names)


def single(value: Any) -> Tensor:
    """The relevance of a model with one input is a tensor."""
    assert isinstance(value, Tensor)
    return value


def class_name(target: Tensor | None, i: int, labels: Sequence[str] | None) -> str:
    """Name, or else the number, of the class that ``target`` gives to picture i; empty if it gives none."""
    if target is None:
        return ""
    number = int(target[i])
    return labels[number] if labels is not None else str(number)


def prepare(model: Model, pictures: Pictures, preprocess: Preprocess | None) -> tuple[tuple[Picture, ...], Tensor]:
    """The pictures to show and the network's input."""
    if isinstance(pictures, Tensor):
        if pictures.ndim != 4 or not pictures.is_floating_point():
            raise InputError(
                f"tensor of shape {tuple(pictures.shape)} and type {pictures.dtype}; expected (N, C, H, W) of floats"
            )
        return _shown(pictures, preprocess), pictures
    preprocess = preprocess or Preprocess()
    shown = tuple(_pictures(pictures, "RGB" if preprocess.channels == 3 else None))
    return shown, placed(model, preprocess(shown))


def placed(model: Model, inputs: Tensor) -> Tensor:
    """The network's input on its device and in its floating-point type."""
    like = next(iter(model.parameters()), None) if isinstance(model, torch.nn.Module) else None
    if like is None or not like.is_floating_point():
        return inputs
    return inputs.to(device=like.device, dtype=like.dtype)


def _pictures(pictures: Any, mode: Any) -> list[Picture]:
    entries = [pictures] if isinstance(pictures, Picture | str | PathLike | np.ndarray) else list(pictures)
    found: list[Picture] = []
    for entry in entries:
        if isinstance(entry, str | PathLike):
            found += read(entry if len(entries) == 1 else [entry], mode)
        else:
            found.append(as_picture(entry, f"picture {len(found)}"))
    return found


def _shown(inputs: Tensor, preprocess: Preprocess | None) -> tuple[Picture, ...]:
    """Pictures to show for a network's input; without ``preprocess``, scaled from least to most."""
    if preprocess is not None:
        pixels = preprocess.to_display(inputs)
    elif inputs.amin() >= 0 and inputs.amax() <= 1:
        pixels = inputs
    else:
        pixels = (inputs - inputs.amin()) / (inputs.amax() - inputs.amin()).clamp(min=1e-30)
    arrays = pixels.detach().clamp(0, 1).permute(0, 2, 3, 1).float().cpu().numpy()
    return tuple(Picture(f"[{i}]", None, array) for i, array in enumerate(arrays))


def composite_for(composite: Any, preprocess: Preprocess | None, pictures: Any) -> Any:
    """Give a named composite with a z^B rule the bounds of the network's input."""
    if composite not in _BOXED:
        return composite
    if preprocess is None and isinstance(pictures, Tensor):
        if composite == "deep_taylor":
            return composite
        raise InputError(
            f"composite={composite!r} for a tensor, whose bounds are not known; expected preprocess=, "
            f"or sx.composites.get({composite!r}, low=..., high=...)"
        )
    bounds = preprocess or Preprocess()
    return sx.composites.get(composite, low=bounds.low, high=bounds.high)
