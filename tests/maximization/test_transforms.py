"""Transforms against direct computations."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from sciexplain.errors import InputError
from sciexplain.maximization import Affine, Blur, Jitter


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(6, 2, 9), (6, 1, 5, 7), (3, 1, 4, 3, 5)])
def test_jitter_rolls_every_sample_by_itself(shape):
    x = torch.randn(shape)
    moved = Jitter(2)(x, generator())
    draws = generator()
    shifts = [torch.randint(-2, 3, (shape[0], 1), generator=draws)[:, 0].tolist() for _ in shape[2:]]
    for i, one in enumerate(x):
        expected = one.roll([s[i] for s in shifts], dims=tuple(range(1, one.ndim)))
        assert torch.equal(moved[i], expected)
    assert len({tuple(s) for s in zip(*shifts, strict=True)}) > 1


def test_no_jitter_changes_nothing():
    x = torch.randn(2, 1, 4, 4)
    assert torch.equal(Jitter(0)(x, generator()), x)


@pytest.mark.parametrize(("height", "width"), [(21, 21), (15, 31)])
def test_affine_turns_and_scales_about_the_centre(height, width):
    """Compared with scipy's own, on a smooth blob away from the border."""
    rows, columns = np.mgrid[:height, :width]
    blob = np.exp(-((rows - height / 2 - 2) ** 2 + (columns - width / 2 + 3) ** 2) / 6)
    x = torch.from_numpy(blob)[None, None]
    found = Affine(degrees=30, scale=0.2)(x, generator(3))[0, 0].numpy()
    draws = (2 * torch.rand((2, 1), generator=generator(3)) - 1).numpy()[:, 0]
    angle, size = np.deg2rad(30 * draws[0]), 1 / (1 + 0.2 * draws[1])
    # grid_sample counts (column, row); scipy (row, column)
    matrix = size * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    expected = ndimage.affine_transform(blob, matrix, centre - matrix @ centre, order=1, mode="nearest")
    assert np.abs(found - expected).max() < 1e-6


def test_affine_of_nothing():
    x = torch.randn(2, 3, 6, 5).double()
    assert torch.allclose(Affine(0, 0)(x, generator()), x, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3, 12), (2, 1, 7, 9)])
def test_blur_is_scipys(shape):
    x = np.random.default_rng(0).normal(size=shape)
    found = Blur(0.8)(torch.from_numpy(x), 1).numpy()
    sigmas = [0, 0, *[0.8] * (len(shape) - 2)]
    assert (
        np.abs(found - ndimage.gaussian_filter(x, sigmas, mode="nearest", radius=[0, 0, *[3] * (len(shape) - 2)])).max()
        < 1e-12
    )


def test_blur_every_few_steps():
    x = torch.randn(1, 1, 5, 5)
    assert [torch.equal(Blur(1.0, every=3)(x, step), x) for step in (1, 2, 3, 4)] == [True, True, False, True]


@pytest.mark.parametrize("transform", [Jitter(1), Affine()])
def test_tables_have_no_places(transform):
    with pytest.raises(InputError, match="expected"):
        transform(torch.randn(2, 5), generator())
    with pytest.raises(InputError, match="expected"):
        Blur(1.0)(torch.randn(2, 5), 1)
