"""Relevance of nucleotides: against the core, against definitions written out, on both strands, by every method."""

import copy

import pytest
import torch
from rule_tester import randomize
from torch import nn

import sciexplain as sx
from sciexplain.domains.genomics import counts, encode, explain, profile, reverse_complement, shuffle_dinucleotides
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record, Sequences
from sciexplain.errors import InputError, RuleError, TargetError

TEXTS = ["ACGTTGCAACGGTATC", "TTGACAGATTACACCG", "GGGCCCATATATGCAC"]
X = encode(TEXTS, dtype=torch.float64)
NET = randomize(
    nn.Sequential(
        nn.Conv1d(4, 6, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(6, 5, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(30, 3),
    )
)  # fmt: skip
CLASSES = torch.tensor([2, 0, 1])
REFERENCES = encode(["TGCATTTACGCAGGAC", "CCATGCATTTACGGGA"], dtype=torch.float64)


class Positions(nn.Module):
    """(N, L, 4), and an answer that depends on the direction."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv1d(4, 5, 3, padding=1)
        self.profile, self.counts = nn.Conv1d(5, 2, 3, padding=1), nn.Linear(5, 2)

    def forward(self, x):
        h = torch.relu(self.body(x))
        return self.profile(h), self.counts(h.mean(2))


OPTIONS = {
    "lrp": {"composite": "epsilon_plus"},
    "deeplift": {"reference": "uniform"},
    "deepshap": {"reference": 3},
    "gradient": {},
    "input_x_gradient": {},
    "integrated_gradients": {"reference": "uniform", "steps": 16},
    "expected_gradients": {"reference": 3, "samples": 12},
    "smoothgrad": {"samples": 4},
    "guided_backprop": {},
    "vargrad": {"samples": 4},
    "occlusion": {"window": 3},
    "excitation_backprop": {},
    "mutagenesis": {},
}
HYPOTHETICAL = ("lrp", "deeplift", "deepshap", "gradient", "input_x_gradient", "integrated_gradients", "smoothgrad",
                "expected_gradients", "guided_backprop", "mutagenesis")  # fmt: skip


@pytest.mark.parametrize("method", OPTIONS)
class TestEveryMethod:
    def test_contributions_stand_at_the_letters(self, method):
        g = explain(NET, TEXTS, CLASSES, method, **OPTIONS[method])
        assert g.contributions.shape == X.shape and g.method == method and g.sequences.texts == TEXTS
        assert not g.contributions[X == 0].any() and g.contributions.abs().max() > 1e-6
        torch.testing.assert_close(g.contributions.sum(1), g.nucleotides)
        torch.testing.assert_close(g.target, CLASSES)

    def test_hypothetical_contributions_agree_with_the_actual_ones(self, method):
        g = explain(NET, TEXTS, CLASSES, method, **OPTIONS[method])
        assert g.has_hypothetical == (method in HYPOTHETICAL)
        if method in HYPOTHETICAL:
            torch.testing.assert_close(g.hypothetical * X, g.contributions)
            assert g.hypothetical[X == 0].abs().max() > 1e-6
        else:
            with pytest.raises(InputError, match="defines no hypothetical contributions"):
                _ = g.hypothetical

    def test_batches_and_order(self, method):
        whole = explain(NET, TEXTS, CLASSES, method, **OPTIONS[method])
        split = explain(NET, TEXTS, CLASSES, method, batch_size=2, **OPTIONS[method])
        torch.testing.assert_close(split.contributions, whole.contributions)
        turned = explain(NET, TEXTS[::-1], CLASSES.flip(0), method, **OPTIONS[method])
        torch.testing.assert_close(turned.contributions.flip(0), whole.contributions, rtol=1e-8, atol=1e-10)

    def test_strands(self, method):
        """The minus strand is the reverse complement given to the model, read back; both are their mean."""
        by = {s: explain(NET, TEXTS, CLASSES, method, s, **OPTIONS[method]) for s in ("+", "-", "both")}
        there = explain(NET, reverse_complement(X), CLASSES, method, **OPTIONS[method])
        torch.testing.assert_close(by["-"].contributions, reverse_complement(there.contributions))
        torch.testing.assert_close(by["-"].nucleotides, there.nucleotides.flip(1))
        torch.testing.assert_close(by["-"].score, there.score)
        for name in ("nucleotides", "contributions", "score"):
            mean = (getattr(by["+"], name) + getattr(by["-"], name)) / 2
            torch.testing.assert_close(getattr(by["both"], name), mean)
        if by["+"].has_hypothetical:
            torch.testing.assert_close(by["both"].hypothetical, (by["+"].hypothetical + by["-"].hypothetical) / 2)
        assert not by["both"].contributions[X == 0].any()

    def test_asked_again(self, method):
        """The same question about other sequences, with the classes of these."""
        g = explain(NET, TEXTS, None, method, "both", **OPTIONS[method])
        other = g.sequences.with_letters(X.flip(2))
        expected = explain(NET, X.flip(2), g.target, method, "both", **OPTIONS[method])
        torch.testing.assert_close(g.again(other).contributions, expected.contributions)
        rows = [2, 0]
        torch.testing.assert_close(g[rows].again(other[rows]).contributions, expected.contributions[rows])

    def test_model_untouched(self, method):
        net = copy.deepcopy(NET).train()
        before = {k: v.clone() for k, v in net.state_dict().items()}
        explain(net, TEXTS, CLASSES, method, "both", **OPTIONS[method])
        assert net.training and all(p.grad is None for p in net.parameters())
        assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus", "epsilon_alpha2_beta1"])
def test_lrp_is_the_cores(composite):
    g = explain(NET, TEXTS, 1, composite=composite, ledger=True)
    e = sx.explain(NET, X, 1, composite=composite, ledger=True)
    torch.testing.assert_close(g.nucleotides, e.relevance.sum(1))
    torch.testing.assert_close(g.score, e.score)
    torch.testing.assert_close(g.nucleotides.sum(1) + sum(g.ledger.absorbed.values()), g.score)
    x = X.clone().requires_grad_()
    with sx.LRP(composite):
        y = NET(x)
    torch.testing.assert_close(g.hypothetical, torch.autograd.grad(y[:, 1].sum(), x)[0])


def test_rules_that_yield_relevance_itself():
    g = explain(NET, TEXTS, 1, composite="epsilon_plus_flat")
    torch.testing.assert_close(g.nucleotides, sx.explain(NET, X, 1, composite="epsilon_plus_flat").relevance.sum(1))
    torch.testing.assert_close(g.contributions.sum(1), g.nucleotides)
    with pytest.raises(InputError, match="first rule yields relevance itself"):
        _ = g.hypothetical


def test_deepshap_hypothetical_by_definition():
    """The mean over references of Σ_a (e_b − x₀)_a m_a (Avsec et al. 2021), with DeepLIFT's multipliers."""
    references = REFERENCES[None].expand(3, -1, -1, -1)
    g = explain(NET, TEXTS, CLASSES, "deepshap", reference=references)
    expected = torch.zeros_like(X)
    for x0 in REFERENCES:
        m = sx.explain(NET, X, CLASSES, "deeplift", reference=x0).multipliers
        for b in range(4):
            letter = torch.zeros(4, 1).double()
            letter[b] = 1
            expected[:, b] += ((letter - x0) * m).sum(1) / len(REFERENCES)
    torch.testing.assert_close(g.hypothetical, expected)
    e = sx.explain(NET, X, CLASSES, "deepshap", references=references)
    torch.testing.assert_close(g.nucleotides, e.relevance.sum(1))


def test_deepshap_against_tangermeme():
    tangermeme = pytest.importorskip("tangermeme.deep_lift_shap")
    references = REFERENCES[None].expand(3, -1, -1, -1).float()
    net = copy.deepcopy(NET).float()
    for hypothetical in (True, False):
        theirs = tangermeme.deep_lift_shap(
            net, X.float(), target=1, references=references, hypothetical=hypothetical, device="cpu"
        )
        g = explain(net, TEXTS, 1, "deepshap", reference=references)
        ours = g.hypothetical if hypothetical else g.contributions
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_shuffles_are_the_default_references():
    g = explain(NET, TEXTS, 1, "deepshap", seed=7)
    given = explain(NET, TEXTS, 1, "deepshap", reference=shuffle_dinucleotides(X, 20, 7))
    torch.testing.assert_close(g.contributions, given.contributions)
    several = explain(NET, TEXTS, 1, "deeplift", reference="shuffled", seed=7)
    torch.testing.assert_close(several.contributions, given.contributions)
    assert not torch.allclose(explain(NET, TEXTS, 1, "deepshap", seed=8).contributions, g.contributions)


def test_mutagenesis_is_the_change_less_its_mean():
    g = explain(NET, TEXTS, 1, "mutagenesis")
    change = torch.zeros_like(X)
    for i in range(16):
        for b in range(4):
            mutant = X.clone()
            mutant[:, :, i] = torch.eye(4)[b].double()
            change[:, b, i] = (NET(mutant) - NET(X))[:, 1].detach()
    torch.testing.assert_close(g.hypothetical, change - change.mean(1, keepdim=True))


def test_both_layouts_give_the_same():
    torch.manual_seed(0)
    net = randomize(Positions())
    g = explain(net, TEXTS, 1, ledger=True)
    e = sx.explain(net, X.transpose(1, 2), 1)
    torch.testing.assert_close(g.contributions.sum(1), e.relevance.sum(2))
    turned = explain(lambda x: net(x.transpose(1, 2)), X, 1, layout="NCL")
    torch.testing.assert_close(g.contributions, turned.contributions)
    torch.testing.assert_close(
        explain(net, TEXTS, 1, "mutagenesis").contributions,
        explain(lambda x: net(x.transpose(1, 2)), X, 1, "mutagenesis", layout="NCL").contributions,
    )


def test_both_layouts_work_and_differ():
    flat = randomize(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)))
    with pytest.warns(UserWarning, match="takes both"):
        g = explain(flat, TEXTS, 1)
    torch.testing.assert_close(g.contributions, explain(flat, TEXTS, 1, layout="NCL").contributions)


@pytest.mark.parametrize("text", [TEXTS[0][:3], TEXTS[0] + "AC"])
def test_sequences_that_the_model_does_not_take(text):
    with pytest.raises(InputError, match=r"in neither layout .*kernel may be longer than the sequence"):
        explain(NET, text)


def test_heads():
    net = randomize(TwoHeads())
    found = explain(net, TEXTS, {"profile": profile(), "strand 1": profile(task=1), "counts": counts(task=1)})
    assert list(found) == ["profile", "strand 1", "counts"]
    z = net(X)[0].detach()
    for name, of in (("profile", z.flatten(1)), ("strand 1", z[:, 1])):
        expected = (of.softmax(1) * (of - of.mean(1, keepdim=True))).sum(1)
        torch.testing.assert_close(found[name].score, expected)
        p = of.softmax(1)
        x = X.clone().requires_grad_()
        with sx.LRP("epsilon"):
            out = net(x)[0]
            out = out.flatten(1) if name == "profile" else out[:, 1]
            y = (p * (out - out.mean(1, keepdim=True))).sum()
        torch.testing.assert_close(found[name].contributions, X * torch.autograd.grad(y, x)[0])
    torch.testing.assert_close(found["counts"].score, net(X)[1][:, 1].detach())


@pytest.mark.parametrize("target", [profile("lost"), profile(5), profile(0, task=2)])
def test_heads_that_are_not_there(target):
    with pytest.raises(TargetError, match="head"):
        explain(randomize(TwoHeads()), TEXTS, target)


def test_further_channels():
    net = randomize(nn.Sequential(nn.Conv1d(6, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(70, 2)))
    signal = torch.rand(3, 2, 16).double()
    g = explain(net, TEXTS, 1, strand="both", extra=signal)
    e = [
        sx.explain(net, x, 1)
        for x in (torch.cat([X, signal], 1), torch.cat([reverse_complement(X), signal.flip(2)], 1))
    ]
    torch.testing.assert_close(g.extra, (e[0].relevance[:, 4:] + e[1].relevance[:, 4:].flip(2)) / 2)
    assert g.contributions.shape == X.shape
    shuffled = explain(net, TEXTS, 1, "deepshap", extra=signal)
    assert not shuffled.extra.any()  # it is the same in the references


def test_places_travel_along():
    records = [Record("a", TEXTS[0], Interval("chr1", 5, 21, "-")), Record("b", TEXTS[1])]
    g = explain(NET, records, 1, strand="-")
    assert g.sequences.intervals == (records[0].interval, None) and g.sequences.names == ("a", "b")


def test_ambiguous_letters_keep_the_sum():
    text = "ACGTNGCRACGGTATC"
    for ambiguous in ("zero", "average"):
        x = encode(text, ambiguous=ambiguous, dtype=torch.float64)
        g = explain(NET, text, 1, ambiguous=ambiguous)
        torch.testing.assert_close(g.nucleotides, sx.explain(NET, x, 1).relevance.sum(1))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"strand": "x"}, InputError, "strand='x'"),
        ({"method": "nothing"}, RuleError, "No method 'nothing'"),
        ({"reference": "zero"}, InputError, "takes no reference"),
        ({"method": "deepshap", "reference": "half"}, InputError, "reference='half'"),
        ({"method": "deepshap", "reference": torch.zeros(2, 4, 16)}, InputError, "reference has shape"),
        ({"method": "integrated_gradients", "reference": 5}, InputError, "takes one reference, not 5"),
        ({"layout": "LNC"}, InputError, "layout='LNC'"),
        ({"method": "deepshap", "references": X[:, None]}, InputError, "give reference="),
        ({"method": "mutagenesis", "composite": "epsilon"}, InputError, "takes no composite"),
        ({"target": 3}, TargetError, "out of range"),
    ],
)
def test_bad_questions(options, error, message):
    with pytest.raises(error, match=message):
        explain(NET, TEXTS, **options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["ACGT", "ACG"], "expected one length"),
        ("MKVL" * 4, "no letter of DNA"),
        (torch.zeros(2, 3, 16), "expected .N, C, L"),
    ],
)
def test_bad_sequences(given, message):
    with pytest.raises(InputError, match=message):
        explain(NET, given)


def test_proteins_have_one_strand():
    net = randomize(nn.Sequential(nn.Conv1d(20, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(9, 2)))
    g = explain(net, "MKVLA", 1, alphabet="protein")
    assert g.contributions.shape == (1, 20, 5)
    with pytest.raises(InputError, match="no reverse complement"):
        explain(net, "MKVLA", 1, strand="both", alphabet="protein")


def test_rna():
    torch.testing.assert_close(
        explain(NET, [t.replace("T", "U") for t in TEXTS], 1, alphabet="RNA").contributions,
        explain(NET, TEXTS, 1).contributions,
    )


def test_shown():
    assert "SequenceExplanation(lrp, 3 sequences of 16 letters)" in repr(explain(NET, Sequences.of(TEXTS), 1))


@pytest.mark.parametrize("method", ["lrp", "deepshap", "mutagenesis"])
def test_centred(method):
    g = explain(NET, TEXTS, CLASSES, method)
    c = g.centred()
    expected = g.hypothetical - g.hypothetical.mean(1, keepdim=True)
    torch.testing.assert_close(c.hypothetical, expected)
    torch.testing.assert_close(c.contributions, X * expected)
    torch.testing.assert_close(c.centred().contributions, c.contributions)
    torch.testing.assert_close(c.again(g.sequences).contributions, c.contributions)


@pytest.mark.parametrize("method", ["deeplift", "deepshap", "integrated_gradients", "expected_gradients"])
@pytest.mark.parametrize("strand", ["-", "both"])
def test_given_references_turn_with_the_strand_and_the_layout(method, strand):
    reference = REFERENCES[:1, None].expand(3, -1, -1, -1)
    options = {"samples": 8} if method == "expected_gradients" else {}
    g = explain(NET, TEXTS, 1, method, strand, reference, **options)
    minus = explain(NET, reverse_complement(X), 1, method, "+", reverse_complement(reference), **options)
    plus = explain(NET, X, 1, method, "+", reference, **options)
    turned = reverse_complement(minus.contributions)
    torch.testing.assert_close(g.contributions, turned if strand == "-" else (turned + plus.contributions) / 2)
    last = explain(lambda x: NET(x.transpose(1, 2)), X, 1, method, strand, reference, layout="NLC", **options)
    torch.testing.assert_close(last.contributions, g.contributions)
