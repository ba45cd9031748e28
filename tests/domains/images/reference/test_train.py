"""The reference models: honest figures, the same again from the same seed, the same after a folder."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from sciexplain import datasets
from sciexplain.datasets import LabelledImages
from sciexplain.domains.images import reference
from sciexplain.domains.images.models import load_model, load_prior
from sciexplain.errors import DataError, InputError, ModelError

DIGITS = datasets.load("digits")


@pytest.fixture(scope="module")
def classifier():
    return reference.train(DIGITS, "digits", epochs=6, width=8)


@pytest.fixture(scope="module")
def prior():
    return reference.train_prior(DIGITS, "digits", epochs=20, width=64, code=6, lr=3e-3)


def test_the_accuracy_is_that_on_the_test_part(classifier):
    (_, _, test), _ = reference.divided(DIGITS)
    assert np.array_equal(test, DIGITS.test)
    logits = classifier.model(torch.from_numpy(DIGITS.images[test])[:, None])
    right = (logits.argmax(1).numpy() == DIGITS.labels[test]).mean()
    assert classifier.test["accuracy"] == pytest.approx(right)
    assert right > 0.8
    assert classifier.baseline["accuracy"] < 0.12
    assert classifier.labels == tuple("0123456789")


def test_the_bound_is_that_of_kingma_and_welling(prior):
    """−ELBO with one draw, from torch's own distributions."""
    network = prior.model
    x = torch.from_numpy(DIGITS.images[:20])[:, None].round()  # a Bernoulli likelihood proper has 0 and 1
    noise = torch.randn(20, 6)
    mean, log_variance = network.posterior(x)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    divergence = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1)
    codes = mean + posterior.scale * noise
    likelihood = torch.distributions.Bernoulli(network.decode(codes)).log_prob(x).flatten(1).sum(1)
    assert torch.allclose(network.negative_bound(x, noise), divergence - likelihood, rtol=1e-4)


def test_a_prior_is_better_than_the_mean_picture(prior):
    assert prior.test["reconstruction RMSE"] < 0.95 * prior.baseline["reconstruction RMSE"]
    assert prior.test["negative log-likelihood bound"] < prior.baseline["negative log-likelihood bound"]
    assert prior.epochs[-1].valid_loss < prior.epochs[0].valid_loss
    codes = torch.randn(4, 6)
    made = prior.model.decode(codes)
    assert made.shape == (4, 1, 8, 8)
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1
    assert torch.allclose(prior.model.log_density(codes), torch.distributions.Normal(0.0, 1.0).log_prob(codes).sum(1))


@pytest.mark.parametrize("train", [reference.train, reference.train_prior])
def test_a_seed_gives_one_model(train):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (train(DIGITS, epochs=1, width=4, seed=seed).model.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(v, again[k]) for k, v in first.items())
    assert not all(torch.equal(v, other[k]) for k, v in first.items())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_test_part_alone_is_divided():
    alone = replace(DIGITS, train=np.arange(0))
    (train, valid, test), how = reference.divided(alone)
    assert sorted([*train, *valid, *test]) == sorted(DIGITS.test)
    assert [len(train), len(valid)] == [291, 36]
    assert how == "the published test part alone, divided 8 : 1 : 1 at random, seed 0"
    trained = reference.train(alone, epochs=1, width=2)
    assert trained.data["split"] == how
    assert trained.data["test"] == len(test)


def test_folders(classifier, prior, tmp_path):
    pictures = torch.from_numpy(DIGITS.images[:5])[:, None]
    model = load_model(reference.save(classifier, tmp_path / "model"))
    assert torch.equal(model(pictures), classifier.model(pictures))
    assert (model.shape, model.labels) == ((1, 8, 8), tuple("0123456789"))
    assert model.info["test"] == classifier.test
    assert not model.training
    loaded = load_prior(reference.save(prior, tmp_path / "prior"))
    assert torch.equal(loaded(pictures), prior.model(pictures))
    assert loaded.code_shape == (6,)
    written = json.loads((tmp_path / "prior" / "model.json").read_text())
    assert written["data"]["split"].startswith("given; a tenth of the training part")


def test_the_wrong_folder(classifier, prior, tmp_path):
    model, learned = reference.save(classifier, tmp_path / "model"), reference.save(prior, tmp_path / "prior")
    with pytest.raises(ModelError, match=r"holds a classifier; .*train prior images"):
        load_prior(model)
    with pytest.raises(ModelError, match=r"holds an autoencoder; .*train images"):
        load_model(learned)
    with pytest.raises(ModelError, match="its own weights"):
        load_model(model, "weights.safetensors")
    with pytest.raises(ModelError, match=r"no model\.json"):
        load_model(tmp_path)
    (model / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="does not hold this model's weights"):
        load_model(model)
    (learned / "model.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        load_prior(learned)
    info = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(info | {"format": 9}))
    with pytest.raises(ModelError, match="format 9 of 'images'"):
        load_model(model)


def test_models_by_function(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net_of_image_models_test.py").write_text("import torch\ndef make(): return torch.nn.Linear(2, 2)\n")
    assert isinstance(load_model("net_of_image_models_test:make"), torch.nn.Linear)
    with pytest.raises(ModelError, match="MODULE:FUNCTION"):
        load_model("nothing")


@pytest.mark.parametrize(
    ("options", "words"), [({"epochs": 0}, "epochs=0"), ({"lr": 0.0}, "lr=0"), ({"batch_size": 0}, "batch_size=0")]
)
def test_settings_out_of_range(options, words):
    with pytest.raises(InputError, match=words):
        reference.train(DIGITS, **options)


def test_pictures_too_small_or_too_few():
    tiny = LabelledImages(np.zeros((9, 3, 3), np.float32), np.zeros(9, np.int64), ("a",), np.arange(9), np.arange(0))
    with pytest.raises(ModelError, match="from 4 × 4 up"):
        reference.train(tiny)
    with pytest.raises(DataError, match="no pictures in the validation part"):
        reference.train_prior(replace(tiny, train=np.arange(2)))
