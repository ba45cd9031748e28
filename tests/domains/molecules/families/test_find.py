"""Which family a model is of."""

import pytest
import torch
from torch import nn

from sciexplain.domains.molecules.families import PyG, find
from sciexplain.domains.molecules.graphs import Family
from sciexplain.errors import ModelError


def test_all_others_are_of_pyg() -> None:
    family: Family = find(nn.Linear(2, 1))
    assert isinstance(family, PyG)
    assert isinstance(find(lambda data: torch.zeros(1), tasks="gap"), PyG)
    assert find(lambda data: torch.zeros(1), tasks="gap").tasks == ("gap",)


def test_a_network_called_featurizer_is_none() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.featurizer = nn.Linear(2, 2)

    assert find(Model()).featurizer is None  # type: ignore[attr-defined]


def test_no_model() -> None:
    with pytest.raises(ModelError, match="model is dict; expected a torch module or another callable"):
        find({"state_dict": {}})
