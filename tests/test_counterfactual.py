"""Counterfactuals of linear models are known; those of others are checked for what they promise."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sciexplain.counterfactual import counterfactual
from sciexplain.errors import InputError, ModelError, NonFiniteOutputError, TargetError
from sciexplain.maximization import Decoder


def linear(features, classes, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(features, classes, dtype=torch.float64)


def nearest_boundary(model, x, order):
    """min over classes j of (f_p − f_j) / ‖w_p − w_j‖, in the dual norm of the distance."""
    logits, rows = model(x).detach(), []
    for y in logits:
        p = int(y.argmax())
        apart = model.weight.detach()[p] - model.weight.detach()
        size = apart.norm(dim=1) if order == 2 else apart.abs().amax(1)
        rows.append(min(float((y[p] - y[j]) / size[j]) for j in range(len(y)) if j != p))
    return torch.tensor(rows).double()


@pytest.mark.parametrize(("distance", "order"), [("l1", 1), ("l2", 2)])
@pytest.mark.parametrize("classes", [2, 4])
def test_nearest_boundary_of_a_linear_model(distance, order, classes):
    model, x = linear(5, classes), torch.randn(6, 5, generator=torch.Generator().manual_seed(1)).double()
    found = counterfactual(model, x, distance=distance, rounds=8, steps=150)
    expected = nearest_boundary(model, x, order)
    assert found.found.all()
    assert (found.distance >= expected - 1e-6).all()
    assert (found.distance <= expected * 1.02 + 1e-3).all()
    assert torch.equal(found.prediction, model(x).argmax(1))
    assert torch.equal(found.new_prediction, model(found.counterfactuals).argmax(1))
    assert (found.new_prediction != found.prediction).all()
    assert torch.allclose(found.distance, torch.linalg.vector_norm(found.change, ord=order, dim=1))


def test_l1_changes_few_values():
    model, x = linear(8, 2), torch.randn(5, 8, generator=torch.Generator().manual_seed(0)).double()
    few, many = (counterfactual(model, x, distance=d) for d in ("l1", "l2"))
    assert (few.changed() == 1).all()
    assert (many.changed() == 8).all()


def test_scale_is_the_unit_of_each_feature():
    """Wachter et al. 2017: what varies much may be changed much. The plane x + y = 0 is then met along x."""
    model = nn.Linear(2, 1, bias=False, dtype=torch.float64)
    nn.init.ones_(model.weight)
    found = counterfactual(model, torch.tensor([[1.0, 1.0]]).double(), scale=torch.tensor([10.0, 1.0]))
    assert found.counterfactuals[0].tolist() == pytest.approx([-1.0, 1.0], abs=1e-3)
    assert float(found.distance) == pytest.approx(0.2, abs=1e-3)


def test_what_may_not_change_stays():
    model, x = linear(5, 3), torch.randn(4, 5).double()
    mutable = torch.tensor([True, False, True, False, False])
    found = counterfactual(model, x, mutable=mutable)
    assert torch.equal(found.counterfactuals[:, ~mutable], x[:, ~mutable])
    assert found.found.all()


def test_within_bounds():
    model, x = linear(5, 3), torch.rand(4, 5).double()
    found = counterfactual(model, x, low=0.0, high=1.0, distance="l2")
    there = found.counterfactuals[found.found]
    assert ((there >= 0) & (there <= 1)).all()


def test_none_found_is_said():
    model = nn.Linear(2, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    found = counterfactual(
        model, torch.tensor([[1.0, 0.0], [0.2, 0.0]]).double(), low=torch.tensor([[0.5, 0.0], [-1.0, 0.0]]), high=2.0
    )
    assert found.found.tolist() == [False, True]
    assert found.counterfactuals[0].isnan().all()
    assert found.distance[0] == torch.inf
    assert found.new_prediction.tolist() == [-1, 1]
    assert found.changed().tolist() == [0, 1]


@pytest.mark.parametrize("target", [2, torch.tensor([2, 0, 1, 2])])
def test_a_class_of_ones_own(target):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3), nn.Softmax(1)).double()
    x = torch.randn(4, 6).double()
    found = counterfactual(model, x, target, margin=0.5)
    wanted = torch.as_tensor(target).expand(4)
    logits = model[:3](found.counterfactuals).detach()
    assert torch.equal(found.new_prediction, wanted)
    others = logits.scatter(1, wanted[:, None], -torch.inf).amax(1)
    assert torch.allclose(found.new_margin, logits.gather(1, wanted[:, None])[:, 0] - others)
    assert (found.new_margin >= 0.5).all()
    assert torch.allclose(found.output, model[:3](x))


def test_what_is_there_already_is_nearest():
    model, x = linear(4, 3), torch.randn(3, 4).double()
    found = counterfactual(model, x, model(x).argmax(1))
    assert torch.equal(found.counterfactuals, x)
    assert (found.distance == 0).all()


@pytest.mark.parametrize("shape", [(3, 1), (3,)])
def test_a_single_output_changes_its_sign(shape):
    torch.manual_seed(0)
    inner = nn.Linear(4, 1, dtype=torch.float64)
    x = torch.randn(3, 4).double()
    found = counterfactual(lambda x: inner(x).sigmoid().view(shape), x, distance="l2")
    assert torch.allclose(found.distance, inner(x)[:, 0].abs().detach() / inner.weight.norm().detach(), rtol=0.02)
    assert torch.equal(found.prediction, (inner(x)[:, 0] > 0).long())
    assert torch.equal(found.new_prediction, 1 - found.prediction)


def test_a_callable_becomes_positive():
    model, x = linear(4, 2), torch.zeros(2, 4).double()
    found = counterfactual(model, x, lambda y: y[:, 1] - 3, distance="l2")
    expected = (3 - float(model.bias[1].detach())) / float(model.weight[1].detach().norm())
    assert found.distance.tolist() == pytest.approx([expected] * 2, rel=0.03)
    assert found.prediction is None
    assert found.new_prediction is None


@settings(max_examples=8)
@given(st.integers(0, 1000))
def test_a_row_does_not_depend_on_others(seed):
    model, x = linear(4, 3, seed), torch.randn(3, 4, generator=torch.Generator().manual_seed(seed)).double()
    options = {"rounds": 3, "steps": 20}
    together = counterfactual(model, x, **options)
    alone = counterfactual(model, x[1:2], **options)
    assert torch.equal(together.found[1:2], alone.found)
    assert torch.allclose(together.counterfactuals[1:2], alone.counterfactuals, atol=1e-9, equal_nan=True)


# -- with a prior ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", [True, False])
def test_along_the_plane_of_a_linear_decoder(encoder):
    """Codes of x = Az are known, and so is the nearest point of the plane w·Az + b = 0."""
    model, decoder = linear(4, 1), linear(2, 4, seed=1)
    with torch.no_grad():
        decoder.bias.zero_()
    codes = torch.tensor([[1.0, 2.0], [-1.0, 0.5]]).double()
    x = decoder(codes).detach()
    inverse = torch.linalg.pinv(decoder.weight.detach())
    prior = Decoder(decoder, 2, encoder=(lambda x: x @ inverse.T) if encoder else None)
    found = counterfactual(model, x, prior=prior, distance="l2", density_weight=0.0, lr=0.1, steps=150)
    assert torch.allclose(found.reconstruction, x, atol=1e-2)
    assert torch.allclose(found.counterfactuals, decoder(found.codes))
    normal = decoder.weight.T @ model.weight[0]  # in codes
    metric = torch.linalg.inv(decoder.weight.T @ decoder.weight)
    expected = model(x)[:, 0].abs() / (normal @ metric @ normal).sqrt()
    assert torch.allclose(found.distance, expected.detach(), rtol=0.03)
    assert found.found.all()


def test_probable_codes_are_preferred():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)).double()
    decoder = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 6)).double()
    x = torch.randn(6, 6).double()
    near, probable = (
        counterfactual(model, x, prior=Decoder(decoder, 4), density_weight=w, distance="l2", steps=60)
        for w in (0.0, 5.0)
    )
    assert near.found.all()
    assert probable.found.all()
    assert probable.log_density.mean() > near.log_density.mean()
    assert near.distance.mean() < probable.distance.mean()


# -- the model is left as it was; mistakes -----------------------------------------------------------------------------


def test_nothing_is_changed():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    x, state = torch.randn(3, 4), torch.get_rng_state()
    with torch.no_grad():
        first, again = (counterfactual(model, x, rounds=2, steps=20) for _ in range(2))
    assert torch.equal(first.counterfactuals, again.counterfactuals)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(m.training for m in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_inputs_made_in_inference_mode():
    model = nn.Linear(3, 2)
    with torch.inference_mode():
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
        inside = counterfactual(model, x, steps=20)
    outside = counterfactual(model, x, steps=20, mutable=torch.tensor([True, True, True]))
    assert torch.equal(inside.distance, outside.distance)
    found = int(inside.found.sum())
    assert repr(inside).startswith(f"Counterfactual({found} of 4 found, median distance ")


def test_progress():
    told = []
    counterfactual(linear(3, 2), torch.randn(4, 3).double(), rounds=2, steps=10, report=told.append)
    assert [(s.number, s.steps) for s in told] == [(i, 20) for i in range(1, 21)]
    assert [s.found for s in told] == sorted(s.found for s in told)


X = torch.zeros(2, 3, dtype=torch.float64)


@pytest.mark.parametrize(
    ("inputs", "options", "error", "words"),
    [
        (X.long(), {}, InputError, "expected one tensor of floats"),
        ((X, X), {}, InputError, "expected one tensor of floats"),
        (X[:0], {}, InputError, "N above 0"),
        (X / 0, {}, InputError, "NaN"),
        (X, {"rounds": 0}, InputError, "rounds=0"),
        (X, {"steps": 2.5}, InputError, "steps=2.5"),
        (X, {"scale": 0.0}, InputError, "scale=0.0"),
        (X[0], {}, InputError, "(1, …)"),
        (X, {"target": "1"}, TargetError, "target='1'"),
        (X, {"low": 1.0, "high": 0.0}, InputError, "low=1.0, high=0.0"),
        (X, {"distance": "linf"}, InputError, "'linf'"),
        (X, {"target": 4}, TargetError, "4 outputs"),
        (X, {"target": torch.tensor([0, 1, 2])}, TargetError, "for each of 2"),
        (X, {"target": 0.5}, TargetError, "a class"),
        (X, {"target": lambda y: y}, TargetError, "expected (2,)"),
        (X, {"target": lambda y: y[:, 0].detach() - 9}, TargetError, "does not depend"),
        (X, {"target": lambda y: y[:, 0] / 0}, NonFiniteOutputError, "in step 1"),
        (X, {"prior": Decoder(lambda z: z, 3), "low": 0.0}, InputError, "a prior makes whole inputs"),
        (X, {"prior": Decoder(lambda z: z, 4)}, InputError, "the inputs are (2, 3)"),
    ],
)
def test_what_is_wrong_is_said(inputs, options, error, words):
    with pytest.raises(error) as raised:
        counterfactual(linear(3, 4), inputs, **options)
    assert words in str(raised.value)


def test_models_that_do_not_fit():
    with pytest.raises(ModelError, match="str"):
        counterfactual("model", X)
    with pytest.raises(TargetError, match="a callable target"):
        counterfactual(nn.Conv1d(3, 2, 1, dtype=torch.float64), torch.zeros(2, 3, 4).double())
