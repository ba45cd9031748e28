import re

import numpy as np
import pytest
import torch
from PIL import Image

import sciexplain as sx
from sciexplain import datasets
from sciexplain.cli.digits_network import train_network

# All in one worker, so that the network is trained once.
pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demonstration as it is, run once: the folder, and what it printed."""
    from typer.testing import CliRunner

    from sciexplain.cli import app

    out = tmp_path_factory.mktemp("demo") / "results"
    result = CliRunner().invoke(app, ["demo", "--out", str(out)])
    assert result.exit_code == 0, result.output
    return out, result.stdout


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


def test_recognises_more_than_97_percent_of_held_out_digits(demo):
    (percent,) = re.findall(r"([\d.]+)% of 364 held-out digits recognised", demo[1])
    assert float(percent) > 97


def test_explanations_account_for_every_logit(demo, digits):
    out, _ = demo
    own, other = sx.load(out / "explanations"), sx.load(out / "explanations_runner_up")
    assert tuple(own.relevance.shape) == (len(digits.test), 1, 8, 8)
    rows = torch.arange(len(digits.test))
    for e in (own, other):
        torch.testing.assert_close(e.score, e.output[rows, e.target])
        absorbed = sum(e.ledger.absorbed.values())
        torch.testing.assert_close(
            e.relevance.sum((1, 2, 3)).double() + absorbed, e.score.double(), rtol=1e-4, atol=1e-4
        )
    assert bool((own.score >= other.score).all())
    assert bool((own.target != other.target).all())


def test_table_agrees_with_the_explanations(demo, digits):
    out, printed = demo
    e = sx.load(out / "explanations")
    lines = re.findall(r"#(\d+) +(\d) +([\d.]+) +(\d) +\+([\d.]+) +-([\d.]+) +[+-][\d.]+e-\d+", printed)
    assert len(lines) == 8
    places = {int(index): place for place, index in enumerate(digits.test)}
    for index, prediction, probability, runner_up, speaks_for, against in lines:
        place = places[int(index)]
        order = e.output[place].argsort(descending=True)
        assert (int(prediction), int(runner_up)) == (int(order[0]), int(order[1]))
        assert float(probability) == pytest.approx(float(e.output[place].softmax(0).max()), abs=6e-4)
        assert float(speaks_for) == pytest.approx(float(e.relevance[place].clamp(min=0).sum()), abs=6e-4)
        assert float(against) == pytest.approx(-float(e.relevance[place].clamp(max=0).sum()), abs=6e-4)


def test_shows_digits_that_could_be_both_3_and_9(demo):
    assert len(re.findall(r"#\d+ +3 +[\d.]+ +9 |#\d+ +9 +[\d.]+ +3 ", demo[1])) >= 3


def test_picture_is_drawn(demo):
    with Image.open(demo[0] / "heatmaps.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape[0] > pixels.shape[1] > 500
    red, _, blue = np.moveaxis(pixels, -1, 0)
    assert (red - blue > 60).mean() > 0.01
    assert (blue - red > 60).mean() > 0.01


def test_training_is_the_same_for_the_same_seed_and_leaves_the_generator_alone(digits):
    images = torch.from_numpy(digits.images[:200, None])
    labels = torch.from_numpy(digits.labels[:200])
    before = torch.random.get_rng_state()
    done = []
    first, again, other = (
        train_network(images, labels, epochs=2, seed=seed, advance=lambda: done.append(1)).state_dict()
        for seed in (0, 0, 1)
    )
    assert len(done) == 6
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])
    assert torch.equal(torch.random.get_rng_state(), before)
