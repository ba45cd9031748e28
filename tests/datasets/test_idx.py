import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sciexplain.datasets.idx import read_idx
from sciexplain.errors import DataError


def encode(values, *, magic=b"\0\0\x08"):
    header = magic + bytes([values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.tobytes()


def write(path, content):
    path.write_bytes(gzip.compress(content))
    return path


@given(values=arrays(np.uint8, array_shapes(max_dims=4, max_side=6)))
def test_reads_what_was_written(tmp_path_factory, values):
    path = write(tmp_path_factory.mktemp("idx") / "x.gz", encode(values))
    np.testing.assert_array_equal(read_idx(path), values)


GOOD = encode(np.arange(12, dtype=np.uint8).reshape(3, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not start like"),
        (b"\x89PNG", "does not start like"),
        (encode(np.zeros(4, np.uint8), magic=b"\0\0\x0d"), "does not start like"),
        (b"\0\0\x08\xff" + bytes(2000), "does not start like"),
        (GOOD[:9], "ends within its header"),
        (GOOD[:-1], "should hold 12 values, as its header says, but holds 11"),
        (GOOD + b"\0", "but holds more"),
        (b"\0\0\x08\x03" + b"\xff" * 12 + bytes(9), "claims 79228162458924105385300197375 values"),
        (b"\0\0\x08\x04" + bytes(4) + b"\xff" * 12, "which no array can have"),
    ],
)
def test_refuses(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_idx(write(tmp_path / "x.gz", content))


@pytest.mark.parametrize("damage", [lambda c: c[: len(c) // 2], lambda c: b"no gzip", lambda c: c[:10] + b"?" * 9])
def test_refuses_damaged_compression(tmp_path, damage):
    path = tmp_path / "x.gz"
    path.write_bytes(damage(gzip.compress(GOOD)))
    with pytest.raises(DataError, match=r"x\.gz"):
        read_idx(path)


def test_names_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="absent"):
        read_idx(tmp_path / "absent.gz")


@given(content=st.binary(max_size=64))
def test_answers_any_bytes_with_values_or_one_error(tmp_path_factory, content):
    path = write(tmp_path_factory.mktemp("idx") / "x.gz", b"\0\0\x08" + content)
    try:
        values = read_idx(path, most_values=100)
    except DataError:
        return
    assert encode(values) == b"\0\0\x08" + content
