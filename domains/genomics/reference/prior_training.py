"""Training of the density of sequences, and what it is worth on sequences it has not seen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sciexplain import _fitting, _trained
from sciexplain._fitting import Epoch
from sciexplain.domains.genomics.alphabet import DNA, Alphabet
from sciexplain.domains.genomics.encode import reverse_complement
from sciexplain.domains.genomics.reference.assemble import Reading, Split, divided
from sciexplain.domains.genomics.reference.prior import SequencePrior
from sciexplain.domains.genomics.sequences import Record, Sequences
from sciexplain.errors import DataError, InputError

_PSEUDOCOUNT = 0.5
_TRIED, _SURE = 400, 0.6
"""Stretches to begin with that are tried, and the probability of their own letters as a site."""


@dataclass(frozen=True, eq=False)
class TrainedPrior:
    """A density of sequences, and the account of its training.

    Attributes
    ----------
    prior
        The density, in evaluation mode.
    epochs
        All passes; the weights are those of the one with the best validation log-density.
    test
        Mean log-density of sequences that were held out, in nats per letter: of ``"prior"``, of a Markov chain
        (``"Markov, order 3"``) and of the letters' frequencies (``"Markov, order 0"``), all fitted on the same part.
    data, settings
        What it was trained on, and how.
    seconds
        Of training.
    """

    prior: SequencePrior
    epochs: tuple[Epoch, ...]
    test: dict[str, float]
    data: dict[str, Any]
    settings: dict[str, Any]
    seconds: float


def train_prior(
    records: Sequence[Record | str],
    *,
    backgrounds: int = 4,
    sites: int = 8,
    width: int = 20,
    epochs: int = 20,
    patience: int = 5,
    lr: float = 2e-2,
    batch_size: int = 64,
    seed: int = 0,
    alphabet: str | Alphabet = DNA,
    split: Split | None = None,
    report: Callable[[Epoch], object] = lambda epoch: None,
) -> TrainedPrior:
    """Fit a :class:`SequencePrior` by maximum likelihood; the same seed gives the same density.

    Each sequence is shown as its reverse complement half of the time, where there are two strands.

    Parameters
    ----------
    records
        Sequences of one length.
    backgrounds, sites, width
        As of the prior; sites are made narrower where the sequences are shorter.
    epochs, patience, lr, batch_size, seed
        Of the optimization.
    alphabet
        Of the sequences.
    split
        As of :class:`~sciexplain.domains.genomics.reference.assemble.Reading`: what is held out, a tenth to choose by
        and a tenth to test on.
    report
        Called after each pass.

    Raises
    ------
    DataError
        Fewer than ten sequences, or not to be divided as asked.
    InputError
        A setting is out of range, or sequences differ in length or have foreign letters.

    Examples
    --------
    >>> import random
    >>> draw = random.Random(0)
    >>> found = train_prior(["".join(draw.choices("ACGT", [8, 1, 1, 1], k=30)) for _ in range(60)], epochs=2)
    >>> sorted(found.test)
    ['Markov, order 0', 'Markov, order 3', 'prior']
    """
    _fitting.check_settings(epochs, patience, batch_size, lr)
    started = time.perf_counter()
    listed = [Record(f"sequence_{i}", r) if isinstance(r, str) else r for i, r in enumerate(records)]
    if len(listed) < 10:
        raise DataError(f"found {len(listed)} sequences; expected ten or more")
    given = Sequences.of(listed, alphabet)
    letters = given.alphabet
    (train, valid, test), how = divided(listed, Reading({"alphabet": letters}, split, seed))
    x = given.one_hot
    rows, chosen, held = (torch.as_tensor(part) for part in (train, valid, test))
    if not (len(rows) and len(chosen) and len(held)):
        raise DataError(f"{len(listed)} sequences cannot be divided in three; give more, or split=")
    seen = torch.cat([x[rows], reverse_complement(x[rows], letters)]) if letters.complement else x[rows]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        prior = SequencePrior(
            given.length, letters.name, backgrounds=backgrounds, sites=sites, width=min(width, given.length)
        )
        _begin(prior, seen)

        def loss(part: Tensor) -> tuple[Tensor, int]:
            return _summed(prior, x[part])

        def turned(part: Tensor) -> tuple[Tensor, int]:
            shown = x[part]
            if letters.complement:
                turn = torch.rand(len(part)) < 0.5
                shown[turn] = reverse_complement(shown[turn], letters)
            return _summed(prior, shown)

        passes = _fitting.fit(
            prior, turned, rows, chosen, validation=loss, epochs=epochs, patience=patience, lr=lr,
            batch_size=batch_size, report=report,
        )  # fmt: skip
    prior.eval().requires_grad_(False)
    densities = torch.cat([prior.log_likelihood(part) for part in x[held].split(256)])
    prior.typical = densities.mean()
    known = float(x[held].sum())
    figures = {"prior": float(densities.double().sum()) / known}
    for order in (prior.order, 0):
        chain = markov_chain(seen, order)
        figures[f"Markov, order {order}"] = float(chain.log_likelihood(x[held]).double().sum()) / known
    return TrainedPrior(
        prior, passes, figures,
        {"split": how, "train": len(rows), "valid": len(chosen), "test": len(held)},
        {"epochs": len(passes), "patience": patience, "lr": lr, "batch_size": batch_size, "seed": seed},
        time.perf_counter() - started,
    )  # fmt: skip


def markov_chain(one_hot: Tensor, order: int) -> SequencePrior:
    """A Markov chain of order 0, or of the prior's own, from the counts in sequences (N, letters, L); without sites."""
    letters = {4: "DNA", 20: "protein"}[one_hot.shape[1]]
    chain = SequencePrior(one_hot.shape[2], letters, backgrounds=1, sites=1, width=1)
    if order not in (0, chain.order):
        raise InputError(f"order={order}; expected 0 or {chain.order}")
    with torch.no_grad():
        chain.transitions.copy_(_counted(chain, one_hot, order))
        chain.kind_logits.copy_(torch.tensor([-1e4, 0.0]))
    return chain.requires_grad_(False)


def save_prior(
    trained: TrainedPrior,
    folder: str | Path,
    *,
    files: Mapping[str, Any] | None = None,
    versions: Mapping[str, str] | None = None,
) -> Path:
    """Write a density: ``prior.json`` says what it is and is worth, ``prior.safetensors`` holds its numbers; no code.

    ``files`` and ``versions``: what it was made from, to be kept with it.
    """
    prior = trained.prior
    info = {
        "length": prior.length,
        "alphabet": prior.alphabet,
        "structure": prior.settings,
        "log_density_per_letter": trained.test,
        "unit": "nats",
        "data": trained.data | ({} if files is None else {"files": dict(files)}),
        "versions": dict(versions or {}),
        "settings": trained.settings,
        "seconds": round(trained.seconds, 1),
    }
    return _trained.save(prior, info, folder, domain="genomics", name="prior")


def load_prior(folder: str | Path) -> SequencePrior:
    """A density that :func:`save_prior` wrote, with ``info``, the content of ``prior.json``.

    Raises
    ------
    ModelError
        There is none, or its files are damaged or do not belong together.
    """

    def built(info: dict[str, Any]) -> SequencePrior:
        return SequencePrior(info["length"], info["alphabet"], **info["structure"])

    return _trained.load(folder, built, domain="genomics", writer="sciexplain train prior genomics", name="prior")


def _summed(prior: SequencePrior, one_hot: Tensor) -> tuple[Tensor, int]:
    return -prior.log_likelihood(one_hot).sum(), int(one_hot.sum())


@torch.no_grad()
def _begin(prior: SequencePrior, one_hot: Tensor) -> None:
    """Backgrounds from the letters' frequencies, where noise lets them part; sites from stretches that come again.

    Chains from the counts would know the sites before the sites do.
    """
    counted = _counted(prior, one_hot, 0)
    prior.transitions.copy_(counted)
    prior.site_logits.copy_(_stretches(prior, one_hot))
    prior.transitions.add_(0.2 * torch.randn(len(prior.transitions), 1, counted.shape[2]))


@torch.no_grad()
def _stretches(prior: SequencePrior, one_hot: Tensor) -> Tensor:
    """Logits of sites (K, letters, W) to begin with: stretches of the sequences, each as a site that may be elsewhere.

    As MEME does, stretches are tried for how much more probable all sequences are with such a site; one after the
    other, each beside those that were taken before.
    """
    sites, letters, width = prior.site_logits.shape
    some = one_hot[torch.randperm(len(one_hot))[:_TRIED]].float()
    rows = torch.randint(len(some), (_TRIED,))
    starts = torch.randint(prior.length - width + 1, (_TRIED,))
    words = torch.stack([some[row, :, start : start + width] for row, start in zip(rows, starts, strict=True)])
    logits = words * math.log(_SURE * (letters - 1) / (1 - _SURE))
    sums = F.pad(prior.of_letters(some)[:, 0].cumsum(1), (1, 0))
    replaced = sums[:, width:] - sums[:, :-width]
    turned = [logits.log_softmax(1)]
    if prior.both_strands:
        turned.append(reverse_complement(turned[0], prior.alphabet))
    places = torch.cat([F.conv1d(some, matrix) - replaced[:, None] for matrix in turned], 2)
    ratios = places.logsumexp(2).sub(math.log(places.shape[2])).exp()
    explained, chosen = torch.ones(len(some)), []
    for _ in range(sites):
        best = int((explained[:, None] + ratios).log().sum(0).argmax())
        explained = explained + ratios[:, best]
        chosen.append(best)
    return logits[chosen] + 0.1 * torch.randn(sites, letters, width)


@torch.no_grad()
def _counted(prior: SequencePrior, one_hot: Tensor, order: int) -> Tensor:
    """(1, contexts, letters): logarithms of the shares of letters after each context, or of all letters for order 0."""
    contexts, letters = prior.transitions.shape[1:]
    known = one_hot.any(1)
    codes = torch.where(known, one_hot.argmax(1), letters)
    counts = torch.zeros(contexts, letters, dtype=torch.float64)
    before = prior.contexts(codes)
    counts.view(-1).scatter_add_(
        0, (before * letters + codes)[known], torch.ones(int(known.sum()), dtype=torch.float64)
    )
    if order == 0:
        counts = counts.sum(0, keepdim=True).expand(contexts, letters)
    shares = (counts + _PSEUDOCOUNT) / (counts + _PSEUDOCOUNT).sum(1, keepdim=True)
    return shares.log().float()[None]
