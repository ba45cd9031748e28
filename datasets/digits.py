"""The 1 797 handwritten digits that come with scikit-learn."""

import numpy as np

from sciexplain.datasets.labelled import LabelledImages

_GREY_LEVELS = 16
_HELD_OUT_EVERY = 5


def load_digits() -> LabelledImages:
    """Test set of the UCI optical digits, 8 × 8; a fixed fifth of every class is held out.

    Notes
    -----
    Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
    Each pixel counts the dark points of a 4 × 4 block (0..16), here divided by 16.
    """
    from sklearn.datasets import load_digits as bundled

    raw = bundled()
    labels = raw.target.astype(np.int64)
    train, test = _split(labels)
    return LabelledImages(
        images=(raw.images / _GREY_LEVELS).astype(np.float32),
        labels=labels,
        names=tuple(str(name) for name in raw.target_names),
        train=train,
        test=test,
    )


def _split(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a fifth of each class; the same images on every machine and numpy version."""
    rank = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank[members] = np.arange(len(members))
    held_out = rank % _HELD_OUT_EVERY == 0
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
