"""Each observation against its formula."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binom

from sciexplain.audit import suspicion
from sciexplain.audit.maps import maps_of
from sciexplain.audit.spray import border


def rng():
    return np.random.default_rng(0)


shares = hnp.arrays(np.float32, st.tuples(st.integers(2, 20), st.integers(1, 6)), elements=st.floats(0, 1, width=16))


@given(shares, st.integers(0, 1000))
def test_relevance_out_of_place_is_the_sum_of_what_medians_differ_by(table, seed):
    table = table / np.maximum(table.sum(1, keepdims=True), 1)
    order = np.random.default_rng(seed).permutation(len(table))
    members, others = np.sort(order[: max(1, len(order) // 2)]), np.sort(order[max(1, len(order) // 2) :])
    amount, p, region = suspicion.out_of_place(table, members, rng())
    expected = [max(0.0, np.median(table[members, j]) - np.median(table[others, j])) for j in range(table.shape[1])]
    assert amount == pytest.approx(sum(expected), abs=1e-5)
    assert (region == (np.array(expected) > 0)).all()
    assert 0 <= p <= 1


def test_chance_is_at_its_level():
    """Of 400 clusters that are any samples, not more than about 1 % have p ≤ 0.01."""
    generator = rng()
    table = generator.random((300, 20)).astype(np.float32)
    ps = [suspicion.out_of_place(table, generator.permutation(300)[:40], generator)[1] for _ in range(400)]
    assert np.mean(np.array(ps) <= 0.01) <= binom.ppf(0.999, 400, 0.01) / 400
    assert np.mean(np.array(ps) <= 0.5) <= binom.ppf(0.999, 400, 0.5) / 400


def test_what_lies_elsewhere_in_each_member_is_not_shared():
    table = np.zeros((40, 20), np.float32)
    table[np.arange(20), np.arange(20)] = 1
    assert suspicion.out_of_place(table, np.arange(20), rng())[0] == 0


def test_the_shared_region_is_the_smallest_with_half_of_what_is_more():
    table = np.array([[0.1, 0.5, 0.4, 0.0], [0.1, 0.5, 0.4, 0.0], [0.1, 0.0, 0.2, 0.7]], np.float32)
    region = suspicion.shared_region(table, np.array([0, 1]), np.array([2]))
    assert region.tolist() == [False, True, False, False]  # 0.5 of 0.5 + 0.2
    assert suspicion.shared_region(table, np.array([0]), np.array([1])).sum() == 0


def test_one_label_counts_carriers_of_any_class():
    strength = np.array([0.8, 0.9, 0.5, 0.1, 0.0, 0.6], np.float32)
    labels = np.array([1, 1, 1, 0, 0, 0])
    part, p = suspicion.one_label(strength, np.array([0, 1]), labels, ["no", "yes"])
    # carriers have 0.425 at least: rows 0, 1, 2 and 5
    assert part.words == "3 of 4 carriers have label yes (50% of all)"
    assert part.value == pytest.approx((0.75 - 0.5) / 0.5)
    assert p == pytest.approx(binom.sf(2, 4, 0.5))


def test_alike_is_the_mean_cosine_of_pairs():
    rows = rng().normal(size=(7, 3)).astype(np.float32) + 1
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [unit[i] @ unit[j] for i in range(7) for j in range(i)]
    assert suspicion.alike(rows, np.arange(7)).value == pytest.approx(np.mean(pairs), abs=1e-6)


def test_an_edit_costs_what_it_costs_the_rest_less():
    def edit(samples, region):
        return np.where(samples < 5, 10.0, 4.0) - region.sum() * np.where(samples < 5, 4.0, 1.0)

    region = np.array([True, True, False])
    part = suspicion.edited(edit, region, np.arange(5), np.arange(5, 9), rng())
    assert part.value == pytest.approx(0.8 - 0.5)
    assert part.words == "editing it costs 80% of the score (the rest of its class: 50%)"


@pytest.mark.parametrize(("side", "pool"), [(28, 16), (7, 16), (33, 10), (16, 16)])
def test_pooled_maps_keep_their_sum_and_regions_their_places(side, pool):
    maps = maps_of(rng().normal(size=(5, side, side + 3)), pool)
    assert max(maps.shape) <= pool or maps.shape == (side, side + 3)
    assert np.allclose(maps.shares.sum(1), 1, atol=1e-5)
    regions = np.eye(np.prod(maps.shape), dtype=bool)
    covered = sum(maps.unpooled(region).astype(int) for region in regions)
    assert (covered == 1).all()
    for region in regions[::7]:
        assert (maps.pooled_region(maps.unpooled(region)) == region).all()
        mask = maps.unpooled(region)
        positive = np.maximum(maps.whole, 0)
        expected = (positive * mask).sum((1, 2)) / positive.sum((1, 2))
        assert np.allclose(maps.shares[:, region].sum(1), expected, atol=1e-5)


def test_the_border():
    frame = border(24, 48)
    assert frame[:4, :8].all() and frame[0].all() and frame[:, -3:].all()
    assert not frame[2, 20] and not frame[12, 24]
    assert border(1, 1).all()
