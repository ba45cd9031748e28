"""Explanations of pictures against what follows from the model's weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sciexplain as sx
from sciexplain.domains import images
from sciexplain.errors import InputError

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.3, 0.35)


def network(channels: int = 3, side: int = 6) -> torch.nn.Sequential:
    torch.manual_seed(0)
    return (
        torch.nn.Sequential(
            torch.nn.Conv2d(channels, 5, 3),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(5 * (side - 2) ** 2, 4),
        )
        .double()
        .eval()
    )


def pictures(n: int = 3, size: tuple[int, int] = (9, 12)) -> list[images.Picture]:
    generator = np.random.default_rng(0)
    return [images.Picture(f"p{i}", None, generator.random((*size, 3), dtype=np.float32)) for i in range(n)]


SMALL = images.Preprocess(7, 6, MEAN, STD)


def test_a_linear_model_by_hand() -> None:
    weights = torch.randn(2, 3, 4, 5, generator=torch.manual_seed(1))

    def model(x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("nchw,kchw->nk", x, weights)

    shown = pictures(2, (4, 5))
    e = images.explain(model, shown, target=1)
    inputs = torch.stack([torch.from_numpy(picture.array).permute(2, 0, 1) for picture in shown])
    # ε = 1e-6 takes its part of a score of about 1.
    torch.testing.assert_close(e.relevance, inputs * weights[1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(e.heatmap, (inputs * weights[1]).sum(1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(e.original(1), e.heatmap[1])
    torch.testing.assert_close(e.score, model(inputs)[:, 1])
    assert [e.label(i) for i in range(2)] == ["1", "1"]


def test_is_the_core_explanation_of_the_preprocessed_input() -> None:
    net = network()
    e = images.explain(net, pictures(), preprocess=SMALL, composite="epsilon_plus", labels="abcd", ledger=True)
    inputs = SMALL(pictures()).double()
    core = sx.explain(net, inputs, composite="epsilon_plus")
    torch.testing.assert_close(e.relevance, core.relevance)
    assert e.target is not None and e.target.tolist() == net(inputs).argmax(1).tolist()
    assert [e.label(i) for i in range(3)] == ["abcd"[k] for k in e.target.tolist()]
    assert e.ledger is not None and e.ledger.gap.abs().max() < 1e-9
    again = images.explain(net, inputs, preprocess=SMALL, composite="epsilon_plus", batch_size=2)
    torch.testing.assert_close(again.relevance, core.relevance)


@pytest.mark.parametrize("composite", ["epsilon_gamma_box", "deep_taylor"])
@pytest.mark.parametrize("tensor", [False, True])
def test_box_bounds_come_from_the_preprocessing(composite: str, tensor: bool) -> None:
    net = network()
    given = SMALL(pictures()).double() if tensor else pictures()
    e = images.explain(net, given, 2, preprocess=SMALL, composite=composite)
    bounds = [(colour - torch.tensor(MEAN)) / torch.tensor(STD) for colour in (0.0, 1.0)]
    low, high = (bound.double()[None, :, None, None] for bound in bounds)
    expected = sx.explain(
        net, SMALL(pictures()).double(), 2, composite=sx.composites.get(composite, low=low, high=high)
    )
    torch.testing.assert_close(e.relevance, expected.relevance, rtol=1e-5, atol=1e-6)


def test_original_pixels_keep_the_sum() -> None:
    e = images.explain(network(), pictures(), preprocess=SMALL)
    for i in range(3):
        assert e.original(i).shape == (9, 12)
        torch.testing.assert_close(e.original(i).sum(), e.heatmap[i].sum())


def test_tensors_are_not_processed_again() -> None:
    inputs = SMALL(pictures()).double()
    e = images.explain(network(), inputs, preprocess=SMALL)
    torch.testing.assert_close(e.original(0), e.heatmap[0])
    shown = np.stack([picture.array for picture in e.pictures])
    expected = images.Preprocess(7, 6)(pictures()).permute(0, 2, 3, 1)
    np.testing.assert_allclose(shown, expected, atol=1e-6)
    plain = images.explain(network(), inputs)
    shown = np.stack([picture.array for picture in plain.pictures])
    assert shown.min() == 0 and shown.max() == 1


def test_paths_arrays_and_one_picture(tmp_path: Path) -> None:
    samples = np.random.default_rng(2).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(samples).save(tmp_path / "a.png")
    net = network()
    expected = images.explain(net, images.Picture("a", None, (samples / 255).astype(np.float32)), 0)
    for given in (
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        [tmp_path / "a.png"],
        tmp_path,
        samples,
        [samples],
    ):
        torch.testing.assert_close(images.explain(net, given, 0).relevance, expected.relevance)
    assert images.explain(net, tmp_path, 0).pictures[0].name == "a.png"


def test_grey_files_become_what_the_mean_says(tmp_path: Path) -> None:
    Image.fromarray(np.arange(36, dtype=np.uint8).reshape(6, 6)).save(tmp_path / "grey.png")
    e = images.explain(network(), tmp_path / "grey.png", 0, preprocess=images.Preprocess(mean=MEAN, std=STD))
    assert e.pictures[0].array.shape == (6, 6, 3)


def test_refusals() -> None:
    net = network()
    with pytest.raises(InputError, match="expected preprocess="):
        images.explain(net, torch.rand(1, 3, 6, 6), composite="epsilon_gamma_box")
    with pytest.raises(InputError, match=r"\(3, 6, 6\)"):
        images.explain(net, torch.rand(3, 6, 6))
    with pytest.raises(InputError, match="int64"):
        images.explain(net, torch.ones(1, 3, 6, 6, dtype=torch.long))
