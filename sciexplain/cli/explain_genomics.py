"""``sciexplain explain genomics``: a user's model on sequences, down to sites, motifs and genes."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sciexplain.cli import options
from sciexplain.cli.console import progress, report_run, say
from sciexplain.runs import RunWriter, describe_files, describe_model, describe_versions


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
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder to make for the results.")],
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
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences explained at a time.")] = 64,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many sequences.")] = None,
    pictures: Annotated[int, typer.Option(min=0, help="How many sequences to draw.")] = 20,
    seed: Annotated[int, typer.Option(help="Of shuffles and samples.")] = 0,
    device: Annotated[str, typer.Option(parser=options.device, help="Such as cpu or cuda.")] = "cpu",
    unsafe_pickle: Annotated[
        bool,
        typer.Option("--unsafe-pickle", help="Read weights that carry code. They can do anything to this machine."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in RUN.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Explain what a model says about each sequence: nucleotides, binding sites, motifs and genes.

    RUN holds motifs.html to open first; sites, hits and genes as BED and parquet, motifs.meme, relevance.bw for a
    genome browser, rows/ (one row per sequence), errors.parquet (sequences that failed, and why), pictures/ and
    run.json (what was asked). Exit code 0: done; 1: done, some sequences failed; 2: wrong usage.
    """
    from sciexplain.cli.genomics_question import Question, agreed, load_network
    from sciexplain.cli.genomics_run import Asked, Known, explain_sequences, surfaced
    from sciexplain.domains.genomics import Genome

    network = load_network(model, weights, unsafe_pickle=unsafe_pickle).to(device)
    question = Question.asked(network, ctx.params)
    files = [data, *(genome or []), *(f for f in (genes, motifs, gene_sets) if f is not None)]
    asked = {
        "command": "explain genomics",
        "model": describe_model(network, model, weights),
        "data": describe_files(data, files),
        "versions": describe_versions(),
        "options": {key: options.plain(value) for key, value in ctx.params.items()},
    }
    source = Genome(genome) if genome else None
    known = Known.read(genes, motifs, gene_sets)
    with RunWriter(out, asked, overwrite=overwrite) as run, progress(quiet=quiet) as bar:
        task = bar.add_task("explaining", total=limit)
        found = explain_sequences(
            question,
            data,
            run,
            genome=source,
            length=agreed("length", length, getattr(network, "length", None)),
            pad=pad,
            sequence=sequence,
            name=name,
            batch_size=batch_size,
            limit=limit,
            advance=lambda count: bar.advance(task, count),
        )
        shown = {"model": model, "data": data, "method": method, "composite": question.composite, "strand": strand}
        wanted = Asked(fdr, sign, shuffles, distance, hits, min_seqlets, known, pictures, seed, shown)
        lines = surfaced(found, run, wanted, genome=source, say=lambda text: bar.update(task, description=text))
    say(lines)
    report_run(run, "sequences")
