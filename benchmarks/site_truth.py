"""Explanations of sequence models against what is known to be true, with what they cost.

    python benchmarks/site_truth.py [--tasks motif pair chipseq promoters] [--models small small2 basset bpnet]
        [--most 300] [--peaks 1500] [--epochs N] [--quick] [--seed 0]

Reference models are trained, then methods explain sequences that these were not shown and that they get right. CPU
seconds are those of one thread, the least of three runs, for the sequences named above the table; on a busy machine
they grow, and those of methods with many references most. With one-hot input, gradient and input × gradient are the
same at the letter that is there. "Centred": hypothetical contributions less their mean over the four letters
(Majdandzic et al. 2023), at the letter that is there.

* motif, pair (``datasets.simulate_motifs``): is CTCF's motif there; is SPI1's before CEBP's at a spacing. AUPRC of the
  letters inside the motifs, per sequence; sites that ``call_sites`` finds at a false discovery rate of 5 %: precision,
  the share whose centre is inside a motif, and recall, the share of motifs with such a site.
* chipseq: CTCF against PU.1 peaks, 100 bp. Nobody has marked the sites; where HOCOMOCO's matrix of the peak's own
  factor matches (FIMO's p < 1e-4), AUPRC of these letters, and r, the correlation of relevance with the matrix's
  log-odds over all letters of the sequence. Deletion needs no truth: the fall of the logit when the 5, 10, 20 most
  relevant letters are replaced by random others; it favours what follows the model's slope, and mutagenesis by
  construction. Then TF-MoDISco's motifs and their best Tomtom match in HOCOMOCO v12.
* promoters: 106 sequences of E. coli, ten-fold cross-validation. Mean relevance per letter of held-out promoters in the
  −35 and −10 boxes (6 letters ± 2) against elsewhere, and the share of the 56 rotations of the profile that reach as
  much. A filter of 31 letters holds both boxes; narrower ones let networks do with the −10 box.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import memelite
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import sciexplain as sx
from sciexplain import datasets
from sciexplain.domains import genomics
from sciexplain.domains.genomics import SequenceExplanation, Sequences, reference
from sciexplain.domains.genomics.formats.meme import read_motifs
from sciexplain.domains.genomics.match import match_motifs
from sciexplain.domains.genomics.motif import Motif
from sciexplain.domains.genomics.motifs import discover_motifs
from sciexplain.domains.genomics.reference.scores import average_precision

BOX = sx.rules.ZBox(0.0, 1.0)
GAMMA = sx.rules.GeneralizedGamma(1.0)


class Method(NamedTuple):
    """What :func:`genomics.explain` is asked, and whether contributions are centred afterwards."""

    options: dict[str, Any]
    centred: bool = False


def lrp(composite: Any, centred: bool = False) -> Method:
    return Method({"composite": composite}, centred)


METHODS = {
    "LRP ε": lrp("epsilon"),
    "LRP ε, centred": lrp("epsilon", True),
    "LRP ε = ¼, centred": lrp(sx.composites.get("epsilon", epsilon=0.25), True),
    "LRP ε⁺ (epsilon_plus)": lrp("epsilon_plus"),
    "LRP ε⁺, flat first": lrp("epsilon_plus_flat"),
    "LRP α2β1": lrp("epsilon_alpha2_beta1"),
    "LRP α2β1, centred": lrp("epsilon_alpha2_beta1", True),
    "LRP γ = 1": lrp(sx.Composite(default=GAMMA)),
    "LRP γ = 1, centred": lrp(sx.Composite(default=GAMMA), True),
    "LRP z^B, γ = ¼, ε (epsilon_gamma_box)": lrp(sx.composites.get("epsilon_gamma_box", low=0.0, high=1.0)),
    "LRP z^B, γ = 1": lrp(sx.Composite([("first", BOX)], GAMMA)),
    "LRP z^B, z⁺, ε": lrp(sx.Composite([("first", BOX), ("convolution", sx.rules.ZPlus())], sx.rules.Epsilon())),
    "gradient × input": Method({"method": "gradient"}),
    "gradient, centred": Method({"method": "gradient"}, True),
    "SmoothGrad × input": Method({"method": "smoothgrad"}),
    "integrated gradients, from 0": Method({"method": "integrated_gradients", "reference": "zero"}),
    "integrated gradients, from ¼": Method({"method": "integrated_gradients", "reference": "uniform"}),
    "DeepLIFT, from 0": Method({"method": "deeplift", "reference": "zero"}),
    "DeepLIFT, from ¼": Method({"method": "deeplift", "reference": "uniform"}),
    "DeepSHAP, 20 shuffles": Method({"method": "deepshap"}),
    "DeepSHAP, 20 shuffles, centred": Method({"method": "deepshap"}, True),
    "mutagenesis": Method({"method": "mutagenesis"}),
}
MODELS: dict[str, dict[str, Any]] = {
    "small": {"kind": "small"},
    "small2": {"kind": "small", "layers": 2},
    "basset": {"kind": "basset"},
    "deepsea": {"kind": "deepsea"},
    "danq": {"kind": "danq"},
    "bpnet": {"kind": "bpnet"},
    "enformer": {"kind": "enformer"},
}
SIMULATED: dict[str, dict[str, Any]] = {
    "motif": {},
    "pair": {"tasks": {"SPI1 and CEBP": ("SPI1", "CEBP")}, "spacing": (5, 20)},
}
SHAP = "DeepSHAP, 20 shuffles"
BOXES = {"−35": range(12, 22), "−10": range(35, 45)}
CONSOLE = Console(width=150)


def asked(model: Any, sequences: Any, target: Any, method: Method) -> SequenceExplanation:
    e = genomics.explain(model, sequences, target, **method.options)
    return centred(e) if method.centred else e


def centred(e: SequenceExplanation) -> SequenceExplanation:
    return SequenceExplanation.of(
        e.sequences,
        hypothetical=e.hypothetical - e.hypothetical.mean(1, keepdim=True),
        score=e.score,
        target=e.target,
        again=Again(e.again),
    )


class Again(NamedTuple):
    """The question whose answers are centred."""

    question: Any

    def __call__(self, sequences: Sequences) -> SequenceExplanation:
        return centred(self.question(sequences))

    def rows(self, rows: Sequence[int]) -> Again:
        return Again(self.question.rows(rows))


def explained(model: Any, sequences: Sequences, target: Any, method: Method) -> tuple[SequenceExplanation, float]:
    """And the CPU seconds that it takes: the least of up to three runs, beyond what is compiled once."""
    asked(model, sequences[:2], target if isinstance(target, int) else target[:2], method)
    spent: list[float] = []
    while len(spent) < 3 and sum(spent) < 20:
        begin = time.process_time()
        e = asked(model, sequences, target, method)
        spent.append(time.process_time() - begin)
    return e, min(spent)


def table(title: str, rows: Sequence[dict[str, str]], best: Sequence[str]) -> None:
    """Rows as they are given; of the columns ``best`` the largest is bold."""
    shown = Table(title=title, title_justify="left", title_style="bold")
    for name in rows[0]:
        shown.add_column(name, justify="left" if name in ("method", "motif", "best match") else "right")
    largest = {name: max(rows, key=lambda row: float(row[name]))[name] for name in best}
    for row in rows:
        shown.add_row(*(f"[bold]{v}[/]" if name in largest and v == largest[name] else v for name, v in row.items()))
    CONSOLE.print(shown)


def verdict(rows: Sequence[dict[str, str]], figures: Sequence[str]) -> None:
    """LRP beside DeepSHAP, figure by figure."""
    shap = next(row for row in rows if row["method"] == SHAP)
    for name in figures:
        as_good = [r for r in rows if r["method"].startswith("LRP") and float(r[name]) >= float(shap[name])]
        if not as_good:
            CONSOLE.print(f"{name}: no LRP reaches DeepSHAP's {shap[name]}.")
            continue
        best = max(as_good, key=lambda row: float(row[name]))
        ratio = float(shap["CPU s"]) / float(best["CPU s"])
        CONSOLE.print(
            f"{name}: {len(as_good)} LRP rows reach DeepSHAP's {shap[name]}; {best['method']} {best[name]} at "
            f"1/{ratio:.0f} of its cost.",
            highlight=False,
        )


def auprc(truth: np.ndarray, relevance: np.ndarray) -> float:
    return float(np.mean([average_precision(t.astype(float), r) for t, r in zip(truth, relevance, strict=True)]))


# -- simulated -------------------------------------------------------------------------------------------------------


def simulated(task: str, given: argparse.Namespace) -> None:
    data = datasets.simulate_motifs(10_000, **SIMULATED[task], seed=given.seed)
    for name in given.models:
        trained = reference.train(data, **MODELS[name], epochs=given.epochs or 20, seed=given.seed)
        output = reference.predict(trained.model, [data.records[i] for i in data.test])[:, 0]  # type: ignore[index]
        right = [i for i, y in zip(data.test, output, strict=True) if y > 0 and data.targets[i, 0] == 1][: given.most]
        masks = data.truth_mask()
        sequences, truth = data.sequences(right), np.stack([masks[i] for i in right])
        places = [[(s.start, s.end) for s in data.truth if s.row == i] for i in right]
        rows = []
        for method, options in METHODS.items():
            e, seconds = explained(trained.model, sequences, 0, options)
            sites = genomics.call_sites(e, fdr=0.05, sign="positive")
            precision, recall = agreement(sites, places)
            rows.append(
                {
                    "method": method,
                    "AUPRC": f"{auprc(truth, e.nucleotides.double().numpy()):.3f}",
                    "sites": str(len(sites)),
                    "precision": f"{precision:.3f}",
                    "recall": f"{recall:.3f}",
                    "CPU s": f"{seconds:.3f}",
                }
            )
        table(
            f"\n{name} on simulated {task}: test AUROC {trained.test['AUROC']:.3f} (composition "
            f"{trained.composition['AUROC']:.3f}), {len(trained.epochs)} epochs in {trained.seconds:.0f} s; "
            f"{len(right)} sequences of {sequences.length} bp, {sum(map(len, places))} motifs, AUPRC by chance "
            f"{truth.mean():.3f}",
            rows,
            ("AUPRC", "recall"),
        )
        verdict(rows, ("AUPRC", "recall"))


def agreement(sites: Sequence[genomics.Site], places: Sequence[Sequence[tuple[int, int]]]) -> tuple[float, float]:
    """Precision and recall of the sites' centres."""
    found = {(row, place) for row, own in enumerate(places) for place in own}
    hits = [
        next((p for p in places[site.row] if p[0] <= (site.start + site.end - 1) / 2 < p[1]), None) for site in sites
    ]
    reached = {(site.row, hit) for site, hit in zip(sites, hits, strict=True) if hit is not None}
    right = sum(hit is not None for hit in hits)
    return (right / len(sites) if len(sites) else float("nan")), len(reached) / len(found)


# -- ChIP-seq --------------------------------------------------------------------------------------------------------


def chipseq(given: argparse.Namespace) -> None:
    data = datasets.load("ctcf-pu1")
    hocomoco = datasets.motif_file("hocomoco12")
    matrices = [m for m in read_motifs(hocomoco) if m.name.startswith(("CTCF.H12CORE", "SPI1.H12CORE"))]
    rng = np.random.default_rng(given.seed)
    if given.quick:
        data = replace(data, train=rng.permutation(data.train)[:6000])
    one = np.array([i for i in rng.permutation(data.test) if data.targets[i].sum() == 1])
    for name in given.models:
        trained = reference.train(data, **MODELS[name], epochs=given.epochs or 8, patience=3, seed=given.seed)
        own = data.targets[one].argmax(1)
        output: Any = reference.predict(trained.model, [data.records[i] for i in one])
        right = np.flatnonzero((output[np.arange(len(one)), own] > 0) & (output[np.arange(len(one)), 1 - own] < 0))
        peaks, classes = data.sequences(one[right]), own[right]
        odds = log_odds(peaks, classes, matrices)
        matched = np.flatnonzero((odds != 0).any(1))[: given.most]
        sequences, target, odds = peaks[matched.tolist()], torch.as_tensor(classes[matched]), odds[matched]
        rows = []
        for method, options in METHODS.items():
            e, seconds = explained(trained.model, sequences, target, options)
            relevance = e.nucleotides.double().numpy()
            r = [np.corrcoef(a, b)[0, 1] for a, b in zip(odds, relevance, strict=True)]
            rows.append(
                {
                    "method": method,
                    "AUPRC": f"{auprc(odds != 0, relevance):.3f}",
                    "r": f"{np.nanmean(r):.3f}",
                    "deletion": f"{deletion(trained.model, sequences, target, relevance):.2f}",
                    "CPU s": f"{seconds:.3f}",
                }
            )
        table(
            f"\n{name} on CTCF against PU.1: test AUROC {trained.test['AUROC']:.4f} (composition "
            f"{trained.composition['AUROC']:.3f}), {len(trained.epochs)} epochs in {trained.seconds:.0f} s; "
            f"{len(sequences)} of {len(right)} peaks that are told right have a strong match, AUPRC by chance "
            f"{(odds != 0).mean():.3f}",
            rows,
            ("AUPRC", "r", "deletion"),
        )
        verdict(rows, ("AUPRC", "r", "deletion"))
        rows = [row for m in MOTIF_METHODS for row in motifs(trained.model, peaks, classes, m, hocomoco, given)]
        table(
            f"TF-MoDISco's motifs of {min(given.peaks, len(peaks))} peaks, for each the best of HOCOMOCO v12", rows, ()
        )


MOTIF_METHODS = (
    "LRP ε, centred",
    "LRP ε⁺ (epsilon_plus)",
    "LRP α2β1, centred",
    "LRP γ = 1, centred",
    SHAP,
    "mutagenesis",
)


def log_odds(sequences: Sequences, classes: np.ndarray, matrices: Sequence[Motif]) -> np.ndarray:
    """(N, L): bits of each letter in the strong matches of its own factor's matrices, at least 1e-9 there; else 0."""
    x = sequences.one_hot.double().numpy()
    found = np.zeros((len(sequences), sequences.length))
    hits = memelite.fimo({m.name: m.ppm.T for m in matrices}, x, threshold=1e-4)
    for matrix, table_of in zip(matrices, hits, strict=True):
        bits = np.log2((matrix.ppm.T + 1e-3) / 0.251)
        for row, start, end, strand in zip(
            *(table_of[c] for c in ("sequence_name", "start", "end", "strand")), strict=True
        ):
            row, part = int(row), slice(int(start), int(end))
            if (classes[row] == 0) == matrix.name.startswith("CTCF"):
                letters = ((bits if strand == "+" else bits[::-1, ::-1]) * x[row, :, part]).sum(0)
                found[row, part] = np.maximum(found[row, part], np.maximum(letters, 1e-9))
    return found


@torch.no_grad()
def deletion(model: Any, sequences: Sequences, target: torch.Tensor, relevance: np.ndarray) -> float:
    """Mean fall of the target's logit over 5, 10, 20 letters replaced, five draws each."""
    rng, x, rows = torch.Generator().manual_seed(0), sequences.inputs, torch.arange(len(sequences))[:, None]
    order = torch.as_tensor(np.argsort(-relevance, 1, kind="stable").copy())
    before, falls = model(x)[rows[:, 0], target], []
    for count in (5, 10, 20):
        for _ in range(5):
            places, changed = order[:, :count], x.clone()
            letter = x.argmax(1).gather(1, places)
            changed[rows, letter, places] = 0
            changed[rows, (letter + torch.randint(1, 4, letter.shape, generator=rng)) % 4, places] = 1
            falls.append((before - model(changed)[rows[:, 0], target]).mean())
    return float(torch.stack(falls).mean())


def motifs(
    model: Any, peaks: Sequences, classes: np.ndarray, method: str, database: Any, given: argparse.Namespace
) -> list[dict[str, str]]:
    chosen = list(range(min(given.peaks, len(peaks))))
    e, seconds = explained(model, peaks[chosen], torch.as_tensor(classes[chosen]), METHODS[method])
    begin = time.perf_counter()
    found = discover_motifs(e, seed=given.seed)
    spent = time.perf_counter() - begin
    rows = []
    for motif in found:
        (match,) = match_motifs([motif], database, top=1)
        rows.append(
            {
                "method": method,
                "CPU s": f"{seconds:.2f}",
                "MoDISco s": f"{spent:.0f}",
                "motif": f"{motif.consensus} ({'+' if motif.sign > 0 else '−'})",
                "seqlets": str(len(motif.seqlets)),
                "best match": match.target,
                "q": f"{match.q:.1e}",
            }
        )
    return rows or [
        dict.fromkeys(("method", "CPU s", "MoDISco s", "motif", "seqlets", "best match", "q"), "–") | {"method": method}
    ]


# -- promoters -------------------------------------------------------------------------------------------------------


def promoters(given: argparse.Namespace) -> None:
    data = datasets.load("promoters")
    rng, methods = np.random.default_rng(given.seed), METHODS
    folds = np.array_split(rng.permutation(len(data)), 10)
    logits, seconds = np.zeros(len(data)), dict.fromkeys(methods, 0.0)
    profiles = {name: np.zeros((len(data), 57)) for name in methods}
    seeds = range(1 if given.quick else 5)
    for place, test in enumerate(folds):
        valid = folds[(place + 1) % 10]
        train = np.setdiff1d(np.arange(len(data)), np.concatenate([test, valid]))
        fold, sequences = replace(data, train=train, valid=valid, test=test), data.sequences(test)
        for seed in seeds:
            model = reference.train(
                fold, "small", kernel=31, channels=64, dropout=0.5, epochs=given.epochs or 100, patience=20,
                batch_size=16, lr=5e-3, augment=False, seed=seed,
            ).model  # fmt: skip
            logits[test] += reference.predict(model, sequences)[:, 0] / len(seeds)  # type: ignore[index]
            for name, method in methods.items():
                e, spent = explained(model, sequences, 0, method)
                profiles[name][test] += e.nucleotides.double().numpy() / len(seeds)
                seconds[name] += spent
    truth = data.targets[:, 0] == 1
    rows = []
    for name in methods:
        profile = profiles[name][truth].mean(0)
        inside = np.isin(np.arange(57), [p for box in BOXES.values() for p in box])
        turned = [np.roll(profile, k)[inside].mean() for k in range(57)]
        around = np.convolve(profile, np.ones(6), "valid")
        rows.append(
            {
                "method": name,
                **{f"{box} box": f"{profile[list(where)].mean():+.3f}" for box, where in BOXES.items()},
                "elsewhere": f"{profile[~inside].mean():+.3f}",
                "inside / |elsewhere|": f"{profile[inside].mean() / np.abs(profile[~inside]).mean():.2f}",
                "rotations as good": f"{np.mean(np.array(turned[1:]) >= turned[0]):.3f}",
                "6 bp peak at": f"{around.argmax() - 50:+d}".replace("-", "−"),
                "CPU s": f"{seconds[name]:.2f}",
            }
        )
    table(
        f"\nsmall on {len(data)} promoters and others, 10-fold cross-validation, mean of {len(seeds)} "
        f"networks: {np.sum((logits > 0) != truth)} of {len(data)} told wrong; mean relevance per letter of "
        f"{truth.sum()} held-out promoters",
        rows,
        ("inside / |elsewhere|",),
    )
    verdict(rows, ("inside / |elsewhere|",))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks: dict[str, Callable[[argparse.Namespace], None]] = {
        "motif": lambda given: simulated("motif", given),
        "pair": lambda given: simulated("pair", given),
        "chipseq": chipseq,
        "promoters": promoters,
    }
    parser.add_argument("--tasks", nargs="+", default=list(tasks), choices=list(tasks))
    parser.add_argument("--models", nargs="+", default=["small2", "basset"], choices=list(MODELS))
    parser.add_argument("--epochs", type=int, help="at most; each task has its own number")
    parser.add_argument("--most", type=int, default=300, help="sequences explained in each table, at most")
    parser.add_argument("--peaks", type=int, default=1500, help="peaks that motifs are discovered in, at most")
    parser.add_argument("--quick", action="store_true", help="a minute's look: few passes over few sequences")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.quick:
        given.models, given.most, given.peaks, given.epochs = ["small"], 60, 600, given.epochs or 8
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    for task in given.tasks:
        tasks[task](given)


if __name__ == "__main__":
    main()
