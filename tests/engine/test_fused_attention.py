"""Fused attention gives the slopes of attention written out piece by piece, and the model's own output."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sciexplain as sx
from sciexplain.engine.handlers import FUSED, fused_attention

LENGTH = 7
MASKS = {
    "none": None,
    "boolean": torch.rand(LENGTH, LENGTH, generator=torch.Generator().manual_seed(0)) > 0.4,
    "added": torch.randn(LENGTH, LENGTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64),
    "padding": torch.arange(LENGTH).lt(5).expand(1, 1, 1, LENGTH),
    "blind first query": torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril(-1),
}


class Attention(nn.Module):
    def __init__(self, key_heads: int, **options: object) -> None:
        super().__init__()
        self.heads, self.options = (4, key_heads, key_heads), options
        self.projections = nn.ModuleList([nn.Linear(8, h * 4) for h in self.heads])
        self.out = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            p(x).unflatten(-1, (h, 4)).transpose(1, 2) for p, h in zip(self.projections, self.heads, strict=True)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, **self.options)
        return self.out(mixed.transpose(1, 2).flatten(2)).sum(1)


@pytest.mark.parametrize("composite", ["epsilon", "attention"])
@pytest.mark.parametrize("key_heads", [4, 2])
@pytest.mark.parametrize("mask", [*MASKS, "causal"])
def test_equals_written_out(composite: str, key_heads: int, mask: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    given = {"is_causal": True} if mask == "causal" else {"attn_mask": MASKS[mask]}
    model = Attention(key_heads, enable_gqa=key_heads < 4, scale=0.3, **given).double().eval()
    x = torch.randn(2, LENGTH, 8, dtype=torch.float64)
    monkeypatch.setattr(fused_attention, "_AT_ONCE", 2 * LENGTH * 4 * 3)  # three queries at a time
    whole = sx.explain(model, x, target=1, composite=composite)
    monkeypatch.delitem(FUSED, "scaled_dot_product_attention")
    written_out = sx.explain(model, x, target=1, composite=composite)
    assert torch.equal(whole.output, model(x))
    torch.testing.assert_close(whole.relevance, written_out.relevance, rtol=1e-12, atol=1e-14)
    assert bool(whole.relevance.isfinite().all())


def test_ledger_looks_inside() -> None:
    torch.manual_seed(0)
    model, x = Attention(4).double().eval(), torch.randn(1, LENGTH, 8, dtype=torch.float64)
    e = sx.explain(model, x, target=1, composite="attention", ledger=True)
    assert "softmax" in {row.operation for row in e.ledger.rows}
    assert float(e.ledger.gap.abs().max()) < 1e-12
    torch.testing.assert_close(e.relevance, sx.explain(model, x, target=1, composite="attention").relevance)
