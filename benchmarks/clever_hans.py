"""Does the audit find a planted shortcut, and keep quiet where there is none?

    python benchmarks/clever_hans.py [--domains digits molecules sequences] [--trials 20] [--edit]

Every trial trains a small model on real data (see ``_artefacts.py``): MNIST, Mutagenicity, ChIP-seq peaks of CTCF and
PU.1. Planted: 30 to 50 % of one class have a tag in a corner, a solvent molecule beside them, a barcode at the start.
Clean: nobody has. Harmless: as many samples of any class have it, so that it says nothing about the label.

The audit gets what an auditor has: the model's explanations of its training data, and the labels. A planted trial
counts where the first cluster raises an alarm and at least 90 % of its members carry the artefact; a clean one, and a
harmless one, where no cluster raises an alarm. Carriers found: the share of the artefact's carriers that are explained
for its class and are members of the first cluster.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, NamedTuple

import numpy as np
from _artefacts import TRIALS, Trial

from sciexplain.audit import Spray
from sciexplain.domains import genomics, images, molecules

PURE = 0.9


def audited(domain: str, trial: Trial, edit: bool) -> Spray:
    """The audit of a trial's training data."""
    options: dict[str, Any] = {"labels": trial.y_train, "edit": edit, "embedding": None}
    if domain == "digits":
        return images.audit(images.explain(trial.model, trial.x_train, batch_size=256), **options)
    if domain == "molecules":
        return molecules.audit(molecules.explain(trial.model, trial.x_train), **options)
    explained = genomics.explain(trial.model, trial.x_train, composite="epsilon_alpha2_beta1")
    return genomics.audit(explained, **options)


class Outcome(NamedTuple):
    """Of one trial."""

    first: bool
    alarm: bool
    found: float
    accuracy: float
    marked: float
    training: float
    auditing: float


def outcome(domain: str, seed: int, kind: str, edit: bool) -> Outcome:
    begun = time.perf_counter()
    trial = TRIALS[domain](seed, kind == "planted", harmless=kind == "harmless")
    trained = time.perf_counter()
    found = audited(domain, trial, edit)
    done = time.perf_counter()
    marked = trial.marked.numpy()
    members = found[0].members
    of_class = marked & (found.target == trial.target)
    return Outcome(
        first=found[0].alarm and bool(marked[members].mean() >= PURE),
        alarm=found.alarm,
        found=float(of_class[members].sum() / max(1, of_class.sum())),
        accuracy=trial.accuracy(),
        marked=trial.accuracy(trial.x_test_marked),
        training=trained - begun,
        auditing=done - trained,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domains", nargs="+", choices=list(TRIALS), default=list(TRIALS))
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--edit", action="store_true", help="let edits confirm alarms")
    given = parser.parse_args()
    print("| data | trials | right | carriers found | clean test | with the artefact | s to train | s to audit |")
    print("|---|---|---|---|---|---|---|---|---|")
    for domain in given.domains:
        for kind in ("planted", "clean", "harmless"):
            outcomes = [outcome(domain, seed, kind, given.edit) for seed in range(given.trials)]
            mean = Outcome(*np.mean(outcomes, axis=0))
            right = [one.first if kind == "planted" else not one.alarm for one in outcomes]
            wrong = f" <!-- seeds {np.flatnonzero(~np.array(right)).tolist()} -->" if not all(right) else ""
            found = f"{mean.found:.0%}" if kind == "planted" else ""
            print(
                f"| {domain} | {kind} | {sum(right)}/{len(right)} | {found} | {mean.accuracy:.1%} | {mean.marked:.1%} "
                f"| {mean.training:.1f} | {mean.auditing:.1f} |{wrong}",
                flush=True,
            )


if __name__ == "__main__":
    main()
