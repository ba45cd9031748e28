"""Local chemical potentials against closed forms and against the probe's own row in real models."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from sciexplain.domains.molecules.isosurface import ISOVALUE, isosurface
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.probe import chemical_potential
from sciexplain.errors import InputError, ModelError

pytest.importorskip("torch_geometric")
pytest.importorskip("ase")

from sciexplain.domains.molecules import families

NUMBERS = np.array([6, 8, 1, 1])
POSITIONS = np.array([[0.0, 0.0, -0.53], [0.0, 0.0, 0.68], [0.0, 0.93, -1.12], [0.0, -0.93, -1.12]])
FORMALDEHYDE = Molecule(NUMBERS, "formaldehyde", positions=POSITIONS)
POINTS = np.array([[0.0, 0.0, 2.4], [1.7, 0.3, 0.1], [-0.4, 2.0, 1.0], [0.0, 0.0, -3.1], [4.0, 4.0, 4.0]])


def all_pairs(pos: Tensor, batch: Tensor, cutoff: float = 6.0) -> tuple[Tensor, Tensor]:
    near = (torch.cdist(pos, pos) < cutoff) & (batch[:, None] == batch[None])
    source, target = edges = (near & ~torch.eye(len(pos), dtype=torch.bool)).nonzero().T
    return edges, (pos[source] - pos[target]).norm(dim=-1)


class Atoms(nn.Module):
    """Eᵢ = constant(zᵢ) + ½ ∑ⱼ zᵢ zⱼ exp(−rᵢⱼ): each atom has half of each of its pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.constant = nn.Embedding(20, 1).double()
        self.interaction_graph = all_pairs

    def forward(self, z: Tensor, pos: Tensor, batch: Tensor) -> Tensor:
        (source, target), distances = self.interaction_graph(pos, batch)
        pairs = 0.5 * z[source] * z[target] * torch.exp(-distances)
        own = self.constant(z)[:, 0].index_add(0, target, pairs)
        return own.new_zeros(int(batch.max()) + 1).index_add(0, batch, own)


def felt(points: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """∑ⱼ z zⱼ exp(−rⱼ), over all pairs within 6 Å."""
    distances = np.linalg.norm(points[:, None] - POSITIONS[None], axis=-1)
    return (number * NUMBERS * np.exp(-distances) * (distances < 6)).sum(1)


@pytest.fixture(scope="module")
def atoms() -> Atoms:
    torch.manual_seed(0)
    return Atoms()


@pytest.mark.parametrize(("probe", "number"), [("H", 1), ("C", 6), ("Cl", 17)])
def test_closed_form_of_a_pair_potential(atoms: Atoms, probe: str, number: int) -> None:
    constant = atoms.constant.weight[number].item()
    passive = chemical_potential(atoms, FORMALDEHYDE, probe, grid=POINTS, mode="probe")
    np.testing.assert_allclose(passive.values, constant + 0.5 * felt(POINTS, number), rtol=0, atol=1e-10)
    full = chemical_potential(atoms, FORMALDEHYDE, probe, grid=POINTS, mode="difference")
    np.testing.assert_allclose(full.values, constant + felt(POINTS, number), rtol=0, atol=1e-10)
    assert (full.probe, full.mode, len(full)) == (probe, "difference", 5)


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_batches_and_progress_change_nothing(atoms: Atoms, batch_size: int) -> None:
    done: list[tuple[int, int]] = []
    values = chemical_potential(
        atoms, FORMALDEHYDE, grid=POINTS, batch_size=batch_size, progress=lambda *at: done.append(at)
    ).values
    np.testing.assert_allclose(values, chemical_potential(atoms, FORMALDEHYDE, grid=POINTS).values, atol=1e-12)
    assert done == [(min(k, 5), 5) for k in range(batch_size, 5 + batch_size, batch_size)]


def test_near_an_atom_nothing_is_claimed(atoms: Atoms) -> None:
    points = np.concatenate([POSITIONS[:2] + np.array([d, 0, 0]) for d in (0.49, 0.51)])
    values = chemical_potential(atoms, FORMALDEHYDE, grid=points).values
    assert np.isnan(values).tolist() == [True, True, False, False]
    crystal = replace(FORMALDEHYDE, cell=np.eye(3) * 8.0, periodic=(True, True, True))
    values = chemical_potential(atoms, crystal, grid=points + np.array([0, 0, 8.0]), mode="difference").values
    assert np.isnan(values).tolist() == [True, True, False, False]


# Real models.


def schnet(graph: Callable[..., Any] = all_pairs, **options: Any) -> nn.Module:
    from torch_geometric.nn import SchNet

    torch.manual_seed(3)
    return SchNet(16, 16, 2, num_gaussians=12, cutoff=6.0, interaction_graph=graph, **options).double()


def one_way_edges(n: int) -> Tensor:
    """All pairs of n atoms of which the last is a probe, without those that start at it."""
    return torch.tensor([[j, i] for i in range(n) for j in range(n - 1) if i != j]).T


def test_the_probes_own_row_in_pyg_schnet() -> None:
    model = schnet()
    values = chemical_potential(model, FORMALDEHYDE, "O", grid=POINTS[:4]).values

    def given_edges(pos: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        edges = one_way_edges(len(pos))
        return edges, (pos[edges[0]] - pos[edges[1]]).norm(dim=-1)

    reference = schnet(given_edges)
    rows: list[Tensor] = []
    reference.lin2.register_forward_hook(lambda module, inputs, output: rows.append(output.detach()))  # type: ignore
    for point in POINTS[:4]:
        reference(torch.tensor([*NUMBERS, 8]), torch.tensor(np.vstack([POSITIONS, point])))
    np.testing.assert_allclose(values, [row[-1, 0].item() for row in rows], atol=1e-10)
    two_way = chemical_potential(model, FORMALDEHYDE, "O", grid=POINTS[:4], mode="difference").values
    assert np.abs(two_way - values).max() > 1e-4


def test_a_probe_displaces_no_neighbour() -> None:
    """With one neighbour for each atom, a probe beside O would take the place of C."""

    def nearest(pos: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        distances = torch.cdist(pos, pos).masked_fill(batch[:, None] != batch[None], np.inf).fill_diagonal_(np.inf)
        lengths, source = distances.min(1)
        return torch.stack([source, torch.arange(len(pos))]), lengths

    model = Atoms()
    model.interaction_graph = nearest
    point = POSITIONS[1] + np.array([0, 0, 0.8])
    value = chemical_potential(model, FORMALDEHYDE, grid=point[None]).values[0]
    assert value == pytest.approx(model.constant.weight[1].item() + 0.5 * 8 * np.exp(-0.8), abs=1e-10)


@pytest.mark.parametrize("name", ["SchNet", "PaiNN"])
def test_the_probes_own_row_in_schnetpack(name: str) -> None:
    from sciexplain.domains.molecules.families.schnetpack import library
    from sciexplain.errors import MissingDependencyError

    try:
        spk = library()
    except (MissingDependencyError, ImportError, RuntimeError) as error:
        pytest.skip(f"schnetpack cannot be imported: {error}")
    torch.manual_seed(3)
    representation = getattr(spk.representation, name)(16, 2, spk.nn.GaussianRBF(12, 6.0), spk.nn.CosineCutoff(6.0))
    readout = spk.atomistic.Atomwise(16, output_key="energy", per_atom_output_key="each")
    model = spk.model.NeuralNetworkPotential(representation, [spk.atomistic.PairwiseDistances()], [readout]).double()
    values = chemical_potential(families.find(model, tasks=["energy"]), FORMALDEHYDE, "O", grid=POINTS[:4]).values
    edges = one_way_edges(5)
    own = []
    for point in POINTS[:4]:
        inputs = {
            "_atomic_numbers": torch.tensor([*NUMBERS, 8]),
            "_positions": torch.tensor(np.vstack([POSITIONS, point])),
            "_idx_m": torch.zeros(5, dtype=torch.long),
            "_n_atoms": torch.tensor([5]),
            "_idx_i": edges[1],
            "_idx_j": edges[0],
            "_offsets": torch.zeros(edges.shape[1], 3, dtype=torch.float64),
        }
        for module in (*model.input_modules, representation, readout):
            inputs = module(inputs)
        own.append(inputs["each"][-1].item())
    np.testing.assert_allclose(values, own, atol=1e-10)


def test_the_model_stays_as_it_was() -> None:
    model = schnet().train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    flags = [(p.requires_grad, p.grad) for p in model.parameters()], [m.training for m in model.modules()]
    names, graph = list(model._modules), model.interaction_graph
    chemical_potential(model, FORMALDEHYDE, grid=POINTS)
    assert model.interaction_graph is graph and list(model._modules) == names
    assert flags == ([(p.requires_grad, p.grad) for p in model.parameters()], [m.training for m in model.modules()])
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


class Unlisted(nn.Module):
    def forward(self, z: Tensor, pos: Tensor, batch: Tensor) -> Tensor:
        return torch.zeros(int(batch.max()) + 1).index_add(0, batch, pos.norm(dim=-1).to(torch.float32))


@pytest.mark.parametrize(
    ("model", "words"),
    [(schnet(readout="mean"), "no sum over atoms"), (Unlisted(), "no list of pairs")],
    ids=["mean", "no pairs"],
)
def test_models_in_which_a_passive_probe_has_no_meaning(model: nn.Module, words: str) -> None:
    with pytest.raises(ModelError, match=f"{words}.*mode='difference'"):
        chemical_potential(model, FORMALDEHYDE, grid=POINTS)
    assert np.isfinite(chemical_potential(model, FORMALDEHYDE, grid=POINTS, mode="difference").values).all()


SCHNET = schnet()


@settings(max_examples=10)
@given(
    shift=st.lists(st.floats(-20, 20), min_size=3, max_size=3),
    turn=st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1),
)
def test_the_potential_moves_with_the_molecule(shift: list[float], turn: list[float]) -> None:
    w, x, y, z = np.array(turn) / np.linalg.norm(turn)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation = np.eye(3) + 2 * w * skew + 2 * skew @ skew
    moved = replace(FORMALDEHYDE, positions=POSITIONS @ rotation.T + shift)
    values = chemical_potential(SCHNET, moved, grid=POINTS @ rotation.T + shift).values
    np.testing.assert_allclose(values, chemical_potential(SCHNET, FORMALDEHYDE, grid=POINTS).values, atol=1e-10)


# Where the points lie.


def area_and_volume(points: NDArray[Any], faces: NDArray[Any]) -> tuple[float, float]:
    a, b, c = points[faces].swapaxes(0, 1)
    normals = np.cross(b - a, c - a)
    return float(np.linalg.norm(normals, axis=1).sum() / 2), float(np.einsum("ij,ij->", a, normals) / 6)


def test_surface_lies_on_the_isovalue_and_is_closed_with_its_outside_out() -> None:
    points, faces = isosurface(POSITIONS, spacing=0.1)
    distances = np.linalg.norm(points[:, None] - POSITIONS[None], axis=-1)
    np.testing.assert_allclose((distances**-2).sum(1), ISOVALUE, rtol=1e-12)
    sides = Counter((int(f[k]), int(f[(k + 1) % 3])) for f in faces for k in range(3))
    assert all(count == sides[b, a] == 1 for (a, b), count in sides.items())
    measure = pytest.importorskip("skimage.measure")
    axis = np.arange(-4, 4, 0.05)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    field = sum(1 / ((grid - atom) ** 2).sum(-1) for atom in POSITIONS)
    vertices, triangles, _, _ = measure.marching_cubes(field**-0.5, ISOVALUE**-0.5, spacing=(0.05,) * 3)
    # Triangles lie within the curved surface, by about (spacing / radius)² of it.
    np.testing.assert_allclose(area_and_volume(points, faces), area_and_volume(vertices, triangles), rtol=0.01)


def test_surface_of_an_atom_is_a_sphere(atoms: Atoms) -> None:
    alone = Molecule(np.array([8]), positions=np.ones((1, 3)))
    surface = chemical_potential(atoms, alone, spacing=0.1)
    radius = ISOVALUE**-0.5
    np.testing.assert_allclose(np.linalg.norm(surface.points - 1, axis=1), radius, rtol=1e-12)
    expected = atoms.constant.weight[1].item() + 4 * np.exp(-radius)
    np.testing.assert_allclose(surface.values, expected, atol=1e-10)
    assert surface.faces is not None
    np.testing.assert_allclose(area_and_volume(surface.points, surface.faces)[0], 4 * np.pi * radius**2, rtol=0.02)


def test_grid_reaches_beyond_the_atoms_in_equal_steps(atoms: Atoms) -> None:
    box = chemical_potential(atoms, FORMALDEHYDE, grid=0.7, margin=2.0)
    assert box.shape is not None and box.origin is not None and box.steps is not None
    assert (box.points.min(0) <= POSITIONS.min(0) - 2).all() and (box.points.max(0) >= POSITIONS.max(0) + 2).all()
    index = np.array([1, 2, 3])
    flat = np.ravel_multi_index(tuple(index), box.shape)
    np.testing.assert_allclose(box.points[flat], box.origin + index @ box.steps)
    np.testing.assert_allclose(box.steps, 0.7 * np.eye(3))


def test_grid_of_a_crystal_is_its_cell(atoms: Atoms) -> None:
    cell = np.array([[5.0, 0, 0], [1.0, 6.0, 0], [0, 0, 7.0]])
    crystal = replace(FORMALDEHYDE, cell=cell, periodic=(True, True, True))
    box = chemical_potential(atoms, crystal, grid=1.0, mode="difference")
    assert box.shape == (5, 7, 7) and box.steps is not None
    np.testing.assert_allclose(box.steps * np.array(box.shape)[:, None], cell)
    with pytest.raises(InputError, match="no surface of its own"):
        chemical_potential(atoms, crystal)


def test_cube_file_as_ase_reads_it(atoms: Atoms, tmp_path: Path) -> None:
    from ase.io.cube import read_cube

    box = chemical_potential(atoms, FORMALDEHYDE, grid=0.5, margin=1.0)
    assert np.isnan(box.values).any()
    with box.to_cube(tmp_path / "h.cube").open() as file:
        written = read_cube(file)
    np.testing.assert_allclose(written["atoms"].positions, POSITIONS, atol=1e-5)
    np.testing.assert_allclose(written["origin"], box.origin, atol=1e-5)
    np.testing.assert_allclose(written["spacing"], box.steps, atol=1e-5)
    known = np.nan_to_num(box.values, nan=np.nanmax(box.values)).reshape(box.shape)  # type: ignore[arg-type]
    np.testing.assert_allclose(written["data"], known, rtol=1e-4)
    with pytest.raises(InputError, match="regular grid"):
        chemical_potential(atoms, FORMALDEHYDE, grid=POINTS).to_cube(tmp_path / "no.cube")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"probe": "Xx"}, "'Xx' is no element"),
        ({"probe": "X"}, "'X' is no element"),
        ({"probe": "U"}, "but no U beside it"),
        ({"grid": np.empty((0, 3))}, r"shape \(0, 3\)"),
        ({"grid": POINTS[:, :2]}, r"shape \(5, 2\)"),
        ({"grid": POINTS * np.nan}, "finite points"),
        ({"grid": "sphere"}, "'sphere'"),
        ({"grid": -0.2}, "above 0"),
        ({"spacing": 0.0}, "above 0"),
        ({"grid": 0.001}, "coarser grid"),
        ({"spacing": 0.001}, "wider spacing"),
        ({"grid": POINTS, "max_points": 4}, "give fewer"),
        ({"grid": 0.5, "margin": -9.0}, "leaves no room"),
        ({"grid": POSITIONS}, "within 0.5 Å"),
        ({"batch_size": 0}, "1 or more"),
        ({"mode": "both"}, "'probe' or 'difference'"),
    ],
)
def test_bad_input_is_named(atoms: Atoms, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        chemical_potential(atoms, FORMALDEHYDE, **options)


def test_molecules_without_positions(atoms: Atoms) -> None:
    with pytest.raises(InputError, match="formaldehyde has no positions"):
        chemical_potential(atoms, replace(FORMALDEHYDE, positions=None))


# Pictures.


@pytest.mark.parametrize(
    ("grid", "panels"), [("surface", 4), (0.7, 3), (POINTS, 4)], ids=["surface", "slices", "points"]
)
def test_figure_shows_every_side_and_the_unit(atoms: Atoms, grid: Any, panels: int, tmp_path: Path) -> None:
    family = families.find(atoms, unit="eV")
    sheet = chemical_potential(family, FORMALDEHYDE, grid=grid).figure()
    *views, bar = sheet.axes
    assert len(views) == panels and bar.get_ylabel() == "energy of the probe H (eV)"
    scales = {round(np.ptp(v.get_xlim()) / (v.get_position().width * sheet.get_figwidth()), 6) for v in views}
    assert len(scales) == 1  # Å for each inch, in all panels
    sheet.savefig(tmp_path / "figure.png")
    boxes = [text.get_window_extent() for text in views[0].texts[:-1]]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    with pytest.raises(InputError, match="percentile 20"):
        chemical_potential(family, FORMALDEHYDE, grid=grid).figure(percentile=20)
