"""What a model takes for the best picture of a class, a neuron or a channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

from sciexplain.domains.images.attempts import Picture
from sciexplain.domains.images.preprocess import Preprocess
from sciexplain.errors import InputError
from sciexplain.maximization import (
    L2,
    Blur,
    Channel,
    Decoder,
    Direction,
    Diverse,
    Frequencies,
    Logit,
    LogProbability,
    Maximization,
    Neuron,
    Objective,
    Step,
)
from sciexplain.maximization.ascent import Penalty, Transform
from sciexplain.maximize import maximize as search

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Target = int | Callable[[Any], Tensor] | Objective


@dataclass(frozen=True, eq=False)
class ImageMaximization:
    """Pictures that maximise T targets, R of each, the best first.

    Attributes
    ----------
    found
        For each target what :func:`sciexplain.maximize` gave: ``inputs`` of the model, ``values``, ``probabilities``,
        ``trace``, ``codes``, ….
    pictures
        For each target R pictures, 0 black to 1 white.
    titles
        Of the targets.
    preprocess
        How pictures become the model's input; None where they are it.
    """

    found: tuple[Maximization, ...]
    pictures: tuple[tuple[Picture, ...], ...]
    titles: tuple[str, ...]
    preprocess: Preprocess | None = None

    def __len__(self) -> int:
        return len(self.found)

    def figure(self, *, restarts: int = 1) -> Figure:
        """One column per target, one row per restart, with the objective and the probability of the class."""
        from sciexplain.domains.images.maximize_figure import maximization_figure

        return maximization_figure({"": self}, restarts=restarts)


def maximize(
    model: Callable[..., Any],
    target: Target | Sequence[Target] | Tensor,
    shape_or_prior: Sequence[int] | Any | None = None,
    *,
    prior: Any | None = None,
    preprocess: Preprocess | None = None,
    restarts: int = 4,
    steps: int = 256,
    lr: float = 0.05,
    optimizer: Literal["adam", "sgd"] = "adam",
    penalties: Sequence[Penalty] | None = None,
    transforms: Sequence[Transform] = (),
    operators: Sequence[Blur] = (),
    parameterization: Literal["pixels", "frequencies"] = "pixels",
    colours: Tensor | None = None,
    density_weight: float = 1.0,
    seed: int = 0,
    labels: Sequence[str] | None = None,
    report: Callable[[Step], object] = lambda step: None,
) -> ImageMaximization:
    """Search pictures that a model answers most strongly.

    Parameters
    ----------
    model
        Takes (N, C, H, W).
    target
        A class, a callable of the output, an objective of ``sciexplain.maximization``, or a list of these.
    shape_or_prior
        (C, H, W) of the model's input; or a prior, as ``prior``.
    prior
        A generative model whose ``decode`` makes pictures (n, C, H, W) from 0 black to 1 white, such as
        :func:`load_prior` gives; they are normalised for the model by ``preprocess``.
    preprocess
        How pictures become the input: its mean and deviation give the bounds within which pixels stay, and bring the
        result back to pictures. None: the input is the picture, 0 to 1.
    penalties
        None: ``L2(0.01)`` for classes and a shape; nothing for a prior, or for layers, whose scale is their own.
    colours
        For ``parameterization="frequencies"``: (C, C), see :class:`~sciexplain.maximization.Frequencies`.
    labels
        Class names.
    restarts, steps, lr, optimizer, transforms, operators, parameterization, density_weight, seed, report
        As :func:`sciexplain.maximize`.

    Raises
    ------
    InputError, TargetError, ModelError, NonFiniteOutputError
        As :func:`sciexplain.maximize`.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    >>> found = maximize(model, [0, 2], (1, 4, 4), restarts=2, steps=16)
    >>> found.titles, found.pictures[1][0].array.shape
    (('0', '2'), (4, 4, 1))
    """
    if (prior is None) == (shape_or_prior is None):
        raise InputError("expected the shape (channels, rows, columns) of the model's input, or a prior; one of both")
    given = shape_or_prior if prior is None else prior
    targets: list[Any] = [target] if _single(target) else list(target)  # type: ignore[arg-type]  # _single tells
    bounds = preprocess or Preprocess()
    if hasattr(given, "decode"):
        space, low, high = of_pictures(given, preprocess), None, None
    else:
        space, low, high = _checked(given, preprocess), bounds.low, bounds.high
        if penalties is None:
            penalties = [L2(0.01)] if all(_is_class(one) for one in targets) else []
        if parameterization == "frequencies":
            space, low, high = Frequencies(space, low, high, colours=colours), None, None
    found: Any = search(
        model,
        targets,
        space,
        restarts=restarts,
        steps=steps,
        lr=lr,
        optimizer=optimizer,
        penalties=penalties,
        transforms=transforms,
        operators=operators,
        low=low,
        high=high,
        density_weight=density_weight,
        seed=seed,
        report=report,
    )
    titles = tuple(title_of(one, labels) for one in targets)
    pictures = tuple(_pictures(one, title, bounds) for one, title in zip(found, titles, strict=True))
    return ImageMaximization(tuple(found), pictures, titles, preprocess)


def of_pictures(prior: Any, preprocess: Preprocess | None) -> Any:
    """A prior of pictures from 0 to 1 as one of the model's inputs."""
    if preprocess is None:
        return prior
    low, high = preprocess.low, preprocess.high
    encode = getattr(prior, "encode", None)
    return Decoder(
        prior.decode,
        prior.code_shape,
        getattr(prior, "log_density", None),
        to_input=lambda pictures: low.to(pictures) + pictures * (high - low).to(pictures),
        encoder=None if encode is None else lambda inputs: encode(preprocess.to_display(inputs)),
    )


def title_of(target: Any, labels: Sequence[str] | None) -> str:
    """Of a class its name or number; of an objective, what it asks for where."""
    match target:
        case Logit(index=index) | LogProbability(index=index):
            return title_of(index, labels)
        case Neuron(layer=layer, index=index):
            return f"{layer}, neuron {index}"
        case Channel(layer=layer, channel=channel):
            return f"{layer}, channel {channel}"
        case Direction(layer=layer):
            return f"{layer}, a direction"
        case Diverse(target=inner):
            return title_of(inner, labels)
        case Objective():
            return str(target)
    if hasattr(target, "__index__"):
        number = int(target)
        return labels[number] if labels is not None and -len(labels) <= number < len(labels) else str(number)
    return ""


def _is_class(target: Any) -> bool:
    return isinstance(target, Logit | LogProbability) or hasattr(target, "__index__")


def _single(target: Any) -> bool:
    if isinstance(target, Tensor):
        return target.ndim == 0
    return not isinstance(target, Sequence | range)


def _checked(given: Any, preprocess: Preprocess | None) -> tuple[int, int, int]:
    shape = tuple(given) if isinstance(given, Sequence) else (given,)
    if len(shape) != 3:
        raise InputError(f"shape {given!r}: expected (channels, rows, columns) of the model's input")
    if preprocess is not None and preprocess.channels not in (None, shape[0]):
        raise InputError(f"shape {shape}: {shape[0]} channels; preprocess names {preprocess.channels}")
    return shape


def _pictures(found: Maximization, title: str, preprocess: Preprocess) -> tuple[Picture, ...]:
    inputs = found.inputs
    if not isinstance(inputs, Tensor) or inputs.ndim != 4:
        raise InputError("the prior makes no pictures (n, C, H, W); use sciexplain.maximize for other inputs")
    arrays = preprocess.to_display(inputs.float()).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    return tuple(Picture(f"{title}[{i}]", None, array) for i, array in enumerate(arrays))
