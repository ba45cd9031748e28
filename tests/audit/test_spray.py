"""Strategies that were planted are found whole; where there is none, or one that says nothing, there is no alarm."""

import numpy as np
import pytest
import torch
from torch import nn

import sciexplain as sx
from sciexplain.audit import spray
from sciexplain.errors import InputError
from sciexplain.evaluate import TensorRemoval


def blobs(n=120, side=16, seed=0, classes=2):
    """Relevance in the middle, a little elsewhere in each class; and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    maps = np.zeros((n, side, side))
    for i, label in enumerate(labels):
        maps[i, 5 : side - 5, 5 : side - 5] = np.abs(rng.normal(size=(side - 10, side - 10)))
        maps[i, 6 + label, 6 + label] += 3 + rng.random()
    return maps, labels


def tagged(rows, **options):
    maps, labels = blobs(**options)
    maps[rows, 1, 1] += 0.5 * maps[rows].sum((1, 2))
    return maps, labels


PLANTED = np.arange(0, 60, 2)
"""30 of the 60 samples of class 0."""


def test_a_planted_tag_is_found_whole():
    maps, labels = tagged(PLANTED)
    found = spray(maps, labels=labels, embedding=None)
    first = found[0]
    assert found.alarm and found.alarms == (first,)
    assert first.target == 0 and sorted(first.members) == PLANTED.tolist()
    assert first.region[1, 1] and first.region.sum() == 1 and first.where == "row 1, column 1"
    assert first.parts["in a corner or at the border"].value == pytest.approx(1 / 3, abs=1e-6)
    assert first.label == 0 and first.purity == 1
    assert np.allclose(first.average, maps[PLANTED].mean(0))
    assert "30 of 60 samples of its class" in first.reasons


@pytest.mark.parametrize("seed", range(10))
def test_no_alarm_without_a_tag(seed):
    maps, labels = blobs(seed=seed)
    assert not spray(maps, labels=labels, embedding=None).alarm


def test_what_says_nothing_of_the_label_is_no_shortcut():
    maps, labels = tagged(np.arange(40), n=120)  # as many of both classes
    assert not spray(maps, labels=labels, embedding=None).alarm
    assert spray(maps, target=labels, embedding=None).alarm  # nobody told the labels


def test_a_class_that_wholly_has_it_raises_an_alarm():
    maps, labels = tagged(np.arange(0, 120, 2))
    found = spray(maps, labels=labels, embedding=None)
    assert len(found.alarms) == 1 and len(found[0]) == 60


@pytest.mark.parametrize("clusters", [1, 2, 5])
def test_pieces_of_a_strategy_are_one(clusters):
    """The clustering may cut it, or leave it among others; all of its samples are gathered, and no sample is lost."""
    maps, labels = tagged(PLANTED)
    found = spray(maps, labels=labels, clusters=clusters, embedding=None)
    assert len(found.alarms) == 1 and sorted(found[0].members) == PLANTED.tolist()
    everyone = np.concatenate([one.members for one in found])
    assert sorted(everyone) == list(range(120))
    for i, one in enumerate(found):
        assert (found.cluster[one.members] == i).all() and (found.target[one.members] == one.target).all()


def test_every_form_of_relevance_is_the_same():
    maps, labels = tagged(PLANTED)
    channels = np.stack([0.25 * maps, 0.75 * maps], 1)
    empty = sx.Explanation(torch.zeros(0), torch.zeros(0), None, torch.zeros(0))
    whole = sx.Explanation(
        torch.from_numpy(channels), torch.zeros(120, 2), torch.from_numpy(labels), torch.ones(120), empty.method
    )
    halves = [
        sx.Explanation(whole.relevance[part], whole.output[part], whole.target[part], whole.score[part])
        for part in (slice(0, 50), slice(50, None))
    ]
    given = [(maps, labels), (torch.from_numpy(maps), labels), (channels, labels), (whole, None), (halves, None)]
    for relevance, target in given:
        found = spray(relevance, target=target, labels=labels, embedding=None)
        assert sorted(found[0].members) == PLANTED.tolist()
        assert found[0].suspicion == pytest.approx(spray(maps, labels=labels, embedding=None)[0].suspicion, abs=1e-5)


def test_a_single_output_has_two_classes():
    """What is against the output speaks for its class 0."""
    maps, labels = tagged(PLANTED)
    sign = np.where(labels == 1, 1.0, -1.0)
    explanation = sx.Explanation(
        torch.from_numpy(maps * sign[:, None, None])[:, None],
        torch.from_numpy(sign)[:, None],
        torch.zeros(120, dtype=torch.long),
        torch.from_numpy(sign),
    )
    found = spray(explanation, labels=labels, embedding=None)
    assert found[0].alarm and sorted(found[0].members) == PLANTED.tolist()
    assert found.target.tolist() == labels.tolist()


def test_features_and_places_that_are_given():
    """A table of 30 features, of which one is known to be none of the model's business."""
    rng = np.random.default_rng(0)
    table, labels = np.abs(rng.normal(size=(200, 30))), np.arange(200) % 2
    table[:60:2, 7] += 30
    wrong = np.arange(30) == 7
    options = {"labels": labels, "embedding": None, "describe": lambda region, members: f"number {region.argmax()}"}
    assert not spray(table, **options).alarm  # no place is called out of place
    found = spray(table, outside={"by hand": wrong}, **options)
    assert found[0].place == "by hand" and found[0].where == "number 7"
    assert sorted(found[0].members) == list(range(0, 60, 2))
    each = spray(table, outside={"by hand": np.broadcast_to(wrong, table.shape)}, features=table, **options)
    assert sorted(each[0].members) == list(range(0, 60, 2))


def model_of_tags():
    """A linear model that a tag in the corner sways, as do the pixels in the middle."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 2, bias=False))
    with torch.no_grad():
        weight = torch.zeros(2, 16, 16)
        weight[:, 5:11, 5:11] = torch.rand(2, 6, 6, generator=torch.Generator().manual_seed(0))
        weight[0, 1, 1] = 5
        model[1].weight.copy_(weight.flatten(1))
    return model.train()


def test_an_edit_confirms_or_withdraws_an_alarm():
    model = model_of_tags()
    x = torch.rand(100, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    x[:, :, :4] = x[:, :, :, :4] = 0
    x[:20, :, 1, 1] = 2
    target = torch.where(torch.arange(100) < 50, 0, 1)
    e = sx.explain(model, x, target, composite="epsilon")
    found = spray(e, labels=target, edit=TensorRemoval(model, x, target, filler="zero"), embedding=None)
    assert sorted(found[0].members) == list(range(20)) and found[0].alarm
    share = np.median(10 / e.score[:20].numpy())
    assert found[0].parts["edit"].value == pytest.approx(float(share), abs=1e-5)
    nothing = spray(e, labels=target, edit=lambda samples, region: np.ones(len(samples)), embedding=None)
    assert not nothing.alarm and nothing[0].parts["edit"].value == 0
    assert model.training


def test_classes_that_were_not_asked_for_are_left_out():
    maps, labels = tagged(PLANTED)
    found = spray(maps, labels=labels, classes=[1], embedding=None)
    assert not found.alarm and set(found.eigenvalues) == {1}
    assert (found.cluster[labels == 0] == -1).all() and (found.cluster[labels == 1] >= 0).all()


def test_few_samples():
    maps, labels = blobs(n=3)
    found = spray(maps, labels=labels, embedding="tsne")
    assert len(found) == 2 and found.embedding.shape == (3, 2) and not found.alarm
    assert len(spray(maps[:1], embedding=None)) == 1
    assert not spray(np.zeros((20, 4, 4)), embedding=None).alarm  # nothing speaks for anything


def test_the_same_twice_and_nothing_global():
    maps, labels = tagged(PLANTED)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    a, b = (spray(maps, labels=labels) for _ in range(2))
    assert (a.cluster == b.cluster).all() and (a.embedding == b.embedding).all()
    assert (np.random.get_state()[1] == before[0]).all() and (torch.get_rng_state() == before[1]).all()


@pytest.mark.parametrize(
    ("relevance", "options", "words"),
    [
        (np.zeros((0, 4, 4)), {}, "There is no relevance"),
        (np.full((4, 4, 4), np.nan), {}, "The relevance of 4 of 4 samples is not finite"),
        (np.zeros((2, 3, 4, 5, 6)), {}, r"relevance has shape \(2, 3, 4, 5, 6\)"),
        ("heatmaps", {}, "relevance is str"),
        (np.ones((4, 4, 4)), {"labels": [0, 1]}, "has 2 entries; expected one for each of the 4"),
        (np.ones((4, 4, 4)), {"labels": [0, 1, 0.5, 1]}, "expected whole numbers"),
        (np.ones((4, 4, 4)), {"classes": [7]}, "classes has 7; the samples were explained for"),
        (np.ones((4, 4, 4)), {"features": np.ones((3, 2))}, r"features has shape \(3, 2\)"),
        (np.ones((4, 4, 4)), {"outside": np.ones((5, 5))}, r"outside has shape \(5, 5\)"),
        (np.ones((4, 4, 4)), {"edit": 3}, "edit is int"),
    ],
)
def test_what_does_not_fit_is_told(relevance, options, words):
    with pytest.raises(InputError, match=words):
        spray(relevance, embedding=None, **options)


def test_a_removal_of_other_parts_is_refused():
    removal = TensorRemoval(model_of_tags(), torch.ones(4, 1, 16, 16), parts=4)
    with pytest.raises(InputError, match="parts; expected 256, as the maps have"):
        spray(np.ones((4, 16, 16)), edit=removal, embedding=None)


def test_labels_of_one_kind_say_nothing_and_take_no_alarm():
    rng = np.random.default_rng(0)
    maps = np.abs(rng.normal(size=(200, 28, 28))) * np.pad(np.ones((16, 16)), 6)
    maps[:40, 1:4, 1:4] += 5
    same = np.zeros(200, int)
    without, given = (spray(maps, target=same, labels=labels, embedding=None) for labels in (None, same))
    assert without.alarm and given.alarm and "one label" not in given[0].parts
    assert given[0].where == without[0].where == "rows 0–3, columns 2–3"


@pytest.mark.parametrize("option", [{"alpha": float("nan")}, {"alpha": 2}, {"alpha": 0}, {"material": -0.1}])
def test_what_is_no_probability_or_share(option):
    with pytest.raises(InputError, match="between 0 and 1"):
        spray(np.ones((9, 4, 4)), embedding=None, **option)
