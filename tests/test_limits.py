"""Which members prototypes do not explain: a calibrated threshold, and a class with two faces."""

import numpy as np
import pytest
import torch
from rule_tester import randomize, sample
from sklearn.metrics import roc_auc_score
from torch import nn

import sciexplain as sx
from sciexplain.kernels import distances
from sciexplain.limits import prototype_limits
from sciexplain.prototypes import prototypes

MODEL = randomize(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)))
X = sample(300, 3)
MEMBERS = MODEL(X).argmax(1) == 1


def directions(inputs, layer="3"):
    at = sx.explain(MODEL, inputs, 1, layers=[layer]).layers[layer]
    return at / at.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_the_threshold_is_the_conformal_quantile_of_other_samples(level):
    p = prototypes(MODEL, X, 1, 2)
    found = prototype_limits(MODEL, X, p, level=level, batch_size=17)
    z = directions(X)
    far = distances(z, z[list(p.indices)]).amin(1)
    inside, outside = far[MEMBERS], far[~MEMBERS].sort().values
    place = int(np.floor(level * (len(outside) + 1)))
    assert found.threshold == pytest.approx(float(outside[place - 1]))
    torch.testing.assert_close(found.distances, inside)
    assert torch.equal(found.explained, inside <= outside[place - 1])
    assert found.coverage == pytest.approx(float((inside <= outside[place - 1]).double().mean()))
    labels = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    assert found.separation == pytest.approx(roc_auc_score(labels, -np.r_[inside, outside]))
    assert (found.others, found.count, found.total) == (len(outside), int(MEMBERS.sum()), 300)
    members = MEMBERS.nonzero().flatten()
    missed = members[inside > found.threshold]
    assert set(found.unexplained) == set(missed.tolist())
    assert list(found.unexplained) == sorted(found.unexplained, key=lambda i: -found.distance(i))
    assert not set(found.typical) & set(p.indices)


def test_level_holds_for_fresh_samples():
    """At most the level of samples of the same kind, on average over calibrations."""
    level, shares = 0.1, []
    for seed in range(30):
        x = sample(240, 3, seed=seed)
        found = prototype_limits(MODEL, x[:120], X[[3, 30]], 1, layer="3", level=level)
        others = x[120:][MODEL(x[120:]).argmax(1) != 1]
        shares.append(
            float((distances(directions(others), directions(X[[3, 30]])).amin(1) <= found.threshold).double().mean())
        )
    assert np.mean(shares) <= level + 0.02


def two_faced(n, seed=0):
    """Class 1 has something on the left or on the right; class 0 in the middle; weak noise."""
    generator = torch.Generator().manual_seed(seed)
    kind = torch.arange(n) % 4
    x = torch.rand(n, 9, generator=generator, dtype=torch.float64) * 0.2
    for k, columns in enumerate((slice(0, 3), slice(6, 9), slice(3, 6), slice(3, 6))):
        x[kind == k, columns] += 1
    return x, kind


def two_faced_model():
    model = nn.Sequential(nn.Linear(9, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    with torch.no_grad():
        model[0].weight.zero_()
        for unit in range(3):
            model[0].weight[unit, 3 * unit : 3 * unit + 3] = 1
        model[0].bias.fill_(-0.5)
        model[2].weight.copy_(torch.tensor([[0.0, 1, 0], [1, 0, 1]]))
        model[2].bias.zero_()
    return model.eval()


def test_the_other_face_of_a_class_is_found():
    x, kind = two_faced(200)
    found = prototype_limits(two_faced_model(), x, x[kind == 0][:1], 1, views=2)
    assert {int(kind[i]) for i in found.unexplained} == {1} and len(found.unexplained) == 50
    (index, like), *rest = found.views
    assert int(kind[index]) == 1 and like == 50 and not rest
    text = str(found)
    assert "Class 1: 1 prototype, 100 members (200 samples), compared by relevance at '1'" in text
    assert "Explained: 50.0 % of the members" in text and f"#{index} (it and 49 like it)" in text
    both = prototype_limits(two_faced_model(), x, prototypes(two_faced_model(), x, 1, 2, by="mmd"))
    assert both.coverage == 1 and "Every member is explained." in str(both)


def test_given_threshold_and_no_other_samples():
    members = X[MEMBERS]
    p = prototypes(MODEL, members, 1, 2)
    with pytest.raises(sx.DataError, match=r"0 samples are no members; a threshold at level=0\.05 needs at least 19"):
        prototype_limits(MODEL, members, p)
    several = torch.cat([members, X[~MEMBERS][:19]])
    assert prototype_limits(MODEL, several, prototypes(MODEL, several, 1, 2)).others == 19
    found = prototype_limits(MODEL, members, p, threshold=0.3)
    assert found.level is None and found.separation is None and found.threshold == 0.3
    assert "%" in str(found)


def test_activation_space_and_inputs_that_were_made():
    made = sample(2, 3, seed=9)
    found = prototype_limits(MODEL, X, made, 1, layer="1", space="activation")
    z = MODEL[:2](torch.cat([X, made])).detach()
    torch.testing.assert_close(found.distances, distances(z[:300], z[300:]).amin(1)[MEMBERS])
    assert found.prototypes is None and "2 prototypes" in str(found)


def test_what_maximisation_found_and_how_many_there_are():
    made = sx.maximize(MODEL, 1, tuple(X.shape[1:]), low=-1, high=1, restarts=3, steps=5)
    found, same = prototype_limits(MODEL, X, made, 1), prototype_limits(MODEL, X, made.inputs, 1)
    assert torch.equal(found.distances, same.distances)
    twice = prototype_limits(MODEL, X, made.inputs[[0, 0, 0]], 1)  # the second and third are nearest to nothing
    assert twice.k == 3 and "Class 1: 3 prototypes" in str(twice)
    assert repr(twice) == f"Limits(3 prototypes explain {100 * twice.coverage:.1f} % of {len(twice.members)} members)"


@pytest.mark.parametrize(("options", "message"), [
    ({"level": 0}, "level=0"), ({"level": 2}, "level=2"), ({"views": -1}, "views=-1"), ({"threshold": -1}, "hold=-1"),
])  # fmt: skip
def test_errors(options, message):
    with pytest.raises(sx.InputError, match=message):
        prototype_limits(MODEL, X, X[:1], 1, **options)


def test_prototypes_of_other_data():
    p = prototypes(MODEL, X, 1, 3)
    with pytest.raises(sx.InputError, match="are no samples of this data, which has 40"):
        prototype_limits(MODEL, X[:40], p)
    with pytest.raises(sx.InputError, match="Sample 1000 is none of"):
        prototype_limits(MODEL, X, p).distance(1000)
