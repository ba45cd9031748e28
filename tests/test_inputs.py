"""Inputs in parts, and results by the names of the inputs."""

import pytest
import torch

import sciexplain as sx
from sciexplain.inputs import Inputs, passes

X, SHARED = torch.arange(10.0).view(5, 2), torch.ones(3)


@pytest.mark.parametrize(
    ("samples", "size", "expected"),
    [(5, 2, [(0, 2), (2, 4), (4, 5)]), (4, 2, [(0, 2), (2, 4)]), (1, 9, [(0, 1)]), (0, 3, [])],
)
def test_passes(samples, size, expected):
    assert [(rows.start, rows.stop) for rows in passes(samples, size)] == expected


@pytest.mark.parametrize("size", [1, 2, 5, 9, None])
def test_parts_hold_every_sample_once_and_what_is_shared_whole(size):
    given = Inputs.of({"x": X, "shared": SHARED})
    parts = list(given.parts(size))
    assert torch.equal(torch.cat([part.values["x"] for _, part in parts]), X)
    assert all(torch.equal(part.values["x"], X[rows]) for rows, part in parts)
    assert all(part.values["shared"] is SHARED for _, part in parts)


def test_no_parts():
    with pytest.raises(sx.InputError, match="batch is empty"):
        list(Inputs.of(X[:0]).parts(None))
    with pytest.raises(sx.InputError, match="batch_size=0"):
        list(Inputs.of(X).parts(0))


@pytest.mark.parametrize("inputs", [X, (X, 2.0, SHARED), {"a": X, "b": SHARED}])
def test_named_undoes_rebuild(inputs):
    given = Inputs.of(inputs)
    tensors = {name: value + 1 for name, value in given.tensors()}
    named = given.named(given.rebuild(tensors))
    assert {name: value for name, value in named.items() if value is not None}.keys() == tensors.keys()
    assert all(named[name] is value for name, value in tensors.items())
