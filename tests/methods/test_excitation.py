"""Excitation backpropagation against the paper's sums, written out."""

import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx

MLP = randomize(nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)))
CNN = randomize(
    nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 3, 2), nn.ReLU(), nn.Flatten(),
                  nn.Linear(12, 3))
)  # fmt: skip


def winning(x, layers, target):
    """Eq. 5: P_i = Σ_j x_i⁺ w_ij⁺ / (Σ_i x_i⁺ w_ij⁺) P_j, from 1 at the target down."""
    activations = [x]
    for layer in layers:
        activations.append(layer(activations[-1]))
        if layer is not layers[-1]:
            activations[-1] = activations[-1].relu()
    p = torch.zeros(len(x), layers[-1].out_features).double()
    p[torch.arange(len(x)), target] = 1
    for layer, a in zip(reversed(layers), reversed(activations[:-1]), strict=True):
        contributions = a.clamp(min=0)[:, None] * layer.weight.clamp(min=0)  # (N, outputs, inputs)
        total = contributions.sum(2)
        share = torch.where(total > 0, p / torch.where(total > 0, total, 1.0), 0.0)
        p = torch.einsum("nj,nji->ni", share, contributions)
    return p.detach()


@pytest.mark.parametrize("sign", ["both", "nonnegative"])
def test_dense_layers(sign):
    x, target = sample(6, 5, sign=sign), torch.tensor([0, 1, 2, 2, 1, 0])
    e = sx.explain(MLP, x, target, "excitation_backprop")
    torch.testing.assert_close(e.relevance, winning(x, [MLP[0], MLP[2], MLP[4]], target))
    assert (e.score == 1).all() and (e.relevance >= 0).all()
    torch.testing.assert_close(e.output, MLP(x).detach())


def test_probability_is_kept_where_everything_is_excited():
    net = randomize(nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)))
    with torch.no_grad():
        net[0].weight.abs_(), net[2].weight.copy_(net[2].weight.abs() * torch.tensor([1, -1, 1, 1, 1, 1.0]))
    e = sx.explain(net, sample(4, 5).abs(), 1, "excitation_backprop")
    torch.testing.assert_close(e.relevance.sum(1), torch.ones(4).double())


def test_convolutions_are_their_dense_layers():
    """Each layer as a matrix: a convolution's Jacobian."""
    x = sample(1, 2, 8, 8)
    with torch.no_grad():
        a = x
        dense = []
        for i, layer in enumerate(CNN):
            if isinstance(layer, nn.Conv2d | nn.AvgPool2d | nn.Linear):
                J = torch.autograd.functional.jacobian(lambda v, f=layer: f(v[None])[0], a[0])
                out = layer(a)
                matrix = J.reshape(out[0].numel(), -1)
                as_linear = nn.Linear(*matrix.shape[::-1]).double()
                as_linear.weight.copy_(matrix)
                as_linear.bias.copy_(out[0].flatten() - matrix @ a[0].flatten())
                dense.append(as_linear)
            a = CNN[: i + 1](x)
    found = sx.explain(CNN, x, 2, "excitation_backprop").relevance
    torch.testing.assert_close(found.flatten(1), winning(x.flatten(1), dense, 2), rtol=1e-6, atol=1e-9)


def test_layers():
    x = sample(4, 5)
    e = sx.explain(MLP, x, 1, "excitation_backprop", layers=["1", "3"])
    torch.testing.assert_close(e.layers["3"], winning(MLP[:4](x), [MLP[4]], 1))
    torch.testing.assert_close(e.layers["1"], winning(MLP[:2](x), [MLP[2], MLP[4]], 1))


def test_a_final_softmax_is_stepped_over():
    x = sample(4, 5)
    e = sx.explain(nn.Sequential(MLP, nn.Softmax(1)), x, 1, "excitation_backprop")
    torch.testing.assert_close(e.relevance, sx.explain(MLP, x, 1, "excitation_backprop").relevance)
    assert e.stepped_over == "softmax"


def test_an_output_of_zero_starts_nothing():
    x = sample(4, 5)
    e = sx.explain(lambda v: MLP(v) * torch.tensor([[1.0], [0.0], [1.0], [1.0]]), x, 1, "excitation_backprop")
    assert e.score.tolist() == [1, 0, 1, 1] and not e.relevance[1].any() and e.relevance[0].any()


def test_an_input_that_the_samples_share():
    x, shift = sample(4, 5), sample(1, 5, seed=3)
    with pytest.raises(sx.InputError, match="pass batch_size=1"):
        sx.explain(lambda a, b: MLP(a + b), (x, shift), 1, "excitation_backprop")
    e = sx.explain(lambda a, b: MLP(a + b), (x, shift), 1, "excitation_backprop", batch_size=1)
    expected = sx.explain(MLP, x + shift, 1, "excitation_backprop").relevance
    torch.testing.assert_close(e.relevance[0] + 0 * x, expected * x / (x + shift))
