import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sciexplain.errors import ModelError
from sciexplain.runs import load_model

SOURCE = """
import torch
from torch import nn
from beside import WIDTH

def make():
    return nn.Sequential(nn.Linear(2, WIDTH), nn.Dropout(), nn.Linear(WIDTH, 2))

def fails():
    raise RuntimeError("no such size")

def number():
    return 3

size = 4
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a user's modules, as the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net_of_a_user.py").write_text(SOURCE)
    (tmp_path / "beside.py").write_text("WIDTH = 3")
    (tmp_path / "broken_of_a_user.py").write_text("import no_such_library")
    (tmp_path / "wrong_of_a_user.py").write_text("def make(:")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def model(folder):
    return load_model("net_of_a_user:make")


@pytest.mark.parametrize("reference", ["net_of_a_user:make", "net_of_a_user.py:make", "./net_of_a_user.py:make"])
def test_finds_the_function(folder, reference):
    path = list(sys.path)
    model = load_model(reference)
    assert model[0].out_features == 3
    assert not model.training
    assert sys.path == path


def test_file_beside_its_imports_from_elsewhere(folder, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert load_model(f"{folder}/net_of_a_user.py:make")[0].out_features == 3


def test_file_named_like_a_library_does_not_replace_it(folder):
    import random

    (folder / "random.py").write_text("from torch import nn\nmake = nn.ReLU")
    assert isinstance(load_model("random.py:make"), nn.ReLU)
    assert sys.modules["random"] is random


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("net_of_a_user", r"there is no folder .net_of_a_user. in .*should read MODULE:FUNCTION"),
        (":make", "should read MODULE:FUNCTION"),
        ("net_of_a_user:", "should read MODULE:FUNCTION"),
        ("absent_of_a_user:make", "no module 'absent_of_a_user' in"),
        ("absent.of.a.user:make", "no module 'absent.of.a.user' in"),
        ("absent.py:make", "there is no file absent.py"),
        ("net_of_a_user:mak", "has no function 'mak'; it has: fails, make, number"),
        ("net_of_a_user:size", "has no function 'size'"),
        ("net_of_a_user:fails", "net_of_a_user:fails failed: RuntimeError: no such size"),
        ("net_of_a_user:number", "should return a torch.nn.Module, but returned int"),
        ("broken_of_a_user:make", "importing broken_of_a_user failed: ModuleNotFoundError: No module named"),
        ("broken_of_a_user.py:make", "importing broken_of_a_user.py failed: ModuleNotFoundError"),
        ("wrong_of_a_user:make", "importing wrong_of_a_user failed: SyntaxError"),
        ("wrong_of_a_user.py:make", "importing wrong_of_a_user.py failed: SyntaxError"),
    ],
)
def test_names_what_is_wrong_with_a_reference(folder, reference, message):
    with pytest.raises(ModelError, match=message):
        load_model(reference)


def save(model, path, wrap=lambda state: state):
    state = {name: tensor + 1 for name, tensor in model.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(wrap(state), path)
    return state


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.pth", "w.ckpt", "w.bin"])
def test_loads_weights(folder, model, name):
    state = save(model, folder / name)
    loaded = load_model("net_of_a_user:make", name).state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_finds_the_weights_within_a_checkpoint(folder, model, key):
    state = save(model, folder / "w.pt", wrap=lambda state: {"epoch": 3, key: state})
    loaded = load_model("net_of_a_user:make", "w.pt").state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


class Trap:
    """Unpickling this writes a file."""

    def __reduce__(self):
        return (open, ("sprung", "w"))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_runs_only_on_request(folder, model, zipped):
    content = {"state_dict": dict(model.state_dict()), "trap": Trap()}
    torch.save(content, folder / "w.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match=r"could run any code on this machine.*--unsafe-pickle"):
        load_model("net_of_a_user:make", "w.pt")
    assert not (folder / "sprung").exists()
    load_model("net_of_a_user:make", "w.pt", unsafe_pickle=True)
    assert (folder / "sprung").exists()


def test_a_pickled_module_gives_its_weights_on_request(folder, model):
    whole = nn.Sequential(nn.Linear(2, 3), nn.Dropout(), nn.Linear(3, 2))
    torch.save(whole, folder / "w.pt")
    with pytest.raises(ModelError, match=r"more than tensors \(torch.nn.modules"):
        load_model("net_of_a_user:make", "w.pt")
    loaded = load_model("net_of_a_user:make", "w.pt", unsafe_pickle=True)
    assert torch.equal(loaded[0].weight, whole[0].weight)


def test_weights_that_do_not_fit_are_listed(folder, model):
    state = dict(model.state_dict())
    state["extra"] = state.pop("0.bias")
    save_file(state, folder / "w.safetensors")
    with pytest.raises(ModelError, match=r"missing 0\.bias; not in the model extra"):
        load_model("net_of_a_user:make", "w.safetensors")


def test_weights_of_another_shape_are_named(folder, model):
    state = {**model.state_dict(), "0.weight": torch.zeros(5, 2)}
    save_file(state, folder / "w.safetensors")
    with pytest.raises(ModelError, match=r"do not fit the model(.|\n)*0\.weight"):
        load_model("net_of_a_user:make", "w.safetensors")


def test_many_keys_are_cut_short(folder, model):
    save_file({f"k{n}": torch.zeros(1) for n in range(9)}, folder / "w.safetensors")
    with pytest.raises(ModelError, match="not in the model k0, k1, k2, k3, k4 and 4 more"):
        load_model("net_of_a_user:make", "w.safetensors")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.safetensors", b"", "cannot be read as safetensors"),
        ("w.safetensors", b"\xff" * 64, "cannot be read as safetensors"),
        ("w.pt", b"", "cannot be read as PyTorch weights"),
        ("w.pt", b"hello, this is no checkpoint", "cannot be read as PyTorch weights"),
        ("w.pt", b"PK\x03\x04 cut short", "cannot be read as PyTorch weights"),
        ("w.h5", b"", "should end in .safetensors or one of .pt, .pth, .ckpt, .bin"),
    ],
)
def test_names_a_weights_file_that_cannot_be_read(folder, name, content, message):
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=message):
        load_model("net_of_a_user:make", name)


def test_names_a_missing_weights_file(folder):
    with pytest.raises(ModelError, match=r"there is no weights file absent\.pt"):
        load_model("net_of_a_user:make", "absent.pt")


def test_a_file_of_something_else(folder):
    torch.save(torch.zeros(3), folder / "w.pt")
    with pytest.raises(ModelError, match="should hold a state_dict, but holds a Tensor"):
        load_model("net_of_a_user:make", "w.pt")
