"""Designed sequences: allowed, as good as claimed, and with the model left alone."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sciexplain.domains import genomics
from sciexplain.domains.genomics.design import Constraints, maximize
from sciexplain.errors import InputError, ModelError, TargetError

LETTERS = "ACGT"


def network(seed=0, outputs=1, length=None, channels=4):
    """A small convolutional network on sequences of any length."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv1d(channels, 12, 5, padding=2), nn.BatchNorm1d(12), nn.ReLU(), nn.Conv1d(12, 12, 3), nn.Tanh(),
        nn.AdaptiveMaxPool1d(3), nn.Flatten(), nn.Dropout(0.5), nn.Linear(36, outputs),
    )  # fmt: skip


def additive(length, seed=0):
    """A model that adds up a weight for each letter at each position, and the weights (L, 4)."""
    torch.manual_seed(seed)
    linear = nn.Linear(4 * length, 1).double()
    model = nn.Sequential(nn.Flatten(), linear)
    model.layout = "NCL"
    return model, linear.weight.detach().reshape(4, length).t().numpy()


def says(model, texts, target=0):
    with torch.no_grad():
        return model.eval()(genomics.encode(list(texts)).to(next(model.parameters()))).double()[:, target]


def neighbours(text):
    for i, letter in product(range(len(text)), LETTERS):
        if text[i] != letter:
            yield text[:i] + letter + text[i + 1 :]


def differ(a, b):
    return sum(x != y for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("method", ["relaxed", "search"])
def test_an_additive_model_is_solved(method):
    model, weights = additive(9)
    found = maximize(model, length=9, method=method, restarts=2, steps=30)
    best = "".join(LETTERS[i] for i in weights.argmax(1))
    assert found.texts == [best, best] and all(d.settled for d in found)
    assert found[0].prediction == pytest.approx(float(says(model, [best])[0]))


@pytest.mark.parametrize("method", ["relaxed", "search"])
@pytest.mark.parametrize("edits", [0, 1, 3])
def test_the_best_edits_of_an_additive_model(method, edits):
    model, weights = additive(9, seed=1)
    start = "ACGTTGCAA"
    codes = np.array([LETTERS.index(letter) for letter in start])
    gains = weights - weights[np.arange(9), codes][:, None]
    best = np.sort(gains.max(1))[::-1][:edits].sum()
    found = maximize(model, start=start, edits=edits, method=method, steps=30)[0]
    assert found.prediction - found.before == pytest.approx(best) and len(found.edits) == edits
    for edit in found.edits:
        gain = gains[edit.position, LETTERS.index(edit.after)]
        assert (edit.before, edit.after) == (start[edit.position], found.sequence[edit.position])
        assert edit.gain == pytest.approx(gain)


@settings(max_examples=8, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from([None, (0.3, 0.5), (0.5, 0.5), (0.0, 0.2)]),
    st.sampled_from([(), ("GAT",), ("RY", "GGG"), ("NCG",)]),
    st.sampled_from([None, 1, 4]),
    st.sampled_from(["relaxed", "search"]),
)
def test_constraints_hold_exactly(seed, gc, forbidden, edits, method):
    rng = np.random.default_rng(seed)
    start = ["".join(rng.choice(list(LETTERS), 12)) for _ in range(2)] if edits else None
    options = {"start": start, "edits": edits} if edits else {"length": 12, "restarts": 2}
    try:
        found = maximize(network(seed), gc=gc, forbidden=forbidden, method=method, steps=6, seed=seed, **options)
    except InputError as error:  # so many edits are not enough
        assert edits and "needs" in str(error)
        return
    constraints = Constraints.of(gc, forbidden)
    for design in found:
        codes = np.array([LETTERS.index(letter) for letter in design.sequence])
        assert constraints.hold(codes[None])[0]
        assert gc is None or gc[0] <= design.gc <= gc[1]
        if edits:
            origin = start[int(design.name[-1])]
            assert differ(origin, design.sequence) == len(design.edits) <= edits


@pytest.mark.parametrize("method", ["relaxed", "search"])
@pytest.mark.parametrize("seed", range(3))
def test_no_allowed_substitution_or_exchange_is_better(method, seed):
    model = network(seed, outputs=3)
    for design in maximize(model, 1, length=14, forbidden=["GAT"], method=method, steps=60, restarts=2):
        others = [t for t in neighbours(design.sequence) if "GAT" not in t and "ATC" not in t]
        assert design.settled and says(model, others, 1).max() <= design.prediction + 1e-5
    start = "ACGTACTTACGTAC"
    design = maximize(model, 1, start=start, edits=3, method=method, steps=60)[0]
    exchanged = {
        t
        for p in range(14)
        for t in neighbours(design.sequence[:p] + start[p] + design.sequence[p + 1 :])
        if differ(t, start) <= 3
    }
    assert design.settled and says(model, sorted(exchanged), 1).max() <= design.prediction + 1e-5


def test_predictions_are_of_the_letters_returned_best_first():
    model = network(outputs=2)
    found = maximize(model, 1, length=20, restarts=4, steps=10)
    assert torch.allclose(says(model, found.texts, 1), torch.tensor([d.prediction for d in found]).double())
    assert [d.prediction for d in found] == sorted((d.prediction for d in found), reverse=True)
    assert found.sequences.texts == found.texts and np.allclose(found.frequencies.sum(1), 1)


def test_gradients_find_more_than_chance():
    model = network(3)
    rng = np.random.default_rng(0)
    drawn = says(model, ["".join(rng.choice(list(LETTERS), 30)) for _ in range(3000)]).max()
    assert maximize(model, length=30, restarts=1, steps=60)[0].prediction > drawn


def test_the_same_seed_gives_the_same_and_nothing_is_touched():
    model = network(outputs=2).train()
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = maximize(model, 0, length=16, restarts=2, steps=8, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before) and all(m.training for m in model.modules())
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    again = maximize(model, 0, length=16, restarts=2, steps=8, seed=3, batch_size=1)
    assert (
        first.texts == again.texts and maximize(model, 0, length=16, restarts=2, steps=8, seed=4).texts != first.texts
    )
    with pytest.raises(TargetError):
        maximize(model, 7, length=16)
    assert all(m.training for m in model.modules())


class Turned(nn.Module):
    """Takes (N, L, channels)."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        if x.shape[2] != 4:
            raise ValueError("expected (N, L, 4)")
        return self.model(x.transpose(1, 2))


def test_layouts_targets_and_types_agree():
    model = network(2, outputs=2).eval()
    expected = maximize(model, 1, length=11, restarts=1, steps=4)
    for other, target in (
        (Turned(model), 1),
        (nn.Sequential(model, nn.Softmax(1)), 1),
        (nn.Sequential(model, nn.Sigmoid()), -1),
        (model, lambda output: output[:, 1]),
        (lambda x: {"logits": model(x), "other": x.sum()}, 1),
        (lambda x: (model(x)[:, 1], x), None),
        (network(2, outputs=2).double(), torch.tensor(1)),
    ):
        found = maximize(other, target, length=11, restarts=1, steps=4)
        assert found.texts == expected.texts
        assert found[0].prediction == pytest.approx(expected[0].prediction, rel=1e-4)


def test_further_channels_and_unknown_letters_stay():
    model = network(1, channels=5)
    one_hot = genomics.encode(["ACGTNNTTGACA", "TTTTACGTACGT"], ambiguous="average")
    given = genomics.Sequences.of(one_hot, extra=torch.linspace(0, 3, 24).reshape(2, 1, 12))
    found = maximize(model, start=given, edits=3, steps=10)
    assert sorted(found.sequences.names) == sorted(given.names)
    for i, design in enumerate(found):
        row = given.names.index(design.name)
        assert torch.equal(found.sequences.extra[i], given.extra[row])
        if row == 0:
            assert design.sequence[4:6] == "NN" and (found.sequences.inputs[i, :4, 4:6] == 0.25).all()
        with torch.no_grad():
            pair = torch.stack([given.inputs[row], found.sequences.inputs[i]])
            before, after = model.eval()(pair)[:, 0].tolist()
        assert (design.before, design.prediction) == (pytest.approx(before), pytest.approx(after))


def test_only_positions_asked_for_change():
    design = maximize(network(), start="A" * 20, edits=6, positions=(5, 9), steps=10)[0]
    assert {edit.position for edit in design.edits} <= {5, 6, 7, 8} and design.edits


def test_restarts_of_a_real_sequence_give_its_best():
    model, start = network(4), ["ACGTACGTACGTAC", "TTTTTTTAAAAAAA"]
    one = {d.name: d.prediction for d in maximize(model, start=start, edits=2, steps=5)}
    many = maximize(model, start=start, edits=2, steps=5, restarts=4)
    assert len(many) == 2 and all(d.prediction >= one[d.name] - 1e-6 for d in many)


def test_other_alphabets():
    model = network()
    model.alphabet = "RNA"
    assert set(maximize(model, length=10, restarts=1, steps=4)[0].sequence) <= set("ACGU")
    protein = nn.Sequential(nn.Conv1d(20, 3, 3), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(3, 1))
    found = maximize(protein, length=9, forbidden=["NXS", "W"], alphabet="protein", restarts=1, steps=8)[0]
    assert "W" not in found.sequence and found.gc is None and len(found.sequence) == 9


def test_progress_is_told_to_its_end():
    told = []
    maximize(network(), length=10, restarts=2, steps=5, report=told.append)
    assert told[-1].done == told[-1].total == 7 and told[-1].best == max(p.best for p in told)


def test_a_prior_that_prefers_a_letter_bends_the_result():
    class Likes:
        def log_likelihood(self, one_hot):
            return 50.0 * one_hot[:, 0].sum(1)

    plain = maximize(network(), length=12, restarts=1, steps=10)[0]
    bent = maximize(network(), length=12, restarts=1, steps=10, prior=Likes())[0]
    assert bent.sequence == "A" * 12 and bent.log_density == pytest.approx(600) and plain.log_density is None
    assert bent.objective == pytest.approx(bent.prediction + 600, rel=1e-5) and plain.objective == plain.prediction


def test_density_counts_up_to_what_is_typical():
    class Likes:
        typical = 3.0

        def log_likelihood(self, one_hot):
            return one_hot[:, 0].sum(1)

    model, weights = additive(6)
    found = maximize(model, length=6, restarts=12, steps=10, prior=Likes(), prior_weight=100.0)[0]
    assert found.sequence.count("A") == 3 and found.objective == pytest.approx(found.prediction)
    typical = [t for t in product(LETTERS, repeat=6) if t.count("A") >= 3]
    best = max(sum(weights[i, LETTERS.index(letter)] for i, letter in enumerate(t)) for t in typical)
    assert found.prediction == pytest.approx(best + model[1].bias.item())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"length": 8, "start": "ACGTACGT"}, InputError, "length and start are both given"),
        ({"length": 8, "edits": 2}, InputError, "edits without start"),
        ({"length": 8, "positions": (0, 2)}, InputError, "positions without start"),
        ({"start": "ACGTACGT", "edits": -1}, InputError, "edits=-1"),
        ({"start": "ACGTACGT", "positions": (4, 99)}, InputError, "within 0 to 8"),
        ({"length": 8, "method": "genetic"}, InputError, "expected \"relaxed\" or"),
        ({"length": 8, "steps": 0}, InputError, "steps=0"),
        ({"length": 8, "restarts": 0}, InputError, "restarts=0"),
        ({"length": 8, "gc": (0.51, 0.6)}, InputError, "No sequence of 8 letters keeps to gc"),
        ({"length": 8, "forbidden": ["N"]}, InputError, "No sequence of 8 letters keeps to forbidden"),
        ({"start": "GGGGGGGG", "edits": 2, "gc": (0, 0.5)}, InputError, "sequence_0 needs 4 edits .* edits=2"),
        ({"start": "GGGGGGGG", "positions": (0, 2), "gc": (0, 0.5)}, InputError, "whatever letters change"),
        ({"length": 8, "prior": object()}, InputError, "expected an object with log_likelihood"),
        ({"length": 8, "target": 5}, TargetError, "2 outputs, 0 to 1"),
        ({"length": 8, "target": None}, TargetError, "say which is meant"),
        ({"length": 8, "target": "CTCF"}, TargetError, "expected None, the index"),
        ({"length": 8, "target": lambda output: output}, TargetError, "expected one value"),
    ],
)  # fmt: skip
def test_wrong_questions_are_told(options, error, message):
    with pytest.raises(error, match=message):
        maximize(network(outputs=2), **{"target": 0, **options})


def test_a_model_of_another_length_is_told():
    fixed = nn.Sequential(nn.Flatten(), nn.Linear(40, 1))
    fixed.layout = "NCL"
    with pytest.raises(ModelError, match="does not take sequences of 9 letters"):
        maximize(fixed, length=9)
    assert len(maximize(fixed, restarts=1, steps=2)[0].sequence) == 10


def test_a_model_without_gradients_needs_search():
    def counts(x):
        return x.detach()[:, 2].sum(1)

    with pytest.raises(ModelError, match='method="search"'):
        maximize(counts, length=8, layout="NCL")
    assert maximize(counts, length=8, method="search", restarts=1, layout="NCL")[0].sequence == "GGGGGGGG"
