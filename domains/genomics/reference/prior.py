"""What sequences of a kind look like, as a density that can be computed exactly: backgrounds, and a site in them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sciexplain.domains.genomics.alphabet import Alphabet, alphabet_of
from sciexplain.errors import InputError


class SequencePrior(nn.Module):
    r"""A mixture: one of J backgrounds, and in it no site, or one of K sites at any place, on either strand.

    .. math:: p(x) = \sum_j \rho_j\, p_j(x) \Big[ \pi_0 + \sum_{k,i,s} \pi_{k,i,s}
              \prod_{w < W} \frac{P_k^s(x_{i+w})}{p_j(x_{i+w} \mid x_{i+w-1}, x_{i+w-2}, x_{i+w-3})} \Big]

    The backgrounds are Markov chains of order 3 (1 for proteins), the sites position probability matrices; both strands
    are equally likely. The sum is over all components, so the density is exact, not a bound. The sites are the
    zero-or-one-occurrence model of Bailey and Elkan, *Fitting a mixture model by expectation maximization to discover
    motifs in biopolymers*, ISMB 1994.

    As a ``prior`` of :func:`sciexplain.maximize`, a code is a logit for each component, :meth:`decode` gives the
    letters' probabilities in the one that it chooses, and :meth:`log_density` the log-probability of that.

    Parameters
    ----------
    length
        L, in letters.
    alphabet
        Name; without strands, as of proteins, sites have one.
    backgrounds, sites, width
        J, K and W.

    Attributes
    ----------
    typical
        Mean log-density of real sequences that it was not trained on, in nats; NaN before training.
    """

    def __init__(
        self, length: int, alphabet: str = "DNA", *, backgrounds: int = 4, sites: int = 8, width: int = 20
    ) -> None:
        super().__init__()
        if min(backgrounds, sites, width) < 1 or width > length:
            raise InputError(
                f"backgrounds={backgrounds}, sites={sites}, width={width}; expected 1 or more of each, and sites no "
                f"wider than the sequences, {length} letters."
            )
        self.length, self.alphabet = length, alphabet
        self.settings = {"backgrounds": backgrounds, "sites": sites, "width": width}
        self._letters: Alphabet = alphabet_of(alphabet)
        letters = len(self._letters)
        self.order = 3 if letters == 4 else 1
        self.both_strands = bool(self._letters.complement)
        contexts = (letters + 1) ** self.order
        self.transitions = nn.Parameter(torch.zeros(backgrounds, contexts, letters))
        self.background_logits = nn.Parameter(torch.zeros(backgrounds))
        self.site_logits = nn.Parameter(torch.zeros(sites, letters, width))
        self.place_logits = nn.Parameter(torch.zeros(sites, length - width + 1))
        self.kind_logits = nn.Parameter(torch.zeros(sites + 1))  # the last: no site
        self.typical: Tensor
        self.register_buffer("typical", torch.tensor(math.nan))

    @property
    def code_shape(self) -> tuple[int]:
        """Number of components, as a shape."""
        backgrounds, _, _ = self.transitions.shape
        return (backgrounds * (self.strands * self.place_logits.numel() + 1),)

    @property
    def strands(self) -> int:
        """On which a site may lie."""
        return 2 if self.both_strands else 1

    def log_likelihood(self, one_hot: Tensor) -> Tensor:
        """log p(x) of sequences (N, letters, L) as (N,), in nats; letters that are unknown count as 1.

        For relaxed letters, the same expression with each logarithm weighed by the letters' shares, which has
        gradients.

        Raises
        ------
        InputError
            Another shape.
        """
        self._check(one_hot)
        x = one_hot.to(self.transitions)
        sums = F.pad(self.of_letters(x).cumsum(2), (1, 0))
        width = self.settings["width"]
        replaced = sums[:, :, width:] - sums[:, :, :-width]
        sites = torch.stack([F.conv1d(x, matrix) for matrix in self._matrices()], 1)
        none, weights = self._log_weights()
        ratio = sites[:, None] + weights - replaced[:, :, None, None]
        # one more "site" that changes nothing: none
        ratio = torch.cat([ratio.flatten(2), none.expand(*replaced.shape[:2], 1)], 2).logsumexp(2)
        return (self.background_logits.log_softmax(0) + sums[:, :, -1] + ratio).logsumexp(1)

    forward = log_likelihood

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (N, components) to the letters' probabilities (N, letters, L) in the component with the largest logit.

        Outside sites they are those of the background. Gradients are as if softmax had weighed all components.
        """
        weights = _chosen(codes).unflatten(1, (len(self.transitions), -1))
        sites = weights[:, :, 1:].sum(1).unflatten(1, (self.strands, *self.place_logits.shape))
        width = self.settings["width"]
        strands = zip(sites.unbind(1), self._matrices(), strict=True)
        of_sites = sum(F.conv_transpose1d(w, matrix.exp()) for w, matrix in strands)
        each = weights[:, :, 1:].unflatten(2, (-1, self.place_logits.shape[1])).sum(2)
        ones = each.new_ones(len(self.transitions), 1, width)
        covered = F.conv_transpose1d(each, ones, groups=len(ones))
        left = weights.sum(2, keepdim=True) - covered
        decoded: Tensor = of_sites + torch.einsum("njl,jal->nal", left, self._marginals())
        return decoded

    def log_density(self, codes: Tensor) -> Tensor:
        """Codes (N, components) to the log-probability (N,) of the component that each chooses."""
        return _chosen(codes) @ self._log_components().flatten()

    @torch.no_grad()
    def draw(self, count: int, seed: int = 0) -> Tensor:
        """Sequences from it, (count, letters, L) one-hot."""
        rng = torch.Generator().manual_seed(seed)
        components = self._log_components().exp().cpu()
        chosen = torch.multinomial(components.flatten(), count, replacement=True, generator=rng)
        kind, drawn = chosen // components.shape[1], chosen % components.shape[1] - 1
        letters, length, width = len(self._letters), self.length, self.settings["width"]
        matrices = torch.stack(self._matrices()).exp().cpu()
        tables = self.transitions.softmax(2).cpu()
        codes = torch.full((count, self.order + length), letters)
        sites, places = self.place_logits.shape
        strand, site, start = drawn // (sites * places), drawn // places % sites, drawn % places
        rows = torch.arange(count)
        for i in range(length):
            shares = tables[kind, self.contexts(codes[:, : i + self.order + 1])[:, -1]]
            inside = (drawn >= 0) & (start <= i) & (i < start + width)
            of_site = matrices[strand, site, :, (i - start).clamp(0, width - 1)]
            shares = torch.where(inside[:, None], of_site, shares)
            codes[rows, i + self.order] = torch.multinomial(shares, 1, generator=rng)[:, 0]
        return F.one_hot(codes[:, self.order :], letters).transpose(1, 2).to(self.transitions)

    def contexts(self, codes: Tensor) -> Tensor:
        """Letters (N, L), as places in the alphabet or its length where unknown, to the contexts (N, L) before each."""
        size = len(self._letters) + 1
        padded = F.pad(codes, (self.order, 0), value=size - 1)
        length = codes.shape[1]
        return sum(
            (padded[:, step : step + length] * size ** (self.order - 1 - step) for step in range(self.order)),
            start=torch.zeros_like(codes),
        )

    @torch.no_grad()
    def site_matrices(self) -> list[tuple[float, Tensor]]:
        """How often a sequence has each site, and its letters' probabilities (W, letters); the commonest first."""
        shares = self.kind_logits.softmax(0)[:-1]
        found = zip(shares.tolist(), self.site_logits.softmax(1).transpose(1, 2), strict=True)
        return sorted(found, key=lambda pair: -pair[0])

    def of_letters(self, x: Tensor) -> Tensor:
        """log p_j of each letter after those before it, (N, J, L); 0 where it is unknown."""
        tables = self.transitions.log_softmax(2)
        if not x.requires_grad and bool(((x == 0) | (x == 1)).all()):
            codes = torch.where(x.any(1), x.argmax(1), len(self._letters))
            padded = F.pad(tables, (0, 1))  # an unknown letter has probability 1
            return padded[:, self.contexts(codes), codes].transpose(0, 1)
        unknown = torch.cat([x, 1 - x.sum(1, keepdim=True)], 1)
        begin = unknown.new_zeros(*unknown.shape[:2], self.order)
        begin[:, -1] = 1
        y = torch.cat([begin, unknown], 2)
        context = y[:, :, : x.shape[2]]
        for step in range(1, self.order):
            following = y[:, :, step : step + x.shape[2]]
            context = (context[:, :, None] * following[:, None]).flatten(1, 2)
        found: Tensor = torch.einsum("ncl,jca,nal->njl", context, tables, x)
        return found

    def _matrices(self) -> list[Tensor]:
        """Log-probabilities of the sites (K, letters, W) on each strand."""
        forward = self.site_logits.log_softmax(1)
        if not self.both_strands:
            return [forward]
        return [forward, forward[:, self._letters.complement_order].flip(2)]

    def _log_weights(self) -> tuple[Tensor, Tensor]:
        """log π₀, and log π of each strand, site and place (strands, K, L − W + 1)."""
        kinds = self.kind_logits.log_softmax(0)
        places = self.place_logits.log_softmax(1) + kinds[:-1, None] - math.log(self.strands)
        return kinds[-1], places.expand(self.strands, *places.shape)

    def _log_components(self) -> Tensor:
        """Log-probability of each background with no site, and with each site: (J, strands · K · (L − W + 1) + 1)."""
        none, weights = self._log_weights()
        return torch.cat([none[None], weights.flatten()]) + self.background_logits.log_softmax(0)[:, None]

    def _marginals(self) -> Tensor:
        """Probabilities of letters in the backgrounds, (J, letters, L), by the chain's forward equations."""
        letters = len(self._letters)
        tables = self.transitions.softmax(2)
        state = tables.new_zeros(len(tables), *((letters + 1,) * self.order))
        state.view(len(tables), -1)[:, -1] = 1  # before the first letter
        found = []
        for _ in range(self.length):
            joint = state.flatten(1)[:, :, None] * tables
            found.append(joint.sum(1))
            summed = joint.unflatten(1, (letters + 1, -1)).sum(1)  # the farthest letter is forgotten
            state = F.pad(summed, (0, 1)).reshape(state.shape)
        return torch.stack(found, 2)

    def _check(self, one_hot: Tensor) -> None:
        expected = (len(self._letters), self.length)
        if one_hot.ndim != 3 or tuple(one_hot.shape[1:]) != expected:
            raise InputError(
                f"sequences of shape {tuple(one_hot.shape)}; this prior takes (N, {expected[0]}, {expected[1]})."
            )


def _chosen(codes: Tensor) -> Tensor:
    """One-hot at the largest of each row, with the gradient of softmax (straight through)."""
    soft = codes.softmax(1)
    return F.one_hot(codes.argmax(1), codes.shape[1]).to(soft) + soft - soft.detach()


def log_likelihood(prior: Any, one_hot: Tensor) -> Tensor:
    """(N,) of any prior of sequences: what its ``log_likelihood`` says.

    Raises
    ------
    InputError
        It has none.
    """
    density = getattr(prior, "log_likelihood", None)
    if density is None:
        raise InputError(
            f"prior={type(prior).__name__}: expected an object with log_likelihood(one_hot) of sequences (N, letters, "
            "L) to (N,), such as `sciexplain train prior genomics` makes and genomics.reference.load_prior reads."
        )
    found = density(one_hot)
    if not isinstance(found, Tensor) or found.shape != (len(one_hot),):
        raise InputError(
            f"the prior's log_likelihood returned {getattr(found, 'shape', found)}; expected ({len(one_hot)},)."
        )
    return found
