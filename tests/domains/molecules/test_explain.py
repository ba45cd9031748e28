"""Relevance of molecules: every view against a list of all walks, each found with masks of its own."""

from collections import Counter
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GAT, GCN, GIN, PNA, GraphSAGE, SchNet, global_add_pool

import sciexplain as sx
from sciexplain.domains import molecules
from sciexplain.domains.molecules import search
from sciexplain.domains.molecules import walks as walk_lists
from sciexplain.domains.molecules.blocks import Blocks, Layer

SMILES = ["CCO", "c1ccccc1O", "C", "CC(=O)[O-].[Na+]", "N#N", "[CH3]"]
WIDTH, DEPTH = 6, 3


class Net(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.out = network, nn.Linear(WIDTH, 2)

    def forward(self, x, edge_index, batch):
        return self.out(global_add_pool(self.network(x, edge_index), batch))


NETWORKS = {
    "gin": lambda: GIN(9, WIDTH, DEPTH, norm="batch_norm"),
    "gcn": lambda: GCN(9, WIDTH, DEPTH),
    "gatv2": lambda: GAT(9, WIDTH, DEPTH, v2=True, heads=2),
    "sage, every layer": lambda: GraphSAGE(9, WIDTH, DEPTH, jk="cat"),
    "pna": lambda: PNA(
        9, WIDTH, DEPTH, aggregators=["mean", "max"], scalers=["identity"], deg=torch.tensor([0, 1, 2, 3])
    ),
}


def network(name: str, seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net(NETWORKS[name]()).double().eval()


def explained(name, smiles=SMILES, composite=None, **options):
    return molecules.explain(network(name), smiles, 1, composite, featurizer="pyg", **options)


def listed(a):
    """All walks, each by a backward pass of its own that lets relevance pass nowhere else."""
    walks = [w for w, _ in a.walks(None)]
    keep = torch.zeros(len(walks), a.depth + 1, len(a), dtype=torch.bool)
    for row, walk in enumerate(walks):
        for cut, atom in enumerate(walk):
            keep[row, cut, atom] = True
    return dict(zip(walks, a.adjoints.masked(keep).sum(1).tolist(), strict=True))


@pytest.mark.parametrize("composite", [None, "deep_taylor"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_view_is_a_sum_of_walks(name, composite):
    for a in explained(name, composite=composite):
        walks, total = listed(a), float(a.atoms.sum())
        assert a.depth == DEPTH
        assert dict(a.walks(None)) == pytest.approx(walks, abs=1e-12)
        assert sum(walks.values()) == pytest.approx(total, abs=1e-12)
        assert total + sum(map(float, a.ledger.absorbed.values())) == pytest.approx(a.score, abs=1e-9)
        atoms, pairs, bonds, bodies = Counter(), Counter(), Counter(), Counter()
        for walk, r in walks.items():
            atoms[walk[0]] += r
            pairs[walk[0], walk[-1]] += r
            bodies[frozenset(walk)] += r
            for i, j in pairwise(walk):
                bonds[min(i, j), max(i, j)] += r / DEPTH
        assert a.atoms.tolist() == pytest.approx([atoms[i] for i in range(len(a))], abs=1e-12)
        assert a.pairs().tolist() == [
            pytest.approx([pairs[i, j] for j in range(len(a))], abs=1e-12) for i in range(len(a))
        ]
        assert {**dict.fromkeys(bonds, 0.0), **a.bonds} == pytest.approx(
            {**dict.fromkeys(a.bonds, 0.0), **bonds}, abs=1e-12
        )
        assert all(i <= j for i, j in a.bonds) and {(i, i) for i in range(len(a))} <= set(a.bonds)
        for order in range(1, DEPTH + 2):
            terms = a.bodies(order)
            assert {**dict.fromkeys(bodies, 0.0), **terms}.keys() >= terms.keys()
            for atoms_, r in terms.items():
                assert r == pytest.approx(bodies[atoms_], abs=1e-12)
            assert sum(terms.values()) + terms.remainder == pytest.approx(total, abs=1e-12)
        assert a.bodies(DEPTH + 1).remainder == pytest.approx(0.0, abs=1e-12)
        subset = set(range(0, len(a), 2))
        assert a.subgraph(subset) == pytest.approx(sum(r for w, r in walks.items() if set(w) <= subset), abs=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_is_its_molecules_one_by_one(name):
    together = explained(name)
    for a, smiles in zip(together, SMILES, strict=True):
        (alone,) = explained(name, [smiles])
        torch.testing.assert_close(a.layers, alone.layers, rtol=0, atol=1e-10)
        assert a.bonds == pytest.approx(alone.bonds, abs=1e-10)
        assert a.score == pytest.approx(alone.score, abs=1e-10)
    for a, b in zip(together, explained(name, batch_size=2), strict=True):
        torch.testing.assert_close(a.atoms, b.atoms, rtol=0, atol=1e-10)


def test_relevance_is_that_of_the_core():
    model = network("gin")
    (a,) = explained("gin", ["CC(=O)Oc1ccccc1C(=O)O"])
    graph = a.question.copies(1)
    e = sx.explain(lambda x: graph.call({"x": x}), {"x": graph.tensors["x"]}, 1)
    torch.testing.assert_close(a.atoms, e.relevance["x"].sum(1), rtol=1e-10, atol=1e-14)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    molecules.explain(model, ["CCO"], featurizer="pyg")[0].walks(3)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@settings(max_examples=15)
@given(st.permutations(range(9)))
def test_renumbered_atoms_keep_their_relevance(order):
    from rdkit import Chem

    mol = Chem.MolFromSmiles("CC(=O)Nc1ccoc1")
    (a,) = explained("gin", [mol])
    (b,) = explained("gin", [Chem.RenumberAtoms(mol, list(order))])
    torch.testing.assert_close(b.atoms, a.atoms[list(order)], rtol=1e-9, atol=1e-12)
    back = np.argsort(order)
    renamed = {tuple(sorted((int(back[i]), int(back[j])))): r for (i, j), r in a.bonds.items()}
    assert b.bonds == pytest.approx(renamed, abs=1e-12)


def test_graphs_in_every_form():
    from torch_geometric.utils import from_smiles

    model = network("gin")
    data = [from_smiles(s) for s in ("CCO", "CCN")]
    expected = explained("gin", ["CCO", "CCN"])
    for graphs in (data, Batch.from_data_list(data), iter(data)):
        for a, b in zip(molecules.explain(model, graphs, 1), expected, strict=True):
            torch.testing.assert_close(a.atoms, b.atoms, rtol=1e-10, atol=1e-14)
    (alone,) = molecules.explain(model, data[0], 1)
    torch.testing.assert_close(alone.atoms, expected[0].atoms, rtol=1e-10, atol=1e-14)


def test_targets_of_every_kind():
    model = network("gin")
    m = molecules.explain(model, SMILES, featurizer="pyg")
    outputs = torch.stack([a.output for a in m])
    assert [a.target for a in m] == outputs.argmax(1).tolist()
    each = torch.tensor([0, 1, 0, 1, 0, 1])
    by_class = molecules.explain(model, SMILES, each, featurizer="pyg")
    assert [a.score for a in by_class] == pytest.approx(outputs.gather(1, each[:, None])[:, 0].tolist())
    sums = molecules.explain(model, SMILES, lambda out: out[:, 0] - out[:, 1], featurizer="pyg")
    assert [a.score for a in sums] == pytest.approx((outputs[:, 0] - outputs[:, 1]).tolist())
    start = molecules.explain(model, SMILES, outputs, featurizer="pyg")
    assert [a.score for a in start] == pytest.approx(outputs.sum(1).tolist())
    for m in (by_class, sums, start):
        assert sum(r for _, r in m[1].walks(None)) == pytest.approx(float(m[1].atoms.sum()), abs=1e-12)
        assert float(m[1].ledger.gap.abs()) < 1e-9


def test_features_of_bonds_count_with_the_atom_they_start_at():
    from torch_geometric.nn import GINEConv

    class Edged(nn.Module):
        def __init__(self):
            super().__init__()
            mlp = nn.Sequential(nn.Linear(9, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 9))
            self.first = GINEConv(mlp, edge_dim=3)
            self.second = GINEConv(nn.Linear(9, 1), edge_dim=3)

        def forward(self, x, edge_index, edge_attr, batch):
            x = self.first(x, edge_index, edge_attr).relu()
            return global_add_pool(self.second(x, edge_index, edge_attr), batch)

    torch.manual_seed(0)
    model = Edged().double().eval()
    (a,) = molecules.explain(model, ["CC(=O)Nc1ccoc1"], featurizer="pyg")
    assert sorted(k for k in a.bond_features) == sorted(
        (min(b.GetBeginAtomIdx(), b.GetEndAtomIdx()), max(b.GetBeginAtomIdx(), b.GetEndAtomIdx()))
        for b in a.molecule.mol.GetBonds()
    )
    graph = a.question.copies(1)
    e = sx.explain(lambda **t: graph.call(t), {k: graph.tensors[k] for k in graph.places})
    rows = e.relevance["edge_attr"].sum(1)
    by_atom = e.relevance["x"].sum(1).index_add(0, graph.edges[0], rows)
    torch.testing.assert_close(a.atoms, by_atom, rtol=1e-10, atol=1e-14)
    assert sum(a.bond_features.values()) == pytest.approx(float(rows.sum()))
    assert sum(a.bonds.values()) == pytest.approx(float(a.atoms.sum()), abs=1e-12)
    assert dict(a.walks(None)) == pytest.approx(listed(a), abs=1e-12)
    (constant,) = molecules.explain(model, ["CC(=O)Nc1ccoc1"], featurizer="pyg", edge_features="constant")
    assert constant.bond_features == {}
    assert constant.score == pytest.approx(a.score)


def test_fragments_and_their_interactions():
    (a,) = explained("gin", ["CC(=O)Oc1ccccc1C(=O)O"])
    found = a.fragments("brics")
    assert sum(r for _, r in found) == pytest.approx(float(a.atoms.sum()), abs=1e-12)
    for i, j in combinations(range(len(found)), 2):
        together = a.subgraph(found.fragments[i].atoms | found.fragments[j].atoms)
        assert float(found.interaction[i, j]) == pytest.approx(
            together - float(found.within[i]) - float(found.within[j]), abs=1e-12
        )
    (ester,) = [f for f, _ in a.fragments({"ester": "[CX3](=O)[OX2][#6]"})]
    assert ester.atoms == frozenset({1, 2, 3, 4})


def near(pos, batch):
    close = (torch.cdist(pos, pos) < 5.0) & (batch[:, None] == batch) & ~torch.eye(len(pos), dtype=torch.bool)
    i, j = close.nonzero(as_tuple=True)
    return torch.stack([i, j]), (pos[i] - pos[j]).norm(dim=1)


def test_geometries():
    torch.manual_seed(0)
    model = SchNet(8, 8, 2, 10, cutoff=5.0, interaction_graph=near).double().eval()
    water = molecules.embed(molecules.read_one("O"))
    m = molecules.explain(model, [water, molecules.embed(molecules.read_one("CO"))], unit="eV")
    a = m[0]
    assert (a.unit, len(a), a.depth) == ("eV", 3, 2)
    walks = listed(a)
    assert dict(a.walks(None)) == pytest.approx(walks, abs=1e-12)
    assert a.pairs().sum(1).tolist() == pytest.approx(a.atoms.tolist(), abs=1e-12)
    assert sum(a.bonds.values()) == pytest.approx(float(a.atoms.sum()), abs=1e-12)


# -- searching -----------------------------------------------------------------------------------------------------


def _random_blocks(seed: int, n: int, depth: int, width: int) -> Blocks:
    generator = torch.Generator().manual_seed(seed)
    layers = []
    for cut in range(depth):
        joined = (torch.rand(n, n, generator=generator) < 0.6) | torch.eye(n, dtype=torch.bool)
        source, to = joined.nonzero(as_tuple=True)
        matrices = torch.randn(len(source), 1 if cut == 0 else width, width, generator=generator, dtype=torch.float64)
        index = torch.full((n, n), -1)
        index[source, to] = torch.arange(len(source))
        layers.append(Layer(source, to, matrices, index))
    return Blocks(tuple(layers), torch.randn(n, width, generator=generator, dtype=torch.float64))


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 4), st.integers(1, 5), st.integers(1, 40))
def test_searches_against_enumeration(seed, n, depth, width, k):
    blocks = _random_blocks(seed, n, depth, width)
    found, relevance = walk_lists.every(blocks, torch.zeros(n, dtype=torch.float64))
    assert len(found) == walk_lists.count(blocks)
    torch.testing.assert_close(walk_lists.relevance(blocks, found), relevance, rtol=1e-10, atol=1e-12)
    expected = relevance.abs().sort(descending=True).values[:k]
    best, its = search.exact(blocks, k)
    torch.testing.assert_close(its.abs(), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(walk_lists.relevance(blocks, best), its, rtol=1e-10, atol=1e-12)
    some, theirs = search.max_product(blocks, k)
    torch.testing.assert_close(walk_lists.relevance(blocks, some), theirs, rtol=1e-10, atol=1e-12)
    assert len(some.unique(dim=0)) == len(some) <= k
    assert bool((theirs.abs() <= expected[: len(theirs)] + 1e-10).all())


# -- what goes wrong -----------------------------------------------------------------------------------------------


def test_bad_rows_are_recorded_and_the_rest_goes_on():
    told = []
    m = explained("gin", ["CCO", "C1CC", "CCN"], on_error=lambda name, error: told.append((name, str(error))))
    assert len(m) == 2 and [a.name for a in m] == ["CCO", "CCN"]
    assert len(told) == 1 and len(m.failures) == 1 and "ring" in told[0][1].lower()
    with pytest.raises(sx.DataError):
        explained("gin", ["CCO", "C1CC"])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda a: a.walks(0), "k=0"),
        (lambda a: a.walks(3, search="fast"), "search='fast'"),
        (lambda a: a.walk_relevance([(0, 1)]), "walks have 4 atoms"),
        (lambda a: a.walk_relevance([(0, 1, 2, 7)]), "outside 0 … 2"),
        (lambda a: a.subgraph([5]), "the molecule has 3"),
        (lambda a: a.bodies(0), "order=0"),
        (lambda a: a.fragments(["[C"]), r"\[C"),
    ],
)
def test_wrong_questions(ask, message):
    (a,) = explained("gin", ["CCO"])
    with pytest.raises(sx.InputError, match=message):
        ask(a)


def test_a_model_that_has_changed_is_noticed():
    model = network("gin")
    (a,) = molecules.explain(model, ["CCO"], 1, featurizer="pyg")
    with torch.no_grad():
        model.out.bias += 1.0
    with pytest.raises(sx.ModelError, match="has changed since"):
        a.walks(3)


def test_a_bare_graph_says_what_drawing_lacks():
    data = Data(x=torch.rand(3, 9), edge_index=torch.tensor([[0, 1], [1, 0]]))
    (a,) = molecules.explain(network("gin").float(), [data])
    with pytest.raises(sx.InputError, match="no molecule to draw"):
        a.to_svg()


def test_files_and_pictures(tmp_path):
    m = explained("gin", ["CCO", "c1ccccc1O"])
    assert m[0].to_svg(walks=3, bonds=True).startswith("<svg")
    assert m._repr_svg_().startswith("<svg")
    from rdkit import Chem

    m.to_sdf(tmp_path / "why.sdf")
    for read, a in zip(Chem.SDMolSupplier(str(tmp_path / "why.sdf")), m, strict=True):
        assert [float(v) for v in read.GetProp("atom.dprop.Relevance").split()] == pytest.approx(a.atoms.tolist())
    assert [p.name for p in m.to_csv(tmp_path / "why.csv")] == ["why.atoms.csv", "why.bonds.csv"]
