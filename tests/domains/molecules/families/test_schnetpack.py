"""SchNetPack models against their own forward, on their own batches."""

from typing import Any

import ase
import numpy as np
import pytest
import torch

import sciexplain as sx
from sciexplain.domains.molecules.families import SchNetPack, find
from sciexplain.domains.molecules.families.schnetpack import library
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError, MissingDependencyError, ModelError

try:
    spk = library()
except MissingDependencyError as error:
    pytest.skip(str(error), allow_module_level=True)


def representation(kind: str = "SchNet") -> Any:
    return getattr(spk.representation, kind)(
        n_atom_basis=12,
        n_interactions=2,
        radial_basis=spk.nn.GaussianRBF(8, cutoff=5.0),
        cutoff_fn=spk.nn.CosineCutoff(5.0),
        max_z=20,
    )


def offsets(key: str = "energy") -> Any:
    made = spk.transform.AddOffsets(key, add_mean=True, add_atomrefs=True)
    made.mean, made.atomref = torch.tensor([-3.25]), torch.linspace(-1, 1, 100)
    return made


def potential(kind: str = "SchNet", *outputs: Any, postprocessors: Any = None) -> Any:
    torch.manual_seed(0)
    return spk.model.NeuralNetworkPotential(
        representation(kind),
        [spk.atomistic.PairwiseDistances()],
        list(outputs) or [spk.atomistic.Atomwise(12, output_key="energy"), spk.atomistic.Forces()],
        [spk.transform.CastTo64(), offsets()] if postprocessors is None else postprocessors,
    ).eval()


def own(model: Any, molecules: list[Molecule], dtype: torch.dtype = torch.float32) -> Any:
    """By SchNetPack's converter and the model's whole forward."""
    converter = spk.interfaces.AtomsConverter(spk.transform.ASENeighborList(5.0), dtype=dtype)
    return model(converter([ase.Atoms(m.numbers, m.positions, pbc=m.periodic, cell=m.cell) for m in molecules]))


@pytest.mark.parametrize("kind", ["SchNet", "PaiNN"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_predictions_are_the_models_own(kind: str, dtype: torch.dtype, geometries: list[Molecule]) -> None:
    model = potential(kind).to(dtype)
    family = find(model, unit="eV")
    assert isinstance(family, SchNetPack) and family.tasks == ("energy",)
    torch.testing.assert_close(family.predict(geometries), own(model, geometries, dtype)["energy"].detach())
    model.do_postprocessing = False
    torch.testing.assert_close(family.predict(geometries), own(model, geometries, dtype)["energy"].detach())


@pytest.mark.parametrize("kind", ["SchNet", "PaiNN", "SO3net"])
def test_relevance_is_accounted_for(kind: str, geometries: list[Molecule], check: Any) -> None:
    if kind == "SO3net":
        pytest.importorskip("sympy")
        rep = spk.representation.SO3net(
            12, 1, lmax=1, radial_basis=spk.nn.GaussianRBF(8, 5.0), cutoff_fn=spk.nn.CosineCutoff(5.0)
        )
        model = potential()
        model.representation = rep
    else:
        model = potential(kind)
    check(find(model.double()), geometries)


def test_places_and_edges(geometries: list[Molecule]) -> None:
    family = find(potential())
    graphs = family.collate([family.graph(m) for m in geometries])
    assert graphs.sizes.tolist() == [9, 6] and not graphs.edge_rows
    assert {k: v.tolist() for k, v in graphs.places.items()} == {"_atomic_numbers": list(range(15))}
    assert graphs.tensors["_atomic_numbers"].tolist() == [*geometries[0].numbers, *geometries[1].numbers]
    assert graphs.edges is not None
    pairs = {(i, j) for i, j in graphs.edges.T.tolist()}
    assert pairs == {(j, i) for i, j in pairs} and all((i < 9) == (j < 9) for i, j in pairs)


def test_layers_have_their_names_in_the_model(geometries: list[Molecule]) -> None:
    model = potential()
    family = find(model)
    graphs = family.collate([family.graph(geometries[0])])
    z = {name: graphs.tensors[name] for name in graphs.places}
    e = sx.explain(lambda **t: graphs.call(t), z, layers=["representation.interactions.0.f2out.0"])
    assert e.layers["representation.interactions.0.f2out.0"].shape == (9, 12)
    model.train()
    family.predict(geometries)
    assert all(module.training for module in model.modules())


def test_crystals_have_neighbours_beyond_the_cell() -> None:
    cell = np.eye(3) * 3.0
    salt = Molecule(np.array([11, 17]), positions=np.array([[0.0, 0, 0], [1.5, 1.5, 1.5]]), cell=cell)
    crystal = Molecule(salt.numbers, positions=salt.positions, cell=cell, periodic=(True, True, True))
    model = potential()
    family = find(model)
    torch.testing.assert_close(family.predict([salt, crystal]), own(model, [salt, crystal])["energy"].detach())
    assert family.predict([salt]) != family.predict([crystal])


def test_several_outputs(geometries: list[Molecule]) -> None:
    heads = [spk.atomistic.Atomwise(12, output_key=key) for key in ("short", "long", "gap")]
    total = spk.atomistic.Aggregation(["short", "long"], output_key="energy")
    model = potential("SchNet", *heads, total, spk.atomistic.Forces())
    family = find(model)
    assert family.tasks == ("gap", "energy")
    expected = own(model, geometries)
    torch.testing.assert_close(
        family.predict(geometries), torch.stack([expected["gap"], expected["energy"]], 1).detach()
    )
    torch.testing.assert_close(find(model, tasks=["gap"]).predict(geometries), expected["gap"].detach())
    with pytest.raises(ModelError, match="no output 'dipole'; it has gap, energy"):
        find(model, tasks=["dipole"])
    dipole = potential("PaiNN", spk.atomistic.DipoleMoment(12, predict_magnitude=True), postprocessors=[])
    torch.testing.assert_close(find(dipole).predict(geometries), own(dipole, geometries)["dipole_moment"].detach())


def test_own_converter_and_task(geometries: list[Molecule]) -> None:
    model = potential()
    near = spk.interfaces.AtomsConverter(spk.transform.ASENeighborList(1.3))
    atoms = [ase.Atoms(m.numbers, m.positions) for m in geometries]
    expected = model(near(atoms))["energy"].detach()
    torch.testing.assert_close(find(model, near).predict(geometries), expected)
    systems = [near(a) for a in atoms]
    torch.testing.assert_close(find(model).predict(systems), expected)
    known = find(model).molecule(systems[1])
    assert known is not None and known.numbers.tolist() == geometries[1].numbers.tolist()
    output = spk.task.ModelOutput("energy", torch.nn.MSELoss(), metrics={})
    task = spk.task.AtomisticTask(model, [output], optimizer_args={"lr": 1e-3})
    torch.testing.assert_close(find(task, near).predict(geometries), expected)


def test_refused(geometries: list[Molecule], molecules: list[Molecule], geometry_of: Any) -> None:
    family = find(potential())
    with pytest.raises(InputError, match=r"CCO: found no positions.*molecules\.embed"):
        family.graph(molecules[1])
    with pytest.raises(InputError, match=r"C\[NH3\+\]: found a charge of \+1"):
        family.graph(geometry_of("C[NH3+]"))
    with pytest.raises(InputError, match=r"CBr: atom 1 is Br, but the model knows the elements up to K\."):
        family.graph(geometry_of("CBr"))
    with pytest.raises(InputError, match="give at least one"):
        family.collate([])
    with pytest.raises(InputError, match="A graph is str; expected SchNetPack's inputs"):
        family.collate(["CCO"])
    with pytest.raises(ModelError, match="expected a NeuralNetworkPotential"):
        find(representation())
    with pytest.raises(ModelError, match="no output of one number for each molecule"):
        find(potential("PaiNN", spk.atomistic.Polarizability(12), postprocessors=[]))
