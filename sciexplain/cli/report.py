"""``sciexplain report``: a run as pages to read in a browser."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sciexplain.cli import options
from sciexplain.cli.console import progress, say
from sciexplain.cli.folders import check_folder

if TYPE_CHECKING:
    from sciexplain.cli.reopened import Reopened
    from sciexplain.report import Content
    from sciexplain.runs import Run

# Each has `content(run, opened)`: what its samples look like; `opened` is None where model or data are not at hand.
_CONTENTS = {kind: f"sciexplain.cli.{kind}_report" for kind in ("images", "molecules", "genomics")}


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", exists=True, file_okay=False, help="Folder of `explain`.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder to make for the pages; default: RUN/report.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the report that is there.")] = False,
    samples: Annotated[
        int, typer.Option(min=0, help="The most with a page of their own; the gallery has all.")
    ] = 10_000,
    against: Annotated[
        int, typer.Option(min=0, help="Pictures, from the first, that are explained for their second class too.")
    ] = 500,
    channels: Annotated[bool, typer.Option("--channels", help="Pictures: the relevance of each channel too.")] = False,
    labels: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="True classes: a table (CSV, TSV, Parquet) with id and label, or NPZ with labels; NPZ data bring "
            "their own.",
        ),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Names of the classes; default: the model's.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Where it is now, if it has moved.")] = None,
    weights: Annotated[Path | None, typer.Option(help="The same of its weights.")] = None,
    data: Annotated[Path | None, typer.Option(exists=True, help="The same of the data.")] = None,
    device: Annotated[str, typer.Option(parser=options.device, help="Such as cpu or cuda.")] = "cpu",
    unsafe_pickle: Annotated[
        bool,
        typer.Option("--unsafe-pickle", help="Read weights that carry code. They can do anything to this machine."),
    ] = False,
    trust_run: options.TrustRun = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Make a run into pages that open from disk, offline: an overview, a gallery of all rows, and a page per sample.

    It works on a run that is not finished, and where model or data have gone: then without what needs them. Exit code
    0: done; 2: wrong usage.
    """
    from sciexplain.domains.colormap import relevance_colours
    from sciexplain.report.labels import own_labels, read_labels
    from sciexplain.report.write import check_free, write_report
    from sciexplain.runs import open_run

    opened_run = open_run(run)
    folder = out or run / "report"
    check_folder(folder)
    check_free(folder, overwrite=overwrite)
    named = None if classes is None else [name.strip() for name in classes.split(",")]
    with progress(quiet=quiet) as bar:
        task = bar.add_task("opening the run", total=None)
        opened, notes = _opened(opened_run, model, weights, data, unsafe_pickle, trust_run, device)
        content = content_of(opened_run, opened, against=against, channels=channels)
        names = named if named is not None else content.meta().get("classes")
        source = data or Path(str((opened_run.info.get("data") or {}).get("path", "")))
        truth = own_labels(source, names) if labels is None else read_labels(labels, names)
        made = write_report(
            opened_run,
            content,
            folder,
            colours=relevance_colours(),
            labels=truth,
            classes=named,
            samples=samples,
            notes=notes,
            overwrite=overwrite,
            say=lambda text: bar.update(task, description=text),
        )
    say([*notes, f"{made.rows} rows, {made.samples} of them with a page of their own; open {made.index}"])


def _opened(
    run: "Run",
    model: str | None,
    weights: Path | None,
    data: Path | None,
    unsafe_pickle: bool,
    trust_run: bool,
    device: str,
) -> "tuple[Reopened | None, list[str]]":
    """The run with its model and data; None, and what to tell of it, where they are not at hand.

    Raises
    ------
    SciExplainError
        What the user named cannot be opened.
    """
    from sciexplain.cli.reopen import reopen
    from sciexplain.errors import SciExplainError

    try:
        return reopen(
            run.path,
            model=model,
            weights=weights,
            data=data,
            unsafe_pickle=unsafe_pickle,
            trust=trust_run,
            device=device,
        ), []
    except SciExplainError as error:
        if model is not None or weights is not None or data is not None:
            raise
        return None, [f"Made from the rows alone, without inputs: {error}"]


def content_of(run: "Run", opened: "Reopened | None", **of_pictures: Any) -> "Content":
    """What the domain of a run adds to its report.

    Parameters
    ----------
    **of_pictures
        Options of :func:`sciexplain.cli.images_report.content`.

    Raises
    ------
    DataError
        It is a run of no domain.
    """
    from sciexplain.errors import DataError

    kind = str(run.info.get("command", "")).rpartition(" ")[2]
    if kind not in _CONTENTS:
        raise DataError(
            f"{run.path} was made by {run.info.get('command')!r}; expected explain images, molecules or genomics"
        )
    make: Callable[..., Content] = import_module(_CONTENTS[kind]).content
    return make(run, opened, **(of_pictures if kind == "images" else {}))
