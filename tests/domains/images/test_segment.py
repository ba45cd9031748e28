"""Sums over regions against sums written out, on both kinds of pixels."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains import images
from sciexplain.errors import InputError


def explanation(
    n: int = 2,
    size: tuple[int, int] = (8, 6),
    preprocess: images.Preprocess | None = images.Preprocess((4, 5), (4, 4)),  # noqa: B008
    network: tuple[int, int] = (4, 4),
    seed: int = 0,
) -> images.ImageExplanation:
    relevance = torch.randn(n, 3, *network, dtype=torch.float64, generator=torch.manual_seed(seed))
    shown = tuple(images.Picture(f"p{i}", None, np.zeros((*size, 3), np.float32)) for i in range(n))
    core = SimpleNamespace(score=relevance.sum((1, 2, 3)), target=None)
    return images.ImageExplanation(shown, relevance, core, preprocess)  # type: ignore[arg-type]


def test_a_map_by_hand() -> None:
    e = explanation(n=1)
    labels = np.zeros((4, 4), int)
    labels[1:3, 2] = 7
    rest, seven = images.segment(e, labels)
    expected = e.heatmap[0, 1:3, 2].sum().item()
    total = e.heatmap[0].sum().item()
    assert (seven.picture, seven.region, seven.pixels) == ("p0", 7, 2)
    assert seven.relevance == pytest.approx(expected)
    assert seven.share == pytest.approx(expected / total)
    assert seven.mean == pytest.approx(expected / 2)
    assert (rest.region, rest.pixels) == (0, 14)
    assert rest.relevance == pytest.approx(total - expected)


@given(st.integers(0, 999), st.booleans(), st.booleans())
def test_regions_sum_to_the_heatmap(seed: int, original: bool, each: bool) -> None:
    e = explanation(seed=seed)
    shape = (8, 6) if original else (4, 4)
    labels = np.random.default_rng(seed).integers(-2, 5, ((2, *shape) if each else shape))
    regions = images.segment(e, labels)
    for i, name in enumerate(("p0", "p1")):
        mine = [region for region in regions if region.picture == name]
        labelled = labels[i] if each else labels
        assert [region.region for region in mine] == np.unique(labelled).tolist()
        assert sum(region.pixels for region in mine) == labelled.size
        assert sum(region.relevance for region in mine) == pytest.approx(e.heatmap[i].sum().item())
        assert sum(region.share for region in mine) == pytest.approx(1)
        values = (e.original(i) if original else e.heatmap[i]).numpy()
        for region in mine:
            assert region.relevance == pytest.approx(values[labelled == region.region].sum())


def test_masks_by_name() -> None:
    e = explanation(n=1)
    left, corner = np.zeros((2, 8, 6), bool)
    left[:, :2] = True
    corner[0, 5] = True
    regions = images.segment(e, {"corner": torch.from_numpy(corner), "left": left})  # type: ignore[dict-item]
    values = e.original(0).numpy()
    assert {region.region: region.pixels for region in regions} == {"corner": 1, "left": 16, "rest": 31}
    for region, mask in zip(regions, (corner, left, ~(left | corner)), strict=True):
        assert region.relevance == pytest.approx(values[mask].sum())


def test_masks_that_cover_all_leave_no_rest() -> None:
    everything = np.ones((4, 4), bool)
    assert [region.region for region in images.segment(explanation(n=1), {"all": everything})] == ["all"]


def test_pictures_of_different_sizes() -> None:
    e = explanation()
    wide = images.Picture("wide", None, np.zeros((5, 9, 3), np.float32))
    e = images.ImageExplanation((e.pictures[0], wide), e.relevance, e.explanation, images.Preprocess((4, 5), 4))
    maps = [np.arange(48).reshape(8, 6), np.arange(45).reshape(5, 9)]
    regions = images.segment(e, maps)
    expected = torch.cat([e.original(i).flatten() for i in range(2)])
    np.testing.assert_allclose([region.relevance for region in regions], expected)


def test_shapes_that_fit_both_ask_which() -> None:
    e = explanation(n=1, size=(4, 4), preprocess=images.Preprocess(6, 4))
    labels = np.arange(16).reshape(4, 4)
    with pytest.raises(InputError, match="on='network'"):
        images.segment(e, labels)
    np.testing.assert_allclose(
        [region.relevance for region in images.segment(e, labels, on="network")], e.heatmap[0].flatten()
    )
    np.testing.assert_allclose(
        [region.relevance for region in images.segment(e, labels, on="original")], e.original(0).flatten()
    )
    same = explanation(n=1, size=(4, 4), preprocess=None)
    assert len(images.segment(same, labels)) == 16


def test_share_of_nothing_is_not_a_number() -> None:
    e = explanation(n=1)
    empty = images.ImageExplanation(e.pictures, e.relevance * 0, e.explanation, e.preprocess)
    assert np.isnan(images.segment(empty, np.zeros((4, 4), int))[0].share)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros((5, 4), int), r"\(5, 4\).*\(4, 4\) \(network\) or \(8, 6\) \(original\)"),
        (np.zeros((3, 4, 4), int), "3 label maps"),
        (np.zeros((4, 4)), "float64.*integers"),
        ({"a": np.ones((4, 4), int)}, "not boolean"),
        ({"a": np.ones((4, 4), bool), "b": np.eye(4, dtype=bool)}, r"\['a', 'b'\] overlap"),
        ({"a": np.ones((4, 4), bool), "b": np.ones((8, 6), bool)}, "masks of shapes"),
        ({"rest": np.ones((4, 4), bool)}, "'rest'"),
        ({}, "no masks"),
    ],
)
def test_refusals(labels, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=words):
        images.segment(explanation(), labels)
