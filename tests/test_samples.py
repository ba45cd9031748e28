"""Data in every form is the same samples in the same order."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import sciexplain as sx
from sciexplain.samples import Samples

X = torch.arange(22.0).view(11, 2)
Y = torch.arange(11) % 3
MODEL = nn.Linear(2, 3)


class Pictures(Dataset):
    def __len__(self):
        return 11

    def __getitem__(self, i):
        return X[i], int(Y[i])


class Stream(IterableDataset):
    def __iter__(self):
        return iter(X)


class Indexed:
    __len__, __getitem__ = Pictures.__len__, Pictures.__getitem__


def generator():
    yield from X.split(4)


FORMS = {
    "tensor": (X, False),
    "tensor and labels": ((X, Y), True),
    "data set": (Pictures(), True),
    "tensor data set": (TensorDataset(X, Y), True),
    "loader": (DataLoader(Pictures(), 3), True),
    "shuffled loader": (DataLoader(Pictures(), 3, shuffle=True), True),
    "stream": (Stream(), False),
    "loader of a stream": (DataLoader(Stream(), 4), False),
    "list of batches": (list(X.split(5)), False),
    "list of pairs": (list(zip(X.split(5), Y.split(5), strict=True)), True),
    "lists of pairs": ([[x, y] for x, y in zip(X.split(5), Y.split(5), strict=True)], True),
    "generator": (generator(), False),
    "array": (X.numpy(), False),
    "arrays": ((X.numpy(), Y.numpy()), True),
    "list of arrays": ([part.numpy() for part in X.split(4)], False),
    "list of samples": ([(x, int(y)) for x, y in zip(X, Y, strict=True)], True),
    "list of samples with tensors": (list(zip(X, Y, strict=True)), True),
    "list of samples of arrays": ([(x, y) for x, y in zip(X.numpy(), Y.numpy(), strict=True)], True),
    "what can be indexed": (Indexed(), True),
    "nested": ([((x,), y) for x, y in zip(X.split(5), Y.split(5), strict=True)], True),
}


def of_one(inputs):
    (value,) = inputs.values.values()
    return value


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    data, labelled = FORMS[form]
    state = torch.random.get_rng_state()
    samples = Samples(data, MODEL, 4)
    first = samples.first()
    batches = list(samples)
    assert torch.equal(of_one(first.inputs), of_one(batches[0].inputs))
    assert torch.equal(torch.cat([of_one(b.inputs) for b in batches]), X)
    labels = [b.labels for b in batches]
    assert torch.equal(torch.cat(labels), Y) if labelled else labels == [None] * len(labels)
    assert torch.equal(torch.random.get_rng_state(), state)
    sizes = [b.inputs.batch_size for b in batches]
    if samples.only_once:
        with pytest.raises(sx.DataError, match="can be read once"):
            samples.take([3], sizes)
    else:
        assert torch.equal(of_one(samples.take([9, 0, 5, 9], sizes)), X[[9, 0, 5, 9]])


class Two(nn.Module):
    def forward(self, a, b):
        return a + b


@pytest.mark.parametrize("nested", [False, True])
def test_labels_of_a_model_with_two_inputs(nested):
    (batch,) = Samples([((X, X), Y) if nested else (X, X, Y)], Two(), 4)
    assert torch.equal(batch.labels, Y) and list(batch.inputs.values) == ["0", "1"]


def test_named_inputs_with_labels():
    (batch,) = Samples([({"a": X, "b": X.numpy()}, Y)], Two(), 4)
    assert torch.equal(batch.labels, Y) and torch.equal(batch.inputs.values["b"], X)


def test_samples_hold_no_graph():
    (batch,) = Samples(X.clone().requires_grad_(), MODEL, 20)
    assert not of_one(batch.inputs).requires_grad
    (batch,) = Samples(X.clone().requires_grad_(), lambda x: x, 20)
    assert not of_one(batch.inputs).requires_grad


def test_pairs_are_inputs_where_the_model_takes_two():
    samples = Samples([(X, Y)], Two(), 4)
    (batch,) = samples
    assert batch.labels is None and torch.equal(batch.inputs.values["1"], Y)
    assert torch.equal(samples.take([2], [11]).values["0"], X[2:3])


def test_dicts_of_tensors():
    samples = Samples({"a": X, "b": Y}, Two(), 4)
    assert [b.inputs.batch_size for b in samples] == [4, 4, 3]
    assert torch.equal(samples.take([10, 1], [4, 4, 3]).values["b"], Y[[10, 1]])


@pytest.mark.parametrize(("data", "error", "message"), [
    (3, sx.InputError, "data is int"),
    ("folder", sx.InputError, "data is str"),
    ([], sx.DataError, "no samples"),
    ([["a"]], sx.InputError, "no tensor"),
])  # fmt: skip
def test_errors(data, error, message):
    with pytest.raises(error, match=message):
        Samples(data, MODEL, 4).first()


def test_samples_that_are_not_there():
    with pytest.raises(sx.InputError, match="of 11"):
        Samples(X, MODEL, 4).take([11], [4, 4, 3])
