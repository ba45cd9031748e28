"""Chemprop models against chemprop's own predictions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sciexplain.domains.molecules.families import Chemprop, find
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import InputError, ModelError

chemprop = pytest.importorskip("chemprop")
from chemprop import data, featurizers, models, nn  # noqa: E402
from lightning import pytorch as pl  # noqa: E402

WIDTH = 12
PREDICTORS: dict[str, tuple[Callable[[], Any], int]] = {
    "regression": (
        lambda: nn.RegressionFFN(2, WIDTH, 8, output_transform=nn.transforms.UnscaleTransform([1.0, -2.0], [3.0, 4.0])),
        2,
    ),
    "mean and variance": (lambda: nn.MveFFN(2, WIDTH, 8), 2),
    "evidential": (lambda: nn.EvidentialFFN(1, WIDTH, 8), 1),
    "quantiles": (lambda: nn.predictors.QuantileFFN(1, WIDTH, 8), 1),
    "classification": (lambda: nn.BinaryClassificationFFN(1, WIDTH, 8), 1),
    "dirichlet": (lambda: nn.BinaryDirichletFFN(1, WIDTH, 8), 1),
    "classes": (lambda: nn.MulticlassClassificationFFN(3, 2, WIDTH, 8), 6),
    "spectrum": (lambda: nn.SpectralFFN(4, WIDTH, 8), 4),
}
AGGREGATIONS: dict[str, Callable[[], Any]] = {
    "mean": nn.MeanAggregation,
    "sum": nn.SumAggregation,
    "norm": nn.NormAggregation,
    "attentive": lambda: nn.AttentiveAggregation(output_size=WIDTH),
}


def network(messages: Any = nn.BondMessagePassing, aggregation: str = "mean", predictor: str = "regression") -> Any:
    torch.manual_seed(0)
    model = models.MPNN(messages(d_h=WIDTH), AGGREGATIONS[aggregation](), PREDICTORS[predictor][0](), batch_norm=True)
    model.bn.running_mean.uniform_(-1, 1)
    return model.eval()


def own_predictions(model: Any, points: list[Any], featurizer: Any = None) -> torch.Tensor:
    featurizer = featurizer or featurizers.SimpleMoleculeMolGraphFeaturizer()
    loader = data.build_dataloader(data.MoleculeDataset(points, featurizer), shuffle=False, num_workers=0)
    trainer = pl.Trainer(logger=False, accelerator="cpu", enable_progress_bar=False, enable_checkpointing=False)
    return torch.cat(trainer.predict(model, loader))


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_predictions_are_chemprops(predictor: str, molecules: list[Molecule]) -> None:
    model = network(predictor=predictor)
    points = [data.MoleculeDatapoint(m.mol) for m in molecules]
    expected = own_predictions(model, points)
    columns = PREDICTORS[predictor][1]
    expected = expected.flatten(1) if predictor == "classes" else expected[..., 0] if expected.ndim == 3 else expected
    family = find(model)
    assert isinstance(family, Chemprop)
    torch.testing.assert_close(
        family.predict(molecules), expected if columns > 1 else expected[:, 0], rtol=1e-6, atol=1e-6
    )
    torch.testing.assert_close(family.predict(points), family.predict(molecules))


@pytest.mark.parametrize("messages", [nn.BondMessagePassing, nn.AtomMessagePassing])
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_relevance_is_accounted_for(messages: Any, aggregation: str, molecules: list[Molecule], check: Any) -> None:
    check(find(network(messages, aggregation).double()), molecules)


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_first_component_or_logit_is_accounted_for(predictor: str, molecules: list[Molecule], check: Any) -> None:
    check(find(network(predictor=predictor).double()), molecules[:1])


@pytest.mark.parametrize("mode", ["V1", "V2", "ORGANIC", "RIGR"])
def test_the_featurizer_that_fits(mode: str, molecules: list[Molecule]) -> None:
    atom = featurizers.atom.get_multi_hot_atom_featurizer(mode)
    bond = featurizers.bond.RIGRBondFeaturizer() if mode == "RIGR" else featurizers.MultiHotBondFeaturizer()
    model = models.MPNN(
        nn.BondMessagePassing(len(atom), len(bond), WIDTH), nn.MeanAggregation(), nn.RegressionFFN(1, WIDTH, 8)
    ).eval()
    own = featurizers.SimpleMoleculeMolGraphFeaturizer(atom, bond)
    expected = own_predictions(model, [data.MoleculeDatapoint(m.mol) for m in molecules], own)[:, 0]
    torch.testing.assert_close(find(model).predict(molecules), expected)
    torch.testing.assert_close(find(model, own).predict([own(m.mol) for m in molecules]), expected)


def test_places_and_edges(molecules: list[Molecule]) -> None:
    family = find(network(), tasks=["a", "b"])
    graphs = family.collate([family.graph(m) for m in molecules])
    assert graphs.sizes.tolist() == [10, 3, 1] and graphs.edge_rows == {"E"} and family.tasks == ("a", "b")
    assert graphs.places["V"].tolist() == list(range(14))
    assert graphs.edges is not None and graphs.places["E"].tolist() == graphs.edges[0].tolist()
    bonds = {(b.GetBeginAtomIdx() + 10, b.GetEndAtomIdx() + 10) for b in molecules[1].mol.GetBonds()}
    assert {(i, j) for i, j in graphs.edges.T.tolist() if i >= 10} == bonds | {(j, i) for i, j in bonds}
    constant = find(network(), edge_features="constant")
    graphs = constant.collate([constant.graph(molecules[0])])
    assert graphs.places.keys() == {"V"} and not graphs.edge_rows


def test_extra_features_and_descriptors(molecules: list[Molecule]) -> None:
    passing = nn.BondMessagePassing(
        72 + 2, 14 + 1, WIDTH, d_vd=3, V_d_transform=nn.transforms.ScaleTransform([0.0] * 3, [2.0] * 3)
    )
    model = models.MPNN(
        passing,
        nn.MeanAggregation(),
        nn.RegressionFFN(1, WIDTH + 3 + 4, 8),
        X_d_transform=nn.transforms.ScaleTransform([1.0] * 4, [2.0] * 4),
    ).eval()
    random = np.random.default_rng(0)
    points = [
        data.MoleculeDatapoint(
            m.mol,
            x_d=random.random(4),
            V_f=random.random((len(m), 2)),
            E_f=random.random((m.mol.GetNumBonds(), 1)),
            V_d=random.random((len(m), 3)),
        )
        for m in molecules
    ]
    own = featurizers.SimpleMoleculeMolGraphFeaturizer(extra_atom_fdim=2, extra_bond_fdim=1)
    family = find(model)
    torch.testing.assert_close(family.predict(points), own_predictions(model, points, own)[:, 0])
    known = family.molecule(points[1])
    assert known is not None and known.numbers.tolist() == [6, 6, 8]
    with pytest.raises(InputError, match="takes 74 features of each atom and 15 of each bond; chemprop's own are"):
        family.graph(molecules[0])
    points[0].x_d = None
    with pytest.raises(InputError, match="found 0 and the model takes 4 of x_d"):
        family.predict(points)


def test_classes_have_names_of_their_own() -> None:
    family = find(network(predictor="classes"), tasks=["p", "q"])
    assert family.tasks == ("p class 0", "p class 1", "p class 2", "q class 0", "q class 1", "q class 2")


def test_refused(molecules: list[Molecule]) -> None:
    family = find(network())
    with pytest.raises(InputError, match="a molecule of 2 atoms: found no bonds"):
        family.graph(Molecule(np.array([1, 1])))
    with pytest.raises(InputError, match="give at least one"):
        family.collate([])
    with pytest.raises(InputError, match="A graph is str"):
        family.collate(["CCO"])
    wrong = featurizers.SimpleMoleculeMolGraphFeaturizer(featurizers.MultiHotAtomFeaturizer.v1())
    with pytest.raises(
        InputError, match="found 133 features of each atom and 14 of each bond; the model takes 72 and 14"
    ):
        find(network(), wrong).graph(molecules[0])
    with pytest.raises(ModelError, match="featurizer='pyg' is for models of PyG; this one is of chemprop"):
        find(network(), "pyg")
    with pytest.raises(ModelError, match="expected an MPNN"):
        find(nn.BondMessagePassing())
