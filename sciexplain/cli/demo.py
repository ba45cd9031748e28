"""``sciexplain demo``: train a small network on real digits and ask it why."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch import Tensor

from sciexplain import datasets
from sciexplain.cli.console import progress, results
from sciexplain.cli.digits_network import train_network
from sciexplain.runs import decisions

if TYPE_CHECKING:
    from sciexplain.domains.images import Contrast

LOOKALIKES = (3, 9)
LOOKALIKES_SHOWN = 4
SHOWN = 8


def demo(
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the results.")] = Path("demo"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training digits.")] = 20,
    seed: Annotated[int, typer.Option(help="Where training draws its random numbers from.")] = 0,
) -> None:
    """Train a network on handwritten digits and explain held-out ones: why this digit, why not the next?"""
    with _one_thread():
        _demo(out, epochs, seed)


@contextmanager
def _one_thread() -> Iterator[None]:
    """On a network this small, threads mostly wait for each other, and for minutes where cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _demo(out: Path, epochs: int, seed: int) -> None:
    from sciexplain.domains import images

    digits = datasets.load("digits")
    inputs, labels = torch.from_numpy(digits.images)[:, None], torch.from_numpy(digits.labels)
    out.mkdir(parents=True, exist_ok=True)

    with progress() as bar:
        training = bar.add_task("training", total=epochs)
        network = train_network(
            inputs[digits.train],
            labels[digits.train],
            epochs=epochs,
            seed=seed,
            advance=lambda: bar.advance(training),
        )
        with torch.no_grad():
            logits = network(inputs[digits.test])
        predicted, runner_up = logits.topk(2, dim=1).indices.unbind(1)

        explaining = bar.add_task("explaining", total=None)
        contrast = images.contrast(
            network,
            [images.Picture(f"#{i}", None, digits.images[i, :, :, None]) for i in digits.test],
            predicted,
            runner_up,
            composite="epsilon_gamma_box",
            ledger=True,
            labels=digits.names,
        )
        bar.update(explaining, total=len(digits.test), completed=len(digits.test))

        drawing = bar.add_task("drawing", total=1)
        shown = _most_ambiguous(logits.softmax(1), predicted, runner_up)
        images.save(out / "heatmaps.png", images.contrast_figure(contrast, indices=shown))
        bar.advance(drawing)

    contrast.for_a.explanation.save(out / "explanations.safetensors")
    contrast.for_b.explanation.save(out / "explanations_runner_up.safetensors")

    console = results()
    console.print(_table(contrast, logits, shown))
    right = float((predicted == labels[digits.test]).double().mean())
    console.print(f"{right:.1%} of {len(digits.test)} held-out digits recognised.", highlight=False)
    console.print(f"Pictures: {out / 'heatmaps.png'}", highlight=False, soft_wrap=True)
    console.print(f"Numbers:  {out / 'explanations.safetensors'}", highlight=False, soft_wrap=True)


def _most_ambiguous(probabilities: Tensor, predicted: Tensor, runner_up: Tensor) -> list[int]:
    """Digits that could be either lookalike, the most ambiguous first; then others with a close runner-up."""
    by_doubt = probabilities.gather(1, runner_up[:, None])[:, 0].argsort(descending=True).tolist()
    pairs = [{int(a), int(b)} for a, b in zip(predicted, runner_up, strict=True)]
    alike = [i for i in by_doubt if pairs[i] == set(LOOKALIKES)][:LOOKALIKES_SHOWN]
    others = [i for i in by_doubt if i not in alike]
    return (alike + others)[:SHOWN]


def _table(contrast: "Contrast", logits: Tensor, shown: list[int]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False, caption="relevance in units of the logit")
    for title in ("image", "prediction", "probability", "runner-up", "for", "against", "ledger gap"):
        table.add_column(title, justify="right", no_wrap=True)
    explained = contrast.for_a
    ledger = explained.explanation.ledger
    assert ledger is not None  # it was asked for
    made = decisions(logits)
    for i in shown:
        relevance = explained.relevance[i].double()
        table.add_row(
            explained.pictures[i].name,
            str(made[i].prediction),
            f"{made[i].probability:.3f}",
            str(made[i].runner_up),
            f"{relevance.clamp(min=0).sum():+.3f}",
            f"{relevance.clamp(max=0).sum():+.3f}",
            f"{ledger.gap[i]:+.1e}",
        )
    return table
