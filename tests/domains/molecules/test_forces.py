"""Pair forces against closed forms, finite differences and the gradients of real models."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import dataloader

from sciexplain.domains.molecules.forces import force_decomposition
from sciexplain.domains.molecules.graphs import Graphs
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError, ModelError, NonFiniteOutputError, TargetError

DEPTH, WIDTH, REST = 4.5, 1.9, 1.2  # a Morse bond: eV, 1/Å, Å
# Ethanol, near its minimum.
NUMBERS = np.array([6, 6, 8, 1, 1, 1, 1, 1, 1])
POSITIONS = np.array(
    [
        [-1.21, -0.25, 0.02], [0.05, 0.57, -0.04], [1.18, -0.30, 0.03], [-1.27, -0.90, -0.86], [-1.24, -0.88, 0.92],
        [-2.09, 0.41, 0.01], [0.09, 1.24, 0.84], [0.06, 1.18, -0.96], [1.97, 0.25, -0.02],
    ]
)  # fmt: skip
ETHANOL = Molecule(NUMBERS, "ethanol", positions=POSITIONS)
PAIRS = torch.triu_indices(9, 9, 1)


class Plain:
    """A family for models that take (atomic numbers, positions, molecule of each atom)."""

    unit = "eV"
    tasks: tuple[str, ...] = ()

    def __init__(self, model: nn.Module, dtype: torch.dtype = torch.float64) -> None:
        self.model = model.to(dtype)
        self.dtype = dtype

    def graph(self, molecule: Molecule) -> Molecule:
        return molecule

    def collate(self, graphs: Sequence[Molecule]) -> Graphs:
        sizes = torch.tensor([len(g) for g in graphs])
        tensors = {
            "z": torch.as_tensor(np.concatenate([g.numbers for g in graphs])),
            "pos": torch.as_tensor(np.concatenate([np.asarray(g.positions) for g in graphs]), dtype=self.dtype),
            "batch": torch.arange(len(graphs)).repeat_interleave(sizes),
        }
        return Graphs(tensors, {}, sizes, lambda t: self.model(t["z"], t["pos"], t["batch"]))

    def molecule(self, graph: Molecule) -> Molecule:
        return graph


class Energy(nn.Module):
    """What a function makes of the positions, as one molecule's energy."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, z: Tensor, pos: Tensor, batch: Tensor) -> Tensor:
        return self.function(pos).reshape(1)


def decompose(function: Callable[[Tensor], Tensor], molecule: Molecule = ETHANOL) -> NDArray[np.float64]:
    return force_decomposition(Plain(Energy(function)), molecule).numpy()


def morse(r: Tensor) -> Tensor:
    return (DEPTH * (1 - torch.exp(-WIDTH * (r - REST))) ** 2).sum()


def morse_forces(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """[i, j] = −V'(r) (rᵢ − rⱼ) / r, from the derivative written out."""
    d = positions[:, None] - positions[None]
    r = np.linalg.norm(d, axis=-1) + np.eye(len(d))
    decay = np.exp(-WIDTH * (r - REST))
    return (-2 * DEPTH * WIDTH * (1 - decay) * decay / r)[..., None] * d


def norms(d: Tensor) -> Tensor:
    return d.norm(dim=-1)


def directed(pos: Tensor) -> tuple[Tensor, Tensor]:
    return torch.cat([PAIRS, PAIRS.flip(0)], 1).unbind()


def in_place(pos: Tensor) -> Tensor:
    d = pos[PAIRS[0]] - pos[PAIRS[1]]
    d += torch.zeros(3)
    d *= 2
    return norms(d) / 2


def subtracted_in_place(pos: Tensor) -> Tensor:
    d = pos[PAIRS[0]].clone()
    d -= pos[PAIRS[1]]
    return norms(d)


def padded(pos: Tensor) -> Tensor:
    dense = torch.zeros(1, 12, 3, dtype=pos.dtype)
    dense[0, torch.arange(9) + 2] = pos
    return norms(dense[0, PAIRS[0] + 2] - dense[0, PAIRS[1] + 2])


def by_axis(pos: Tensor) -> Tensor:
    x, y, z = pos.unbind(-1)
    return sum((a[PAIRS[0]] - a[PAIRS[1]]) ** 2 for a in (x, y, z)).sqrt()  # type: ignore[union-attr]


def column(pos: Tensor) -> Tensor:
    d = pos.T.unsqueeze(2) - pos.mT[:, None, :]
    return (d**2).sum(0)[PAIRS[0], PAIRS[1]].sqrt()


SPELLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "two look-ups": lambda pos: norms(pos[PAIRS[0]] - pos[PAIRS[1]]),
    "index_select": lambda pos: norms(pos.index_select(0, PAIRS[0]).sub(torch.index_select(pos, 0, PAIRS[1]))),
    "one look-up of both ends": lambda pos: norms(torch.sub(*pos[PAIRS].unbind(0))),
    "embedding": lambda pos: norms(F.embedding(PAIRS[0], pos) - F.embedding(PAIRS[1], pos)),
    "gather": lambda pos: norms(
        pos.gather(0, PAIRS[0][:, None].expand(-1, 3)) - pos.gather(0, PAIRS[1][:, None].expand(-1, 3))
    ),
    "offsets between": lambda pos: norms(pos[PAIRS[0]] + torch.ones(3) - pos[PAIRS[1]] - torch.ones(3)),
    "broadcast": lambda pos: norms((pos[:, None] - pos[None])[PAIRS[0], PAIRS[1]]),
    "both directions": lambda pos: norms(torch.subtract(*(pos[i] for i in directed(pos)))).reshape(2, -1).mean(0),
    "negative and sum": lambda pos: norms(-pos[PAIRS[1]] + pos[PAIRS[0]]),
    "alpha": lambda pos: norms(torch.add(pos[PAIRS[0]], pos[PAIRS[1]], alpha=-1)),
    "from a constant": lambda pos: norms((1 - pos[PAIRS[1]]) - (1 - pos[PAIRS[0]])),
    "bohr": lambda pos: norms((pos / 0.529)[PAIRS[0]] - pos[PAIRS[1]] / 0.529) * 0.529,
    "centred": lambda pos: norms((pos - pos.mean(0))[PAIRS[0]] - (pos - pos.mean(0))[PAIRS[1]]),
    "in place": in_place,
    "subtracted in place": subtracted_in_place,
    "padded": padded,
    "by axis": by_axis,
    "columns": column,
    "cdist": lambda pos: torch.cdist(pos, pos)[PAIRS[0], PAIRS[1]],
    "pdist": F.pdist,
    "pairwise_distance": lambda pos: F.pairwise_distance(pos[PAIRS[0]], pos[PAIRS[1]], eps=0.0),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_morse_forces_by_every_spelling_of_a_difference(spelling: str) -> None:
    np.testing.assert_allclose(
        decompose(lambda pos: morse(SPELLINGS[spelling](pos))), morse_forces(POSITIONS), rtol=0, atol=1e-10
    )


def test_a_spring_between_angles_pulls_across_pairs() -> None:
    """E = (u·v)² of two bonds of an atom: ∂E/∂u = 2 (u·v) v, which does not point along u."""

    def energy(pos: Tensor) -> Tensor:
        return ((pos[0] - pos[1]) @ (pos[2] - pos[1])) ** 2

    u, v = POSITIONS[0] - POSITIONS[1], POSITIONS[2] - POSITIONS[1]
    expected = np.zeros((9, 9, 3))
    expected[0, 1], expected[2, 1] = -2 * (u @ v) * v, -2 * (u @ v) * u
    expected -= expected.transpose(1, 0, 2)
    np.testing.assert_allclose(decompose(energy), expected, atol=1e-12)


def test_images_count_as_their_atom_and_own_images_cancel() -> None:
    cell = np.diag([4.0, 4.5, 5.0])
    shifts = [np.array(s) @ cell for s in np.ndindex(3, 3, 3)]
    shifts = [s - cell.sum(0) for s in shifts]

    def energy(pos: Tensor) -> Tensor:
        d = torch.cat([(pos[:, None] - pos[None] + torch.tensor(s))[~np.eye(9, dtype=bool) | s.any()] for s in shifts])
        return morse(norms(d)) / 2

    expected = np.zeros((9, 9, 3))
    for shift in shifts:
        d = POSITIONS[:, None] - POSITIONS[None] + shift
        r = np.linalg.norm(d, axis=-1)
        r[r == 0] = np.inf
        decay = np.exp(-WIDTH * (r - REST))
        expected -= (2 * DEPTH * WIDTH * (1 - decay) * decay / r)[..., None] * d
    expected[np.arange(9), np.arange(9)] = 0
    periodic = replace(ETHANOL, cell=cell, periodic=(True, True, True))
    np.testing.assert_allclose(decompose(energy, periodic), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda pos: (pos @ pos.T).square().sum(), "matmul"),
        (lambda pos: (pos[:, 0] * 0.1).sum() + morse(F.pdist(pos)), "sum"),
        (lambda pos: morse(norms(pos - pos.mean(0))), "norm"),
        (lambda pos: morse(norms(pos[:4] - (pos[4:8] + pos[5:9]) / 2)), "add"),
        (lambda pos: morse(norms(pos[PAIRS[0]] - 2 * pos[PAIRS[1]])), "sub"),
        (lambda pos: morse(norms(pos[PAIRS[0]] - pos.roll(1, 1)[PAIRS[1]])), "cannot be told apart"),
    ],
    ids=["Gram matrix", "field", "centre", "midpoints", "no difference", "axes mixed"],
)
def test_what_is_no_function_of_pairs_is_refused_by_name(function: Callable[[Tensor], Tensor], named: str) -> None:
    with pytest.raises(ModelError, match=named):
        decompose(function)


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda pos: pos.detach().sum(), ModelError),
        (lambda pos: torch.ones((), requires_grad=True) * 2, ModelError),
        (lambda pos: norms(pos[0] - pos[1]) / 0, NonFiniteOutputError),
    ],
)
def test_energies_without_forces(function: Callable[[Tensor], Tensor], error: type[Exception]) -> None:
    with pytest.raises(error, match="Energy"):
        decompose(function)


@pytest.mark.parametrize(
    ("positions", "words"),
    [(None, "no positions"), (POSITIONS[:4], r"shape \(4, 3\)"), (POSITIONS * np.inf, "not finite")],
)
def test_molecules_that_have_no_geometry(positions: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        decompose(lambda pos: morse(F.pdist(pos)), replace(ETHANOL, positions=positions))


class Tasks(nn.Module):
    def forward(self, z: Tensor, pos: Tensor, batch: Tensor) -> Tensor:
        r = F.pdist(pos)
        return torch.stack([r.sum(), morse(r)])[None]


def test_one_of_several_outputs() -> None:
    family = Plain(Tasks())
    family.tasks = ("length", "energy")
    with pytest.raises(TargetError, match="2 outputs"):
        force_decomposition(family, ETHANOL)
    with pytest.raises(TargetError, match="length, energy"):
        force_decomposition(family, ETHANOL, task="gap")
    with pytest.raises(TargetError, match="counted from 0"):
        force_decomposition(family, ETHANOL, task=2)
    for task in (1, "energy"):
        np.testing.assert_allclose(force_decomposition(family, ETHANOL, task=task), morse_forces(POSITIONS), atol=1e-10)


# Real models.


def all_pairs(pos: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Every pair within 5 Å: what PyG's own radius graph gives where pyg-lib is installed."""
    near = (torch.cdist(pos.detach(), pos.detach()) < 5) & (batch[:, None] == batch[None])
    row, col = edges = (near & ~torch.eye(len(pos), dtype=torch.bool)).nonzero().T
    return edges, (pos[row] - pos[col]).norm(dim=-1)


def pyg_schnet() -> nn.Module:
    pyg = pytest.importorskip("torch_geometric.nn")
    return pyg.SchNet(24, 24, 3, num_gaussians=20, cutoff=5.0, interaction_graph=all_pairs)


def dimenet(monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """DimeNet++ with plain code in place of the compiled neighbour search and triplets, where those are missing."""
    module = pytest.importorskip("torch_geometric.nn.models.dimenet")
    pytest.importorskip("scipy")
    pytest.importorskip("sympy")

    def triplets(edge_index: Tensor, num_nodes: int) -> tuple[Tensor, ...]:
        row, col = edge_index
        ji, kj = ((row[:, None] == col[None]) & (col[:, None] != row[None])).nonzero().T
        return col, row, col[ji], row[ji], row[kj], kj, ji

    monkeypatch.setattr(module, "radius_graph", lambda pos, r, batch, max_num_neighbors: all_pairs(pos, batch)[0])
    monkeypatch.setattr(module, "triplets", triplets)
    return module.DimeNetPlusPlus(
        24, 1, 2, 8, 16, 32, num_spherical=3, num_radial=4, output_initializer="glorot_orthogonal"
    )


def schnetpack() -> Any:
    """The library, which up to 2.0.4 imports a type variable that newer torch keeps elsewhere."""
    if not hasattr(dataloader, "T_co"):
        dataloader.T_co = TypeVar("T_co", covariant=True)  # type: ignore[attr-defined]
    return pytest.importorskip("schnetpack")


class SchNetPack(Plain):
    """schnetpack's own dictionaries, with forces computed inside the model too."""

    def __init__(self, name: str, dtype: torch.dtype) -> None:
        spk = schnetpack()
        cutoff = spk.nn.CosineCutoff(5.0)
        representation = getattr(spk.representation, name)(24, 2, spk.nn.GaussianRBF(12, 5.0), cutoff)
        outputs = [spk.atomistic.Atomwise(24, output_key="energy"), spk.atomistic.Forces()]
        potential = spk.model.NeuralNetworkPotential(representation, [spk.atomistic.PairwiseDistances()], outputs)
        super().__init__(potential.eval(), dtype)

    def collate(self, graphs: Sequence[Molecule]) -> Graphs:
        plain = super().collate(graphs)
        edges, distances = all_pairs(plain.tensors["pos"], plain.tensors["batch"])
        tensors = {
            "_atomic_numbers": plain.tensors["z"],
            "_positions": plain.tensors["pos"],
            "_idx_m": plain.tensors["batch"],
            "_n_atoms": plain.sizes,
            "_idx_i": edges[0],
            "_idx_j": edges[1],
            "_offsets": torch.zeros(len(distances), 3, dtype=self.dtype),
        }
        return Graphs(tensors, {}, plain.sizes, lambda t: self.model(dict(t))["energy"])


def family(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> Plain:
    torch.manual_seed(1)
    if name.startswith("schnetpack"):
        return SchNetPack(name.split()[1], dtype)
    return Plain(pyg_schnet() if name == "SchNet" else dimenet(monkeypatch), dtype)


MODELS = ["SchNet", "DimeNet++", "schnetpack SchNet", "schnetpack PaiNN"]


def energy_and_forces(of: Plain, positions: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    batch = of.collate([replace(ETHANOL, positions=positions)])
    name = "pos" if "pos" in batch.tensors else "_positions"
    leaf = batch.tensors[name].clone().requires_grad_()
    positioned = {**batch.tensors, name: leaf}
    if "_positions" in batch.tensors:  # whose own forces use up the graph
        results = of.model(dict(positioned))
        return results["energy"].item(), results["forces"].detach().double().numpy()
    energy = batch.call(positioned)
    return energy.item(), -torch.autograd.grad(energy.sum(), leaf)[0].double().numpy()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_rows_are_the_forces_of_real_models(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    of = family(name, dtype, monkeypatch)
    pulls = force_decomposition(of, ETHANOL)
    assert pulls.dtype == dtype and not pulls.requires_grad
    assert torch.equal(pulls, -pulls.transpose(0, 1))
    rows, forces = pulls.double().sum(1).numpy(), energy_and_forces(of, POSITIONS)[1]
    assert np.abs(forces).max() > 1e-3
    bound = 1e-6 if dtype == torch.float32 else 1e-13
    np.testing.assert_allclose(rows, forces, rtol=0, atol=bound * pulls.double().norm(dim=-1).sum(1).max().item())
    along = torch.as_tensor(POSITIONS[:, None] - POSITIONS[None]).to(dtype)
    across = torch.linalg.cross(pulls, along).norm() / pulls.norm()
    assert (across < 1e-5) == ("SchNet" in name)  # SchNet sees distances, the others directions and angles


@pytest.mark.parametrize("name", MODELS)
def test_rows_are_the_slope_of_the_energy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of = family(name, torch.float64, monkeypatch)
    rows = force_decomposition(of, ETHANOL).sum(1).numpy()
    for atom, axis in ((0, 0), (2, 1), (8, 2)):
        step = np.zeros_like(POSITIONS)
        step[atom, axis] = 1e-4
        slope = (energy_and_forces(of, POSITIONS + step)[0] - energy_and_forces(of, POSITIONS - step)[0]) / 2e-4
        assert rows[atom, axis] == pytest.approx(-slope, rel=1e-5, abs=1e-7)


SCHNET = Plain(pyg_schnet())


@settings(max_examples=15)
@given(
    shift=st.lists(st.floats(-50, 50), min_size=3, max_size=3),
    turn=st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1),
    order=st.permutations(range(9)),
)
def test_forces_move_turn_and_swap_with_the_molecule(shift: list[float], turn: list[float], order: list[int]) -> None:
    w, x, y, z = np.array(turn) / np.linalg.norm(turn)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation = np.eye(3) + 2 * w * skew + 2 * skew @ skew
    pulls = force_decomposition(SCHNET, ETHANOL).numpy()
    moved = replace(ETHANOL, numbers=NUMBERS[order], positions=(POSITIONS @ rotation.T + shift)[order])
    np.testing.assert_allclose(force_decomposition(SCHNET, moved), (pulls @ rotation.T)[order][:, order], atol=1e-10)


def test_the_model_stays_as_it_was() -> None:
    model = pyg_schnet().double().train()
    model.interactions[0].eval()
    next(model.parameters()).requires_grad_(False)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    flags = [(p.requires_grad, p.grad) for p in model.parameters()], [m.training for m in model.modules()]
    with torch.no_grad():
        force_decomposition(Plain(model), ETHANOL)
    assert flags == ([(p.requires_grad, p.grad) for p in model.parameters()], [m.training for m in model.modules()])
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, z: Tensor, pos: Tensor, batch: Tensor) -> Tensor:
        return morse(self.drop(F.pdist(pos))).reshape(1)


def test_a_model_in_training_is_explained_as_it_predicts() -> None:
    model = Noisy().train()
    np.testing.assert_allclose(force_decomposition(Plain(model), ETHANOL), morse_forces(POSITIONS), atol=1e-10)
    assert model.drop.training


def test_one_atom_feels_nothing() -> None:
    alone = Molecule(np.array([6]), positions=np.zeros((1, 3)))
    assert force_decomposition(SCHNET, alone).tolist() == [[[0.0, 0.0, 0.0]]]
