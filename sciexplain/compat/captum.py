"""Objects with captum's ``attribute``, its tuples, targets and signs.

>>> import torch
>>> from sciexplain.compat.captum import LRP
>>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
>>> attributions, delta = LRP(model).attribute(torch.ones(2, 4), target=1, return_convergence_delta=True)
>>> attributions.shape, delta.shape
(torch.Size([2, 4]), torch.Size([2]))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..composites import Composite
from ..errors import RuleError, TargetError
from ..explain import explain
from ..explanation import Explanation
from ..targets import Target, explained_output

__all__ = ["LRP", "Attribution", "DeepLift", "IntegratedGradients"]

Tensors = Tensor | tuple[Tensor, ...]
CaptumTarget = None | int | Tensor | tuple[int, ...] | list[int] | list[tuple[int, ...]]


class Attribution:
    """Any method of :func:`sciexplain.explain`, called as captum's are.

    Parameters
    ----------
    model : callable
        As for ``explain``.
    method : str
        One of ``sciexplain.METHODS``.
    **options
        Of ``explain`` and of the method.
    """

    def __init__(self, model: Callable[..., Any], method: str, **options: Any) -> None:
        self.model, self.method, self.options = model, method, options

    def attribute(
        self,
        inputs: Tensors,
        target: CaptumTarget = None,
        additional_forward_args: Any = None,
        return_convergence_delta: bool = False,
    ) -> Any:
        """The relevance of the inputs.

        Parameters
        ----------
        inputs : Tensor or tuple of Tensors
            What is explained.
        target : int, Tensor, tuple, list of int or list of tuples, or None
            Index of the output to explain, for all samples or for each; a tuple indexes an output of more dimensions.
            None: the only output, or the predicted class.
        additional_forward_args
            Handed to the model behind the inputs, one or a tuple of them; not explained.
        return_convergence_delta : bool
            Whether to return what completeness lacks too, shape (N,), with captum's signs: Σ attributions −
            (score − score of the baseline), and for LRP score − Σ attributions.

        Returns
        -------
        Tensor or tuple of Tensors like the inputs, and the delta if asked for

        Raises
        ------
        SciExplainError
            As :func:`sciexplain.explain`.
        """
        return self._attribute(inputs, target, additional_forward_args, return_convergence_delta, {})

    def _attribute(
        self, inputs: Tensors, target: CaptumTarget, more: Any, with_delta: bool, options: dict[str, Any]
    ) -> Any:
        extra = () if more is None else more if isinstance(more, tuple) else (more,)
        model = self.model

        def extended(*args: Any) -> Any:
            return model(*args, *extra)

        e = explain(extended if extra else model, inputs, _target(target), self.method, **{**self.options, **options})
        return (e.relevance, self._delta(e)) if with_delta else e.relevance

    def _delta(self, e: Explanation) -> Tensor:
        if e.method == "lrp":
            relevance = e.relevance if isinstance(e.relevance, tuple) else (e.relevance,)
            sums = [r.flatten(1).sum(1) for r in relevance if isinstance(r, Tensor)]
            return e.score - torch.stack(sums).sum(0)
        if e.convergence_error is None:
            raise RuleError(f"method={self.method!r} promises no completeness, so that it has no convergence delta.")
        return -e.convergence_error


class LRP(Attribution):
    """Layer-wise relevance propagation, for any architecture and without rules set on modules.

    Parameters
    ----------
    model : callable
    composite : Composite or str
        Which rule each operation gets; the default is ε everywhere, as captum's.
    **options
        Others of ``explain`` for LRP, such as ``on_unknown``.
    """

    def __init__(self, model: Callable[..., Any], composite: Composite | str | None = None, **options: Any) -> None:
        super().__init__(model, "lrp", composite=composite, **options)


class IntegratedGradients(Attribution):
    """Integrated gradients with captum's ``baselines`` and ``n_steps``."""

    def __init__(self, model: Callable[..., Any], **options: Any) -> None:
        super().__init__(model, "integrated_gradients", **options)

    def attribute(  # type: ignore[override]  # captum's order of arguments
        self,
        inputs: Tensors,
        baselines: float | Tensor | tuple[float | Tensor, ...] | None = None,
        target: CaptumTarget = None,
        additional_forward_args: Any = None,
        n_steps: int = 50,
        return_convergence_delta: bool = False,
    ) -> Any:
        """As :meth:`Attribution.attribute`, along ``n_steps`` points on the line from ``baselines`` (None: 0)."""
        options = {"baseline": 0.0 if baselines is None else baselines, "steps": n_steps}
        return self._attribute(inputs, target, additional_forward_args, return_convergence_delta, options)


class DeepLift(Attribution):
    """DeepLIFT (rescale rule) with captum's ``baselines``."""

    def __init__(self, model: Callable[..., Any], **options: Any) -> None:
        super().__init__(model, "deeplift", **options)

    def attribute(  # type: ignore[override]  # captum's order of arguments
        self,
        inputs: Tensors,
        baselines: float | Tensor | tuple[float | Tensor, ...] | None = None,
        target: CaptumTarget = None,
        additional_forward_args: Any = None,
        return_convergence_delta: bool = False,
    ) -> Any:
        """As :meth:`Attribution.attribute`, against ``baselines`` (None: 0)."""
        options = {} if baselines is None else {"reference": _expanded(baselines, inputs)}
        return self._attribute(inputs, target, additional_forward_args, return_convergence_delta, options)


def _expanded(baselines: Any, inputs: Tensors) -> Any:
    """Numbers, and tensors for one sample, in the shape of the inputs."""
    if isinstance(inputs, Tensor):
        return torch.as_tensor(baselines).to(inputs).expand_as(inputs)
    each = baselines if isinstance(baselines, tuple) else (baselines,) * len(inputs)
    return tuple(torch.as_tensor(b).to(x).expand_as(x) for b, x in zip(each, inputs, strict=True))


def _target(target: CaptumTarget) -> Target:
    if isinstance(target, Tensor):
        if target.is_floating_point():
            raise TargetError(f"target has the dtype {target.dtype}; expected indices of outputs.")
        return int(target) if target.numel() == 1 else target
    if isinstance(target, tuple):
        place: Any = target
        return lambda output: explained_output(output)[(slice(None), *place)]
    if isinstance(target, list):
        if all(isinstance(t, tuple) for t in target):
            places: list[Any] = target
            return lambda output: torch.stack(
                [row[place] for row, place in zip(explained_output(output), places, strict=True)]
            )
        return torch.as_tensor(target)
    return target
