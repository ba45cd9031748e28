"""``sciexplain explain genomics``: a user's model on sequences, down to sites, motifs and genes."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sciexplain.cli import options
from sciexplain.cli.running import run


def genomics(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Option(
            metavar="FOLDER|MODULE:FUNCTION",
            help="A folder that `train genomics` made, or a function that returns the model.",
        ),
    ],
    data: Annotated[
        Path, typer.Option(exists=True, help="FASTA, BED or narrowPeak (with --genome), GenBank, CSV or Parquet.")
    ],
    out: options.Out,
    genome: Annotated[
        list[Path] | None, typer.Option(exists=True, help="FASTA of the genome (bgzip too); several times for several.")
    ] = None,
    genes: Annotated[
        Path | None, typer.Option(exists=True, help="GFF3, GTF or BED of genes, to link sites to.")
    ] = None,
    motifs: Annotated[
        Path | None, typer.Option(exists=True, help="MEME file of known motifs, to name the discovered ones.")
    ] = None,
    gene_sets: Annotated[Path | None, typer.Option(exists=True, help="GMT file, to find enriched sets.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="For MODULE:FUNCTION: .safetensors, or a state_dict from torch.save.")
    ] = None,
    method: Annotated[str, typer.Option(help="Such as deepshap, deeplift, integrated_gradients, mutagenesis.")] = "lrp",
    composite: Annotated[
        str | None, typer.Option(metavar="NAME", help="Preset of LRP rules; for lrp epsilon_alpha2_beta1, if none.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="shuffled|zero|uniform|N", help="For deeplift, deepshap, integrated_gradients."),
    ] = None,
    strand: Annotated[Literal["+", "-", "both"], typer.Option(help="What the model is shown; both: their mean.")] = "+",
    target: Annotated[
        Any, typer.Option(parser=options.target, metavar="INT|predicted", help="Output to explain.")
    ] = "predicted",
    head: Annotated[
        Literal["profile", "counts"] | None, typer.Option(help="For models with a profile and a counts head.")
    ] = None,
    layout: Annotated[
        Literal["NCL", "NLC"] | None, typer.Option(help="(N, channels, L) or (N, L, channels), if not found.")
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="For models over tokens: function that returns the tokenizer."),
    ] = None,
    alphabet: Annotated[
        Literal["DNA", "RNA", "protein"] | None, typer.Option(help="Of the sequences; default: the model's, or DNA.")
    ] = None,
    ambiguous: Annotated[Literal["zero", "average"], typer.Option(help="How N and its kin are encoded.")] = "zero",
    length: Annotated[int | None, typer.Option(min=1, help="Letters of each sequence, around its centre.")] = None,
    pad: Annotated[bool, typer.Option("--pad", help="Fill shorter sequences up with N.")] = False,
    sequence: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column with sequences, if not found.")] = None,
    name: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column with names, if not found.")] = None,
    fdr: Annotated[float, typer.Option(min=0, max=1, help="False discovery rate of sites.")] = 0.05,
    sign: Annotated[
        Literal["positive", "negative", "both"], typer.Option(help="Sites that speak for the target, or against it.")
    ] = "positive",
    shuffles: Annotated[
        int | None, typer.Option(min=1, help="Of each sequence, which sites must exceed; more resolve smaller p.")
    ] = None,
    distance: Annotated[
        int, typer.Option(min=0, help="Farthest gene start that a site is linked to, in bp.")
    ] = 100_000,
    hits: Annotated[float, typer.Option(min=0, max=1, help="p-value of a motif's instances.")] = 1e-4,
    min_seqlets: Annotated[int, typer.Option(min=20, help="Sites or seqlets to discover motifs from, at least.")] = 30,
    batch_size: options.BatchSize = None,
    limit: options.Limit = None,
    pictures: options.Pictures = 20,
    shard: options.Shard = None,
    surface_limit: Annotated[
        int, typer.Option(min=1, help="Sequences to find sites and motifs in, at most, evenly drawn.")
    ] = 200_000,
    seed: Annotated[int, typer.Option(help="Of shuffles and samples.")] = 0,
    device: options.Device = "cpu",
    engine: options.Engine = "local",
    workers: options.Workers = None,
    address: options.Address = None,
    unsafe_pickle: options.UnsafePickle = False,
    overwrite: options.Overwrite = False,
    progress: options.ProgressKind = "bar",
    quiet: options.Quiet = False,
) -> None:
    """Explain what a model says about each sequence: nucleotides, binding sites, motifs and genes.

    RUN holds motifs.html to open first; sites, hits and genes as BED and parquet, motifs.meme, relevance.bw for a
    genome browser, rows/ (one row per sequence), errors.parquet (sequences that failed, and why), pictures/ and
    run.json (what was asked). Exit code 0: done; 1: done, some sequences failed; 2: wrong usage.
    """
    run(ctx, "genomics")
