"""Layouts, found by trying or given."""

import warnings

import pytest
import torch
from rule_tester import randomize
from torch import nn

from sciexplain._evaluation import evaluation_mode
from sciexplain.domains.genomics import Sequences, layout_of
from sciexplain.domains.genomics.models import as_called, like_model
from sciexplain.errors import InputError

S = Sequences.of(["ACGTTGCAAC", "GGGTTTACAA"])
CHANNELS_FIRST = randomize(nn.Sequential(nn.Conv1d(4, 3, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(3, 2)))
CHANNELS_LAST = randomize(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(30, 2)))


@pytest.mark.parametrize(("model", "layout"), [(CHANNELS_FIRST, "NCL"), (CHANNELS_LAST, "NLC")])
def test_found(model, layout):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert layout_of(model, S) == layout
        y = as_called(model, S)(like_model(model, S.inputs))
    x = S.inputs.double()
    torch.testing.assert_close(y, model(x if layout == "NCL" else x.transpose(1, 2)))


def test_given_by_the_user_or_the_model():
    assert layout_of(CHANNELS_FIRST, S, "NLC") == "NLC"

    class Says(nn.Module):
        layout = "NLC"

        def forward(self, x):
            return x.flatten(1)

    assert layout_of(Says(), S) == "NLC"


def test_no_warning_where_both_answer_alike():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert layout_of(lambda x: x.sum((1, 2))[:, None], S) == "NCL"


def test_neither():
    with pytest.raises(InputError, match="sequences of 10 letters in neither layout"):
        layout_of(nn.Linear(7, 1), S)


def test_training_mode_is_left_as_it_was():
    net = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout())
    net[1].eval()
    before = net[0].running_mean.clone()
    with evaluation_mode(net):
        assert not net[0].training
        net(S.inputs)
    assert net[0].training and not net[1].training and torch.equal(net[0].running_mean, before)


def test_device_and_type():
    assert like_model(CHANNELS_FIRST, S.inputs).dtype == torch.float64
    assert like_model(lambda x: x, S.inputs) is S.inputs
