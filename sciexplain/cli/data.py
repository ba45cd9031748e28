"""``sciexplain data``: the named data sets."""

from typing import Annotated

import typer
from rich.table import Table

from sciexplain import datasets
from sciexplain.cli.console import results
from sciexplain.datasets.registry import Labelled

app = typer.Typer(no_args_is_help=True, help="List and fetch the named data sets.")


@app.command("list")
def list_names() -> None:
    """List the data sets by name."""
    table = Table("name", "what it is")
    for name in datasets.names():
        table.add_row(name, datasets.describe(name))
    results().print(table)


@app.command()
def get(name: Annotated[str, typer.Argument(help="A name that `sciexplain data list` shows.")]) -> None:
    """Fetch, check and cache a data set, and say what it holds."""
    data = datasets.load(name)
    lines = [f"{name}: {_said_of(data)}"]
    if isinstance(data, datasets.LabelledMolecules | datasets.LabelledSequences):
        lines += [f"left out {place}: {reason}" for place, reason in data.failures]
    for line in lines:
        results().print(line, highlight=False, markup=False, soft_wrap=len(lines) > 1)


def _said_of(data: Labelled) -> str:
    match data:
        case datasets.LabelledImages():
            return _images(data)
        case datasets.LabelledMolecules():
            return _molecules(data)
        case datasets.LabelledSequences():
            return _sequences(data)
        case datasets.LabelledExpression():
            return _expression(data)


def _images(data: datasets.LabelledImages) -> str:
    shape = " × ".join(str(size) for size in data.images.shape[1:])
    return (
        f"{len(data)} images of {shape}, {len(data.names)} classes, "
        f"{len(data.train)} for training and {len(data.test)} held out"
    )


def _molecules(data: datasets.LabelledMolecules) -> str:
    tasks = ", ".join(f"{task} ({unit})" if unit else task for task, unit in zip(data.tasks, data.units, strict=True))
    known = [what for what, truth in (("atoms", data.atom_truth), ("bonds", data.bond_truth)) if truth is not None]
    return (
        f"{len(data)} molecules, {tasks}, {len(data.train)} for training, {len(data.valid)} for validation and "
        f"{len(data.test)} held out ({data.split})"
        + (f", true contributions of {' and '.join(known)}" if known else "")
        + (f", {len(data.failures)} records left out" if data.failures else "")
    )


def _sequences(data: datasets.LabelledSequences) -> str:
    lengths = sorted({len(record) for record in data.records})
    return (
        f"{len(data)} sequences of {'–'.join(str(n) for n in dict.fromkeys((lengths[0], lengths[-1])))} bp, "
        f"{', '.join(data.tasks)}, {len(data.train)} for training, {len(data.valid)} for validation and "
        f"{len(data.test)} held out ({data.split})"
        + (f", {len(data.truth)} true sites and {len(data.decoys)} decoys" if data.truth else "")
        + (f", {len(data.failures)} records left out" if data.failures else "")
    )


def _expression(data: datasets.LabelledExpression) -> str:
    classes = ", ".join(f"{int((data.labels == i).sum())} {name}" for i, name in enumerate(data.names))
    return f"{len(data.genes)} genes ({data.unit}) in {len(data)} patients, {classes}, {len(data.gene_sets)} gene sets"
