"""Faithfulness of sequences' explanations: on models whose true reasons are known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import sciexplain as sx
from sciexplain.domains import genomics
from sciexplain.domains.genomics import evaluate
from sciexplain.errors import InputError

TEXTS = ["ACGTACGTTA", "GGGCCCATTA", "TTATTGACCA", "CATCATGGGA"]


class Additive(nn.Module):
    """Each letter has a worth at each place."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.worth = nn.Parameter(torch.randn(4, 10).double())

    def forward(self, x):
        return (x.to(self.worth) * self.worth).sum((1, 2))[:, None]


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv1d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2)).double().eval()


def test_curves_of_an_additive_model_are_cumulative_sums():
    g = genomics.explain(Additive(), TEXTS, layout="NCL")
    worth = g.nucleotides.sort(1, descending=True).values
    curves = evaluate.flipping(g, filler="zero", steps=None)
    zero = torch.zeros(4, 1).double()
    expected = g.score[:, None] - torch.cat([zero, worth.cumsum(1)], 1)
    torch.testing.assert_close(curves.scores, expected)
    back = evaluate.flipping(g, filler="zero", steps=None, mode="insertion")
    torch.testing.assert_close(back.scores, torch.cat([zero, worth.cumsum(1)], 1))


@pytest.mark.parametrize("strand", ["+", "-", "both"])
def test_letters_go_on_the_strand_that_was_explained(strand):
    model = network()
    g = genomics.explain(model, TEXTS, 1, strand=strand)
    curves = evaluate.flipping(g, filler="zero", steps=None)
    torch.testing.assert_close(curves.scores[:, 0], g.score)
    order = g.nucleotides.argsort(1, descending=True)
    texts = [list(t) for t in TEXTS]
    for row, places in enumerate(order[:, :3].tolist()):
        for place in places:
            texts[row][place] = "N"
    without = genomics.explain(model, ["".join(t) for t in texts], 1, strand=strand)
    torch.testing.assert_close(curves.scores[:, 3], without.score)


def test_methods_are_asked_about_the_same_targets_and_strands():
    model = network()
    g = genomics.explain(model, TEXTS, [0, 1, 1, 0], strand="both", composite="epsilon_alpha2_beta1")
    for method in ("input_x_gradient", "mutagenesis", "integrated_gradients"):
        expected = genomics.explain(model, TEXTS, [0, 1, 1, 0], method, "both").nucleotides
        torch.testing.assert_close(evaluate.attributed(g, method), expected)
    torch.testing.assert_close(evaluate.attributed(g, "epsilon_alpha2_beta1"), g.nucleotides)
    with pytest.raises(InputError, match="'saliency'"):
        evaluate.attributed(g, "saliency")


def test_a_comparison_ranks_a_true_explanation_first():
    g = genomics.explain(Additive(), TEXTS, layout="NCL")
    found = evaluate.compare(g, {"wrong": -g.nucleotides}, filler="zero")
    torch.testing.assert_close(found.gains["wrong"], -found.gains["explanation"])
    assert bool((found.gains["explanation"] > 0).all()) and bool((found.leads["explanation"] > 0).all())
    by_name = evaluate.compare(g, ["mutagenesis"], filler="random")
    assert set(by_name.gains) == {"explanation", "mutagenesis"}


def test_sites_go_as_one():
    g = genomics.explain(network(), TEXTS, 1)
    parts = [[(0, 3), (5, 8)], [(1, 4)], [(2, 3)], [(0, 10)]]
    curves = evaluate.flipping(g, parts=parts, filler="background", steps=None)
    removal = evaluate.removal_of(g, parts=parts, filler="background")
    expected = sx.evaluate.flipping(removal, removal.relevance(g.nucleotides), steps=None)
    torch.testing.assert_close(curves.scores, expected.scores)
    gone = removal.scores(range(4), [torch.zeros(size, dtype=torch.bool) for size in removal.sizes])
    torch.testing.assert_close(curves.scores[:, -1], gone)


def test_localization_in_every_form():
    g = genomics.explain(Additive(), TEXTS, layout="NCL")
    best = g.nucleotides.argmax(1).tolist()
    stretches = [[(place, place + 1)] for place in best]
    masks = torch.nn.functional.one_hot(torch.tensor(best), 10).bool()
    found = evaluate.localization(g, stretches)
    assert found.pointing.tolist() == [1.0] * 4 and found.auc.tolist() == [1.0] * 4
    torch.testing.assert_close(evaluate.localization(g, masks).mass, found.mass)
    torch.testing.assert_close(evaluate.localization(g, [one for (one,) in stretches]).mass, found.mass)
    sites = [genomics.Site(row, "", place, place + 1, None, 0.0, 0.0, 0.0, "", "") for row, place in enumerate(best)]
    torch.testing.assert_close(evaluate.localization(g, sites).mass, found.mass)
    positive = g.nucleotides.clamp(min=0)
    torch.testing.assert_close(found.mass, positive.amax(1) / positive.sum(1))


def test_wrong_questions_are_told():
    g = genomics.explain(network(), TEXTS, 1)
    with pytest.raises(InputError, match=r"shape \(4, 9\)"):
        evaluate.localization(g, torch.ones(4, 9))
    with pytest.raises(InputError, match="8-12 of sequence 0"):
        evaluate.localization(g, [[(8, 12)], [], [], []])
    with pytest.raises(InputError, match="1 lists of true stretches for 4"):
        evaluate.localization(g, [[(0, 1)]])
    with pytest.raises(InputError, match="does not know its model"):
        evaluate.flipping(g.centred())


@pytest.mark.parametrize("layout", ["NCL", "NLC"])
def test_stability_sanity_and_the_ledger_are_those_of_the_core(layout):
    """With letters that a model takes in either layout."""
    net = network()

    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x.transpose(1, 2) if layout == "NLC" else x)

    model = Turned().eval()
    g = genomics.explain(model, TEXTS, 1, layout=layout)
    x = genomics.encode(TEXTS).double()

    def nucleotides(network, inputs, target):
        return genomics.explain(network, inputs, target, layout="NCL").nucleotides

    expected = sx.evaluate.max_sensitivity(net, x, 1, explain=nucleotides, seed=3)
    torch.testing.assert_close(evaluate.max_sensitivity(g, seed=3), expected)
    expected = sx.evaluate.sanity(net, x, 1, explain=nucleotides, seed=3)
    found = evaluate.sanity(g, seed=3)
    torch.testing.assert_close(found.similarity, expected.similarity)
    gap = evaluate.gap(g)
    assert gap.shape == (4,) and float(gap.abs().max()) < 1e-9
    both = genomics.explain(model, TEXTS, 1, strand="both", layout=layout)
    assert float(evaluate.gap(both).abs().max()) < 1e-9
    assert evaluate.gap(genomics.explain(model, TEXTS, 1, "gradient", layout=layout)) is None
