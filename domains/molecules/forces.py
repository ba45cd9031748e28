"""Which atoms pull on which: the forces of an energy model, told apart by pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.linalg import vector_norm
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

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
    angles (PaiNN, DimeNet) add forces across it. In more than three dimensions' worth of distances such a
    decomposition is not unique; this one is that of the differences the model itself uses.

    References
    ----------
    Schütt et al., SchNet, NeurIPS 30 (2017) and J. Chem. Phys. 148, 241722 (2018): energies and forces from
    differences of positions. Fan et al., Phys. Rev. B 92, 094301 (2015), eq. 19-22: pairwise forces of many-body
    potentials and Newton's third law for them.
    """
    family = as_family(model_or_family)
    batch = family.collate([family.graph(placed(molecule))])
    names = _position_names(batch, molecule, family.model)
    positions = batch.tensors[names[0]].detach()

    def energy(moved: Tensor) -> Tensor:
        return energies(family, batch, {**batch.tensors, **dict.fromkeys(names, moved)}, task)[0]

    seen = _PairDifferences()
    with torch.inference_mode(False), torch.enable_grad(), predicting(family.model):
        leaf = positions.clone().requires_grad_()
        with _KeptGraph():
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
        return model_or_family  # type: ignore[return-value]
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


@contextmanager
def predicting(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode, and back to each module's own."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


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


@dataclass(frozen=True)
class _Lookup:
    """A tensor that holds scale · positions + constants; ``ids`` has 3 · atom + axis for each entry, −1 for none."""

    tensor: Tensor
    ids: Tensor
    scale: float = 1.0


@dataclass(frozen=True)
class _Difference:
    """scale · (positions[first] − positions[second]), entry by entry."""

    edge: GradientEdge
    first: Tensor
    second: Tensor
    scale: float


# Names of operations without the underscores of operators and of what works in place.
# fmt: off
_REARRANGEMENTS = frozenset({
    "getitem", "index_select", "narrow", "select", "gather", "take_along_dim", "masked_select", "unbind", "split",
    "chunk", "unsqueeze", "squeeze", "reshape", "reshape_as", "view", "view_as", "flatten", "unflatten", "transpose",
    "swapaxes", "permute", "movedim", "t", "T", "mT", "expand", "expand_as", "broadcast_to", "repeat", "tile",
    "repeat_interleave", "clone", "contiguous", "flip", "roll", "cat", "concat", "stack",
})
_CASTS = frozenset({"to", "double", "float", "half", "bfloat16", "type", "type_as", "cuda", "cpu", "requires_grad"})
# fmt: on
_ADD = frozenset({"add", "radd", "iadd"})
_SUB = frozenset({"sub", "subtract", "isub"})
_MUL = frozenset({"mul", "multiply", "rmul", "imul"})
_DIV = frozenset({"div", "divide", "true_divide", "truediv", "itruediv"})
_NEG = frozenset({"neg", "negative"})


def _pdist(x: Tensor, p: float = 2.0) -> Tensor:
    first, second = torch.triu_indices(len(x), len(x), 1, device=x.device)
    return vector_norm(x[first] - x[second], ord=p, dim=-1)


_DISTANCES: dict[str, Callable[..., Tensor]] = {
    "cdist": lambda x1, x2, p=2.0, compute_mode=None: vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), ord=p, dim=-1),
    "pairwise_distance": lambda x1, x2, p=2.0, eps=1e-6, keepdim=False: vector_norm(
        x1 - x2 + eps, ord=p, dim=-1, keepdim=keepdim
    ),
    "pdist": _pdist,
}


class _KeptGraph(TorchFunctionMode):
    """A model that computes forces itself, in its forward, leaves the graph to us."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.autograd.grad:  # (outputs, inputs, grad_outputs, retain_graph, …)
            kwargs |= {} if len(args) > 3 else {"retain_graph": True}
            args = (*args[:3], *(True for _ in args[3:4]), *args[4:])
        return func(*args, **kwargs)


class _PairDifferences(_KeptGraph):
    """Follows positions through a forward pass to where two of them are subtracted.

    Distance functions, which subtract out of sight, are run as a difference and its norm.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lookups: dict[int, _Lookup] = {}  # by id; each holds its tensor, so that no id is used twice
        self.differences: list[_Difference] = []
        self.others: Counter[str] = Counter()

    def follow(self, positions: Tensor) -> None:
        ids = torch.arange(positions.numel(), device=positions.device).view(positions.shape)
        self._keep(positions, ids, 1.0)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", str(func)).strip("_")
        if name == "get":  # of a property, such as T
            name = func.__self__.__name__
        touched = [found for leaf in tree_leaves((args, kwargs)) if (found := self._of(leaf))]
        if not touched or func is torch.autograd.grad:
            return super().__torch_function__(func, types, args, kwargs)
        if name in _DISTANCES:
            with self:
                return _DISTANCES[name](*args, **kwargs)
        result = func(*args, **kwargs)
        target = args[0] if name == "setitem" else result
        moves = any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in tree_leaves(target))
        if moves and not self._understand(func, name, args, kwargs, result, touched):
            self.others[name] += 1
        return result

    def _of(self, value: Any) -> _Lookup | None:
        return self._lookups.get(id(value)) if isinstance(value, Tensor) else None

    def _keep(self, tensor: Tensor, ids: Tensor, scale: float) -> bool:
        if tensor.requires_grad:
            self._lookups[id(tensor)] = _Lookup(tensor, ids.to(tensor.device), scale)
        return True

    def _understand(self, func: Any, name: str, args: Any, kwargs: Any, result: Any, touched: list[_Lookup]) -> bool:
        first, scale = touched[0], touched[0].scale
        if name in _REARRANGEMENTS and all(lookup.scale == scale for lookup in touched):
            return self._rearrange(func, args, kwargs, result, scale)
        if name == "embedding" and self._of(args[1]):
            return self._keep(result, first.ids[args[0]], scale)
        if name in _CASTS:
            return self._keep(result, first.ids, scale)
        if name in _NEG:
            return self._keep(result, first.ids, -scale)
        if name == "setitem":
            return self._write(*args)
        if name in _ADD:
            return self._add(args[0], args[1], 1.0, kwargs.get("alpha", 1), result)
        if name in _SUB:
            return self._add(args[0], args[1], 1.0, -kwargs.get("alpha", 1), result)
        if name == "rsub":
            return self._add(args[0], args[1], -1.0, kwargs.get("alpha", 1), result)
        if name in _MUL | _DIV and len(args) == 2 and not kwargs:
            factor = args[1] if self._of(args[0]) else args[0]
            if _is_number(factor) and (name in _MUL or factor is args[1]):
                by = float(factor)
                return self._keep(result, first.ids.expand(result.shape), scale * by if name in _MUL else scale / by)
        self._lookups.pop(id(result), None)  # an operation in place has made it something else
        return False

    def _rearrange(self, func: Any, args: Any, kwargs: Any, result: Any, scale: float) -> bool:
        def ids(leaf: Any) -> Any:
            lookup = self._of(leaf)
            if lookup is not None:
                return lookup.ids
            known = isinstance(leaf, Tensor) and leaf.is_floating_point()
            return torch.full_like(leaf, -1, dtype=torch.long) if known else leaf

        for tensor, its in zip(tree_leaves(result), tree_leaves(func(*tree_map(ids, args), **kwargs)), strict=True):
            self._keep(tensor, its, scale)
        return True

    def _write(self, target: Tensor, index: Any, value: Any) -> bool:
        old, new = self._of(target), self._of(value)
        if old and new and old.scale != new.scale:
            return False
        ids = old.ids.clone() if old else torch.full(target.shape, -1, device=target.device)
        ids[index] = new.ids if new else -1
        return self._keep(target, ids, (new or old or _Lookup(target, ids)).scale)

    def _add(self, x: Any, y: Any, times_x: float, times_y: float, result: Tensor) -> bool:
        """Result = times_x · x + times_y · y."""
        a, b = self._of(x), self._of(y)
        if a and b:
            if a.scale * times_x != -b.scale * times_y:
                return False
            first, second = (lookup.ids.expand(result.shape) for lookup in (a, b))
            self.differences.append(_Difference(get_gradient_edge(result), first, second, a.scale * times_x))
            self._lookups.pop(id(result), None)
            return True
        kept, times = (a, times_x) if a else (b, times_y)
        assert kept is not None
        if any(isinstance(operand, Tensor) and operand.requires_grad for operand in (x, y) if not self._of(operand)):
            self.others["add"] += 1  # such as a centre, which the difference of two may lose again
        return self._keep(result, kept.ids.expand(result.shape), kept.scale * times)


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and not value.requires_grad
    return isinstance(value, int | float)


def _by_pairs(
    differences: Sequence[_Difference], gradients: Sequence[Tensor], n: int, device: torch.device
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
