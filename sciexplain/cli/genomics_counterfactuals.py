"""``sciexplain maximize genomics --counterfactual``: the nearest sequences of which a model says something else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from sciexplain.cli.console import progress, say
from sciexplain.domains import genomics
from sciexplain.domains.genomics.design import (
    Counterfactual,
    Counterfactuals,
    Design,
    Designs,
    counterfactual,
    draw_designs,
)
from sciexplain.errors import SciExplainError

ONLY_MAXIMIZE = ("start", "length", "method", "restarts", "prior", "prior_weight", "motifs")
"""Options that say nothing of counterfactuals."""
_EDITS, _DRAWN = 20, 250


def counterfactuals(
    network: Any,
    records: Sequence[genomics.Record],
    target: int | None,
    asked: dict[str, Any],
    out: Path,
    about: dict[str, Any],
    failures: list[tuple[str, str]],
    *,
    rows: int,
    quiet: bool,
) -> None:
    """Search them, and write ``counterfactuals.fa``, ``designs.json`` and ``counterfactuals.png``.

    Parameters
    ----------
    records
        The sequences.
    target
        See :func:`~sciexplain.domains.genomics.design.counterfactual`.
    asked
        What else that function is given.
    about
        What was asked of which model and data, as JSON values.
    failures
        Sequences that could not be read, and why; those that cannot be edited as asked are added.
    rows
        Sequences to draw.

    Raises
    ------
    SciExplainError
        None of the sequences can be asked about.
    typer.Exit
        Code 1: some of them could not, or none was found for some.
    """
    asked = asked | {"edits": _EDITS if asked["edits"] is None else asked["edits"]}
    found: list[Counterfactual] = []
    errors: list[SciExplainError] = []
    with progress(quiet=quiet) as bar:
        task = bar.add_task("searching the nearest", total=len(records))
        for record in records:
            try:
                found += counterfactual(network, [record], target, **asked)
            except SciExplainError as error:
                errors.append(error)
                failures.append((record.name, str(error).removeprefix(f"{record.name}: ")))
            words = f"searching the nearest, {sum(one.found for one in found)} found"
            bar.update(task, advance=1, description=words)
        if not found:
            raise errors[0]
        figure = _picture(network, [one for one in found if one.found][:rows], target, asked)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("designs.fa", "designs.png", "simple.fa", "simple.json"):
        (out / name).unlink(missing_ok=True)  # of a maximisation before
    together = Counterfactuals(tuple(found))
    together.to_fasta(out / "counterfactuals.fa")
    if figure is None:
        (out / "counterfactuals.png").unlink(missing_ok=True)
    else:
        figure.savefig(out / "counterfactuals.png", dpi=150)
    failed = [{"name": name, "reason": reason} for name, reason in failures]
    together.to_json(out / "designs.json", {**about, "failures": failed})
    say([*map(_line, found), *(f"failed {name}: {reason}" for name, reason in failures)])
    there = sum(one.found for one in found)
    say([f"{there} counterfactuals in {out}" + (": open counterfactuals.png" if there else "")])
    if failures or there < len(found):
        raise typer.Exit(1)


def _line(one: Counterfactual) -> str:
    classes = "" if one.class_after is None else f", class {one.class_before} becomes {one.class_after}"
    values = "" if one.class_after is not None or not one.after else f", {one.before[0]:.4g} becomes {one.after[0]:.4g}"
    return f"{one}{classes}{values}"


def _picture(network: Any, found: Sequence[Counterfactual], target: int | None, asked: dict[str, Any]) -> Any:
    """Each as it was above, and below as it decides otherwise, with the relevance for what was decided before."""
    if not found:
        return None
    groups: dict[str, Designs] = {}
    explained = {}
    for number, one in enumerate(found):
        output = target if one.class_before is None else one.class_before
        place = 0 if one.class_before is None else one.class_before
        assert one.sequence is not None
        pair = [("as it is", one.start), ("counterfactual", one.sequence)]
        sequences = genomics.Sequences.of([genomics.Record(name, text) for name, text in pair], asked["alphabet"])
        least = "the fewest" if one.proven else f"at least {one.at_least} are needed"
        count = f"{len(one.edits)} edit{'' if len(one.edits) == 1 else 's'} ({least})"
        what = "" if one.class_after is None else f"class {one.class_before} becomes {one.class_after}, "
        title = f"{one.name}: {what}{count}"
        title = title if title not in groups else f"{title} [{number}]"
        values = one.before[place], one.after[place]
        made = (_design(pair[0], values[0], None, ()), _design(pair[1], values[1], values[0], one.edits))
        groups[title] = Designs(made, sequences, "counterfactual")
        explained[title] = genomics.explain(
            network, sequences, output, composite="epsilon_alpha2_beta1", layout=asked["layout"]
        )
    start, end = _span(found)
    return draw_designs(groups, explained, rows=2, start=start, end=end)


def _design(named: tuple[str, str], value: float, before: float | None, edits: Any) -> Design:
    known = [letter in "GC" for letter in named[1] if letter in "ACGT"]
    gc = sum(known) / len(known) if known else None
    return Design(named[0], named[1], value, value, before, tuple(edits), gc, None, settled=True)


def _span(found: Sequence[Counterfactual]) -> tuple[int, int]:
    """Letters to draw: all, or those around the edits."""
    length = min(len(one.start) for one in found)
    if length <= _DRAWN:
        return 0, length
    places = [edit.position for one in found for edit in one.edits]
    middle = (min(places) + max(places)) // 2
    start = max(0, min(middle - _DRAWN // 2, length - _DRAWN))
    return start, start + _DRAWN
