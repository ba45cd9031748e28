"""Reference models of sequences: they learn, they keep their units, they are the same after saving."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

import sciexplain as sx
from sciexplain.datasets import simulate_motifs
from sciexplain.domains.genomics import reverse_complement
from sciexplain.domains.genomics.reference import load, predict, save, train
from sciexplain.domains.genomics.reference.composition import composition
from sciexplain.domains.genomics.reference.fit import Examples
from sciexplain.domains.genomics.reference.losses import LOSSES
from sciexplain.domains.genomics.reference.train import question_of
from sciexplain.errors import DataError, InputError, ModelError

MOTIFS = {"AP1": "TGACTCA", "GATA": "AGATAAGG"}


@pytest.fixture(scope="module")
def data():
    return simulate_motifs(
        800, 60, motifs=MOTIFS, tasks={"AP1": ("AP1",), "GATA": ("GATA",)}, decoys=("shuffled",), seed=1
    )


@pytest.fixture(scope="module")
def easy():
    return simulate_motifs(1500, 60, motifs={"AP1": "TGACTCA"}, tasks={"AP1": ("AP1",)}, decoys=(), seed=1)


@pytest.fixture(scope="module")
def trained(data):
    return train(data, "small", epochs=25, channels=16, kernel=9, lr=5e-3, seed=3)


def test_it_learns_two_tasks_beyond_their_composition(trained):
    assert trained.question == "binary" and trained.test["AUROC"] > 0.95
    assert trained.baseline["AUROC"] == 0.5 and trained.composition["AUROC"] < 0.8
    assert len(trained.epochs) == trained.settings["epochs"] <= 25 and trained.seconds > 0
    assert trained.data["train"] + trained.data["valid"] + trained.data["test"] == 800


def test_the_same_seed_gives_the_same_model_and_leaves_the_generator_alone(data, trained):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    again = train(data, "small", epochs=3, channels=16, kernel=9, lr=5e-3, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    assert again.epochs == trained.epochs[:3]
    assert train(data, "small", epochs=1, channels=16, kernel=9, lr=5e-3, seed=4).epochs != again.epochs[:1]


def test_it_is_the_same_after_saving_and_explains(data, trained, tmp_path):
    network = load(save(trained, tmp_path / "model"))
    rows = data.records[:20]
    assert np.array_equal(predict(network, rows), predict(trained.model, rows))
    assert (network.length, network.tasks, network.layout, network.alphabet) == (60, ("AP1", "GATA"), "NCL", "DNA")
    assert network.info["test"] == trained.test and network.info["architecture"]["kernel"] == 9
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    copy.deepcopy(network)
    e = sx.explain(network, data.sequences(range(20)).inputs, 0)
    np.testing.assert_allclose(e.score, predict(network, rows)[:, 0], rtol=1e-5, atol=1e-6)


def test_relevance_lies_on_the_motif(data, trained):
    mask = data.truth_mask("AP1")
    rows = [i for i in data.test if mask[i].any()]
    box = sx.composites.get("epsilon_gamma_box", low=0.0, high=1.0)
    relevance = sx.explain(trained.model, data.sequences(rows).inputs, 0, composite=box).relevance.sum(1).numpy()
    inside = np.stack([mask[i] for i in rows])
    assert relevance[inside].mean() > 5 * np.abs(relevance[~inside]).mean()


def test_numbers_keep_their_units(data):
    counts = 300.0 + 40.0 * data.targets.sum(1, keepdims=True)
    counts[::7] = np.nan
    numbers = replace(data, targets=counts, tasks=("signal",))
    trained = train(numbers, "small", epochs=20, channels=16, kernel=9, lr=5e-3)
    assert trained.question == "regression"
    assert trained.test["RMSE"] < 0.7 * trained.baseline["RMSE"] and trained.test["Pearson"] > 0.7
    assert np.isnan(trained.baseline["Pearson"]) and trained.baseline["RMSE"] < 40
    assert 290 < predict(trained.model, data.records).mean() < 400


def test_one_of_several_classes(data):
    one = np.array([row in ([1, 0], [0, 1]) for row in data.targets.tolist()])
    rows = np.flatnonzero(one)
    place = np.full(len(data), -1)
    place[rows] = np.arange(len(rows))
    parts = {name: place[getattr(data, name)][one[getattr(data, name)]] for name in ("train", "valid", "test")}
    classes = replace(data, records=tuple(data.records[i] for i in rows), targets=data.targets[rows], **parts)
    trained = train(classes, "small", epochs=25, channels=16, kernel=9, lr=5e-3)
    assert trained.question == "classes" and trained.test["accuracy"] > 0.85 > trained.baseline["accuracy"]


@pytest.mark.parametrize("kind", ["basset", "deepsea", "danq", "bpnet", "enformer"])
def test_every_kind_learns_a_motif(easy, kind):
    trained = train(easy, kind, epochs=8, channels=16, kernel=9, lr=5e-3, dropout=0.1, seed=1)
    assert trained.test["AUROC"] > 0.9 > trained.composition["AUROC"] + 0.05


def test_profiles_are_learnt_where_they_lie(easy):
    reads = np.full((len(easy), 1, 60), 0.2, np.float32)
    for site in easy.truth:
        reads[site.row, 0, site.start + 3] += 20
    trained = train(easy, "bpnet", profiles=reads, epochs=15, channels=16, layers=2, kernel=9, lr=5e-3)
    assert trained.question == "profile" and trained.composition == {}
    assert trained.test["cross-entropy"] < 0.1 * trained.baseline["cross-entropy"] and trained.test["Pearson"] > 0.5
    found = predict(trained.model, easy.records).profile[:, 0].argmax(1).numpy() == reads[:, 0].argmax(1)
    assert found[easy.targets[:, 0] == 1].mean() > 0.9


def test_other_strands_are_shown_whole(data):
    x = data.sequences(range(50)).one_hot
    profile = torch.arange(60.0).expand(50, 1, 60)
    examples = Examples(x.bool(), profile, data.sequences([0]).alphabet)
    torch.manual_seed(0)
    shown, targets = examples.drawn(torch.arange(50))
    turned = targets[:, 0, 0] == 59
    assert 10 < turned.sum() < 40
    torch.testing.assert_close(shown, torch.where(turned[:, None, None], reverse_complement(x), x))
    assert torch.equal(examples.one_hot, x.bool()) and torch.equal(profile[0, 0], torch.arange(60.0))


def test_losses_leave_out_what_is_unknown():
    output, target = torch.randn(4, 2), torch.tensor([[0, 1], [float("nan"), 1], [1, 0], [1, float("nan")]])
    known = ~target.isnan()
    bce, count = LOSSES["binary"](output, target)
    p = output.sigmoid()
    expected = -(target * p.log() + (1 - target) * (1 - p).log())[known].sum()
    torch.testing.assert_close(bce, expected)
    assert count == 6 and LOSSES["regression"](output, target)[1] == 6


@pytest.mark.parametrize(
    ("targets", "question"),
    [
        ([[0], [1]], "binary"),
        ([[0, 1], [1, 0]], "classes"),
        ([[0, 1], [1, 1]], "binary"),
        ([[0, 1], [1, np.nan]], "binary"),
        ([[0.5], [1]], "regression"),
    ],
)
def test_what_targets_ask(targets, question):
    assert question_of(np.array(targets, np.float32)) == question


def test_composition_is_the_share_of_pairs(data):
    sequence = data.records[0].sequence
    pairs = [sequence[i : i + 2] for i in range(59)]
    expected = [pairs.count(a + b) / 59 for a in "ACGT" for b in "ACGT"]
    np.testing.assert_allclose(composition(data.sequences([0]).one_hot)[0], expected, rtol=1e-6)


def _with(data, **changes):
    return replace(data, **changes)


def test_a_part_with_one_class_alone_is_refused(data):
    negative = np.flatnonzero((data.targets == 0).all(1))[:20]
    with pytest.raises(DataError, match="no task with both classes in the test part"):
        train(replace(data, test=negative), epochs=1)


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        ({}, {"epochs": 0}, InputError, "expected numbers above 0"),
        ({}, {"lr": float("nan")}, InputError, "above 0"),
        ({}, {"question": "ranking"}, InputError, "expected binary, classes, regression"),
        ({}, {"kind": "transformer"}, ModelError, "expected small"),
        ({"valid": np.array([], np.int64)}, {}, DataError, "no sequences in the valid part"),
        ({"targets": np.ones((800, 2), np.float32)}, {}, DataError, "AP1 = 1; expected both classes"),
        ({"targets": np.full((800, 2), 2.5, np.float32)}, {}, DataError, "expected different values"),
        ({"targets": np.full((800, 2), np.nan, np.float32)}, {}, DataError, "no value of AP1"),
        ({"targets": np.zeros((799, 2), np.float32)}, {}, DataError, r"\(799, 2\); expected \(800, 2\)"),
        ({}, {"profiles": np.ones((800, 2, 59), np.float32)}, DataError, r"expected \(800, 2, 60\)"),
        ({}, {"profiles": np.ones((800, 2, 60), np.float32)}, ModelError, "bpnet does"),
        ({}, {"profiles": -np.ones((800, 2, 60), np.float32), "kind": "bpnet"}, DataError, "negative"),
        ({}, {"alphabet": "protein", "augment": True}, InputError, "no reverse complement"),
    ],
)
def test_what_is_wrong_is_said(data, change, options, error, message):
    with pytest.raises(error, match=message):
        train(_with(data, **change), **{"epochs": 1, **options})


def test_sequences_of_other_lengths_are_refused(data, trained):
    with pytest.raises(InputError):
        train(_with(data, records=(*data.records[:-1], replace(data.records[0], sequence="ACGT"))), epochs=1)
    with pytest.raises(InputError, match="61 letters; this model takes 60"):
        predict(trained.model, ["A" * 61])


def test_damaged_folders_are_refused(trained, tmp_path):
    with pytest.raises(ModelError, match=r"found no model\.json"):
        load(tmp_path)
    folder = save(trained, tmp_path / "model")
    text = (folder / "model.json").read_text()
    for broken, message in (
        (text[:-9], "cannot be read"),
        (text.replace('"domain": "genomics"', '"domain": "molecules"'), "of 'molecules'"),
        (text.replace('"channels": 16', '"channels": 17'), "does not hold this model's weights"),
        (text.replace('"GATA"', '"GATA", "third"'), "3 tasks for 2 outputs"),
        ("[]", "cannot be read"),
    ):
        (folder / "model.json").write_text(broken)
        with pytest.raises(ModelError, match=message):
            load(folder)
