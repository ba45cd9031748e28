"""Why a model said this about these molecules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import torch
from torch import Tensor

import sciexplain as sx
from sciexplain.domains.molecules import families
from sciexplain.domains.molecules.adjoints import Question, linearize
from sciexplain.domains.molecules.explanation import MoleculeExplanation, MoleculeExplanations, Pairs
from sciexplain.domains.molecules.families.base import EdgeFeatures
from sciexplain.domains.molecules.graphs import Family, Graphs
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.read import read
from sciexplain.errors import InputError, NonFiniteOutputError, SciExplainError

ROWS_AT_ONCE = 65_536
"""Atoms and edges of a batch: enough to keep a processor busy, few enough for its memory."""


def explain(
    model: Any,
    graphs: Any,
    target: Any = None,
    composite: sx.Composite | str | None = None,
    *,
    featurizer: Callable[..., Any] | str | None = None,
    unit: str = "",
    edge_features: EdgeFeatures = "signal",
    batch_size: int | None = None,
    on_unknown: Any = "warn",
    on_error: Callable[[str, SciExplainError], object] | None = None,
) -> MoleculeExplanations:
    """Explain what a model says about molecules, by LRP.

    Parameters
    ----------
    model
        A network of PyTorch Geometric, chemprop or SchNetPack as it is, or what
        :func:`sciexplain.domains.molecules.load_model` returned.
    graphs
        PyG ``Data`` or ``Batch``, RDKit molecules, ASE ``Atoms``, SMILES, :class:`Molecule`, a file of molecules, or a
        list of these.
    target
        None (the predicted class, or the only output), a column of the output, one for each molecule (N,), start
        relevance (N, tasks), or a callable from the output to (N,).
    composite
        LRP rules, by name or as a :class:`sciexplain.Composite`; ε where none is given.
    featurizer
        From a molecule to a graph, where the model or its library does not say; see
        :class:`sciexplain.domains.molecules.families.PyG`.
    unit
        Of the model's output, such as ``"kcal/mol"``.
    edge_features
        ``"signal"``: features of bonds are explained; ``"constant"``: they are given.
    batch_size
        Molecules at a time; None fits batches to the machine. The results are the same.
    on_unknown
        As in :func:`sciexplain.explain`.
    on_error
        Is told the name of each molecule that fails, and why; the others are explained, and the failures are listed in
        the result. None: the first failure is raised.

    Raises
    ------
    InputError, DataError, TargetError, ModelError, RuleError

    Examples
    --------
    >>> import torch
    >>> from torch_geometric.nn import GIN, global_add_pool
    >>> class Net(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.gin, self.out = GIN(9, 8, 2), torch.nn.Linear(8, 1)
    ...     def forward(self, x, edge_index, batch):
    ...         return self.out(global_add_pool(self.gin(x, edge_index), batch))
    >>> m = explain(Net().double().eval(), ["CCO", "c1ccccc1O"], featurizer="pyg")
    >>> len(m), len(m[0].atoms), len(m[1].walks(3)[0][0])
    (2, 3, 3)

    References
    ----------
    Schnake et al. 2020, IEEE TPAMI 44; Xiong et al. 2022, ICML; Bach et al. 2015, PLoS ONE 10(7).
    """
    family = _family(model, featurizer, unit, edge_features)
    failures: list[tuple[int, str, str]] = []
    items: list[tuple[int, Any, Molecule | None]] = []

    def failed(place: int, name: str, error: SciExplainError) -> None:
        if on_error is None:
            raise error
        failures.append((place, name, str(error)))
        on_error(name, error)

    for place, entry in enumerate(_entries(graphs, on_error is not None)):
        if isinstance(entry, _Failure):
            failed(place, entry.name, entry.error)
            continue
        name = entry.name or f"molecule {place}" if isinstance(entry, Molecule) else f"graph {place}"
        try:
            graph = family.graph(entry) if isinstance(entry, Molecule) else entry
            items.append((place, graph, family.molecule(graph)))
        except SciExplainError as error:
            failed(place, name, error)
    if not items and not failures:
        raise InputError("There are no molecules to explain; give at least one.")
    total = items[-1][0] + 1 if items else 0
    found: list[MoleculeExplanation] = []
    ask = _Asking(family, target, composite, on_unknown, max(total, len(items) + len(failures)))
    for part in _batches(family, items, batch_size):
        found.extend(_explained(ask, part, failed))
    return MoleculeExplanations(found, failures)


@dataclass(frozen=True)
class _Failure:
    name: str
    error: SciExplainError


class _Asking:
    """What is asked of every molecule."""

    def __init__(self, family: Family, target: Any, composite: Any, on_unknown: Any, number: int) -> None:
        self.family, self.composite, self.on_unknown = family, composite, on_unknown
        if target is not None and not callable(target) and not isinstance(target, int | Tensor):
            target = torch.as_tensor(target)
        self.target, self.number = target, number

    def target_of(self, places: Sequence[int]) -> Any:
        """The target of the molecules at ``places`` among those given."""
        target = self.target
        if isinstance(target, Tensor) and target.ndim and len(target) == self.number and self.number > 1:
            target = target[list(places)]
        if isinstance(target, Tensor) and target.is_floating_point() and target.ndim == 2 and target.shape[1] == 1:
            return target[:, 0]
        return target


def _family(model: Any, featurizer: Any, unit: str, edge_features: EdgeFeatures) -> Family:
    if not isinstance(model, families.LibraryFamily):
        return families.find(model, featurizer, unit=unit, edge_features=edge_features)
    if featurizer is not None:
        raise InputError("A loaded model has its featurizer; give featurizer= where it is loaded.")
    return model


def _entries(graphs: Any, goes_on: bool) -> Iterator[Any]:
    """Molecules, graphs of the model's library as they are, and, where it goes on, failures at their place."""
    if hasattr(graphs, "to_data_list"):  # of PyG
        yield from graphs.to_data_list()
        return
    if hasattr(graphs, "num_nodes"):
        yield graphs
        return
    listed = isinstance(graphs, Iterable) and not isinstance(graphs, str | Molecule | dict) and not _is_read(graphs)
    for entry in graphs if listed else [graphs]:
        if not _is_read(entry):
            yield entry
            continue
        bad: list[_Failure] = []
        note = (lambda name, error, bad=bad: bad.append(_Failure(name, error))) if goes_on else None
        for molecule in read(entry, on_error=note):
            yield from bad
            bad.clear()
            yield molecule
        yield from bad


def _is_read(entry: Any) -> bool:
    """Whether an entry is a file, or a molecule of another library; what is neither is a graph of the model's."""
    return isinstance(entry, str | PathLike) or type(entry).__module__.partition(".")[0] in ("rdkit", "ase")


def _batches(family: Family, items: list[Any], batch_size: int | None) -> Iterator[list[Any]]:
    part: list[Any] = []
    rows = 0
    for item in items:
        part.append(item)
        rows += _rows(item[1], item[2])
        if len(part) == batch_size or (batch_size is None and rows >= ROWS_AT_ONCE):
            yield part
            part, rows = [], 0
    if part:
        yield part


def _rows(graph: Any, molecule: Molecule | None) -> int:
    """Atoms and directed edges of a graph; every pair of atoms, where the model finds its own edges."""
    data = getattr(graph, "data", graph)
    atoms = len(molecule) if molecule is not None else int(getattr(data, "num_nodes", 0) or 1)
    edges = getattr(data, "edge_index", None)
    return atoms + (atoms**2 if edges is None else edges.shape[1])


def _explained(ask: _Asking, part: list[Any], failed: Callable[..., None]) -> list[MoleculeExplanation]:
    """A batch; where it fails and others may not, one molecule at a time."""
    try:
        graphs = ask.family.collate([graph for _, graph, _ in part])
        lin = linearize(
            graphs,
            ask.target_of([place for place, _, _ in part]),
            ask.composite,
            on_unknown=ask.on_unknown,
            keep=False,
        )
        if len(lin.score) != len(part):
            raise InputError(
                f"The model gave {len(lin.score)} explained outputs for {len(part)} molecules; expected one for each."
            )
    except (InputError, NonFiniteOutputError) as error:
        if len(part) == 1:
            place, _, molecule = part[0]
            failed(place, molecule.name if molecule is not None else f"graph {place}", error)
            return []
        return [a for item in part for a in _explained(ask, [item], failed)]
    return _apart(ask, part, graphs, lin)


def _apart(ask: _Asking, part: list[Any], graphs: Graphs, lin: sx.Linearization) -> list[MoleculeExplanation]:
    """The explanations of a batch's molecules."""
    sizes, n = graphs.sizes.tolist(), len(part)
    layers = torch.stack([lin.at(cut) for cut in range(lin.depth + 1)]).split(sizes, 1)
    bonds, features = _per_molecule(_bonds(lin), sizes), _per_molecule(_bond_features(graphs, lin), sizes)
    scores, targets = lin.score.tolist(), [None] * n if lin.target is None else lin.target.tolist()
    outputs = lin.output.unbind() if lin.output.ndim and len(lin.output) == n else [lin.output] * n
    found = []
    for i, (place, graph, molecule) in enumerate(part):
        fixed = targets[i]
        if fixed is None:
            fixed = ask.target_of([place])
            if isinstance(fixed, Tensor) and fixed.ndim and len(fixed) != 1:  # one molecule was given alone
                fixed = fixed[None]
        found.append(
            MoleculeExplanation(
                layers=layers[i],
                score=scores[i],
                target=targets[i],
                output=outputs[i],
                molecule=molecule,
                family=ask.family,
                unknown=lin.unknown,
                question=Question(ask.family, graph, sizes[i], fixed, ask.composite, scores[i]),
                _bonds=None if bonds is None else bonds[i],
                _bond_features=None if features is None else features[i],
            )
        )
    return found


def _bonds(lin: sx.Linearization) -> Pairs | None:
    """What passes along bonds and stays on atoms; None where one pass does not tell."""
    n = lin.sites
    if not lin.depth:
        atoms = torch.arange(n)
        return atoms, atoms, lin.at(0)
    i, j, relevance = [torch.arange(n)], [torch.arange(n)], []
    stays = torch.zeros_like(lin.at(0))
    for layer in range(1, lin.depth + 1):
        flows = lin.flows(layer)
        if flows is None:
            return None
        start, end, passing = flows
        stays += lin.at(0) if layer == 1 else lin.reaching_input(layer - 1)
        moves = start != end
        stays.index_add_(0, start[moves], -passing[moves])
        i.append(torch.minimum(start, end)[moves])
        j.append(torch.maximum(start, end)[moves])
        relevance.append(passing[moves])
    return _summed(torch.cat(i), torch.cat(j), torch.cat([stays, *relevance]) / lin.depth, n)


def _bond_features(graphs: Graphs, lin: sx.Linearization) -> Pairs | None:
    names = [name for name in graphs.places if name in graphs.edge_rows]
    if graphs.edges is None or not names:
        return None
    relevance = lin.relevance
    assert isinstance(relevance, dict)
    rows = sum(relevance[n].flatten(1).sum(1) if relevance[n].ndim > 1 else relevance[n] for n in names)
    assert isinstance(rows, Tensor)
    return _summed(graphs.edges.amin(0), graphs.edges.amax(0), rows, lin.sites)


def _summed(i: Tensor, j: Tensor, relevance: Tensor, n: int) -> Pairs:
    """Equal pairs as one."""
    keys, inverse = torch.unique(i * n + j, return_inverse=True)
    return keys // n, keys % n, relevance.new_zeros(len(keys)).index_add_(0, inverse, relevance)


def _per_molecule(pairs: Pairs | None, sizes: list[int]) -> list[Pairs] | None:
    """The pairs of each molecule's own atoms, counted from its first."""
    if pairs is None:
        return None
    i, j, relevance = pairs
    each = torch.tensor(sizes)
    ends = each.cumsum(0)
    counts = torch.diff(torch.searchsorted(i, ends), prepend=torch.tensor([0]))
    begins = (ends - each).repeat_interleave(counts)
    split = counts.tolist()
    return list(zip((i - begins).split(split), (j - begins).split(split), relevance.split(split), strict=True))
