"""A prior, and maximised sequences, from the command line."""

import json

import numpy as np
import pytest

from sciexplain.domains import genomics
from sciexplain.domains.genomics.reference.prior_training import load_prior

MOTIF = "TGACTCAGC"


def _write(path, n, seed, motif=None):
    rng = np.random.default_rng(seed)
    entries = []
    for i in range(n):
        letters = "".join(rng.choice(list("ACGT"), 40))
        place = rng.integers(0, 31)
        letters = letters if motif is None else letters[:place] + motif + letters[place + 9 :]
        entries.append(f">{path.stem}{i}\n{letters}\n")
    path.write_text("".join(entries))


NETWORK = """
import torch
from torch import nn
from sciexplain.domains.genomics import encode, reverse_complement

def make():
    network = nn.Sequential(
        nn.Conv1d(4, 2, 9, bias=False), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(2, 2, bias=False)
    )
    word = encode("TGACTCAGC")
    network[0].weight.data.copy_(torch.cat([word, reverse_complement(word)]))
    network[4].weight.data.copy_(torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
    network.length, network.tasks = 40, ("no", "jun")
    return network
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A user's folder: a model of JUN, its peaks, other sequences, and motifs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jun_model.py").write_text(NETWORK)
    _write(tmp_path / "jun.fa", 200, 0, MOTIF)
    _write(tmp_path / "other.fa", 3, 1)
    (tmp_path / "mixed.fa").write_text((tmp_path / "other.fa").read_text() + f">rich\n{'GC' * 20}\n>short\nACGT\n")
    rng = np.random.default_rng(0)
    others = [genomics.Motif(f"other{i}", rng.dirichlet(np.ones(4), 8)) for i in range(55)]
    known = 0.88 * genomics.encode(MOTIF)[0].t().double().numpy() + 0.03
    genomics.write_meme("known.meme", [genomics.Motif("AP1", known), *others])
    return tmp_path


ASK = ("maximize", "genomics", "--model", "jun_model:make", "--target", "jun", "--steps", "20", "--quiet")


def _train(sciexplain):
    return sciexplain(
        "train", "prior", "genomics", "--data", "jun.fa", "--out", "prior", "--sites", "2", "--width", "9",
        "--backgrounds", "1", "--epochs", "6", "--lr", "0.05", "--quiet",
    )  # fmt: skip


def test_a_prior_is_trained_and_says_what_it_is_worth(files, sciexplain):
    result = _train(sciexplain)
    assert result.exit_code == 0, result.output
    info = json.loads((files / "prior" / "prior.json").read_text())
    prior = load_prior("prior")
    figures = info["log_density_per_letter"]
    for name in ("prior", "Markov, order 3", "Markov, order 0"):
        assert f"{name} {figures[name]:.4f}" in result.output
    assert figures["prior"] > figures["Markov, order 3"] and prior.length == 40
    assert info["data"]["files"]["path"] == "jun.fa"
    assert "160 to learn from, 20 to choose by, 20 to test on" in result.output
    again = _train(sciexplain)
    assert again.exit_code == 2 and "--overwrite" in again.output


def test_from_scratch_beside_a_prior(files, sciexplain):
    assert _train(sciexplain).exit_code == 0
    result = sciexplain(
        *ASK, "--restarts", "2", "--prior", "prior", "--motifs", "known.meme", "--gc", "0.4,0.6",
        "--forbid", "GAATTC,GGNCC", "--out", "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    content = json.loads((files / "out" / "designs.json").read_text())
    records = list(genomics.read("out/designs.fa"))
    assert [d["sequence"] for d in content["designs"]] == [r.sequence for r in records] and len(records) == 2
    for design in content["designs"]:
        assert 0.4 <= design["gc"] <= 0.6 and design["log_density"] < 0 and "GAATTC" not in design["sequence"]
        assert MOTIF in design["sequence"] or "GCTGAGTCA" in design["sequence"]
        assert content["known_sites"][design["name"]][0]["motif"] == "AP1"
    assert content["shared_site"]["match"]["motif"] == "AP1" and content["options"]["gc"] == [0.4, 0.6]
    simple = json.loads((files / "out" / "simple.json").read_text())
    assert len(simple["designs"]) == 2 and simple["typical_log_density"] == content["typical_log_density"]
    assert (files / "out" / "designs.png").stat().st_size > 10_000
    for line in ("learned prior: mean prediction", "simple prior: any letters: mean", "real sequences: log-density"):
        assert line in result.output


def test_edits_of_real_sequences(files, sciexplain):
    result = sciexplain(*ASK, "--start", "mixed.fa", "--edits", "4", "--gc", "0,0.7", "--out", "out")
    assert result.exit_code == 1, result.output
    content = json.loads((files / "out" / "designs.json").read_text())
    given = {r.name: r.sequence for r in genomics.read("other.fa")}
    assert {d["name"] for d in content["designs"]} == set(given)
    for design in content["designs"]:
        changed = [i for i, (a, b) in enumerate(zip(given[design["name"]], design["sequence"], strict=True)) if a != b]
        assert changed == [edit["position"] for edit in design["edits"]] and len(changed) <= 4
        assert design["prediction"] > design["before"] and design["gc"] <= 0.7
    assert [failure["name"] for failure in content["failures"]] == ["mixed.fa:9", "rich"]
    assert "failed rich: rich needs 12 edits to keep to gc=(0.0, 0.7); edits=4 allows fewer" in result.output


def test_the_same_seed_gives_the_same_file(files, sciexplain):
    for out in ("a", "b"):
        assert sciexplain(*ASK, "--restarts", "1", "--out", out, "--method", "search").exit_code == 0
    assert (files / "a" / "designs.fa").read_bytes() == (files / "b" / "designs.fa").read_bytes()
    assert sciexplain(*ASK, "--restarts", "1", "--out", "a", "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "ctcf"], "expected an index from 0 up, or no, jun"),
        (["--target", "7"], "2 outputs, 0 to 1"),
        (["--gc", "0.5"], "expected two numbers, low,high"),
        (["--gc", "0.6,0.4"], "least and the greatest share"),
        (["--forbid", "GA!"], "expected letters of ACGT"),
        (["--edits", "3"], "edits without start"),
        (["--limit", "3"], "--limit is of the sequences of --start or"),
        (["--start", "other.fa", "--length", "40"], "length and start are both given"),
        (["--start", "other.fa", "--edits", "0", "--gc", "0.9,1"], "needs"),
        (["--threshold", "1"], "--threshold is of --counterfactual"),
        (["--counterfactual", "other.fa", "--prior", "nowhere"], "--prior is of maximisation"),
        (["--counterfactual", "other.fa", "--threshold", "nan"], "--threshold nan: expected a number"),
        (["--counterfactual", "known.meme"], "known.meme"),
        (["--seed", "-1"], "greater than or equal to 0"),
        (["--prior", "nowhere"], "found no prior.json"),
        (["--length", "5"], "sequences of 5 letters in neither layout"),
        (["--out", "jun.fa"], "jun.fa is a file"),
        (["--out", "."], "is not empty"),
    ],
)
def test_wrong_use_is_told_and_nothing_is_made(files, sciexplain, arguments, message):
    result = sciexplain(*ASK, "--out", "out", *arguments)
    assert result.exit_code == 2 and message in " ".join(result.output.split()), result.output
    assert not (files / "out").exists()
