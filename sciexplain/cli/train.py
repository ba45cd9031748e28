"""``sciexplain train``: small honest reference models on a named data set or a user's own table."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sciexplain.cli import train_images, train_prior
from sciexplain.cli.console import say
from sciexplain.cli.folders import check_new
from sciexplain.cli.training import reporting
from sciexplain.errors import DataError

if TYPE_CHECKING:
    from sciexplain.datasets import LabelledMolecules, LabelledSequences
    from sciexplain.domains.genomics.reference.assemble import Reading

app = typer.Typer(no_args_is_help=True, help="Train a small reference model, and say what it is worth.")
app.command("images", no_args_is_help=True)(train_images.images)
app.add_typer(train_prior.app, name="prior")


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
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and division.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model in FOLDER.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Train a reference model; the error printed is that on molecules it was never shown.

    FOLDER then holds model.json (what it is, its errors, its data) and model.safetensors, and is a --model for
    `sciexplain explain molecules`.
    """
    from sciexplain.domains.molecules import reference

    check_new(out, "model.json", overwrite=overwrite)
    labelled = _labelled(data, target, smiles, unit, seed)
    with reporting(model, epochs, quiet=quiet) as report:
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
    say(lines)


@app.command("genomics", no_args_is_help=True)
def genomics(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to make for the model.")],
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FILE",
            help="A name that `data list` shows; a table with sequences and values; or several files, one for each "
            "class: FASTA, BED, narrowPeak, GenBank. Give it again for each.",
        ),
    ] = None,
    positive: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="Sequences of the class.")] = None,
    negative: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="Sequences that are not of it.")] = None,
    negatives: Annotated[
        Literal["shuffled"] | None, typer.Option(help="In place of --negative: shuffles that keep dinucleotides.")
    ] = None,
    genome: Annotated[list[Path] | None, typer.Option(metavar="FASTA", help="For BED: where the letters are.")] = None,
    target: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Column to predict; give it again for several.")
    ] = None,
    sequence: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column with sequences, if not found.")] = None,
    length: Annotated[
        int | None, typer.Option(min=1, help="Letters, around the centre; needed if lengths differ.")
    ] = None,
    alphabet: Annotated[Literal["DNA", "RNA", "protein"], typer.Option(help="Of the sequences.")] = "DNA",
    split: Annotated[
        Literal["chromosome", "random"] | None,
        typer.Option(help="What is held out; default: whole chromosomes where places are known."),
    ] = None,
    model: Annotated[
        Literal["small", "basset", "deepsea", "danq", "bpnet", "enformer"], typer.Option(help="Kind of network.")
    ] = "small",
    epochs: Annotated[int, typer.Option(min=1, help="Passes at most.")] = 60,
    patience: Annotated[int, typer.Option(min=1, help="Passes without a better validation loss, to stop after.")] = 8,
    channels: Annotated[int, typer.Option(min=1, help="Filters of the first convolution.")] = 32,
    layers: Annotated[
        int | None, typer.Option(min=1, help="Convolutions of small, dilated ones of bpnet, blocks of enformer.")
    ] = None,
    kernel: Annotated[
        int | None, typer.Option(min=1, help="Letters that a filter sees; default: as published.")
    ] = None,
    augment: Annotated[
        bool | None, typer.Option("--augment/--no-augment", help="Show reverse complements too; default: for DNA.")
    ] = None,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 2e-3,
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences at a time.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order, division and shuffles.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model in FOLDER.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Train a reference model of sequences; the figures printed are those on sequences it was never shown.

    FOLDER then holds model.json (what it is, its figures, its data) and model.safetensors, and is a --model for
    `sciexplain explain genomics`.
    """
    from sciexplain.domains.genomics import reference
    from sciexplain.domains.genomics.reference.assemble import Reading

    check_new(out, "model.json", overwrite=overwrite)
    options = {"genome": genome, "length": length, "alphabet": alphabet, "sequence": sequence}
    reading = Reading(options, split, seed)
    labelled = _sequences(data or [], positive or [], negative or [], negatives, target or [], reading)
    with reporting(model, epochs, quiet=quiet) as report:
        trained = reference.train(
            labelled,
            model,
            epochs=epochs,
            patience=patience,
            lr=lr,
            batch_size=batch_size,
            seed=seed,
            augment=augment,
            alphabet=alphabet,
            channels=channels,
            layers=layers,
            kernel=kernel,
            report=report,
        )
    reference.save(trained, out)
    parts = ", ".join(f"{trained.data[part]} to {use}" for part, use in _USES.items())
    lines = [
        f"{model} on {labelled.name}: {len(trained.epochs)} epochs in {trained.seconds:.0f} s, saved in {out}",
        f"{parts}; {labelled.split}",
        *(
            f"test {name} {_shown(value)} (by composition alone {_shown(trained.composition[name])}, "
            f"predicting the mean {_shown(trained.baseline[name])})"
            for name, value in trained.test.items()
        ),
        *(f"left out {place}: {reason}" for place, reason in labelled.failures),
    ]
    say(lines)


_USES = {"train": "learn from", "valid": "choose by", "test": "test on"}


def _shown(value: float) -> str:
    return "undefined" if value != value else f"{value:.3f}"


def _sequences(
    data: list[str],
    positive: list[Path],
    negative: list[Path],
    negatives: Literal["shuffled"] | None,
    target: list[str],
    reading: "Reading",
) -> "LabelledSequences":
    """A named data set, a table with targets, files of a class and of its negatives, or one file for each class."""
    from sciexplain.domains.genomics.reference import assemble

    files = [Path(one) for one in data]
    if len(data) == 1 and not files[0].exists():
        return _named(data[0], target)
    if missing := [path for path in (*files, *positive, *negative) if not path.exists()]:
        raise DataError(f"there is no file {missing[0]}")
    if bool(data) == bool(positive):
        raise DataError("give either --data, or --positive with --negative or --negatives shuffled")
    if negative and negatives:
        raise DataError("give either --negative or --negatives shuffled")
    if len(data) == 1 and target:
        return assemble.from_table(files[0], target, reading)
    if target:
        raise DataError(f"--target {target[0]}: a column of one table, but there are {len(files or positive)} files")
    if len(data) > 1:
        if negative or negatives:
            raise DataError("the files of --data are the classes; give negatives to --positive")
        return assemble.from_classes({_stem(file): [file] for file in files}, reading)
    if negatives or negative:
        yes = positive or files
        return assemble.from_positives(_stem(yes[0]), yes, negatives or negative, reading)
    raise DataError(
        f"{(files or positive)[0]} is one class: give --target if it is a table, another --data for each further "
        "class, --negative, or --negatives shuffled"
    )


def _named(name: str, target: list[str]) -> "LabelledSequences":
    from sciexplain import datasets

    if name not in datasets.names() and ("." in name or "/" in name):
        raise DataError(f"there is no file {name}")
    found = datasets.load(name)
    if not isinstance(found, datasets.LabelledSequences):
        raise DataError(f"{name} holds no sequences; `sciexplain data list` shows which data sets do")
    if unknown := [one for one in target if one not in found.tasks]:
        raise DataError(f"{name} has no target {unknown[0]!r}; it has {', '.join(found.tasks)}")
    columns = [found.tasks.index(one) for one in target] or list(range(len(found.tasks)))
    return replace(found, targets=found.targets[:, columns], tasks=tuple(found.tasks[i] for i in columns))


def _stem(path: Path) -> str:
    """The name of a file without what says its kind: ``ctcf`` of ``ctcf.fa.gz``."""
    return path.name.split(".")[0]


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
        kind = "images" if isinstance(found, datasets.LabelledImages) else "no molecules"
        raise DataError(f"{data} holds {kind}; `sciexplain data list` shows which data sets are molecules")
    if target is None:
        return found
    if target not in found.tasks:
        raise DataError(f"{data} has no target {target!r}; it has {', '.join(found.tasks)}")
    column = found.tasks.index(target)
    return replace(found, targets=found.targets[:, [column]], tasks=(target,), units=(found.units[column],))
