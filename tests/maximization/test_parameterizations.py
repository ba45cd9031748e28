"""Codes and the inputs that they stand for."""

import numpy as np
import pytest
import torch

from sciexplain.errors import InputError
from sciexplain.maximization import Frequencies, Parameterization, Pixels, colour_root


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(2, 9), (1, 8, 6), (3, 5, 7), (1, 4, 3, 5)])
@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_frequencies_are_a_scaled_fourier_series(shape, decay):
    """The spectrum of the decoded input is the code times |k|^-decay, whatever the common factor."""
    space = Frequencies(shape, decay=decay)
    code = torch.randn((1, *space.code_shape), generator=generator()).double()
    x = space.decode(code)[0].numpy()
    assert x.shape == shape
    axes = tuple(range(1, len(shape)))
    spectrum = np.fft.rfftn(x, axes=axes)
    frequency = np.sqrt(
        sum(
            f.reshape([-1 if i == j else 1 for j in range(len(axes))]) ** 2
            for i, f in enumerate([*(np.fft.fftfreq(n) for n in shape[1:-1]), np.fft.rfftfreq(shape[-1])])
        )
    )
    scale = np.maximum(frequency, 1 / max(shape[1:])) ** -decay
    given = torch.view_as_complex(code)[0].numpy() * scale
    inner = (..., slice(1, (shape[-1] - 1) // 2 + 1))  # elsewhere a real input fixes half of the coefficients
    ratio = spectrum[inner] / given[inner]
    assert np.abs(ratio - ratio.flat[0]).max() < 1e-6 * abs(ratio.flat[0])


@pytest.mark.parametrize("shape", [(1, 64), (1, 32, 32)])
@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_standard_normal_codes_give_pixels_of_deviation_one(shape, decay):
    space = Frequencies(shape, decay=decay)
    pixels = space.decode(torch.randn((500, *space.code_shape), generator=generator()))
    assert float(pixels.std()) == pytest.approx(1, abs=0.05)


def test_bounds_by_sigmoid():
    free, bounded = Frequencies((2, 4, 4)), Frequencies((2, 4, 4), low=torch.tensor([[[-1.0]], [[0.0]]]), high=3.0)
    code = torch.randn(2, *free.code_shape)
    low = torch.tensor([-1.0, 0.0])[:, None, None]
    assert torch.allclose(bounded.decode(code), low + (3 - low) * free.decode(code).sigmoid())


def test_colours_vary_together():
    """Pixels drawn with the root of a covariance have that covariance, up to the factor of the root."""
    mixing = torch.tensor([[1.0, 0.8, 0.6], [0.0, 0.5, 0.1], [0.0, 0.0, 0.2]]).double()
    data = torch.einsum("nchw,cd->ndhw", torch.randn(50, 3, 8, 8, generator=generator()).double(), mixing) + 5
    root = colour_root(data)
    pixels = data.movedim(1, 0).flatten(1)
    covariance = torch.cov(pixels, correction=0)
    assert torch.allclose(root @ root * covariance.trace() / (root @ root).trace(), covariance, atol=1e-10)
    assert float(torch.linalg.eigvalsh(root).max()) == pytest.approx(1)
    space = Frequencies((3, 16, 16), colours=root, decay=0)
    drawn = space.decode(torch.randn((400, *space.code_shape), generator=generator()).double())
    found = torch.cov(drawn.movedim(1, 0).flatten(1))
    assert torch.allclose(found / found.trace(), covariance / covariance.trace(), atol=0.02)


def test_pixels_stay_within_bounds():
    space = Pixels((3,), low=torch.tensor([0.0, -1.0, 2.0]), high=torch.tensor([1.0, 1.0, 4.0]))
    codes = torch.tensor([[-5.0, 0.5, 9.0]])
    assert space.project(codes).tolist() == [[0.0, 0.5, 4.0]]
    start = space.start(50, generator())
    assert torch.equal(space.project(start), start)
    assert (start - torch.tensor([0.0, 0.0, 2.0])).abs().max() < 0.15


def test_starts_differ_and_repeat():
    for space in (Pixels((4, 4)), Frequencies((4, 4))):
        first, again = (space.start(3, generator()) for _ in range(2))
        assert torch.equal(first, again)
        assert not torch.equal(first[0], first[1])
        assert isinstance(space, Parameterization)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Frequencies((4,)), "(channels, places, …)"),
        (lambda: Frequencies((3, 4, 4), low=0.0), "both bounds or none"),
        (lambda: Frequencies((3, 4, 4), colours=torch.eye(2)), "expected (3, 3)"),
        (lambda: Pixels((0, 4)), "shape (0, 4)"),
        (lambda: Pixels("abc"), "shape 'abc'"),
    ],
)
def test_what_is_wrong_is_said(make, words):
    with pytest.raises(InputError) as raised:
        make()
    assert words in str(raised.value)
