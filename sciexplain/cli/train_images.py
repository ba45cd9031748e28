"""``sciexplain train images``: a small classifier of a named data set of pictures."""

from pathlib import Path
from typing import Annotated

import typer

from sciexplain.cli.console import say
from sciexplain.cli.folders import check_new
from sciexplain.cli.training import named_pictures, reporting


def images(
    data: Annotated[str, typer.Option(metavar="NAME", help="digits (built in) or mnist.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to make for the model.")],
    epochs: Annotated[int, typer.Option(min=1, help="Passes at most.")] = 30,
    patience: Annotated[int, typer.Option(min=1, help="Passes without a better validation loss, to stop after.")] = 5,
    width: Annotated[int, typer.Option(min=1, help="Filters of the first convolution.")] = 16,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 2e-3,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures at a time.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and division.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model in FOLDER.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Train a small convolutional classifier; the accuracy printed is that on pictures it was never shown.

    FOLDER then holds model.json (what it is, its accuracy, its data) and model.safetensors, and is a --model for
    `sciexplain explain images` and `sciexplain maximize images`.
    """
    from sciexplain.domains.images import reference

    check_new(out, "model.json", overwrite=overwrite)
    labelled = named_pictures(data)
    with reporting("a classifier", epochs, quiet=quiet) as report:
        trained = reference.train(
            labelled,
            data,
            epochs=epochs,
            patience=patience,
            lr=lr,
            batch_size=batch_size,
            width=width,
            seed=seed,
            report=report,
        )
    reference.save(trained, out)
    say(
        [
            f"classifier of {data}: {len(trained.epochs)} epochs in {trained.seconds:.0f} s, saved in {out}",
            f"{trained.data['train']} to learn from, {trained.data['valid']} to choose by, {trained.data['test']} to "
            f"test on; {trained.data['split']}",
            f"test accuracy {trained.test['accuracy']:.1%} (the most frequent class: "
            f"{trained.baseline['accuracy']:.1%})",
        ]
    )
