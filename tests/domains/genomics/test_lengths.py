"""The length that a model takes, found by trying."""

import pytest
import torch
from torch import nn

from sciexplain.domains.genomics.lengths import ANY, length_of
from sciexplain.errors import InputError


def dense(length, kernel=5, pool=2):
    left = (length - kernel + 1) // pool
    return nn.Sequential(nn.Conv1d(4, 3, kernel), nn.ReLU(), nn.MaxPool1d(pool), nn.Flatten(), nn.Linear(3 * left, 2))


@pytest.mark.parametrize("length", [7, 8, 50, 101, 999, 1000, 2114])
def test_of_a_dense_layer(length):
    found = length_of(dense(length))
    assert (found - 4) // 2 == (length - 4) // 2  # the pool drops a letter of odd lengths
    dense(length)(torch.zeros(1, 4, found))


def test_of_any():
    assert length_of(nn.Sequential(nn.Conv1d(4, 3, 5), nn.AdaptiveAvgPool1d(1), nn.Flatten())) == ANY


def test_said_by_the_model():
    net = dense(50)
    net.input_length = 51
    assert length_of(net) == 51


def test_other_layout():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4 * 33, 1))
    assert length_of(net, layout="NLC") == 33


def test_not_to_be_found():
    def picky(x):
        raise ValueError("no")

    with pytest.raises(InputError, match="give length="):
        length_of(picky)
