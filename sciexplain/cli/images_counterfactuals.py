"""``sciexplain maximize images --counterfactual``: the nearest pictures of which a model says something else."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from sciexplain.cli.console import progress, say
from sciexplain.cli.files import write_json, write_tensors
from sciexplain.errors import DataError, SciExplainError, TargetError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from sciexplain.domains.images import Picture, Preprocess
    from sciexplain.domains.images.counterfactual import ImageCounterfactual

ONLY_MAXIMIZE = (
    "layer", "channel", "restarts", "l2", "total_variation", "jitter", "compare", "parameterization",
)  # fmt: skip
"""Options that say nothing of counterfactuals."""
_MOST, _DRAWN = 100, 10


@dataclass(frozen=True)
class Asked:
    """Which counterfactuals of which pictures.

    Attributes
    ----------
    shape
        (C, H, W) of the network's input, where it is known.
    target
        The class to be predicted; None: any other.
    """

    sources: Sequence[str]
    shape: tuple[int, int, int] | None
    preprocess: "Preprocess"
    target: int | None
    distance: Literal["l1", "l2"]
    steps: int
    lr: float
    density_weight: float
    seed: int


def counterfactuals(
    network: "nn.Module", prior: Any, asked: Asked, out: Path, about: dict[str, Any], *, quiet: bool
) -> None:
    """Search them, and write ``counterfactuals.png``, ``maximized.json`` and ``inputs.safetensors``.

    Raises
    ------
    SciExplainError
        None of the pictures can be asked about.
    typer.Exit
        Code 1: some of them could not, or none was found for some.
    """
    from sciexplain.domains.images import save
    from sciexplain.domains.images.counterfactual import counterfactual as search

    failures: dict[str, str] = {}
    pictures = _usable(network, asked, failures)
    with progress(quiet=quiet) as bar:
        task = bar.add_task("searching the nearest", total=None)

        def report(step: Any) -> None:
            words = f"searching the nearest, {step.found} of {len(pictures)} found"
            bar.update(task, completed=step.number, total=step.steps, description=words)

        found = search(
            network,
            pictures,
            asked.target,
            prior=prior,
            preprocess=asked.preprocess,
            distance=asked.distance,
            density_weight=asked.density_weight,
            steps=asked.steps,
            lr=asked.lr,
            seed=asked.seed,
            labels=getattr(network, "labels", None),
            report=report,
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / "maximized.png").unlink(missing_ok=True)  # of a maximisation before
    save(out / "counterfactuals.png", found.figure(indices=range(min(len(found), _DRAWN))))
    write_tensors(out / "inputs.safetensors", _tensors(found))
    rows = _rows(found)
    write_json(out / "maximized.json", {**about, "counterfactuals": rows, "failures": failures})
    say([*map(_line, rows), *(f"failed {name}: {reason}" for name, reason in failures.items())])
    say([f"pictures in {out / 'counterfactuals.png'}, inputs in {out / 'inputs.safetensors'}"])
    if failures or not all(row["found"] for row in rows):
        raise typer.Exit(1)


def _usable(network: "nn.Module", asked: Asked, failures: dict[str, str]) -> "list[Picture]":
    """The pictures that the network takes and has an answer to; why not, of the others.

    Raises
    ------
    SciExplainError
        There are none, or too many.
    """
    from sciexplain.domains import images

    channels = asked.preprocess.channels if asked.shape is None else asked.shape[0]
    mode: Any = {1: "L", 3: "RGB"}.get(channels or 0)
    for source in asked.sources:
        if not source.strip():
            raise DataError("--counterfactual names no picture; give a file, such as a.png or digits.npz[3]")

    def note(name: str, error: SciExplainError) -> None:
        failures[name] = str(error).removeprefix(f"{name}: ")

    read = images.read(asked.sources, mode, on_error=note)
    pictures = list(islice(read, _MOST + 1))
    if len(pictures) > _MOST:
        raise DataError(f"more than {_MOST} pictures; give fewer, such as {pictures[3].name}")
    usable = []
    for picture in pictures:
        try:
            _check(network, picture, asked)
            usable.append(picture)
        except SciExplainError as error:
            note(picture.name, error)
    if not usable:
        name, reason = next(iter(failures.items()), (", ".join(asked.sources), "found no pictures"))
        raise DataError(f"{name}: {reason}")
    sizes = sorted({tuple(asked.preprocess(picture).shape[1:]) for picture in usable})
    if len(sizes) > 1:
        raise DataError(f"pictures of different sizes, {', '.join(map(str, sizes))}; give --shape, to resize them")
    return usable


def _check(network: "nn.Module", picture: "Picture", asked: Asked) -> None:
    inputs = asked.preprocess(picture)
    if asked.shape is not None and tuple(inputs.shape) != asked.shape:
        resize = f"; --shape {','.join(map(str, asked.shape))} resizes" if len(inputs) == asked.shape[0] else ""
        raise DataError(f"it becomes an input of {tuple(inputs.shape)}, but the model takes {asked.shape}{resize}")
    logits = output(network, inputs[None])
    if not bool(logits.isfinite().all()):
        raise DataError("the model's output is NaN or infinite")
    if asked.target is None:
        return
    classes = max(logits.shape[1], 2)
    if asked.target >= classes:
        raise TargetError(f"--target {asked.target} is out of range: the model has the classes 0 to {classes - 1}")
    if logits.ndim == 2 and asked.target == (int(logits.argmax()) if logits.shape[1] > 1 else int(logits > 0)):
        raise TargetError(f"the model says {asked.target} already")


def output(network: "nn.Module", inputs: "torch.Tensor") -> "torch.Tensor":
    """What a network says, logits in the place of a final softmax or sigmoid.

    Raises
    ------
    ModelError
        It does not take these inputs.
    """
    import torch

    from sciexplain.errors import ModelError
    from sciexplain.maximization.observe import observe
    from sciexplain.targets import logits_of

    like = next(network.parameters(), torch.empty(0))
    try:
        with torch.no_grad():
            return logits_of(observe(network, inputs.to(like)).output).detach()
    except SciExplainError:
        raise
    except Exception as error:  # the user's model may raise anything
        shape = ",".join(map(str, inputs.shape[1:]))
        raise ModelError(
            f"the model does not take an input of shape {shape}: {type(error).__name__}: {error}"
        ) from error


def _tensors(found: "ImageCounterfactual") -> "dict[str, torch.Tensor]":
    one = found.found
    named = {
        "inputs": one.inputs,
        "counterfactuals": one.counterfactuals,
        "reconstruction": one.reconstruction,
        "codes": one.codes,
    }
    return {name: value for name, value in named.items() if value is not None}


def _rows(found: "ImageCounterfactual") -> list[dict[str, Any]]:
    one, changed = found.found, found.changed()
    rows = []
    for i, name in enumerate(found.names):
        there = bool(one.found[i])
        assert one.prediction is not None and one.new_prediction is not None
        rows.append(
            {
                "name": name,
                "prediction": int(one.prediction[i]),
                "label": found.label(i),
                "reconstructed_label": found.reconstructed_label(i) or None,
                "found": there,
                "new_prediction": int(one.new_prediction[i]) if there else None,
                "new_label": found.label(i, after=True) if there else None,
                "distance": float(one.distance[i]) if there else None,
                "changed_pixels": int(changed[i]) if there else None,
                "margin": float(one.margin[i]),
                "new_margin": float(one.new_margin[i]) if there else None,
                "log_density": float(one.log_density[i]) if there and one.log_density is not None else None,
            }
        )
    return rows


def _line(row: dict[str, Any]) -> str:
    if not row["found"]:
        return f"{row['name']}: {row['label']}; none found"
    apart = row["reconstructed_label"] not in (None, row["label"])
    known = f"; the prior makes of it what is {row['reconstructed_label']} already" if apart else ""
    density = "" if row["log_density"] is None else f", log-density {row['log_density']:.1f}"
    return (
        f"{row['name']}: {row['label']} becomes {row['new_label']}, {row['changed_pixels']} pixels changed, distance "
        f"{row['distance']:.4g}{density}{known}"
    )
