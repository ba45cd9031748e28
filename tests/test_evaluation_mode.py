"""Models that predict in evaluation mode and stay in their own, also where a function stands around them."""

import functools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import sciexplain as sx
from sciexplain._evaluation import evaluation_mode

NETWORK = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))


class Wrapped:
    def __init__(self, network):
        self.network = network

    def predict(self, x):
        return self.network(x)

    __call__ = predict


def of_a_global(x):
    return NETWORK(x)


def in_a_closure(network):
    return lambda x: network(x)


def called(network, x):
    return network(x)


FORMS = {
    "module": lambda: NETWORK,
    "closure": lambda: in_a_closure(NETWORK),
    "global": lambda: of_a_global,
    "partial": lambda: functools.partial(called, NETWORK),
    "bound method": lambda: Wrapped(NETWORK).predict,
    "object": lambda: Wrapped(NETWORK),
}


@pytest.fixture(params=FORMS)
def model(request):
    NETWORK.train()
    yield FORMS[request.param]()
    NETWORK.eval()


def test_it_predicts_as_in_evaluation_mode_and_is_as_it_was_also_after_an_error(model):
    x = torch.randn(4, 3)
    with pytest.raises(RuntimeError, match="stop"), evaluation_mode(model):
        assert torch.equal(model(x), model(x))
        raise RuntimeError("stop")
    assert all(module.training for module in NETWORK.modules())


def test_explaining_leaves_buffers_as_they_were(model):
    before = {k: v.clone() for k, v in NETWORK.state_dict().items()}
    x = torch.randn(4, 3)
    e = sx.explain(model, x, 1, ledger=True)
    assert all(torch.equal(v, before[k]) for k, v in NETWORK.state_dict().items())
    torch.testing.assert_close(e.relevance, sx.explain(NETWORK.eval(), x, 1).relevance)


@pytest.mark.parametrize("drops", [
    lambda x, p: F.dropout(x, p, True), lambda x, p: F.dropout(x, p=p, training=True),
    lambda x, p: torch.dropout(x, p, True), lambda x, p: F.alpha_dropout(x, p, True),
])  # fmt: skip
def test_dropout_of_nothing_is_no_training(drops, recwarn):
    weight, x = torch.randn(4, 3).double(), torch.randn(2, 3).double()
    sx.explain(lambda x: F.linear(drops(x, 0.0), weight), x, 1)
    assert not [one for one in recwarn if "training mode" in str(one.message)]
    with pytest.warns(UserWarning, match=r"training mode \(.*dropout"):
        found = sx.explain(lambda x: F.linear(drops(x, 0.5), weight), x, 1)
    torch.testing.assert_close(found.relevance, x * weight[1], rtol=1e-3, atol=1e-5)
