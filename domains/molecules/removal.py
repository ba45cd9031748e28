"""Molecules without some of their atoms or bonds, and what the model then says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from sciexplain.domains.molecules.explain import ROWS_AT_ONCE
from sciexplain.domains.molecules.explanation import MoleculeExplanation
from sciexplain.domains.molecules.graphs import Graphs
from sciexplain.domains.molecules.subgraphs import cutter
from sciexplain.errors import InputError, NonFiniteOutputError
from sciexplain.evaluate.fixed_target import FixedTarget
from sciexplain.evaluate.removal import check_parts

How = Literal["remove", "mask"]
Filler = Literal["zero", "mean", "sampled"]


class AtomRemoval:
    """N molecules whose atoms can be taken away; a :class:`sciexplain.evaluate.removal.Removal`.

    Parameters
    ----------
    explained
        Explanations, which know their model, graph and target.
    how
        ``"remove"``: an atom goes, and every edge at it; those that stay keep their features and places. ``"mask"``:
        the graph stays, and what carries the atom's relevance (its features, and those of the directed edges that
        start at it) becomes the filler.
    filler
        For ``"mask"``: ``"zero"`` (0; the category 0 for types, which is PyG's and SchNetPack's "nothing"), ``"mean"``
        of all atoms and of all edges of these molecules, or ``"sampled"``, the features of one of them at random.
    seed
        Of ``"sampled"``.
    rows
        Atoms and edges in one forward pass.

    Attributes
    ----------
    sizes
        Atoms of each molecule.
    empty
        The score of a molecule of which nothing is left; with ``"remove"`` the model's readout of no atoms, in a batch
        beside a whole molecule.

    Raises
    ------
    InputError
        No molecules, of different models or targets of different kinds; types have no mean; with ``"remove"``, a model
        that says nothing, or nothing finite, of no atoms.

    References
    ----------
    Xiong et al. 2022, *Efficient computation of higher-order subgraph attribution via message passing*, ICML
    (graph pruning and activation).
    """

    def __init__(
        self,
        explained: Sequence[MoleculeExplanation],
        *,
        how: How = "remove",
        filler: Filler = "zero",
        seed: int = 0,
        rows: int = ROWS_AT_ONCE,
    ) -> None:
        if how not in ("remove", "mask") or filler not in ("zero", "mean", "sampled"):
            raise InputError(
                f'how={how!r}, filler={filler!r}: expected "remove" or "mask", and "zero", "mean" or "sampled".'
            )
        self._runs = _Runs(explained, rows)
        self.sizes = self._runs.atoms
        self._mask = _Mask(self._runs, filler, seed) if how == "mask" else None
        self._cut = cutter(self._runs.family, self._runs.graphs) if how == "remove" else None
        self.empty = self._of_nothing()

    def scores(self, samples: Sequence[int], kept: Sequence[Tensor]) -> Tensor:
        """The explained output of molecules of which only some atoms are left, (M,) float64, as the model gives it."""
        check_parts(self.sizes, samples, kept)
        return torch.cat(
            [self._together([samples[i] for i in part], [kept[i] for i in part]) for part in self._runs.parts(samples)]
            or [torch.zeros(0, dtype=torch.float64)]
        )

    def _together(self, samples: list[int], kept: list[Tensor]) -> Tensor:
        runs = self._runs
        if self._mask is not None:
            return runs.scores(samples, runs.collated(samples), self._mask.tensors(samples, kept))
        assert self._cut is not None
        graphs = [self._cut(sample, keep, None) for sample, keep in zip(samples, kept, strict=True)]
        return runs.cut_scores(samples, graphs, any(not bool(keep.any()) for keep in kept))

    def _of_nothing(self) -> float:
        nothing = torch.zeros(self.sizes[0], dtype=torch.bool)
        try:
            score = float(self._together([0], [nothing])[0])
        except (InputError, NonFiniteOutputError) as error:
            if self._mask is not None:
                raise
            raise InputError(
                f'The model says nothing of a molecule without atoms ({error}) Mask atoms instead: how="mask".'
            ) from error
        return score


class BondRemoval:
    """N molecules whose bonds can be taken away, both directions of one together.

    Parameters
    ----------
    explained
        As for :class:`AtomRemoval`.
    rows
        Atoms and edges in one forward pass.

    Attributes
    ----------
    sizes
        Bonds of each molecule.
    bonds
        For each molecule, its bonds (i, j), i < j, in ascending order: the parts. All pairs within the cutoff, for
        models of geometries.

    Raises
    ------
    InputError
        The graphs list no edges: the model finds its own neighbours.
    """

    def __init__(self, explained: Sequence[MoleculeExplanation], *, rows: int = ROWS_AT_ONCE) -> None:
        self._runs = _Runs(explained, rows)
        self._cut = cutter(self._runs.family, self._runs.graphs)
        self.bonds: tuple[tuple[tuple[int, int], ...], ...] = ()
        self._part_of: list[Tensor] = []
        for edges in self._runs.edges:
            if edges is None:
                raise InputError(
                    "The graphs list no edges, as the model finds each atom's neighbours itself, so that no bond can "
                    "be taken away; take atoms away: AtomRemoval."
                )
            pairs = torch.stack([edges.amin(0), edges.amax(0)]).cpu()
            bonded = pairs[0] != pairs[1]
            found, part = torch.unique(pairs[:, bonded], dim=1, return_inverse=True)
            part_of = torch.full((pairs.shape[1],), -1)
            part_of[bonded] = part
            self.bonds += (tuple((int(i), int(j)) for i, j in found.T.tolist()),)
            self._part_of.append(part_of)
        self.sizes = tuple(len(bonds) for bonds in self.bonds)

    def scores(self, samples: Sequence[int], kept: Sequence[Tensor]) -> Tensor:
        """The explained output of molecules of which only some bonds are left, (M,) float64."""
        check_parts(self.sizes, samples, kept)
        found = [torch.zeros(0, dtype=torch.float64)]
        for part in self._runs.parts(samples):
            of = [samples[i] for i in part]
            graphs = [
                self._cut(s, None, torch.cat([kept[i].cpu(), torch.ones(1, dtype=torch.bool)])[self._part_of[s]])
                for s, i in zip(of, part, strict=True)
            ]
            found.append(self._runs.cut_scores(of, graphs, False))
        return torch.cat(found)

    def relevance(self, explained: Sequence[MoleculeExplanation]) -> list[Tensor]:
        """What passes along each bond, in the order of the parts; 0 for a bond that nothing passes along."""
        return [
            torch.tensor([a.bonds.get(bond, 0.0) for bond in bonds], dtype=torch.float64)
            for a, bonds in zip(explained, self.bonds, strict=True)
        ]


class _Runs:
    """The model on batches of the explained molecules, in whole or in part."""

    def __init__(self, explained: Sequence[MoleculeExplanation], rows: int) -> None:
        questions = [a.question for a in explained]
        if not questions:
            raise InputError("There are no molecules; give at least one.")
        if any(q.family is not questions[0].family for q in questions):
            raise InputError("The molecules were explained with different models; take those of one at a time.")
        self.family, self.graphs = questions[0].family, [q.graph for q in questions]
        self.names = [a.name or f"molecule {i}" for i, a in enumerate(explained)]
        self.alone = [self.collated([i]) for i in range(len(questions))]
        self.atoms = tuple(int(g.sizes[0]) for g in self.alone)
        self.edges = [g.edges for g in self.alone]
        self._rows = [n + (n**2 if e is None else e.shape[1]) for n, e in zip(self.atoms, self.edges, strict=True)]
        self._most = rows
        outputs, targets = [a.output.detach().reshape(1, -1) for a in explained], [q.target for q in questions]
        each = [FixedTarget.of(y, _of_one(t), 1) for y, t in zip(outputs, targets, strict=True)]
        if len({(f.classes is None, f.slopes is None) for f in each}) > 1:
            raise InputError("The molecules have targets of different kinds; take those of one kind at a time.")
        self._target = FixedTarget.joined(each, [torch.tensor([i]) for i in range(len(each))])

    def collated(self, samples: Sequence[int]) -> Graphs:
        return self.family.collate([self.graphs[i] for i in samples])

    def parts(self, samples: Sequence[int]) -> Iterator[list[int]]:
        """Places in ``samples`` that go through the model together."""
        part: list[int] = []
        rows = 0
        for place, sample in enumerate(samples):
            if part and rows + self._rows[sample] > self._most:
                yield part
                part, rows = [], 0
            part.append(place)
            rows += self._rows[sample]
        if part:
            yield part

    def cut_scores(self, samples: list[int], graphs: list[Any], some_empty: bool) -> Tensor:
        """Of graphs in part. A readout learns from the last atom how many molecules there are, so that a whole molecule
        ends a batch in which others have none.
        """
        ends = [0] if some_empty else []
        batch = self.family.collate([*graphs, *(self.graphs[i] for i in ends)])
        return self.scores([*samples, *ends], batch, batch.tensors)[: len(samples)]

    def scores(self, samples: list[int], batch: Graphs, tensors: dict[str, Any]) -> Tensor:
        with torch.no_grad():
            found = self._target(batch.call(tensors), torch.tensor(samples))
        if bad := [self.names[samples[i]] for i in (~found.isfinite()).nonzero().flatten().tolist()]:
            raise NonFiniteOutputError(f"The explained output is NaN or infinite for {bad[0]} with parts taken away.")
        return found


def _of_one(target: Any) -> Any:
    """A molecule's own start relevance as a row."""
    return target.reshape(1, -1) if isinstance(target, Tensor) and target.is_floating_point() else target


class _Mask:
    """Features of atoms, and of the edges that start at them, as the filler."""

    def __init__(self, runs: _Runs, filler: Filler, seed: int) -> None:
        self._runs = runs
        self._fill: dict[str, list[Tensor]] = {}
        for name in runs.alone[0].places:
            values = [g.tensors[name] for g in runs.alone]
            pool = torch.cat(values)
            if filler == "mean" and not pool.is_floating_point():
                raise InputError(f'The types {name} ({pool.dtype}) have no mean; use filler="zero" or "sampled".')
            if filler == "sampled":
                self._fill[name] = [_drawn(pool, len(v), [seed, i]) for i, v in enumerate(values)]
            else:
                one = pool.mean(0) if filler == "mean" and len(pool) else torch.zeros_like(pool[:1].sum(0))
                self._fill[name] = [one.to(v.dtype).expand_as(v) for v in values]

    def tensors(self, samples: Sequence[int], kept: Sequence[Tensor]) -> dict[str, Any]:
        batch = self._runs.collated(samples)
        stays = torch.cat([keep.cpu() for keep in kept])
        tensors = dict(batch.tensors)
        for name, place in batch.places.items():
            value = tensors[name]
            filled = torch.cat([self._fill[name][i] for i in samples])
            left = stays.to(place.device)[place].view(-1, *(1,) * (value.ndim - 1))
            tensors[name] = torch.where(left, value, filled)
        return tensors


def _drawn(pool: Tensor, rows: int, seed: list[int]) -> Tensor:
    drawn = np.random.default_rng(seed).integers(max(len(pool), 1), size=rows)
    return pool[torch.from_numpy(drawn).to(pool.device)]
