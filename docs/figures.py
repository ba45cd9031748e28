"""The figures of the pages, on data that comes with the package: ``python docs/figures.py`` (a minute)."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import torch

from sciexplain import datasets
from sciexplain.domains import genomics, images, molecules
from sciexplain.domains.genomics.reference import train as train_on_sequences
from sciexplain.domains.molecules.reference import train as train_on_molecules

ASSETS = Path(__file__).with_name("assets")


def digits() -> None:
    """Held-out digits that a network nearly confuses, class against class, and one digit by several rules."""
    data = datasets.load("digits")
    model = images.reference.train(data, epochs=12, seed=0).model
    x = torch.from_numpy(data.images[data.test])[:, None]
    with torch.no_grad():
        probabilities, classes = model(x).softmax(1).topk(2, dim=1)
    close = (probabilities[:, 0] - probabilities[:, 1]).argsort()[:2]
    pictures = [images.Picture(f"digit {data.test[i]}", None, data.images[data.test[i], :, :, None]) for i in close]
    first, second = classes[close].T
    found = images.contrast(model, pictures, first, second, composite="epsilon_gamma_box", labels=data.names)
    images.save(ASSETS / "digits.png", images.contrast_figure(found))

    three = next(i for i in data.test if data.labels[i] == 3)
    picture = [images.Picture("a 3", None, data.images[three, :, :, None])]
    asked = {
        "ε": {"composite": "epsilon"},
        "z⁺, flat first": {"composite": "epsilon_plus_flat"},
        "γ, zᴮ first": {"composite": "epsilon_gamma_box"},
        "α2β1": {"composite": "epsilon_alpha2_beta1"},
        "gradient": {"method": "gradient"},
    }
    explained = {title: images.explain(model, picture, 3, **options) for title, options in asked.items()}
    images.save(ASSETS / "rules.png", images.methods_figure(explained))


def molecule() -> None:
    """Aspirin by a network of Crippen's logP, whose truth is known atom by atom."""
    data = datasets.load("drugs")
    model = train_on_molecules(data, "gin", epochs=60, width=32, seed=0).model
    found = molecules.explain(model, ["CC(=O)Oc1ccccc1C(=O)O"])[0]
    found.to_svg(ASSETS / "aspirin.svg", title="", bonds=True)


def sequence() -> None:
    """A sequence with a planted motif, as a network reads it."""
    data = datasets.simulate_motifs(1500, 60, decoys=(), seed=0)
    model = train_on_sequences(data, "small", epochs=15, channels=16, kernel=15, lr=5e-3, seed=0).model
    places = {m.row: m.start for m in data.truth}
    row = next(i for i in data.test if 10 < places.get(i, 0) < 35)
    found = genomics.explain(model, [data.records[row]], strand="both", composite="epsilon_alpha2_beta1")
    planted = [(m.start, m.end) for m in data.truth if m.row == row and m.task]
    axes = genomics.draw_logo(found.contributions[0].T, ax=plt.figure(figsize=(9, 1.8)).gca(), highlight=planted)
    axes.set_xlabel("position (bp)")
    axes.set_ylabel("relevance (logit)")
    axes.figure.savefig(ASSETS / "motif.png", dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    torch.set_num_threads(1)
    ASSETS.mkdir(exist_ok=True)
    for draw in (digits, molecule, sequence):
        draw()
