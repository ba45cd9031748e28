"""Flipping for inputs that are one tensor: pixels and patches of images, positions of sequences, features of tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..explanation import Explanation
from ..targets import Target
from .curves import Comparison, Flipping, Mode, Order
from .fillers import Inpaint
from .flipping import Steps, compare, flipping
from .parts import Parts
from .scoring import Output
from .tensor_removal import Fill, TensorRemoval, target_of


def pixel_flipping(
    model: Callable[..., Any],
    inputs: Tensor,
    relevance: Explanation | Tensor | Any,
    target: Target = None,
    *,
    order: Order = "most",
    mode: Mode = "deletion",
    filler: Fill = "mean",
    parts: Parts = None,
    steps: Steps = 50,
    output: Output = "score",
    batch_size: int = 128,
    seed: int = 0,
) -> Flipping:
    """The score as pixels are taken away, most relevant first: a faithful explanation lets it fall fast.

    Parameters
    ----------
    model
        Left as it is; in evaluation mode while it runs.
    inputs
        (N, features), (N, length) or (N, C, \\*spatial) with one to three spatial dimensions.
    relevance
        An explanation, or tensor or array shaped like the inputs or (N, \\*spatial). A part's is the sum over its
        values.
    target
        As for :func:`sciexplain.explain`. None: the explanation's own; for arrays the predicted class.
    order, mode, steps
        As for :func:`~sciexplain.evaluate.flipping`.
    filler, parts
        What stands where a part was, and what a part is; see :class:`~sciexplain.evaluate.TensorRemoval`.
    output
        ``"score"``: what the model returns. ``"probability"``: its softmax. ``"correct"``: 1 while the class has the
        highest output.
    batch_size
        Rows in one forward pass; the curves are the same for any.
    seed
        Of ties, of a random order and of random fillers.

    Returns
    -------
    Flipping
        Fractions (S,), scores (N, S), areas (N,).

    Raises
    ------
    InputError, TargetError, ModelError

    Examples
    --------
    >>> import sciexplain as sx
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9, 2)).eval()
    >>> x = torch.rand(4, 1, 3, 3)
    >>> e = sx.explain(model, x)
    >>> most = pixel_flipping(model, x, e, filler="zero", steps=None)
    >>> least = pixel_flipping(model, x, e, filler="zero", steps=None, order="least")
    >>> most.scores.shape, least.difference(most).mean > 0
    (torch.Size([4, 10]), True)

    References
    ----------
    Bach et al. 2015, PLoS ONE 10(7). Samek et al. 2017, IEEE TNNLS 28(11).
    """
    removal = TensorRemoval(
        model,
        inputs,
        target_of(relevance, target),
        filler=filler,
        parts=parts,
        output=output,
        batch_size=batch_size,
        seed=seed,
    )
    return flipping(removal, removal.fold(relevance), order=order, mode=mode, steps=steps, seed=seed)


def compare_pixels(
    model: Callable[..., Any],
    inputs: Tensor,
    relevance: Mapping[str, Any],
    target: Target = None,
    *,
    mode: Mode = "deletion",
    filler: Fill = "mean",
    parts: Parts = None,
    steps: Steps = 50,
    output: Output = "score",
    batch_size: int = 128,
    seed: int = 0,
) -> Comparison:
    """Several explanations of the same samples, both ways, beside a random order.

    Parameters
    ----------
    relevance
        By name, each as for :func:`pixel_flipping`. Explanations must be of the same targets.
    model, inputs, target, mode, filler, parts, steps, output, batch_size, seed
        As for :func:`pixel_flipping`.

    Raises
    ------
    InputError, TargetError, ModelError
    """
    if not isinstance(relevance, Mapping):
        raise InputError(f'relevance is {type(relevance).__name__}; expected explanations by name, {{"lrp": e, …}}.')
    common = target
    for name, given in relevance.items():
        own = target_of(given, target)
        if isinstance(common, Tensor) and isinstance(own, Tensor) and not torch.equal(common, own.to(common.device)):
            raise InputError(f"The explanation {name!r} is of other targets than those before it.")
        common = own if common is None else common
    removal = TensorRemoval(
        model, inputs, common, filler=filler, parts=parts, output=output, batch_size=batch_size, seed=seed
    )
    return compare(removal, {k: removal.fold(r) for k, r in relevance.items()}, mode=mode, steps=steps, seed=seed)


def deletion(
    model: Callable[..., Any],
    inputs: Tensor,
    relevance: Any,
    target: Target = None,
    *,
    filler: Fill = "zero",
    parts: Parts = None,
    steps: Steps = 50,
    output: Output = "probability",
    batch_size: int = 128,
    seed: int = 0,
) -> Flipping:
    """The deletion game: the class probability as pixels are taken away, most relevant first; a small area is good.

    Parameters as for :func:`pixel_flipping`.

    References
    ----------
    Petsiuk et al. 2018, *RISE*, BMVC.
    """
    return pixel_flipping(
        model, inputs, relevance, target, mode="deletion", filler=filler, parts=parts, steps=steps, output=output,
        batch_size=batch_size, seed=seed,
    )  # fmt: skip


def insertion(
    model: Callable[..., Any],
    inputs: Tensor,
    relevance: Any,
    target: Target = None,
    *,
    filler: Fill = "blur",
    parts: Parts = None,
    steps: Steps = 50,
    output: Output = "probability",
    batch_size: int = 128,
    seed: int = 0,
) -> Flipping:
    """The insertion game: the class probability as pixels come into the blurred image; a large area is good.

    Parameters as for :func:`pixel_flipping`; tables and tokens need another filler than blur.

    References
    ----------
    Petsiuk et al. 2018, *RISE*, BMVC.
    """
    return pixel_flipping(
        model, inputs, relevance, target, mode="insertion", filler=filler, parts=parts, steps=steps, output=output,
        batch_size=batch_size, seed=seed,
    )  # fmt: skip


def region_perturbation(
    model: Callable[..., Any],
    inputs: Tensor,
    relevance: Any,
    target: Target = None,
    *,
    size: int | tuple[int, ...] = 9,
    regions: int | None = 100,
    order: Order = "most",
    filler: Fill = "uniform",
    output: Output = "score",
    batch_size: int = 128,
    seed: int = 0,
) -> Flipping:
    """The score as square regions are replaced by random values, one after the other; ``.aopc`` sums it up.

    Parameters
    ----------
    size
        Of a region, in positions.
    regions
        How many are replaced at most. None: all.
    model, inputs, relevance, target, order, filler, output, batch_size, seed
        As for :func:`pixel_flipping`.

    References
    ----------
    Samek et al. 2017, IEEE TNNLS 28(11).
    """
    removal = TensorRemoval(
        model,
        inputs,
        target_of(relevance, target),
        filler=filler,
        parts=size,
        output=output,
        batch_size=batch_size,
        seed=seed,
    )
    if regions is not None and regions < 1:
        raise InputError(f"regions={regions}: expected a positive number, or None for all.")
    count = removal.sizes[0]
    steps = torch.arange(min(regions or count, count) + 1, dtype=torch.float64) / count
    return flipping(removal, removal.fold(relevance), order=order, steps=steps, seed=seed)


def road(
    model: Callable[..., Any],
    inputs: Tensor,
    relevance: Any,
    target: Target = None,
    *,
    fractions: Steps = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    order: Order = "most",
    noise: float = 0.01,
    parts: Parts = None,
    output: Output = "correct",
    batch_size: int = 128,
    seed: int = 0,
) -> Flipping:
    """Remove and debias: how often the class is still predicted where pixels are filled in from their neighbours.

    Linear imputation tells less of the shape of what was removed than a constant does. The mean curve is the accuracy.

    Parameters
    ----------
    fractions
        Of the pixels, as ``steps`` for :func:`pixel_flipping`.
    noise
        See :class:`~sciexplain.evaluate.Inpaint`.
    model, inputs, relevance, target, order, parts, output, batch_size, seed
        As for :func:`pixel_flipping`. For the accuracy give the true classes as target.

    References
    ----------
    Rong et al. 2022, *A consistent and efficient evaluation strategy for attribution methods*, ICML.
    """
    return pixel_flipping(
        model, inputs, relevance, target, order=order, filler=Inpaint(noise), parts=parts, steps=fractions,
        output=output, batch_size=batch_size, seed=seed,
    )  # fmt: skip
