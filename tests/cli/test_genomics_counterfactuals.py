"""The fewest edits of sequences after which a model decides otherwise, from the command line."""

import json

import pytest
from PIL import Image

from sciexplain.domains import genomics

MODEL = """
import torch
from torch import nn

def counting():
    "G and C less A and T, and its opposite."
    network = nn.Sequential(nn.Conv1d(4, 1, 1, bias=False), nn.Flatten(), nn.Linear(11, 2, bias=False))
    network[0].weight.data.copy_(torch.tensor([-1.0, 1, 1, -1])[None, :, None])
    network[2].weight.data.copy_(torch.tensor([[0.5], [-0.5]]).expand(2, 11))
    network.length, network.tasks = 11, ("rich", "poor")
    return network

def single():
    network = counting()
    network[2].weight = nn.Parameter(network[2].weight[:1])
    return network
"""
SEQUENCES = {"three": "GCGCGCGCATA", "one": "GCTCATGCATG", "poor": "AATTAATTAGC"}


@pytest.fixture
def counting(tmp_path, monkeypatch):
    """A user's folder: models, and sequences that need 3, 1 and 4 edits."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "counting_of_tests.py").write_text(MODEL)
    (tmp_path / "s.fa").write_text("".join(f">{name}\n{text}\n" for name, text in SEQUENCES.items()))
    return tmp_path


def ask(function="counting"):
    model = f"counting_of_tests.py:{function}"
    return ("maximize", "genomics", "--model", model, "--counterfactual", "s.fa", "--quiet")


@pytest.mark.parametrize("function", ["counting", "single"])
def test_the_fewest_edits(counting, sciexplain, function):
    result = sciexplain(*ask(function), "--out", "found")
    assert result.exit_code == 0, result.output
    found = json.loads((counting / "found" / "designs.json").read_text())["counterfactuals"]
    written = {record.name: record.sequence for record in genomics.read("found/counterfactuals.fa")}
    assert [len(one["edits"]) for one in found] == [3, 1, 4]
    for one in found:
        changed = [i for i, (a, b) in enumerate(zip(one["start"], one["sequence"], strict=True)) if a != b]
        assert changed == [edit["position"] for edit in one["edits"]]
        assert one["start"] == SEQUENCES[one["name"]] and one["sequence"] == written[one["name"]]
        assert (one["after"][0] > 0) != (one["before"][0] > 0)
        assert one["class_before"] == (None if function == "single" else int(one["name"] == "poor"))
    assert "one: 1 edits (the fewest)" in result.stdout and "3 counterfactuals in found" in result.stdout
    assert Image.open(counting / "found" / "counterfactuals.png").size[1] > 600


def test_what_fails_is_told_and_the_rest_is_done(counting, sciexplain):
    with (counting / "s.fa").open("a") as file:
        file.write(">short\nACG\n")
    result = sciexplain(*ask(), "--target", "poor", "--edits", "2", "--out", "found")
    assert result.exit_code == 1, result.output
    content = json.loads((counting / "found" / "designs.json").read_text())
    assert [one["sequence"] is not None for one in content["counterfactuals"]] == [False, True]
    assert {entry["name"] for entry in content["failures"]} == {"poor", "s.fa:7"}
    assert "three: none found; it needs 3 edits or more" in result.stdout
    assert [record.name for record in genomics.read("found/counterfactuals.fa")] == ["one"]


def test_nothing_found_draws_nothing(counting, sciexplain):
    result = sciexplain(*ask("single"), "--threshold", "99", "--limit", "2", "--out", "found")
    assert result.exit_code == 1 and "0 counterfactuals in found" in result.stdout
    assert {path.name for path in (counting / "found").iterdir()} == {"counterfactuals.fa", "designs.json"}
