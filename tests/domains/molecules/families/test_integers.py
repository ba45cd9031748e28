"""Counts, categories and columns of both, by what the model does with them."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from sciexplain.domains.molecules.families.integers import as_numbers

torch.manual_seed(0)
TABLE, LINEAR = nn.Embedding(10, 4), nn.Linear(3, 1)
X = torch.tensor([[1, 0, 2], [3, 1, 0]])
EDGES = torch.tensor([[1, 2, 0], [0, 1, 1]])

Given = Mapping[str, Tensor]
MODELS: dict[str, tuple[Callable[[Given], Tensor], set[str] | None]] = {
    "embedding": (lambda t: TABLE(t["x"]).sum((1, 2)), set()),
    "embedding of whole numbers, whatever their type": (lambda t: TABLE(t["x"].long()).sum((1, 2)), set()),
    "linear layer": (lambda t: LINEAR(t["x"])[:, 0], {"x"}),
    "cast": (lambda t: LINEAR(t["x"].float())[:, 0], {"x"}),
    "sums of integers": (
        lambda t: (t["x"] * 2.0 + torch.zeros_like(t["x"]).index_add(0, X[:, 1], t["x"])).sum(1),
        {"x"},
    ),
    "types beside counts": (lambda t: TABLE(t["x"][:, 0].long()).sum(1) + t["x"][:, 1:].float().sum(1), set()),
    "atoms embedded, bonds as numbers": (lambda t: TABLE(t["x"]).sum((1, 2)) + LINEAR(t["e"])[:, 0], {"e"}),
    "numbers added to numbers": (lambda t: (t["x"] + LINEAR(t["e"])).sum(1), {"x", "e"}),
    "bonds that nobody reads": (lambda t: TABLE(t["x"]).sum((1, 2)), {"e"}),
    "neither": (lambda t: torch.linalg.inv(t["x"]).sum(1), None),
}


@pytest.mark.parametrize("name", MODELS)
def test_which_are_numbers(name: str) -> None:
    call, expected = MODELS[name]
    given = {"x": X, "e": EDGES} if name.startswith(("atoms", "numbers", "bonds")) else {"x": X}
    with torch.no_grad():
        assert as_numbers(call, given, torch.float32) == expected
