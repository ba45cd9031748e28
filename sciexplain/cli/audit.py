"""``sciexplain audit``: does the model cheat?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sciexplain.cli import options
from sciexplain.cli.console import progress, results, say
from sciexplain.cli.folders import check_folder

if TYPE_CHECKING:
    from sciexplain.audit import Spray

_LISTED = 8


def audit(
    ctx: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", exists=True, file_okay=False, help="Folder of `explain`.")],
    classes: Annotated[
        str | None, typer.Option(metavar="INT[,INT…]", help="Explained classes to audit; default: all.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE|COLUMN",
            help="True classes: a table (CSV, TSV, Parquet) with id and label; of molecules also a column.",
        ),
    ] = None,
    edit: Annotated[
        bool, typer.Option("--edit", help="Edit what a cluster shares, and see what it costs of the score.")
    ] = False,
    clusters: Annotated[
        int | None, typer.Option(min=1, help="In each class; default: by the eigengap.", show_default=False)
    ] = None,
    embedding: Annotated[Literal["tsne", "umap"], typer.Option(help="How the picture places samples.")] = "tsne",
    alpha: Annotated[float, typer.Option(help="Probability of an alarm by chance.")] = 0.01,
    material: Annotated[float, typer.Option(help="Share of relevance, and of the score, that matters.")] = 0.1,
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
    """Cluster a run's explanations, and rank the clusters by how suspicious they are.

    RUN then holds audit.png (to open first), audit.json (each cluster, what speaks against it, its members) and
    clusters.parquet (each sample's cluster and place in the picture). Exit code 0, whether or not there is an alarm; 2:
    wrong usage.
    """
    from sciexplain.cli.audit_figure import audit_figure
    from sciexplain.cli.audit_files import read_labels, write
    from sciexplain.cli.audit_subjects import audit_subject
    from sciexplain.cli.reopen import reopen
    from sciexplain.errors import DataError
    from sciexplain.runs import describe_versions

    wanted = None if classes is None else _numbers(classes)
    folder = out or run
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with progress(quiet=quiet) as bar:
        task = bar.add_task("opening the run", total=None)
        opened = reopen(
            run, model=model, weights=weights, data=data, unsafe_pickle=unsafe_pickle, trust=trust_run, device=device
        )
        if not opened.ids:
            raise DataError(f"{run} has no rows to audit")
        subject = audit_subject(opened, seed)
        truth, names = (None, None) if labels is None else read_labels(labels, subject)
        bar.update(task, description="clustering")
        found = subject.audited(
            labels=truth,
            edit=edit,
            classes=wanted,
            clusters=clusters,
            embedding=embedding,
            alpha=alpha,
            material=material,
            label_names=names,
        )
        bar.update(task, description="drawing")
        asked = {
            "run": str(run),
            "versions": describe_versions(),
            "options": {name: options.plain(value) for name, value in ctx.params.items()},
        }
        made = write(found, folder, opened.ids, asked, audit_figure(found, subject))
    results().print(_table(found))
    say([_verdict(found), f"{len(opened.ids)} samples in {', '.join(str(path) for path in made)}"])


def _numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise typer.BadParameter(f"{text!r} should be class indices, such as 3 or 0,4", param_hint="--classes")
    return [int(part) for part in parts]


def _verdict(found: "Spray") -> str:
    if not found.alarm:
        return "no alarm; the table has the order to look at clusters in"
    first = found[0]
    more = f", and {len(found.alarms) - 1} more" if len(found.alarms) > 1 else ""
    return (
        f"ALARM: {len(first)} samples of class {first.target} share relevance {first.place}: {first.where}{more}. "
        "Look at them before the model is used."
    )


def _table(found: "Spray") -> Any:
    """The most suspicious clusters, and why."""
    from rich.markup import escape
    from rich.table import Table

    left = len(found) - _LISTED
    made = Table(
        title=f"{len(found.cluster)} samples, {len(found)} clusters",
        caption=f"{left} more in audit.json" if left > 0 else None,
        show_lines=True,
    )
    for name, justify in (("", "right"), ("class", "right"), ("samples", "right"), ("suspicion", "right")):
        made.add_column(name, justify=justify)  # type: ignore[arg-type]  # rich has a Literal
    made.add_column("where", max_width=28, overflow="fold")
    made.add_column("why")
    for rank, one in enumerate(found.clusters[:_LISTED], start=1):
        mark = f"[bold red]{one.suspicion:.2f} ALARM[/]" if one.alarm else f"{one.suspicion:.2f}"
        made.add_row(str(rank), str(one.target), str(len(one)), mark, escape(one.where), escape("; ".join(one.reasons)))
    return made
