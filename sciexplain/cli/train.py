"""``sciexplain train``: small honest reference models on a named data set or a user's own table."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sciexplain.cli.console import progress, results
from sciexplain.errors import DataError

if TYPE_CHECKING:
    from sciexplain.datasets import LabelledMolecules

app = typer.Typer(no_args_is_help=True, help="Train a small reference model, and say what it is worth.")


@app.command("molecules", no_args_is_help=True)
def molecules(
    data: Annotated[
        str, typer.Option(metavar="NAME|CSV", help="A name that `data list` shows, or a table with SMILES and values.")
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to make for the model.")],
    model: Annotated[
        Literal["gin", "gat", "gcn", "dmpnn", "schnet"], typer.Option(help="Kind of network; schnet takes geometries.")
    ] = "gin",
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="What to predict, where there are several values.")
    ] = None,
    smiles: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column with SMILES, if not found.")] = None,
    unit: Annotated[str, typer.Option(help="Of a table's values, such as kcal/mol.")] = "",
    epochs: Annotated[int, typer.Option(min=1, help="Passes at most.")] = 200,
    patience: Annotated[int, typer.Option(min=1, help="Passes without a better validation loss, to stop after.")] = 30,
    width: Annotated[int, typer.Option(min=1, help="Features of each atom inside.")] = 64,
    layers: Annotated[int, typer.Option(min=1, help="Message-passing layers.")] = 3,
    readout: Annotated[Literal["sum", "mean"], typer.Option(help="Over the atoms of a molecule.")] = "sum",
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 1e-3,
    batch_size: Annotated[int, typer.Option(min=1, help="Molecules at a time.")] = 64,
    seed: Annotated[int, typer.Option(help="Of weights, order and division.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model in FOLDER.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Train a reference model; the error printed is that on molecules it was never shown.

    FOLDER then holds model.json (what it is, its errors, its data) and model.safetensors, and is a --model for
    `sciexplain explain molecules`.
    """
    from sciexplain.domains.molecules import reference

    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; give a folder that is empty or does not exist")
    if out.is_dir() and any(out.iterdir()) and not (overwrite and (out / "model.json").is_file()):
        remedy = " or --overwrite" if (out / "model.json").is_file() else ""
        raise DataError(f"{out} is not empty; give another folder{remedy}")
    labelled = _labelled(data, target, smiles, unit, seed)
    with progress(quiet=quiet) as bar:
        task = bar.add_task(f"training {model}", total=epochs)

        def report(epoch: reference.Epoch) -> None:
            bar.update(task, advance=1, description=f"training {model}, validation loss {epoch.valid_loss:.3f}")

        trained = reference.train(
            labelled,
            model,
            epochs=epochs,
            patience=patience,
            lr=lr,
            batch_size=batch_size,
            seed=seed,
            width=width,
            layers=layers,
            readout=readout,
            report=report,
        )
    reference.save(trained, out)
    lines = [
        f"{model} on {labelled.name}: {len(trained.epochs)} epochs in {trained.seconds:.0f} s, saved in {out}",
        *(
            f"test {name} {value:.3f} (predicting the mean: {trained.baseline[name]:.3f})"
            for name, value in trained.test.items()
        ),
        *(f"left out {place}: {reason}" for place, reason in (*labelled.failures, *trained.skipped)),
    ]
    for line in lines:
        results().print(line, highlight=False, markup=False, soft_wrap=True)


def _labelled(data: str, target: str | None, smiles: str | None, unit: str, seed: int) -> "LabelledMolecules":
    """A named data set, or a table; with ``target``, that column alone."""
    from sciexplain import datasets

    if Path(data).exists():
        if target is None:
            raise DataError(f"{data} is a table: say which column to predict with --target")
        return datasets.read_table(data, target, smiles=smiles, unit=unit, seed=seed)
    if data not in datasets.names() and ("." in data or "/" in data):
        raise DataError(f"there is no file {data}")
    found = datasets.load(data)
    if not isinstance(found, datasets.LabelledMolecules):
        raise DataError(f"{data} holds images; `sciexplain data list` shows which data sets are molecules")
    if target is None:
        return found
    if target not in found.tasks:
        raise DataError(f"{data} has no target {target!r}; it has {', '.join(found.tasks)}")
    column = found.tasks.index(target)
    return replace(found, targets=found.targets[:, [column]], tasks=(target,), units=(found.units[column],))
