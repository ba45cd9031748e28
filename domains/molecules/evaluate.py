"""``molecules.evaluate``: are explanations of molecules faithful, stable, and where they should be?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from sciexplain import evaluate
from sciexplain.domains.molecules.attributed import METHODS, attributed
from sciexplain.domains.molecules.explanation import MoleculeExplanation
from sciexplain.domains.molecules.removal import AtomRemoval, BondRemoval, Filler, How
from sciexplain.domains.molecules.robustness import max_sensitivity, sanity
from sciexplain.errors import InputError
from sciexplain.evaluate.curves import Comparison, Flipping, Mode, Order
from sciexplain.evaluate.flipping import Steps
from sciexplain.evaluate.localization import Localization, Sign

__all__ = [
    "METHODS",
    "AtomRemoval",
    "BondRemoval",
    "attributed",
    "compare",
    "flipping",
    "localization",
    "max_sensitivity",
    "own_relevance",
    "removal_of",
    "sanity",
]

Of = Literal["atoms", "bonds"]
Truth = Set[Any] | Tensor | NDArray[Any]


def flipping(
    explained: Sequence[MoleculeExplanation],
    relevance: Sequence[Tensor] | None = None,
    *,
    of: Of = "atoms",
    how: How = "remove",
    filler: Filler = "zero",
    order: Order = "most",
    mode: Mode = "deletion",
    steps: Steps = None,
    seed: int = 0,
) -> Flipping:
    """The score as atoms or bonds are taken away, most relevant first: a faithful explanation lets it fall fast.

    Parameters
    ----------
    explained
        Molecules, of one model.
    relevance
        Of each molecule, (atoms,) or, in the order of :class:`~.removal.BondRemoval`, (bonds,); None: the explanation's
        own.
    of
        ``"atoms"`` or ``"bonds"``, whose relevance is what passes along them.
    how, filler
        As for :class:`~.removal.AtomRemoval`; bonds are always removed.
    order, mode, steps, seed
        As for :func:`sciexplain.evaluate.flipping`.

    Raises
    ------
    InputError
        Nothing to take away: a molecule without bonds.

    Examples
    --------
    >>> m = molecules.explain(model, ["CCO", "c1ccccc1O"])  # doctest: +SKIP
    >>> most, least = (molecules.evaluate.flipping(m, order=o) for o in ("most", "least"))  # doctest: +SKIP
    >>> least.difference(most)  # what the order is worth, in the model's unit  # doctest: +SKIP

    References
    ----------
    Schnake et al. 2020, IEEE TPAMI 44; Xiong et al. 2022, ICML.
    """
    removal = removal_of(explained, of, how=how, filler=filler, seed=seed)
    given = own_relevance(explained, removal) if relevance is None else relevance
    return evaluate.flipping(removal, given, order=order, mode=mode, steps=steps, seed=seed)


def compare(
    explained: Sequence[MoleculeExplanation],
    others: Sequence[str] | Mapping[str, Sequence[Tensor]] = (),
    *,
    of: Of = "atoms",
    how: How = "remove",
    filler: Filler = "zero",
    mode: Mode = "deletion",
    steps: Steps = None,
    seed: int = 0,
) -> Comparison:
    """This explanation beside others of the same molecules and targets, and a random order.

    Parameters
    ----------
    others
        Names of methods or composites (see :func:`attributed`), or relevance by name.
    explained, of, how, filler, mode, steps, seed
        As for :func:`flipping`.

    Returns
    -------
    Comparison
        With ``"explanation"`` for this one.
    """
    removal = removal_of(explained, of, how=how, filler=filler, seed=seed)
    if not isinstance(others, Mapping):
        if isinstance(removal, BondRemoval) and others:
            raise InputError(f'{list(others)} give no relevance of bonds; give relevance by name, or of="atoms".')
        others = {name: attributed(explained, name) for name in others}
    every = {"explanation": own_relevance(explained, removal), **others}
    return evaluate.compare(removal, every, mode=mode, steps=steps, seed=seed)


def localization(
    explained: Sequence[MoleculeExplanation],
    truth: Sequence[Truth],
    relevance: Sequence[Tensor] | None = None,
    *,
    of: Of = "atoms",
    sign: Sign = "positive",
) -> Localization:
    """Whether relevance lies on the atoms or bonds that are known to be the reason.

    Parameters
    ----------
    explained
        Molecules.
    truth
        For each: the set of its atoms, truth values (atoms,), or (K, atoms) where any of K sets is a valid reason, such
        as one of several benzene rings: that with the largest AUC counts. For bonds the set of pairs of atoms, in any
        order.
    relevance
        As for :func:`flipping`; bonds in the order of ``a.bonds`` without what stays on atoms.
    of
        ``"atoms"`` or ``"bonds"``.
    sign
        As for :func:`sciexplain.evaluate.localization`.

    Raises
    ------
    InputError
        Truth that does not fit a molecule.

    Examples
    --------
    >>> nitro = [m.fragments(["[N+](=O)[O-]"])[0].atoms for m in mutagens]  # doctest: +SKIP
    >>> molecules.evaluate.localization(mutagens, nitro).auc.mean()  # doctest: +SKIP

    References
    ----------
    Sanchez-Lengeling et al. 2020, *Evaluating attribution for graph neural networks*, NeurIPS.
    """
    if isinstance(truth, str):
        raise InputError(
            f"truth={truth!r}: expected a set of atoms for each molecule, such as a.fragments([smarts])[0].atoms."
        )
    if len(truth) != len(explained):
        raise InputError(f"{len(truth)} sets of true atoms for {len(explained)} molecules; expected one for each.")
    values, masks = [], []
    for i, (a, true) in enumerate(zip(explained, truth, strict=True)):
        bonds = [pair for pair in a.bonds if pair[0] != pair[1]] if of == "bonds" else []
        own = torch.tensor([a.bonds[pair] for pair in bonds]) if of == "bonds" else a.atoms.detach().double().cpu()
        given = own if relevance is None else torch.as_tensor(relevance[i]).detach().double().cpu()
        options = _masks(true, a, bonds, of)
        auc = evaluate.localization(given.expand(len(options), -1), options, sign=sign).auc
        values.append(given)
        masks.append(options[int(auc.nan_to_num(-1).argmax())])
    return evaluate.localization(values, masks, sign=sign)


def removal_of(
    explained: Sequence[MoleculeExplanation],
    of: Of = "atoms",
    *,
    how: How = "remove",
    filler: Filler = "zero",
    seed: int = 0,
) -> AtomRemoval | BondRemoval:
    """The molecules with parts that can be taken away, for :mod:`sciexplain.evaluate`.

    Raises
    ------
    InputError
        A molecule has no bonds.
    """
    if of == "atoms":
        return AtomRemoval(explained, how=how, filler=filler, seed=seed)
    if of != "bonds" or how != "remove":
        raise InputError(f'of={of!r}, how={how!r}: expected "atoms", or "bonds", which are always removed.')
    removal = BondRemoval(explained)
    if 0 in removal.sizes:
        i = removal.sizes.index(0)
        raise InputError(f"{explained[i].name or f'Molecule {i}'} has no bonds to take away; leave it out.")
    return removal


def _masks(true: Truth, a: MoleculeExplanation, bonds: list[tuple[int, int]], of: Of) -> Tensor:
    """(K, parts) truth values."""
    parts = len(bonds) if of == "bonds" else len(a)
    name = a.name or "A molecule"
    if isinstance(true, Set):
        index: dict[Any, int] = {part: k for k, part in enumerate(bonds if of == "bonds" else range(parts))}
        wanted = [(min(t), max(t)) if isinstance(t, tuple) else int(t) for t in true]
        if strange := [t for t in wanted if t not in index]:
            raise InputError(f"{name} has no {of[:-1]} {strange[0]}, which is given as true; it has {parts} {of}.")
        mask = torch.zeros(1, parts, dtype=torch.bool)
        mask[0, [index[t] for t in wanted]] = True
        return mask
    mask = torch.as_tensor(true).cpu() > 0
    mask = mask[None] if mask.ndim == 1 else mask
    if of == "bonds" or mask.ndim != 2 or mask.shape[1] != parts or not len(mask):
        wanted_shape = (
            "the set of true bonds" if of == "bonds" else f"truth values ({parts},) or (K, {parts}), or a set"
        )
        raise InputError(f"{name}: truth of shape {tuple(mask.shape)}; expected {wanted_shape}.")
    return mask


def own_relevance(explained: Sequence[MoleculeExplanation], removal: AtomRemoval | BondRemoval) -> list[Tensor]:
    """The explanations' own relevance of the parts."""
    if isinstance(removal, BondRemoval):
        return removal.relevance(explained)
    return [a.atoms.detach().double().cpu() for a in explained]
