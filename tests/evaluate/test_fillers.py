"""What stands where a part was: values against their definitions."""

import itertools

import numpy as np
import pytest
import torch
from rule_tester import sample
from scipy.ndimage import gaussian_filter

import sciexplain as sx
from sciexplain.evaluate import Blur, Constant, Inpaint, Mean, Resample, TensorRemoval, Uniform
from sciexplain.evaluate.inpainting import imputed

X = sample(3, 2, 5, 6)
TABLE = sample(4, 3)


def filled(filler, x=X, seed=0, kept=None):
    """The samples with everything (or what is not kept) taken away."""
    removal = TensorRemoval(lambda rows: rows.flatten(1).double(), x, 0, filler=filler, seed=seed)
    kept = torch.zeros(len(x), removal.sizes[0], dtype=torch.bool) if kept is None else kept
    return removal.changed(torch.arange(len(x)), kept)


def test_mean():
    torch.testing.assert_close(filled("mean"), X.mean((2, 3), keepdim=True).expand_as(X))
    torch.testing.assert_close(filled("mean", TABLE), TABLE.mean(0, keepdim=True).expand_as(TABLE))
    torch.testing.assert_close(filled(Mean(X[1:])), X[1:].mean((0, 2, 3), keepdim=True).expand_as(X))
    torch.testing.assert_close(filled(Mean(TABLE), TABLE[:1]), TABLE.mean(0, keepdim=True))


def test_constants():
    for filler in ("zero", 0, 0.0, Constant()):
        assert not filled(filler).any()
    assert torch.equal(filled(0.1), torch.full_like(X, 0.1))
    assert torch.equal(filled(X[:1] + 1), (X[:1] + 1).expand_as(X))
    assert torch.equal(filled(X + 1), X + 1)


def test_blur_is_a_gaussian_normalised_at_the_borders():
    found = filled(Blur(1.3))
    for image, blurred in zip(X.flatten(0, 1).numpy(), found.flatten(0, 1).numpy(), strict=True):
        weights = gaussian_filter(np.ones_like(image), 1.3, mode="constant", truncate=20)
        expected = gaussian_filter(image, 1.3, mode="constant", truncate=20) / weights
        np.testing.assert_allclose(blurred, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(filled("blur"), filled(Blur(6 / 16)))
    torch.testing.assert_close(filled("blur", torch.ones(1, 4, 20).double()), torch.ones(1, 4, 20).double())


def test_uniform_stays_in_the_range_and_does_not_change_between_steps():
    x = torch.cat([X, 10 * X + 5])
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    found = filled("uniform", x)
    assert bool(((found >= low) & (found <= high)).all())
    assert torch.equal(found, filled("uniform", x)) and not torch.equal(found, filled("uniform", x, seed=1))
    assert torch.equal(found[:3], filled("uniform"))  # a sample's draw does not depend on the others
    kept = torch.rand(6, 30) < 0.5
    some = filled("uniform", x, kept=kept)
    assert torch.equal(some, torch.where(kept.view(6, 1, 5, 6), x, found))
    many = filled(Uniform(-2, 3), torch.zeros(1, 1, 300, 300).double())
    assert float(many.mean()) == pytest.approx(0.5, abs=0.02) and float(many.std()) == pytest.approx(
        5 / 12**0.5, abs=0.02
    )


def test_resample_takes_another_sample():
    found = filled("resample")
    for i in range(3):
        assert any(torch.equal(found[i], X[j]) for j in range(3) if j != i)
    background = sample(50, 2, 5, 6, seed=9)
    donors = filled(Resample(background), X[:1].expand(200, -1, -1, -1))
    assert len({tuple(d.flatten().tolist()) for d in donors} & {tuple(b.flatten().tolist()) for b in background}) > 40
    with pytest.raises(sx.InputError, match="one only"):
        filled("resample", X[:1])


def test_one_hot_gets_another_letter_by_frequency():
    letters = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2, 3]).repeat(400)[None]
    x = torch.nn.functional.one_hot(letters, 4).movedim(-1, 1).double()
    x[:, :, -1] = 0  # no letter here
    found = filled("resample", x)
    assert bool((found.sum(1)[:, :-1] == 1).all()) and not (found * x).any() and not found[..., -1].any()
    of_a = found[0, :, :-1][:, (letters[0] == 0)[:-1]].mean(1)
    torch.testing.assert_close(of_a, torch.tensor([0, 0.6, 0.2, 0.2]).double(), atol=0.04, rtol=0)
    only = torch.zeros(1, 4, 20).double()
    only[:, 2] = 1
    assert not (filled("resample", only) * only).any()


def by_solving(image, missing, weights):
    """The linear system of Rong et al. written out: each missing value is the mean of its neighbours by weight."""
    shape, places = image.shape, np.argwhere(missing)
    index = {tuple(p): i for i, p in enumerate(places)}
    a, b = np.zeros((len(places), len(places))), np.zeros(len(places))
    for place, i in index.items():
        for offset, weight in weights.items():
            near = tuple(np.add(place, offset))
            if all(0 <= n < s for n, s in zip(near, shape, strict=True)):
                a[i, i] += weight
                if near in index:
                    a[i, index[near]] -= weight
                else:
                    b[i] += weight * image[near]
    out = image.copy()
    out[tuple(places.T)] = np.linalg.solve(a, b)
    return out


WEIGHTS = {
    1: {(-1,): 1 / 2, (1,): 1 / 2},
    2: {o: (1 / 6 if 0 in o else 1 / 12) for o in itertools.product((-1, 0, 1), repeat=2) if any(o)},
    3: {o: 0.5 ** sum(map(abs, o)) for o in itertools.product((-1, 0, 1), repeat=3) if any(o)},
}


@pytest.mark.parametrize("shape", [(20,), (9, 11), (1, 8), (4, 5, 4)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_inpainting_solves_the_system(shape, share):
    x = sample(3, 2, *shape)
    missing = torch.rand(3, 1, *shape, generator=torch.Generator().manual_seed(1)) < share
    missing.view(3, -1)[:, 3] = False
    found = imputed(x, missing, x.new_zeros(3, 2, *(1,) * len(shape)), tolerance=1e-12)
    for row, gone, out in zip(x, missing, found, strict=True):
        for image, result in zip(row.numpy(), out.numpy(), strict=True):
            expected = by_solving(image, gone[0].numpy(), WEIGHTS[len(shape)])
            np.testing.assert_allclose(result, expected, rtol=1e-7, atol=1e-8)


def test_inpainting_of_nothing_left_and_of_all_left():
    kept = torch.ones(3, 30, dtype=torch.bool)
    kept[1] = False
    found = filled(Inpaint(0), kept=kept)
    assert torch.equal(found[[0, 2]], X[[0, 2]])
    torch.testing.assert_close(found[1], X[1].mean((1, 2), keepdim=True).expand_as(X[1]))


def test_inpainting_noise():
    kept = torch.rand(3, 30, generator=torch.Generator().manual_seed(1)) < 0.5
    noisy, smooth = filled(Inpaint(0.1), kept=kept), filled(Inpaint(0), kept=kept)
    gone = ~kept.view(3, 1, 5, 6).expand_as(X)
    extent = (X.flatten(1).amax(1) - X.flatten(1).amin(1)).view(3, 1, 1, 1)
    standard = ((noisy - smooth) / (0.1 * extent))[gone]
    assert float(standard.std()) == pytest.approx(1, abs=0.3) and torch.equal(noisy[~gone], X[~gone])


def test_a_function_fills():
    kept = torch.rand(3, 30) < 0.5
    found = filled(lambda rows, removed: rows * 2 + removed.double(), kept=kept)
    expected = torch.where(kept.view(3, 1, 5, 6), X, 2 * X + 1)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "filler, message",
    [
        (Mean(TABLE), "background"), (Blur(0), "sigma"), (Inpaint(-1), "noise"), (Uniform(2, 1), "low end"),
        (Resample(X[:0]), "background"), (Mean, "filler="), (True, "filler="),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(filler, message):
    with pytest.raises(sx.InputError, match=message):
        filled(filler)
