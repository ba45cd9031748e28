"""``sciexplain evaluate``: are the explanations of a run faithful?"""

from collections.abc import Callable, Sequence
from math import floor, log10
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sciexplain.cli import options
from sciexplain.cli.console import progress, results, say
from sciexplain.cli.folders import check_folder

if TYPE_CHECKING:
    from torch import Tensor

    from sciexplain.cli.evaluation import Evaluation
    from sciexplain.cli.evaluation_subjects import Subject

_METRICS = "deletion, insertion, sensitivity, stability, sanity, conservation, agreement, localization"


def evaluate(
    ctx: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", exists=True, file_okay=False, help="Folder of `explain`.")],
    metric: Annotated[
        str | None, typer.Option(metavar="NAMES", help=f"Some of {_METRICS}; default: all.", show_default=False)
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Rows of the run to evaluate, drawn at random.")] = 100,
    baseline: Annotated[
        str, typer.Option(metavar="NAMES", help="random, and methods or composites to explain the same rows with.")
    ] = "random",
    filler: Annotated[
        str | None,
        typer.Option(
            help="What stands where parts were. Images: mean, zero, blur, inpaint, uniform, resample. Molecules: "
            "remove, zero, mean, sampled. Genomics: shuffled, zero, background, random, sampled. Default: the first.",
            show_default=False,
        ),
    ] = None,
    parts: Annotated[
        str | None,
        typer.Option(
            metavar="N|atoms|bonds", help="What goes at once: side of a patch, letters of a word; atoms or bonds."
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=2, help="Of the curves; default: one for each part, at most 50.")
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            help="Where relevance should lie: pictures of the same names, a table with id and atoms, or BED.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="For the files; default: RUN.")] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Where it is now, if it has moved.")] = None,
    weights: Annotated[Path | None, typer.Option(help="The same of its weights.")] = None,
    data: Annotated[Path | None, typer.Option(exists=True, help="The same of the data.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    device: Annotated[str, typer.Option(parser=options.device, help="Such as cpu or cuda.")] = "cpu",
    unsafe_pickle: Annotated[
        bool,
        typer.Option("--unsafe-pickle", help="Read weights that carry code. They can do anything to this machine."),
    ] = False,
    trust_run: options.TrustRun = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Measure how faithful a run's explanations are, beside a random order and other methods.

    RUN then holds evaluation.png (curves, to open first), evaluation.json (means with bootstrap intervals, and what was
    asked) and evaluation.parquet (each sample). Exit code 0: done; 1: done, some samples failed; 2: wrong usage.
    """
    from sciexplain.cli import evaluation
    from sciexplain.cli.evaluation_files import write
    from sciexplain.cli.evaluation_masks import read_masks
    from sciexplain.cli.reopen import reopen
    from sciexplain.errors import DataError, NonFiniteOutputError
    from sciexplain.runs import describe_versions

    metrics = _chosen(metric, evaluation.METRICS, "--metric")
    if masks is None and metric is not None and "localization" in metrics:
        raise typer.BadParameter("localization needs --masks")
    names = list(dict.fromkeys(name for part in baseline.split(",") if (name := part.strip())))
    folder = out or run
    check_folder(folder)
    with progress(quiet=quiet) as bar:
        task = bar.add_task("opening the run", total=None)

        def doing(text: str) -> None:
            bar.update(task, description=text)

        opened = reopen(
            run, model=model, weights=weights, data=data, unsafe_pickle=unsafe_pickle, trust=trust_run, device=device
        )
        if not opened.ids:
            raise DataError(f"{run} has no rows to evaluate")
        ids = _drawn(opened.ids, samples, seed)
        doing("explaining anew")
        subject, failures = _usable(opened, ids, filler, parts, seed)

        def measured(subject: "Subject") -> "tuple[Evaluation, dict[str, str]]":
            where: list[Tensor] | None = None
            missing: dict[str, str] = {}
            if masks is not None:
                where, missing = read_masks(masks, opened, subject.ids, subject.explained)
            found = evaluation.measure(subject, metrics, names, where, steps=steps, seed=seed, say=doing)
            return found, {f"{name} (localization)": why for name, why in missing.items()}

        try:
            found, missing = measured(subject)
        except NonFiniteOutputError:
            doing("looking for samples that fail")
            subject, failing = _without_failing(subject, filler)
            if not failing:
                raise
            failures |= failing
            found, missing = measured(subject)
        failures |= missing
        asked = {
            "run": str(run),
            "versions": describe_versions(),
            "options": {name: options.plain(value) for name, value in ctx.params.items()},
            "filler": subject.filler,
            "part": subject.part,
        }
        folder.mkdir(parents=True, exist_ok=True)
        made = write(found, folder, asked, failures, subject.part, subject.unit)
    results().print(_table(found, subject))
    say(f"not measured: {name}: {why}" for name, why in found.unmeasured.items())
    say([f"{len(found.ids)} samples in {', '.join(str(path) for path in made)}"])
    if failures:
        first = next(iter(failures))
        say([f"{len(failures)} failed and are listed in {made[0]}; the first: {first}: {failures[first]}"])
        raise typer.Exit(1)


def _chosen(given: str | None, known: Sequence[str], option: str) -> list[str]:
    if given is None:
        return list(known)
    names = [name.strip() for name in given.split(",")]
    if wrong := [name for name in names if name not in known]:
        raise typer.BadParameter(f"{wrong[0]!r} is none of {', '.join(known)}", param_hint=option)
    return names


def _drawn(ids: Sequence[str], samples: int, seed: int) -> list[str]:
    """Some of the rows at random, in their order."""
    import numpy as np

    if len(ids) <= samples:
        return list(ids)
    chosen = np.sort(np.random.default_rng(seed).choice(len(ids), samples, replace=False))
    return [ids[i] for i in chosen.tolist()]


def _usable(
    opened: Any, ids: list[str], filler: str | None, parts: str | None, seed: int
) -> "tuple[Subject, dict[str, str]]":
    """The samples that can be explained and scored, and why the others cannot.

    Raises
    ------
    SciExplainError
        None can; what is said is the reason of the first.
    """
    from sciexplain.cli.evaluation_subjects import subject, subject_type
    from sciexplain.errors import DataError, SciExplainError

    kind = subject_type(opened.kind)
    apart = kind.together_with(opened, ids)
    ids = [name for name in ids if name not in apart]
    if filler in kind.together and len(ids) == 1:
        raise DataError(f"--filler {filler} takes from other samples, and there is one only; give another filler")
    alone = filler if filler is None or filler not in kind.together else kind.fillers[0]

    def tried(make: "Callable[[], Subject]") -> "Subject | SciExplainError":
        from sciexplain.errors import ModelError

        try:
            made = make()
            made.check()
        except SciExplainError as error:
            return error
        except Exception as error:  # the user's model may raise anything
            return ModelError(f"{type(error).__name__}: {error}")
        return made

    made = tried(lambda: subject(opened, ids, filler, parts, seed))
    if not isinstance(made, Exception):
        return made, apart
    each = {name: tried(lambda name=name: subject(opened, [name], alone, parts, seed)) for name in ids}  # type: ignore[misc]
    failures = {name: str(reason) for name, reason in each.items() if isinstance(reason, Exception)}
    left = [name for name in ids if name not in failures]
    if not left or len(left) == len(ids):
        raise made
    return subject(opened, left, filler, parts, seed), apart | failures


def _without_failing(whole: "Subject", filler: str | None) -> "tuple[Subject, dict[str, str]]":
    """Those whose score is a number with any of their parts gone, and why not of the others; all where none is."""
    from sciexplain.cli.evaluation import One
    from sciexplain.cli.evaluation_subjects import subject
    from sciexplain.errors import SciExplainError
    from sciexplain.evaluate import flipping

    failing = {}
    relevance = whole.folded({whole.method: whole.relevance})[whole.method]
    for i, name in enumerate(whole.ids):
        try:
            for order in ("most", "least", "random"):
                flipping(One(whole.removal, i), [relevance[i]], order=order)
        except SciExplainError as error:
            failing[name] = str(error)
    left = [name for name in whole.ids if name not in failing]
    if not left or not failing:
        return whole, {}
    return subject(whole.opened, left, filler, whole.parts, whole.seed), failing


def _table(found: "Evaluation", subject: "Subject") -> Any:
    """Figures by method, and what each means."""
    from rich.markup import escape
    from rich.table import Table

    from sciexplain.cli.evaluation import MEANINGS
    from sciexplain.evaluate import table

    rows = table(found.scores, reference=found.method)
    methods = list(dict.fromkeys([found.method, *(row.method for row in rows)]))
    made = Table(
        title=f"{len(found.ids)} samples: {subject.part} taken away, filler {subject.filler}",
        show_lines=True,
        caption="mean [95 % interval over samples]; * differs from the run's explanation on the same samples",
    )
    made.add_column("figure, and what it is")
    for name in methods:
        made.add_column(name, justify="right", overflow="fold")
    for metric in dict.fromkeys(row.metric for row in rows):
        of = {row.method: row for row in rows if row.metric == metric}
        unit = next((f" ({row.unit})" for row in of.values() if row.unit), "")
        cells = [_cell(of[name]) if name in of else "" for name in methods]
        made.add_row(f"[bold]{metric}[/]{escape(unit)}\n[dim]{escape(MEANINGS[metric])}[/]", *cells)
    return made


def _cell(row: Any) -> str:
    """The mean, and below it the interval, to one or two digits of its half width."""
    if row.samples == 0:
        return ""
    half = (row.high - row.low) / 2
    if not 0 < half < float("inf"):
        return f"{row.mean:.3g}".replace("-", "−")
    small = max(abs(row.low), abs(row.high)) < 1e-3
    digits = 2 if half / 10 ** floor(log10(half)) < 3.55 else 1
    places = min(4, max(0, digits - 1 - floor(log10(half))))
    mean, low, high = (f"{v:.1e}" if small else f"{v:.{places}f}" for v in (row.mean, row.low, row.high))
    differs = row.difference is not None and (row.difference.low > 0 or row.difference.high < 0)
    return rf"{mean}{'*' if differs else ' '}{chr(10)}\[{low}, {high}]".replace("-", "−")
