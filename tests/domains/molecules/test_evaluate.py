"""Faithfulness of molecules' explanations: on models whose true reasons are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch_geometric.nn import GINConv, global_add_pool

import sciexplain as sx
from sciexplain.domains import molecules
from sciexplain.domains.molecules import evaluate
from sciexplain.errors import InputError

Chem = pytest.importorskip("rdkit.Chem")
SMILES = ["CCO", "c1ccccc1O", "OCC(=O)N", "CC(=O)[O-].[Na+]"]


def featurize(mol):
    from torch_geometric.data import Data

    kinds = torch.tensor([[float(a.GetAtomicNum() == z) for z in (6, 7, 8)] for a in mol.GetAtoms()]).double()
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()]
    index = torch.tensor(bonds + [(j, i) for i, j in bonds], dtype=torch.long).reshape(-1, 2).T
    return Data(x=kinds, edge_index=index)


class Additive(nn.Module):
    """Each atom has a worth of its own: C 1, N -2, O 5."""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 1, bias=False).double()
        with torch.no_grad():
            self.lin.weight.copy_(torch.tensor([[1.0, -2.0, 5.0]]))

    def forward(self, x, edge_index, batch):
        return global_add_pool(self.lin(x), batch)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.conv = GINConv(nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 6)))
        self.out = nn.Linear(6, 2)

    def forward(self, x, edge_index, batch):
        return self.out(global_add_pool(self.conv(x, edge_index).relu(), batch))


def explained(model=None, target=None):
    return molecules.explain((model or Additive()).double().eval(), SMILES, target, featurizer=featurize)


@pytest.mark.parametrize("how", ["remove", "mask"])
def test_curves_of_an_additive_model_are_cumulative_sums(how):
    """Relevance is then what an atom is worth, and every step takes away the largest that is left."""
    m = explained()
    worth = [sorted(a.atoms.tolist(), reverse=True) for a in m]
    curves = evaluate.flipping(m, how=how)
    steps = len(curves.fractions) - 1
    assert steps == max(map(len, worth))
    for scores, of in zip(curves.scores.tolist(), worth, strict=True):
        gone = [int(k * len(of) / steps + 0.5) for k in range(steps + 1)]
        assert scores == pytest.approx([sum(of) - sum(of[:k]) for k in gone], abs=1e-5)
    back = evaluate.flipping(m, how=how, mode="insertion")
    for scores, of in zip(back.scores.tolist(), worth, strict=True):
        gone = [int(k * len(of) / steps + 0.5) for k in range(steps + 1)]
        assert scores == pytest.approx([sum(of[:k]) for k in gone], abs=1e-5)


def test_every_method_agrees_where_the_model_is_additive():
    m = explained()
    expected = [a.atoms for a in m]
    for method in ("occlusion", "input_x_gradient", "integrated_gradients", "deeplift", "epsilon_plus"):
        for found, atoms in zip(evaluate.attributed(m, method), expected, strict=True):
            assert found.dtype == torch.float64
            torch.testing.assert_close(found, atoms.double(), rtol=1e-6, atol=1e-6)
    for found, a in zip(evaluate.attributed(m, "gradient"), m, strict=True):
        assert found.tolist() == pytest.approx([(1 + 4 + 25) ** 0.5] * len(a))


def test_methods_are_asked_about_the_same_targets():
    m = explained(Net(), [0, 1, 1, 0])
    graphs = [a.question.copies(1) for a in m]
    for a, g, found in zip(m, graphs, evaluate.attributed(m, "input_x_gradient"), strict=True):
        x = g.tensors["x"].clone().requires_grad_()
        g.call({**g.tensors, "x": x})[0, a.target].backward()
        torch.testing.assert_close(found, (x * x.grad).sum(1).detach())
    for found, a in zip(evaluate.attributed(m, "epsilon"), m, strict=True):
        torch.testing.assert_close(found, a.atoms)
    begun = explained(Net(), torch.tensor([[1.0, -1.0]]).double().repeat(4, 1))
    for found, a in zip(evaluate.attributed(begun, "epsilon"), begun, strict=True):
        torch.testing.assert_close(found, a.atoms)


def test_a_comparison_ranks_a_true_explanation_first():
    m = explained()
    wrong = [-a.atoms for a in m]
    found = evaluate.compare(m, {"wrong": wrong})
    assert set(found.gains) == {"explanation", "wrong"}
    torch.testing.assert_close(found.gains["wrong"], -found.gains["explanation"])
    assert bool((found.gains["explanation"] > 0).all()) and bool((found.leads["explanation"] >= 0).all())
    by_name = evaluate.compare(m, ["occlusion"])
    torch.testing.assert_close(by_name.gains["occlusion"], found.gains["explanation"])


def test_bonds_are_flipped_by_what_passes_along_them():
    m = explained(Net(), 1)
    removal = evaluate.removal_of(m, "bonds")
    given = [torch.arange(float(size)) for size in removal.sizes]
    curves = evaluate.flipping(m, given, of="bonds")
    expected = sx.evaluate.flipping(removal, given, steps=None)
    torch.testing.assert_close(curves.scores, expected.scores)
    torch.testing.assert_close(curves.scores[:, 0], m.score)
    own = evaluate.flipping(m, of="bonds")
    torch.testing.assert_close(own.scores, evaluate.flipping(m, removal.relevance(m), of="bonds").scores)
    with pytest.raises(InputError, match="no relevance of bonds"):
        evaluate.compare(m, ["occlusion"], of="bonds")
    with pytest.raises(InputError, match="always removed"):
        evaluate.flipping(m, of="bonds", how="mask")


def test_localization_on_the_atoms_that_count():
    m = explained()
    oxygen = [{i for i, z in enumerate(a.molecule.numbers.tolist()) if z == 8} for a in m]
    found = evaluate.localization(m, oxygen)
    assert found.pointing.tolist() == [1.0] * 4 and found.auc.tolist() == [1.0] * 4
    for a, true, mass in zip(m, oxygen, found.mass.tolist(), strict=True):
        positive = a.atoms.clamp(min=0)
        assert mass == pytest.approx(float(positive[list(true)].sum() / positive.sum()))
    masks = [torch.tensor([i in true for i in range(len(a))]) for a, true in zip(m, oxygen, strict=True)]
    torch.testing.assert_close(evaluate.localization(m, masks).mass, found.mass)
    # any of several reasons will do: here the one that relevance is on
    several = [torch.stack([torch.arange(len(mask)) == 0, mask]) for mask in masks]
    torch.testing.assert_close(evaluate.localization(m, several).auc, found.auc)


def test_localization_of_bonds():
    m = explained(Net(), 1)
    bonds = [{(1, 2)}, {(6, 5)}, {(1, 0)}, {(0, 1)}]
    found = evaluate.localization(m, bonds, of="bonds", sign="absolute")
    for a, true, mass in zip(m, bonds, found.mass.tolist(), strict=True):
        every = {pair: abs(r) for pair, r in a.bonds.items() if pair[0] != pair[1]}
        assert mass == pytest.approx(sum(every[tuple(sorted(pair))] for pair in true) / sum(every.values()))


def test_wrong_questions_are_told():
    m = explained()
    with pytest.raises(InputError, match="expected a set of atoms for each molecule"):
        evaluate.localization(m, "[N+](=O)[O-]")
    with pytest.raises(InputError, match="no atom 7"):
        evaluate.localization(m, [{7}, {0}, {0}, {0}])
    with pytest.raises(InputError, match="1 sets of true atoms for 4"):
        evaluate.localization(m, [{0}])
    with pytest.raises(InputError, match=r"shape \(1, 2\)"):
        evaluate.localization(m, [torch.ones(2)] * 4)
    with pytest.raises(InputError, match="expected occlusion"):
        evaluate.attributed(m, "gradcam")
    lone = molecules.explain(m[0].family, ["C"])
    with pytest.raises(InputError, match="no bonds to take away"):
        evaluate.flipping(lone, of="bonds")


def test_benzene_rings_of_the_attribution_benchmark(shared_data):
    """A model that counts aromatic carbons sees the ring, whichever of two it may be."""
    import gzip
    import json

    path = shared_data("molecules/graph_attribution/benzene.jsonl.gz")
    with gzip.open(path, "rt") as lines:
        rows = [json.loads(line) for _, line in zip(range(200), lines, strict=False)]
    rows = [row for row in rows if any(row["rings"])][:12]

    def aromatic(mol):
        data = featurize(mol)
        data.x = torch.tensor([[float(a.GetIsAromatic() and a.GetAtomicNum() == 6)] for a in mol.GetAtoms()]).double()
        return data

    class Counts(nn.Module):
        def forward(self, x, edge_index, batch):
            return global_add_pool(x, batch)

    m = molecules.explain(Counts(), [row["smiles"] for row in rows], featurizer=aromatic)
    rings = [
        torch.stack([torch.isin(torch.arange(len(a)), torch.tensor(ring)) for ring in row["rings"]])
        for a, row in zip(m, rows, strict=True)
    ]
    found = evaluate.localization(m, rings)
    assert bool((found.mass > 0).all()) and bool((found.auc >= 0.5).all())
    one_ring = torch.tensor([len(ring) == 1 for ring in rings])
    alone = torch.tensor([float(a.atoms.sum()) == 6 for a in m]) & one_ring
    assert bool(alone.any()) and found.mass[alone].tolist() == [1.0] * int(alone.sum())


def test_max_sensitivity_is_that_of_the_core_for_one_molecule_after_the_other():
    """Of an additive model relevance is feature times weight, so that it moves as its features do."""
    m = explained()
    found = evaluate.max_sensitivity(m, radius=0.1, draws=3, seed=5)
    weight = torch.tensor([1.0, -2.0, 5.0]).double()
    for i, (value, a) in enumerate(zip(found.tolist(), m, strict=True)):
        generator = torch.Generator().manual_seed(2**32 * 5 + i)
        moved = [
            (0.1 * (2 * torch.rand(len(a), 3, generator=generator, dtype=torch.float64) - 1) @ weight).norm()
            for _ in range(3)
        ]
        assert value == pytest.approx(float(max(moved) / a.atoms.norm()), rel=1e-4)
    alone = torch.cat([evaluate.max_sensitivity(m[i : i + 1], radius=0.1, draws=3, seed=5) for i in (0,)])
    assert float(alone[0]) == pytest.approx(float(found[0]), rel=1e-9)
    with pytest.raises(InputError, match="positive radius"):
        evaluate.max_sensitivity(m, radius=0)


def test_sanity_randomises_a_copy_layer_by_layer():
    model = Net()
    m = explained(model, 1)
    before = {k: v.clone() for k, v in m[0].family.model.state_dict().items()}
    found = evaluate.sanity(m, seed=1)
    assert found.layers == ("out", "conv.nn.2", "conv.nn.0")
    last = evaluate.sanity(m, seed=1, efficient=True)
    torch.testing.assert_close(last.values, found.similarity[2])
    torch.testing.assert_close(last.rise, found.rise)
    for name, values in m[0].family.model.state_dict().items():
        assert torch.equal(values, before[name])
    assert [float(a.score) for a in explained(model, 1)] == [float(a.score) for a in m]
    # the same by hand: the network with the last layer drawn anew
    network = next(n for name, n in sx.evaluate.randomized(model.double().eval(), _inputs(m), seed=1) if name == "out")
    again = molecules.explain(network, SMILES, 1, featurizer=featurize)
    alike = sx.evaluate.agreement([a.atoms for a in m], [a.atoms for a in again]).spearman
    torch.testing.assert_close(found.similarity[0], alike)
    counts = [np.histogram(a.atoms.numpy(), bins=20)[0] for a in m]
    entropy = [-sum(p * np.log(p) for p in n[n > 0] / n.sum()) for n in counts]
    assert found.entropy[0].tolist() == pytest.approx(entropy)
    plain = molecules.explain(lambda x, batch: global_add_pool(x.sum(1, keepdim=True), batch), SMILES,
                              featurizer=featurize)  # fmt: skip
    with pytest.raises(sx.ModelError, match="no weights"):
        evaluate.sanity(plain)


def _inputs(m):
    from sciexplain.inputs import Inputs

    g = m[0].question.copies(1).tensors
    return Inputs.of({"x": g["x"], "edge_index": g["edge_index"], "batch": g["batch"]})
