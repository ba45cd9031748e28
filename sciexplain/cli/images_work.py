"""Explaining every picture of a folder or file: what a run over pictures asks, and what it gets."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import sciexplain as sx
from sciexplain._files import written
from sciexplain.domains import images
from sciexplain.domains.images.attempts import Attempts
from sciexplain.domains.images.decode import Reading
from sciexplain.domains.images.explain import composite_for, placed, single
from sciexplain.errors import (
    DataError,
    InputError,
    ModelError,
    NonFiniteOutputError,
    RuleError,
    TargetError,
    UnknownOperationError,
)
from sciexplain.runs import Answer, Attempt, Explained, Failure, Finding, Run, Sample, Work, decisions

_EASILY_SEEN = 224
_OVERVIEW = 8
_FIRST_ROWS = 256
_KEPT = 4
"""Pictures of up to so many times the numbers of the network's input wait with it; larger ones are read again."""


@dataclass(frozen=True)
class Question:
    """What to explain of each picture, and how; as :func:`sciexplain.domains.images.explain` takes it."""

    model: nn.Module
    preprocess: images.Preprocess
    target: int | None
    method: str
    composite: str | None
    ledger: bool

    @classmethod
    def asked(cls, model: nn.Module, options: Mapping[str, Any]) -> "Question":
        """The question that the options of ``explain images`` ask, as the command or ``run.json`` has them."""
        pixels = {name: options[name] for name in ("resize", "crop", "mean", "std")}
        preprocess = images.Preprocess(**{k: tuple(v) if isinstance(v, list) else v for k, v in pixels.items()})
        ledger = options["ledger"] and options["method"] in ("lrp", "deeplift")
        return cls(model, preprocess, options["target"], options["method"], options["composite"], ledger)

    def answer(self, pictures: Sequence[images.Picture], *, batch_size: int | None = None) -> images.ImageExplanation:
        """The explanation of a batch."""
        return images.explain(
            self.model,
            list(pictures),
            self.target,
            preprocess=self.preprocess,
            composite=self.composite,
            method=self.method,
            ledger=self.ledger,
            batch_size=batch_size,
        )

    def explained(self, inputs: Tensor) -> sx.Explanation:
        """The same of (N, C, H, W) pictures that are preprocessed."""
        return sx.explain(
            self.model,
            placed(self.model, inputs),
            self.target,
            self.method,
            composite=composite_for(self.composite, self.preprocess, None),
            ledger=self.ledger,
        )


@dataclass(frozen=True, eq=False)
class Content:
    """A picture that is ready for the network.

    Attributes
    ----------
    number
        Of its attempt.
    picture
        At its own size; None where that is far larger than the input, so that few could wait.
    input
        (C, H, W): what the network gets.
    """

    number: int
    picture: images.Picture | None
    input: Tensor


class PictureWork(Work):
    """Pictures, and what to explain of each.

    Parameters
    ----------
    question
        What to explain.
    data
        A folder or a file of pictures.
    mode
        Colour mode to convert to.

    Attributes
    ----------
    attempts
        To read the pictures without preparing them.
    """

    noun = "pictures"
    shard = 256
    most = 64
    wrong_question = (TargetError, RuleError, ModelError, UnknownOperationError)

    def __init__(self, question: Question, data: Path, mode: Any = None) -> None:
        self._question = question
        self._folder = data if data.is_dir() else data.parent
        self.attempts = Attempts(data, Reading(mode))

    @classmethod
    def asked(cls, model: nn.Module, data: Path, options: Mapping[str, Any]) -> "PictureWork":
        """The work that the options of ``explain images`` ask for, as the command or ``run.json`` has them."""
        return cls(Question.asked(model, options), data, options["mode"])

    def count(self) -> int:
        return len(self.attempts)

    def read(self, start: int = 0) -> Iterator[Attempt]:
        for number, (name, found) in enumerate(self.attempts.read(start), start):
            place = str(self._folder / name)
            if isinstance(found, DataError):
                yield Failure(name, place, str(found), "read")
                continue
            try:
                prepared = self._question.preprocess(found)
            except InputError as error:
                yield Failure(name, place, str(error), "preprocess")
                continue
            kept = found if found.array.size <= _KEPT * prepared.numel() else None
            content = Content(number, kept, prepared)
            yield Sample(name, place, content, prepared.numel(), tuple(prepared.shape))

    def explain(self, samples: Sequence[Sample]) -> Explained:
        try:
            e = self._question.explained(torch.stack([sample.content.input for sample in samples]))
        except NonFiniteOutputError as error:  # of some pictures, and no fault of the question
            if len(samples) == 1:
                return Explained([error])
            middle = len(samples) // 2
            halves = self.explain(samples[:middle]), self.explain(samples[middle:])
            unknown = sum((Counter(half.unknown) for half in halves), Counter())
            return Explained([answer for half in halves for answer in half.answers], unknown)
        relevance = single(e.relevance).float().cpu().numpy()
        targets = [None] * len(samples) if e.target is None else e.target.tolist()
        gaps = [None] * len(samples) if e.ledger is None else e.ledger.gap.tolist()
        made = decisions(e.output, independent=e.stepped_over == "sigmoid")
        answers = [
            Answer(decision, target, score, values, gap, draw=partial(self._draw, sample.content, values))
            for sample, decision, target, score, values, gap in zip(
                samples, made, targets, e.score.tolist(), relevance, gaps, strict=True
            )
        ]
        return Explained(answers, {(u.operation, u.module): u.count for u in e.unknown})

    def finish(self, run: Run, say: Callable[[str], object]) -> Finding:
        """Draw the first rows of one shape, explained again."""
        say("drawing")
        rows = run.rows.head(_FIRST_ROWS, columns=["number", "shape"]).to_pylist()
        alike = [row["number"] for row in rows if row["shape"] == rows[0]["shape"]]
        read = (found for _, found in self.attempts.at(alike[:_OVERVIEW]))
        pictures = [found for found in read if isinstance(found, images.Picture)]
        if pictures:
            figure = images.figure(self._question.answer(pictures, batch_size=1))
            written(run.path / "heatmaps.png", lambda path: images.save(path, figure))
        return Finding()

    def _draw(self, content: Content, relevance: NDArray[np.float32], path: Path) -> Path:
        """The relevance over the picture, which is read again if need be; alone where it is gone."""
        heatmap = torch.from_numpy(relevance.sum(0))
        picture = content.picture or next((found for _, found in self.attempts.at([content.number])), None)
        if isinstance(picture, images.Picture):
            drawn = images.overlay(picture, self._question.preprocess.to_original(heatmap, picture.size))
        else:
            drawn = images.render(heatmap)
        return images.save(path.with_suffix(".png"), _enlarged(drawn))


def _enlarged(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Small pictures by whole pixels, so that every viewer shows them without blurring."""
    times = max(1, _EASILY_SEEN // max(image.shape[:2]))
    return image.repeat(times, axis=0).repeat(times, axis=1)
