"""What all pictures of a run show together: each class's mean heatmap, and the surest and the least sure decisions."""

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain.cli.grouped import rows_of
from sciexplain.cli.images_inputs import Inputs
from sciexplain.cli.images_reopened import ImagesReopened
from sciexplain.domains import images
from sciexplain.domains.images import page
from sciexplain.report import Column, Table
from sciexplain.runs import Run

_SIDE = 112
"""Of the images in tables, at most, in pixels; small heatmaps are enlarged by whole pixels."""
_SUREST = 20
_COLUMNS = ("prediction", "probability", "target", "score", "relevance", "shape")


@dataclass
class _Class:
    """Of the pictures that one class was explained for or is the prediction of."""

    explained: int = 0
    predicted: int = 0
    score: float = 0.0
    probability: float = 0.0
    mapped: int = 0
    total: NDArray[np.float64] | None = None


@dataclass
class _Sums:
    """Gathered row by row."""

    classes: dict[int | None, _Class] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None
    others: int = 0
    sure: list[tuple[float, int]] = field(default_factory=list)
    unsure: list[tuple[float, int]] = field(default_factory=list)

    def add(self, row: Mapping[str, Any]) -> None:
        # of a single output the target is 0, which is no class
        of = self.classes.setdefault(None if row["prediction"] is None else row["target"], _Class())
        of.explained += 1
        of.score += row["score"]
        self._map(of, row)
        if row["prediction"] is not None:
            predicted = self.classes.setdefault(row["prediction"], _Class())
            predicted.predicted += 1
            predicted.probability += row["probability"]
            self._rank(row["probability"], row["number"])

    def _map(self, of: _Class, row: Mapping[str, Any]) -> None:
        shape = tuple(row["shape"])
        self.shape = self.shape or shape
        if shape != self.shape:
            self.others += 1
            return
        heatmap = _reduced(np.asarray(row["relevance"], np.float64).reshape(shape).sum(0))
        of.total = heatmap if of.total is None else of.total + heatmap
        of.mapped += 1

    def _rank(self, probability: float, number: int) -> None:
        for kept, sign in ((self.sure, -1), (self.unsure, 1)):
            if len(kept) < _SUREST or sign * probability < kept[-1][0]:
                kept.append((sign * probability, number))
                kept.sort()
                del kept[_SUREST:]


def findings(run: Run, opened: ImagesReopened | None, unit: str) -> Iterator[Table]:
    """The tables, from one reading of the rows.

    Parameters
    ----------
    opened
        The run with its data, to show pictures beside the surest decisions; None: heatmaps alone.
    unit
        Of relevance.
    """
    sums = _Sums()
    for batch in run.rows.to_batches(columns=["number", *_COLUMNS], batch_size=256, fragment_readahead=1):
        for row in _rows(batch):
            sums.add(row)
    if sums.classes:
        yield _by_class(sums, unit)
    if sums.sure:
        yield _decisions(run, opened, sums, unit)


def _rows(batch: Any) -> Iterator[dict[str, Any]]:
    plain = {name: batch[name].to_pylist() for name in batch.schema.names if name != "relevance"}
    for i in range(len(batch)):
        yield {**{name: of[i] for name, of in plain.items()}, "relevance": batch["relevance"][i].values.to_numpy()}


def _by_class(sums: _Sums, unit: str) -> Table:
    means = {
        key: of.total / of.mapped
        for key, of in sums.classes.items()
        if of.total is not None and np.isfinite(of.total).all()
    }
    scale = max((images.limit(mean) for mean in means.values() if mean.any()), default=1.0)
    there = any(of.predicted for of in sums.classes.values())
    rows = []
    for key, of in sorted(sums.classes.items(), key=lambda item: -1 if item[0] is None else item[0]):
        shown = _image(images.render(means[key], scale=scale)) if key in means else None
        score = of.score / of.explained if of.explained else None
        decided = [of.predicted, of.probability / of.predicted if of.predicted else None] if there else []
        rows.append(["all" if key is None else key, *decided, of.explained, score, shown])
    of_unit = f" {unit}" if unit else ""
    left = f" {sums.others} pictures of another size are left out of it." if sums.others else ""
    counted = [Column("predicted", "number"), Column("mean probability", "number")] if there else []
    return Table(
        "classes",
        "Classes",
        (
            Column("class", "class"),
            *counted,
            Column("explained", "number"),
            Column("mean score", "number", unit),
            Column("mean heatmap", "image"),
        ),
        rows,
        "How often each class is predicted and how surely; the mean score and the mean heatmap of the pictures that it "
        f"was explained for. All heatmaps are on one scale, ± {scale:.3g}{of_unit} per pixel at full colour.{left}",
    )


def _decisions(run: Run, opened: ImagesReopened | None, sums: _Sums, unit: str) -> Table:
    order = [number for _, number in (*sums.unsure, *reversed(sums.sure))]
    order = list(dict.fromkeys(order))
    read = Inputs(opened, sorted(order))
    found = {}
    for row in rows_of(run.rows, [*_COLUMNS, "id", "runner_up"], sorted(order)):
        heatmap = np.asarray(row["relevance"], np.float32).reshape(tuple(row["shape"])).sum(0)
        shown = _seen(read.take(row["number"]), opened, heatmap)
        found[row["number"]] = [
            *(row["number"], row["id"], row["prediction"], row["probability"], row["runner_up"], row["score"], shown)
        ]
    return Table(
        "decisions",
        "Least sure and surest decisions",
        (
            Column("sample", "sample"),
            Column("picture"),
            Column("prediction", "class"),
            Column("probability", "number"),
            Column("second", "class"),
            Column("score", "number", unit),
            Column("relevance", "image"),
        ),
        [found[number] for number in order if number in found],
        f"The {len(sums.unsure)} pictures of the lowest probability of the predicted class, then those of the highest.",
    )


def _seen(picture: images.Picture | None, opened: ImagesReopened | None, heatmap: NDArray[np.float32]) -> str | None:
    """The heatmap over the picture that the model gets; alone where that is not at hand."""
    if not np.isfinite(heatmap).all():
        return None
    if picture is None or opened is None:
        return _image(images.render(_reduced(heatmap)))
    seen = page.model_pixels(picture, opened.question.preprocess)
    return _image(_reduced(images.overlay(seen, heatmap)))


def _reduced(values: NDArray[Any]) -> NDArray[Any]:
    """(H, W, …) with no side above the largest that tables show: means over blocks."""
    tall, wide = (ceil(side / _SIDE) for side in values.shape[:2])
    height, width = values.shape[0] // tall, values.shape[1] // wide
    cut = values[: height * tall, : width * wide]
    return cut.reshape(height, tall, width, wide, *values.shape[2:]).mean((1, 3))


def _image(colours: NDArray[np.float32]) -> str:
    """A ``data:`` URL of (H, W, 3) in 0..1."""
    from PIL import Image

    times = max(1, _SIDE // max(colours.shape[:2]))
    pixels = np.rint(colours.clip(0, 1) * 255).astype(np.uint8).repeat(times, 0).repeat(times, 1)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
