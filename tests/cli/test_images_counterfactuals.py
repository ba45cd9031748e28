"""The nearest pictures that a model decides otherwise about, from the command line."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from sciexplain.domains.images.models import load_model

MODEL = """
import torch
from torch import nn

def halves():
    "0 where the left half is lighter than the right one, 1 where it is darker."
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 2, bias=False))
    left = torch.tensor([1.0, 1, 1, -1, -1, -1]).repeat(6)
    network[1].weight.data.copy_(torch.stack([left, -left]))
    return network
"""
ASK = ("maximize", "images", "--model", "halves_of_tests.py:halves", "--steps", "60", "--quiet")


@pytest.fixture
def halves(tmp_path, monkeypatch):
    """A user's folder: a model, and pictures of 6 × 6 pixels with a lighter half."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "halves_of_tests.py").write_text(MODEL)
    pixels = np.full((2, 6, 6), 51, np.uint8)
    pixels[0, :, :3] = pixels[1, :, 3:] = 102
    for name, one in zip(("left.png", "right.png"), pixels, strict=True):
        Image.fromarray(one).save(name)
    np.savez("both.npz", images=pixels)
    return tmp_path


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_the_nearest_is_as_far_as_the_boundary(halves, sciexplain, distance):
    """Σ left − Σ right is 18 × 0.2 at first; it must become 0: by 3.6 in all, or 0.1 in each of 36 pixels."""
    pictures = [part for name in ("both.npz[1]", "left.png") for part in ("--counterfactual", name)]
    result = sciexplain(*ASK, *pictures, "--distance", distance, "--out", "found")
    assert result.exit_code == 0, result.output
    document = json.loads((halves / "found" / "maximized.json").read_text())
    for row, (name, own) in zip(document["counterfactuals"], (("both.npz[1]", 1), ("left.png", 0)), strict=True):
        assert (row["name"], row["prediction"], row["new_prediction"]) == (name, own, 1 - own)
        assert row["distance"] == pytest.approx({"l1": 3.6, "l2": 0.6}[distance], rel=0.05)
        assert row["margin"] == pytest.approx(-7.2, rel=1e-4) and row["new_margin"] > 0
        assert f"{name}: {own} becomes {1 - own}, {row['changed_pixels']} pixels changed" in result.stdout
    tensors = load_file(halves / "found" / "inputs.safetensors")
    with torch.no_grad():
        network = load_model("halves_of_tests.py:halves")
        assert network(torch.from_numpy(tensors["counterfactuals"])).argmax(1).tolist() == [0, 1]
    assert tensors["counterfactuals"].min() >= 0 and tensors["counterfactuals"].max() <= 1
    assert Image.open(halves / "found" / "counterfactuals.png").size[0] > 300
    assert document["failures"] == {} and document["options"]["counterfactual"] == ["both.npz[1]", "left.png"]


def test_what_fails_is_told_and_the_rest_is_done(halves, sciexplain):
    Image.new("L", (5, 3)).save("small.png")
    (halves / "broken.png").write_text("no picture")
    pictures = [part for name in ("small", "left", "broken", "right") for part in ("--counterfactual", f"{name}.png")]
    result = sciexplain(*ASK, *pictures, "--target", "1", "--out", "found")
    assert result.exit_code == 1, result.output
    document = json.loads((halves / "found" / "maximized.json").read_text())
    assert [row["name"] for row in document["counterfactuals"]] == ["left.png"]
    assert document["failures"]["right.png"] == "right.png: the model says 1 already".removeprefix("right.png: ")
    assert set(document["failures"]) == {"small.png", "broken.png", "right.png"}
    assert "failed small.png: the model does not take an input of shape 1,3,5" in result.stdout
    resized = sciexplain(*ASK, "--counterfactual", "small.png", "--shape", "1,6,6", "--out", "resized")
    assert resized.exit_code == 0, resized.output


def test_results_of_another_kind_do_not_stay(halves, sciexplain):
    maximized = sciexplain(*ASK, "--shape", "1,6,6", "--out", "found")
    assert maximized.exit_code == 0, maximized.output
    assert sciexplain(*ASK, "--counterfactual", "left.png", "--out", "found").exit_code == 2
    assert sciexplain(*ASK, "--counterfactual", "left.png", "--out", "found", "--overwrite").exit_code == 0
    names = {path.name for path in (halves / "found").iterdir()}
    assert names == {"counterfactuals.png", "maximized.json", "inputs.safetensors"}
