"""``sciexplain demo``: train a small network on real digits and ask it why."""

from pathlib import Path
from typing import Annotated

import typer

DIGITS_SHOWN = 8
LOOKALIKES = (3, 9)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training digits.")] = 20,
    seed: Annotated[int, typer.Option(help="What training draws its random numbers from.")] = 0,
) -> None:
    """Train a network on handwritten digits, and explain held-out ones: why this digit, and why not another?"""
    import torch

    from sciexplain import datasets
    from sciexplain.cli.console import progress, results
    from sciexplain.cli.digits_network import train_network
    from sciexplain.domains import images
    from sciexplain.runs import decisions

    digits = datasets.load("digits")
    inputs, labels = torch.from_numpy(digits.images)[:, None], torch.from_numpy(digits.labels)
    train, test = torch.from_numpy(digits.train), torch.from_numpy(digits.test)
    out.mkdir(parents=True, exist_ok=True)

    with progress() as bar:
        training = bar.add_task("training", total=epochs)
        network = train_network(
            inputs[train], labels[train], epochs=epochs, seed=seed, advance=lambda: bar.advance(training)
        )
        explaining = bar.add_task("explaining", total=3)
        with torch.no_grad():
            logits = network(inputs[test])
        predicted, runner_up = logits.topk(2, dim=1).indices.unbind(1)
        contrast = images.contrast(
            network,
            [images.Picture(f"digit {i}", None, digits.images[i, :, :, None]) for i in test.tolist()],
            predicted,
            runner_up,
            composite="epsilon_gamma_box",
            ledger=True,
            labels=digits.names,
        )
        bar.advance(explaining)
        contrast.for_a.explanation.save(out / "explanations.safetensors")
        contrast.for_b.explanation.save(out / "explanations_runner_up.safetensors")
        bar.advance(explaining)
        shown = _most_ambiguous(logits.softmax(1), predicted, runner_up)
        images.save(out / "heatmaps.png", images.contrast_figure(contrast, indices=shown))
        bar.advance(explaining)
