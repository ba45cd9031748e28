"""Prototypes: the scores and points they are chosen by, in every form of data, whatever the batches."""

import copy
import itertools

import numpy as np
import pytest
import torch
from rule_tester import randomize, sample
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import sciexplain as sx
from sciexplain.kernels import distances, median_distance, mmd_prototypes, rbf, spread_over
from sciexplain.prototypes import prototypes

MODEL = randomize(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)))
X = sample(120, 3)
PREDICTED = MODEL(X).argmax(1)
MEMBERS = (PREDICTED == 1).nonzero().flatten()
CNN = randomize(
    nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))
)
IMAGES = sample(60, 1, 7, 7)


def features(space, layer="3"):
    e = sx.explain(MODEL, X, 1, layers=[layer])
    if space == "relevance":
        return e.layers[layer] / e.layers[layer].norm(dim=1, keepdim=True)
    return MODEL[: int(layer) + 1](X).detach()


@pytest.mark.parametrize("by", ["activation", "relevance"])
def test_the_best_quarter_is_spread_over_the_members(by):
    p = prototypes(MODEL, X, 1, 4, by=by)
    z, scores = features(by)[MEMBERS], MODEL(X)[MEMBERS, 1].detach()
    sigma = median_distance(z)
    best = torch.argsort(-scores)[: int(np.ceil(0.25 * len(MEMBERS)))].sort().values
    chosen = best[spread_over(z, z[best], 4, sigma)]
    assert list(p.indices) == MEMBERS[chosen].tolist()
    torch.testing.assert_close(p.scores, scores[chosen])
    torch.testing.assert_close(p.features, z[chosen])
    far, nearest = distances(z, z[chosen]).min(1)
    torch.testing.assert_close(p.distances, far)
    assert torch.equal(p.nearest, nearest) and torch.equal(p.members, MEMBERS)
    assert p.coverage == pytest.approx(float(rbf(z, z[chosen], sigma).amax(1).mean()))
    assert (p.count, p.total, p.layer, p.space) == (len(MEMBERS), 120, "3", by)


def test_no_share_is_the_largest_scores():
    p = prototypes(MODEL, X, 1, 5, share=0)
    expected = MEMBERS[torch.argsort(-MODEL(X)[MEMBERS, 1])[:5]]
    assert sorted(p.indices) == sorted(expected.tolist())


def test_mmd():
    z = features("activation")[MEMBERS]
    p = prototypes(MODEL, X, 1, 5, by="mmd", criticisms=3)
    assert list(p.indices) == MEMBERS[mmd_prototypes(z, 5, median_distance(z))].tolist()
    assert len(set(p.criticisms) | set(p.indices)) == 8 and set(p.criticisms) <= set(MEMBERS.tolist())


@pytest.mark.parametrize("by", ["activation", "relevance"])
def test_channels_of_a_convolution(by):
    """RelMax and ActMax: the members with most of one channel."""
    p = prototypes(CNN, IMAGES, 2, 3, by=by, layer="2", channel=1, share=0, members="all")
    e = sx.explain(CNN, IMAGES, 2, layers=["2"])
    value = e.layers["2"].sum((2, 3)) if by == "relevance" else CNN[:3](IMAGES).detach().mean((2, 3))
    assert sorted(p.indices) == sorted(torch.argsort(-value[:, 1])[:3].tolist())
    torch.testing.assert_close(p.scores, value[list(p.indices), 1])


def test_input_space():
    p = prototypes(CNN, IMAGES, 2, 3, by="mmd", layer="", members="all")
    z = IMAGES.flatten(1)
    assert list(p.indices) == mmd_prototypes(z, 3, median_distance(z))
    r = sx.explain(CNN, IMAGES, 2).relevance.flatten(1)
    p = prototypes(CNN, IMAGES, 2, 3, by="mmd", layer="", space="relevance", members="all")
    z = r / r.norm(dim=1, keepdim=True)
    assert list(p.indices) == mmd_prototypes(z, 3, median_distance(z))


@pytest.mark.parametrize("by", ["activation", "relevance", "mmd"])
def test_every_form_and_size_of_batches(by):
    expected = prototypes(MODEL, X, 1, 4, by=by, criticisms=2)
    forms = [(X, 1), (X, 7), (TensorDataset(X, PREDICTED), 11), (DataLoader(TensorDataset(X), 9, shuffle=True), 1),
             (list(X.split(50)), 1), ((b for b in X.split(13)), 1)]  # fmt: skip
    for data, batch_size in forms:
        found = prototypes(MODEL, data, 1, 4, by=by, criticisms=2, batch_size=batch_size)
        assert (found.indices, found.criticisms) == (expected.indices, expected.criticisms)
        assert found.coverage == pytest.approx(expected.coverage)


@pytest.mark.parametrize("by", ["activation", "mmd"])
def test_order_of_the_data_does_not_matter(by):
    order = torch.randperm(120, generator=torch.Generator().manual_seed(3))
    a, b = prototypes(MODEL, X, 1, 4, by=by, criticisms=2), prototypes(MODEL, X[order], 1, 4, by=by, criticisms=2)
    assert a.indices == tuple(order[list(b.indices)].tolist())
    assert a.criticisms == tuple(order[list(b.criticisms)].tolist())


def test_members():
    labels = torch.arange(120) % 3
    data = list(zip(X.split(40), labels.split(40), strict=True))
    assert set(prototypes(MODEL, data, 1, 4, members="labelled").members.tolist()) == set(range(1, 120, 3))
    assert len(prototypes(MODEL, X, 1, 4, members="all").members) == 120
    given = torch.zeros(120, dtype=torch.bool)
    given[5:30] = True
    for form in (given, given.numpy(), given.tolist()):
        assert prototypes(MODEL, X, 1, 4, members=form).members.tolist() == list(range(5, 30))
    single = prototypes(lambda x: MODEL(x)[:, :1], X, None, 3)
    assert single.count == 120
    margin = prototypes(MODEL, X, lambda y: y[:, 1] - y[:, 0], 1, share=0)
    assert margin.indices[0] == int((MODEL(X)[:, 1] - MODEL(X)[:, 0]).argmax())


def test_memory_is_bounded_and_the_best_are_kept():
    p = prototypes(MODEL, X, 1, 4, share=0, limit=10, members="all")
    assert len(p.members) == 10 and p.count == 120
    assert sorted(p.indices) == sorted(torch.argsort(-MODEL(X)[:, 1])[:4].tolist())
    again = prototypes(MODEL, X, 1, 4, share=0, limit=10, members="all", batch_size=7)
    assert torch.equal(again.members, p.members)
    assert not torch.equal(prototypes(MODEL, X, 1, 4, limit=10, members="all", seed=1).members, p.members)


def test_graph_models_with_rows_of_nodes():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x, batch):
            x = torch.relu(self.layer(x))
            return self.head(torch.zeros(int(batch.max()) + 1, 4, dtype=x.dtype).index_add(0, batch, x))

    model = randomize(Net())
    batches = [{"x": sample(9, 3, seed=s), "batch": torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 2])} for s in range(4)]
    p = prototypes(
        model,
        batches,
        1,
        3,
        by="relevance",
        layer="layer",
        channel=2,
        share=0,
        members="all",
        rows=lambda x: x["batch"],
    )
    expected = []
    for batch in batches:
        at = sx.explain(model, batch, 1, layers=["layer"]).layers["layer"][:, 2]
        expected += [float(at[batch["batch"] == g].sum()) for g in range(3)]
    assert sorted(p.indices) == sorted(np.argsort(-np.array(expected))[:3].tolist())
    with pytest.raises(sx.InputError, match="9 rows for 3 samples; say with rows="):
        prototypes(model, batches, 1, 3, layer="layer", members="all")


def test_the_layer_that_the_last_one_reads():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.pool, self.fc = nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Linear(4, 3)

        def forward(self, x):
            return self.fc(self.pool(torch.relu(self.conv(x))).flatten(1)).softmax(1)

    assert prototypes(randomize(Functional()), IMAGES, 1, 2, members="all").layer == "pool"
    assert prototypes(CNN, IMAGES, 1, 2, members="all").layer == "4"
    assert prototypes(randomize(nn.Sequential(nn.Linear(3, 2))), X, 1, 2, members="all").layer == ""


def test_scores_are_logits_behind_a_softmax():
    p = prototypes(nn.Sequential(MODEL, nn.Softmax(1)), X, 1, 3)
    torch.testing.assert_close(p.scores, MODEL(X)[list(p.indices), 1].detach())


def test_the_model_and_global_randomness_stay_as_they_are():
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2)).double().train()
    before, state = copy.deepcopy(model.state_dict()), torch.random.get_rng_state()
    found = [prototypes(model, X, 1, 3, members="all").indices for _ in range(2)]
    assert found[0] == found[1] == prototypes(copy.deepcopy(model).eval(), X, 1, 3, members="all").indices
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items()) and model[2].training
    assert torch.equal(torch.random.get_rng_state(), state)


ERRORS = {
    "no class": ({"target": None}, sx.TargetError, "target=None: the model has several outputs"),
    "start relevance": ({"target": torch.ones(120, 3)}, sx.TargetError, "expected one class for all samples"),
    "no such class": ({"target": 7}, sx.TargetError, "target 7 is out of range"),
    "counted from the end": ({"target": -1}, sx.TargetError, "target=-1: expected a class, counted from 0"),
    "half a sample": ({"k": 2.5}, sx.InputError, "k=2.5.*expected a whole k"),
    "booleans for fewer": ({"members": [True] * 5}, sx.InputError, r"members is a tensor \(5,\)"),
    "too few": ({"k": 500}, sx.DataError, "expected at least k=500"),
    "by": ({"by": "beauty"}, sx.InputError, "by='beauty'"),
    "space": ({"space": "colour"}, sx.InputError, "space='colour'"),
    "share": ({"share": 2}, sx.InputError, "share=2"),
    "layer": ({"layer": "9"}, sx.InputError, r"layers \['9'\]: no module of that name"),
    "channel": ({"channel": 6}, sx.InputError, "channel=6 of '3', which has 6"),
    "labels": ({"members": "labelled"}, sx.InputError, "the data has no labels"),
    "mask": ({"members": torch.ones(5, dtype=torch.bool)}, sx.InputError, r"members is a tensor \(5,\)"),
    "limit": ({"limit": 2}, sx.InputError, "a limit of at least k"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    options, error, message = ERRORS[case]
    with pytest.raises(error, match=message):
        prototypes(MODEL, X, **{"target": 1, "k": 3, **options})


def test_every_pair_of_ways_gives_members_only():
    for by, space in itertools.product(("activation", "relevance", "mmd"), ("activation", "relevance")):
        p = prototypes(MODEL, X, 1, 3, by=by, space=space, criticisms=2)
        assert set(p.indices) | set(p.criticisms) <= set(MEMBERS.tolist())
        assert 0 < p.coverage <= 1 and p.space == space
