"""Search beside the greedy substitutions of tangermeme."""

import pytest
import torch
from torch import nn

from sciexplain.domains import genomics
from sciexplain.domains.genomics.design import maximize


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv1d(4, 12, 7, padding=3), nn.ReLU(), nn.Conv1d(12, 12, 5), nn.ReLU(), nn.AdaptiveMaxPool1d(1),
        nn.Flatten(), nn.Linear(12, 1),
    ).eval()  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(3))
def test_never_lower_than_the_peer_with_as_many_edits(seed):
    peer = pytest.importorskip("tangermeme.design")
    model, start = network(seed), "ACGTTGACCATGACGTACGATTACAGATTC"
    x = genomics.encode(start)
    for edits in (1, 3):
        greedy = peer.greedy_substitution(model, x, max_iter=edits, reverse_complement=False, device="cpu")
        changed = int((greedy != x).any(1).sum())
        with torch.no_grad():
            reached = float(model(greedy.float())[0, 0])
        found = maximize(model, start=start, edits=edits, method="search")[0]
        assert changed <= edits and found.prediction >= reached - 1e-5
        if edits == 1:  # both try all
            assert found.prediction == pytest.approx(reached, abs=1e-5)
