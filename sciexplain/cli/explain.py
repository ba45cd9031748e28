"""``sciexplain explain``: a user's model on a user's data."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sciexplain.cli import explain_genomics, explain_molecules, options
from sciexplain.cli.running import run

# Options with a parser are Any: typer cannot name the types they become.
app = typer.Typer(no_args_is_help=True, help="Explain a model's decisions on a data set, row by row.")
app.command("molecules", no_args_is_help=True)(explain_molecules.molecules)
app.command("genomics", no_args_is_help=True)(explain_genomics.genomics)


@app.command("images", no_args_is_help=True)
def images(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Option(
            metavar="FOLDER|MODULE:FUNCTION",
            help="A folder that `train images` made, or a function that returns the model: of a module here or "
            "installed, or path/to/file.py:FUNCTION.",
        ),
    ],
    data: Annotated[Path, typer.Option(exists=True, help="A folder of pictures, or one file (also NPZ, TIFF).")],
    out: options.Out,
    weights: Annotated[
        Path | None, typer.Option(help="Weights: .safetensors, or a state_dict from torch.save.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="How to explain, such as deeplift, integrated_gradients, gradcam.")
    ] = "lrp",
    composite: Annotated[
        str | None, typer.Option(help="Preset of LRP rules, such as epsilon_plus_flat.", metavar="NAME")
    ] = None,
    target: Annotated[
        Any, typer.Option(parser=options.target, metavar="INT|predicted", help="Class to explain.")
    ] = "predicted",
    resize: Annotated[
        Any, typer.Option(parser=options.size, metavar="H[,W]", help="Shorter side, or both sides.")
    ] = None,
    crop: Annotated[
        Any, typer.Option(parser=options.size, metavar="H[,W]", help="Sides of the centre to keep.")
    ] = None,
    mean: Annotated[
        Any,
        typer.Option(parser=options.numbers, metavar="A[,B,C]", help="Subtracted from 0..1, per channel."),
    ] = "0",
    std: Annotated[
        Any, typer.Option(parser=options.numbers, metavar="A[,B,C]", help="Then divided by, per channel.")
    ] = "1",
    mode: Annotated[Literal["RGB", "L"] | None, typer.Option(help="Convert every picture to colour or grey.")] = None,
    batch_size: options.BatchSize = None,
    limit: options.Limit = None,
    pictures: options.Pictures = 100,
    shard: options.Shard = None,
    ledger: Annotated[bool, typer.Option(help="Keep account of all relevance (LRP, DeepLIFT).")] = True,
    device: options.Device = "cpu",
    engine: options.Engine = "local",
    workers: options.Workers = None,
    address: options.Address = None,
    unsafe_pickle: options.UnsafePickle = False,
    overwrite: options.Overwrite = False,
    progress: options.ProgressKind = "bar",
    quiet: options.Quiet = False,
) -> None:
    """Explain an image classifier's decision on each picture.

    RUN holds run.json (what was asked), rows/ (one parquet row per picture), errors.parquet (pictures that
    failed, and why) and pictures/. Exit code 0: done; 1: done, some pictures failed; 2: wrong usage.
    """
    run(ctx, "images")
