r"""Mend the data: take the artefact away, make it tell nothing, or show it with other labels.

A model retrained or fine-tuned (:func:`sciexplain.mend.fine_tuned`) on such data has no reason to use the artefact.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from ..evaluate.fillers import filler_of

__all__ = ["Pasted", "counterexamples", "independent_weights", "masked", "resampled"]


def masked(inputs: Tensor, masks: Tensor, fill: Any = "inpaint", *, seed: int = 0) -> Tensor:
    r"""Samples without what the masks cover.

    Parameters
    ----------
    inputs : Tensor (N, C, \*shape)
    masks : Tensor, bool
        True on the artefact: (N, C, \*shape), (N, 1, \*shape), or one for all, without N.
    fill : str, number, Tensor or callable
        A filler of :mod:`sciexplain.evaluate`: ``"inpaint"`` (from the neighbours), ``"mean"``, ``"zero"``, ``"blur"``,
        ``"uniform"``, ``"resample"`` (what another sample has there), a number, or a function.
    seed : int
        Of fillers that draw.

    Raises
    ------
    InputError

    Examples
    --------
    >>> import torch
    >>> image = torch.ones(1, 1, 3, 3)
    >>> image[0, 0, 1, 1] = 9.0
    >>> masked(image, image == 9, fill="zero")[0, 0, 1]
    tensor([1., 0., 1.])
    """
    where = _fitting(masks, inputs)
    values: Any = filler_of(fill).fit(inputs, seed)
    if not isinstance(values, Tensor):
        values = values(inputs, where.expand(len(inputs), *where.shape[1:]), torch.arange(len(inputs)))
    return torch.where(where, values, inputs)


def independent_weights(labels: Tensor, artefact: Tensor) -> Tensor:
    r"""Weights of samples under which label and artefact are independent, with a mean of 1.

    .. math:: w(y, a) = \frac{P(y)\, P(a)}{P(y, a)}

    Kamiran & Calders 2012, *Data preprocessing techniques for classification without discrimination*, KAIS 33
    (reweighing).

    Parameters
    ----------
    labels : LongTensor (N,)
    artefact : Tensor (N,)
        Bool, or the number of its kind: what each sample carries.

    Raises
    ------
    InputError
        When a label never comes with what others come with: weights cannot show what is not there, but
        :func:`counterexamples` can.

    Examples
    --------
    >>> import torch
    >>> labels = torch.tensor([1, 1, 1, 0, 0, 0])
    >>> independent_weights(labels, torch.tensor([True, True, False, True, False, False]))
    tensor([0.7500, 0.7500, 1.5000, 1.5000, 0.7500, 0.7500])
    """
    counts, cell = _cells(labels, artefact)
    expected = counts.sum(1, keepdim=True) * counts.sum(0, keepdim=True) / counts.sum()
    return (expected / counts).flatten()[cell].to(torch.get_default_dtype())


def resampled(labels: Tensor, artefact: Tensor, n: int | None = None, *, seed: int = 0) -> Tensor:
    """Rows drawn with replacement so that label and artefact are independent; see :func:`independent_weights`.

    Returns
    -------
    LongTensor (n,)
        Row numbers; ``n`` is that of the samples where none is given.

    Examples
    --------
    >>> import torch
    >>> labels, tag = torch.arange(1000) % 2, torch.arange(1000) % 10 < 7
    >>> rows = resampled(labels, tag, 10_000)
    >>> bool((labels[rows][tag[rows]].double().mean() - labels[rows].double().mean()).abs() < 0.02)
    True
    """
    n = len(labels) if n is None else n
    if n < 1:
        raise InputError(f"n={n}: expected a positive number of samples.")
    weights = independent_weights(labels, artefact).double()
    return torch.multinomial(weights, n, replacement=True, generator=torch.Generator().manual_seed(seed))


class Pasted(NamedTuple):
    """Samples of other classes with an artefact that is not theirs.

    Attributes
    ----------
    inputs : Tensor (M, C, *shape)
    labels : LongTensor (M,)
        Their own.
    masks : Tensor, bool
        Where the artefact is in them.
    rows : LongTensor (M,)
        Which samples they were made of.
    """

    inputs: Tensor
    labels: Tensor
    masks: Tensor
    rows: Tensor


def counterexamples(inputs: Tensor, labels: Tensor, masks: Tensor, *, share: float = 0.5, seed: int = 0) -> Pasted:
    r"""The artefact pasted on samples of classes that do not have it, from samples that do, place for place.

    Add them to the data (:func:`torch.cat`): the artefact then speaks for no class in particular.

    Parameters
    ----------
    inputs : Tensor (N, C, \*shape)
    labels : LongTensor (N,)
    masks : Tensor, bool (N, C, \*shape) or (N, 1, \*shape)
        True on the artefact; nowhere in samples without.
    share : float
        Of the samples of each class without the artefact, in (0, 1].
    seed : int
        Of the draw.

    Raises
    ------
    InputError
        When no sample has the artefact, or every class has it.

    Examples
    --------
    >>> import torch
    >>> x, y = torch.zeros(4, 1, 3), torch.tensor([0, 0, 1, 1])
    >>> x[0, 0, 2] = 5.0
    >>> made = counterexamples(x, y, x == 5, share=1.0)
    >>> made.labels, made.inputs[:, 0, 2]
    (tensor([1, 1]), tensor([5., 5.]))
    """
    where = _fitting(masks, inputs)
    if masks.ndim != inputs.ndim or len(masks) != len(inputs) or len(labels) != len(inputs):
        raise InputError(
            f"{len(inputs)} inputs, {len(labels)} labels and masks of shape {tuple(masks.shape)}; expected a label and "
            "a mask for each sample."
        )
    if not 0 < share <= 1:
        raise InputError(f"share={share}: expected a number in (0, 1].")
    carriers = where.flatten(1).any(1)
    others = ~torch.isin(labels, labels[carriers])
    if not bool(carriers.any()) or not bool(others.any()):
        raise InputError(
            "No sample is masked, so that there is nothing to paste."
            if not bool(carriers.any())
            else "Samples of every class have the artefact; weigh them with independent_weights instead."
        )
    draw = torch.Generator().manual_seed(seed)
    chosen = []
    for one in labels[others].unique():
        members = (labels == one).nonzero().flatten()
        chosen.append(members[torch.randperm(len(members), generator=draw)[: max(1, round(share * len(members)))]])
    rows = torch.cat(chosen)
    donors = carriers.nonzero().flatten()
    donors = donors[torch.randint(len(donors), (len(rows),), generator=draw)]
    return Pasted(torch.where(where[donors], inputs[donors], inputs[rows]), labels[rows], masks[donors], rows)


def _fitting(masks: Tensor, inputs: Tensor) -> Tensor:
    """Masks with as many dimensions as the inputs."""
    if masks.dtype != torch.bool:
        raise InputError(f"masks are {masks.dtype}; expected bool, True on the artefact.")
    where = masks[None] if masks.ndim == inputs.ndim - 1 else masks
    fits = where.ndim == inputs.ndim and all(m in (1, i) for m, i in zip(where.shape, inputs.shape, strict=True))
    if not fits:
        raise InputError(
            f"masks of shape {tuple(masks.shape)} do not fit inputs of shape {tuple(inputs.shape)}; expected that "
            "shape, with 1 in the place of channels, or one mask for all samples without the first dimension."
        )
    return where.to(inputs.device)


def _cells(labels: Tensor, artefact: Tensor) -> tuple[Tensor, Tensor]:
    """How many samples are of each label and kind of artefact, and where each sample belongs."""
    if labels.ndim != 1 or labels.shape != artefact.shape or not len(labels):
        raise InputError(
            f"labels of shape {tuple(labels.shape)} and artefact of shape {tuple(artefact.shape)}; expected one of "
            "each for every sample, (N,)."
        )
    names, row = labels.unique(return_inverse=True)
    kinds, column = artefact.unique(return_inverse=True)
    cell = row * len(kinds) + column
    counts = torch.bincount(cell, minlength=len(names) * len(kinds)).double().view(len(names), len(kinds))
    if bool((counts == 0).any()):
        missing = [(names[i].item(), kinds[j].item()) for i, j in (counts == 0).nonzero().tolist()]
        raise InputError(
            f"No sample has (label, artefact) = {', '.join(map(str, missing[:5]))}{' …' if len(missing) > 5 else ''}: "
            "no weighting makes the two independent. Add samples that do, such as counterexamples() makes."
        )
    return counts, cell
