"""Preprocessing against torchvision, and the way back against the transposed operator."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import _peers
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sciexplain.domains import images
from sciexplain.domains.images.preprocess import _resize_weights
from sciexplain.errors import InputError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
sides = st.integers(1, 24)


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, channels), dtype=np.float32)


@pytest.fixture(scope="module")
def transforms() -> ModuleType:
    """torchvision's; its Python part is enough, and runs where the compiled one does not fit torch."""
    if find_spec("torchvision") is None:
        pytest.skip("needs torchvision")
    _peers.torchvision()
    return import_module("torchvision.transforms.v2")


@pytest.mark.parametrize(
    ("size", "resize", "crop"),
    [
        ((50, 37), 32, 24),
        ((37, 50), 32, (24, 31)),
        ((20, 30), 41, 33),
        ((33, 33), (17, 40), None),
        ((25, 31), None, (8, 13)),
        ((10, 10), None, None),
        ((301, 200), 25, 24),
    ],
)
def test_like_torchvision(
    transforms: ModuleType,
    size: tuple[int, int],
    resize: int | tuple[int, int] | None,
    crop: int | tuple[int, int] | None,
) -> None:
    steps = []
    if resize is not None:
        steps.append(transforms.Resize(resize, antialias=True))
    if crop is not None:
        steps.append(transforms.CenterCrop(crop))
    peer = transforms.Compose([*steps, transforms.Normalize(MEAN, STD)])
    pixels = picture(*size)
    ours = images.Preprocess(resize, crop, MEAN, STD)(pixels)
    torch.testing.assert_close(ours, peer(torch.from_numpy(pixels).permute(2, 0, 1)), atol=2e-6, rtol=0)


def test_bounds_are_what_black_and_white_become() -> None:
    preprocess = images.Preprocess(mean=MEAN, std=STD)
    for bound, colour in ((preprocess.low, 0), (preprocess.high, 1)):
        assert bound.shape == (1, 3, 1, 1)
        flat = preprocess(np.full((4, 5, 3), colour, np.float32))
        assert torch.equal(bound[0].expand(3, 4, 5), flat)
    assert images.Preprocess(mean=0.5, std=0.25).low.tolist() == [[[[-2.0]]]]
    assert images.Preprocess(mean=0.5, std=(0.25, 0.5)).high.flatten().tolist() == [2.0, 1.0]


@given(sides, sides, sides, sides, st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_inputs_stay_inside_the_bounds(h: int, w: int, height: int, width: int, seed: int) -> None:
    preprocess = images.Preprocess((height, width), mean=MEAN, std=STD)
    inputs = preprocess(picture(h, w, seed=seed).round())
    assert (inputs >= preprocess.low[0]).all() and (inputs <= preprocess.high[0]).all()


@given(sides, sides)
@settings(max_examples=60, deadline=None)
def test_weights_are_those_of_the_resize(before: int, after: int) -> None:
    weights = _resize_weights(before, after)
    torch.testing.assert_close(weights.sum(1), torch.ones(after, dtype=torch.float64))
    column = torch.eye(before, dtype=torch.float64)[None, None]
    resized = F.interpolate(column, size=(after, before), mode="bilinear", antialias=True)[0, 0]
    torch.testing.assert_close(weights, resized, atol=1e-12, rtol=0)


@given(sides, sides, sides, sides, st.data())
@settings(max_examples=60, deadline=None)
def test_the_way_back_keeps_the_sum_and_is_the_transpose(h: int, w: int, rows: int, cols: int, data) -> None:  # type: ignore[no-untyped-def]
    crop = data.draw(st.tuples(st.integers(1, rows), st.integers(1, cols)))
    preprocess = images.Preprocess((rows, cols), crop)
    relevance = torch.randn(2, *crop, dtype=torch.float64, generator=torch.manual_seed(h * 31 + w))
    back = preprocess.to_original(relevance, (h, w))
    torch.testing.assert_close(back.sum((1, 2)), relevance.sum((1, 2)))
    # <R, A x> = <Aᵀ R, x> for the operator A that makes the input.
    pixels = picture(h, w, 1)
    forward = preprocess(pixels).double()
    expected = (relevance * forward).sum((1, 2))
    torch.testing.assert_close(
        (back * torch.from_numpy(pixels[..., 0]).double()).sum((1, 2)), expected, atol=1e-5, rtol=1e-5
    )


def test_one_column() -> None:
    inputs = images.Preprocess((3, 1))(np.array([[0.0], [1.0]], np.float32))
    assert inputs.flatten().tolist() == [0.0, 0.5, 1.0]


@given(sides, sides)
@settings(max_examples=20, deadline=None)
def test_no_resize_is_the_identity(h: int, w: int) -> None:
    relevance = torch.randn(3, h, w)
    for preprocess in (images.Preprocess(), images.Preprocess((h, w), mean=MEAN)):
        assert torch.equal(preprocess.to_original(relevance, (h, w)), relevance)
        assert preprocess.keeps_pixels((h, w))


def test_relevance_returns_to_the_pixels_it_came_from() -> None:
    # 8 × 6 halved to 4 × 3, of which rows 1-2 and columns 0-1 are kept: half of .5 rounds down, to column 0.
    preprocess = images.Preprocess((4, 3), (2, 2))
    relevance = torch.zeros(2, 2)
    relevance[1, 0] = 12.0
    back = preprocess.to_original(relevance, (8, 6))
    # Network row 2 is centred on original row 4.5, column 0 on column 0.5; triangles of half-width 2.
    rows = torch.tensor([0, 0, 0, 1, 3, 3, 1, 0]) / 8
    columns = torch.tensor([3, 3, 1, 0, 0, 0]) / 7
    torch.testing.assert_close(back, 12 * rows[:, None] * columns)
    assert not preprocess.keeps_pixels((8, 6))


def test_cropped_away_pixels_get_nothing() -> None:
    back = images.Preprocess(crop=(2, 3)).to_original(torch.ones(2, 3), (6, 9))
    expected = torch.zeros(6, 9)
    expected[2:4, 3:6] = 1
    assert torch.equal(back, expected)


def test_one_picture_and_many() -> None:
    preprocess = images.Preprocess(8, 8, MEAN, STD)
    pair = [picture(10, 12), picture(17, 9, seed=1)]
    stacked = preprocess(pair)
    assert stacked.shape == (2, 3, 8, 8)
    for one, alone in zip(pair, stacked, strict=True):
        assert torch.equal(preprocess(images.Picture("x", None, one)), alone)
    torch.testing.assert_close(preprocess.to_display(preprocess(pair)), images.Preprocess(8, 8)(pair))


def test_grey_is_repeated_where_the_mean_has_three_channels() -> None:
    grey = picture(4, 4, 1)
    inputs = images.Preprocess(mean=MEAN, std=STD)(grey)
    assert torch.equal(inputs, images.Preprocess(mean=MEAN, std=STD)(grey.repeat(3, -1)))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: images.Preprocess(mean=(0.5, 0.5), std=MEAN), ["mean=", "std="]),
        (lambda: images.Preprocess(std=0.0), ["std=0"]),
        (lambda: images.Preprocess(resize=0), ["resize=0"]),
        (lambda: images.Preprocess(crop=(1, 2, 3)), ["crop=(1, 2, 3)"]),  # type: ignore[arg-type]
        (lambda: images.Preprocess(crop=9)(picture(8, 20)), ["8 × 20", "crop 9 × 9", "resize="]),
        (lambda: images.Preprocess(mean=MEAN)(picture(4, 4, 2)), ["2 channels", "expected 3", "mode="]),
        (lambda: images.Preprocess(8)([picture(8, 9), picture(8, 10)]), ["different shapes", "crop="]),
        (lambda: images.Preprocess()([]), ["no pictures"]),
        (lambda: images.Preprocess()(picture(4, 4) * 9), ["picture", "expected 0"]),
        (lambda: images.Preprocess()(["a.png"]), ["picture 0", "str"]),  # type: ignore[list-item]
        (lambda: images.Preprocess(4).to_original(torch.ones(5, 5), (8, 8)), ["(5, 5)", "(4, 4)", "(8, 8)"]),
    ],
)
def test_refusals(call, words: list[str]) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError) as caught:
        call()
    assert all(word in str(caught.value) for word in words)


def test_thin_pictures_are_not_made_huge() -> None:
    """A shorter side of 224 would make half a billion pixels of ten thousand."""
    with pytest.raises(InputError, match="pixels to be resized to 224 × 2240000"):
        images.Preprocess(resize=224)(np.zeros((1, 10_000, 1), np.float32))
    assert images.Preprocess(resize=(4, 4))(np.zeros((1, 10_000, 1), np.float32)).shape == (1, 4, 4)
