"""Quantus' metrics run on ``explain_func``, and say what they should of a model whose answer is known."""

import numpy as np
import pytest
import torch
from _peers import torchvision
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain.compat.quantus import explain_func

NET = randomize(
    nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(16, 3),
    )
).float()  # fmt: skip
LINEAR = randomize(nn.Sequential(nn.Flatten(), nn.Linear(64, 3, bias=False))).float()
X = sample(4, 1, 8, 8).float().numpy()
WHOLE = nn.Sequential(nn.Conv2d(1, 3, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(108, 3, bias=False)).eval()
WHOLE_X = sample(4, 1, 8, 8, sign="nonnegative", seed=5).mul(3).round().float().numpy()
with torch.no_grad():
    for i, p in enumerate(WHOLE.parameters()):
        p.copy_(sample(*p.shape, seed=i).round())
Y = np.array([2, 0, 1, 2])


@pytest.fixture(scope="module")
def quantus():
    torchvision()  # Quantus imports it where it is installed
    return pytest.importorskip("quantus")


@pytest.mark.filterwarnings("ignore")
def test_completeness(quantus):
    """In whole numbers, which are exact, LRP-0 sums to the output of a network without biases; a gradient does not."""
    metric = quantus.Completeness(abs=False, normalise=False, perturb_baseline="black", disable_warnings=True)

    def complete(**options):
        return metric(WHOLE, WHOLE_X, Y, explain_func=explain_func, explain_func_kwargs=options)

    assert list(complete(composite=sx.Composite(default=sx.rules.Epsilon(0)))) == [True] * 4
    assert list(complete(method="gradient")) == [False] * 4


@pytest.mark.filterwarnings("ignore")
def test_pixel_flipping(quantus):
    """Of a linear model, no order of pixels loses the score faster than LRP's, and none slower than its reverse."""
    metric = quantus.PixelFlipping(
        abs=False, normalise=False, features_in_step=8, perturb_baseline=0.0, disable_warnings=True
    )
    best = np.array(metric(LINEAR, X, Y, explain_func=explain_func, explain_func_kwargs={"composite": "epsilon"}))
    other = np.array(metric(LINEAR, X, Y, explain_func=explain_func, explain_func_kwargs={"method": "gradient"}))
    worst = np.array(metric(LINEAR, X, Y, a_batch=-explain_func(LINEAR, X, Y)))
    assert best.shape == (4, 8) and (best[:, :-1] < worst[:, :-1]).all()
    assert (best <= other + 1e-5).all() and (other <= worst + 1e-5).all()


@pytest.mark.filterwarnings("ignore")
def test_model_parameter_randomisation(quantus):
    metric = quantus.MPRT(disable_warnings=True, return_average_correlation=True, skip_layers=False)
    before = {k: v.clone() for k, v in NET.state_dict().items()}
    options = {"composite": "epsilon_plus"}
    found = np.array(metric(NET, X, Y, explain_func=explain_func, explain_func_kwargs=options))
    assert found.shape == (4,) and (np.abs(found) < 0.99).all()
    assert all(torch.equal(v, before[k]) for k, v in NET.state_dict().items())


@pytest.mark.parametrize("options", [{}, {"composite": "epsilon_plus"}, {"method": "gradient"}, {"batch_size": 3}])
def test_arrays_as_explain_has_tensors(options):
    found = explain_func(NET, X.astype(np.float64), Y, **options)
    named = {"composite": options.get("composite")} if "composite" in options else {}
    expected = sx.explain(NET, torch.as_tensor(X), torch.as_tensor(Y), options.get("method", "lrp"), **named)
    assert isinstance(found, np.ndarray) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected.relevance.numpy(), rtol=1e-4, atol=1e-6)


def test_modes_are_left_as_they_are():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(64, 3)).train()
    model[2].eval()
    found = explain_func(model, X, 1, device="cpu")
    assert [m.training for m in model.modules()] == [True, True, True, False]
    np.testing.assert_allclose(found, explain_func(model.eval(), X, np.ones(4)), rtol=1e-6)


def test_unknown_option():
    with pytest.raises(sx.RuleError, match="has no option steps"):
        explain_func(NET, X, Y, steps=3)
