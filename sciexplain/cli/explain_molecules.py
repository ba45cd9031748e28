"""``sciexplain explain molecules``: a user's model on a user's molecules."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sciexplain.cli import options
from sciexplain.cli.console import progress, report_run
from sciexplain.runs import RunWriter, describe_files, describe_model, describe_versions


def molecules(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="A chemprop file, a SchNetPack folder, a folder that `train molecules` made, or MODULE:FUNCTION.",
        ),
    ],
    data: Annotated[Path, typer.Option(exists=True, help="CSV, SMI, SDF, XYZ or Parquet, or a folder of these.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder to make for the results.")],
    weights: Annotated[
        Path | None, typer.Option(help="For MODULE:FUNCTION: .safetensors, or a state_dict from torch.save.")
    ] = None,
    featurizer: Annotated[
        str | None,
        typer.Option(
            metavar="pyg|MODULE:FUNCTION", help="From an RDKit molecule to a graph, where the model does not say."
        ),
    ] = None,
    unit: Annotated[str, typer.Option(help="Of the model's output, such as kcal/mol.")] = "",
    smiles: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column with SMILES, if not found.")] = None,
    name: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column with names, if not found.")] = None,
    target: Annotated[
        Any, typer.Option(parser=options.target, metavar="INT|predicted", help="Column of the output to explain.")
    ] = "predicted",
    composite: Annotated[
        str | None, typer.Option(metavar="NAME", help="Preset of LRP rules, such as epsilon_plus.")
    ] = None,
    walks: Annotated[int, typer.Option(min=0, help="Most relevant walks of each molecule to draw and to list.")] = 0,
    fragments: Annotated[
        Literal["brics", "murcko", "rings", "functional_groups"] | None, typer.Option(help="Fragments to list.")
    ] = None,
    bonds: Annotated[bool, typer.Option(help="Relevance of bonds.")] = True,
    embed: Annotated[bool, typer.Option("--embed", help="Make a geometry for molecules that have none.")] = False,
    ledger: Annotated[bool, typer.Option(help="Keep account of all relevance; a pass for each molecule.")] = False,
    pictures: Annotated[int, typer.Option(min=0, help="How many molecules to draw, from the first.")] = 50,
    batch_size: Annotated[int, typer.Option(min=1, help="Molecules explained at a time.")] = 256,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many molecules.")] = None,
    device: Annotated[str, typer.Option(parser=options.device, help="Such as cpu or cuda.")] = "cpu",
    unsafe_pickle: Annotated[
        bool,
        typer.Option("--unsafe-pickle", help="Read models that carry code. They can do anything to this machine."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in RUN.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Explain what a model says about each molecule.

    RUN holds molecules.png to open first, molecules.sdf, tables of atoms, bonds, walks and fragments (parquet), rows/
    (one row per molecule), errors.parquet (molecules that failed, and why), pictures/ and run.json (what was asked).
    Exit code 0: done; 1: done, some molecules failed; 2: wrong usage.
    """
    from sciexplain.cli.molecules_run import Question, explain_molecules, load_family

    family = load_family(model, weights, featurizer, unit, unsafe_pickle=unsafe_pickle)
    family.model.to(device)
    question = Question.asked(family, ctx.params)
    files = sorted(f for f in data.iterdir() if f.is_file()) if data.is_dir() else [data]
    asked = {
        "command": "explain molecules",
        "model": describe_model(family.model, model, weights),
        "data": describe_files(data, files),
        "versions": describe_versions(),
        "options": {key: options.plain(value) for key, value in ctx.params.items()},
    }
    with RunWriter(out, asked, overwrite=overwrite) as run, progress(quiet=quiet) as bar:
        task = bar.add_task("explaining", total=limit)
        explain_molecules(
            question,
            data,
            run,
            smiles=smiles,
            name=name,
            batch_size=batch_size,
            limit=limit,
            pictures=pictures,
            advance=lambda count: bar.advance(task, count),
        )
    report_run(run, "molecules")
