"""Explaining every picture of a folder or file into a run folder."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from sciexplain.domains import images
from sciexplain.errors import (
    DataError,
    InputError,
    ModelError,
    NonFiniteOutputError,
    RuleError,
    TargetError,
    UnknownOperationError,
)
from sciexplain.runs import Failure, Row, RunWriter, decisions

Mode = Literal["RGB", "L"]

_EASILY_SEEN = 224
_OVERVIEW = 8
# What is wrong with the question, not with one picture: no other picture would fare better.
_WRONG_QUESTION = (TargetError, RuleError, ModelError, UnknownOperationError)


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

    def answer(self, pictures: Sequence[images.Picture]) -> images.ImageExplanation:
        """The explanation of a batch."""
        return images.explain(
            self.model,
            list(pictures),
            self.target,
            preprocess=self.preprocess,
            composite=self.composite,
            method=self.method,
            ledger=self.ledger,
        )


class _Sample(NamedTuple):
    number: int
    picture: images.Picture
    input: Tensor


def explain_pictures(
    question: Question,
    data: Path,
    run: RunWriter,
    *,
    mode: Mode | None = None,
    batch_size: int = 16,
    limit: int | None = None,
    advance: Callable[[], object] = lambda: None,
) -> None:
    """Add one row, or one failure, for every picture in ``data``.

    Parameters
    ----------
    question
        What to explain.
    data
        A folder or a file of pictures.
    run
        Where the rows go.
    mode
        Colour mode to convert to.
    batch_size
        Pictures explained at a time; neighbours of one size go together.
    limit
        Stop after this many pictures, failed ones included.
    advance
        Called after each picture.

    Raises
    ------
    SciExplainError
        The question cannot be answered for any picture: no such class, no such rule.
    """
    folder = data if data.is_dir() else data.parent
    attempts = islice(_read(data, folder, mode), limit)
    samples = _prepare(attempts, folder, question.preprocess, run, advance)
    unknown: Counter[tuple[str, str]] = Counter()
    for _, alike in groupby(samples, key=lambda sample: sample.input.shape):
        while batch := list(islice(alike, batch_size)):
            unknown += _explain(question, batch, folder, run)
            for _ in batch:
                advance()
    run.record(
        "operations_without_a_rule",
        [{"operation": name, "module": module, "count": n} for (name, module), n in unknown.items()],
    )


def _read(data: Path, folder: Path, mode: Mode | None) -> Iterator[images.Picture | Failure]:
    """Pictures, and failures at their place among them."""
    failures: list[Failure] = []

    def note(name: str, error: DataError) -> None:
        failures.append(Failure(name, str(folder / name), str(error), "read"))

    for picture in images.read(data, mode, on_error=note):
        yield from failures
        failures.clear()
        yield picture
    yield from failures


def _prepare(
    attempts: Iterable[images.Picture | Failure],
    folder: Path,
    preprocess: images.Preprocess,
    run: RunWriter,
    advance: Callable[[], object],
) -> Iterator[_Sample]:
    for number, attempt in enumerate(attempts):
        if isinstance(attempt, Failure):
            run.fail(attempt)
            advance()
            continue
        try:
            yield _Sample(number, attempt, preprocess(attempt))
        except InputError as error:
            run.fail(Failure(attempt.name, str(folder / attempt.name), str(error), "preprocess"))
            advance()


def _explain(question: Question, batch: Sequence[_Sample], folder: Path, run: RunWriter) -> Counter[tuple[str, str]]:
    """Explain a batch, or, where that fails, its pictures one by one; count operations without a rule."""
    begun = time.perf_counter()
    try:
        explained = question.answer([sample.picture for sample in batch])
    except Exception as error:  # the user's model may raise anything
        if isinstance(error, _WRONG_QUESTION) and not isinstance(error, NonFiniteOutputError):
            raise
        if len(batch) > 1:
            return sum((_explain(question, [sample], folder, run) for sample in batch), Counter())
        name = batch[0].picture.name
        run.fail(Failure(name, str(folder / name), f"{type(error).__name__}: {error}", "explain"))
        return Counter()
    seconds = (time.perf_counter() - begun) / len(batch)
    if not run.overview.exists():
        images.save(run.overview, images.figure(explained, indices=range(min(len(batch), _OVERVIEW))))
    for row in _rows(explained, batch, folder, run.pictures, seconds):
        run.add(row)
    return Counter({(u.operation, u.module): u.count for u in explained.explanation.unknown})


def _rows(
    explained: images.ImageExplanation,
    batch: Sequence[_Sample],
    folder: Path,
    pictures: Path,
    seconds: float,
) -> Iterator[Row]:
    e = explained.explanation
    made = decisions(e.output, independent=e.stepped_over == "sigmoid")
    for i, (number, picture, _) in enumerate(batch):
        relevance = explained.relevance[i]
        drawing = pictures / f"{number:06d}_{re.sub(r'[^A-Za-z0-9._-]+', '_', picture.name)[-80:]}.png"
        images.save(drawing, _enlarged(images.overlay(picture, explained.original(i))))
        yield Row(
            id=picture.name,
            input=str(folder / picture.name),
            prediction=made[i].prediction,
            probability=made[i].probability,
            target=None if e.target is None else int(e.target[i]),
            runner_up=made[i].runner_up,
            score=float(e.score[i]),
            relevance=relevance.flatten().float().cpu().numpy(),
            shape=tuple(relevance.shape),
            gap=None if e.ledger is None else float(e.ledger.gap[i]),
            picture=drawing.name,
            seconds=seconds,
        )


def _enlarged(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Small pictures by whole pixels, so that every viewer shows them without blurring."""
    times = max(1, _EASILY_SEEN // max(image.shape[:2]))
    return image.repeat(times, axis=0).repeat(times, axis=1)
