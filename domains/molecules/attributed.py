"""Relevance of molecules' atoms by other methods, for the same targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import sciexplain as sx
from sciexplain.domains.molecules.adjoints import as_function
from sciexplain.domains.molecules.explain import explain
from sciexplain.domains.molecules.explanation import MoleculeExplanation
from sciexplain.domains.molecules.removal import AtomRemoval
from sciexplain.errors import InputError
from sciexplain.methods import SENSITIVITIES

METHODS = (
    "occlusion",
    "gradient",
    "input_x_gradient",
    "integrated_gradients",
    "smoothgrad",
    "guided_backprop",
    "deconvnet",
    "deeplift",
)
"""What :func:`attributed` knows beside LRP."""


def attributed(explained: Sequence[MoleculeExplanation], method: str) -> list[Tensor]:
    """Relevance of the same molecules' atoms for the same targets, by another method.

    Parameters
    ----------
    explained
        Molecules, of one model.
    method
        One of ``METHODS``, or the name of a composite of LRP rules. ``"occlusion"``: what the score loses when the atom
        is removed. Of sensitivities (``"gradient"``, ``"smoothgrad"``, ``"guided_backprop"``, ``"deconvnet"``) the
        Euclidean norm over an atom's features, of all others the sum.

    Returns
    -------
    For each molecule (atoms,) float64.

    Raises
    ------
    InputError
        A method that is not defined on graphs.
    """
    if method == "occlusion":
        return _occluded(explained)
    if method in sx.composites.PRESETS:
        return _by_composite(explained, method)
    if method not in METHODS:
        raise InputError(
            f"method={method!r}: expected {', '.join(METHODS)}, or a composite: {', '.join(sx.composites.PRESETS)}."
        )
    return [_by_method(a, method) for a in explained]


def target_of(explained: Sequence[MoleculeExplanation]) -> Any:
    """The targets of all of them as one."""
    targets = [a.question.target for a in explained]
    if isinstance(targets[0], int):
        return torch.tensor(targets)
    return torch.cat(targets) if isinstance(targets[0], Tensor) else targets[0]


def _occluded(explained: Sequence[MoleculeExplanation]) -> list[Tensor]:
    removal = AtomRemoval(explained)
    samples = [i for i, size in enumerate(removal.sizes) for _ in range(size)]
    kept = [row for size in removal.sizes for row in ~torch.eye(size, dtype=torch.bool)]
    every = [torch.ones(size, dtype=torch.bool) for size in removal.sizes]
    whole = removal.scores(range(len(every)), every)
    return list((whole[samples] - removal.scores(samples, kept)).split(list(removal.sizes)))


def _by_composite(explained: Sequence[MoleculeExplanation], composite: str) -> list[Tensor]:
    questions = [a.question for a in explained]
    graphs, target = [q.graph for q in questions], target_of(explained)
    again = explain(questions[0].family, graphs, target, composite, on_unknown="gradient")
    return [a.atoms.detach().double().cpu() for a in again]


def _by_method(a: MoleculeExplanation, method: str) -> Tensor:
    graphs = a.question.copies(1)
    model, inputs = as_function(graphs)
    relevance = sx.explain(model, inputs, a.question.target, method, on_unknown="gradient").relevance
    assert isinstance(relevance, dict)
    if method not in SENSITIVITIES:
        return graphs.by_atom(relevance)
    return graphs.by_atom({name: r.double() ** 2 for name, r in relevance.items()}).sqrt()
