"""Whether an explanation depends on what the network learned: the model parameter randomisation test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, ModelError, NonFiniteOutputError
from ..inputs import Inputs
from ..targets import Target
from .explaining import Explain, Neighbours, decided_target, explaining, shaped
from .randomization import LayerOrder, Weights, copied, randomized
from .similarity import Similarity, similarity_of


@dataclass(frozen=True)
class Sanity:
    """How alike explanations stay as layers become random.

    Attributes
    ----------
    layers
        K names, in the order in which they became random; ``("all",)`` for the efficient variant.
    similarity
        (K, N) float64: between the explanation of the model and of that with these layers random. Low is good. NaN
        where it is not defined, such as the correlation with a constant.
    entropy
        (K + 1, N) float64, nats: of the histogram of the explanation's values, first of the model as trained.
    order
    """

    layers: tuple[str, ...]
    similarity: Tensor
    entropy: Tensor
    order: str

    @property
    def mean(self) -> Tensor:
        """Over samples, (K,): the curve of the test."""
        return self.similarity.nanmean(1)

    @property
    def values(self) -> Tensor:
        """Over layers, (N,): one number for each sample. Low is good."""
        return self.similarity.nanmean(0)

    @property
    def rise(self) -> Tensor:
        """Relative rise of the entropy from the trained to the wholly random network, (N,). High is good.

        NaN for order ``"independent"``, where no network is wholly random, and where the explanation is constant.
        Hedström et al. 2023, eMPRT.
        """
        if self.order == "independent":
            return torch.full_like(self.entropy[0], float("nan"))
        first, last = self.entropy[0], self.entropy[-1]
        return torch.where(first > 0, (last - first) / first, float("nan"))


def sanity(
    model: Callable[..., Any],
    inputs: Any,
    target: Target = None,
    method: str = "lrp",
    *,
    order: LayerOrder = "top_down",
    similarity: str | Similarity = "spearman",
    absolute: bool = False,
    efficient: bool = False,
    smooth: int = 0,
    noise: float = 0.1,
    weights: Weights = "initial",
    bins: int = 100,
    explain: Explain | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Sanity:
    """Explain the model, and copies of it whose layers are more and more random; the explanations should differ.

    Parameters
    ----------
    model
        Any module with parameters; it is copied and left as it is.
    inputs, target, method, batch_size, **options
        As for :func:`sciexplain.explain`, which they are handed to (``composite=`` too). A class that is not given is
        that which the trained model predicts.
    order
        ``"top_down"``, ``"bottom_up"`` (both cascading), or ``"independent"``. With residual or normalised networks
        top-down leaves much of the function in place, so that similarity alone says little: Binder et al. 2023.
    similarity
        ``"spearman"``, ``"pearson"``, ``"cosine"``, ``"ssim"`` (of maps), or a function of two tensors to (N,).
    absolute
        Compare magnitudes.
    efficient
        Compare with the wholly random network only (eMPRT, which looks at ``.rise``): two explanations for each sample.
    smooth
        Explain the mean over this many noisy copies of the inputs, against noise in the explanations (sMPRT). 0: no.
    noise
        Of them: standard deviation as a fraction of each sample's range.
    weights
        ``"initial"`` or ``"permuted"``; see :func:`~sciexplain.evaluate.randomized`.
    bins
        Of the histogram.
    explain
        ``explain(model, inputs, target)`` in the place of ``sciexplain.explain``: an Explanation or relevance.
    seed
        Of weights and noise.

    Returns
    -------
    Sanity
        Where samples share the inputs (a batch of graphs), N is 1: all of them together.

    Raises
    ------
    SciExplainError
        ModelError for what is no module with parameters; otherwise as :func:`sciexplain.explain`.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> found = sanity(model, torch.randn(3, 6), method="gradient")
    >>> found.layers, found.similarity.shape
    (('2', '0'), torch.Size([2, 3]))

    References
    ----------
    Adebayo et al. 2018, *Sanity checks for saliency maps*, NeurIPS. Hedström et al. 2023, *Sanity checks revisited*
    (sMPRT and eMPRT). Binder et al. 2023, CVPR.
    """
    if smooth < 0 or bins < 2:
        raise InputError(f"smooth={smooth}, bins={bins}: expected smooth >= 0 and bins >= 2.")
    given = Inputs.of(inputs, model)
    network = copied(model)
    target = decided_target(network, given, target)
    run = explaining(method, explain, batch_size, options)
    alike = similarity_of(similarity)
    near = Neighbours(given, noise, smooth, torch.randn, seed) if smooth else None

    def explained(network: torch.nn.Module) -> Tensor:
        if near is None:
            found = shaped(run(network, inputs, target), given)
        else:
            found = torch.stack([shaped(run(network, noisy, target), given) for noisy in near]).mean(0)
        return found.abs() if absolute else found

    trained = explained(network)
    layers: list[str] = []
    alikeness: list[Tensor] = []
    entropies = [histogram_entropy(trained, bins)]
    states: Iterable[tuple[str, torch.nn.Module]] = randomized(network, given, order=order, weights=weights, seed=seed)
    if efficient:
        states = list(states)[-1:]  # each step changes the same network further
    for name, state in states:
        try:
            found = explained(state)
        except NonFiniteOutputError as error:
            raise ModelError(
                f"With random weights up to {name!r} the output is not finite; weights='permuted' keeps their scale."
            ) from error
        layers.append(name)
        alikeness.append(_compared(alike, trained, found))
        entropies.append(histogram_entropy(found, bins))
    return Sanity(
        ("all",) if efficient else tuple(layers),
        torch.stack(alikeness),
        torch.stack(entropies),
        "bottom_up" if efficient else order,
    )


def _compared(alike: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    found = torch.as_tensor(alike(a, b)).double().cpu()
    if found.shape != (len(a),):
        raise InputError(
            f"similarity returned shape {tuple(found.shape)}; expected one number per sample, ({len(a)},)."
        )
    finite = torch.isfinite(a).flatten(1).all(1) & torch.isfinite(b).flatten(1).all(1)
    return torch.where(finite, found, float("nan"))


def histogram_entropy(relevance: Iterable[Tensor], bins: int) -> Tensor:
    """(N,): of the histogram of each sample's values from the least to the greatest, in nats; NaN if not finite."""
    found = []
    for values in (sample.flatten().numpy() for sample in relevance):
        if not np.isfinite(values).all():
            found.append(float("nan"))
            continue
        counts, _ = np.histogram(values, bins=bins)
        share = counts[counts > 0] / counts.sum()
        found.append(float(-(share * np.log(share)).sum()))
    return torch.tensor(found, dtype=torch.float64)
