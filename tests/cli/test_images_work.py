"""What a run over pictures gets of each: samples to read, batches to explain, and drawings."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tifffile
import torch
from PIL import Image
from torch import nn

import sciexplain as sx
from sciexplain.cli.images_work import PictureWork
from sciexplain.domains import images
from sciexplain.errors import DataError, TargetError
from sciexplain.runs import Answer, Failure, Run, Sample
from sciexplain.runs.format import ROW_SCHEMA

OPTIONS = {
    "resize": None, "crop": None, "mean": [0.5], "std": [0.25, 0.5, 1.0], "mode": None, "method": "lrp",
    "composite": "epsilon_gamma_box", "target": None, "ledger": True,
}  # fmt: skip


class Bright(nn.Module):
    """A network that is undefined on bright pictures."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.net(x)
        return torch.where(x.mean((1, 2, 3)) > 0.9, torch.nan, 0.0)[:, None] + y


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six attempts: two good, one broken, one of five channels, and two of an array, the first of them bright."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, shape in (("a.png", (8, 8, 3)), ("b.png", (12, 8, 3))):
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(folder / name)
    (folder / "c.png").write_text("no picture")
    five = rng.random((8, 8, 5), dtype=np.float32)
    tifffile.imwrite(folder / "d.tif", five, photometric="minisblack", planarconfig="contig")
    np.save(folder / "e.npy", np.stack([np.full((8, 8, 3), 0.95), rng.random((8, 8, 3))]))
    return folder


@pytest.fixture
def work(data: Path) -> PictureWork:
    return PictureWork.asked(Bright().eval(), data, OPTIONS)


def samples(work: PictureWork) -> list[Sample]:
    return [one for one in work.read() if isinstance(one, Sample)]


def answered(work: PictureWork, some: list[Sample]) -> list[Answer]:
    found = [one for one in work.explain(some).answers if isinstance(one, Answer)]
    assert len(found) == len(some)
    return found


def test_every_attempt_is_a_sample_or_a_failure(work: PictureWork, data: Path) -> None:
    read = list(work.read())
    assert work.count() == len(read) == 6
    assert [one.id for one in read] == ["a.png", "b.png", "c.png", "d.tif", "e.npy[0]", "e.npy[1]"]
    assert [one.input for one in read] == [str(data / one.id) for one in read]
    assert [one.stage if isinstance(one, Failure) else one.bucket for one in read] == [
        (3, 8, 8), (3, 12, 8), "read", "preprocess", (3, 8, 8), (3, 8, 8),
    ]  # fmt: skip
    assert [one.size for one in read if isinstance(one, Sample)] == [192, 288, 192, 192]
    for start in range(8):
        later = list(work.read(start))
        assert [(type(one), one.id) for one in later] == [(type(one), one.id) for one in read[start:]]
        assert [one.content.number for one in later if isinstance(one, Sample)] == [
            number for number, one in enumerate(read) if isinstance(one, Sample) and number >= start
        ]


def test_answers_are_those_of_the_library(work: PictureWork, data: Path) -> None:
    some = [one for one in samples(work) if one.id in ("a.png", "e.npy[1]")]
    found = work.explain(some)
    preprocess = images.Preprocess(mean=0.5, std=(0.25, 0.5, 1.0))
    pictures = [dict(images.attempts(data))[one.id] for one in some]
    e = images.explain(Bright().eval(), pictures, preprocess=preprocess, composite="epsilon_gamma_box", ledger=True)
    for i, answer in enumerate(found.answers):
        assert isinstance(answer, Answer)
        assert answer.relevance.dtype == np.float32 and answer.relevance.shape == (3, 8, 8)
        np.testing.assert_allclose(answer.relevance, e.relevance[i].numpy(), rtol=1e-5, atol=1e-7)
        assert answer.score == pytest.approx(float(e.score[i])) and answer.target == int(
            e.explanation.output[i].argmax()
        )
        assert answer.decision.prediction == answer.target and answer.gap == pytest.approx(0, abs=1e-5)
    assert found.unknown == {(u.operation, u.module): u.count for u in e.explanation.unknown}


def test_a_picture_without_a_finite_score_is_no_fault_of_the_question(work: PictureWork) -> None:
    some = [one for one in samples(work) if one.bucket == (3, 8, 8)]
    found = work.explain(some).answers
    assert [isinstance(one, sx.errors.NonFiniteOutputError) for one in found] == [False, True, False]
    for one, alone in zip((found[0], found[2]), (some[0], some[2]), strict=True):
        assert isinstance(one, Answer)
        np.testing.assert_allclose(one.relevance, answered(work, [alone])[0].relevance, rtol=1e-5, atol=1e-7)


def test_a_class_that_is_not_there_is_one(data: Path) -> None:
    work = PictureWork.asked(Bright().eval(), data, OPTIONS | {"target": 12})
    with pytest.raises(TargetError) as caught:
        work.explain(samples(work)[:1])
    assert isinstance(caught.value, work.wrong_question)


@pytest.mark.parametrize("options", [{"ledger": False}, {"method": "gradient", "composite": None}])
def test_no_ledger_no_gap(data: Path, options: dict) -> None:
    work = PictureWork.asked(Bright().eval(), data, OPTIONS | options)
    assert answered(work, samples(work)[:1])[0].gap is None


def drawn(answer: Answer, path: Path) -> np.ndarray:
    assert answer.draw is not None
    made = answer.draw(path)
    assert made == path.with_suffix(".png")
    with Image.open(made) as picture:
        return np.asarray(picture) / 255


def test_drawings_are_overlays_enlarged(work: PictureWork, tmp_path: Path) -> None:
    sample = samples(work)[1]
    (answer,) = answered(work, [sample])
    picture = dict(work.attempts.read())[sample.id]
    assert isinstance(picture, images.Picture)
    overlay = images.overlay(picture, answer.relevance.sum(0))
    expected = overlay.repeat(18, axis=0).repeat(18, axis=1)
    np.testing.assert_allclose(drawn(answer, tmp_path / "000001"), expected, atol=1 / 255)


def test_pictures_that_are_far_larger_than_the_input_do_not_wait_but_are_drawn(data: Path, tmp_path: Path) -> None:
    work = PictureWork.asked(Bright().eval(), data, OPTIONS | {"resize": [3, 3]})
    sample = samples(work)[0]
    assert sample.content.picture is None and sample.content.input.shape == (3, 3, 3)
    (answer,) = answered(work, [sample])
    picture = images.read_one(data / "a.png")
    original = images.Preprocess(resize=(3, 3)).to_original(torch.from_numpy(answer.relevance.sum(0)), (8, 8))
    expected = images.overlay(picture, original).repeat(28, axis=0).repeat(28, axis=1)
    np.testing.assert_allclose(drawn(answer, tmp_path / "0"), expected, atol=1 / 255)
    (data / "a.png").unlink()
    alone = images.render(answer.relevance.sum(0)).repeat(74, axis=0).repeat(74, axis=1)
    np.testing.assert_allclose(drawn(answer, tmp_path / "1"), alone, atol=1 / 255)


def test_folders_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no pictures"):
        PictureWork.asked(Bright().eval(), tmp_path, OPTIONS)


def run_of(folder: Path, shapes: dict[int, list[int]]) -> Run:
    """With rows of these numbers and shapes."""
    (folder / "rows").mkdir(parents=True)
    rows = pa.Table.from_pylist([{"number": n, "shape": shape} for n, shape in shapes.items()], schema=ROW_SCHEMA)
    pa.parquet.write_table(rows, folder / "rows" / "part-00000.parquet")
    return Run(folder, {})


def test_the_overview_is_of_the_first_rows_of_one_shape(
    work: PictureWork, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[images.ImageExplanation] = []
    figure = images.figure
    monkeypatch.setattr(images, "figure", lambda e: drawn.append(e) or figure(e))
    run = run_of(tmp_path / "run", {0: [3, 8, 8], 1: [3, 12, 8], 5: [3, 8, 8]})
    work.finish(run, lambda text: None)
    assert [picture.name for picture in drawn[0].pictures] == ["a.png", "e.npy[1]"]
    with Image.open(run.path / "heatmaps.png") as overview:
        assert len(overview.convert("RGB").getcolors(2**20) or []) > 50
    (data / "a.png").unlink()
    work.finish(run, lambda text: None)
    assert [picture.name for picture in drawn[1].pictures] == ["e.npy[1]"]


def test_no_rows_no_overview(work: PictureWork, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", {})
    work.finish(run, lambda text: None)
    assert not (run.path / "heatmaps.png").exists()
