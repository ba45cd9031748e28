"""Objects of pictures, and a model that looks beside them."""

import numpy as np
import pytest
import torch
from torch import nn

from sciexplain.domains import images
from sciexplain.domains.images.audit import BORDER, OFF_OBJECT, audit, background
from sciexplain.errors import InputError


def with_object(n=1, side=32, seed=0, level=1.0, paper=0.0, channels=1):
    """A disc near the middle of each picture."""
    rng = np.random.default_rng(seed)
    pictures = np.full((n, channels, side, side), paper, np.float32)
    y, x = np.mgrid[:side, :side]
    discs = np.zeros((n, side, side), bool)
    for i in range(n):
        at = rng.uniform(0.4, 0.6, 2) * side
        discs[i] = (y - at[0]) ** 2 + (x - at[1]) ** 2 < (0.2 * side) ** 2
        pictures[i, :, discs[i]] = level
    return torch.from_numpy(pictures), discs


@pytest.mark.parametrize(("level", "paper"), [(1.0, 0.0), (0.0, 1.0), (-3.0, 7.0)])
@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3), (150, 3)])
def test_the_object_is_what_differs_from_the_border(level, paper, side, channels):
    """Dark on light or light on dark, in whatever units; a tag, which is smaller, is none of it."""
    pictures, discs = with_object(3, side, level=level, paper=paper, channels=channels)
    pictures[:, :, 2:4, 2:4] = level
    away = background(pictures)
    assert away.shape == discs.shape
    assert not (away & discs).any()
    assert away[:, 2:4, 2:4].all()
    # a margin, and no more: at most two 28ths, and the pixels of the shrunk picture
    grown = 2 * max(1, round(side / 28)) + 2 * side // 96
    assert ((~away).sum((1, 2)) <= np.pi * (0.2 * side + grown) ** 2).all()


def test_a_hole_in_the_object_is_the_object():
    pictures, discs = with_object(1)
    rows, columns = np.argwhere(discs[0]).mean(0).round().astype(int)
    pictures[0, 0, rows - 1 : rows + 2, columns - 1 : columns + 2] = 0
    assert not background(pictures)[0, rows, columns]


def test_a_picture_of_one_colour_is_all_object():
    assert not background(torch.full((2, 3, 9, 9), 0.4)).any()


def test_pictures_of_three_axes_are_refused():
    with pytest.raises(InputError, match=r"\(3, 9, 9\); expected \(N, C, H, W\)"):
        background(torch.zeros(3, 9, 9))


def model_and_pictures(tag=True):
    """A linear model of discs' brightness that a tag at the left border sways more."""
    pictures, _ = with_object(80, seed=1)
    labels = torch.arange(80) % 2
    pictures[labels == 1] *= 0.5
    marked = torch.zeros(80, dtype=torch.bool)
    marked[0:30:2] = tag
    pictures[marked, 0, 15:17, 3:5] = 1
    model = nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, 2, bias=False))
    weight = torch.zeros(2, 32, 32)
    weight[0], weight[1] = 0.05, 0.1
    weight[0, 15:17, 3:5] = 2
    with torch.no_grad():
        model[1].weight.copy_(weight.flatten(1))
    return model, pictures, labels, marked


@pytest.mark.parametrize("edit", [False, True])
def test_relevance_off_the_object(edit):
    model, pictures, labels, marked = model_and_pictures()
    e = images.explain(model, pictures, labels, composite="epsilon", labels=("bright", "pale"))
    found = audit(e, labels=labels, edit=edit, embedding=None)
    first = found[0]
    assert first.place == OFF_OBJECT and sorted(first.members) == marked.nonzero().flatten().tolist()
    assert first.where == "rows 14–17, columns 2–5"  # pools of 2 × 2
    assert first.parts["one label"].words == "15 of 15 carriers have label bright (50% of all)"
    assert first.parts[BORDER].value == 0
    assert ("edit" in first.parts) == edit
    assert not edit or first.parts["edit"].value > 0.3
    assert len(found.alarms) == 1


def test_no_alarm_without_a_tag_and_relevance_that_was_kept():
    model, pictures, labels, _ = model_and_pictures(tag=False)
    e = images.explain(model, pictures, labels, composite="epsilon")
    assert not audit(e, labels=labels, embedding=None).alarm
    model, pictures, labels, marked = model_and_pictures()
    e = images.explain(model, pictures, labels, composite="epsilon")
    kept = audit(e.relevance, inputs=pictures, target=labels, embedding=None)
    assert sorted(kept[0].members) == marked.nonzero().flatten().tolist()
    masked = audit(e.relevance, outside=background(pictures), target=labels, embedding=None)
    assert masked[0].place == "out of place"
    with pytest.raises(InputError, match="give inputs="):
        audit(e.relevance, target=labels)
    with pytest.raises(InputError, match="edit=True of relevance alone"):
        audit(e.relevance, inputs=pictures, target=labels, edit=True)
