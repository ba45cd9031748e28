"""Captum's calls: its own objects, where they are right, and ours give the same."""

import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain.compat import captum as compat

pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor . did not already require gradients")

NET = randomize(nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)))
SMOOTH = randomize(nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)))
X, OTHER = sample(4, 5), sample(4, 5, seed=2)
EACH = [2, 0, 1, 2]


def two(a, b, scale=1.0, shift=None):
    y = NET(a * b) * scale
    return y if shift is None else y + shift


@pytest.fixture(scope="module")
def captum():
    return pytest.importorskip("captum.attr")


@pytest.mark.parametrize("target", [1, torch.tensor([1]), torch.tensor(EACH), EACH, (1,), [(t,) for t in EACH]])
def test_lrp_and_its_delta(captum, target):
    found, delta = compat.LRP(NET).attribute(X, target, return_convergence_delta=True)
    expected, expected_delta = captum.LRP(NET).attribute(X, target, return_convergence_delta=True)
    # captum's ε is 1e-9 and goes to the other places
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(delta, expected_delta.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("baselines", [None, 0.3, sample(1, 5, seed=7), sample(4, 5, seed=8)])
def test_integrated_gradients_and_its_delta(captum, baselines):
    call = {"baselines": baselines, "target": 1, "n_steps": 6, "return_convergence_delta": True}
    found, delta = compat.IntegratedGradients(SMOOTH).attribute(X, **call)
    expected, expected_delta = captum.IntegratedGradients(SMOOTH).attribute(X, **call)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(delta, expected_delta.detach().double(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("extra", [2.0, (2.0,), (0.5, OTHER[:, :3])])
def test_tuples_and_additional_arguments(captum, extra):
    found = compat.Attribution(two, "input_x_gradient").attribute((X, OTHER), 1, extra)
    expected = captum.InputXGradient(two).attribute((X, OTHER), 1, extra)
    assert isinstance(found, tuple)
    torch.testing.assert_close(found, tuple(r.detach() for r in expected))


@pytest.mark.parametrize("target", [(1, 2), [(0, 1), (2, 0), (1, 1), (0, 2)]])
def test_targets_of_an_output_of_more_dimensions(captum, target):
    def model(x):
        return (x @ sample(5, 9, seed=3)).tanh().view(-1, 3, 3)

    found = compat.Attribution(model, "gradient").attribute(X, target)
    expected = captum.Saliency(model).attribute(X, target, abs=False)
    torch.testing.assert_close(found, expected)


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
@pytest.mark.parametrize("baselines", [None, 0.3, sample(1, 5, seed=7)])
def test_deeplift_and_its_delta(captum, baselines):
    call = {"baselines": baselines, "target": 1, "return_convergence_delta": True}
    found, delta = compat.DeepLift(NET).attribute(X, **call)
    expected, expected_delta = captum.DeepLift(NET).attribute(X, **call)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(delta, expected_delta.detach().to(delta), rtol=0, atol=1e-6)


def test_composite_and_options():
    found = compat.LRP(NET, composite="epsilon_plus", on_unknown="error").attribute(X, 1)
    torch.testing.assert_close(found, sx.explain(NET, X, 1, composite="epsilon_plus").relevance)
    smooth = compat.Attribution(SMOOTH, "smoothgrad", samples=3).attribute(X, 1)
    torch.testing.assert_close(smooth, sx.explain(SMOOTH, X, 1, "smoothgrad", samples=3).relevance)


def test_errors():
    with pytest.raises(sx.RuleError, match="'gradient' promises no completeness"):
        compat.Attribution(NET, "gradient").attribute(X, 1, return_convergence_delta=True)
    with pytest.raises(sx.TargetError, match=r"target has the dtype torch.float64; expected indices"):
        compat.LRP(NET).attribute(X, OTHER)
    with pytest.raises(sx.RuleError, match="No method 'lpr'"):
        compat.Attribution(NET, "lpr").attribute(X, 1)
