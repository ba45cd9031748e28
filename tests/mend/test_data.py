"""Mended data: masks are filled, weights make label and artefact independent, counterexamples carry the artefact."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sciexplain as sx
from sciexplain.mend import data


def images(n=12, seed=0):
    """A tag in the corner of the first two of class 0."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 2, 6, 6, generator=draw)
    y = torch.arange(n) % 3
    masks = torch.zeros(n, 1, 6, 6, dtype=torch.bool)
    masks[:4:3, :, :2, :2] = True
    return torch.where(masks, 9.0, x), y, masks


FILLS = {
    "zero": lambda x: torch.zeros_like(x),
    0.25: lambda x: torch.full_like(x, 0.25),
    "mean": lambda x: x.mean((2, 3), keepdim=True).expand_as(x),
}


@pytest.mark.parametrize("fill", FILLS)
def test_masks_are_filled_and_the_rest_stays(fill):
    x, _, masks = images()
    found = data.masked(x, masks, fill)
    assert torch.equal(found, torch.where(masks, FILLS[fill](x), x))


@pytest.mark.parametrize("fill", ["inpaint", "resample", "blur", "uniform"])
def test_fills_that_read_other_values(fill):
    x, _, masks = images()
    found = data.masked(x, masks, fill, seed=3)
    where = masks.expand_as(x)
    assert torch.equal(found[~where], x[~where]) and not bool((found[where] == x[where]).all())
    assert torch.equal(found, data.masked(x, masks, fill, seed=3))


def test_inpainting_does_not_see_what_it_replaces():
    x, _, masks = images()
    other = torch.where(masks, -50.0, x)
    noiseless = sx.evaluate.Inpaint(noise=0.0) if hasattr(sx, "evaluate") else "zero"
    assert torch.allclose(data.masked(x, masks, noiseless), data.masked(other, masks, noiseless), atol=1e-4)


def test_one_mask_for_all_and_sequences():
    one_hot = torch.nn.functional.one_hot(torch.randint(4, (5, 9)), 4).mT.float()
    where = torch.arange(9) < 3
    found = data.masked(one_hot, where.expand(1, 9), "resample")
    assert bool((found.sum(1) == 1).all()) and torch.equal(found[:, :, 3:], one_hot[:, :, 3:])
    assert not bool((found[:, :, :3] * one_hot[:, :, :3]).any())  # another letter everywhere


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(2, 3))
@settings(max_examples=40, deadline=None)
def test_under_the_weights_label_and_artefact_are_independent(seed, classes, kinds):
    draw = torch.Generator().manual_seed(seed)
    every = torch.cartesian_prod(torch.arange(classes), torch.arange(kinds))
    some = torch.stack([torch.randint(0, k, (60,), generator=draw) for k in (classes, kinds)], 1)
    labels, artefact = torch.cat([every, some]).T
    w = data.independent_weights(labels, artefact).double()
    joint = torch.zeros(classes, kinds).double().index_put_((labels, artefact), w, accumulate=True) / w.sum()
    assert torch.allclose(joint, joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True), atol=1e-6)
    assert w.mean().item() == pytest.approx(1.0, rel=1e-6)
    counts = labels.bincount().double() / len(labels)  # both keep their own frequencies
    assert torch.allclose(joint.sum(1), counts, atol=1e-6)


def test_weights_cannot_show_what_is_not_there():
    with pytest.raises(sx.InputError, match=r"\(0, True\).*counterexamples"):
        data.independent_weights(torch.tensor([0, 0, 1, 1]), torch.tensor([False, False, True, False]))


def test_rows_are_drawn_by_the_weights():
    labels = torch.tensor([0] * 90 + [1] * 10)
    artefact = torch.cat([torch.arange(90) < 9, torch.arange(10) < 9])
    rows = data.resampled(labels, artefact, 20_000, seed=2)
    assert torch.equal(rows, data.resampled(labels, artefact, 20_000, seed=2))
    for kind in (True, False):
        share = labels[rows][artefact[rows] == kind].double().mean()
        assert share.item() == pytest.approx(0.1, abs=0.01)


def test_counterexamples_have_the_artefact_their_own_label_and_all_else():
    x, y, masks = images()
    made = data.counterexamples(x, y, masks, share=0.5, seed=1)
    assert sorted(made.labels.tolist()) == [1, 1, 2, 2]
    where = made.masks.expand_as(made.inputs)
    assert bool((made.inputs[where] == 9).all())
    assert torch.equal(made.inputs[~where], x[made.rows][~where])
    assert torch.equal(made.labels, y[made.rows]) and len(made.rows.unique()) == 4
    again = data.counterexamples(x, y, masks, share=0.5, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(made, again, strict=True))


WRONG = {
    "no bool": (lambda x, y, m: data.masked(x, m.float()), "expected bool"),
    "another shape": (lambda x, y, m: data.masked(x, m[:, :, :3]), "do not fit"),
    "nothing masked": (lambda x, y, m: data.counterexamples(x, y, m & False), "nothing to paste"),
    "all have it": (lambda x, y, m: data.counterexamples(x, y, m | True), "independent_weights"),
    "no share": (lambda x, y, m: data.counterexamples(x, y, m, share=0.0), "share=0.0"),
    "one mask for all": (lambda x, y, m: data.counterexamples(x, y, m[0]), "mask for each sample"),
    "no filler": (lambda x, y, m: data.masked(x, m, "magic"), "magic"),
    "labels and artefacts": (lambda x, y, m: data.independent_weights(y, y[:3] > 0), "one of each"),
    "no rows": (lambda x, y, m: data.resampled(y, y > 0, 0), "n=0"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told(what):
    call, message = WRONG[what]
    with pytest.raises(sx.InputError, match=message):
        call(*images())
