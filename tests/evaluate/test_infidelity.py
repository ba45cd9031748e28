"""Infidelity against its definition, and where it must vanish."""

import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain import evaluate

X = sample(3, 2, 4, 5)
LINEAR = randomize(nn.Sequential(nn.Flatten(), nn.Linear(40, 2))).eval()
CURVED = randomize(nn.Sequential(nn.Flatten(), nn.Linear(40, 6), nn.Tanh(), nn.Linear(6, 2))).eval()


@pytest.mark.parametrize("perturbation", ["square", "subset", "gaussian"])
def test_a_linear_models_gradient_foretells_everything(perturbation):
    gradient = sx.explain(LINEAR, X, 1, method="gradient")
    for filler in ("zero", "mean"):
        found = evaluate.infidelity(LINEAR, X, gradient.relevance, 1, perturbation=perturbation, filler=filler)
        assert found.shape == (3,) and float(found.max()) < 1e-20
    e = sx.explain(LINEAR, X, 1, composite="epsilon")
    assert float(evaluate.infidelity(LINEAR, X, e, perturbation=perturbation).max()) < 1e-9
    assert float(evaluate.infidelity(LINEAR, X, 2 * gradient.relevance, 1, perturbation=perturbation).min()) > 1e-3
    scaled = evaluate.infidelity(LINEAR, X, 2 * gradient.relevance, 1, perturbation=perturbation, scaled=True)
    assert float(scaled.max()) < 1e-20


@pytest.mark.parametrize(
    "perturbation, kind", [("square", "multipliers"), ("subset", "relevance"), ("gaussian", "multipliers")]
)
def test_equals_the_definition(perturbation, kind):
    """Written out for the changes that the model was asked about."""
    asked = []

    def model(rows):
        asked.append(rows)
        return CURVED(rows)

    phi = sample(3, 2, 4, 5, seed=8)
    found = evaluate.infidelity(model, X, phi, 0, kind=kind, perturbation=perturbation, draws=30, batch_size=100)
    for i, rows in enumerate(asked[1:]):
        changes = X[i] - rows
        if perturbation == "square":  # a quarter of each side, all channels
            assert bool(((changes != 0).flatten(1).sum(1) == 2).all())
        if perturbation == "subset":
            assert bool(((changes != 0).flatten(1).sum(1) == 2 * 5).all())
        told = (phi[i] * ((changes != 0) if kind == "relevance" else changes)).flatten(1).sum(1)
        lost = (CURVED(X[i][None])[0, 0] - CURVED(rows)[:, 0]).detach()
        assert float(found[i]) == pytest.approx(float((told - lost).square().mean()))
        slope = torch.linalg.lstsq(told[:, None], lost[:, None]).solution[0, 0]
        best = float((slope * told - lost).square().mean())
        scaled = evaluate.infidelity(CURVED, X, phi, 0, kind=kind, perturbation=perturbation, draws=30, scaled=True)
        assert float(scaled[i]) == pytest.approx(best)


def test_windows_fall_everywhere():
    asked = []

    def model(rows):
        asked.append(rows)
        return rows.flatten(1)

    x = torch.ones(1, 1, 6, 6).double()
    evaluate.infidelity(model, x, x, 0, size=0.34, draws=300, batch_size=300)
    gone = (asked[1] == 0)[:, 0]
    assert bool(gone.any(0).all()) and bool((gone.sum((1, 2)) == 4).all())
    assert bool((gone.any(2).sum(1) == 2).all()) and bool((gone.any(1).sum(1) == 2).all())


def test_relevance_for_all_channels():
    relevance = sample(3, 4, 5, seed=8)
    spread = (relevance / 2)[:, None].expand_as(X)
    a, b = (evaluate.infidelity(CURVED, X, r, 0, kind="relevance") for r in (relevance, spread))
    torch.testing.assert_close(a, b)


def test_tables_and_batches():
    table = sample(4, 5)
    model = randomize(nn.Linear(5, 2))
    a, b = (evaluate.infidelity(model, table, sample(4, 5, seed=2), 1, batch_size=n) for n in (7, 200))
    torch.testing.assert_close(a, b)
    assert not torch.allclose(a, evaluate.infidelity(model, table, sample(4, 5, seed=2), 1, seed=1))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"perturbation": "blur"}, "perturbation='blur'"), ({"size": 0}, "size=0"), ({"draws": 0}, "draws=0"),
        ({"draws": 1.5}, "draws=1.5"),
        ({"filler": "inpaint"}, "depends on what is left"),
        ({"kind": "relevance", "perturbation": "gaussian"}, "small changes"),
        ({"explanation": X[:, :1]}, "Multipliers have shape"), ({"inputs": X.long()}, "needs floats"),
        ({"explanation": sx.explain(CURVED, X, 0, method="occlusion"), "kind": "multipliers"}, "no multipliers"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(options, message):
    with pytest.raises(sx.InputError, match=message):
        evaluate.infidelity(CURVED, **({"inputs": X, "explanation": X} | options))
