"""Channels and prototypes of molecules: batches and one molecule at a time agree, and nothing is lost."""

import numpy as np
import pytest
import torch
from torch import nn
from torch_geometric.nn import GCN, GIN, global_add_pool

import sciexplain as sx
from sciexplain.domains import molecules
from sciexplain.domains.molecules.collection import Collection
from sciexplain.domains.molecules.concepts import top_concepts
from sciexplain.domains.molecules.prototypes import limits_figure, prototype_limits, prototypes

SMILES = ["CCO", "c1ccccc1O", "CC(=O)O", "CCN", "c1ccccc1N", "CCCC", "O=[N+]([O-])c1ccccc1", "CCS", "N#N", "C1CC1",
          "OCCO", "Clc1ccccc1"]  # fmt: skip
LAYER = "network.convs.1"


class Net(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network, self.hidden, self.out = network, nn.Linear(6, 6), nn.Linear(6, 1)

    def forward(self, x, edge_index, batch):
        return self.out(torch.relu(self.hidden(global_add_pool(self.network(x, edge_index), batch))))[:, 0]


def network(kind=GIN):
    torch.manual_seed(1)
    model = Net(kind(9, 6, 2)).double().eval()
    with torch.no_grad():
        model.out.bias -= molecules_output(model).median()
    return model


def molecules_output(model):
    return torch.cat([p.model(**p.inputs) for p in Collection(model, SMILES, "pyg").parts(64)])


MODEL = network()
OUTPUT = molecules_output(MODEL).detach()


def at_layer(layer):
    """(N, channels): of one molecule at a time."""
    rows = []
    for smiles in SMILES:
        (part,) = Collection(MODEL, [smiles], "pyg").parts(1)
        rows.append(sx.explain(part.model, part.inputs, layers=[layer]).layers[layer].sum(0))
    return torch.stack(rows)


@pytest.mark.parametrize("layer", [LAYER, "hidden"])
@pytest.mark.parametrize("batch_size", [5, 64])
def test_top_channels(layer, batch_size):
    found = top_concepts(MODEL, SMILES, None, layer, 3, examples=2, featurizer="pyg", batch_size=batch_size)
    each = at_layer(layer)
    members = (OUTPUT > 0).nonzero().flatten()
    mean = each[members].mean(0)
    assert found.channels == tuple(torch.argsort(-mean)[:3].tolist()) and found.count == len(members)
    torch.testing.assert_close(found.relevance, mean[list(found.channels)])
    for row, channel in enumerate(found.channels):
        scores = each[members, channel].sort(descending=True, stable=True)
        assert found.indices[row].tolist() == members[scores.indices[:2]].tolist()
        torch.testing.assert_close(found.scores[row], scores.values[:2])
        for molecule, atoms in zip(found.molecules[row], found.atoms[row], strict=True):
            assert len(molecule) == len(atoms)


@pytest.mark.parametrize("kind", [GIN, GCN])
def test_all_channels_together_are_the_explanation(kind):
    model = network(kind)
    found = top_concepts(model, SMILES, None, LAYER, 6, examples=12, members="all", featurizer="pyg")
    explained = molecules.explain(model, SMILES, featurizer="pyg")
    for i in range(len(SMILES)):
        parts = [found.atoms[row][found.indices[row].tolist().index(i)] for row in range(6)]
        torch.testing.assert_close(sum(parts), explained[i].atoms.double(), rtol=0, atol=1e-9)


def test_figures_tell_what_they_show():
    found = top_concepts(MODEL, SMILES, None, LAYER, 2, examples=3, featurizer="pyg")
    drawing = found.figure(examples=2, title="what it looks for")
    written = " ".join(t.get_text() for t in drawing.figure.axes[0].texts)
    assert "what it looks for" in written and len(drawing.parts) == 4
    for row, channel in enumerate(found.channels):
        assert f"channel {channel} ({100 * float(found.share[row]):.0f} %)" in " ".join(written.split())
        largest = [abs(float(a.abs().max())) for a in found.atoms[row][:2]]
        drawn = [np.abs(part.atoms).max() for part in drawing.parts[2 * row : 2 * row + 2]]
        np.testing.assert_allclose(drawn, np.array(largest) / max(largest))


@pytest.mark.parametrize("by", ["activation", "relevance", "mmd"])
def test_prototypes_by_batch(by):
    found = [
        prototypes(MODEL, SMILES, None, 3, by=by, layer=LAYER, featurizer="pyg", batch_size=n, criticisms=1)
        for n in (1, 5, 64)
    ]
    assert found[0].indices == found[1].indices == found[2].indices
    assert found[0].criticisms == found[1].criticisms == found[2].criticisms
    assert found[0].total == found[0].count == len(SMILES)


def test_prototypes_by_one_channel():
    found = prototypes(MODEL, SMILES, None, 2, by="relevance", layer=LAYER, channel=4, share=0, featurizer="pyg")
    each = at_layer(LAYER)[:, 4]
    assert sorted(found.indices) == sorted(torch.argsort(-each)[:2].tolist())
    torch.testing.assert_close(found.scores, each[list(found.indices)])
    assert prototypes(MODEL, SMILES, None, 2, featurizer="pyg").layer == "hidden"


def test_limits():
    found = prototypes(MODEL, SMILES, None, 1, by="mmd", members="positive", layer=LAYER, featurizer="pyg")
    limits = prototype_limits(MODEL, SMILES, found, threshold=0.02, featurizer="pyg")
    each = at_layer(LAYER)
    each = each / each.norm(dim=1, keepdim=True)
    members = (OUTPUT > 0).nonzero().flatten()
    expected = (each[members] - each[found.indices[0]]).norm(dim=1)
    torch.testing.assert_close(limits.distances, expected)
    drawing = limits_figure(MODEL, SMILES, limits, featurizer="pyg")
    written = " ".join(t.get_text() for t in drawing.figure.axes[0].texts)
    assert f"prototype #{found.indices[0]}" in written and "not explained" in written
    assert str(limits).startswith("The output: 1 prototype")


def test_the_model_stays_in_training_mode():
    model = network().train()
    a = top_concepts(model, SMILES, None, LAYER, 2, featurizer="pyg")
    assert model.training and a.channels == top_concepts(MODEL, SMILES, None, LAYER, 2, featurizer="pyg").channels


@pytest.mark.parametrize(("options", "message"), [
    ({"layer": "network.convs.9"}, "no module of that name"), ({"layer": ""}, "a module's name"),
    ({"members": "labelled"}, "the data has no labels"), ({"k": 0}, "k=0"),
])  # fmt: skip
def test_errors(options, message):
    with pytest.raises(sx.InputError, match=message):
        top_concepts(MODEL, SMILES, **{"layer": LAYER, "featurizer": "pyg", **options})
