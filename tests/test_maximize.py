"""Activation maximisation against closed forms, and against a plain loop written from the papers."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from sciexplain.errors import InputError, ModelError, NonFiniteOutputError, TargetError
from sciexplain.maximization import (
    L2,
    Blur,
    Channel,
    Decoder,
    Density,
    Diverse,
    Frequencies,
    Jitter,
    LogProbability,
    Neuron,
    Pixels,
    TotalVariation,
)
from sciexplain.maximize import maximize


def linear(features, classes=3, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(features, classes, dtype=torch.float64)


def convolutional(*end):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 36, 3), *end
    ).double()


# -- closed forms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize(("weight", "center"), [(0.5, 0.0), (2.0, 1.5)])
def test_linear_model_with_l2(optimizer, weight, center):
    model = linear(4)
    found = maximize(model, 1, (4,), penalties=[L2(weight, center)], optimizer=optimizer, lr=0.3, steps=300)
    expected = center + model.weight[1].detach() / (2 * weight)
    assert torch.allclose(found.inputs, expected.expand(4, -1), atol=1e-6)
    assert torch.allclose(found.values, model(found.inputs)[:, 1])
    assert torch.allclose(found.penalty, weight * ((found.inputs - center) ** 2).sum(1))
    assert torch.allclose(found.totals, found.values - found.penalty)


@pytest.mark.parametrize("density_weight", [0.5, 1.0, 3.0])
def test_linear_decoder_with_normal_codes(density_weight):
    """max w·Az − λ‖z‖²/2 is at z = Aᵀw/λ."""
    model, decoder = linear(4), linear(2, 4, seed=1)
    found = maximize(model, 2, prior=Decoder(decoder, 2), density_weight=density_weight, lr=0.3, steps=300)
    expected = decoder.weight.T @ model.weight[2] / density_weight
    assert torch.allclose(found.codes, expected.detach().expand(4, -1), atol=1e-6)
    assert torch.allclose(found.inputs, decoder(found.codes))
    normal = torch.distributions.Normal(torch.zeros(2, dtype=torch.float64), 1.0)
    assert torch.allclose(found.log_density, normal.log_prob(found.codes).sum(1))


def test_normal_density_of_inputs():
    """max w·x + log N(x; μ, diag(s²)) is at μ + s²w."""
    model, mean, spread = linear(3), torch.tensor([1.0, -1.0, 0.5]).double(), torch.tensor([1.0, 0.5, 0.2]).double()
    normal = torch.distributions.Normal(mean, spread)
    density = Density((3,), lambda x: normal.log_prob(x).sum(1))
    found = maximize(model, 0, density, lr=0.3, steps=300)
    assert torch.allclose(found.best, mean + spread**2 * model.weight[0].detach(), atol=1e-6)
    assert torch.allclose(found.log_density, normal.log_prob(found.inputs).sum(1))


def test_bounds_are_reached_and_kept():
    model = linear(5)
    found = maximize(model, 0, (5,), low=-1.0, high=torch.full((5,), 2.0), lr=0.2)
    expected = torch.where(model.weight[0] > 0, 2.0, -1.0).double()
    assert torch.equal(found.best, expected)


def test_log_probability_is_the_posterior_mode():
    """Two classes: the slope of log p is (w₀ − w₁) p₁, so that with a normal prior x = (w₀ − w₁) p₁."""
    model = linear(3, 2)
    found = maximize(model, LogProbability(0), (3,), penalties=[L2(0.5)], lr=0.3, steps=300)
    x = found.best
    apart = (model.weight[0] - model.weight[1]).detach()
    assert torch.allclose(x, apart * model(x).softmax(0)[1].detach(), atol=1e-6)
    assert torch.allclose(found.probabilities, model(found.inputs).softmax(1)[:, 0])


# -- against a plain loop ----------------------------------------------------------------------------------------------


def by_hand(model, objective, penalty, start, steps, lr):
    """Adam on minus the objective, Kingma and Ba 2015, algorithm 1, with a cosine's learning rate."""
    x, m, v = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    for t in range(1, steps + 1):
        leaf = x.clone().requires_grad_()
        (objective(model(leaf)) - penalty(leaf)).sum().backward()
        g, rate = -leaf.grad, lr * 0.5 * (1 + math.cos(math.pi * (t - 1) / steps))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - rate * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
    return x


def test_the_path_is_that_of_a_plain_loop():
    model = convolutional().eval()
    start = torch.randn(3, 2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = maximize(
        model, 2, (2, 8, 8), penalties=[L2(0.01), TotalVariation(0.02, beta=2)], restarts=3, steps=20, start=start
    )

    def penalty(x):
        varied = (x.diff(dim=2) ** 2).sum((1, 2, 3)) + (x.diff(dim=3) ** 2).sum((1, 2, 3))
        return 0.01 * (x**2).sum((1, 2, 3)) + 0.02 * varied

    expected = by_hand(model, lambda y: y[:, 2], penalty, start, 20, 0.05)
    order = (model(expected)[:, 2] - penalty(expected)).argsort(descending=True)
    assert torch.allclose(found.inputs, expected[order], atol=1e-9)
    assert torch.allclose(found.trace[0], model(start)[order, 2])


ENDS = {
    "softmax": nn.Softmax(1),
    "log_softmax": nn.LogSoftmax(1),
    "sigmoid": nn.Sigmoid(),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_final_squash_is_stepped_over(end):
    plain, squashed = convolutional(), convolutional(ENDS[end])
    logits, found = (maximize(m, 1, (2, 8, 8), restarts=2, steps=12) for m in (plain, squashed))
    assert torch.equal(found.inputs, logits.inputs)
    assert torch.equal(found.values, logits.values)
    assert (logits.stepped_over, found.stepped_over) == (None, end)
    probabilities = squashed.eval()(found.inputs)[:, 1]
    assert torch.allclose(found.probabilities, probabilities.exp() if end == "log_softmax" else probabilities)
    assert torch.equal(found.output, logits.output)


def test_a_callable_sees_logits():
    model = convolutional(nn.Softmax(1))
    found = maximize(model, lambda y: y[:, 0] - y[:, 1], (2, 8, 8), steps=5)
    plain = convolutional().eval()(found.inputs)
    assert torch.allclose(found.values, plain[:, 0] - plain[:, 1])
    assert found.probabilities is None


# -- several targets and restarts --------------------------------------------------------------------------------------


def test_a_target_does_not_depend_on_its_neighbours():
    model = convolutional()
    options = {"transforms": [Jitter(2)], "restarts": 3, "steps": 15, "low": -1, "high": 1}
    together = maximize(model, [0, Channel("0", 1), 2], (2, 8, 8), **options)
    for one, target in zip(together, [0, Channel("0", 1), 2], strict=True):
        alone = maximize(model, target, (2, 8, 8), **options)
        assert torch.allclose(one.inputs, alone.inputs, atol=1e-9)
        assert torch.allclose(one.trace, alone.trace, atol=1e-9)
        assert one.target == target


@pytest.mark.parametrize("targets", [[0, 2], range(0, 3, 2), torch.tensor([0, 2]), np.array([0, 2])])
def test_lists_of_classes(targets):
    found = maximize(linear(4), targets, (4,), steps=3)
    assert [one.target for one in found] == [0, 2]


def test_the_best_restart_is_first():
    found = maximize(convolutional(), 0, (2, 8, 8), restarts=6, steps=4, lr=0.2)
    assert torch.equal(found.totals, found.totals.sort(descending=True).values)
    assert torch.equal(found.best, found.inputs[0])
    assert len(found) == 6
    assert found.totals[0] > found.totals[-1]


def test_diverse_restarts_differ_more():
    model = convolutional().eval()

    def likeness(found):
        features = model[0](found.inputs).flatten(2)
        grams = nn.functional.normalize((features @ features.mT).flatten(1), dim=1)
        return ((grams @ grams.T).sum() - len(grams)) / (len(grams) * (len(grams) - 1))

    plain, diverse = (maximize(model, t, (2, 8, 8), steps=60) for t in (0, Diverse(0, "0", 20.0)))
    assert likeness(diverse) < likeness(plain) - 0.1


def test_seeds():
    model = convolutional()
    options = {"transforms": [Jitter(1)], "steps": 5}
    first, again, other = (maximize(model, 0, (2, 8, 8), seed=s, **options) for s in (0, 0, 1))
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, other.inputs)


def test_progress():
    told = []
    found = maximize(linear(3), [0, 1], (3,), restarts=2, steps=5, report=told.append)
    assert [(s.number, s.steps) for s in told] == [(i, 5) for i in range(1, 6)]
    assert torch.equal(torch.stack([s.values for s in told]), torch.cat([one.trace for one in found], 1))


# -- other inputs, dtypes and models -----------------------------------------------------------------------------------


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 2), nn.Linear(2, 2)

    def forward(self, a, b):
        return self.a(a) + self.b(b)


@pytest.mark.parametrize("as_dict", [False, True])
def test_a_prior_of_several_inputs(as_dict):
    torch.manual_seed(0)
    model = Two()
    to_input = (lambda z: {"a": z[:, :3], "b": z[:, 3:]}) if as_dict else (lambda z: (z[:, :3], z[:, 3:]))
    found = maximize(model, 1, prior=Decoder(lambda z: z, 5, to_input=to_input), lr=0.3, steps=300)
    expected = (model.a.weight[1], model.b.weight[1])
    best = list(found.best.values()) if as_dict else found.best
    assert all(torch.allclose(x, w.detach(), atol=1e-3) for x, w in zip(best, expected, strict=True))


def test_a_function_without_parameters():
    found = maximize(lambda x: -((x - 3) ** 2), 0, (1,), penalties=[], lr=0.3, steps=300)
    assert float(found.best) == pytest.approx(3, abs=1e-4)


def test_half_precision():
    model = linear(4).to(torch.bfloat16)
    found = maximize(model, 1, (4,), penalties=[L2(0.5)], lr=0.1, steps=200)
    assert found.inputs.dtype == torch.bfloat16
    assert found.codes.dtype == torch.float32
    assert torch.allclose(found.codes[0], model.weight[1].float().detach(), atol=0.02)


def test_sequences():
    """(N, channels, L), with frequencies and total variation."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(4, 3, 5), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 16, 2))
    found = maximize(
        model, 0, (4, 20), parameterization="frequencies", low=0, high=1, penalties=[TotalVariation(0.001)], steps=40
    )
    assert found.inputs.shape == (4, 4, 20)
    assert float(found.inputs.min()) >= 0
    assert float(found.inputs.max()) <= 1
    assert (found.values > found.trace[0]).all()


def test_operators_smooth_the_input_itself():
    model = convolutional()
    rough, smooth = (maximize(model, 0, (2, 8, 8), operators=o, steps=40) for o in ([], [Blur(1.0)]))

    def roughness(x):
        return (x.diff(dim=2) ** 2).sum() / (x**2).sum()

    assert roughness(smooth.inputs) < 0.5 * roughness(rough.inputs)


def test_an_unbounded_shape_has_a_maximum_by_default():
    model = linear(4)
    found = maximize(model, 1, (4,))
    assert torch.allclose(found.best, model.weight[1].detach() / 0.2, rtol=1e-3)


@pytest.mark.parametrize("shape", [4, [4], torch.Size([4]), torch.tensor([4]), torch.tensor(4), np.array([4])])
def test_a_shape_in_every_form(shape):
    assert torch.equal(maximize(linear(4), 1, shape, steps=3).inputs, maximize(linear(4), 1, (4,), steps=3).inputs)


def test_one_penalty_transform_and_operator_by_themselves():
    model = convolutional()
    several = maximize(model, 0, (2, 8, 8), penalties=[L2(0.1)], transforms=[Jitter(1)], operators=[Blur(0.5)], steps=3)
    one = maximize(model, 0, (2, 8, 8), penalties=L2(0.1), transforms=Jitter(1), operators=Blur(0.5), steps=3)
    assert torch.equal(one.inputs, several.inputs)


@pytest.mark.parametrize("squeezed", [False, True])
def test_the_only_output(squeezed):
    model = nn.Sequential(linear(4, 1), nn.Flatten(0)) if squeezed else linear(4, 1)
    weight = (model[0] if squeezed else model).weight[0].detach()
    assert torch.allclose(maximize(model, None, (4,), low=-1, high=2).best, (3 * (weight > 0) - 1).double())


def test_a_prior_of_ones_own_with_one_number_as_shape():
    class Own:
        code_shape = 2
        weight = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

        def decode(self, codes):
            return codes @ self.weight.T

        def log_density(self, codes):
            return -(codes**2).sum(1) / 2

    model, prior = linear(4), Own()
    found = maximize(model, 1, prior, lr=0.3, steps=300)
    assert torch.allclose(found.codes, (prior.weight.T @ model.weight[1]).expand(4, -1), atol=1e-6)


def test_a_shape_with_the_batch_in_it_is_told_beside_the_models_own_error():
    with pytest.raises(RuntimeError) as caught:
        maximize(convolutional(), 0, (1, 2, 8, 8))
    (note,) = caught.value.__notes__
    assert "(4, 1, 2, 8, 8)" in note and "without the batch dimension" in note


# -- the model is left as it was ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("breaks", [False, True])
def test_nothing_is_changed(breaks):
    model = convolutional().train()
    decoder = nn.Sequential(
        nn.Linear(5, 128), nn.BatchNorm1d(128), nn.Dropout(0.5), nn.Unflatten(1, (2, 8, 8))
    ).double()
    before = {k: v.clone() for k, v in [*model.state_dict().items(), *decoder.state_dict(prefix="d").items()]}
    torch.manual_seed(3)
    state = torch.get_rng_state()

    def report(step):
        if breaks and step.number == 2:
            raise KeyError("stop")

    if breaks:
        with pytest.raises(KeyError):
            maximize(model, Neuron("5", 0), prior=Decoder(decoder, 5), report=report, steps=3)
    else:
        maximize(model, Neuron("5", 0), prior=Decoder(decoder, 5), report=report, steps=3)
    after = {**model.state_dict(), **decoder.state_dict(prefix="d")}
    assert all(torch.equal(v, after[k]) for k, v in before.items())
    assert all(p.grad is None for p in [*model.parameters(), *decoder.parameters()])
    assert all(m.training for m in [*model.modules(), *decoder.modules()])
    assert not any(m._forward_hooks for m in model.modules())
    assert torch.equal(torch.get_rng_state(), state)


def test_under_no_grad_and_inference_mode():
    model = linear(4)
    expected = maximize(model, 0, (4,), steps=3).inputs
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            assert torch.equal(maximize(model, 0, (4,), steps=3).inputs, expected)


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((0,), {}, InputError, "shape of one input"),
        ((0, (4,)), {"prior": Pixels((4,))}, InputError, "expected one of them"),
        ((0, "four"), {}, InputError, "such as (1, 28, 28)"),
        ((0, (4, -1)), {}, InputError, "such as (1, 28, 28)"),
        ((0, object()), {}, InputError, "a prior with decode"),
        ((3, (4,)), {}, TargetError, "3 outputs (0 to 2)"),
        (("cat", (4,)), {}, TargetError, "a class index"),
        ((True, (4,)), {}, TargetError, "a class index"),
        (([], (4,)), {}, TargetError, "an empty list"),
        ((Channel("nowhere", 0), (4,)), {}, InputError, "no module of that name"),
        ((Diverse(0, ""), (4,)), {"restarts": 1}, TargetError, "restarts=2"),
        ((lambda y: y, (4,)), {}, TargetError, "(N,)"),
        ((lambda y: y[:2, 0], (4,)), {}, TargetError, "one value for each"),
        ((lambda y: y[:, 0].detach(), (4,)), {}, TargetError, "does not depend"),
        ((lambda y: y[:, 0] / 0, (4,)), {}, NonFiniteOutputError, "in step 1"),
        ((0, (4,)), {"restarts": 0}, InputError, "restarts=0"),
        ((0, (4,)), {"lr": 0.0}, InputError, "lr=0"),
        ((0, (4,)), {"steps": 1.5}, InputError, "steps=1.5"),
        ((0, (4,)), {"low": 1.0, "high": 0.0}, InputError, "low=1.0, high=0.0"),
        ((None, (4,)), {}, TargetError, "the model has 3 outputs"),
        ((0, (4,)), {"optimizer": "lbfgs"}, InputError, "'lbfgs'"),
        ((0, (4,)), {"parameterization": "wavelets"}, InputError, "'wavelets'"),
        ((0, (4,)), {"parameterization": "frequencies"}, InputError, "(channels, places, …)"),
        ((0, (4,)), {"start": torch.zeros(2, 4)}, InputError, "(restarts, *code_shape) = (4, 4)"),
        ((0, (4,)), {"penalties": [TotalVariation(1.0)]}, InputError, "(N, channels, places, …)"),
        ((0, (4,)), {"transforms": [Jitter(1)]}, InputError, "(N, channels, places, …)"),
        ((0, Decoder(lambda z: z, 4)), {"low": 0}, InputError, "bounds for a shape"),
        ((0, Decoder(lambda z: z, 4)), {"operators": [Blur(1.0)]}, InputError, "stepped on themselves"),
        ((0, Decoder(lambda z: z, 4, log_density=lambda z: z)), {}, InputError, "log_density"),
        ((0, Frequencies((4, 4))), {"operators": [Blur(1.0)]}, InputError, "stepped on themselves"),
    ],
)
def test_what_is_wrong_is_said(arguments, options, error, words):
    with pytest.raises(error) as raised:
        maximize(linear(4), *arguments, **options)
    assert words in str(raised.value)


def test_a_model_that_is_none():
    with pytest.raises(ModelError, match="str"):
        maximize("model", 0, (4,))
