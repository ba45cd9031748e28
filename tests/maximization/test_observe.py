"""Logits behind every spelling of a final softmax or sigmoid; layers by name; the gradient is the plain one."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sciexplain.errors import InputError
from sciexplain.maximization.observe import observe

torch.manual_seed(0)
NET = nn.Linear(4, 3)
X = torch.randn(2, 4)

#: what follows the logits, and what of the logits it shall be
SPELLINGS = {
    "nothing": (lambda y: y, None, lambda y: y),
    "module": (nn.Softmax(1), "softmax", lambda y: y),
    "function": (lambda y: F.softmax(y, dim=1), "softmax", lambda y: y),
    "method": (lambda y: y.softmax(1), "softmax", lambda y: y),
    "log": (lambda y: F.log_softmax(y, 1), "log_softmax", lambda y: y),
    "aten": (lambda y: torch.ops.aten.sigmoid(y), "sigmoid", lambda y: y),
    "in place": (lambda y: y.sigmoid_(), "sigmoid", lambda y: y),
    "rearranged": (lambda y: y.sigmoid()[:, :1].squeeze(1), "sigmoid", lambda y: y[:, 0]),
    "reshaped": (lambda y: y.softmax(1).reshape(2, 3, 1).mT, "softmax", lambda y: y[:, None]),
    "dropout": (nn.Sequential(nn.Softmax(1), nn.Dropout()).eval(), "softmax", lambda y: y),
    "changed": (lambda y: y.sigmoid() * 2, None, lambda y: 2 * y.sigmoid()),
    "changed in place": (lambda y: y.sigmoid().mul_(2), None, lambda y: 2 * y.sigmoid()),
    "within": (lambda y: y.softmax(1) @ torch.ones(3, 2), None, lambda y: y.softmax(1) @ torch.ones(3, 2)),
    "joined": (lambda y: torch.cat([y.sigmoid(), y], 1), None, lambda y: torch.cat([y.sigmoid(), y], 1)),
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("gradient", [True, False])
def test_logits(spelling, gradient):
    end, name, expected = SPELLINGS[spelling]
    with torch.set_grad_enabled(gradient):
        seen = observe(lambda x: end(NET(x)), X)
        assert seen.stepped_over == name
        assert torch.allclose(seen.output, expected(NET(X)))


def test_structures():
    seen = observe(lambda x: {"logits": NET(x).softmax(1), "more": (x, NET(x).sigmoid())}, X)
    assert torch.equal(seen.output["logits"], NET(X))
    assert torch.equal(seen.output["more"][1], NET(X))
    assert seen.stepped_over == "softmax"


def test_the_gradient_is_torchs():
    model = nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 3), nn.Softmax(1))
    found, expected = (x.clone().requires_grad_() for x in (X, X))
    observe(model, found).output[:, 1].sum().backward()
    model[:3](expected)[:, 1].sum().backward()
    assert torch.equal(found.grad, expected.grad)


def test_layers_are_as_they_came_out():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 3))
    seen = observe(model, X, ["0", "1"])
    assert torch.equal(seen.layers["0"], model[0](X))
    assert torch.equal(seen.layers["1"], model[0](X).relu())
    part = seen.rows(slice(1, 2))
    assert torch.equal(part.layers["0"], model[0](X)[1:])
    assert torch.equal(part.output, model(X)[1:])


def test_inside_a_function_names_are_the_modules_own():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU())
    assert "0" in observe(lambda x: model(x) * 2, X, ["0"]).layers


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted():
    model = torch.jit.script(nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)))
    seen = observe(model, X, ["0"])
    assert seen.stepped_over == "softmax"
    assert torch.allclose(seen.output.softmax(1), model(X))
    assert torch.allclose(seen.layers["0"], seen.output)


def test_unknown_layers():
    with pytest.raises(InputError, match=r"'2'.*the modules are 0, 1"):
        observe(nn.Sequential(NET, nn.ReLU()), X, ["0", "2"])
