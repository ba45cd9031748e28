"""Which rows an operation sends where, as walks between atoms need to know."""

import pytest
import torch

from sciexplain.engine.hops import _scattered

ROWS = torch.tensor([2, 0, 2])
TARGET = torch.zeros(3, 4)


class Called:
    """An operation's name and arguments, as handlers see them."""

    def __init__(self, name, *args, **kwargs):
        self.name, self.args, self.kwargs = name, args, kwargs

    def argument(self, place, name):
        return self.args[place] if place < len(self.args) else self.kwargs.get(name)


@pytest.mark.parametrize(
    ("called", "rows"),
    [
        (Called("index_add", TARGET, 0, ROWS), ROWS),
        (Called("scatter_add", TARGET, 0, ROWS[:, None].expand(3, 4)), ROWS),
        (Called("scatter_add", TARGET, 0, ROWS[:, None].repeat(1, 4)), ROWS),
        (Called("scatter_add", TARGET, -2, ROWS[:, None].repeat(1, 4)), ROWS),
        (Called("scatter_add", TARGET, 0, torch.stack([ROWS, ROWS.flip(0), ROWS, 1 - ROWS.clamp(max=1)], 1)), None),
        (Called("scatter_add", TARGET, 1, ROWS[:, None].repeat(1, 4)), None),
        (Called("index_put", TARGET, [ROWS]), ROWS),
        (Called("index_put", TARGET, [ROWS, ROWS]), None),
        (Called("index_put", TARGET, [ROWS == 2]), None),
        (Called("segment_reduce", TARGET, "sum", lengths=torch.tensor([2, 0, 1])), torch.tensor([0, 0, 2])),
        (Called("segment_reduce", TARGET, "sum", offsets=torch.tensor([0, 2, 2, 3])), torch.tensor([0, 0, 2])),
        (Called("segment_reduce", TARGET, "sum", lengths=torch.ones(2, 2, dtype=torch.long)), None),
    ],
)
def test_rows_that_are_summed(called, rows):
    found = _scattered(called)
    assert (found is None) == (rows is None)
    assert rows is None or torch.equal(found, rows)
