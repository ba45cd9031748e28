"""Images with one class each, as every image data set here is given."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelledImages:
    """Grey images, their classes, and a fixed division into training and test.

    Attributes
    ----------
    images
        (N, H, W) float32 in 0..1.
    labels
        (N,) int64, indices into ``names``.
    names
        Class names.
    train, test
        int64 indices into the N images; disjoint.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    train: NDArray[np.int64]
    test: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)
