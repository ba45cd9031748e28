"""Molecules with atoms or bonds taken away, against graphs built anew without them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GINEConv, SchNet, global_add_pool, global_mean_pool

from sciexplain.domains import molecules
from sciexplain.domains.molecules.families import find
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.reference.networks import RadiusGraph
from sciexplain.domains.molecules.removal import AtomRemoval, BondRemoval
from sciexplain.errors import InputError

Chem = pytest.importorskip("rdkit.Chem")
SMILES = ["CCO", "c1ccccc1O", "C", "CC(=O)[O-].[Na+]", "CNC"]


class Net(nn.Module):
    def __init__(self, pool=global_add_pool, outputs=2):
        super().__init__()
        torch.manual_seed(1)
        self.pool = pool
        self.conv = GINEConv(nn.Sequential(nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 7)), edge_dim=3)
        self.out = nn.Linear(7, outputs)

    def forward(self, x, edge_index, edge_attr, batch):
        return self.out(self.pool(self.conv(x.to(self.out.weight), edge_index, edge_attr.to(self.out.weight)), batch))


def featurize(mol):
    from torch_geometric.utils import from_rdmol

    data = from_rdmol(mol)
    data.x, data.edge_attr = data.x.double(), data.edge_attr.double()
    return data


def explained(model=None, smiles=SMILES, target=1, **options):
    return molecules.explain(model or Net().double(), list(smiles), target, featurizer=featurize, **options)


def rebuilt(data: Data, kept) -> Data:
    """Atom by atom, edge by edge."""
    number = {old: new for new, old in enumerate(i for i in range(data.num_nodes) if kept[i])}
    edges = [e for e, (i, j) in enumerate(data.edge_index.T.tolist()) if i in number and j in number]
    index = [[number[i] for i in data.edge_index[side, edges].tolist()] for side in (0, 1)]
    return Data(
        x=data.x[list(number)],
        edge_index=torch.tensor(index, dtype=torch.long).reshape(2, -1),
        edge_attr=data.edge_attr[edges],
    )


def score(model, data, target=1):
    batch = Batch.from_data_list([data])
    with torch.no_grad():
        return float(model(batch.x, batch.edge_index, batch.edge_attr, batch.batch)[0, target])


def subsets(sizes, count=6, seed=0):
    rng = np.random.default_rng(seed)
    samples = [int(s) for s in rng.integers(len(sizes), size=count * len(sizes))]
    return samples, [torch.from_numpy(rng.random(sizes[s]) < 0.6) for s in samples]


@pytest.mark.parametrize("pool", [global_add_pool, global_mean_pool])
def test_removed_atoms_leave_the_graph_without_them(pool):
    model = Net(pool).double().eval()
    ex = explained(model)
    removal = AtomRemoval(ex)
    samples, kept = subsets(removal.sizes)
    found = removal.scores(samples, kept)
    assert found.dtype == torch.float64
    for value, sample, keep in zip(found.tolist(), samples, kept, strict=True):
        if keep.any():
            expected = score(model, rebuilt(featurize(Chem.MolFromSmiles(SMILES[sample])), keep))
        else:  # a sum or mean over no atoms is 0
            expected = float(model.out.bias.detach()[1])
        assert value == pytest.approx(expected, abs=1e-12)
    assert removal.empty == pytest.approx(float(model.out.bias.detach()[1]))
    whole = removal.scores(range(len(ex)), [torch.ones(n, dtype=torch.bool) for n in removal.sizes])
    torch.testing.assert_close(whole, ex.score)


@pytest.mark.parametrize("filler", ["zero", "mean", "sampled"])
def test_masked_atoms_keep_the_graph(filler):
    model = Net().double().eval()
    removal = AtomRemoval(explained(model), how="mask", filler=filler, seed=3)
    graphs = [featurize(Chem.MolFromSmiles(s)) for s in SMILES]
    every = {k: torch.cat([g[k] for g in graphs]) for k in ("x", "edge_attr")}
    samples, kept = subsets(removal.sizes)
    found = removal.scores(samples, kept)
    for value, sample, keep in zip(found.tolist(), samples, kept, strict=True):
        data = graphs[sample].clone()
        rows = {"x": keep, "edge_attr": keep[data.edge_index[0]]}
        for name, stays in rows.items():
            if filler == "sampled":
                continue
            fill = every[name].mean(0) if filler == "mean" else torch.zeros_like(every[name][0])
            data[name] = torch.where(stays[:, None], data[name], fill)
        if filler != "sampled" or keep.all():
            assert value == pytest.approx(score(model, data), abs=1e-12)
    if filler == "sampled":  # features are those of real atoms, the same whatever else is asked
        assert found.tolist() == removal.scores(samples, kept).tolist()
        alone = torch.cat([removal.scores([s], [k]) for s, k in zip(samples, kept, strict=True)])
        torch.testing.assert_close(found, alone)
        assert AtomRemoval(explained(model), how="mask", filler=filler, seed=4).empty != removal.empty


def test_removed_bonds_lose_both_directions():
    model = Net().double().eval()
    ex = explained(model)
    removal = BondRemoval(ex)
    assert removal.bonds[0] == ((0, 1), (1, 2)) and removal.sizes == (2, 7, 0, 3, 2)
    samples, kept = subsets(removal.sizes)
    for value, sample, keep in zip(removal.scores(samples, kept).tolist(), samples, kept, strict=True):
        data = featurize(Chem.MolFromSmiles(SMILES[sample]))
        gone = {bond for bond, stays in zip(removal.bonds[sample], keep.tolist(), strict=True) if not stays}
        left = [e for e, (i, j) in enumerate(data.edge_index.T.tolist()) if (min(i, j), max(i, j)) not in gone]
        data.edge_index, data.edge_attr = data.edge_index[:, left], data.edge_attr[left]
        assert value == pytest.approx(score(model, data), abs=1e-12)
    for a, bonds, relevance in zip(ex, removal.bonds, removal.relevance(ex), strict=True):
        assert relevance.tolist() == [a.bonds[bond] for bond in bonds]


@settings(max_examples=10)
@given(rows=st.integers(1, 200), seed=st.integers(0, 99))
def test_the_size_of_batches_changes_nothing(rows, seed):
    ex = explained()
    samples, kept = subsets(AtomRemoval(ex).sizes, 3, seed)
    for how in ("remove", "mask"):
        together = AtomRemoval(ex, how=how).scores(samples, kept)
        torch.testing.assert_close(AtomRemoval(ex, how=how, rows=rows).scores(samples, kept), together)


@pytest.mark.parametrize("how", ["remove", "mask"])
def test_targets_of_every_kind(how):
    model = Net(outputs=3).double().eval()
    class_of = AtomRemoval(explained(model, target=[2, 0, 1, 1, 0]), how=how)
    called = AtomRemoval(explained(model, target=lambda y: y[:, 0] + 2 * y[:, 1]), how=how)
    samples, kept = subsets(class_of.sizes)
    outputs = torch.stack([AtomRemoval(explained(model, target=t), how=how).scores(samples, kept) for t in range(3)], 1)
    of = torch.tensor([2, 0, 1, 1, 0])[samples]
    torch.testing.assert_close(class_of.scores(samples, kept), outputs[torch.arange(len(of)), of])
    torch.testing.assert_close(called.scores(samples, kept), outputs[:, 0] + 2 * outputs[:, 1])
    ex = explained(model, target=torch.tensor([[1.0, 0.0, -2.0]]).double().repeat(len(SMILES), 1))
    begun, whole = torch.tensor([1.0, 0.0, -2.0]).double(), torch.stack([a.output for a in ex])
    expected = (outputs * (begun / whole)[samples]).sum(1)
    torch.testing.assert_close(AtomRemoval(ex, how=how).scores(samples, kept), expected)


def test_attributes_of_graphs_atoms_and_edges_are_told_apart():
    """A ring has as many atoms as bonds; what has one row for each molecule stays whole."""

    class WithGlobal(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(1, 1, bias=False).double()

        def forward(self, x, edge_index, edge_weight, u, batch):
            sent = global_add_pool(edge_weight[:, None], batch[edge_index[0]], len(u))
            return self.lin(global_add_pool(x, batch, len(u)) + sent + 10 * u)

    ring = torch.tensor([[0, 1, 2, 1, 2, 0], [1, 2, 0, 0, 1, 2]])
    graphs = [
        Data(x=torch.arange(6.0).double()[:, None], edge_index=torch.cat([ring, ring + 3], 1)[:, :6],
             edge_weight=torch.arange(6.0).double(), u=torch.ones(1, 1).double()),
        Data(x=torch.ones(1, 1).double(), edge_index=torch.zeros(2, 0, dtype=torch.long),
             edge_weight=torch.zeros(0).double(), u=torch.ones(1, 1).double()),
    ]  # fmt: skip
    model = WithGlobal()
    weight = float(model.lin.weight.detach())
    removal = AtomRemoval(molecules.explain(model, graphs))
    kept = torch.tensor([True, True, False, True, True, False])
    found = removal.scores([0, 1], [kept, torch.tensor([False])]) / weight
    torch.testing.assert_close(found, torch.tensor([0.0 + 1 + 3 + 4 + (0 + 3) + 10, 10.0]).double())


def test_a_model_that_says_nothing_of_no_atoms():
    class Divides(Net):
        def forward(self, x, edge_index, edge_attr, batch):
            count = global_add_pool(torch.ones_like(x[:, :1]), batch)
            return super().forward(x, edge_index, edge_attr, batch) / count

    ex = explained(Divides().double())
    with pytest.raises(InputError, match=r'without atoms .*how="mask"'):
        AtomRemoval(ex)
    assert np.isfinite(AtomRemoval(ex, how="mask").empty)


def test_the_model_stays_as_it_was():
    model = nn.Module.train(Net().double())
    model.conv.nn.insert(1, nn.Dropout(0.9))
    removal = AtomRemoval(explained(model))
    keep = [torch.tensor([True, False, True])]
    assert removal.scores([0], keep).tolist() == removal.scores([0], keep).tolist()
    assert all(m.training for m in model.modules())


def test_geometries_lose_atoms_but_no_bonds():
    """PyG's SchNet finds neighbours itself: as for a molecule read without the atom."""
    torch.manual_seed(0)

    class Found(SchNet):
        def __init__(self):
            super().__init__(8, 8, 1, 10, cutoff=3.0)
            self.interaction_graph = RadiusGraph(3.0)

    model = Found().double().eval()
    rng = np.random.default_rng(0)
    given = [Molecule(np.array(z), positions=rng.normal(size=(len(z), 3)) * 1.5) for z in ([8, 1, 1], [6, 1, 7, 8, 1])]
    family = find(model)
    ex = molecules.explain(family, given)
    removal = AtomRemoval(ex)
    keep = torch.tensor([True, False, True, True, False])
    without = Molecule(given[1].numbers[keep.numpy()], positions=given[1].positions[keep.numpy()])
    assert float(removal.scores([1], [keep])[0]) == pytest.approx(float(family.predict([without])[0]), abs=1e-12)
    with pytest.raises(InputError, match="finds each atom's neighbours itself"):
        BondRemoval(ex)
    with pytest.raises(InputError, match="have no mean"):
        AtomRemoval(ex, how="mask", filler="mean")
    # type 0 is PyG's padding: the embedding of nothing
    nothing = Data(z=torch.tensor([6, 0, 7, 8, 0]), pos=torch.tensor(given[1].positions))
    masked = AtomRemoval(ex, how="mask").scores([1], [keep])
    assert float(masked[0]) == pytest.approx(float(family.predict([nothing])[0]), abs=1e-12)


def test_chemprop_against_a_graph_built_by_hand():
    chemprop = pytest.importorskip("chemprop")
    from chemprop import nn as layers

    torch.manual_seed(0)
    model = chemprop.models.MPNN(
        layers.BondMessagePassing(d_h=10, depth=3), layers.SumAggregation(), layers.RegressionFFN(input_dim=10)
    ).double()
    model.eval()
    ex = molecules.explain(model, SMILES[:2])
    graph = ex[1].question.graph.graph
    keep = torch.tensor([True, True, False, True, True, True, True])
    number = {old: new for new, old in enumerate(keep.nonzero().flatten().tolist())}
    edges = [e for e, (i, j) in enumerate(graph.edge_index.T.tolist()) if i in number and j in number]
    pairs = [(number[i], number[j]) for i, j in graph.edge_index[:, edges].T.tolist()]
    made = chemprop.data.MolGraph(
        V=graph.V[keep.numpy()],
        E=graph.E[edges],
        edge_index=np.array(pairs).T,
        rev_edge_index=np.array([pairs.index((j, i)) for i, j in pairs]),
    )
    batch = chemprop.data.BatchMolGraph([made])
    batch.V, batch.E = batch.V.double(), batch.E.double()
    with torch.no_grad():
        expected = float(model(batch)[0, 0])
    assert float(AtomRemoval(ex).scores([1], [keep])[0]) == pytest.approx(expected, abs=1e-6)
    bonds = BondRemoval(ex)
    gone = torch.tensor([2 not in bond for bond in bonds.bonds[1]])  # the atom then stays, alone
    alone = chemprop.data.MolGraph(graph.V[2:3], graph.E[:0], np.zeros((2, 0), int), np.zeros(0, int))
    apart = chemprop.data.BatchMolGraph([made, alone])
    apart.V, apart.E, apart.batch = apart.V.double(), apart.E.double(), torch.zeros_like(apart.batch)
    with torch.no_grad():
        expected = float(model(apart)[0, 0])
    assert float(bonds.scores([1], [gone])[0]) == pytest.approx(expected, abs=1e-6)


def test_schnetpack_as_for_the_molecule_without_the_atoms():
    from sciexplain.domains.molecules.families.schnetpack import library
    from sciexplain.errors import MissingDependencyError

    try:
        spk = library()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    torch.manual_seed(0)
    model = spk.model.NeuralNetworkPotential(
        spk.representation.SchNet(
            n_atom_basis=8,
            n_interactions=2,
            radial_basis=spk.nn.GaussianRBF(6, cutoff=4.0),
            cutoff_fn=spk.nn.CosineCutoff(4.0),
        ),
        [spk.atomistic.PairwiseDistances()],
        [spk.atomistic.Atomwise(8, output_key="energy")],
        [],
    ).double()
    rng = np.random.default_rng(0)
    given = [Molecule(np.array(z), positions=rng.normal(size=(len(z), 3)) * 1.5) for z in ([8, 1, 1], [6, 1, 7, 8, 1])]
    family = find(model.eval())
    removal = AtomRemoval(molecules.explain(family, given))
    keep = torch.tensor([True, False, True, True, False])
    without = Molecule(given[1].numbers[keep.numpy()], positions=given[1].positions[keep.numpy()])
    assert float(removal.scores([1], [keep])[0]) == pytest.approx(float(family.predict([without])[0]), abs=1e-12)
    empty = removal.scores([0, 1], [torch.zeros(3, dtype=torch.bool), torch.zeros(5, dtype=torch.bool)])
    assert empty.tolist() == [0.0, 0.0]  # a sum over no atoms


@pytest.mark.parametrize(
    "samples, kept, message",
    [
        ([0], [], "1 samples and 0 sets"),
        ([9], [torch.ones(3, dtype=torch.bool)], "one of 5 samples"),
        ([0], [torch.ones(2, dtype=torch.bool)], "a truth value for each of its parts"),
        ([0], [torch.ones(3)], "float32"),
    ],
)
def test_wrong_questions_are_told(samples, kept, message):
    with pytest.raises(InputError, match=message):
        AtomRemoval(explained()).scores(samples, kept)


def test_wrong_options_are_told():
    ex = explained()
    with pytest.raises(InputError, match="how='drop'"):
        AtomRemoval(ex, how="drop")
    with pytest.raises(InputError, match="no molecules"):
        AtomRemoval([])
    with pytest.raises(InputError, match="different models"):
        AtomRemoval([ex[0], explained()[1]])
