"""One tester for every rule: its values on a layer against the dense reference."""

from __future__ import annotations

from collections.abc import Callable

import reference
import torch
from torch import Tensor, nn

import sciexplain as sx
from sciexplain import rules

LOW, HIGH = -3.0, 3.5

#: rule, and the reference with the same options; a new rule is a new line
RULES: dict[str, tuple[rules.Rule, Callable[..., Tensor]]] = {
    "epsilon": (rules.Epsilon(), reference.epsilon),
    "epsilon big": (rules.Epsilon(0.25), lambda *a: reference.epsilon(*a, epsilon=0.25)),
    "zplus": (rules.ZPlus(), reference.zplus),
    "zplus stabilizer": (rules.ZPlus(stabilizer=0.1), lambda *a: reference.zplus(*a, stabilizer=0.1)),
    "alpha 2 beta 1": (rules.AlphaBeta(2, 1), reference.alpha_beta),
    "alpha 1 beta 0": (rules.AlphaBeta(1, 0), lambda *a: reference.alpha_beta(*a, alpha=1, beta=0)),
    "alpha 1.5 beta 0.5": (
        rules.AlphaBeta(1.5, 0.5),
        lambda *a: reference.alpha_beta(*a, alpha=1.5, beta=0.5),
    ),
    "gamma": (rules.Gamma(), reference.gamma),
    "gamma 2": (rules.Gamma(2.0), lambda *a: reference.gamma(*a, gamma=2.0)),
    "generalized gamma": (rules.GeneralizedGamma(), reference.generalized_gamma),
    "generalized gamma 2": (
        rules.GeneralizedGamma(2.0),
        lambda *a: reference.generalized_gamma(*a, gamma=2.0),
    ),
    "w square": (rules.WSquare(), reference.w_square),
    "flat": (rules.Flat(), reference.flat),
    "z box": (rules.ZBox(LOW, HIGH), lambda *a: reference.z_box(*a, low=LOW, high=HIGH)),
}


class RuleTester:
    """Compares ``explain`` with one rule on one layer with the dense reference."""

    def __init__(self, rule: str) -> None:
        self.rule, self._reference = RULES[rule]

    def expected(self, layer: Callable[[Tensor], Tensor], x: Tensor, relevance: Tensor) -> Tensor:
        rows = []
        relevance = torch.where(layer(x) == 0, 0.0, relevance)  # nothing starts where nothing came out
        for sample, r in zip(x, relevance, strict=True):
            J, b = reference.affine(layer, sample)
            rows.append(self._reference(J, b, sample.reshape(-1), r.reshape(-1)).reshape(sample.shape))
        return torch.stack(rows)

    def check(self, layer: Callable[[Tensor], Tensor], x: Tensor, *, rtol: float = 1e-9) -> None:
        y = layer(x).detach()
        relevance = torch.randn(y.shape, generator=torch.Generator().manual_seed(7), dtype=y.dtype)
        found = sx.explain(layer, x, target=relevance, composite=sx.Composite(default=self.rule), on_unknown="error")
        expected = self.expected(layer, x, relevance)
        error = (found.relevance - expected).abs().max() / expected.abs().max()
        assert error < rtol, f"{self.rule} on {layer}: relative error {error:.2e}"


def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Float64 weights, biases and BatchNorm statistics of both signs, evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype) * 0.5)
        for m in module.modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                m.running_mean.copy_(torch.randn(m.num_features, generator=generator, dtype=torch.float64))
                m.running_var.copy_(torch.rand(m.num_features, generator=generator, dtype=torch.float64) + 0.5)
    return module


def sample(*shape: int, sign: str = "both", seed: int = 1) -> Tensor:
    """Float64 values within the bounds of the box; ``sign`` "both" or "nonnegative" (a third of them 0)."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).clamp(LOW, HIGH)
    return x if sign == "both" else x.sub(0.4).clamp(min=0)
