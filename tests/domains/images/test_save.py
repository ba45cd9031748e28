"""What is written is what is read back."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from sciexplain.domains import images
from sciexplain.errors import InputError


@pytest.fixture
def e() -> images.ImageExplanation:
    relevance = torch.randn(2, 3, 4, 5, generator=torch.manual_seed(0))
    shown = tuple(images.Picture(name, None, np.zeros((4, 5, 3), np.float32)) for name in ("a.png", "b/ü.png"))
    core = SimpleNamespace(score=relevance.sum((1, 2, 3)), target=None)
    return images.ImageExplanation(shown, relevance, core)  # type: ignore[arg-type]


def test_an_image(tmp_path: Path, e: images.ImageExplanation) -> None:
    coloured = images.render(e.heatmap[0])
    path = images.save(tmp_path / "new" / "folder" / "h.png", coloured)
    np.testing.assert_allclose(images.read_one(path).array, coloured, atol=0.5 / 255 + 1e-6)


def test_a_figure(tmp_path: Path, e: images.ImageExplanation) -> None:
    figure = images.figure(e)
    with Image.open(images.save(tmp_path / "f.png", figure, dpi=50)) as picture:
        assert picture.size == tuple(int(side * 50) for side in figure.get_size_inches())
        assert np.ptp(np.asarray(picture)) > 100
    assert images.save(tmp_path / "f.svg", figure).read_text().startswith("<?xml")
    assert images.save(tmp_path / "f.pdf", figure).read_bytes().startswith(b"%PDF")


def test_numbers(tmp_path: Path, e: images.ImageExplanation) -> None:
    np.testing.assert_array_equal(np.load(images.save(tmp_path / "h.npy", e.heatmap)), e.heatmap)
    with np.load(images.save(tmp_path / "e.npz", e), allow_pickle=False) as stored:
        assert stored["names"].tolist() == ["a.png", "b/ü.png"]
        for name in ("relevance", "heatmap", "score"):
            np.testing.assert_array_equal(stored[name], getattr(e, name))
    with np.load(images.save(tmp_path / "m.npz", {"x": e.heatmap, "y": np.arange(3)})) as stored:
        np.testing.assert_array_equal(stored["x"], e.heatmap)
        assert stored["y"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", ["h.png", "h.gif", "h"])
def test_refusals(tmp_path: Path, e: images.ImageExplanation, name: str) -> None:
    with pytest.raises(InputError, match=r"shape \(4, 5\).*render\(\)"):
        images.save(tmp_path / name, e.heatmap[0])
    with pytest.raises(InputError, match="a Figure; expected"):
        images.save(tmp_path / "f.npy", images.figure(e))
