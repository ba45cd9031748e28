"""What a pickled file may hold."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sciexplain.domains.molecules.families.unpickling import read
from sciexplain.errors import ModelError


class Touches:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


class Runs(Touches):
    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


class Evaluates(Touches):
    def __reduce__(self) -> Any:
        return eval, (f"open({str(self.path)!r}, 'w').close()",)


class Loads(Touches):
    """By a name below an allowed module."""

    def __reduce__(self) -> Any:
        return torch.hub.load, (str(self.path), "model")


@pytest.mark.parametrize("kind", [Touches, Runs, Evaluates, Loads])
def test_code_is_not_run(kind: type[Touches], tmp_path: Path) -> None:
    mark, file = tmp_path / "mark", tmp_path / "model.pt"
    torch.save({"hyper_parameters": {"message_passing": {"d_v": kind(mark)}}, "state_dict": {}}, file)
    with pytest.raises(
        ModelError, match=r"model\.pt holds [\w., ]+, so reading it could run any code.*unsafe_pickle=True"
    ):
        read(file)
    assert not mark.exists()


def test_only_when_asked_to(tmp_path: Path) -> None:
    mark, file = tmp_path / "mark", tmp_path / "model.pt"
    torch.save({"state_dict": Runs(mark)}, file)
    read(file, unsafe_pickle=True)
    assert mark.exists()


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    mark, file = tmp_path / "mark", tmp_path / "model.pt"
    file.write_bytes(pickle.dumps(Runs(mark)))
    with pytest.raises(ModelError, match=r"cannot be read as a file of torch\.save"):
        read(file)
    assert not mark.exists()


def test_layers_of_torch_and_tensors_are_read(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.BatchNorm1d(4), nn.Embedding(2, 3)).eval()
    torch.save({"net": net, "values": [torch.arange(3), {"a": 1.5}]}, tmp_path / "a.pt")
    found = read(tmp_path / "a.pt")
    x = torch.rand(5, 3)
    torch.testing.assert_close(found["net"][:3](x), net[:3](x))
    assert found["values"][0].tolist() == [0, 1, 2] and found["values"][1] == {"a": 1.5}


def test_layers_of_others_are_not(tmp_path: Path) -> None:
    pytest.importorskip("torch_geometric")
    from torch_geometric.nn import GCNConv

    torch.save(GCNConv(2, 2), tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"holds .* and \d+ more, so reading it"):
        read(tmp_path / "a.pt")


def test_a_cut_file(tmp_path: Path) -> None:
    torch.save({"a": torch.rand(100)}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes((tmp_path / "a.pt").read_bytes()[:300])
    with pytest.raises(ModelError, match=r"b\.pt cannot be read"):
        read(tmp_path / "b.pt")
