"""``images.evaluate``: what the score does as pixels or patches go, by the explanation and by others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

import sciexplain as sx
from sciexplain import evaluate
from sciexplain.domains.images.explain import ImageExplanation, composite_for
from sciexplain.errors import InputError
from sciexplain.evaluate import TensorRemoval
from sciexplain.evaluate.curves import Comparison, Flipping, Mode, Order
from sciexplain.evaluate.flipping import Steps
from sciexplain.evaluate.localization import Localization, Sign
from sciexplain.evaluate.parts import Parts
from sciexplain.evaluate.sanity import Sanity
from sciexplain.evaluate.scoring import Output
from sciexplain.evaluate.tensor_removal import Fill
from sciexplain.methods import SENSITIVITIES


def flipping(
    e: ImageExplanation,
    relevance: Tensor | None = None,
    *,
    filler: Fill = "mean",
    parts: Parts = None,
    order: Order = "most",
    mode: Mode = "deletion",
    steps: Steps = 50,
    output: Output = "score",
    seed: int = 0,
) -> Flipping:
    """The score as pixels are taken away, most relevant first: a faithful explanation lets it fall fast.

    Parameters
    ----------
    e
        Pictures as they were explained, on the network's own pixels.
    relevance
        (N, C, H, W) or (N, H, W): other relevance of the same pictures; None: the explanation's own.
    filler, parts, order, mode, steps, output, seed
        As for :func:`sciexplain.evaluate.pixel_flipping`.

    Raises
    ------
    InputError
        The explanation does not know its model any more, as it was read from a file.

    Examples
    --------
    >>> e = images.explain(net, pictures)  # doctest: +SKIP
    >>> most, least = (images.evaluate.flipping(e, order=o) for o in ("most", "least"))  # doctest: +SKIP
    >>> least.difference(most)  # what the order is worth, in the score's unit  # doctest: +SKIP
    """
    removal = removal_of(e, filler=filler, parts=parts, output=output, seed=seed)
    folded = removal.fold(e.relevance if relevance is None else relevance)
    return evaluate.flipping(removal, folded, order=order, mode=mode, steps=steps, seed=seed)


def compare(
    e: ImageExplanation,
    others: Sequence[str] | Mapping[str, Tensor] = (),
    *,
    filler: Fill = "mean",
    parts: Parts = None,
    mode: Mode = "deletion",
    steps: Steps = 50,
    output: Output = "score",
    seed: int = 0,
) -> Comparison:
    """This explanation beside others of the same pictures and targets, and a random order.

    Parameters
    ----------
    others
        Names of methods or composites (see :func:`attributed`), or relevance by name.
    e, filler, parts, mode, steps, output, seed
        As for :func:`flipping`.

    Returns
    -------
    Comparison
        With ``"explanation"`` for this one.
    """
    removal = removal_of(e, filler=filler, parts=parts, output=output, seed=seed)
    if not isinstance(others, Mapping):
        others = {name: attributed(e, name) for name in others}
    every = {name: removal.fold(r) for name, r in {"explanation": e.relevance, **others}.items()}
    return evaluate.compare(removal, every, mode=mode, steps=steps, seed=seed)


def localization(
    e: ImageExplanation, masks: Any, relevance: Tensor | None = None, *, sign: Sign = "positive"
) -> Localization:
    """Whether relevance lies on the object.

    Parameters
    ----------
    e
        N pictures as they were explained.
    masks
        (N, H, W) truth values on the network's pixels.
    relevance
        As for :func:`flipping`.
    sign
        As for :func:`sciexplain.evaluate.localization`.
    """
    return evaluate.localization(e.relevance if relevance is None else relevance, masks, sign=sign)


def attributed(e: ImageExplanation, method: str) -> Tensor:
    """Relevance of the same pictures for the same targets, by another method.

    Parameters
    ----------
    e
        Pictures as they were explained.
    method
        One of ``sciexplain.METHODS`` with its defaults, or the name of a composite of LRP rules. Of sensitivities
        (``"gradient"``, ``"smoothgrad"``, ``"guided_backprop"``, ``"deconvnet"``) the Euclidean norm over channels.

    Returns
    -------
    (N, C, H, W), or (N, 1, H, W) for sensitivities.

    Raises
    ------
    InputError, RuleError
        A method that there is not.
    """
    if method not in sx.METHODS and method not in sx.composites.PRESETS:
        raise InputError(
            f"method={method!r}: expected one of {', '.join(sx.METHODS)}, or a composite: "
            f"{', '.join(sx.composites.PRESETS)}."
        )
    origin = _origin(e)
    target = _target(e)
    if method in sx.composites.PRESETS:
        plain = e.preprocess is None and float(origin.inputs.min()) >= 0 and float(origin.inputs.max()) <= 1
        composite = composite_for(method, e.preprocess, e.pictures if plain else origin.inputs)
        found = sx.explain(origin.model, origin.inputs, target, composite=composite, on_unknown="gradient")
    else:
        found = sx.explain(origin.model, origin.inputs, target, method, on_unknown="gradient")
    relevance = found.relevance
    assert isinstance(relevance, Tensor)
    return relevance.norm(dim=1, keepdim=True) if method in SENSITIVITIES else relevance


def max_sensitivity(e: ImageExplanation, **options: Any) -> Tensor:
    """The largest relative change of relevance under a little noise, (N,) float64, as the pictures were explained.

    Options as for :func:`sciexplain.evaluate.max_sensitivity`: ``radius``, ``draws``, ``seed``. Noise takes no pixel
    beyond black or white.
    """
    origin, again = _origin(e), _again(_origin(e))

    def explain(model: Any, inputs: Any, target: Any) -> sx.Explanation:
        if e.preprocess is not None:
            inputs = inputs.clamp(e.preprocess.low.to(inputs), e.preprocess.high.to(inputs))
        return again(model, inputs, target)

    return evaluate.max_sensitivity(origin.model, origin.inputs, _target(e), explain=explain, **options)


def sanity(e: ImageExplanation, **options: Any) -> Sanity:
    """How alike explanations stay as the network's layers become random; they should not.

    Options as for :func:`sciexplain.evaluate.sanity`, such as ``efficient=True``.
    """
    origin = _origin(e)
    return evaluate.sanity(origin.model, origin.inputs, _target(e), explain=_again(origin), **options)


def _again(origin: Any) -> Callable[[Any, Any, Any], sx.Explanation]:
    """The same question about another network, or other pixels."""
    options = {k: v for k, v in origin.options.items() if k not in ("ledger", "layers")}

    def explain(model: Any, inputs: Any, target: Any) -> sx.Explanation:
        return sx.explain(model, inputs, target, origin.method, **options)

    return explain


def _target(e: ImageExplanation) -> Any:
    return _origin(e).target if e.target is None else e.target


def removal_of(
    e: ImageExplanation, *, filler: Fill = "mean", parts: Parts = None, output: Output = "score", seed: int = 0
) -> TensorRemoval:
    """The pictures with parts that can be taken away, for :mod:`sciexplain.evaluate`."""
    origin = _origin(e)
    return TensorRemoval(origin.model, origin.inputs, _target(e), filler=filler, parts=parts, output=output, seed=seed)


def _origin(e: ImageExplanation) -> Any:
    origin = e.explanation.origin
    if origin is None:
        raise InputError(
            "This explanation does not know its model any more, as it was read from a file or copied. Take the result "
            "of images.explain, or sciexplain.evaluate.pixel_flipping with the model and its inputs."
        )
    return origin
