import pytest

from sciexplain import datasets
from sciexplain.errors import DataError


@pytest.mark.parametrize("ask", [datasets.load, datasets.describe])
def test_unknown_name_lists_the_names(ask):
    with pytest.raises(DataError, match="'minst'; there are: digits, mnist"):
        ask("minst")


def test_every_name_is_described():
    assert all(datasets.describe(name) for name in datasets.names())
