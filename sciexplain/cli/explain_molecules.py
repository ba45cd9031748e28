"""``sciexplain explain molecules``: a user's model on a user's molecules."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sciexplain.cli import options
from sciexplain.cli.running import run


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
    out: options.Out,
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
    sdf: Annotated[bool, typer.Option(help="Write molecules.sdf: each structure with its relevance.")] = True,
    embed: Annotated[bool, typer.Option("--embed", help="Make a geometry for molecules that have none.")] = False,
    ledger: Annotated[bool, typer.Option(help="Keep account of all relevance; a pass for each molecule.")] = False,
    batch_size: options.BatchSize = None,
    limit: options.Limit = None,
    pictures: options.Pictures = 50,
    shard: options.Shard = None,
    device: options.Device = "cpu",
    engine: options.Engine = "local",
    workers: options.Workers = None,
    address: options.Address = None,
    unsafe_pickle: options.UnsafePickle = False,
    overwrite: options.Overwrite = False,
    progress: options.ProgressKind = "bar",
    quiet: options.Quiet = False,
) -> None:
    """Explain what a model says about each molecule.

    RUN holds molecules.png to open first, molecules.sdf, tables of atoms, bonds, walks and fragments (parquet), rows/
    (one row per molecule), errors.parquet (molecules that failed, and why), pictures/ and run.json (what was asked).
    Exit code 0: done; 1: done, some molecules failed; 2: wrong usage.
    """
    run(ctx, "molecules")
