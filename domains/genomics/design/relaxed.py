"""Gradient ascent over letters that are drawn: straight-through Gumbel, always on sequences that are allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from sciexplain.domains.genomics.design.constraints import Codes
from sciexplain.domains.genomics.design.problem import Problem
from sciexplain.errors import ModelError

_LEARNING_RATE = 0.1
_KEPT = 3.0
"""Logit of the letter that a sequence starts with, above the others."""


def relaxed(
    problems: Sequence[Problem],
    starts: Sequence[Codes | None],
    steps: int,
    rng: np.random.Generator,
    report: Callable[[int, float], object],
) -> list[Codes]:
    r"""The best sequences met while logits of letters follow the objective's gradient.

    A step draws letters by the Gumbel-max trick and lets the model see them, one-hot; the gradient goes on to
    :math:`\mathrm{softmax}(l + g)` as if these had been seen (Jang et al. 2017, *Categorical reparameterization with
    Gumbel-softmax*; the straight-through estimator of its section 2.2). What is drawn is the allowed sequence of the
    largest :math:`\sum_i (l + g)_{i, x_i}`, found exactly (perturb-and-MAP, Papandreou and Yuille 2011), so that only
    allowed sequences are ever seen. From scratch the logits are normalized over the positions of each letter,
    :math:`\gamma (l - \mu) / \sigma + \beta` with a learned scale and offset for each letter (Linder and Seelig 2021,
    *Fast activation maximization for molecular sequence design*); from a given sequence its own letters begin above the
    others.

    Parameters
    ----------
    problems, starts
        One for each sequence, all of one length; a start is None where logits begin by chance.
    steps
        Of Adam.
    rng
        Of starts and draws.
    report
        Told each step's number and the best value so far.

    Returns
    -------
    The best sequence of each, the last without noise among those compared.
    """
    first = problems[0]
    like, letters = first.objective.like, first.objective.letters
    shape = (len(problems), letters, len(first.options))
    offsets = np.zeros(shape)
    for row, start in enumerate(starts):
        if start is not None:
            known = np.flatnonzero(start < letters)
            offsets[row, start[known], known] = _KEPT
    offset = _tensor(offsets, like)
    scratch = all(start is None for start in starts)
    free = _tensor(rng.normal(size=shape) if scratch else np.zeros(shape), like).requires_grad_()
    scale = torch.ones(len(problems), letters, 1).to(free).requires_grad_()
    shift = torch.zeros(len(problems), letters, 1).to(free).requires_grad_()
    variables = [free, scale, shift] if scratch else [free]
    optimizer = torch.optim.Adam(variables, lr=_LEARNING_RATE)
    unknown = np.stack([problem.options[:, -1] for problem in problems])[:, None]
    present = _tensor(1.0 - unknown, like)
    extra = _extra(problems)
    best: list[tuple[float, Codes | None]] = [(-np.inf, None)] * len(problems)
    for step in range(steps + 1):
        noise = rng.gumbel(size=shape) if step < steps else np.zeros(shape)
        with torch.enable_grad():
            logits = _normalized(free, scale, shift) if scratch else free + offset
            perturbed = logits + _tensor(noise, like)
            codes = _allowed(problems, perturbed)
            soft = perturbed.softmax(1) * present
            drawn = torch.cat([p.objective.one_hot(c[None]) for p, c in zip(problems, codes, strict=True)])
            seen = (drawn.to(soft) - soft).detach() + soft
            values = _values(problems, seen, extra)
            if not values.requires_grad:
                raise ModelError('The model\'s output has no gradient; give method="search", which needs none.')
            if step < steps:
                gradients = torch.autograd.grad(-values.sum(), variables)
        for row, value in enumerate(values.detach().double().tolist()):
            if value > best[row][0]:
                best[row] = (value, codes[row])
        report(step, max(value for value, _ in best))
        if step < steps:
            for variable, gradient in zip(variables, gradients, strict=True):
                variable.grad = gradient
            optimizer.step()
    return [found if found is not None else codes[row] for row, (_, found) in enumerate(best)]


def _allowed(problems: Sequence[Problem], scores: Tensor) -> Codes:
    found = [
        p.best(s) for p, s in zip(problems, scores.detach().double().cpu().numpy().transpose(0, 2, 1), strict=True)
    ]
    return np.stack([codes for codes in found if codes is not None])


def _normalized(free: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    mean = free.mean(2, keepdim=True)
    spread = (free - mean).pow(2).mean(2, keepdim=True).add(1e-6).sqrt()
    return scale * (free - mean) / spread + shift


def _extra(problems: Sequence[Problem]) -> Tensor | None:
    listed = [problem.objective.extra for problem in problems]
    return None if listed[0] is None else torch.stack([e for e in listed if e is not None])


def _values(problems: Sequence[Problem], one_hot: Tensor, extra: Tensor | None) -> Tensor:
    """(n,), in parts, so that many sequences need no more memory than a few."""
    objective = problems[0].objective
    size = objective.batch_size or max(1, 2**18 // one_hot.shape[2])
    parts = [
        objective(one_hot[i : i + size], None if extra is None else extra[i : i + size])
        for i in range(0, len(one_hot), size)
    ]
    return torch.cat(parts)


def _tensor(values: np.ndarray, like: Tensor) -> Tensor:
    dtype = like.dtype if like.dtype in (torch.float32, torch.float64) else torch.float32
    return torch.as_tensor(values, dtype=dtype, device=like.device)
