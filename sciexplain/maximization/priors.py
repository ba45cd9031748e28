"""Complex regularizers: a generative model's codes, or a density of inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from .parameterizations import Bound, Pixels, shape_of

LogDensity = Callable[[Tensor], Tensor]


class Decoder:
    """The codes of a generative model: what is maximised stays among the inputs that it can make.

    The objective is :math:`f(g(z)) + \\lambda \\log p(z)`; for a standard normal p the second term is
    :math:`-\\frac{\\lambda}{2} \\|z\\|^2` and a constant. Nguyen et al. 2016, *Synthesizing the preferred inputs for
    neurons in neural networks via deep generator networks*; Montavon, Samek and Müller 2018, section 3.3.

    Parameters
    ----------
    decoder
        g, from codes (n, *code_shape) to data; a module is used in evaluation mode.
    code_shape
        Of one code.
    log_density
        log p, (n, *code_shape) to (n,); None: standard normal.
    to_input
        From the decoder's data to what the model takes, such as a normalisation; it may give a tuple or dict.
    encoder
        From the model's inputs to codes near theirs, where :func:`sciexplain.counterfactual` begins.

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> from sciexplain.maximization import Decoder
    >>> linear = torch.nn.Linear(4, 3, bias=False)
    >>> prior = Decoder(torch.nn.Linear(2, 4, bias=False), (2,))
    >>> sx.maximize(linear, 0, prior=prior, restarts=2, steps=8).inputs.shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        decoder: Callable[[Tensor], Any],
        code_shape: int | Sequence[int],
        log_density: LogDensity | None = None,
        to_input: Callable[[Any], Any] | None = None,
        encoder: Callable[[Any], Tensor] | None = None,
    ) -> None:
        self.decoder, self.code_shape = decoder, shape_of(code_shape)
        self._log_density, self._to_input = log_density or standard_normal, to_input
        if encoder is not None:
            self.encode = encoder

    def decode(self, codes: Tensor) -> Any:
        data = self.decoder(codes)
        return data if self._to_input is None else self._to_input(data)

    def log_density(self, codes: Tensor) -> Tensor:
        return self._log_density(codes)


class Density(Pixels):
    """Inputs themselves, under a density of them: :math:`f(x) + \\lambda \\log p(x)`.

    Montavon, Samek and Müller 2018, section 3.2, where p is called an expert.

    Parameters
    ----------
    shape, low, high
        As for :class:`~sciexplain.maximization.parameterizations.Pixels`.
    log_density
        log p, (n, *shape) to (n,).
    """

    def __init__(self, shape: Sequence[int], log_density: LogDensity, low: Bound = None, high: Bound = None) -> None:
        super().__init__(shape, low, high)
        self._log_density = log_density

    def log_density(self, codes: Tensor) -> Tensor:
        return self._log_density(codes)


def standard_normal(codes: Tensor) -> Tensor:
    """(n, *shape) to (n,): the log-density of independent standard normal values."""
    flat = codes.flatten(1)
    return -0.5 * ((flat**2).sum(1) + flat.shape[1] * math.log(2 * math.pi))


def log_density_of(prior: Any, codes: Tensor) -> Tensor | None:
    """(n,); None for what has no density."""
    density = getattr(prior, "log_density", None)
    if density is None:
        return None
    found = density(codes)
    if not isinstance(found, Tensor) or found.numel() != len(codes):
        given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(f"the prior's log_density returned {given}; expected a tensor (n,), one value for each code.")
    return found.reshape(len(codes))


def drawn(prior: Any, count: int, generator: torch.Generator) -> Tensor:
    """Codes to start from: the parameterization's own, or standard normal."""
    start = getattr(prior, "start", None)
    if start is not None:
        codes: Tensor = start(count, generator)
        return codes
    return torch.randn((count, *shape_of(prior.code_shape)), generator=generator)
