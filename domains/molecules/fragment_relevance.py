"""Relevance of a molecule's fragments: within each, and between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sciexplain.domains.molecules.fragments import Fragment, Kind, fragments

if TYPE_CHECKING:
    from sciexplain.domains.molecules.explanation import MoleculeExplanation


@dataclass(frozen=True, eq=False)
class FragmentRelevance(Sequence[tuple[Fragment, float]]):
    """Fragments and the sum of their atoms' relevance; iterating gives such pairs.

    Attributes
    ----------
    fragments
    atoms
        (F,): the sum over each fragment's atoms.
    within
        (F,): relevance of all walks that stay within the fragment.
    interaction
        (F, F): of two fragments, relevance of the walks that stay within both together but in neither alone,
        R(A ∪ B) − R(A) − R(B); for fragments that overlap, plus R(A ∩ B).
    """

    fragments: tuple[Fragment, ...]
    atoms: Tensor
    within: Tensor
    interaction: Tensor

    def __len__(self) -> int:
        return len(self.fragments)

    def __getitem__(self, i):  # type: ignore[no-untyped-def]
        pairs = list(zip(self.fragments, self.atoms.tolist(), strict=True))
        return pairs[i]

    def __iter__(self) -> Iterator[tuple[Fragment, float]]:
        return iter(zip(self.fragments, self.atoms.tolist(), strict=True))


def fragment_relevance(
    explanation: MoleculeExplanation, kind: Kind | Sequence[str] | Mapping[str, str]
) -> FragmentRelevance:
    """See :meth:`sciexplain.domains.molecules.MoleculeExplanation.fragments`."""
    assert explanation.molecule is not None
    found = tuple(fragments(explanation.molecule, kind))
    sums = torch.stack([explanation.atoms[sorted(f.atoms)].sum() for f in found]) if found else torch.zeros(0)
    pairs = [(i, j) for j in range(len(found)) for i in range(j)]
    unions = [found[i].atoms | found[j].atoms for i, j in pairs]
    common = [found[i].atoms & found[j].atoms for i, j in pairs]
    relevance = explanation.subgraphs([*(f.atoms for f in found), *unions, *common])
    within, both, shared = relevance.split([len(found), len(pairs), len(pairs)])
    interaction = within.new_zeros(len(found), len(found))
    for (i, j), together, overlap in zip(pairs, both, shared, strict=True):
        interaction[i, j] = interaction[j, i] = together - within[i] - within[j] + overlap
    return FragmentRelevance(found, sums, within, interaction)
