"""``sciexplain explain``: a user's model on a user's data."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sciexplain.cli import explain_genomics, explain_molecules, options
from sciexplain.cli.console import progress, report_run
from sciexplain.runs import RunWriter, describe_files, describe_model, describe_versions

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
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder to make for the results.")],
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
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures explained at a time.")] = 16,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many pictures.")] = None,
    device: Annotated[str, typer.Option(parser=options.device, help="Such as cpu or cuda.")] = "cpu",
    ledger: Annotated[bool, typer.Option(help="Keep account of all relevance (LRP, DeepLIFT).")] = True,
    unsafe_pickle: Annotated[
        bool,
        typer.Option("--unsafe-pickle", help="Read weights that carry code. They can do anything to this machine."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in RUN.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Explain an image classifier's decision on each picture.

    RUN holds run.json (what was asked), rows/ (one parquet row per picture), errors.parquet (pictures that
    failed, and why) and pictures/. Exit code 0: done; 1: done, some pictures failed; 2: wrong usage.
    """
    from sciexplain.cli.images_run import Question, explain_pictures
    from sciexplain.domains.images import list_images, load_model

    files = list_images(data)[:limit] if data.is_dir() else [data]
    network = load_model(model, weights, unsafe_pickle=unsafe_pickle).to(device)
    question = Question.asked(network, ctx.params)
    asked = {
        "command": "explain images",
        "model": describe_model(network, model, weights),
        "data": describe_files(data, files),
        "versions": describe_versions(),
        "options": {name: options.plain(value) for name, value in ctx.params.items()},
    }
    with RunWriter(out, asked, overwrite=overwrite) as run, progress(quiet=quiet) as bar:
        task = bar.add_task("explaining", total=limit)
        explain_pictures(
            question,
            data,
            run,
            mode=mode,
            batch_size=batch_size,
            limit=limit,
            advance=lambda: bar.advance(task),
        )
    report_run(run, "pictures")
