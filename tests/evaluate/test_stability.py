"""Sensitivity of explanations against their definition."""

import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain import evaluate

X = sample(3, 6)
LINEAR = randomize(nn.Linear(6, 2)).eval()
CURVED = randomize(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))).eval()


def test_equals_the_definition():
    seen = []

    def explain(model, inputs, target):
        assert torch.equal(target, CURVED(X).argmax(1))  # as predicted for the inputs as they are
        seen.append(inputs)
        return sx.explain(model, inputs, target)

    options = {"radius": 0.1, "draws": 7, "explain": explain}
    greatest = evaluate.max_sensitivity(CURVED, X, relative=False, **options)
    first, *near = seen
    assert torch.equal(first, X) and len(near) == 7
    extent = X.amax(1, keepdim=True) - X.amin(1, keepdim=True)
    assert all(bool(((y - X).abs() <= 0.1 * extent).all()) for y in near)
    here, classes = sx.explain(CURVED, X).relevance, CURVED(X).argmax(1)
    moved = torch.stack([(sx.explain(CURVED, y, classes).relevance - here).norm(dim=1) for y in near])
    torch.testing.assert_close(greatest, moved.amax(0))
    torch.testing.assert_close(evaluate.avg_sensitivity(CURVED, X, relative=False, **options), moved.mean(0))
    length = sx.explain(CURVED, X).relevance.norm(dim=1)
    torch.testing.assert_close(evaluate.max_sensitivity(CURVED, X, radius=0.1, draws=7), moved.amax(0) / length)


def test_the_gradient_of_a_linear_model_does_not_move():
    assert not evaluate.max_sensitivity(LINEAR, X, method="gradient").any()
    assert bool((evaluate.max_sensitivity(LINEAR, X, method="input_x_gradient") > 0).all())
    zero = evaluate.max_sensitivity(lambda x: 0 * x, X, 0, method="gradient")
    assert zero.isnan().all()


def test_options_batches_and_seeds():
    a = evaluate.max_sensitivity(CURVED, X, 1, "integrated_gradients", steps=5, batch_size=2)
    torch.testing.assert_close(a, evaluate.max_sensitivity(CURVED, X, 1, "integrated_gradients", steps=5))
    assert not torch.allclose(a, evaluate.max_sensitivity(CURVED, X, 1, "integrated_gradients", steps=5, seed=1))
    torch.testing.assert_close(a[:1], evaluate.max_sensitivity(CURVED, X[:1], 1, "integrated_gradients", steps=5))
    absolute = evaluate.max_sensitivity(CURVED, X, 1, radius=torch.zeros(6).double())
    assert not absolute.any()
    with pytest.raises(sx.RuleError, match="no option step"):
        evaluate.max_sensitivity(CURVED, X, step=5)
    with pytest.raises(sx.InputError, match="composite cannot be handed"):
        evaluate.max_sensitivity(CURVED, X, explain=lambda m, x, t: x, composite="epsilon")
    with pytest.raises(sx.InputError, match="amount of noise 0"):
        evaluate.max_sensitivity(CURVED, X, radius=0)
    with pytest.raises(sx.InputError, match="are integers"):
        evaluate.max_sensitivity(nn.Sequential(nn.Embedding(9, 3), nn.Flatten()), torch.ones(2, 3).long(), 0)


def test_several_inputs():
    class Sum(nn.Module):
        def forward(self, a, b):
            return CURVED(a + b)

    a, b = X, sample(3, 6, seed=4)
    as_tuple = evaluate.avg_sensitivity(Sum(), (a, b), 0)
    as_dict = evaluate.avg_sensitivity(Sum(), {"a": a, "b": b}, 0)
    torch.testing.assert_close(as_tuple, as_dict)
    assert as_tuple.shape == (3,) and bool((as_tuple > 0).all())


def test_model_in_training_mode_is_left_so():
    model = nn.Sequential(nn.Linear(6, 4), nn.Dropout(0.5), nn.Linear(4, 2)).double().train()
    a, b = evaluate.max_sensitivity(model, X), evaluate.max_sensitivity(model, X)
    assert torch.equal(a, b) and all(m.training for m in model.modules())
