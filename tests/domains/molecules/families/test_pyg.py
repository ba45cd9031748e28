"""Graph networks of PyG against their own forward, on their own batches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sciexplain as sx
from sciexplain.domains.molecules.families import find
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError, ModelError

tg = pytest.importorskip("torch_geometric")
from torch_geometric.data import Batch, Data  # noqa: E402
from torch_geometric.nn import (  # noqa: E402
    GATConv,
    GATv2Conv,
    GCNConv,
    GINConv,
    GINEConv,
    GraphConv,
    NNConv,
    PNAConv,
    SAGEConv,
    TransformerConv,
    global_add_pool,
    global_max_pool,
    global_mean_pool,
)
from torch_geometric.nn.models import AttentiveFP, SchNet  # noqa: E402
from torch_geometric.utils import from_rdmol  # noqa: E402


def mlp(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), nn.Linear(outputs, outputs))


class Net(nn.Module):
    """Two convolutions, a pooling, a linear layer."""

    def __init__(self, conv: Callable[..., nn.Module], bonds: bool = False, pool: Any = global_add_pool) -> None:
        super().__init__()
        self.first, self.second, self.last = conv(9, 8), conv(8, 8), nn.Linear(8, 1)
        self.bonds, self.pool = bonds, pool

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, batch: Tensor) -> Tensor:
        more = (edge_attr,) if self.bonds else ()
        h = self.first(x, edge_index, *more).relu()
        h = self.second(h, edge_index, *more).relu()
        return self.last(self.pool(h, batch))


class Categories(nn.Module):
    """Embeddings of PyG's categories, read from the whole batch."""

    def __init__(self) -> None:
        super().__init__()
        self.atoms = nn.ModuleList(nn.Embedding(120, 8) for _ in range(9))
        self.bonds = nn.ModuleList(nn.Embedding(25, 8) for _ in range(3))
        self.conv, self.last = GINEConv(mlp(8, 8)), nn.Linear(8, 2)

    def forward(self, data: Data) -> Tensor:
        x = torch.stack([e(data.x[:, i]) for i, e in enumerate(self.atoms)]).sum(0)
        bonds = torch.stack([e(data.edge_attr[:, i]) for i, e in enumerate(self.bonds)]).sum(0)
        return self.last(global_mean_pool(self.conv(x, data.edge_index, bonds).relu(), data.batch))


NETS: dict[str, Callable[[], nn.Module]] = {
    "GCN": lambda: Net(GCNConv),
    "GCN, mean": lambda: Net(GCNConv, pool=global_mean_pool),
    "GCN, max": lambda: Net(GCNConv, pool=global_max_pool),
    "GIN": lambda: Net(lambda i, o: GINConv(mlp(i, o))),
    "GINE": lambda: Net(lambda i, o: GINEConv(mlp(i, o), edge_dim=3), bonds=True),
    "GAT": lambda: Net(lambda i, o: GATConv(i, o, edge_dim=3), bonds=True),
    "GATv2": lambda: Net(lambda i, o: GATv2Conv(i, o, edge_dim=3), bonds=True),
    "SAGE": lambda: Net(SAGEConv),
    "GraphConv": lambda: Net(GraphConv),
    "NNConv": lambda: Net(lambda i, o: NNConv(i, o, mlp(3, i * o)), bonds=True),
    "TransformerConv": lambda: Net(lambda i, o: TransformerConv(i, o, edge_dim=3), bonds=True),
    "PNA": lambda: Net(
        lambda i, o: PNAConv(i, o, ["mean", "max", "std"], ["identity", "amplification"], torch.tensor([1, 4, 6, 4]))
    ),
    "AttentiveFP": lambda: AttentiveFP(9, 8, 2, 3, num_layers=2, num_timesteps=2),
    "categories": Categories,
}


@pytest.mark.parametrize("name", NETS)
def test_relevance_is_accounted_for(name: str, molecules: list[Molecule], check: Any) -> None:
    torch.manual_seed(0)
    check(find(NETS[name]().double().eval(), "pyg"), molecules)


def test_predictions_are_the_models_own(molecules: list[Molecule]) -> None:
    torch.manual_seed(0)
    model = Net(lambda i, o: GINEConv(mlp(i, o), edge_dim=3), bonds=True).eval()
    batch = Batch.from_data_list([from_rdmol(m.mol) for m in molecules])
    expected = model(batch.x.float(), batch.edge_index, batch.edge_attr.float(), batch.batch)[:, 0]
    family = find(model, "pyg", unit="eV", tasks=["gap"])
    assert (family.unit, family.tasks) == ("eV", ("gap",))
    torch.testing.assert_close(family.predict(molecules), expected.detach())
    torch.testing.assert_close(family.predict(molecules, batch_size=2), expected.detach())
    categories = Categories().eval()
    torch.testing.assert_close(find(categories, "pyg").predict(molecules), categories(batch).detach())


def test_places_and_edges(molecules: list[Molecule]) -> None:
    family = find(Net(GCNConv), "pyg")
    graphs = family.collate([family.graph(m) for m in molecules])
    assert graphs.sizes.tolist() == [10, 3, 1] and graphs.edge_rows == {"edge_attr"}
    assert graphs.places["x"].tolist() == list(range(14))
    assert graphs.edges is not None and graphs.edges.shape == (2, 24)
    assert graphs.places["edge_attr"].tolist() == graphs.edges[0].tolist()
    bonds = {tuple(sorted((b.GetBeginAtomIdx() + 10, b.GetEndAtomIdx() + 10))) for b in molecules[1].mol.GetBonds()}
    assert {tuple(sorted(edge)) for edge in graphs.edges.T.tolist() if min(edge) >= 10} == bonds
    constant = find(Net(GCNConv), "pyg", edge_features="constant")
    assert constant.collate([constant.graph(molecules[0])]).places.keys() == {"x"}


def test_replaced_tensors_reach_a_model_of_the_whole_batch(molecules: list[Molecule]) -> None:
    class Scaled(nn.Module):
        def forward(self, batch: Any) -> Tensor:
            return global_add_pool(batch.x * batch.scale[batch.batch, None], batch.batch).sum(1)

    data = [Data(x=torch.rand(n, 2), edge_index=torch.zeros(2, 0, dtype=torch.long), scale=n) for n in (2, 3)]
    graphs = find(Scaled()).collate(data)
    x = graphs.tensors["x"].clone().requires_grad_()
    output = graphs.call({"x": x * 2})
    torch.testing.assert_close(output, torch.stack([n * 2 * d.x.sum() for n, d in zip((2, 3), data, strict=True)]))
    (slope,) = torch.autograd.grad(output.sum(), x)
    assert slope[:, 0].tolist() == [4, 4, 6, 6, 6]
    assert data[0].x.requires_grad is False


@pytest.mark.parametrize("given", ["list", "batch", "data", "molecules"])
def test_each_form_of_input(given: str, molecules: list[Molecule]) -> None:
    torch.manual_seed(0)
    family = find(Net(GCNConv).eval(), "pyg")
    data = [from_rdmol(m.mol) for m in molecules]
    forms = {"list": data, "batch": Batch.from_data_list(data), "molecules": molecules, "data": data[0]}
    expected = family.predict(molecules)
    torch.testing.assert_close(family.predict(forms[given]), expected[:1] if given == "data" else expected)
    torch.testing.assert_close(family.collate(Batch.from_data_list(data)).call({}).detach(), expected)


def test_a_function_under_other_names() -> None:
    def model(node_features: Tensor, edges: Tensor, batch_index: Tensor, num_graphs: int, pos: Any = None) -> Tensor:
        assert pos is None
        messages = torch.zeros_like(node_features).index_add(0, edges[1], node_features[edges[0]])
        return global_add_pool(messages.sum(1), batch_index, num_graphs)

    data = [Data(x=torch.tensor([[1.0], [2.0], [4.0]]), edge_index=torch.tensor([[0, 1], [1, 2]]))] * 2
    assert find(model).predict(data).tolist() == [3.0, 3.0]


def test_hydrogens_that_the_featurizer_adds_are_atoms_too(molecules: list[Molecule]) -> None:
    chem = pytest.importorskip("rdkit.Chem")
    family = find(Net(GCNConv), lambda mol: from_rdmol(chem.AddHs(mol)))
    graph = family.graph(molecules[1])
    known = family.molecule(graph)
    assert known is not None and known.numbers.tolist() == [6, 6, 8] + [1] * 6 and known.mol.GetNumAtoms() == 9
    with pytest.raises(InputError, match="CCO: the featurizer made 1 nodes of 3 atoms"):
        find(Net(GCNConv), lambda mol: Data(x=torch.zeros(1, 9))).graph(molecules[1])


def test_what_data_says_of_its_molecule() -> None:
    family = find(Net(GCNConv))
    smiles = family.molecule(Data(x=torch.zeros(3, 9), smiles="CCO"))
    assert smiles is not None and smiles.numbers.tolist() == [6, 6, 8] and smiles.name == "CCO"
    with_hydrogens = family.molecule(Data(x=torch.zeros(9, 9), smiles="CCO"))
    assert with_hydrogens is not None and len(with_hydrogens) == 9
    placed = family.molecule(Data(z=torch.tensor([8, 1, 1]), pos=torch.ones(3, 3)))
    assert placed is not None and placed.numbers.tolist() == [8, 1, 1] and placed.positions is not None
    assert family.molecule(Data(x=torch.zeros(3, 9), smiles="CC")) is None
    assert family.molecule(Data(x=torch.zeros(3, 9))) is None


def test_booleans_and_counts_are_numbers(molecules: list[Molecule]) -> None:
    model = Net(GCNConv).eval()

    def bits(mol: Any) -> Data:
        data = from_rdmol(mol)
        return Data(x=data.x > 0, edge_index=data.edge_index, edge_attr=data.edge_attr > 0)

    family = find(model, bits)
    tensors = family.collate([family.graph(molecules[0])]).tensors
    assert tensors["x"].dtype == torch.float32 and set(tensors["x"].unique().tolist()) == {0.0, 1.0}
    batch = Batch.from_data_list([bits(m.mol) for m in molecules])
    expected = model(batch.x.float(), batch.edge_index, batch.edge_attr.float(), batch.batch)[:, 0]
    torch.testing.assert_close(family.predict(molecules), expected.detach())


def test_training_mode_is_left_as_it_was(molecules: list[Molecule]) -> None:
    model = nn.ModuleDict({"net": Net(GCNConv), "drop": nn.Dropout(0.9)}).eval()

    def forward(x: Tensor, edge_index: Tensor, edge_attr: Tensor, batch: Tensor) -> Tensor:
        return model["drop"](model["net"](x, edge_index, edge_attr, batch))

    model.forward = forward  # type: ignore[method-assign]
    expected = find(model, "pyg").predict(molecules)
    model.train()
    model["net"].first.eval()
    torch.testing.assert_close(find(model, "pyg").predict(molecules), expected)
    assert model["drop"].training and model["net"].training and not model["net"].first.training


# -- geometries ----------------------------------------------------------------------------------------------------


def near(pos: Tensor, batch: Tensor, cutoff: float = 5.0) -> Tensor:
    """All directed pairs within a cutoff: what ``torch_cluster.radius_graph`` gives."""
    distance = torch.cdist(pos, pos)
    apart = (batch[:, None] == batch) & ~torch.eye(len(pos), dtype=torch.bool) & (distance <= cutoff)
    return apart.nonzero().T.flip(0)


def neighbours(pos: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
    edges = near(pos, batch)
    return edges, (pos[edges[0]] - pos[edges[1]]).norm(dim=1)


def triplets(edge_index: Tensor, num_nodes: int) -> tuple[Tensor, ...]:
    """Pairs of edges k → j → i with k ≠ i, as ``torch_geometric.nn.models.dimenet.triplets`` lists them."""
    row, col = edge_index
    kj, ji = ((col[:, None] == row) & (row[:, None] != col)).nonzero().T
    return col, row, col[ji], row[ji], row[kj], kj, ji


def test_schnet(geometries: list[Molecule], check: Any) -> None:
    torch.manual_seed(0)
    model = SchNet(16, 16, 2, 8, interaction_graph=neighbours).double().eval()
    family = find(model, unit="eV")
    z = torch.cat([torch.tensor(m.numbers) for m in geometries])
    pos = torch.cat([torch.tensor(m.positions) for m in geometries])
    batch = torch.arange(2).repeat_interleave(torch.tensor([len(m) for m in geometries]))
    torch.testing.assert_close(family.predict(geometries), model(z, pos, batch)[:, 0].detach())
    assert family.collate([family.graph(geometries[0])]).places.keys() == {"z"}
    check(family, geometries)


@pytest.mark.parametrize("kind", ["DimeNet", "DimeNetPlusPlus"])
def test_dimenet(kind: str, geometries: list[Molecule], check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sympy")
    from torch_geometric.nn.models import dimenet

    # The same lists without torch-cluster and torch-sparse, which no wheel may exist for.
    monkeypatch.setattr(dimenet, "radius_graph", lambda pos, r, batch, max_num_neighbors: near(pos, batch, r))
    monkeypatch.setattr(dimenet, "triplets", triplets)
    torch.manual_seed(0)
    sizes = {"DimeNet": (8, 2, 1, 4, 2, 2), "DimeNetPlusPlus": (8, 1, 1, 4, 4, 4, 2, 2)}[kind]
    model = getattr(dimenet, kind)(*sizes, output_initializer="glorot_orthogonal").double().eval()
    check(find(model), geometries)


def test_geometries_that_a_model_cannot_take(molecules: list[Molecule], geometry_of: Any) -> None:
    family = find(SchNet(8, 8, 1, 4, interaction_graph=neighbours).eval())
    with pytest.raises(InputError, match=r"found no positions.*molecules\.embed"):
        family.graph(molecules[1])
    with pytest.raises(InputError, match=r"found a charge of \+1"):
        family.graph(geometry_of("C[NH3+]"))
    heavy = Molecule(np.array([118, 1]), positions=np.eye(2, 3))
    with pytest.raises(InputError, match=r"SchNet\) cannot take z \(2,\) int64: IndexError: index out of range"):
        family.predict([heavy])


# -- what is refused -----------------------------------------------------------------------------------------------


def test_refused_inputs(molecules: list[Molecule]) -> None:
    family = find(Net(GCNConv))
    edges = torch.zeros(2, 0, dtype=torch.long)
    with pytest.raises(InputError, match="give at least one"):
        family.predict([])
    with pytest.raises(InputError, match="give at least one"):
        family.collate([])
    with pytest.raises(InputError, match="nothing says how to make it of a molecule; give featurizer="):
        family.graph(molecules[0])
    with pytest.raises(InputError, match=r"cannot take x \(2, 5\) float32.*cannot be multiplied"):
        family.predict([Data(x=torch.zeros(2, 5), edge_index=edges, edge_attr=torch.zeros(0, 3))])
    with pytest.raises(InputError, match="the data has no edge_attr: it has batch, edge_index, ptr, x"):
        family.predict([Data(x=torch.zeros(2, 9), edge_index=edges)])
    with pytest.raises(InputError, match="edge_attr has 1 rows, but there are 0 directed edges"):
        family.predict([Data(x=torch.zeros(2, 9), edge_index=edges, edge_attr=torch.zeros(1, 3))])
    with pytest.raises(InputError, match="cannot be put into one batch"):
        family.predict([Data(x=torch.zeros(2, 9), edge_index=edges), Data(x=torch.zeros(2, 5), edge_index=edges)])
    with pytest.raises(InputError, match="A graph is str"):
        family.predict(["CCO"])
    with pytest.raises(ModelError, match="edge_features='none'"):
        find(Net(GCNConv), edge_features="none")  # type: ignore[arg-type]


def test_a_model_of_atoms_needs_a_pooling(molecules: list[Molecule]) -> None:
    model = tg.nn.Sequential("x, edge_index", [(GCNConv(9, 4), "x, edge_index -> x")])
    with pytest.raises(ModelError, match=r"returned \(14, 4\) for 3 molecules; expected one row for each"):
        find(model, "pyg").predict(molecules)


def test_a_good_batch_after_a_bad_one(molecules: list[Molecule]) -> None:
    family = find(Net(GCNConv).eval(), "pyg")
    bad = Data(x=torch.zeros(2, 5, dtype=torch.long), edge_index=torch.zeros(2, 0, dtype=torch.long))
    bad.edge_attr = torch.zeros(0, 3, dtype=torch.long)
    with pytest.raises(InputError, match=r"cannot take x \(2, 5\)"):
        family.predict([bad])
    assert family.predict(molecules).shape == (3,)


def test_explained_categories_are_their_embeddings(molecules: list[Molecule]) -> None:
    torch.manual_seed(0)
    table = nn.Embedding(120, 4).double()

    def model(data: Data) -> Tensor:
        return global_add_pool(table(data.x[:, 0]).sum(1), data.batch)

    family = find(model, "pyg")
    graphs = family.collate([family.graph(molecules[0])])
    e = sx.explain(lambda x: graphs.call({"x": x}), {"x": graphs.tensors["x"]})
    expected = table(torch.tensor(molecules[0].numbers)).sum(1).detach()
    torch.testing.assert_close(e.relevance["x"][:, 0], expected)
    assert not e.relevance["x"][:, 1:].any()
