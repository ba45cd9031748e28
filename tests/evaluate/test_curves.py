"""What curves are summed up to, and the bootstrap."""

import numpy as np
import pytest
import torch
from scipy import stats

import sciexplain as sx
from sciexplain import evaluate
from sciexplain.evaluate import Flipping, Scores, bootstrap, interval, table

DRAWN = np.random.default_rng(0).normal(size=(40, 6))


def curves(scores, fractions=None, mode="deletion"):
    scores = torch.as_tensor(scores, dtype=torch.float64)
    if fractions is None:
        fractions = torch.linspace(0, 1, scores.shape[1], dtype=torch.float64)
    return Flipping(torch.as_tensor(fractions, dtype=torch.float64), scores, "most", mode)


def test_areas_are_numpys_trapezoids():
    fractions = [0, 0.1, 0.4, 0.5, 0.8, 0.9]
    found = curves(DRAWN, fractions)
    np.testing.assert_allclose(found.areas, np.trapezoid(DRAWN, fractions, axis=1) / 0.9, rtol=1e-12)
    np.testing.assert_allclose(found.mean, DRAWN.mean(0))
    assert torch.equal(curves(torch.full((2, 4), 3.0)).areas, torch.full((2,), 3.0, dtype=torch.float64))


def test_it_is_named_by_what_it_is():
    curves = Flipping(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([[4.0, 1.0, 0.0]]), "most", "deletion")
    assert repr(curves) == "Flipping(deletion, most relevant first: 1 samples, 3 points, mean area 1.5)"


def test_aopc_is_equation_12():
    expected = [sum(row[0] - row[k] for k in range(6)) / 6 for row in DRAWN]
    np.testing.assert_allclose(curves(DRAWN).aopc, expected, rtol=1e-12)


def test_interval_is_the_percentile_bootstrap():
    values = torch.tensor(DRAWN[:, 0])
    found = interval(values, level=0.9, resamples=20000)
    expected = stats.bootstrap(
        (DRAWN[:, 0],), np.mean, confidence_level=0.9, n_resamples=20000, method="percentile", rng=1
    ).confidence_interval
    assert found.mean == pytest.approx(DRAWN[:, 0].mean())
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.01)
    assert found == interval(values, level=0.9, resamples=20000) != interval(values, level=0.9, resamples=20000, seed=1)


def test_missing_values_are_left_out():
    found = interval(torch.tensor([1.0, float("nan"), 3.0]))
    assert (found.mean, found.samples) == (2.0, 2) and 1 <= found.low <= found.high <= 3
    one, none = interval(torch.tensor([2.0])), interval(torch.tensor([]))
    assert one.mean == 2 and np.isnan([one.low, one.high, none.mean, none.low]).all() and none.samples == 0
    with pytest.raises(sx.InputError, match="level=2"):
        interval(torch.ones(3), level=2)


def test_band_and_difference_are_paired():
    a = curves(DRAWN)
    low, high = a.band(level=0.8)
    expected_low, expected_high = bootstrap(torch.tensor(DRAWN[:, 3]), level=0.8)
    assert (float(low[3]), float(high[3])) == pytest.approx((float(expected_low), float(expected_high)))
    b = curves(DRAWN + 1)
    difference = b.difference(a)
    assert difference.low == pytest.approx(1) and difference.high == pytest.approx(1)  # samples do not vary in it
    assert a.interval().high - a.interval().low > 0.1
    for other in (curves(DRAWN[:5]), curves(DRAWN, mode="insertion"), curves(DRAWN, [0, 0.1, 0.2, 0.3, 0.4, 0.5])):
        with pytest.raises(sx.InputError, match="not of the same samples"):
            a.difference(other)


def test_table():
    made = [
        Scores("lrp", "area", torch.tensor([1.0, 2.0, 4.0]), "lower", "logit"),
        Scores("random", "area", torch.tensor([3.0, 5.0, 4.0]), "lower", "logit"),
        Scores("lrp", "entropy", torch.tensor([1.0, float("nan"), 3.0])),
    ]
    lrp, random, entropy = table(made, reference="random")
    assert (lrp.mean, lrp.best, lrp.samples, lrp.unit) == (pytest.approx(7 / 3), True, 3, "logit")
    assert not random.best and random.difference is None and not entropy.best
    assert lrp.difference.mean == pytest.approx(-5 / 3) and lrp.low <= lrp.mean <= lrp.high
    assert (entropy.mean, entropy.samples, entropy.difference) == (2, 2, None)
    with pytest.raises(sx.InputError, match="given twice"):
        table([*made, made[0]])
    with pytest.raises(sx.InputError, match="reference='ig'"):
        table(made, reference="ig")
    with pytest.raises(sx.InputError, match="not as many"):
        table([made[0], Scores("random", "area", torch.ones(2))], reference="random")


def test_figure_says_what_it_shows(tmp_path):
    three = {"LRP ε": curves(DRAWN), "gradient": curves(DRAWN + 1), "random": curves(DRAWN - 1)}
    figure = evaluate.draw_curves(three, unit="logit", part="atoms")
    axes = figure.axes[0]
    assert axes.get_xlabel() == "atoms removed (%)" and axes.get_ylabel() == "mean logit"
    assert "40 samples" in axes.get_title(loc="left") and "95%" in axes.get_title(loc="left")
    assert [t.get_text() for t in axes.get_legend().get_texts()] == list(three)
    lines = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_allclose(lines["gradient"].get_ydata(), DRAWN.mean(0) + 1)
    np.testing.assert_allclose(lines["gradient"].get_xdata(), [0, 20, 40, 60, 80, 100])
    assert len({line.get_color() for line in lines.values()}) == 3 and len(axes.collections) == 3
    figure.savefig(tmp_path / "curves.png")
    alone = evaluate.draw_curves({"LRP": curves(DRAWN[:1], mode="insertion")}).axes[0]
    assert not alone.collections and alone.get_xlabel() == "pixels inserted (%)"
    with pytest.raises(sx.InputError, match="one mode"):
        evaluate.draw_curves({"a": curves(DRAWN), "b": curves(DRAWN, mode="insertion")})
