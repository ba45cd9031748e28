"""Training goes to the weights of the best pass, and stops where nothing is gained."""

import torch
from torch import nn

from sciexplain._fitting import fit

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
Y = X @ torch.tensor([[1.0], [-2.0], [0.5]])
TRAIN, VALID = torch.arange(30), torch.arange(30, 40)


def trained(epochs=40, patience=40, validation=None, lr=0.05):
    torch.manual_seed(0)
    network = nn.Linear(3, 1)
    states = []

    def loss(rows):
        return ((network(X[rows]) - Y[rows]) ** 2).sum(), len(rows)

    def report(epoch):
        states.append({k: v.clone() for k, v in network.state_dict().items()})

    passes = fit(
        network, loss, TRAIN, VALID, validation=validation and validation(network), epochs=epochs, patience=patience,
        lr=lr, batch_size=8, report=report,
    )  # fmt: skip
    return network, passes, states


def test_it_learns_and_tells_mean_losses():
    network, passes, _ = trained()
    assert [p.number for p in passes] == list(range(1, 41))
    best = min(p.valid_loss for p in passes)
    with torch.no_grad():
        found = ((network(X[VALID]) - Y[VALID]) ** 2).mean()
    assert abs(float(found) - best) < 1e-6
    assert passes[-1].train_loss < passes[0].train_loss / 10


def test_the_weights_are_those_of_the_pass_with_the_lowest_validation_loss():
    """A validation that likes the third pass best."""

    def validation(network):
        seen = []

        def loss(rows):
            seen.append(0)
            return torch.tensor(abs(len(seen) - 3.0)), 1

        return loss

    network, passes, states = trained(epochs=9, patience=4, validation=validation)
    assert len(passes) == 7  # the third, and four that are no better
    for name, value in network.state_dict().items():
        assert torch.equal(value, states[2][name])


def test_rows_without_a_known_target_are_passed_over():
    network = nn.Linear(3, 1)
    before = network.weight.clone()
    (epoch,) = fit(
        network, lambda rows: (network(X[rows]).sum() * 0, 0), TRAIN, VALID, epochs=1, patience=1, lr=1.0, batch_size=8,
        report=lambda epoch: None,
    )  # fmt: skip
    assert torch.equal(network.weight, before) and epoch.train_loss == 0 and epoch.valid_loss != epoch.valid_loss
