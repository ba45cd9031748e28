"""What a network looks for in molecules: its top channels, in the molecules in which they matter most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import sciexplain as sx
from sciexplain.concepts import Ranking, channel_relevance, conditional
from sciexplain.concepts.ranking import TopChannels
from sciexplain.domains.captions import number
from sciexplain.domains.molecules.collection import Collection, Part
from sciexplain.domains.molecules.draw import Drawing
from sciexplain.domains.molecules.grid import grid
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import DataError, InputError
from sciexplain.membership import ClassTarget, Members, belonging, class_target, named
from sciexplain.targets import explained_output, start


@dataclass(frozen=True, eq=False, repr=False)
class MoleculeConcepts(TopChannels):
    """The k most relevant channels of a layer, each in m molecules.

    Attributes
    ----------
    layer, target, channels, relevance, share, count, indices, scores
        See :class:`~sciexplain.concepts.ranking.TopChannels`.
    molecules
        Those at ``indices``, for each channel.
    atoms
        For each channel and molecule, (n,): the relevance of atoms that passes the channel.
    unit
        Of relevance; empty where nobody knows.
    """

    molecules: tuple[tuple[Molecule, ...], ...]
    atoms: tuple[tuple[Tensor, ...], ...]
    unit: str = ""

    def figure(self, *, examples: int = 4, title: str = "") -> Drawing:
        """A row of molecules for each channel, with the relevance that passes it, each row's largest in full colour."""
        items, captions = [], []
        columns = min(examples, self.indices.shape[1])
        for row, channel in enumerate(self.channels):
            largest = max(float(a.abs().max()) for a in self.atoms[row][:columns]) or 1.0
            for column in range(columns):
                items.append((self.molecules[row][column], (self.atoms[row][column] / largest).numpy(), None))
                share = f"channel {channel} ({100 * float(self.share[row]):.0f} %)"
                captions.append(
                    f"{share}: {number(float(self.scores[row, column]))} in #{int(self.indices[row, column])}"
                )
        return grid(items, columns, captions=captions, title=title, unit="of each channel's largest")


def top_concepts(
    model: Any,
    molecules: Any,
    target: ClassTarget = None,
    layer: str = "",
    k: int = 5,
    *,
    examples: int = 4,
    members: Members = "positive",
    featurizer: Any = None,
    composite: sx.Composite | str | None = None,
    batch_size: int = 64,
) -> MoleculeConcepts:
    """The channels of a layer that matter most for an output, and the atoms that they see.

    Parameters
    ----------
    model, molecules, featurizer, composite
        As in :func:`sciexplain.domains.molecules.explain`.
    target, members
        As in :func:`sciexplain.domains.molecules.prototypes`; by default molecules with an explained output above 0.
    layer
        A module's name, whose output has a row for each atom or each molecule.
    k, examples
        How many channels, and molecules for each.

    Raises
    ------
    InputError, DataError, TargetError, ModelError, RuleError

    References
    ----------
    Achtibat et al. 2023, Nature Machine Intelligence 5.
    """
    if k < 1 or examples < 1 or not layer:
        raise InputError(
            f"layer={layer!r}, k={k}, examples={examples}: expected a module's name, and at least 1 of each."
        )
    collection, target = Collection(model, molecules, featurizer), class_target(target)
    ranking = Ranking(examples)
    for part in collection.parts(batch_size):
        found = channel_relevance(part.model, part.inputs, target, layers=layer, composite=composite)[layer]
        belongs = _members(part, target, members)
        ranking.add(part.by_molecule(found)[belongs.to(found.device)], part.indices[belongs])
    if not ranking.count:
        raise DataError(f"No molecule of {len(collection)} is a member of target={target!r} ({named(members)}).")
    ranked = ranking.best(k)
    atoms = []
    for channel, indices in zip(ranked.channels, ranked.indices.tolist(), strict=True):
        part = collection.part(indices)
        passed = conditional(part.model, part.inputs, target, {layer: channel}, composite=composite).relevance
        assert isinstance(passed, dict)
        atoms.append(tuple(part.by_atom(passed)))
    return MoleculeConcepts(
        layer, target, ranked.channels, ranked.relevance, ranked.share, ranking.count, ranked.indices, ranked.scores,
        tuple(tuple(collection.shown(i) for i in row) for row in ranked.indices.tolist()), tuple(atoms),
        collection.family.unit,
    )  # fmt: skip


def _members(part: Part, target: ClassTarget, members: Members) -> Tensor:
    with torch.no_grad():
        output = part.model(**part.inputs)
    n = len(part.indices)
    y = explained_output(output)
    predicted = y.argmax(1).cpu() if y.ndim > 1 and y.shape[1] > 1 else None
    return belonging(members, target, start(output, target, n).score, predicted, None, part.indices)
