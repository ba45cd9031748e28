"""The layers of a model, for one molecule, as maps between its atoms that can be run backwards in many copies at once.

K copies of the molecule go through the model as one batch. What flows back is then masked copy by copy: one backward
pass answers K questions, whatever the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

import sciexplain as sx
from sciexplain.domains.molecules import blocks
from sciexplain.domains.molecules.graphs import Family, Graphs
from sciexplain.errors import ModelError

ATOMS_AT_ONCE = 1_024
"""Atoms of all copies together: what fits in memory for networks of usual width."""


@dataclass(frozen=True)
class Question:
    """What is explained, and how, for one molecule."""

    family: Family
    graph: Any
    atoms: int
    target: Any
    composite: Any
    score: float
    """What the explanation began with, to notice a model that has changed since."""

    def copies(self, number: int) -> Graphs:
        """The molecule as a batch of copies."""
        return self.family.collate([self.graph] * number)


def linearize(graphs: Graphs, target: Any, composite: Any, **options: Any) -> sx.Linearization:
    """:func:`sciexplain.linearize` of a batch of molecules."""
    model, inputs = as_function(graphs)
    sites = int(graphs.sizes.sum())
    places = {
        name: None if name not in graphs.edge_rows and len(place) == sites else place
        for name, place in graphs.places.items()
    }
    return sx.linearize(model, inputs, target, sites=sites, places=places, composite=composite, **options)


def as_function(graphs: Graphs) -> tuple[Callable[..., Any], dict[str, Tensor]]:
    """The model as a function of what is explained alone, and that."""

    def model(**tensors: Tensor) -> Any:
        return graphs.call({**graphs.tensors, **tensors})

    return model, {name: graphs.tensors[name] for name in graphs.places}


class Adjoints:
    """One molecule's layers.

    A *state* is what an atom holds at a cut: the rows of the cut's tensors that stand at the atom, one after the other,
    with zeros up to the widest atom's.

    Attributes
    ----------
    atoms, depth : int
    """

    def __init__(self, question: Question) -> None:
        self._question = question
        self.atoms = question.atoms
        self._runs: dict[int, Run] = {}
        self.depth = self.run(1).lin.depth

    def run(self, copies: int) -> Run:
        """The molecule's layers, ``copies`` times side by side; the last few numbers of copies are kept."""
        copies = max(1, min(copies, ATOMS_AT_ONCE // self.atoms))
        if copies not in self._runs:
            if len(self._runs) > 1:
                self._runs = {1: self._runs[1]}
            self._runs[copies] = Run(self._question, copies)
        return self._runs[copies]

    def masked(self, keep: Tensor) -> Tensor:
        """Relevance that stays within sets of atoms, one set for every cut.

        Parameters
        ----------
        keep
            (M, depth + 1, n) bool: for M questions, the atoms that relevance may pass at each cut, 0 the input.

        Returns
        -------
        Tensor
            (M, n): relevance of the input's atoms.
        """
        run, parts = self.run(len(keep)), []
        for begin in range(0, len(keep), run.copies):
            parts.append(run.masked(keep[begin : begin + run.copies].to(run.dtype)))
        return torch.cat(parts) if parts else torch.zeros(0, self.atoms)

    def flows(self) -> list[Tensor]:
        """For every layer what passes from atom to atom (n, n), of the relevance that reaches the input."""
        one, n = self.run(1), self.atoms
        forward = [one.lin.states(cut) for cut in range(1, self.depth + 1)]
        if any(f is None for f in forward):
            return self.blocks.flows()
        states = [one.states(cut, f)[0] for cut, f in enumerate(forward, 1) if f is not None]
        run, found = self.run(n), [torch.zeros(n, n, dtype=one.dtype) for _ in range(self.depth)]
        for begin in range(0, n, run.copies):
            atoms = torch.arange(begin, min(begin + run.copies, n))
            for cut in range(1, self.depth + 1):
                at_atom = run.states(cut, run.lin.slopes(cut))[: len(atoms)]
                at_atom *= torch.nn.functional.one_hot(atoms, n).to(at_atom)[..., None]
                pulled = run.pull(cut, at_atom)
                found[cut - 1][:, atoms] = (pulled if cut == 1 else (pulled * states[cut - 2]).sum(-1)).T
        return found

    @cached_property
    def blocks(self) -> blocks.Blocks:
        """Every layer as one small matrix for every pair of atoms that it joins."""
        return blocks.of(self)


class Run:
    """Copies of a molecule that went through the model together.

    Attributes
    ----------
    copies, atoms : int
        How many, and how many atoms each has.
    lin
        Their layers.
    widths : list of int
        Of the states at the cuts 1 … depth.
    """

    def __init__(self, question: Question, copies: int) -> None:
        self.copies, self.atoms = copies, question.atoms
        graphs = question.copies(copies)
        target = question.target
        if isinstance(target, Tensor) and target.ndim:  # of one molecule
            target = target.expand(copies, *target.shape[1:])
        self.lin = linearize(graphs, target, question.composite, on_unknown="gradient")
        self.dtype = self.lin.score.dtype
        now, size = self.lin.score, abs(question.score) + 1e-30
        if not bool(((now - question.score).abs() <= 1e-3 * size + 1e-6).all()):
            raise ModelError(
                f"The explained output is {float(now[0]):.6g} now and was {question.score:.6g} when the molecule was "
                "explained: the model has changed since. Explain it again."
            )
        self.slots = [[_slots(c.place, c.tensor) for c in cut] for cut in self.lin.cuts]
        widths = []
        for cut, slots in zip(self.lin.cuts, self.slots, strict=True):
            used = torch.zeros(copies * self.atoms, dtype=torch.long)
            for crossing, (rank, width) in zip(cut, slots, strict=True):
                rank += used[crossing.place]
                used.index_add_(0, crossing.place, torch.full_like(crossing.place, width))
            widths.append(int(used.max()) if len(used) else 0)
        self.widths = widths

    def states(self, cut: int, tensors: list[Tensor]) -> Tensor:
        """(copies, n, width) from the tensors of a cut (1 … depth)."""
        out = torch.zeros(self.copies * self.atoms, self.widths[cut - 1], dtype=self.dtype)
        for crossing, (rank, width), t in zip(self.lin.cuts[cut - 1], self.slots[cut - 1], tensors, strict=True):
            columns = rank[:, None] + torch.arange(width)
            out[crossing.place[:, None], columns] = t.reshape(len(rank), width).to(self.dtype)
        return out.view(self.copies, self.atoms, -1)

    def tensors(self, cut: int, states: Tensor) -> list[Tensor]:
        """The tensors of a cut from states (copies, n, width)."""
        flat, out = states.reshape(self.copies * self.atoms, -1), []
        for crossing, (rank, width) in zip(self.lin.cuts[cut - 1], self.slots[cut - 1], strict=True):
            columns = rank[:, None] + torch.arange(width)
            out.append(flat[crossing.place[:, None], columns].reshape(crossing.tensor.shape).to(crossing.tensor.dtype))
        return out

    def pull(self, cut: int, states: Tensor) -> Tensor:
        """Slopes at ``cut`` - 1 from slopes at ``cut``, as states; (copies, n) relevance where that is the input."""
        copies = len(states)
        if copies < self.copies:
            states = torch.cat([states, states.new_zeros(self.copies - copies, *states.shape[1:])])
        given = self.tensors(cut, states)
        if cut == 1:
            return self.lin.pull_to_input(given).view(self.copies, self.atoms)[:copies]
        return self.states(cut - 1, self.lin.pull(cut, given))[:copies]

    def by_copy(self, place: Tensor) -> Tensor:
        """(copies, rows): the rows of each copy, of a tensor whose rows stand at ``place``."""
        order = torch.argsort(place // self.atoms, stable=True)
        return order.view(self.copies, -1)

    def masked(self, keep: Tensor) -> Tensor:
        """As :meth:`Adjoints.masked`, for as many questions as there are copies, or fewer."""
        copies = len(keep)
        if self.lin.depth == 0:
            return self.lin.at(0).view(self.copies, self.atoms)[:copies] * keep[:, 0]
        state = self.states(self.lin.depth, self.lin.slopes(self.lin.depth))[:copies]
        for cut in range(self.lin.depth, 0, -1):
            state = self.pull(cut, state * keep[:, cut, :, None])
        return state * keep[:, 0]


def _slots(place: Tensor, tensor: Tensor) -> tuple[Tensor, int]:
    """Where in its atom's state each row begins, if the tensor were alone, and how wide a row is."""
    width = tensor.shape[1:].numel()
    order = torch.argsort(place, stable=True)
    sorted_place = place[order]
    first = torch.searchsorted(sorted_place, sorted_place)
    rank = torch.empty_like(place)
    rank[order] = torch.arange(len(place), device=place.device) - first
    return rank * width, width
