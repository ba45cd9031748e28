"""``sciexplain maximize molecules``: real molecules that a user's model says most about, and counterfactuals."""

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sciexplain.cli import options
from sciexplain.cli.console import progress, say
from sciexplain.cli.files import write_json
from sciexplain.cli.folders import check_new
from sciexplain.errors import DataError

if TYPE_CHECKING:
    from sciexplain.domains.molecules.design import Counterfactuals, Design, Prior
    from sciexplain.domains.molecules.design.question import Prepare

_SHOWN = 6
_ENOUGH = 50
"""Molecules of --start that a prior can be learned from."""


def molecules(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="A chemprop file, a SchNetPack folder, a folder that `train molecules` made, or MODULE:FUNCTION.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to make for the molecules and pictures.")],
    start: Annotated[
        str | None, typer.Option(metavar="FILE|SMILES", help="Molecules to begin with; default: that of --similar-to.")
    ] = None,
    target: Annotated[int | None, typer.Option(min=0, help="Column of the output; not needed if one.")] = None,
    direction: Annotated[Literal["up", "down"], typer.Option(help="Look for high or for low predictions.")] = "up",
    similar_to: Annotated[
        str | None, typer.Option(metavar="SMILES", help="Only molecules like this one; see --similarity.")
    ] = None,
    similarity: Annotated[
        float | None, typer.Option(min=0, max=1, help="Tanimoto similarity at least; default 0.4 with --similar-to.")
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|none", help=f"Stay near these molecules; default: --start, where it has {_ENOUGH} or more."
        ),
    ] = None,
    counterfactual: Annotated[
        str | None, typer.Option(metavar="SMILES", help="In place of --start: what decides about this molecule.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Counterfactuals cross it: 0 for a logit, 0.5 for a probability.")
    ] = None,
    change: Annotated[
        float | None, typer.Option(help="Counterfactuals are higher by so much, or lower, if it is negative.")
    ] = None,
    number: Annotated[int, typer.Option(min=1, help="Counterfactuals to find.")] = 6,
    samples: Annotated[int, typer.Option(min=0, help="Molecules to try beyond all single edits.")] = 1000,
    steps: Annotated[int, typer.Option(min=0, help="Generations.")] = 30,
    population: Annotated[int, typer.Option(min=2, help="Molecules in a generation.")] = 100,
    moves: Annotated[
        Literal["selfies", "fragments", "both"], typer.Option(help="Change SELFIES, or edit and cross graphs.")
    ] = "both",
    elements: Annotated[
        str | None, typer.Option(metavar="C,N,O", help="Of heavy atoms; default: those of --start.")
    ] = None,
    max_atoms: Annotated[
        int | None, typer.Option(min=1, help="Heavy atoms; default: half as many again as the median of --start.")
    ] = None,
    forbid: Annotated[
        list[str] | None, typer.Option(metavar="SMARTS", help="May not be in a molecule; give it again for several.")
    ] = None,
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
    embed: Annotated[bool, typer.Option("--embed", help="Make a geometry of every molecule, for models of them.")] = (
        False
    ),
    hydrogens: Annotated[
        bool | None, typer.Option("--hydrogens/--no-hydrogens", help="As atoms; default: as --start has them.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Molecules asked at a time.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Of the search.")] = 0,
    device: Annotated[str, typer.Option(parser=options.device, help="Such as cpu or cuda.")] = "cpu",
    unsafe_pickle: Annotated[
        bool,
        typer.Option("--unsafe-pickle", help="Read models that carry code. They can do anything to this machine."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the results in FOLDER.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Find real, valid molecules that a model predicts the most of, or the smallest changes that turn a decision.

    FOLDER holds designs.png to open first, designs.csv, designs.sdf, designs.json (what was asked, found and dropped)
    and trace.png; with a prior also simple.csv and simple.sdf, what the same search finds without it. With
    --counterfactual: counterfactuals.png, .csv and .sdf, and designs.json. Exit code 0: done; 1: nothing found;
    2: wrong usage.
    """
    from sciexplain.domains.molecules import load_model
    from sciexplain.runs import describe_files, describe_model, describe_versions
    from sciexplain.runs.models import load_function

    check_new(out, "designs.json", overwrite=overwrite)
    _check_asked(start, similar_to, similarity, counterfactual, threshold, change)
    own = load_function(featurizer) if featurizer is not None and ":" in featurizer else featurizer
    family = load_model(model, weights=weights, featurizer=own, unit=unit, unsafe_pickle=unsafe_pickle)
    family.model.to(device)
    asked: dict[str, Any] = {
        "elements": None if elements is None else [symbol.strip() for symbol in elements.split(",")],
        "max_atoms": max_atoms,
        "forbidden": forbid,
        "prepare": _prepare(embed, hydrogens),
        "batch_size": batch_size,
        "seed": seed,
    }
    files = [Path(name) for name in (start, prior) if name is not None and Path(name).is_file()]
    about = {
        "command": "maximize molecules",
        "model": describe_model(family.model, model, weights),
        "data": describe_files(files[0], files) if files else None,
        "versions": describe_versions(),
        "options": {key: options.plain(value) for key, value in ctx.params.items()},
    }
    learned = _prior(start, prior)
    if counterfactual is not None:
        asked |= {"threshold": threshold, "change": change, "number": number, "samples": samples, "prior": learned}
        found = _counterfactuals(family, counterfactual, target, asked | {"similarity": similarity or 0.0}, quiet)
        _write_counterfactuals(found, out, about)
        return
    asked |= {"start": start, "direction": direction, "steps": steps, "population": population, "moves": moves}
    asked |= {"similarity": None if similar_to is None else (similar_to, 0.4 if similarity is None else similarity)}
    _write_designs(_designs(family, target, asked, learned, steps, quiet), learned, out, about)


def _check_asked(
    start: str | None,
    similar_to: str | None,
    similarity: float | None,
    counterfactual: str | None,
    threshold: float | None,
    change: float | None,
) -> None:
    """That the options ask one question.

    Raises
    ------
    DataError
        They ask none, or two.
    """
    if counterfactual is None:
        if start is None and similar_to is None:
            raise DataError("nothing to start from: give --start, --similar-to or --counterfactual")
        if threshold is not None or change is not None:
            raise DataError("--threshold and --change are of --counterfactual; give that too, or leave them out")
        if similarity is not None and similar_to is None:
            raise DataError(f"--similarity {similarity:g} to what? Give --similar-to SMILES, or --counterfactual")
    elif start is not None or similar_to is not None:
        raise DataError("--counterfactual starts from its own molecule; leave out --start and --similar-to")
    for name, given in (("start", start), ("similar-to", similar_to), ("counterfactual", counterfactual)):
        if given is not None and not given.strip():
            raise DataError(f"--{name} is empty; give a molecule, such as CCO")
    for name, value in (("threshold", threshold), ("change", change)):
        if value is not None and not isfinite(value):
            raise DataError(f"--{name} {value}: expected a number")


def _prepare(embed: bool, hydrogens: bool | None) -> "Prepare | None":
    """What every molecule needs before the model is asked; None leaves it to the start."""
    from sciexplain.domains import molecules

    if embed:
        return molecules.embed
    if hydrogens is None:
        return None
    return molecules.with_hydrogens if hydrogens else lambda molecule: molecule


def _prior(start: str | None, prior: str | None) -> "Prior | None":
    """What is asked for; otherwise of the start, where this is enough molecules."""
    from sciexplain.domains.molecules.design import learn_prior

    if prior == "none" or (prior is None and (start is None or not Path(start).exists())):
        return None
    found = learn_prior(prior if prior is not None else start)
    return found if prior is not None or found.molecules >= _ENOUGH else None


def _designs(
    family: Any, target: int | None, asked: dict[str, Any], prior: "Prior | None", steps: int, quiet: bool
) -> "list[Design]":
    """Without the prior, and with it where there is one."""
    from sciexplain.domains.molecules.design import Generation, maximize

    def reporting(bar: Any, what: str) -> Callable[[Generation], None]:
        task = bar.add_task(what, total=steps)

        def report(generation: Generation) -> None:
            best = "none yet" if generation.best is None else f"{generation.best:.3g}"
            bar.update(task, completed=generation.step, description=f"{what}, best {best}")

        return report

    with progress(quiet=quiet) as bar:
        found = [maximize(family, target, **asked, report=reporting(bar, "valid molecules"))]
        if prior is not None:
            usual = maximize(family, target, **asked, prior=prior, report=reporting(bar, "near the data"))
            found = [found[0].under(prior), usual]
    return found


def _write_designs(found: "list[Design]", prior: "Prior | None", out: Path, about: dict[str, Any]) -> None:
    from sciexplain.domains.molecules.design import beside, traces

    out.mkdir(parents=True, exist_ok=True)
    main = found[-1]
    for name, design in zip(("simple", "designs") if prior is not None else ("designs",), found, strict=True):
        design.to_csv(out / f"{name}.csv")
        design.to_sdf(out / f"{name}.sdf")
    searches = {"simple": found[0].as_json()} if prior is not None else {}
    write_json(out / "designs.json", {**about, **searches, "designs": main.as_json()})
    if not any(design.molecules for design in found):
        reasons = ", ".join(f"{n} {why}" for why, n in list(main.dropped.items())[:5])
        say([f"no molecule keeps all rules, among {main.asked} that the model was asked of; dropped: {reasons}"])
        raise typer.Exit(1)
    beside(found, _SHOWN, _SHOWN if len(found) > 1 else _SHOWN // 2).save(out / "designs.png", scale=2)
    traces(found).save(out / "trace.png", scale=2)
    lines = []
    for design in found:
        best = design.molecules[0].prediction if design.molecules else None
        unit = f" {design.unit}" if design.unit else ""
        begin = "nothing" if design.start is None else f"{design.start:.4g}{unit}"
        end = "nothing" if best is None else f"{best:.4g}{unit}"
        lines.append(f"{design.title}: from {begin} to {end}, {design.asked} molecules asked")
    say([*lines, f"{len(main)} molecules in {out}: open designs.png"])
    if not main.molecules:
        raise typer.Exit(1)


def _counterfactuals(
    family: Any, smiles: str, target: int | None, asked: dict[str, Any], quiet: bool
) -> "Counterfactuals":
    from sciexplain.domains.molecules.design import counterfactual

    with progress(quiet=quiet) as bar:
        task = bar.add_task("trying edits", total=None)

        def report(tried: int, different: int) -> None:
            bar.update(task, completed=tried, description=f"trying edits, {different} decide otherwise")

        found = counterfactual(family, smiles, target, **asked, report=report)
        bar.update(task, total=found.asked, completed=found.asked)
    return found


def _write_counterfactuals(found: "Counterfactuals", out: Path, about: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    found.to_csv(out / "counterfactuals.csv")
    found.to_sdf(out / "counterfactuals.sdf")
    write_json(out / "designs.json", {**about, "counterfactual": found.as_json()})
    unit = f" {found.unit}" if found.unit else ""
    if not found.found:
        say([f"{found.smiles}, {found.prediction:.4g}{unit}: none of {found.asked} molecules goes {found.question}"])
        raise typer.Exit(1)
    found.grid().save(out / "counterfactuals.png", scale=2)
    lines = [f"{found.smiles}: {found.prediction:.4g}{unit}; {found.different} of {found.asked} go {found.question}"]
    lines += [f"{one.change.text}: {one.smiles}, {one.prediction:.4g}, {one.similarity:.2f}" for one in found.found]
    say([*lines, f"{len(found)} counterfactuals in {out}: open counterfactuals.png"])
