"""``counterfactual``: the nearest input of which a model says something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from .engine.programs import never_compiled
from .errors import InputError, ModelError
from .inputs import Inputs
from .maximization.nearest import Free, Nearest, Target
from .maximization.nearest_result import Counterfactual, Search
from .maximization.parameterizations import Bound, Parameterization
from .maximization.surroundings import undisturbed

__all__ = ["Counterfactual", "Search", "counterfactual"]


@never_compiled
def counterfactual(
    model: Callable[..., Any],
    inputs: Tensor,
    target: Target = None,
    *,
    prior: Parameterization | None = None,
    distance: Literal["l1", "l2"] = "l1",
    scale: Tensor | Sequence[float] | float = 1.0,
    mutable: Tensor | None = None,
    low: Bound = None,
    high: Bound = None,
    margin: float = 0.0,
    density_weight: float = 1.0,
    rounds: int = 6,
    steps: int = 100,
    lr: float = 0.05,
    seed: int = 0,
    report: Callable[[Search], object] = lambda search: None,
) -> Counterfactual:
    r"""Search the nearest input with another prediction, for each sample.

    Minimises :math:`d(x, x') + c \max(0, m - f(x'))` by Adam, where f is by how many logits the asked-for prediction
    wins. The weight c of each sample is raised until its prediction turns, then halved towards the least that does, in
    ``rounds`` searches; of all valid points passed, the nearest counts. For ``"l1"``, changes that do little for the
    prediction are then left out; at last it is moved back towards the input as far as its prediction allows. Where any
    other class will do, that one is searched for whose boundary would be nearest if the model were linear, of the ten
    with the highest logits. The result is a near input, not provably the nearest.

    With a prior, x' = g(z) and :math:`-\lambda \log p(z)` is added to the distance, so that the counterfactual stays
    among the probable inputs.

    Parameters
    ----------
    model
        A module or function; left exactly as it is, and run in evaluation mode. A final softmax or sigmoid is stepped
        over.
    inputs
        (N, …) of floats. For a model with several inputs give a function of the one that may change.
    target
        None: any prediction but the present one. int or (N,): this class; of a single output 1 means a logit above 0.
        A callable of the output: its value (N,) shall become positive.
    prior
        Search among the inputs that a generative model makes, an object as for :func:`sciexplain.maximize`; codes to
        begin with come from its ``encode(inputs)``, where it has that, or are searched for.
    distance
        ``"l1"``: :math:`\sum_i |x_i - x'_i| / s_i`; ``"l2"``: :math:`\big(\sum_i (x_i - x'_i)^2 / s_i^2\big)^{1/2}`.
    scale
        s, a number or broadcasting to the inputs; Wachter et al. take each feature's median absolute deviation.
    mutable
        Bool, broadcasting to the inputs: what may change. Not with a prior.
    low, high
        Bounds of the inputs. Not with a prior.
    margin
        m: by how many logits the new prediction must win at least.
    density_weight
        λ: with a prior, of −log p(z); the distance is then squared for ``"l2"``.
    rounds, steps, lr
        Of the searches and of Adam.
    seed
        Of codes that are searched for.
    report
        Told every step.

    Raises
    ------
    InputError, TargetError, ModelError, NonFiniteOutputError

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> _ = model.weight.data.copy_(torch.tensor([[1.0, 2.0]]))
    >>> near = sx.counterfactual(model, torch.tensor([[2.0, 1.0]]), distance="l2")  # to the plane x + 2 y = 0
    >>> bool(near.found), bool((near.distance - 4 / 5**0.5).abs() < 1e-2)
    (True, True)

    References
    ----------
    Wachter, Mittelstadt and Russell 2017, *Counterfactual explanations without opening the black box*.
    Carlini and Wagner 2017, *Towards evaluating the robustness of neural networks* (the search for c).
    Moosavi-Dezfooli, Fawzi and Frossard 2016, *DeepFool* (the nearest boundary).
    """
    if not callable(model):
        raise ModelError(f"model is {type(model).__name__}; expected a torch module or another callable.")
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point() or not inputs.ndim or not len(inputs):
        given = (
            f"{inputs.dtype} of shape {tuple(inputs.shape)}" if isinstance(inputs, Tensor) else type(inputs).__name__
        )
        raise InputError(f"inputs is {given}; expected one tensor of floats (N, …) with N above 0.")
    Inputs.of(inputs)
    if not all(hasattr(n, "__index__") and n > 0 for n in (rounds, steps)) or not lr > 0:
        raise InputError(f"rounds={rounds}, steps={steps}, lr={lr}: expected whole numbers and a rate, above 0.")
    if not bool((torch.as_tensor(scale) > 0).all()):
        raise InputError(f"scale={scale}: expected numbers above 0, what a change of each value is divided by.")
    if distance not in ("l1", "l2"):
        raise InputError(f'distance={distance!r}: expected "l1" or "l2".')
    if prior is not None and (mutable is not None or low is not None or high is not None):
        raise InputError("mutable, low and high are for inputs by themselves; a prior makes whole inputs.")
    with torch.inference_mode(False):
        inputs = inputs.clone() if inputs.is_inference() else inputs.detach()
    given_prior = prior if prior is not None else Free(inputs, mutable, low, high)
    with undisturbed(model, given_prior, seed=seed):
        task = Nearest(model, inputs, target, given_prior, distance, scale, margin, density_weight)
        begin = task.begin(steps, lr, torch.Generator().manual_seed(seed)) if prior is not None else inputs
        codes, found = task.search(begin, rounds, steps, lr, report)
        if prior is None and distance == "l1":
            codes = task.sparser(codes, found)
        codes = task.nearer(begin, codes, found)
        return task.result(codes, found, begin if prior is not None else None)
