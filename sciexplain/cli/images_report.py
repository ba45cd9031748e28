"""What a run over pictures adds to its report: pictures, their relevance, and one class against another."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from itertools import groupby, islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sciexplain.cli.grouped import rows_of
from sciexplain.cli.images_findings import findings
from sciexplain.cli.images_inputs import Inputs
from sciexplain.cli.images_reopened import ImagesReopened
from sciexplain.cli.reopened import Reopened
from sciexplain.domains import images
from sciexplain.domains.images import page
from sciexplain.errors import SciExplainError
from sciexplain.report import Content, Table
from sciexplain.runs import Run

_ASSETS = ("report_canvas.js", "report_picture.js", "report_picture.css")
_COLUMNS = ("prediction", "runner_up", "target", "score", "relevance", "shape")
_BATCH = 16
_AGAINST = 500
_NAMES = {1: ["grey"], 3: ["red", "green", "blue"]}


def content(run: Run, opened: Reopened | None, *, against: int = _AGAINST, channels: bool = False) -> "PictureContent":
    """What a report of this run shows.

    Parameters
    ----------
    run
        Over pictures.
    opened
        The run with its model and data; None where they are not at hand: then there is relevance alone.
    against
        For how many pictures, from the first on, the model is asked about the second class too.
    channels
        Show the relevance of each channel too.
    """
    assert opened is None or isinstance(opened, ImagesReopened)
    return PictureContent(run, opened, against=against, channels=channels)


class _Entry(NamedTuple):
    row: Mapping[str, Any]
    relevance: NDArray[np.float32]
    picture: images.Picture | None

    @property
    def other(self) -> int | None:
        """The class that the explained one is held against: the prediction, or the second where that is explained."""
        row = self.row
        if row["target"] is None or row["prediction"] is None:
            return None
        other: int | None = row["runner_up"] if row["target"] == row["prediction"] else row["prediction"]
        return other


class PictureContent(Content):
    """See :func:`content`."""

    view = "picture"

    def __init__(self, run: Run, opened: ImagesReopened | None, *, against: int, channels: bool) -> None:
        self._run, self._opened = run, opened
        self._against, self._channels = against, channels

    def assets(self) -> Mapping[str, bytes]:
        templates = files("sciexplain.domains.images").joinpath("templates")
        return {name: templates.joinpath(name).read_bytes() for name in _ASSETS}

    def meta(self) -> Mapping[str, Any]:
        first = self._first
        deep = len(first["shape"]) == 3 and first["shape"][0] if first else 0
        absent = self._opened is None
        return {
            "noun": "pictures",
            "unit": "logits" if first and first["prediction"] is not None else "",
            "channels": _NAMES.get(deep, [str(i) for i in range(deep)]) if self._channels and deep > 1 else None,
            "no_inputs": "The picture itself is not shown: the run's data or model were not at hand."
            if absent
            else None,
            "no_against": self._why_not,
        }

    def samples(self, numbers: Sequence[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        left = self._against if self._opened is not None else 0
        entries = self._entries(numbers)
        while batch := list(islice(entries, _BATCH)):
            opposed = self._opposed(batch, left)
            left -= len(opposed)
            for entry in batch:
                number = entry.row["number"]
                yield number, self._sample(entry, opposed.get(number), spent=left <= 0)

    def tables(self) -> Iterator[Table]:
        return findings(self._run, self._opened, self.meta()["unit"])

    @cached_property
    def _first(self) -> Mapping[str, Any] | None:
        rows: list[dict[str, Any]] = self._run.rows.head(1, columns=["prediction", "shape"]).to_pylist()
        return rows[0] if rows else None

    @property
    def _why_not(self) -> str | None:
        if self._opened is None:
            return (
                "Not shown: the run's data or model were not at hand when the report was made, to ask the model again."
            )
        if self._first and self._first["prediction"] is None:
            return "Not shown: the model has no classes."
        return None

    def _entries(self, numbers: Sequence[int]) -> Iterator[_Entry]:
        rows = rows_of(self._run.rows, _COLUMNS, numbers)
        read = Inputs(self._opened, numbers)
        for row in rows:
            relevance = np.asarray(row["relevance"], np.float32).reshape(tuple(row["shape"]))
            yield _Entry(row, relevance, read.take(row["number"]))

    def _sample(self, entry: _Entry, other: Mapping[str, Any] | str | None, *, spent: bool) -> dict[str, Any]:
        row, heatmap = entry.row, entry.relevance.sum(0)
        made: dict[str, Any] = {
            "size": list(heatmap.shape),
            "of": {"class": None if row["prediction"] is None else row["target"], "score": row["score"]},
            "relevance": page.stored(heatmap),
            "not_finite": int((~np.isfinite(heatmap)).sum()),
            "picture": None,
        }
        if entry.picture is not None and self._opened is not None:
            made["picture"] = page.input_of(entry.picture, self._opened.question.preprocess)
        if self._channels and len(entry.relevance) > 1:
            made["channels"] = [page.stored(channel) for channel in entry.relevance]
        if isinstance(other, Mapping):
            made["against"] = other
        elif isinstance(other, str):
            made["no_against"] = other
        elif self._why_not is None:
            made["no_against"] = (
                f"Not shown: the model was asked about a second class for the first {self._against} pictures only."
                if spent and self._against
                else "Not shown: the model was not asked about a second class."
            )
        return made

    def _opposed(self, batch: Sequence[_Entry], most: int) -> dict[int, Mapping[str, Any] | str]:
        """The explanation of the other class, or why there is none, by number; the model is asked for it."""
        asked = [entry for entry in batch if entry.picture is not None and entry.other is not None][: max(0, most)]
        found: dict[int, Mapping[str, Any] | str] = {}
        for _, alike in groupby(asked, key=lambda entry: entry.relevance.shape):
            found |= self._ask(list(alike))
        return found

    def _ask(self, entries: Sequence[_Entry]) -> dict[int, Mapping[str, Any] | str]:
        assert self._opened is not None
        question = self._opened.question
        others = [int(entry.other or 0) for entry in entries]
        numbers = [entry.row["number"] for entry in entries]
        try:
            explained = images.explain(
                question.model,
                [entry.picture for entry in entries if entry.picture is not None],
                torch.tensor(others),
                preprocess=question.preprocess,
                composite=question.composite,
                method=question.method,
            )
        except SciExplainError as error:
            return dict.fromkeys(numbers, f"Not shown: {error}")
        except Exception as error:  # the user's model may raise anything
            return dict.fromkeys(numbers, f"Not shown: {type(error).__name__}: {error}")
        heatmaps = explained.heatmap.float().cpu().numpy()
        return {
            number: {"class": other, "score": score, "relevance": page.stored(heatmap)}
            for number, other, score, heatmap in zip(numbers, others, explained.score.tolist(), heatmaps, strict=True)
        }
