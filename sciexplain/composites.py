"""Composites: which rule each operation gets, as literal tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from .errors import RuleError
from .rules import AlphaBeta, Epsilon, Flat, GeneralizedGamma, Rule, WSquare, ZBox, ZPlus

if TYPE_CHECKING:
    from .engine.describe import Description

__all__ = ["PRESETS", "Composite", "get"]

Selector = str | type[nn.Module]
KINDS = ("linear", "convolution")
POSITIONS = ("first", "last")


@dataclass(frozen=True)
class Composite:
    """Rules by op kind, position, module type or module name; the first line that fits decides.

    Parameters
    ----------
    lines : sequence of (selector, rule)
        A selector is an op kind (``"linear"``, ``"convolution"``), a position (``"first"``: the first linear-type
        operation that an input meets; ``"last"``: the last one run), a module type, or a name pattern such as
        ``"features.*"`` (shell wildcards). Types and names fit a module and everything inside it.
    default : Rule
        For linear-type operations that no line fits.
    attention : "constant" or "attnlrp"
        Attention weights are constants (CP-LRP, Ali et al. 2022), or share relevance with the values and are
        propagated through the softmax (AttnLRP, Achtibat et al. 2024).

    Examples
    --------
    >>> import sciexplain as sx
    >>> c = sx.Composite([("first", sx.rules.Flat()), ("convolution", sx.rules.ZPlus())], default=sx.rules.Epsilon())
    >>> print(c)
    first        Flat(stabilizer=1e-09)
    convolution  ZPlus(stabilizer=1e-09)
    otherwise    Epsilon(stabilizer=1e-09, epsilon=1e-06)
    """

    lines: Sequence[tuple[Selector, Rule]] = ()
    default: Rule = field(default_factory=Epsilon)
    attention: Literal["constant", "attnlrp"] = "constant"

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "lines", tuple((s, r) for s, r in self.lines))
        except (TypeError, ValueError):
            raise RuleError(
                f"Composite(lines={self.lines!r}): expected a list of (selector, rule) pairs, such as "
                '[("first", sx.rules.Flat()), ("convolution", sx.rules.ZPlus())].'
            ) from None
        for selector, rule in self.lines:
            if not (isinstance(selector, str) or (isinstance(selector, type) and issubclass(selector, nn.Module))):
                raise RuleError(
                    f"Composite: {selector!r} is no selector; expected an op kind {KINDS}, a position {POSITIONS}, "
                    "a module type or a name pattern."
                )
            _check_rule(rule)
        _check_rule(self.default)
        if self.attention not in ("constant", "attnlrp"):
            raise RuleError(f'Composite(attention={self.attention!r}): expected "constant" or "attnlrp".')

    @property
    def yields_relevance(self) -> bool:
        """Whether some rule returns relevance itself, so that at the input the × x is skipped."""
        return any(rule.yields_relevance for _, rule in self.lines) or self.default.yields_relevance

    def rule_for(
        self,
        kind: str,
        path: Sequence[tuple[str, nn.Module]] = (),
        *,
        first: bool = False,
        last: bool = False,
    ) -> Rule:
        """The rule for a linear-type operation of ``kind`` inside the modules ``path``, innermost first."""
        for selector, rule in self.lines:
            if _fits(selector, kind, path, first, last):
                return rule
        return self.default

    def rule_for_module(self, path: Sequence[tuple[str, nn.Module]]) -> Rule | None:
        """The rule that a type or name line gives to the innermost module, for ops that are no linear layer."""
        for selector, rule in self.lines:
            if selector not in (*KINDS, *POSITIONS) and _fits(selector, "", path[:1], False, False):
                return rule
        return None

    def describe(self, model: Callable[..., Any], inputs: Any) -> Description:
        """Run ``model`` once and tell which rule each operation gets; ``print`` it.

        Parameters
        ----------
        model : callable
            As for :func:`sciexplain.explain`.
        inputs : Tensor, tuple or dict of Tensors
            One batch.

        Examples
        --------
        >>> import torch, sciexplain as sx
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> print(sx.composites.get("deep_taylor").describe(net, torch.ones(1, 3)))
        module  operation  kind    output  treatment
        0       linear     linear  (1, 4)  WSquare(stabilizer=1e-09)
        1       relu               (1, 4)  gradient
        2       linear     linear  (1, 2)  ZPlus(stabilizer=1e-09)
        """
        from .engine.describe import describe

        return describe(self, model, inputs)

    def __str__(self) -> str:
        rows = [(s if isinstance(s, str) else s.__name__, str(r)) for s, r in self.lines]
        rows.append(("otherwise", str(self.default)))
        if self.attention != "constant":
            rows.append(("attention", self.attention))
        width = max(len(s) for s, _ in rows)
        return "\n".join(f"{s:<{width}}  {r}" for s, r in rows)


def _check_rule(rule: object) -> None:
    if not isinstance(rule, Rule):
        raise RuleError(f"Composite: {rule!r} is no rule; expected an instance such as sx.rules.Epsilon().")


def _fits(selector: Selector, kind: str, path: Sequence[tuple[str, nn.Module]], first: bool, last: bool) -> bool:
    if selector == "first":
        return first
    if selector == "last":
        return last
    if selector in KINDS:
        return selector == kind
    if isinstance(selector, str):
        return any(fnmatchcase(name, selector) for name, _ in path if name)
    return any(isinstance(module, selector) for _, module in path)


def epsilon(epsilon: float = 1e-6) -> Composite:
    """ε everywhere. Bach et al. 2015."""
    return Composite(default=Epsilon(epsilon))


def epsilon_plus(epsilon: float = 1e-6, stabilizer: float = 1e-9) -> Composite:
    """z⁺ in convolutions, ε in dense layers. Montavon et al. 2019; Kohlbrenner et al. 2020."""
    return Composite([("convolution", ZPlus(stabilizer=stabilizer))], Epsilon(epsilon))


def epsilon_plus_flat(epsilon: float = 1e-6, stabilizer: float = 1e-9) -> Composite:
    """:func:`epsilon_plus` with the flat rule in the first layer. Kohlbrenner et al. 2020; Lapuschkin et al. 2019."""
    return Composite(
        [("first", Flat(stabilizer=stabilizer)), ("convolution", ZPlus(stabilizer=stabilizer))],
        Epsilon(epsilon),
    )


def epsilon_gamma_box(
    low: float | Tensor,
    high: float | Tensor,
    epsilon: float = 1e-6,
    gamma: float = 0.25,
    stabilizer: float = 1e-9,
) -> Composite:
    """z^B in the first layer, generalised γ in convolutions, ε in dense layers. Montavon et al. 2019."""
    return Composite(
        [
            ("first", ZBox(low, high, stabilizer=stabilizer)),
            ("convolution", GeneralizedGamma(gamma, stabilizer=stabilizer)),
        ],
        Epsilon(epsilon),
    )


def epsilon_alpha2_beta1(epsilon: float = 1e-6, stabilizer: float = 1e-9) -> Composite:
    """α2β1 in convolutions, ε in dense layers. Bach et al. 2015; Kohlbrenner et al. 2020."""
    return Composite([("convolution", AlphaBeta(2, 1, stabilizer=stabilizer))], Epsilon(epsilon))


def epsilon_alpha2_beta1_flat(epsilon: float = 1e-6, stabilizer: float = 1e-9) -> Composite:
    """:func:`epsilon_alpha2_beta1` with the flat rule in the first layer. Kohlbrenner et al. 2020."""
    return Composite(
        [("first", Flat(stabilizer=stabilizer)), ("convolution", AlphaBeta(2, 1, stabilizer=stabilizer))],
        Epsilon(epsilon),
    )


def deep_taylor(
    low: float | Tensor | None = None, high: float | Tensor | None = None, stabilizer: float = 1e-9
) -> Composite:
    """Deep Taylor decomposition: z^B (with bounds) or w² first, z⁺ elsewhere. Montavon et al. 2017."""
    if (low is None) != (high is None):
        raise RuleError("deep_taylor: give both low and high for the z^B rule, or neither for w².")
    first: Rule = WSquare(stabilizer=stabilizer)
    if low is not None and high is not None:
        first = ZBox(low, high, stabilizer=stabilizer)
    return Composite([("first", first)], ZPlus(stabilizer=stabilizer))


def attention(epsilon: float = 1e-6) -> Composite:
    """ε, with AttnLRP for attention. Achtibat et al. 2024."""
    return Composite(default=Epsilon(epsilon), attention="attnlrp")


PRESETS: dict[str, Callable[..., Composite]] = {
    f.__name__: f
    for f in (
        epsilon,
        epsilon_plus,
        epsilon_plus_flat,
        epsilon_gamma_box,
        epsilon_alpha2_beta1,
        epsilon_alpha2_beta1_flat,
        deep_taylor,
        attention,
    )
}


def get(name: str, **options: Any) -> Composite:
    """A preset by name.

    Parameters
    ----------
    name : str
        One of ``PRESETS``.
    **options
        Of the preset's function, such as ``epsilon=``, ``gamma=``, ``low=``, ``high=``.

    Raises
    ------
    RuleError
        For an unknown name or unfit options.
    """
    if name not in PRESETS:
        raise RuleError(f"No composite {name!r}; there are {', '.join(PRESETS)}.")
    try:
        return PRESETS[name](**options)
    except TypeError as error:
        raise RuleError(f"composites.get({name!r}): {error}") from None
