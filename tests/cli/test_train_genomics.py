"""Training on sequences from the command line, as a biologist would."""

import json

import numpy as np
import pytest

from sciexplain.domains.genomics import reference

MOTIF = "TGACTCA"


def _sequences(n, seed, motif=None):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        letters = "".join(rng.choice(list("ACGT"), 40))
        place = rng.integers(0, 40 - len(MOTIF))
        found.append(letters if motif is None else letters[:place] + motif + letters[place + len(motif) :])
    return found


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A user's folder: peaks of two factors on four chromosomes, a genome with peaks on it, a table of values."""
    monkeypatch.chdir(tmp_path)
    yes, no = _sequences(120, 0, MOTIF), _sequences(120, 1)
    for name, sequences in (("jun.fa", yes), ("other.fa", no)):
        entries = [f">chr{i % 4 + 1}:{100 * i}-{100 * i + 40}\n{s}\n" for i, s in enumerate(sequences)]
        (tmp_path / name).write_text("".join(entries))
    rows = [f"s{i},{s},{float(s in yes)},{s.count('G')}" for i, s in enumerate([*yes, *no])]
    bad = ["gap,ACGTACGTACGTACGTACGTACGTACGTACGTACGTACGT,,", "odd,ACGTACGTACGTACGTACGTACGTACGTACGTACGTACG!,1,1"]
    (tmp_path / "mine.csv").write_text("\n".join(["name,sequence,bound,g", *rows, *bad]))
    genome = {f"chr{c}": "".join(yes[c * 30 : c * 30 + 30]) for c in range(4)}
    (tmp_path / "genome.fa").write_text("".join(f">{c}\n{s}\n" for c, s in genome.items()))
    beds = [f"{c}\t{i * 40 + 10}\t{i * 40 + 30}\tpeak{i}\n" for c in genome for i in range(1, 29)]
    (tmp_path / "peaks.bed").write_text("".join(beds) + "chr9\t0\t40\tlost\n")
    return tmp_path


QUICK = ("--epochs", "2", "--channels", "8", "--kernel", "9", "--quiet")


@pytest.mark.parametrize(
    ("arguments", "tasks", "question", "split"),
    [
        (["--data", "jun.fa", "--data", "other.fa"], ["jun", "other"], "classes", "by chromosome"),
        (["--positive", "jun.fa", "--negative", "other.fa"], ["jun"], "binary", "by chromosome"),
        (["--positive", "jun.fa", "--negatives", "shuffled", "--split", "random"], ["jun"], "binary", "random"),
        (["--data", "jun.fa", "--negatives", "shuffled", "--model", "bpnet"], ["jun"], "binary", "by chromosome"),
        (["--data", "mine.csv", "--target", "bound"], ["bound"], "binary", "random"),
        (["--data", "mine.csv", "--target", "bound", "--target", "g"], ["bound", "g"], "regression", "random"),
        (
            ["--positive", "peaks.bed", "--genome", "genome.fa", "--length", "40", "--negatives", "shuffled"],
            ["peaks"], "binary", "by chromosome",
        ),
    ],
)  # fmt: skip
def test_whatever_a_biologist_has(files, sciexplain, arguments, tasks, question, split):
    result = sciexplain("train", "genomics", *arguments, "--out", "model", *QUICK)
    assert result.exit_code == 0, result.output
    info = json.loads((files / "model" / "model.json").read_text())
    assert (info["tasks"], info["question"]) == (tasks, question) and info["data"]["split"].startswith(split)
    network = reference.load("model")
    assert network.length == 40 and reference.predict(network, ["ACGT" * 10]).shape == (1, len(tasks))
    name, value = next(iter(info["test"].items()))
    beside = f"(by composition alone {info['composition'][name]:.3f}, predicting the mean"
    assert f"test {name} {value:.3f} {beside}" in result.output
    assert f"{info['data']['train']} to learn from" in result.output
    if "mine.csv" in arguments:
        assert "left out mine.csv:243: odd has '!' at position 39" in result.output
        assert "left out gap: found no value" in result.output
    if "peaks.bed" in arguments:
        assert "left out peaks.bed:113" in result.output


def test_a_motif_is_learnt_to_the_figure_that_is_printed(files, sciexplain):
    result = sciexplain(
        "train", "genomics", "--data", "jun.fa", "--data", "other.fa", "--out", "model", "--epochs", "40",
        "--channels", "16", "--kernel", "9", "--lr", "0.005", "--batch-size", "16", "--quiet",
    )  # fmt: skip
    assert result.exit_code == 0 and json.loads((files / "model" / "model.json").read_text())["test"]["AUROC"] > 0.85


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --data, or --positive"),
        (["--data", "jun.fa"], "jun.fa is one class"),
        (["--positive", "jun.fa"], "jun.fa is one class"),
        (["--data", "jun.fa", "--positive", "other.fa"], "give either --data, or --positive"),
        (["--positive", "jun.fa", "--negative", "other.fa", "--negatives", "shuffled"], "either --negative or"),
        (["--data", "mine.csv", "--target", "mass"], "expected one called 'mass'"),
        (["--data", "mine.csv", "--target", "g", "--sequence", "dna"], "expected one called 'dna'"),
        (["--data", "jun.fa", "--data", "other.fa", "--target", "g"], "a column of one table"),
        (["--data", "none.fa"], "there is no file none.fa"),
        (["--data", "jun.fa", "--data", "none.fa"], "there is no file none.fa"),
        (["--data", "digits"], "digits holds no sequences"),
        (["--data", "simulated-motif", "--target", "MYC"], "it has CTCF"),
        (["--data", "unheard"], "no data set is named 'unheard'"),
        (["--positive", "peaks.bed", "--negatives", "shuffled"], "give the genome"),
        (["--data", "jun.fa", "--data", "other.fa", "--length", "41"], "found 0 usable sequences"),
        (["--data", "jun.fa", "--data", "other.fa", "--model", "basset"], "basset needs 48 or more"),
        (["--data", "mine.csv", "--target", "g", "--split", "chromosome"], "--split random"),
    ],
)
def test_wrong_training_is_one_line(files, sciexplain, arguments, message):
    result = sciexplain("train", "genomics", "--out", "model", "--quiet", *arguments)
    assert result.exit_code == 2 and not (files / "model").exists()
    assert message in " ".join(result.output.split()) and len(result.output.splitlines()) == 1


def test_a_model_is_not_overwritten_unasked(files, sciexplain):
    arguments = ("train", "genomics", "--data", "jun.fa", "--data", "other.fa", "--out", "model", *QUICK)
    assert sciexplain(*arguments).exit_code == 0
    result = sciexplain(*arguments)
    assert result.exit_code == 2 and "--overwrite" in result.output
    assert sciexplain(*arguments, "--overwrite").exit_code == 0
