"""Data travel into pages unchanged, and nothing in them can be more than data."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.report.payload import plain, rounded, script

_NUMBERS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
_JSON = st.recursive(
    _NUMBERS | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


def _read(text: str):
    """What a browser makes of the script: the string literal, then its JSON."""
    literal = re.fullmatch(r"sciexplain\.receive\(\"x\", '((?:[^'\\\n]|\\.)*)'\);\n", text)
    assert literal
    return json.loads(re.sub(r"\\(.)", r"\1", literal[1]))


@given(_JSON)
def test_it_is_read_back_as_it_was(value):
    assert _read(script("x", value)) == value


@given(_JSON)
def test_it_is_ascii_on_one_line_without_markup(value):
    text = script("x", value)
    assert text.isascii() and text.count("\n") == 1 and "<" not in text


@pytest.mark.parametrize("text", ["</script>", "'); alert(1); ('", "\\", "\\'", "\u2028\u2029", "\ud800", "\r\n\0"])
def test_text_that_would_break_out_stays_text(text):
    assert _read(script("x", {text: [text]})) == {text: [text]}


def test_what_json_lacks_is_null_or_a_plain_value():
    value = {
        "a": np.array([[1.0, np.nan], [-np.inf, 2.0]]),
        "b": (np.float32(0.5), np.bool_(True), float("nan")),
        7: range,
    }
    assert plain(value) == {"a": [[1.0, None], [None, 2.0]], "b": [0.5, True, None], "7": str(range)}


@given(st.lists(st.floats(-1e250, 1e250), max_size=20))
def test_rounding_is_to_six_digits(values):
    array = np.array(values, np.float64)
    expected = [float(f"{value:.6g}") for value in values]
    np.testing.assert_allclose(rounded(array), expected, rtol=1.1e-5, atol=1e-290)  # ties may go either way
