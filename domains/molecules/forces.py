"""Which atoms pull on which: the forces of an energy model, told apart by pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

from sciexplain._evaluation import evaluation_mode
from sciexplain.domains.molecules.differences import Difference, KeptGraph, PairDifferences
from sciexplain.domains.molecules.graphs import Family, Graphs
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError, ModelError, NonFiniteOutputError, TargetError


def force_decomposition(
    model_or_family: torch.nn.Module | Family, molecule: Molecule, *, task: int | str | None = None
) -> Tensor:
    """Tell the forces of an energy model apart by the atoms that exert them.

    Parameters
    ----------
    model_or_family
        A 3-D model of a known library, or its family. The model is left as it is.
    molecule
        n atoms with positions.
    task
        Which output is the energy, by place or name, if the model has several.

    Returns
    -------
    Tensor
        (n, n, 3), in the model's unit of energy per Å and in its floating-point type: [i, j] is the force that atom j
        exerts on atom i. Summed over j these are the forces Fᵢ = −∂E/∂rᵢ, and [i, j] = −[j, i] (Newton's third law).
        Forces from periodic images of an atom count as that atom's; those from an atom's own images cancel.

    Raises
    ------
    InputError
        The molecule has no positions, or the model cannot take it.
    ModelError
        The energy is not a function of the positions, or sees them otherwise than through differences of pairs; the
        message names the operations.

    Notes
    -----
    A model invariant to translation sees positions through differences d = rᵢ − rⱼ, so that by the chain rule
    Fᵢ = −∑_d∋i ±∂E/∂d. The differences are found while the model runs: positions are followed through look-ups and
    rearrangements to where two of them are subtracted, and the gradient is taken there. The sums are then held against
    the gradient of an ordinary run, to 8 units of the last place of the largest sum of magnitudes.

    Messages between atoms make every ∂E/∂d depend on all atoms: this is the force along that pair in this molecule,
    not a two-body term. Where only distances enter (SchNet), pairs attract or repel along their line; directions and
    angles (PaiNN, DimeNet) add forces across it. A molecule has more pairs than degrees of freedom, so forces alone do
    not fix their pairs: these are those of the differences that the model itself uses.

    References
    ----------
    Schütt et al., SchNet, NeurIPS 30 (2017) and J. Chem. Phys. 148, 241722 (2018): energies and forces from
    differences of positions. Fan et al., Phys. Rev. B 92, 094301 (2015): pairwise forces of many-body potentials
    and Newton's third law for them.
    """
    family = as_family(model_or_family)
    batch = family.collate([family.graph(placed(molecule))])
    names = _position_names(batch, molecule, family.model)
    positions = batch.tensors[names[0]].detach()

    def energy(moved: Tensor) -> Tensor:
        return energies(family, batch, {**batch.tensors, **dict.fromkeys(names, moved)}, task)[0]

    seen = PairDifferences()
    with torch.inference_mode(False), torch.enable_grad(), evaluation_mode(family.model):
        leaf = positions.clone().requires_grad_()
        with KeptGraph():
            value = energy(leaf)
        (total,) = _gradients(value, [get_gradient_edge(leaf)], family.model)
        leaf = positions.clone().requires_grad_()
        seen.follow(leaf)
        with seen:
            value = energy(leaf)
        gradients = _gradients(value, [get_gradient_edge(leaf), *(d.edge for d in seen.differences)], family.model)[1:]
    forces, magnitude = _by_pairs(seen.differences, gradients, len(molecule), positions.device)
    _verify(forces, -total.double(), magnitude, seen.others, positions.dtype, family.model)
    return forces.to(positions.dtype)


def as_family(model_or_family: torch.nn.Module | Family) -> Family:
    """The family of a model; what already is one stays."""
    if hasattr(model_or_family, "collate") and hasattr(model_or_family, "graph"):
        return model_or_family  # type: ignore[return-value]  # by what it has
    from sciexplain.domains.molecules import families

    return families.find(model_or_family)


def placed(molecule: Molecule) -> Molecule:
    """The molecule, if it has atoms and finite positions for all of them."""
    name = molecule.name or "the molecule"
    if molecule.positions is None:
        raise InputError(f"{name} has no positions; expected 3-D coordinates in Å, as from an xyz or SDF file")
    if len(molecule) == 0 or molecule.positions.shape != (len(molecule), 3):
        raise InputError(f"{name}: {len(molecule)} atoms with positions of shape {molecule.positions.shape}")
    if not torch.isfinite(torch.as_tensor(molecule.positions)).all():
        raise InputError(f"{name}: some positions are not finite")
    return molecule


def energies(family: Family, batch: Graphs, tensors: dict[str, Any], task: int | str | None) -> Tensor:
    """(B,): the chosen output of every molecule in the batch."""
    output = batch.call(tensors)
    size, model = len(batch.sizes), type(family.model).__name__
    if not isinstance(output, Tensor) or output.ndim not in (1, 2) or len(output) != size:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(f"{model} returned {shape} for {size} molecules; expected ({size},) or ({size}, tasks)")
    columns = output.reshape(size, -1)
    if task is None and columns.shape[1] != 1:
        raise TargetError(f"{model} has {columns.shape[1]} outputs; say which is the energy: task=0, 1, … or its name")
    if isinstance(task, str) and task not in family.tasks:
        raise TargetError(
            f"task {task!r} is not one of {', '.join(family.tasks) or 'the model’s, which have no names'}"
        )
    place = family.tasks.index(task) if isinstance(task, str) else task or 0
    if not 0 <= place < columns.shape[1]:
        raise TargetError(f"task {task!r}: the model has {columns.shape[1]}, counted from 0")
    if not columns[:, place].isfinite().all():
        raise NonFiniteOutputError(f"{model} returned energies that are not finite")
    return columns[:, place]


def _position_names(batch: Graphs, molecule: Molecule, model: Any) -> list[str]:
    """Which tensors hold the positions, perhaps shifted."""
    expected = torch.as_tensor(molecule.positions, dtype=torch.float64)
    expected = expected - expected.mean(0)
    tolerance = 1e-4 * (1 + float(expected.abs().max()))
    names = []
    for name, tensor in batch.tensors.items():
        if isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.shape == expected.shape:
            given = tensor.detach().double().cpu()
            if (given - given.mean(0) - expected).abs().max() < tolerance:
                names.append(name)
    if not names:
        raise ModelError(
            f"{type(model).__name__} takes {', '.join(batch.tensors)}, none of which holds positions in Å; "
            "expected a model of 3-D structures"
        )
    return names


def _gradients(energy: Tensor, edges: Sequence[GradientEdge], model: Any) -> list[Tensor]:
    """At the positions, which come first, and elsewhere; empty where the energy does not depend on a place."""
    gradients: Sequence[Tensor | None] = [None]
    if energy.requires_grad:
        gradients = torch.autograd.grad(energy, edges, allow_unused=True)
    if gradients[0] is None:
        raise ModelError(f"the output of {type(model).__name__} does not follow from the positions; it has no forces")
    return [gradient if gradient is not None else energy.new_empty(0) for gradient in gradients]


def _by_pairs(
    differences: Sequence[Difference], gradients: Sequence[Tensor], n: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """(n, n, 3) forces and (n,) the sum of magnitudes of what was added up for each atom, in float64."""
    pulls = torch.zeros(n, n, 3, dtype=torch.float64, device=device)
    magnitude = torch.zeros(n, dtype=torch.float64, device=device)
    for difference, gradient in zip(differences, gradients, strict=True):
        if not gradient.numel():
            continue
        first, second = difference.first.reshape(-1), difference.second.reshape(-1)
        same = (first >= 0) & (second >= 0) & (first % 3 == second % 3)
        first, second = first[same], second[same]
        force = -difference.scale * gradient.double().reshape(-1)[same]
        pulls.index_put_((first // 3, second // 3, first % 3), force, accumulate=True)
        for atoms in (first // 3, second // 3):
            magnitude.index_add_(0, atoms, force.abs())
    return pulls - pulls.transpose(0, 1), magnitude


def _verify(
    forces: Tensor, expected: Tensor, magnitude: Tensor, others: Counter[str], dtype: torch.dtype, model: Any
) -> None:
    wrong = (forces.sum(1) - expected).norm(dim=-1)
    scale = torch.maximum(magnitude.max(), expected.norm(dim=-1).max())
    if bool((wrong <= 8 * torch.finfo(dtype).eps * scale).all()):
        return
    used = ", ".join(f"{name} ×{count}" for name, count in others.most_common(6)) or "nothing that could be followed"
    raise ModelError(
        f"the forces of {type(model).__name__} cannot be told apart by pairs: their sums miss the energy's gradient "
        f"by {float(wrong.max() / scale):.1e} of the largest; expected positions to be seen only through differences "
        f"such as pos[i] − pos[j], but they also went into {used}"
    )
