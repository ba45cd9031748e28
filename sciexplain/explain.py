"""``explain``: one call for every method."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import BaseTorchFunctionMode

from .composites import Composite
from .engine.base import OnUnknown, engines_suspended
from .engine.ledger import assemble
from .engine.programs import as_written, never_compiled, original
from .errors import InputError, ModelError, RuleError
from .explanation import Explanation
from .inputs import Inputs, buffers_restored
from .methods import METHODS
from .methods.part import Part
from .origin import Origin
from .targets import Target, normalized, rows_of, start

__all__ = ["explain"]


@never_compiled
def explain(
    model: Callable[..., Any],
    inputs: Tensor | tuple[Any, ...] | dict[str, Any],
    target: Target = None,
    method: str = "lrp",
    *,
    composite: Composite | str | None = None,
    layers: Sequence[str] = (),
    ledger: bool = False,
    on_unknown: OnUnknown = "warn",
    batch_size: int | None = None,
    **options: Any,
) -> Explanation:
    """Why the model says what it says about each sample of a batch.

    Parameters
    ----------
    model : callable
        A module or function from inputs to an output; left exactly as it is. Put it in evaluation mode first.
        Also a program of ``torch.export``, a traced or scripted module, a compiled one, or one wrapped for several
        devices.
    inputs : Tensor, or tuple or dict of Tensors, first dimension N
        As the model's forward takes them. Integer tensors (tokens, categories) get the relevance of their embedding.
        What the forward calls a mask (``attention_mask``, for a tuple by position) is a constant: its relevance is 0.
        LRP and DeepLIFT explain a model in float64 in float64 throughout: its own casts to float32 are left out.
    target : None, int, LongTensor (N,), Tensor shaped like the output, or callable
        None: the predicted class, or the only output. A float tensor is the start relevance. A callable maps the
        output to (N,). LRP steps over a final softmax or sigmoid to the logit, for callables too.
    method : str
        ``"lrp"`` or another of ``sciexplain.METHODS``.
    composite : Composite or str
        For LRP: which rule each operation gets. Default ``"epsilon"``.
    layers : sequence of str
        For LRP and excitation backpropagation: names (or patterns) of modules at whose outputs relevance is wanted too.
    ledger : bool
        For LRP, DeepLIFT and DeepSHAP: account for the whole score. Samples are then run one by one.
    on_unknown : "warn", "error" or "gradient"
        What to do about operations without a rule.
    batch_size : int
        Split the batch; results are the same.
    **options
        Of the method.

    Returns
    -------
    Explanation

    Raises
    ------
    InputError, TargetError, ModelError, RuleError, UnknownOperationError

    Examples
    --------
    >>> import torch, sciexplain as sx
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> e = sx.explain(model, torch.randn(2, 4), target=1, ledger=True)
    >>> e.relevance.shape
    torch.Size([2, 4])
    >>> bool(e.ledger.gap.abs().max() < 1e-5)
    True

    References
    ----------
    Bach et al. 2015, PLoS ONE 10(7). Montavon et al. 2017, Pattern Recognition 65.
    """
    if method not in METHODS:
        raise RuleError(f"No method {method!r}; there are {', '.join(METHODS)}.")
    if not callable(model):
        raise ModelError(f"model is {type(model).__name__}; expected a torch module or another callable.")
    model = original(model)
    layers = (layers,) if isinstance(layers, str) else tuple(layers)
    options = _options_of(
        method, options, {"composite": composite, "layers": layers, "ledger": ledger, "on_unknown": on_unknown}
    )
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch_size={batch_size}: expected a positive number.")
    given, target = Inputs.of(inputs, model), normalized(target)
    n = given.batch_size
    if n == 0:
        raise InputError("The batch is empty: the first dimension of the input is 0.")
    parts: list[Part] = []
    with engines_suspended(), as_written, torch.inference_mode(False), torch.enable_grad():
        step = _rows_per_run(model, given, target) if ledger else batch_size or n
        for begin in range(0, n, step):
            rows = slice(begin, begin + step)
            whole = step >= n
            part_inputs = given if whole else given.rows(rows)
            part_target, part_options = (
                (target, options)
                if whole
                else (
                    rows_of(target, rows, n),
                    {k: given.option_rows(v, rows, extra=k == "references") for k, v in options.items()},
                )
            )
            part = METHODS[method](model, part_inputs, part_target, **part_options)
            if not whole and len(part.score) != min(step, n - begin):
                raise InputError(
                    f"batch_size={step}: {min(step, n - begin)} rows of input gave {len(part.score)} scores, so rows "
                    "are no samples of their own and cannot be split."
                )
            parts.append(part)
    return replace(_joined(given, parts, method), origin=Origin(model, inputs, target, method, options))


def _rows_per_run(model: Callable[..., Any], given: Inputs, target: Target) -> int:
    """For the ledger: 1 where every row has its own score, all where they have one together."""
    n = given.batch_size
    if n == 1:
        return 1
    copies = given.replaced({k: v.clone() for k, v in given.tensors()})  # a model may change its input in place
    with torch.no_grad(), buffers_restored(model), BaseTorchFunctionMode():  # off torch's fused paths
        scores = len(start(copies.call(model), target, n).score)
    if scores not in (1, n):
        raise InputError(
            f"The ledger is kept for one sample at a time, but {n} rows of input give {scores} scores; explain the "
            "samples one by one."
        )
    return 1 if scores == n else n


def _options_of(method: str, options: dict[str, Any], general: dict[str, Any]) -> dict[str, Any]:
    """What the method gets: its own options, and those arguments of ``explain`` that it takes."""
    parameters = inspect.signature(METHODS[method]).parameters.values()
    takes = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    if any(value and name not in (*takes, "on_unknown") for name, value in general.items()):
        also = " (which takes layers)" if "layers" in takes else ""
        raise RuleError(f'composite, ledger and layers belong to method="lrp", not to {method!r}{also}.')
    own = [name for name in takes if name not in general]
    if unknown := sorted(set(options) - set(own)):
        expected = f"it takes {', '.join(own)}" if own else "it takes none"
        raise RuleError(f"method={method!r} has no option {', '.join(unknown)}; {expected}.")
    if required := [p.name for p in parameters if p.name in own and p.default is p.empty and p.name not in options]:
        raise RuleError(f"method={method!r} needs {', '.join(required)}=; see help(sx.METHODS[{method!r}]).")
    return options | {name: value for name, value in general.items() if name in takes}


def _joined(given: Inputs, parts: list[Part], method: str) -> Explanation:
    def cat(tensors: list[Tensor]) -> Tensor:
        return tensors[0] if len(tensors) == 1 else torch.cat(tensors)

    def over_parts(name: str, tensors: list[Tensor]) -> Tensor:
        return cat(tensors) if given.is_batched(name) else torch.stack(tensors).sum(0)

    relevance = {name: over_parts(name, [p.relevance[name] for p in parts]) for name, _ in given.tensors()}
    multipliers = {name: over_parts(name, [p.multipliers[name] for p in parts]) for name in parts[0].multipliers}
    layers: dict[str, Tensor | tuple[Tensor, ...]] = {}
    for name, slots in parts[0].layers.items():
        joined = tuple(cat([p.layers[name][i] for p in parts]) for i in range(len(slots)))
        layers[name] = joined[0] if len(joined) == 1 else joined
    score = cat([p.score for p in parts])
    ledger = None
    if parts[0].rows is not None:
        totals = torch.stack([_total(p) for p in parts])
        ledger = assemble([p.rows or [] for p in parts], score, totals)
    unknown = {u[:2]: u for p in parts for u in p.unknown}
    targets = [p.target for p in parts]
    errors = [p.convergence_error for p in parts]
    return Explanation(
        relevance=given.rebuild(relevance),
        output=cat([p.output for p in parts]),
        target=None if targets[0] is None else cat([t for t in targets if t is not None]),
        score=score,
        method=method,
        layers=layers,
        ledger=ledger,
        unknown=tuple(unknown.values()),
        stepped_over=parts[0].stepped_over,
        convergence_error=None if errors[0] is None else cat([e for e in errors if e is not None]),
        multipliers=given.rebuild(multipliers) if multipliers else None,
    )


def _total(part: Part) -> Tensor:
    return sum((r.sum(dtype=torch.float64) for r in part.relevance.values()), torch.zeros((), dtype=torch.float64))
