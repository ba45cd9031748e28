"""``maximize``: what a model takes for the best example of a class, a neuron, a channel or a direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from .engine.programs import never_compiled
from .errors import InputError, ModelError, TargetError
from .maximization.ascent import OPTIMIZERS, Ascent, Operator, Penalty, Transform
from .maximization.objectives import Objective, objective_of
from .maximization.parameterizations import PARAMETERIZATIONS, Bound, Parameterization, Pixels, shape_of
from .maximization.penalties import L2
from .maximization.result import Maximization, Report
from .maximization.surroundings import undisturbed

__all__ = ["maximize"]

Target = int | Callable[[Any], Tensor] | Objective | None
Shape = int | Sequence[int] | Tensor


@never_compiled
def maximize(
    model: Callable[..., Any],
    target: Target | Sequence[Target] | Tensor,
    shape_or_prior: Shape | Parameterization | None = None,
    *,
    prior: Parameterization | None = None,
    restarts: int = 4,
    steps: int = 256,
    lr: float = 0.05,
    optimizer: Literal["adam", "sgd"] = "adam",
    penalties: Penalty | Sequence[Penalty] | None = None,
    transforms: Transform | Sequence[Transform] = (),
    operators: Operator | Sequence[Operator] = (),
    parameterization: Literal["pixels", "frequencies"] = "pixels",
    low: Bound = None,
    high: Bound = None,
    density_weight: float = 1.0,
    start: Tensor | None = None,
    seed: int = 0,
    report: Report = lambda step: None,
) -> Maximization | tuple[Maximization, ...]:
    r"""Search inputs that a model answers most strongly: activation maximisation.

    Gradient ascent on :math:`f(g(z)) - \sum_k \Omega_k(g(z)) + \lambda \log p(z)` in a code z: the input itself, its
    frequencies, or the code of a generative model. The learning rate falls to 0 along half a cosine.

    Parameters
    ----------
    model
        A module or function; left exactly as it is, and run in evaluation mode. A final softmax, log-softmax or sigmoid
        is stepped over to the logit, for callables too.
    target
        A class; None, the only output; a callable from the output to (n,); an objective of ``sciexplain.maximization``
        (``LogProbability``, ``Neuron``, ``Channel``, ``Direction``, ``Diverse``, and weighted sums of them); or a list
        of these, one search each, in one batch.
    shape_or_prior
        The shape of one input, without the batch dimension; or a prior, see below.
    prior
        A generative model: an object with ``code_shape``, ``decode(codes)`` and ``log_density(codes)``, such as
        :class:`~sciexplain.maximization.Decoder`; or a density of inputs, :class:`~sciexplain.maximization.Density`.
    restarts
        Searches for each target, from codes drawn at random; the same ones for every target.
    steps, lr, optimizer
        Of Adam, or of plain gradient ascent.
    penalties
        Functions of the inputs, (n, …) to (n,), such as ``L2(0.01)`` and ``TotalVariation(0.1)``; one or several. None:
        ``L2(0.1)`` for a shape without bounds, which would otherwise have no maximum, nothing otherwise.
    transforms
        What the model sees instead of the inputs, drawn anew in every step, such as ``Jitter(2)``; one or several.
    operators
        What becomes of the inputs themselves after a step, such as ``Blur(0.5, every=4)``; for pixels.
    parameterization
        For a shape: step on ``"pixels"`` or on ``"frequencies"``.
    low, high
        For a shape: bounds of the inputs, numbers or tensors that broadcast to (n, \*shape).
    density_weight
        λ of the prior's log-density.
    start
        (restarts, \*code_shape): codes to begin with instead.
    seed
        Of the starts and transforms.
    report
        Told every step.

    Returns
    -------
    Maximization
        For a list of targets, a tuple of them. Starts and transforms of a target do not depend on what else is listed.

    Raises
    ------
    InputError, TargetError, ModelError
    NonFiniteOutputError
        The objective became NaN or infinite.

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> from sciexplain.maximization import L2
    >>> model = torch.nn.Linear(2, 3, bias=False)
    >>> found = sx.maximize(model, 1, (2,), penalties=[L2(0.5)], restarts=2)
    >>> bool(torch.allclose(found.best, model.weight[1], atol=1e-3))  # where the gradient w − x is 0
    True

    References
    ----------
    Erhan et al. 2009, *Visualizing higher-layer features of a deep network*. Simonyan et al. 2013, *Deep inside
    convolutional networks*. Montavon, Samek and Müller 2018, *Methods for interpreting and understanding deep neural
    networks*, section 3.
    """
    if not callable(model):
        raise ModelError(f"model is {type(model).__name__}; expected a torch module or another callable.")
    if not all(hasattr(n, "__index__") and n > 0 for n in (restarts, steps)) or not lr > 0:
        raise InputError(f"restarts={restarts}, steps={steps}, lr={lr}: expected whole numbers and a rate, above 0.")
    if optimizer not in OPTIMIZERS:
        raise InputError(f'optimizer={optimizer!r}: expected "adam" or "sgd".')
    targets, single = _listed(target)
    given = _parameterization(shape_or_prior, prior, parameterization, low, high)
    if penalties is None:
        bounded = low is not None or high is not None
        penalties = () if given is shape_or_prior or given is prior or bounded else (L2(0.1),)
    penalties, transforms, operators = map(_functions, (penalties, transforms, operators))
    if operators and not isinstance(given, Pixels):
        raise InputError('operators change inputs that are stepped on themselves: parameterization="pixels".')
    search = Ascent(
        model, [objective_of(one) for one in targets], given, penalties, transforms, operators,
        density_weight, restarts,
    )  # fmt: skip
    with undisturbed(model, given, seed=seed):
        generator = torch.Generator().manual_seed(seed)
        codes = search.started(start, generator)
        trace = search.ascend(codes, OPTIMIZERS[optimizer], steps, lr, generator, report)
        found = search.results(targets, codes, trace)
    return found[0] if single else found


def _listed(target: Any) -> tuple[list[Any], bool]:
    """Targets, and whether one was given by itself."""
    if getattr(target, "ndim", 0) == 1:  # of a tensor or an array
        target = target.tolist()
    if not isinstance(target, Sequence | range) or isinstance(target, str):
        return [target], True
    if not len(target):
        raise TargetError("target is an empty list; expected one target or more.")
    return list(target), False


def _functions(given: Any) -> tuple[Any, ...]:
    """Several, or one by itself."""
    return (given,) if callable(given) else tuple(given)


def _parameterization(shape_or_prior: Any, prior: Any, kind: str, low: Bound, high: Bound) -> Any:
    given = prior if prior is not None else shape_or_prior
    if prior is not None and shape_or_prior is not None:
        raise InputError("both a shape (or prior) and prior= are given; expected one of them.")
    if given is None:
        raise InputError(
            "expected the shape of one input without the batch, such as sx.maximize(model, 3, (1, 28, 28)), or prior=."
        )
    if hasattr(given, "decode"):
        if not hasattr(given, "code_shape"):
            raise InputError(f"the prior {type(given).__name__} has decode, but no code_shape; expected both.")
        if low is not None or high is not None:
            raise InputError("low and high are bounds for a shape; a prior's inputs are what its decoder makes.")
        return given
    if kind not in PARAMETERIZATIONS:
        raise InputError(f"parameterization={kind!r}: expected {' or '.join(map(repr, PARAMETERIZATIONS))}.")
    return PARAMETERIZATIONS[kind](shape_of(given), low, high)
