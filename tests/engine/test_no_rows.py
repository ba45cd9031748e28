"""Layers on tensors without rows, as the bonds of a molecule without bonds are."""

import pytest
import torch

import sciexplain as sx

PRESETS = {
    **{name: {} for name in sx.composites.PRESETS if name not in ("epsilon_gamma_box",)},
    "epsilon_gamma_box": {"low": -3.0, "high": 3.0},
}


class _Messages(torch.nn.Module):
    """Atoms and, by a layer of their own, messages along no bonds."""

    def __init__(self) -> None:
        super().__init__()
        self.message, self.own = torch.nn.Linear(3, 4), torch.nn.Linear(3, 4)
        self.out = torch.nn.Linear(4, 1)

    def forward(self, x):
        none = torch.zeros(0, dtype=torch.long)
        messages = self.message(x[none]).relu()
        return self.out((self.own(x) + torch.zeros(len(x), 4, dtype=x.dtype).index_add(0, none, messages)).relu())


@pytest.mark.parametrize("name", PRESETS)
def test_no_rows_change_nothing(name):
    torch.manual_seed(0)
    model, x = _Messages().double().eval(), torch.rand(5, 3, dtype=torch.float64) * 2 - 1
    composite = sx.composites.get(name, **PRESETS[name])
    with_messages = sx.explain(model, x, composite=composite).relevance
    without = sx.explain(torch.nn.Sequential(model.own, torch.nn.ReLU(), model.out), x, composite=composite).relevance
    if name in ("epsilon", "attention"):
        torch.testing.assert_close(with_messages, without, rtol=1e-12, atol=1e-12)
    assert bool(torch.isfinite(with_messages).all())
    torch.testing.assert_close(with_messages.sum(1), without.sum(1), rtol=1e-6, atol=1e-6)
