"""The same numbers as Quantus 0.6 where Quantus follows the paper."""

import numpy as np
import pytest
import torch
from _peers import torchvision
from torch import nn

import sciexplain as sx
from sciexplain import evaluate
from sciexplain.compat.quantus import explain_func
from sciexplain.evaluate import Inpaint

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def quantus():
    torchvision()  # Quantus imports it where it is installed
    return pytest.importorskip("quantus")


def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(100, 10)).eval()


MODEL = network()
X = torch.rand(6, 1, 12, 12, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([3, 1, 4, 1, 5, 9])
RELEVANCE = sx.explain(MODEL, X, Y, composite="epsilon_plus").relevance
NO_TIES = RELEVANCE + 1e-3 * torch.rand(RELEVANCE.shape, generator=torch.Generator().manual_seed(1))
PLAIN = {"abs": False, "normalise": False, "disable_warnings": True}
DATA = {"x_batch": X.numpy(), "y_batch": Y.numpy(), "a_batch": RELEVANCE.numpy()}


@pytest.mark.parametrize("step", [1, 12])
def test_pixel_flipping(quantus, step):
    expected = quantus.PixelFlipping(features_in_step=step, perturb_baseline=0.0, **PLAIN)(
        MODEL, **DATA | {"a_batch": NO_TIES.numpy()}
    )
    found = evaluate.pixel_flipping(MODEL, X, NO_TIES, Y, filler="zero", steps=144 // step, output="probability")
    np.testing.assert_allclose(found.scores[:, 1:], expected, rtol=1e-4, atol=1e-6)


def test_pixel_flipping_on_digits(quantus, shared_data):
    digits = np.load(shared_data("images/mnist_test_10k.npz"))
    x, y = (
        torch.from_numpy(digits["images"][:20])[:, None].float() / 255,
        torch.from_numpy(digits["labels"][:20]).long(),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 4, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(576, 10)).eval()
    e = sx.explain(model, x, y)
    metric = quantus.PixelFlipping(features_in_step=28, perturb_baseline=0.0, **PLAIN)
    expected = metric(model, x.numpy(), y.numpy(), a_batch=e.relevance.numpy())
    found = evaluate.pixel_flipping(model, x, e, filler="zero", steps=28, output="probability")
    np.testing.assert_allclose(found.scores[:, 1:], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("order, name", [("most", "morf"), ("least", "lerf")])
def test_region_perturbation(quantus, order, name):
    metric = quantus.RegionPerturbation(patch_size=4, regions_evaluation=7, order=name, perturb_baseline=0.0, **PLAIN)
    expected = np.array(metric(MODEL, **DATA))  # f(x) - f(x_k), without the step 0
    found = evaluate.region_perturbation(
        MODEL, X, RELEVANCE, Y, size=4, regions=7, order=order, filler="zero", output="probability"
    )
    np.testing.assert_allclose(found.scores[:, :1] - found.scores[:, 1:], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.aopc, expected.sum(1) / 8, rtol=1e-4, atol=1e-6)


def test_road(quantus):
    metric = quantus.ROAD(percentages=[25, 50, 75], noise=0.0, **PLAIN)
    expected = metric(MODEL, **DATA)
    found = evaluate.road(MODEL, X, RELEVANCE, Y, fractions=[0.25, 0.5, 0.75], noise=0)
    np.testing.assert_allclose(found.mean[1:], list(expected.values()))


def test_noisy_linear_imputation(quantus):
    removed = torch.rand(6, 144, generator=torch.Generator().manual_seed(1)) < 0.6
    removal = evaluate.TensorRemoval(MODEL, X, Y, filler=Inpaint(0, tolerance=1e-9))
    found = removal.changed(torch.arange(6), ~removed)
    for image, gone, ours in zip(X.numpy(), removed, found, strict=True):
        theirs = quantus.functions.perturb_func.noisy_linear_imputation(
            image, gone.nonzero().flatten().numpy(), noise=0.0
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_localisation(quantus, monkeypatch):
    masks = torch.rand(6, 1, 12, 12, generator=torch.Generator().manual_seed(2)) < 0.3
    positive = RELEVANCE.clamp(min=0)
    found = evaluate.localization(positive, masks, k=20)
    data = {"x_batch": X.numpy(), "y_batch": Y.numpy(), "a_batch": positive.numpy(), "s_batch": masks.numpy()}
    for metric, ours in (
        (quantus.PointingGame(**PLAIN), found.pointing),
        (quantus.RelevanceMassAccuracy(**PLAIN), found.mass),
        (quantus.RelevanceRankAccuracy(**PLAIN), found.rank),
        (quantus.TopKIntersection(k=20, **PLAIN), found.top),
        (quantus.AUC(**PLAIN), found.auc),
    ):
        np.testing.assert_allclose(ours, np.array(metric(MODEL, **data), dtype=float), rtol=1e-5)


def test_faithfulness_correlation_of_the_same_sets(quantus):
    """Quantus draws its sets from NumPy's global generator; ours are handed to it."""
    sets: list[np.ndarray] = []

    class Recorded:
        def __init__(self, removal):
            self.removal, self.sizes = removal, removal.sizes

        def scores(self, samples, kept):
            found = torch.stack(list(kept))
            if not found.all():
                sets.append(found)
            return self.removal.scores(samples, kept)

    removal = evaluate.TensorRemoval(MODEL, X, Y, filler="zero", output="probability")
    found = evaluate.subset_correlation(Recorded(removal), removal.fold(RELEVANCE), size=30, subsets=25)
    drawn = iter([(~sets[i][run]).nonzero().flatten().numpy() for run in range(25) for i in range(6)])
    metric = quantus.FaithfulnessCorrelation(
        subset_size=30, nr_runs=25, perturb_baseline=0.0, return_aggregate=False, **PLAIN
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.random, "choice", lambda *_, **__: next(drawn))
        expected = metric(MODEL, softmax=True, **DATA)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_max_sensitivity_of_the_same_neighbours(quantus):
    near = []

    def explain(model, inputs, target):
        near.append(inputs)
        return sx.explain(model, inputs, target, composite="epsilon_plus")

    found = {
        "MaxSensitivity": evaluate.max_sensitivity(MODEL, X, Y, radius=0.1, draws=4, explain=explain),
        "AvgSensitivity": evaluate.avg_sensitivity(MODEL, X, Y, radius=0.1, draws=4, explain=explain),
    }
    for name, ours in found.items():
        noisy = iter([y.flatten(1).numpy() for y in near[1:5]])
        metric = getattr(quantus, name)(nr_samples=4, perturb_func=lambda arr, noisy=noisy, **_: next(noisy), **PLAIN)
        expected = metric(MODEL, **DATA, explain_func=explain_func, explain_func_kwargs={"composite": "epsilon_plus"})
        np.testing.assert_allclose(ours, expected, rtol=1e-3)


def test_randomised_parameters(quantus, monkeypatch):
    """Quantus is given our random networks; its own reset the same layers."""
    from quantus.helpers.model.pytorch_model import PyTorchModel

    from sciexplain.inputs import Inputs

    options = {"explain_func": explain_func, "explain_func_kwargs": {"composite": "epsilon_plus"}}
    own = [name for name, _ in PyTorchModel(MODEL, channel_first=True).get_random_layer_generator()]
    found = evaluate.sanity(MODEL, X, Y, composite="epsilon_plus", absolute=True)
    assert list(found.layers) == own
    monkeypatch.setattr(
        PyTorchModel, "get_random_layer_generator", lambda *_, **__: evaluate.randomized(MODEL, Inputs.of(X))
    )
    data = {"x_batch": DATA["x_batch"], "y_batch": DATA["y_batch"]}
    metric = quantus.MPRT(abs=True, normalise=False, disable_warnings=True, layer_order="top_down")
    scores = metric(MODEL, **data, **options)
    for k, name in enumerate(own):
        np.testing.assert_allclose(found.similarity[k], scores[name], rtol=1e-3, atol=1e-3)
    signed = evaluate.sanity(MODEL, X, Y, composite="epsilon_plus", efficient=True)
    rise = quantus.EfficientMPRT(disable_warnings=True)(MODEL, **data, **options)
    np.testing.assert_allclose(signed.rise, rise, rtol=0.02, atol=0.01)
