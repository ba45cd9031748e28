"""Networks that training builds and loading rebuilds: a convolutional classifier, a variational autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sciexplain.errors import ModelError
from sciexplain.maximization import standard_normal

Kind = Literal["classifier", "autoencoder"]


@dataclass(frozen=True)
class Architecture:
    """What a network is built from.

    Attributes
    ----------
    kind
        ``"classifier"`` or ``"autoencoder"``.
    shape
        (channels, rows, columns) of one picture.
    outputs
        Classes, or numbers in a code.
    width
        Filters of the classifier's first convolution; hidden units of the autoencoder.
    """

    kind: Kind
    shape: tuple[int, int, int]
    outputs: int
    width: int

    def __post_init__(self) -> None:
        if self.kind not in ("classifier", "autoencoder"):
            raise ModelError(f"kind={self.kind!r}: expected 'classifier' or 'autoencoder'")
        if len(self.shape) != 3 or min(*self.shape, self.outputs, self.width) < 1:
            raise ModelError(
                f"shape={self.shape}, outputs={self.outputs}, width={self.width}: expected (channels, rows, columns) "
                "and numbers above 0"
            )
        if self.kind == "classifier" and min(self.shape[1:]) < 4:
            raise ModelError(
                f"pictures of {self.shape[1]} × {self.shape[2]}: the classifier pools twice, from 4 × 4 up"
            )


def build(architecture: Architecture) -> nn.Module:
    """A network with fresh weights."""
    channels, rows, columns = architecture.shape
    if architecture.kind == "autoencoder":
        return Autoencoder(architecture.shape, architecture.outputs, architecture.width)
    width = architecture.width
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(2 * width * (rows // 4) * (columns // 4), 4 * width),
        nn.ReLU(),
        nn.Linear(4 * width, architecture.outputs),
    )


class Autoencoder(nn.Module):
    """A variational autoencoder of pictures in 0..1, and thereby a prior for maximisation.

    Kingma and Welling 2014, *Auto-encoding variational Bayes*: codes are standard normal, pixels independent given the
    code, with a Bernoulli likelihood of their grey.
    """

    def __init__(self, shape: tuple[int, int, int], code: int, width: int) -> None:
        super().__init__()
        self.shape, self.code_shape = tuple(shape), (code,)
        pixels = shape[0] * shape[1] * shape[2]
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 2 * code),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(code, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, pixels)
        )

    def encode(self, pictures: Tensor) -> Tensor:
        """(n, channels, rows, columns) in 0..1 to the means of their codes (n, code)."""
        return self.posterior(pictures)[0]

    def decode(self, codes: Tensor) -> Tensor:
        """(n, code) to pictures (n, channels, rows, columns) in 0..1, the mean grey of each pixel."""
        return self.logits(codes).sigmoid()

    def log_density(self, codes: Tensor) -> Tensor:
        """(n,): standard normal."""
        return standard_normal(codes)

    def posterior(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances of the codes, (n, code) each."""
        mean, log_variance = self.encoder(pictures).chunk(2, 1)
        return mean, log_variance

    def logits(self, codes: Tensor) -> Tensor:
        """(n, channels, rows, columns): before the sigmoid."""
        return self.decoder(codes).view(-1, *self.shape)

    def negative_bound(self, pictures: Tensor, noise: Tensor) -> Tensor:
        """(n,): the negative evidence lower bound in nats, with standard normal ``noise`` (n, code)."""
        mean, log_variance = self.posterior(pictures)
        logits = self.logits(mean + (log_variance / 2).exp() * noise)
        unlikely = nn.functional.binary_cross_entropy_with_logits(logits, pictures, reduction="none").flatten(1).sum(1)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
        return unlikely + divergence

    def forward(self, pictures: Tensor) -> Tensor:
        """The reconstruction from the codes' means."""
        return self.decode(self.encode(pictures))


def noise_like(network: Autoencoder, count: int, generator: torch.Generator) -> Tensor:
    """(count, code): standard normal."""
    return torch.randn((count, *network.code_shape), generator=generator)
