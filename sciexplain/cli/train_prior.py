"""``sciexplain train prior``: small generative models, among whose data maximisation stays."""

from pathlib import Path
from typing import Annotated

import typer

from sciexplain.cli import train_prior_genomics
from sciexplain.cli.console import say
from sciexplain.cli.folders import check_new
from sciexplain.cli.training import named_pictures, reporting

app = typer.Typer(no_args_is_help=True, help="Train a generative model, a --prior for `sciexplain maximize`.")
app.command("genomics", no_args_is_help=True)(train_prior_genomics.genomics)


@app.command("images", no_args_is_help=True)
def images(
    data: Annotated[str, typer.Option(metavar="NAME", help="digits (built in) or mnist.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to make for the prior.")],
    epochs: Annotated[int, typer.Option(min=1, help="Passes at most.")] = 60,
    patience: Annotated[int, typer.Option(min=1, help="Passes without a better validation loss, to stop after.")] = 8,
    code: Annotated[int, typer.Option(min=1, help="Numbers in a code.")] = 16,
    width: Annotated[int, typer.Option(min=1, help="Hidden units.")] = 400,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 1e-3,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures at a time.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order, noise and division.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the prior in FOLDER.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Train a variational autoencoder of pictures; labels are not looked at.

    FOLDER then holds model.json (what it is, its figures, its data) and model.safetensors, and is a --prior for
    `sciexplain maximize images`.
    """
    from sciexplain.domains.images import reference

    check_new(out, "model.json", overwrite=overwrite)
    labelled = named_pictures(data)
    with reporting("an autoencoder", epochs, quiet=quiet) as report:
        trained = reference.train_prior(
            labelled,
            data,
            epochs=epochs,
            patience=patience,
            code=code,
            width=width,
            lr=lr,
            batch_size=batch_size,
            seed=seed,
            report=report,
        )
    reference.save(trained, out)
    say(
        [
            f"autoencoder of {data}: {len(trained.epochs)} epochs in {trained.seconds:.0f} s, saved in {out}",
            f"{trained.data['train']} to learn from, {trained.data['valid']} to choose by, {trained.data['test']} to "
            f"test on; {trained.data['split']}",
            *(f"test {name} {value:.4g} (the mean picture: {trained.baseline[name]:.4g})"
              for name, value in trained.test.items()),
        ]
    )  # fmt: skip
