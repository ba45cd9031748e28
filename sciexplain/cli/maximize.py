"""``sciexplain maximize``: what a user's model takes for the best example of a class or a layer's channel."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sciexplain.cli import images_counterfactuals, maximize_genomics, maximize_molecules, options
from sciexplain.cli.console import progress, say
from sciexplain.cli.files import write_json, write_tensors
from sciexplain.cli.folders import check_new
from sciexplain.errors import DataError
from sciexplain.runs import describe_model, describe_versions

if TYPE_CHECKING:
    from torch import nn

    from sciexplain.domains.images import Preprocess
    from sciexplain.domains.images.maximize import ImageMaximization


def _sizes(text: str) -> tuple[int, ...]:
    """``"3,224,224"``."""
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise typer.BadParameter(f"{text!r} should be channels, rows and columns, such as 3,224,224")
    return tuple(map(int, parts))


# Options with a parser are Any: typer cannot name the types they become.
app = typer.Typer(no_args_is_help=True, help="Make what a model answers most strongly: activation maximisation.")
app.command("molecules", no_args_is_help=True)(maximize_molecules.molecules)
app.command("genomics", no_args_is_help=True)(maximize_genomics.genomics)


@app.command("images", no_args_is_help=True)
def images(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Option(
            metavar="FOLDER|MODULE:FUNCTION", help="What `train images` wrote, or a function that returns the model."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to make for the results.")],
    target: Annotated[
        str | None, typer.Option(metavar="INT[,INT…]|all", help="Classes; all, if neither they nor --layer are given.")
    ] = None,
    counterfactual: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE[K]",
            help="The nearest to this picture that is --target, or any other class; give it again for several.",
        ),
    ] = None,
    distance: Annotated[
        Literal["l1", "l2"], typer.Option(help="Of counterfactuals: few pixels changed, or all a little.")
    ] = "l1",
    weights: Annotated[
        Path | None, typer.Option(help="Weights: .safetensors, or a state_dict from torch.save.")
    ] = None,
    prior: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="What `train prior images` wrote: stay among its pictures.")
    ] = None,
    shape: Annotated[
        Any,
        typer.Option(
            parser=_sizes, metavar="C,H,W", help="Of the model's input, where it does not say; pictures are resized."
        ),
    ] = None,
    layer: Annotated[str | None, typer.Option(metavar="NAME", help="Module whose --channel to maximise.")] = None,
    channel: Annotated[
        list[int] | None, typer.Option(min=0, metavar="K", help="Channel of --layer; give it again for several.")
    ] = None,
    mean: Annotated[
        Any, typer.Option(parser=options.numbers, metavar="A[,B,C]", help="Subtracted from 0..1, per channel.")
    ] = "0",
    std: Annotated[
        Any, typer.Option(parser=options.numbers, metavar="A[,B,C]", help="Then divided by, per channel.")
    ] = "1",
    restarts: Annotated[int, typer.Option(min=1, help="Searches for each target.")] = 4,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of each search; default: 256, of counterfactuals six times 100.")
    ] = None,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 0.05,
    l2: Annotated[
        float | None, typer.Option(min=0, help="Weight of ‖x‖²; default 0.01 for classes without --prior, else 0.")
    ] = None,
    total_variation: Annotated[float, typer.Option(min=0, help="Weight of the total variation.")] = 0.0,
    jitter: Annotated[int, typer.Option(min=0, help="Pixels to shift by at random.")] = 0,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="With --prior: what the simple prior gives, ‖x‖² within bounds, beside it."),
    ] = False,
    parameterization: Annotated[
        Literal["pixels", "frequencies"], typer.Option(help="Step on pixels or on frequencies, without --prior.")
    ] = "pixels",
    density_weight: Annotated[float, typer.Option(min=0, help="Weight of the prior's log-density.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of starts and shifts.")] = 0,
    device: Annotated[str, typer.Option(parser=options.device, help="Such as cpu or cuda.")] = "cpu",
    unsafe_pickle: Annotated[
        bool,
        typer.Option("--unsafe-pickle", help="Read weights that carry code. They can do anything to this machine."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the result in FOLDER.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Search pictures that a model answers most strongly, or the nearest to a picture that it decides otherwise about.

    FOLDER then holds maximized.png (the best restarts of each target), maximized.json (what was asked and found) and
    inputs.safetensors (the model's inputs, and the codes of a prior). With --counterfactual the picture is
    counterfactuals.png. Exit code 0: done; 1: done, some pictures failed; 2: wrong usage.
    """
    from sciexplain.domains.images import Preprocess, save
    from sciexplain.domains.images.maximize import maximize as search
    from sciexplain.domains.images.maximize_figure import maximization_figure
    from sciexplain.domains.images.models import load_model, load_prior
    from sciexplain.maximization import L2, Channel, Jitter, TotalVariation

    check_new(out, "maximized.json", overwrite=overwrite)
    if (layer is None) != (not channel):
        raise DataError("give --layer and --channel together")
    if layer is not None and target is not None:
        raise DataError(f"give either --target {target} or --layer {layer}")
    if counterfactual:
        options.refuse(ctx, images_counterfactuals.ONLY_MAXIMIZE, "is of maximisation; leave out --counterfactual")
    else:
        options.refuse(ctx, ["distance"], "is of --counterfactual; give that too")
    if compare and prior is None:
        raise DataError("--compare sets a --prior beside none; give one")
    network = load_model(model, weights, unsafe_pickle=unsafe_pickle).to(device)
    preprocess = Preprocess(mean=mean, std=std)
    generative = None if prior is None else load_prior(prior).to(device)
    asked = {
        "command": "maximize images",
        "model": describe_model(network, model, weights),
        "prior": None if generative is None else describe_model(generative, str(prior)),
        "versions": describe_versions(),
        "options": {name: options.plain(value) for name, value in ctx.params.items()},
    }
    if counterfactual:
        known = shape or getattr(network if generative is None else generative, "shape", None)
        pixels = Preprocess(resize=None if shape is None else tuple(shape[1:]), mean=mean, std=std)
        question = images_counterfactuals.Asked(
            counterfactual, None if known is None else tuple(known), pixels, _one_class(target), distance, steps or 100,
            lr, density_weight, seed,
        )  # fmt: skip
        images_counterfactuals.counterfactuals(network, generative, question, out, asked, quiet=quiet)
        return
    steps = steps or 256
    sizes = _shape(network, generative, shape)
    targets: list[Any] = [Channel(layer, k) for k in channel or ()] if layer is not None else []
    classes = _outputs(network, sizes, preprocess)
    targets = targets or _classes("all" if target is None else target, classes)
    common: dict[str, Any] = {
        "preprocess": preprocess,
        "restarts": restarts,
        "steps": steps,
        "lr": lr,
        "transforms": [Jitter(jitter)] if jitter else [],
        "density_weight": density_weight,
        "seed": seed,
        "labels": getattr(network, "labels", None),
    }

    def penalties(default: float) -> list[Any]:
        weight = default if l2 is None else l2
        varied = [TotalVariation(total_variation)] if total_variation else []
        return [L2(weight), *varied] if weight else varied

    found: dict[str, tuple[ImageMaximization, list[Any]]] = {}
    with progress(quiet=quiet) as bar:

        def reporting(what: str) -> Callable[[Any], None]:
            task = bar.add_task(what, total=steps)

            def report(step: Any) -> None:
                words = f"{what}, mean objective {float(step.values.mean()):.3g}"
                bar.update(task, completed=step.number, description=words)

            return report

        if generative is None or compare:
            simple = penalties(0.01 if layer is None else 0.0)
            report = reporting("maximising")
            found["simple prior"] = (
                search(
                    network,
                    targets,
                    sizes,
                    penalties=simple,
                    parameterization=parameterization,
                    report=report,
                    **common,
                ),
                simple,
            )
        if generative is not None:
            own = penalties(0.0)
            report = reporting("maximising under the prior")
            found["learned prior"] = (
                search(network, targets, prior=generative, penalties=own, report=report, **common),
                own,
            )
    _write(out, found, asked)
    figures = {name if compare else "": one for name, (one, _) in found.items()}
    save(out / "maximized.png", maximization_figure(figures, restarts=1 if compare else min(restarts, 4)))
    lines = [f"{name}: {line}" if compare else line for name, (one, _) in found.items() for line in _lines(one)]
    say([*lines, f"pictures in {out / 'maximized.png'}, inputs in {out / 'inputs.safetensors'}"])


def _shape(network: "nn.Module", generative: "nn.Module | None", shape: Any) -> tuple[int, int, int]:
    """What is said, or what the prior or the reference model knows."""
    known = getattr(network if generative is None else generative, "shape", None)
    if shape is None and known is None:
        raise DataError("the model does not say what it takes; give --shape, such as 3,224,224")
    if shape is not None and generative is not None and tuple(shape) != tuple(known or ()):
        raise DataError(f"--shape {','.join(map(str, shape))}: the prior's pictures are {known}")
    channels, rows, columns = shape if known is None or shape is not None else known
    return int(channels), int(rows), int(columns)


def _outputs(network: "nn.Module", shape: tuple[int, int, int], preprocess: "Preprocess") -> int:
    """How many there are.

    Raises
    ------
    SciExplainError
        The model does not take such inputs.
    """
    if preprocess.channels not in (None, shape[0]):
        raise DataError(f"--mean and --std name {preprocess.channels} channels; the model takes {shape[0]}")
    return images_counterfactuals.output(network, preprocess.low.expand(1, *shape)).shape[1]


def _classes(target: str, outputs: int) -> list[int]:
    """Numbers of classes; for ``"all"``, of every output that the model has."""
    if target == "all":
        return list(range(outputs))
    parts = target.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise DataError(f"--target {target}: expected a class from 0 up, several such as 3,5, or all")
    return [int(part) for part in parts]


def _one_class(target: str | None) -> int | None:
    """Of counterfactuals."""
    if target is not None and not target.strip().isdecimal():
        raise DataError(f"--target {target}: expected the class that counterfactuals shall be of, from 0 up")
    return None if target is None else int(target)


def _lines(found: "ImageMaximization") -> list[str]:
    lines = []
    for title, one in zip(found.titles, found.found, strict=True):
        probability = "" if one.probabilities is None else f", probability {float(one.probabilities[0]):.4f}"
        density = "" if one.log_density is None else f", log-density {float(one.log_density[0]):.1f}"
        lines.append(f"{title}: {float(one.values[0]):.3f}{probability}{density}")
    return lines


def _write(out: Path, found: "dict[str, tuple[ImageMaximization, list[Any]]]", asked: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Any] = {}
    results: list[dict[str, Any]] = []
    for prior, (images, penalties) in found.items():
        for title, one in zip(images.titles, images.found, strict=True):
            number = len(results)
            tensors[f"{number}.inputs"] = one.inputs
            tensors[f"{number}.trace"] = one.trace
            if one.log_density is not None:
                tensors[f"{number}.codes"] = one.codes
            columns = {
                "value": one.values,
                "total": one.totals,
                "penalty": one.penalty,
                "probability": one.probabilities,
                "log_density": one.log_density,
            }
            results.append(
                {
                    "target": title,
                    "prior": prior,
                    "penalties": [str(penalty) for penalty in penalties],
                    "tensors": number,
                    "stepped_over": one.stepped_over,
                }
                | {name: None if column is None else column.tolist() for name, column in columns.items()}
            )
    write_tensors(out / "inputs.safetensors", tensors)
    write_json(out / "maximized.json", {"format": 1, **asked, "results": results})
    (out / "counterfactuals.png").unlink(missing_ok=True)  # of a search before
