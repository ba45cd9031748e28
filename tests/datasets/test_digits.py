import hashlib

import numpy as np
import pytest

from sciexplain import datasets


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


def test_same_values_as_scikit_learn(digits):
    from sklearn.datasets import load_digits

    raw = load_digits()
    np.testing.assert_array_equal(digits.images * 16, raw.images)
    np.testing.assert_array_equal(digits.labels, raw.target)
    assert digits.images.dtype == np.float32
    assert digits.labels.dtype == np.int64
    assert digits.names == tuple("0123456789")


def test_split_covers_all_once(digits):
    assert sorted([*digits.train, *digits.test]) == list(range(1797))


def test_split_keeps_class_shares(digits):
    everywhere = np.bincount(digits.labels)
    held_out = np.bincount(digits.labels[digits.test])
    np.testing.assert_array_equal(held_out, np.ceil(everywhere / 5))


def test_split_stays_as_it_was_published(digits):
    # Results that users keep refer to these indices.
    digest = hashlib.sha256(digits.test.astype("<i8").tobytes()).hexdigest()
    assert digest == "c0e2fd0581477082624ff3892f94e2a4eccd0a18f8c6ce6f2d886a9df276b056"
