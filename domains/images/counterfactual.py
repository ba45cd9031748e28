"""The nearest picture of which a model says something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from sciexplain._evaluation import evaluation_mode
from sciexplain.counterfactual import Counterfactual, Search
from sciexplain.counterfactual import counterfactual as search
from sciexplain.domains.images.explain import Model, Pictures, class_name, prepare
from sciexplain.domains.images.maximize import of_pictures
from sciexplain.domains.images.preprocess import Preprocess
from sciexplain.errors import InputError
from sciexplain.maximization.nearest import Target
from sciexplain.maximization.observe import observe
from sciexplain.targets import logits_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class ImageCounterfactual:
    """N pictures, and the nearest ones with another prediction.

    Attributes
    ----------
    found
        What :func:`sciexplain.counterfactual` gave, in units of the model's input: ``counterfactuals``, ``distance``,
        ``prediction``, ``new_prediction``, ….
    names
        Of the pictures.
    before, after
        (N, C, H, W): the network's pictures, 0 black to 1 white; NaN where none was found.
    reconstruction
        (N, C, H, W): what the prior makes of the nearest code; None without one.
    reconstructed
        (N,): the classes predicted of these; where they are not ``found.prediction``, the prior does not know the
        picture well enough, and its counterfactual says little.
    labels
        Class names, if known.
    """

    found: Counterfactual
    names: tuple[str, ...]
    before: Tensor
    after: Tensor
    reconstruction: Tensor | None = None
    reconstructed: Tensor | None = None
    labels: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def difference(self) -> Tensor:
        """(N, H, W): after − before, the mean over channels; −1 from white to black, 1 from black to white."""
        return (self.after - self.before).mean(1)

    def changed(self, threshold: float = 0.05) -> Tensor:
        """(N,): pixels of which a channel changed by more than a share of the way from black to white."""
        return ((self.after - self.before).abs() > threshold).any(1).flatten(1).sum(1)

    def label(self, i: int, *, after: bool = False) -> str:
        """The prediction for picture i; empty where predictions are no classes, or none was found."""
        return self._named(self.found.new_prediction if after else self.found.prediction, i)

    def reconstructed_label(self, i: int) -> str:
        """The prediction for what the prior makes of picture i; empty where there is none."""
        return self._named(self.reconstructed, i)

    def _named(self, classes: Tensor | None, i: int) -> str:
        return "" if classes is None or int(classes[i]) < 0 else class_name(classes, i, self.labels)

    def figure(self, *, indices: Sequence[int] | None = None) -> Figure:
        """One column per picture: it, what the prior makes of it, the counterfactual, and the difference."""
        from sciexplain.domains.images.maximize_figure import counterfactual_figure

        return counterfactual_figure(self, indices=indices)


def counterfactual(
    model: Model,
    pictures: Pictures,
    target: Target = None,
    *,
    prior: Any | None = None,
    preprocess: Preprocess | None = None,
    distance: Literal["l1", "l2"] = "l1",
    margin: float = 0.0,
    density_weight: float = 1.0,
    rounds: int = 6,
    steps: int = 100,
    lr: float = 0.05,
    seed: int = 0,
    labels: Sequence[str] | None = None,
    report: Callable[[Search], object] = lambda search: None,
) -> ImageCounterfactual:
    """Search the nearest picture with another prediction, for each picture.

    Without a prior a few pixels are found that fool the model; with one, the nearest digit, say, that is another one.

    Parameters
    ----------
    model
        Takes (N, C, H, W), returns (N, classes).
    pictures
        As for :func:`~sciexplain.domains.images.explain`; of one size once preprocessed.
    target
        None: any other class. int or (N,): this class. A callable of the output, which shall become positive.
    prior
        Pictures that may be found, from 0 black to 1 white, as :func:`load_prior` gives.
    preprocess
        How pictures become the input. Distances are in units of the input, whose pixels stay within its bounds.
    labels
        Class names.
    distance, margin, density_weight, rounds, steps, lr, seed, report
        As :func:`sciexplain.counterfactual`.

    Raises
    ------
    InputError, DataError, TargetError, ModelError, NonFiniteOutputError
    """
    shown, inputs = prepare(model, pictures, preprocess)
    bounds = preprocess or Preprocess()
    space = None if prior is None else of_pictures(prior, preprocess)
    low, high = (None, None) if prior is not None else (bounds.low, bounds.high)
    if prior is None and not _within(inputs, bounds):
        raise InputError(
            f"inputs go from {float(inputs.amin()):.3g} to {float(inputs.amax()):.3g}; expected 0 black to 1 white, or "
            "preprocess= as they were made with"
        )
    found = search(
        model, inputs, target, prior=space, distance=distance, low=low, high=high, margin=margin,
        density_weight=density_weight, rounds=rounds, steps=steps, lr=lr, seed=seed, report=report,
    )  # fmt: skip
    made = found.reconstruction
    return ImageCounterfactual(
        found=found,
        names=tuple(picture.name for picture in shown),
        before=bounds.to_display(found.inputs),
        after=bounds.to_display(found.counterfactuals),
        reconstruction=None if made is None else bounds.to_display(made),
        reconstructed=None if made is None or found.prediction is None else _predicted(model, made),
        labels=None if labels is None else tuple(labels),
    )


def _predicted(model: Model, inputs: Tensor) -> Tensor:
    with torch.no_grad(), evaluation_mode(model):
        logits = logits_of(observe(model, inputs).output)
    return (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(1)


def _within(inputs: Tensor, bounds: Preprocess) -> bool:
    pictures = bounds.to_display(inputs)
    return bool(pictures.amin() >= -1e-4) and bool(pictures.amax() <= 1 + 1e-4)
