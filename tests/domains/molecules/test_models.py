"""Models from the files of their libraries, which must predict as there."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import _peers
import numpy as np
import pytest
import torch

from sciexplain.domains.molecules.families.schnetpack import library
from sciexplain.domains.molecules.models import load_model
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.errors import MissingDependencyError, ModelError

if find_spec("torchvision") is not None:
    _peers.torchvision()  # which Lightning's metrics import
Chem = pytest.importorskip("rdkit.Chem")
pytest.importorskip("torch_geometric")


def molecule(smiles: str) -> Molecule:
    mol = Chem.MolFromSmiles(smiles)
    return Molecule(np.array([a.GetAtomicNum() for a in mol.GetAtoms()]), smiles, mol)


MOLECULES = [molecule("CCO"), molecule("c1ccccc1N"), molecule("C")]
WATER = Molecule(np.array([8, 1, 1]), positions=np.array([[0.0, 0, 0], [0, 0.8, 0.6], [0, -0.8, 0.6]]))

MODULE = """
import torch
from torch import nn
from torch_geometric.nn import GCNConv, global_add_pool
from torch_geometric.utils import from_rdmol

class Net(nn.Module):
    unit, tasks, featurizer = "log mol/L", ["logS"], staticmethod(from_rdmol)

    def __init__(self):
        super().__init__()
        self.conv, self.last = GCNConv(9, 4), nn.Linear(4, 1)

    def forward(self, x, edge_index, batch):
        return self.last(global_add_pool(self.conv(x.float(), edge_index).relu(), batch))

def make():
    return Net()
"""


class Runs:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


# -- a function of the user ----------------------------------------------------------------------------------------


def test_function_and_weights(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    (tmp_path / "net.py").write_text(MODULE)
    reference = f"{tmp_path / 'net.py'}:make"
    torch.manual_seed(3)
    trained = load_model(reference)
    save_file(trained.model.state_dict(), tmp_path / "weights.safetensors")
    torch.manual_seed(4)
    family = load_model(reference, weights=tmp_path / "weights.safetensors")
    torch.testing.assert_close(family.predict(MOLECULES), trained.predict(MOLECULES))
    assert (family.unit, family.tasks) == ("log mol/L", ("logS",))
    assert load_model(reference, unit="mol/L", tasks=["S"]).tasks == ("S",)


# -- chemprop ------------------------------------------------------------------------------------------------------


@pytest.fixture
def network() -> Any:
    models = pytest.importorskip("chemprop.models")
    from chemprop import nn

    torch.manual_seed(0)
    scale = nn.transforms.UnscaleTransform([1.0, 2.0], [3.0, 4.0])
    head = nn.RegressionFFN(2, 12, 8, output_transform=scale, activation=torch.nn.Tanh())
    return models.MPNN(nn.BondMessagePassing(d_h=12), nn.NormAggregation(), head, True, [nn.metrics.RMSE()]).eval()


def test_chemprop_file(network: Any, tmp_path: Path) -> None:
    from chemprop import models

    models.save_model(tmp_path / "best.pt", network, ["logS", "logD"])
    family = load_model(tmp_path / "best.pt", unit="log mol/L")
    assert (family.tasks, family.unit) == (("logS", "logD"), "log mol/L")
    own = models.load_model(tmp_path / "best.pt").eval()
    graphs = family.collate([family.graph(m) for m in MOLECULES])
    from chemprop.data import BatchMolGraph
    from chemprop.featurizers import SimpleMoleculeMolGraphFeaturizer

    featurize = SimpleMoleculeMolGraphFeaturizer()
    expected = own(BatchMolGraph([featurize(m.mol) for m in MOLECULES]))
    torch.testing.assert_close(graphs.call({}), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(family.predict(MOLECULES), expected.detach(), rtol=1e-6, atol=1e-6)


def test_chemprop_checkpoint(network: Any, tmp_path: Path) -> None:
    from chemprop import data
    from lightning import pytorch as pl

    points = [data.MoleculeDatapoint(m.mol, y=np.array([1.0, float(len(m))])) for m in MOLECULES]
    loader = data.build_dataloader(data.MoleculeDataset(points), batch_size=3, num_workers=0)
    trainer = pl.Trainer(
        max_epochs=1,
        logger=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[pl.callbacks.ModelCheckpoint(tmp_path, monitor="train_loss")],
    )
    trainer.fit(network, loader)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    unshuffled = data.build_dataloader(data.MoleculeDataset(points), shuffle=False, num_workers=0)
    expected = torch.cat(trainer.predict(network, unshuffled))
    for file in tmp_path.glob("*.ckpt"):
        torch.testing.assert_close(load_model(file).predict(MOLECULES), expected, rtol=1e-6, atol=1e-6)


def test_chemprop_file_with_code(network: Any, tmp_path: Path) -> None:
    file, mark = tmp_path / "best.pt", tmp_path / "mark"
    hyper = {**network.hparams, "predictor": {**network.hparams["predictor"], "threshold": Runs(mark)}}
    torch.save({"hyper_parameters": hyper, "state_dict": network.state_dict()}, file)
    with pytest.raises(ModelError, match=r"best\.pt holds \w+\.system, so reading it could run any code"):
        load_model(file)
    assert not mark.exists()
    assert load_model(file, unsafe_pickle=True).predict(MOLECULES).shape == (3, 2)
    assert mark.exists()


# -- SchNetPack ----------------------------------------------------------------------------------------------------


@pytest.fixture
def potential() -> Any:
    try:
        spk = library()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    representation = spk.representation.PaiNN(
        8, 1, radial_basis=spk.nn.GaussianRBF(6, cutoff=4.0), cutoff_fn=spk.nn.CosineCutoff(4.0)
    )
    heads = [spk.atomistic.Atomwise(8, output_key="energy_U0"), spk.atomistic.Forces(energy_key="energy_U0")]
    after = [spk.transform.CastTo64(), spk.transform.AddOffsets("energy_U0", add_mean=True)]
    return spk.model.NeuralNetworkPotential(representation, [spk.atomistic.PairwiseDistances()], heads, after)


def test_schnetpack_run(potential: Any, tmp_path: Path) -> None:
    import ase
    from schnetpack.interfaces import AtomsConverter
    from schnetpack.transform import ASENeighborList

    torch.save(potential, tmp_path / "best_model")
    (tmp_path / "config.yaml").write_text(
        "globals:\n  property: energy_U0\ndata:\n  property_units:\n    energy_U0: eV\n    gap: ${globals.unit}\n"
    )
    family = load_model(tmp_path)
    assert (family.unit, family.tasks) == ("eV", ("energy_U0",))
    assert load_model(tmp_path / "best_model", unit="Hartree").unit == "Hartree"
    converter = AtomsConverter(ASENeighborList(4.0))
    expected = potential(converter(ase.Atoms(WATER.numbers, WATER.positions)))["energy_U0"].detach()
    torch.testing.assert_close(family.predict([WATER]), expected)


def test_schnetpack_model_with_code(potential: Any, tmp_path: Path) -> None:
    potential.note = Runs(tmp_path / "mark")
    torch.save(potential, tmp_path / "best_model")
    with pytest.raises(ModelError, match=r"best_model holds \w+\.system"):
        load_model(tmp_path)
    assert not (tmp_path / "mark").exists()
    assert load_model(tmp_path, unsafe_pickle=True).predict([WATER]).shape == (1,)
    assert (tmp_path / "mark").exists()


# -- what is refused -----------------------------------------------------------------------------------------------


def test_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no file .*none\.pt"):
        load_model(tmp_path / "none.pt")
    with pytest.raises(ModelError, match="found no model in this folder"):
        load_model(tmp_path)
    (tmp_path / "model.onnx").touch()
    with pytest.raises(ModelError, match=r"model\.onnx: expected a file ending in \.pt, \.pth, \.ckpt, \.bin"):
        load_model(tmp_path / "model.onnx")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "state.pt")
    with pytest.raises(ModelError, match=r"state\.pt holds a dict of weight, …; .*give the model as MODULE:FUNCTION"):
        load_model(tmp_path / "state.pt")
    with pytest.raises(ModelError, match=r"weights='w\.pt' belong to a model given as MODULE:FUNCTION"):
        load_model(tmp_path / "state.pt", weights="w.pt")
    torch.save({"hyper_parameters": {"message_passing": {}}, "state_dict": {}}, tmp_path / "old.pt")
    with pytest.raises(ModelError, match=r"old\.pt cannot be read as a chemprop MPNN.*chemprop convert"):
        load_model(tmp_path / "old.pt")
