"""The page of operations says what the code's tables say."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "attribution.py"


@pytest.fixture(scope="module")
def attribution():
    spec = spec_from_file_location("attribution", SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(attribution):
    assert attribution.PAGE.read_text(encoding="utf-8") == attribution.page(), "run: make docs"


@pytest.mark.parametrize(
    ("name", "lrp", "deeplift"),
    [
        ("mul", "A gate is constant", "Linear in one argument"),
        ("gelu", "Slope `(f(z) − f(0)) / z`", "The rescale rule"),
        ("cat", "Values are rearranged", "Linear in every argument"),
        ("softmax", "First-order expansion", "Exponential and logarithm"),
        ("max_pool2d", "Homogeneous of degree 1", "A maximum"),
        ("lstm", "As the simpler operations", "As the simpler operations"),
        ("conv2d", "The composite's rule", "Linear in one argument"),
    ],
)
def test_a_line_for_each_kind(attribution, name, lrp, deeplift):
    rows = [line.strip("| ").split(" | ") for line in attribution.page().splitlines() if line.startswith("| `")]
    ((_, for_lrp, for_deeplift, source),) = [row for row in rows if f"`{name}`" in row[0].split(", ")]
    assert for_lrp.startswith(lrp) and for_deeplift.startswith(deeplift) and ".py" in source


def test_every_line_says_something(attribution):
    for line in attribution.page().splitlines():
        if line.startswith("| `"):
            assert all(cell.strip() for cell in line.strip("|").split("|"))
