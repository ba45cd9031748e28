"""Pictures and numbers in the form of a page."""

import base64
import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from sciexplain.domains import images
from sciexplain.domains.images import page

FLOATS = st.floats(-1e6, 1e6, width=32)


def read_back(made, shape):
    whole = np.frombuffer(zlib.decompress(base64.b64decode(made["data"])), {8: "i1", 16: "<i2"}[made["bits"]])
    return whole.reshape(shape) * made["step"]


def opened(url):
    kind, _, data = url.partition(",")
    return kind, np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=FLOATS))
def test_numbers_come_back_to_half_a_step(values):
    made = page.stored(values)
    assert made["bits"] == 16 and made["step"] > 0
    back = read_back(made, values.shape)
    np.testing.assert_allclose(back, values, atol=made["step"] * 0.5001, rtol=0)
    assert not np.any(np.sign(back) * np.sign(values) < 0)


def test_large_ones_take_a_byte_each():
    values = np.linspace(-2, 1, 129 * 128, dtype=np.float32).reshape(129, 128)
    made = page.stored(values)
    assert made["bits"] == 8
    np.testing.assert_allclose(read_back(made, values.shape), values, atol=2 / 127 / 2 * 1.0001)


def test_what_is_not_finite_is_zero():
    made = page.stored(np.array([[np.nan, np.inf, -2.0]], np.float32))
    np.testing.assert_allclose(read_back(made, (1, 3)), [[0, 0, -2]])


def test_nothing_but_zeros():
    made = page.stored(np.zeros((2, 3), np.float32))
    assert not read_back(made, (2, 3)).any() and np.isfinite(made["step"])


@pytest.mark.parametrize("channels", [1, 3])
def test_small_pictures_are_exact(channels):
    array = np.random.default_rng(0).integers(0, 256, (9, 7, channels), dtype=np.uint8)
    kind, pixels = opened(page.input_of(images.Picture("a", None, array / np.float32(255)), images.Preprocess())["src"])
    assert kind == "data:image/png;base64" and (pixels == array).all()


def test_photographs_are_jpeg():
    ramp = np.linspace(0, 1, 200 * 300 * 3, dtype=np.float32).reshape(200, 300, 3)
    kind, pixels = opened(page.picture_url(page.shown(ramp)))
    assert kind == "data:image/jpeg;base64" and np.abs(pixels / 255 - ramp).max() < 0.05


def test_what_is_kept_of_the_file():
    array = np.zeros((40, 60, 3), np.float32)
    array[10:30, 20:40, 0] = 1  # what a crop of 20 leaves
    made = page.input_of(images.Picture("a", None, array), images.Preprocess(crop=20, mean=(0.1, 0.2, 0.3)))
    assert (opened(made["src"])[1] == [255, 0, 0]).all()
    top, left, height, width = made["file"]["kept"]
    assert (top * 40, left * 60, height * 40, width * 60) == pytest.approx((10, 20, 20, 20))
    assert "20 × 20 pixels" in made["note"] and "60 × 40 is cropped" in made["note"]
    resized = page.input_of(images.Picture("a", None, array), images.Preprocess(resize=20))
    assert resized["file"]["kept"] == [0, 0, 1, 1] and "is resized for it" in resized["note"]
    assert "resized and cropped" in page.input_of(images.Picture("a", None, array), images.Preprocess(20, 16))["note"]
