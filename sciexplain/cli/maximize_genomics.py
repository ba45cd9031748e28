"""``sciexplain maximize genomics``: sequences that a user's model says most about."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sciexplain.cli import options
from sciexplain.cli.console import progress, say
from sciexplain.cli.folders import check_new
from sciexplain.errors import DataError, SciExplainError, TargetError

_SIMPLE, _LEARNED = "simple prior: any letters", "learned prior"

if TYPE_CHECKING:
    from sciexplain.domains.genomics import Record
    from sciexplain.domains.genomics.design import Designs


def genomics(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Option(
            metavar="FOLDER|MODULE:FUNCTION",
            help="A folder that `train genomics` made, or a function that returns the model.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to make for the sequences and the picture.")],
    target: Annotated[
        str | None,
        typer.Option(metavar="INT|TASK", help="Output to maximise or class to become; not needed if one."),
    ] = None,
    length: Annotated[int | None, typer.Option(min=1, help="Letters, from scratch; default: the model's.")] = None,
    start: Annotated[
        Path | None,
        typer.Option(exists=True, metavar="FASTA", help="Real sequences to begin with, in place of scratch."),
    ] = None,
    counterfactual: Annotated[
        Path | None,
        typer.Option(exists=True, metavar="FASTA", help="In place of --start: what decides about these sequences."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Counterfactuals make --target cross it; default: 0 of one output, of several the largest."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Of these, take this many sequences.")] = None,
    edits: Annotated[
        int | None, typer.Option(min=0, help="Letters of each real sequence that may change; counterfactuals: 20.")
    ] = None,
    positions: Annotated[
        Any, typer.Option(parser=options.numbers, metavar="INT,INT", help="First and last that may change, from 0.")
    ] = None,
    gc: Annotated[
        Any, typer.Option(parser=options.numbers, metavar="LOW,HIGH", help="Share of G and C, such as 0.4,0.6.")
    ] = None,
    forbid: Annotated[
        list[str] | None,
        typer.Option(metavar="MOTIF", help="May not occur on either strand, IUPAC; several times, or by commas."),
    ] = None,
    method: Annotated[
        Literal["relaxed", "search"], typer.Option(help="Gradient ascent and search, or search alone.")
    ] = "relaxed",
    restarts: Annotated[int | None, typer.Option(min=1, help="Attempts; default: 8, of real sequences 1.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of each attempt, at most.")] = 200,
    prior: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="That `train prior genomics` made; drawn beside what is found without."),
    ] = None,
    prior_weight: Annotated[float, typer.Option(min=0, help="Of the log-density beside the output.")] = 1.0,
    motifs: Annotated[
        Path | None, typer.Option(exists=True, metavar="MEME", help="Known motifs, to say which sites appeared.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="For MODULE:FUNCTION: .safetensors, or a state_dict from torch.save.")
    ] = None,
    layout: Annotated[
        Literal["NCL", "NLC"] | None, typer.Option(help="(N, channels, L) or (N, L, channels), if not found.")
    ] = None,
    alphabet: Annotated[
        Literal["DNA", "RNA", "protein"] | None, typer.Option(help="Of the sequences; default: the model's, or DNA.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Sequences to draw.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of starts and draws.")] = 0,
    device: Annotated[str, typer.Option(parser=options.device, help="Such as cpu or cuda.")] = "cpu",
    unsafe_pickle: Annotated[
        bool,
        typer.Option("--unsafe-pickle", help="Read weights that carry code. They can do anything to this machine."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the results in FOLDER.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Find what a model thinks a class of sequences looks like: from scratch, or by few edits of real sequences.

    FOLDER holds designs.fa, designs.json (predictions, edits and what each gained, known sites) and designs.png; with
    --prior also the same without it, as simple.fa and simple.json. With --counterfactual, the fewest edits that turn
    the decision: counterfactuals.fa, counterfactuals.png and designs.json. Exit code 0: done; 1: done, some sequences
    failed (they are listed); 2: wrong usage.
    """
    from sciexplain.cli.genomics_designs import Seen, picture, side_by_side, with_density
    from sciexplain.domains.genomics import read_motifs
    from sciexplain.domains.genomics import reference as references
    from sciexplain.domains.genomics.reference.prior_training import load_prior
    from sciexplain.runs import describe_files, describe_model, describe_versions, load_model

    check_new(out, "designs.json", overwrite=overwrite)
    _check_asked(ctx, start, counterfactual, limit, threshold)
    folder = Path(model)
    network = references.load(folder) if folder.is_dir() else load_model(model, weights, unsafe_pickle=unsafe_pickle)
    network = network.to(device)
    letters = alphabet or getattr(network, "alphabet", None) or "DNA"
    known = None if motifs is None else read_motifs(motifs)
    failures: list[tuple[str, str]] = []
    given = start or counterfactual
    records = None if given is None else _records(given, network, letters, limit, failures)
    asked: dict[str, Any] = {
        "edits": edits,
        "positions": _pair("positions", positions, int),
        "gc": _pair("gc", gc, float),
        "forbidden": tuple(motif for listed in forbid or [] for motif in listed.split(",") if motif),
        "steps": steps,
        "seed": seed,
        "layout": layout,
        "alphabet": letters,
    }
    index = _output(target, network)
    density = None if prior is None else load_prior(prior).to(device)
    about: dict[str, Any] = {
        "command": "maximize genomics",
        "model": describe_model(network, model, weights),
        "data": None if given is None else describe_files(given, [given]),
        "prior": None if prior is None else describe_files(prior, sorted(prior.glob("prior.*"))),
        "versions": describe_versions(),
        "options": {key: options.plain(value) for key, value in ctx.params.items()},
    }
    if counterfactual is not None:
        from sciexplain.cli.genomics_counterfactuals import counterfactuals

        asked |= {"threshold": threshold}
        counterfactuals(network, records or [], index, asked, out, about, failures, rows=rows, quiet=quiet)
        return
    asked |= {"method": method, "restarts": restarts}
    groups: dict[str, Designs] = {}
    with progress(quiet=quiet) as bar:
        if density is not None:
            simple = _designs(network, index, length, records, asked, bar, [])
            groups[_SIMPLE] = with_density(simple, density)
            asked |= {"prior": density, "prior_weight": prior_weight}
        main = groups[_LEARNED if density is not None else ""] = _designs(
            network, index, length, records, asked, bar, failures
        )
        drawing = bar.add_task("explaining and drawing", total=1)
        seen = {name: Seen.of(network, index, group, known, layout) for name, group in groups.items()}
        figure = picture(groups, seen, rows)
        out.mkdir(parents=True, exist_ok=True)
        figure.savefig(out / "designs.png", dpi=150)
        bar.advance(drawing)
    (out / "counterfactuals.fa").unlink(missing_ok=True)  # of a search before
    (out / "counterfactuals.png").unlink(missing_ok=True)
    about["failures"] = [{"name": name, "reason": reason} for name, reason in failures]
    for name, group in groups.items():
        file = "simple" if name == _SIMPLE else "designs"
        group.to_fasta(out / f"{file}.fa")
        group.to_json(out / f"{file}.json", about | seen[name].as_json())
    lines = [f"{len(main)} sequences in {out}: predictions {main[0].prediction:.4g} to {main[-1].prediction:.4g}"]
    if density is not None:
        lines += side_by_side(groups, density)
    lines += [f"{name + ': ' if name else ''}{line}" for name in groups for line in seen[name].lines()]
    say([*lines, *(f"failed {name}: {reason}" for name, reason in failures)])
    if failures:
        raise typer.Exit(1)


def _check_asked(
    context: typer.Context, start: Path | None, counterfactual: Path | None, limit: int | None, threshold: float | None
) -> None:
    """That the options ask one question."""
    from sciexplain.cli.genomics_counterfactuals import ONLY_MAXIMIZE

    if counterfactual is not None:
        options.refuse(context, ONLY_MAXIMIZE, "is of maximisation; leave out --counterfactual")
    elif threshold is not None:
        raise DataError("--threshold is of --counterfactual; give that too, or leave it out")
    if threshold is not None and not isfinite(threshold):
        raise DataError(f"--threshold {threshold}: expected a number")
    if start is None and counterfactual is None and limit is not None:
        raise DataError("--limit is of the sequences of --start or --counterfactual; give these, or leave it out")


def _records(
    start: Path, network: Any, alphabet: str, limit: int | None, failures: list[tuple[str, str]]
) -> "list[Record]":
    """Sequences to start from, as long as the model takes."""
    from itertools import islice

    from sciexplain.domains import genomics as domain

    length = getattr(network, "length", None)
    read = domain.read(
        start,
        length=length if isinstance(length, int) else None,
        alphabet=alphabet,
        on_error=lambda place, error: failures.append((place, str(error))),
    )
    records = list(islice(read, limit))
    if not records:
        raise DataError(f"{start}: found no sequences" + (f"; {failures[0][1]}" if failures else ""))
    return records


def _designs(
    network: Any,
    target: Any,
    length: int | None,
    records: "Sequence[Record] | None",
    asked: dict[str, Any],
    bar: Any,
    failures: list[tuple[str, str]],
) -> "Designs":
    """From scratch, or of each record; records that cannot be edited as asked are failures.

    Raises
    ------
    SciExplainError
        None could.
    """
    from sciexplain.domains.genomics.design import Designs, maximize

    what = "with the prior" if "prior" in asked else "from scratch" if records is None else "editing"
    task = bar.add_task(f"maximising {what}", total=None)
    if records is None:
        return maximize(
            network, target, length=length,
            report=lambda p: bar.update(
                task, completed=p.done, total=p.total, description=f"maximising {what}, best {p.best:.4g}"
            ),
            **asked,
        )  # fmt: skip
    bar.update(task, total=len(records))
    parts: list[Designs] = []
    errors: list[SciExplainError] = []
    for record in records:
        try:
            parts.append(maximize(network, target, length=length, start=[record], **asked))
        except SciExplainError as error:
            errors.append(error)
            failures.append((record.name, str(error)))
        bar.advance(task)
    if not parts:
        raise errors[0]
    return Designs.joined(parts)


def _output(target: str | None, network: Any) -> int | None:
    """An index, or the index of a task by its name."""
    if target is None or target.isdecimal():
        return None if target is None else int(target)
    tasks = tuple(getattr(network, "tasks", ()))
    if target not in tasks:
        known = f", or {', '.join(tasks)}" if tasks else ""
        raise TargetError(f"--target {target}: expected an index from 0 up{known}")
    return tasks.index(target)


def _pair(name: str, given: Any, kind: type) -> Any:
    """Two numbers, such as 0.4,0.6."""
    if given is None:
        return None
    if len(given) != 2 or any(kind(value) != value for value in given):
        raise typer.BadParameter(f"--{name} {','.join(f'{v:g}' for v in given)}: expected two numbers, low,high")
    return kind(given[0]), kind(given[1])
