"""``sciexplain explain``: a user's model on a user's data."""

from pathlib import Path
from typing import Annotated

import typer

from sciexplain.cli import options

app = typer.Typer(no_args_is_help=True, help="Explain a model's decisions on a data set, row by row.")


@app.command("images", no_args_is_help=True)
def images(
    model: Annotated[
        str,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Function that returns the model: a module here or installed, or path/to/file.py:FUNCTION.",
        ),
    ],
    data: Annotated[Path, typer.Option(exists=True, help="A folder of pictures, or one file (also NPZ, TIFF).")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder to make for the results.")],
    weights: Annotated[
        Path | None, typer.Option(help="Weights: .safetensors, or a state_dict from torch.save.")
    ] = None,
    method: Annotated[str, typer.Option(help="How to explain.")] = "lrp",
    composite: Annotated[
        str | None, typer.Option(help="Preset of LRP rules, such as epsilon_plus_flat.", metavar="NAME")
    ] = None,
    target: Annotated[
        str, typer.Option(parser=options.target, metavar="INT|predicted", help="Class to explain.")
    ] = "predicted",
    resize: Annotated[
        str | None, typer.Option(parser=options.size, metavar="H[,W]", help="Shorter side, or both sides.")
    ] = None,
    crop: Annotated[
        str | None, typer.Option(parser=options.size, metavar="H[,W]", help="Sides of the centre to keep.")
    ] = None,
    mean: Annotated[
        str, typer.Option(parser=options.numbers, metavar="A[,B,C]", help="Subtracted from 0..1, per channel.")
    ] = "0",
    std: Annotated[
        str, typer.Option(parser=options.numbers, metavar="A[,B,C]", help="Then divided by, per channel.")
    ] = "1",
    mode: Annotated[
        str | None, typer.Option(metavar="RGB|L", help="Convert every picture to colour or grey.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures explained at a time.")] = 16,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many pictures.")] = None,
    device: Annotated[str, typer.Option(parser=options.device, help="Such as cpu or cuda.")] = "cpu",
    ledger: Annotated[bool, typer.Option(help="Keep account of all relevance (LRP).")] = True,
    unsafe_pickle: Annotated[
        bool,
        typer.Option("--unsafe-pickle", help="Read weights that carry code. They can do anything to this machine."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in RUN.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Explain an image classifier's decision on each picture."""
