"""The density of sequences: against sums over all of them, and against what is drawn."""

import json
from itertools import product

import numpy as np
import pytest
import torch

from sciexplain.domains import genomics
from sciexplain.domains.genomics.encode import encode, reverse_complement
from sciexplain.domains.genomics.reference.prior import SequencePrior, log_likelihood
from sciexplain.domains.genomics.reference.prior_training import load_prior, markov_chain, save_prior, train_prior
from sciexplain.errors import DataError, InputError, ModelError
from sciexplain.maximize import maximize


def filled(length, alphabet="DNA", seed=0, **options):
    """A prior with numbers by chance."""
    prior = SequencePrior(length, alphabet, **{"backgrounds": 2, "sites": 2, "width": 2, **options}).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in prior.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.double))
    return prior.requires_grad_(False)


def everything(length, letters=4):
    codes = torch.tensor(list(product(range(letters), repeat=length)))
    return torch.nn.functional.one_hot(codes, letters).transpose(1, 2).double()


def by_hand(prior, text):
    """p(x), component by component, letter by letter."""
    letters, order, width = "ACGT", 3, prior.settings["width"]
    tables, matrices = prior.transitions.softmax(2), prior.site_logits.softmax(1)
    kinds, places = prior.kind_logits.softmax(0), prior.place_logits.softmax(1)
    codes = [4] * order + [letters.index(x) for x in text]
    total = 0.0
    for j, share in enumerate(prior.background_logits.softmax(0)):

        def chain(i, j=j):
            a, b, c, here = codes[i : i + order + 1]
            return tables[j, 25 * a + 5 * b + c, here]

        plain = [chain(i) for i in range(len(text))]
        total += share * kinds[-1] * np.prod(plain)
        for k, start in product(range(len(matrices)), range(len(text) - width + 1)):
            outside = np.prod(plain[:start] + plain[start + width :])
            word = codes[order + start : order + start + width]
            there = np.prod([matrices[k, x, w] for w, x in enumerate(word)])
            turned = np.prod([matrices[k, 3 - x, width - 1 - w] for w, x in enumerate(word)])
            total += share * kinds[k] * places[k, start] * 0.5 * (there + turned) * outside
    return float(total)


@pytest.mark.parametrize("options", [{}, {"backgrounds": 1, "sites": 3, "width": 1}, {"width": 5}])
def test_probabilities_of_all_sequences_sum_to_one(options):
    prior = filled(5, **options)
    assert prior(everything(5)).exp().sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("text", ["ACGTT", "GGGGG", "TACCA"])
def test_equal_to_the_sum_over_components(text):
    prior = filled(5)
    assert float(prior(encode(text).double()).exp()[0]) == pytest.approx(by_hand(prior, text), rel=1e-10)


def test_proteins_have_one_strand():
    assert filled(2, "protein", width=1)(everything(2, 20)).exp().sum() == pytest.approx(1, abs=1e-12)


def test_unknown_letters_count_as_one():
    prior = filled(5)
    known, unknown = prior(encode("ACGTT").double()), prior(encode("ACGTN").double())
    assert unknown > known and torch.isfinite(prior(encode("NNNNN").double())).all()


def test_letters_given_as_tables_or_as_shares_are_the_same():
    prior, x = filled(9), encode(["ACGTNTGCA", "TTTTTTTTT"]).double()
    relaxed = x.clone().requires_grad_()
    assert torch.allclose(prior(x), prior(relaxed), atol=1e-12)
    assert torch.autograd.gradcheck(prior, (torch.softmax(torch.randn(2, 4, 9).double(), 1).requires_grad_(),))


def test_what_is_drawn_is_as_frequent_as_probable():
    prior = filled(4)
    drawn = prior.draw(40_000, seed=1)
    codes = drawn.argmax(1)
    counts = torch.bincount((codes * torch.tensor([64, 16, 4, 1])).sum(1), minlength=256)
    expected = 40_000 * prior(everything(4)).exp()
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    assert chi2 < 255 + 4 * (2 * 255) ** 0.5
    assert torch.equal(prior.draw(5, seed=1), prior.draw(5, seed=1))


def test_a_code_decodes_to_the_letters_of_its_component():
    """Outside sites: the background's own letter frequencies, here by drawing from a prior that is that component."""
    prior = filled(6, width=3)
    codes = torch.randn(3, *prior.code_shape, generator=torch.Generator().manual_seed(0)).double()
    decoded = prior.decode(codes)
    assert torch.allclose(decoded.sum(1), torch.ones(3, 6).double()) and (decoded >= 0).all()
    chosen = int(codes[0].argmax())
    kind, component = divmod(chosen, prior.code_shape[0] // 2)
    strand, rest = divmod(component - 1, 2 * 4)
    site, start = divmod(rest, 4)
    matrix = prior.site_logits[site].softmax(0)
    matrix = matrix.flip(0, 1) if strand else matrix
    assert component > 0 and torch.allclose(decoded[0, :, start : start + 3], matrix)
    shares = (prior.kind_logits.softmax(0)[site] * prior.place_logits[site].softmax(0)[start] / 2).log()
    expected = prior.background_logits.log_softmax(0)[kind] + shares
    assert float(prior.log_density(codes)[0]) == pytest.approx(float(expected))


def test_background_letters_follow_the_chain():
    prior = filled(6, width=1)
    chain = everything(6)
    for kind in range(2):
        alone = SequencePrior(6, backgrounds=1, sites=1, width=1).double().requires_grad_(False)
        alone.transitions.copy_(prior.transitions[kind : kind + 1])
        alone.kind_logits.copy_(torch.tensor([-1e4, 0.0]))
        marginals = torch.einsum("n,nal->al", alone(chain).exp(), chain)
        codes = torch.zeros(1, *prior.code_shape).double()
        codes[0, kind * (prior.code_shape[0] // 2)] = 1.0  # this background, no site
        assert torch.allclose(prior.decode(codes)[0], marginals, atol=1e-12)


def test_codes_are_a_prior_of_maximisation():
    """The site that a model looks for is found among those that the prior knows, wherever it may lie."""
    prior = filled(12, sites=2, width=4).float()
    for name in ("site_logits", "kind_logits", "place_logits"):
        getattr(prior, name).zero_()
    prior.kind_logits[-1] = -5.0  # there is a site
    for w, letter in enumerate("TGAC"):
        prior.site_logits[1, "ACGT".index(letter), w] = 5.0
    model = torch.nn.Sequential(torch.nn.Conv1d(4, 1, 4, bias=False), torch.nn.AdaptiveMaxPool1d(1), torch.nn.Flatten())
    model[0].weight.data.copy_(encode("TGAC"))
    found = maximize(model, 0, prior=prior, restarts=2, steps=150, seed=0)
    letters = genomics.decode(torch.nn.functional.one_hot(found.inputs.argmax(1), 4).transpose(1, 2).float())
    assert all("TGAC" in text for text in letters)


MOTIF = "CCGTGACTCAGC"


def sequences(n, seed, motif=MOTIF):
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        letters = "".join(rng.choice(list("ACGT"), 60, p=[0.35, 0.15, 0.15, 0.35]))
        place = rng.integers(0, 60 - len(motif))
        word = motif if i % 2 else genomics.decode(reverse_complement(encode(motif)))[0]
        found.append(letters[:place] + word + letters[place + len(motif) :])
    return found


@pytest.fixture(scope="module")
def trained():
    return train_prior(sequences(600, 0), backgrounds=1, sites=2, width=12, epochs=12, lr=0.05, batch_size=32)


def test_a_planted_site_is_learnt_and_held_out_density_is_above_the_chains(trained):
    assert trained.test["prior"] > trained.test["Markov, order 3"] + 0.1
    assert trained.test["Markov, order 0"] == pytest.approx(
        float(sum(p * np.log(p) for p in (0.32, 0.18, 0.18, 0.32))), abs=0.02
    )
    share, matrix = trained.prior.site_matrices()[0]
    text = "".join("ACGT"[i] for i in matrix.argmax(1).tolist())
    turned = genomics.decode(reverse_complement(encode(text)))[0]
    assert share > 0.5 and any(MOTIF[2:8] in t for t in (text, turned))
    drawn = genomics.decode(trained.prior.draw(200, 0))
    assert sum("ACTCA" in t or "TGAGT" in t for t in drawn) > 60
    held = float(trained.prior(trained.prior.draw(2000, 5)).mean())
    assert float(trained.prior.typical) == pytest.approx(held, abs=2.0)


def test_the_same_seed_gives_the_same_and_leaves_the_generator():
    state = torch.random.get_rng_state()
    a, b = (train_prior(sequences(60, 1), epochs=2, sites=2, width=8, seed=4) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(v, b.prior.state_dict()[k]) for k, v in a.prior.state_dict().items())


@pytest.mark.parametrize("order", [0, 3])
def test_markov_chains_count(order):
    x = encode(["ACGACG", "ACGTTT"])
    chain = markov_chain(x, order)
    if order == 0:
        counts = np.array([3, 3, 3, 3]) + 0.5
        expected = np.log(counts[[0, 1]] / counts.sum()).sum() + 4 * np.log(counts[2] / counts.sum())
        assert float(chain(encode("ACGGGG"))[0]) == pytest.approx(expected, rel=1e-5)
    else:
        step = {"A": 2.5 / 4, "C": 2.5 / 4, "G": 2.5 / 4}  # first letters; seen after their own beginnings
        after = {"ACG": {"A": 1.5 / 4, "T": 1.5 / 4}, "CGA": {"C": 1.5 / 3}, "GAC": {"G": 1.5 / 3}}
        expected = np.prod(list(step.values())) * after["ACG"]["A"] * after["CGA"]["C"] * after["GAC"]["G"]
        assert float(chain(encode("ACGACG")).exp()[0]) == pytest.approx(expected, rel=1e-5)


def test_saved_and_loaded(trained, tmp_path):
    folder = save_prior(trained, tmp_path / "prior", versions={"torch": "x"})
    loaded = load_prior(folder)
    x = loaded.draw(3)
    assert torch.equal(loaded(x), trained.prior(x)) and float(loaded.typical) == float(trained.prior.typical)
    assert loaded.info["log_density_per_letter"] == trained.test and not loaded.training
    info = json.loads((folder / "prior.json").read_text())
    (folder / "prior.json").write_text(json.dumps(info | {"structure": {"sites": 5, "width": 10, "backgrounds": 1}}))
    with pytest.raises(ModelError, match="does not hold this prior's weights"):
        load_prior(folder)
    (folder / "prior.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        load_prior(folder)
    with pytest.raises(ModelError, match=r"found no prior\.json"):
        load_prior(tmp_path)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: SequencePrior(4, width=5), InputError, "no wider than"),
        (lambda: filled(5)(encode("ACGT")), InputError, r"takes \(N, 4, 5\)"),
        (lambda: train_prior(["ACGT"] * 3), DataError, "expected ten or more"),
        (lambda: train_prior(sequences(20, 0), epochs=0), InputError, "expected numbers above 0"),
        (lambda: log_likelihood(object(), encode("ACGT")), InputError, "an object with log_likelihood"),
        (lambda: markov_chain(encode("ACGT"), 2), InputError, "expected 0 or 3"),
    ],
)
def test_wrong_uses_are_told(call, error, message):
    with pytest.raises(error, match=message):
        call()
