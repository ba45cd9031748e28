"""``sciexplain train prior genomics``: the density of a kind of sequences, as a prior of maximisation."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sciexplain.cli.console import progress, say
from sciexplain.cli.folders import check_new
from sciexplain.errors import SciExplainError


def genomics(
    data: Annotated[
        list[Path],
        typer.Option(exists=True, metavar="FILE", help="FASTA, BED (with --genome), GenBank, table; several times."),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to make for the prior.")],
    genome: Annotated[
        list[Path] | None, typer.Option(exists=True, metavar="FASTA", help="For BED: where the letters are.")
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
    limit: Annotated[
        int | None, typer.Option(min=10, help="Sequences to draw by chance from those in the files.")
    ] = 10_000,
    backgrounds: Annotated[int, typer.Option(min=1, help="Markov chains of the mixture.")] = 4,
    sites: Annotated[int, typer.Option(min=1, help="Sites of the mixture.")] = 8,
    width: Annotated[int, typer.Option(min=1, help="Letters of a site.")] = 20,
    epochs: Annotated[int, typer.Option(min=1, help="Passes at most.")] = 20,
    patience: Annotated[
        int, typer.Option(min=1, help="Passes without a better validation density, to stop after.")
    ] = 5,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 2e-2,
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences at a time.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Of draws, order and division.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the prior in FOLDER.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Learn what sequences of a kind look like; the densities printed are of sequences that were held out.

    FOLDER then holds prior.json (what it is, its figures, its data) and prior.safetensors, and is a --prior for
    `sciexplain maximize genomics`.
    """
    import numpy as np

    from sciexplain.domains import genomics as domain
    from sciexplain.domains.genomics.reference.prior_training import save_prior, train_prior
    from sciexplain.runs import describe_files, describe_versions

    check_new(out, "prior.json", overwrite=overwrite)
    failures: list[str] = []

    def note(place: str, error: SciExplainError) -> None:
        failures.append(str(error) if str(error).startswith(place) else f"{place}: {error}")

    records = list(domain.read(data, genome=genome, length=length, alphabet=alphabet, sequence=sequence, on_error=note))
    if limit is not None and len(records) > limit:
        drawn = np.random.default_rng(seed).choice(len(records), limit, replace=False)
        records = [records[i] for i in sorted(drawn.tolist())]
    with progress(quiet=quiet) as bar:
        task = bar.add_task("training", total=epochs)

        def report(epoch: Any) -> None:
            bar.update(task, advance=1, description=f"training, validation log-density {-epoch.valid_loss:.4f}")

        trained = train_prior(
            records,
            backgrounds=backgrounds,
            sites=sites,
            width=width,
            epochs=epochs,
            patience=patience,
            lr=lr,
            batch_size=batch_size,
            seed=seed,
            alphabet=alphabet,
            split=split,
            report=report,
        )
    about = describe_files(data[0], [*data, *(genome or [])])
    save_prior(trained, out, files=about, versions=describe_versions())
    shares = [(share, matrix) for share, matrix in trained.prior.site_matrices() if share >= 0.05]
    parts = trained.data
    lines = [
        f"prior of {len(records)} sequences: {len(trained.epochs)} epochs in {trained.seconds:.0f} s, saved in {out}",
        f"{parts['train']} to learn from, {parts['valid']} to choose by, {parts['test']} to test on; {parts['split']}",
        "test log-density in nats per letter: "
        + ", ".join(f"{name} {value:.4f}" for name, value in trained.test.items()),
        *(f"site in {share:.0%} of sequences: {_consensus(matrix, alphabet)}" for share, matrix in shares),
        *(f"left out {reason}" for reason in failures),
    ]
    say(lines)


def _consensus(matrix: Any, alphabet: str) -> str:
    """IUPAC letters of a site (W, letters); of proteins the commonest."""
    from sciexplain.domains import genomics as domain

    if matrix.shape[1] == 4:
        shares = matrix.double()
        return domain.Motif("site", (shares / shares.sum(1, keepdim=True)).numpy()).consensus
    return "".join(domain.alphabet_of(alphabet).letters[place] for place in matrix.argmax(1).tolist())
