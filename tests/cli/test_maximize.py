"""Reference models of pictures, priors and maximisation from the command line."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from typer.testing import CliRunner

from sciexplain.cli import app

QUICK = ("--steps", "4", "--quiet")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A classifier and a prior of digits, as the commands train them."""
    path = tmp_path_factory.mktemp("models")
    for command, out in ((("images", "--width", "4"), "model"), (("prior", "images", "--width", "32"), "prior")):
        arguments = ["train", *command, "--data", "digits", "--out", str(path / out), "--epochs", "2", "--quiet"]
        assert CliRunner().invoke(app, arguments).exit_code == 0
    return path


@pytest.fixture
def trained(folder, models):
    """Both in the user's folder."""
    shutil.copytree(models, folder, dirs_exist_ok=True)
    return folder


def test_training_says_what_it_is_worth(trained, sciexplain):
    result = sciexplain("train", "images", "--data", "digits", "--out", "m", "--epochs", "1", "--quiet")
    info = json.loads((trained / "m" / "model.json").read_text())
    assert f"test accuracy {info['test']['accuracy']:.1%} (the most frequent class: 10.2%)" in result.stdout
    assert "1290 to learn from, 143 to choose by, 364 to test on" in result.stdout
    result = sciexplain("train", "prior", "images", "--data", "digits", "--out", "p", "--epochs", "1", "--quiet")
    info = json.loads((trained / "p" / "model.json").read_text())
    assert f"test reconstruction RMSE {info['test']['reconstruction RMSE']:.4g}" in result.stdout


def test_every_class(trained, sciexplain):
    result = sciexplain("maximize", "images", "--model", "model", "--prior", "prior", "--out", "found", *QUICK)
    assert result.exit_code == 0, result.output
    document = json.loads((trained / "found" / "maximized.json").read_text())
    tensors = load_file(trained / "found" / "inputs.safetensors")
    assert [row["target"] for row in document["results"]] == list("0123456789")
    for number, row in enumerate(document["results"]):
        assert tensors[f"{number}.inputs"].shape == (4, 1, 8, 8)
        assert tensors[f"{number}.codes"].shape == (4, 16)
        assert tensors[f"{number}.trace"].shape == (4, 4)
        assert row["total"] == sorted(row["total"], reverse=True)
        assert np.allclose(np.array(row["value"]) + row["log_density"], row["total"], atol=1e-4)
        assert f"{number}: {row['value'][0]:.3f}, probability {row['probability'][0]:.4f}" in result.stdout
        assert (row["prior"], row["penalties"]) == ("learned prior", [])
    assert document["prior"]["reference"] == "prior"
    assert Image.open(trained / "found" / "maximized.png").size[0] > 500


def test_some_classes_with_simple_priors(trained, sciexplain):
    options = ["--total-variation", "0.1", "--jitter", "1", "--restarts", "2", "--seed", "3"]
    result = sciexplain("maximize", "images", "--model", "model", "--target", "3,5", "--out", "a", *options, *QUICK)
    assert result.exit_code == 0, result.output
    document = json.loads((trained / "a" / "maximized.json").read_text())
    assert document["results"][0]["penalties"] == [
        "L2(weight=0.01, center=0.0)",
        "TotalVariation(weight=0.1, beta=1.0)",
    ]
    assert [row["target"] for row in document["results"]] == ["3", "5"]
    again = sciexplain("maximize", "images", "--model", "model", "--target", "3,5", "--out", "b", *options, *QUICK)
    assert again.exit_code == 0
    first, second = (load_file(trained / name / "inputs.safetensors") for name in "ab")
    assert all(np.array_equal(values, second[name]) for name, values in first.items())


def test_priors_side_by_side(trained, sciexplain):
    arguments = ["--model", "model", "--prior", "prior", "--target", "3,5", "--compare", "--out", "found"]
    result = sciexplain("maximize", "images", *arguments, *QUICK)
    assert result.exit_code == 0, result.output
    rows = json.loads((trained / "found" / "maximized.json").read_text())["results"]
    assert [(row["prior"], row["target"]) for row in rows] == [
        ("simple prior", "3"), ("simple prior", "5"), ("learned prior", "3"), ("learned prior", "5"),
    ]  # fmt: skip
    tensors = load_file(trained / "found" / "inputs.safetensors")
    assert {name for name in tensors if name.endswith("codes")} == {"2.codes", "3.codes"}
    assert f"learned prior: 5: {rows[3]['value'][0]:.3f}" in result.stdout


def test_a_users_model_and_its_channels(folder, sciexplain):
    arguments = ["--model", "network_of_cli_tests:make", "--shape", "3,8,8", "--layer", "0", "--channel", "2"]
    result = sciexplain("maximize", "images", *arguments, "--channel", "3", "--mean", "0.5", "--out", "found", *QUICK)
    assert result.exit_code == 0, result.output
    document = json.loads((folder / "found" / "maximized.json").read_text())
    assert [row["target"] for row in document["results"]] == ["0, channel 2", "0, channel 3"]
    assert document["results"][0]["probability"] is None
    inputs = load_file(folder / "found" / "inputs.safetensors")["0.inputs"]
    assert inputs.min() >= -0.5
    assert inputs.max() <= 0.5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "model", "--target", "77"], "target 77 is out of range: the model has 10 outputs"),
        (["--model", "model", "--target", "three"], "expected a class from 0 up"),
        (["--model", "model", "--target", ""], "expected a class from 0 up"),
        (["--model", "model", "--target", "3", "--shape", "1,5,5"], "does not take an input of shape 1,5,5"),
        (["--model", "network_of_cli_tests:fixed_size", "--shape", "3,9,9"], "does not take an input of shape 3,9,9"),
        (["--model", "model", "--mean", "0,1,2"], "--mean and --std name 3 channels; the model takes 1"),
        (["--model", "model", "--distance", "l2"], "--distance is of --counterfactual"),
        (["--model", "model", "--counterfactual", "a.png", "--jitter", "1"], "--jitter is of maximisation"),
        (["--model", "model", "--counterfactual", "a.png", "--target", "1,2"], "expected the class that"),
        (["--model", "model", "--counterfactual", "a.png"], "a.png: found no file"),
        (["--model", "model", "--counterfactual", " "], "names no picture"),
        (["--model", "model", "--counterfactual", "pictures/a.png", "--mean", "1,2"], "model takes (1, 8, 8)"),
        (["--model", "model", "--out", "network_of_cli_tests.py/x"], "network_of_cli_tests.py is a file"),
        (["--model", "model", "--layer", "0"], "--layer and --channel together"),
        (["--model", "model", "--layer", "0", "--channel", "1", "--target", "1"], "either --target 1 or --layer 0"),
        (["--model", "model", "--layer", "zz", "--channel", "1"], "layer 'zz': no module of that name"),
        (["--model", "model", "--prior", "model"], "holds a classifier"),
        (["--model", "model", "--compare"], "sets a --prior beside none"),
        (["--model", "prior"], "holds an autoencoder"),
        (["--model", "model", "--prior", "prior", "--shape", "1,28,28"], "the prior's pictures are (1, 8, 8)"),
        (["--model", "network_of_cli_tests:make"], "give --shape"),
        (["--model", "model", "--out", "pictures"], "pictures is not empty"),
    ],
)
def test_mistakes_are_one_line(trained, sciexplain, arguments, words):
    out = [] if "--out" in arguments else ["--out", "found"]
    result = sciexplain("maximize", "images", *arguments, *out, *QUICK)
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "images", "--data", "digits", "--seed", "-1"),
        ("train", "prior", "images", "--data", "digits", "--seed", "-1"),
        ("maximize", "images", "--model", "model", "--mean", "nan"),
        ("maximize", "images", "--model", "model", "--layer", "0", "--channel", "-1"),
    ],
)
def test_numbers_that_mean_nothing_are_usage(trained, sciexplain, arguments):
    result = sciexplain(*arguments, "--out", "found", "--quiet")
    assert result.exit_code == 2 and "Invalid value for" in result.stderr and not (trained / "found").exists()


def test_training_on_what_is_no_picture(folder, sciexplain):
    result = sciexplain("train", "images", "--data", "drugs", "--out", "m")
    assert result.exit_code == 2
    assert "drugs holds no pictures" in result.stderr


def test_results_are_replaced_when_asked(trained, sciexplain):
    arguments = ["maximize", "images", "--model", "model", "--target", "1", "--out", "found", *QUICK]
    assert [sciexplain(*arguments, *more).exit_code for more in ([], [], ["--overwrite"])] == [0, 2, 0]
