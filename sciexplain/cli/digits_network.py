"""The small network that the demonstration trains."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def make_network() -> nn.Sequential:
    """A convolutional network for (N, 1, 8, 8) digits with ten logits."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(64 * 4 * 4, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def train_network(
    images: Tensor, labels: Tensor, *, epochs: int, seed: int, advance: Callable[[], object]
) -> nn.Sequential:
    """Train with Adam and cross-entropy; the same seed gives the same network.

    Parameters
    ----------
    images
        (N, 1, 8, 8) in 0..1.
    labels
        (N,) int64.
    epochs, seed
        Passes over the images, and what initialisation, order and dropout are drawn from.
    advance
        Called after each epoch.

    Returns
    -------
    The network in evaluation mode.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make_network()
        optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
        for _ in range(epochs):
            for batch in torch.randperm(len(images)).split(64):
                loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            advance()
    return network.eval()
