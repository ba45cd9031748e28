"""LRP on one dense affine layer in float64, written from the papers: explicit sums over the Jacobian.

Nothing here knows the package. ``J[j, i]`` is the weight from input i to output j, ``b[j]`` the value at x = 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def affine(layer: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """(J, b) of a layer for one sample ``x`` (no batch dimension), flattened."""
    zero = torch.zeros_like(x)
    b = layer(zero[None])[0].detach().reshape(-1)
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0], x)
    return jacobian.reshape(b.numel(), x.numel()), b


def stab(t: Tensor, eps: float) -> Tensor:
    return torch.where(t >= 0, t + eps, t - eps)


def pos(t: Tensor) -> Tensor:
    return torch.where(t > 0, t, torch.zeros_like(t))


def neg(t: Tensor) -> Tensor:
    return torch.where(t < 0, t, torch.zeros_like(t))


def share(numerators: Tensor, extra: Tensor, relevance: Tensor, eps: float) -> Tensor:
    """Σ_j n_ji / stab(Σ_i n_ji + extra_j) R_j."""
    total = numerators.sum(1) + extra
    return (numerators / stab(total, eps)[:, None] * relevance[:, None]).sum(0)


def epsilon(J, b, x, R, epsilon=1e-6):  # Bach et al. 2015, eq. 58
    return share(J * x, b, R, epsilon)


def zplus(J, b, x, R, stabilizer=1e-9):  # Montavon et al. 2017, eq. 17, for both signs of x
    return share(pos(J * x), pos(b), R, stabilizer)


def alpha_beta(J, b, x, R, alpha=2.0, beta=1.0, stabilizer=1e-9):  # Bach et al. 2015, eq. 60
    positive = share(pos(J * x), pos(b), R, stabilizer)
    negative = share(neg(J * x), neg(b), R, stabilizer)
    return alpha * positive - beta * negative


def gamma(J, b, x, R, gamma=0.25, stabilizer=1e-9):  # Montavon et al. 2019
    return share((J + gamma * pos(J)) * x, b + gamma * pos(b), R, stabilizer)


def generalized_gamma(J, b, x, R, gamma=0.25, stabilizer=1e-9):  # Andéol et al. 2021
    z = (J * x).sum(1) + b
    up = share(J * x + gamma * pos(J * x), b + gamma * pos(b), torch.where(z > 0, R, 0.0), stabilizer)
    down = share(J * x + gamma * neg(J * x), b + gamma * neg(b), torch.where(z < 0, R, 0.0), stabilizer)
    return up + down


def w_square(J, b, x, R, stabilizer=1e-9):  # Montavon et al. 2017, eq. 12
    return share(J**2, torch.zeros_like(b), R, stabilizer)


def flat(J, b, x, R, stabilizer=1e-9):  # Lapuschkin et al. 2019
    return share((J != 0).to(J), torch.zeros_like(b), R, stabilizer)


def z_box(J, b, x, R, low, high, stabilizer=1e-9):  # Montavon et al. 2017, eq. 16
    return share(J * x - pos(J) * low - neg(J) * high, torch.zeros_like(b), R, stabilizer)
