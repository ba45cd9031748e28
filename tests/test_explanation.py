"""An explanation survives its file unchanged; the file is never a pickle."""

import dataclasses
import json
import math

import pytest
import torch
from rule_tester import randomize, sample
from safetensors import safe_open
from torch import Tensor, nn

import sciexplain as sx

NET = randomize(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)))
X = sample(2, 4)


class Twins(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = randomize(nn.Linear(4, 5)), randomize(nn.Linear(5, 3), 1)

    def forward(self, a, b, scale=1.0):
        return torch.softmax(self.head(torch.relu(self.body(a)) + self.body(b)) * scale, 1)


def unruled():
    return sx.explain(lambda x: NET(torch.lgamma(x.abs() + 1)), X, on_unknown="gradient")


EXPLANATIONS = {
    "tensor": lambda: sx.explain(NET, X),
    "without classes": lambda: sx.explain(NET, X, lambda y: y.sum(1)),
    "tuple": lambda: sx.explain(Twins(), (X, X + 1), 1),
    "tuple of one": lambda: sx.explain(NET, (X,), 1),
    "dict": lambda: sx.explain(Twins(), {"b": X, "a": X + 1, "scale": 2.0}, 1),
    "dict with odd names": lambda: sx.explain(
        lambda **x: NET(x["a.0"] + x["tensor"] + x["tuple"]), {"a.0": X, "tensor": X, "tuple": X}
    ),
    "ledger": lambda: sx.explain(NET, X, ledger=True),
    "ledger without rows": lambda: sx.explain(lambda x: x, X, 0, ledger=True),
    "layers": lambda: sx.explain(NET, X, layers=["0", "1"]),
    "a layer that ran twice": lambda: sx.explain(Twins(), (X, X + 1), 1, layers=["body", "head"]),
    "everything": lambda: sx.explain(Twins(), (X, X + 1), 1, layers=["body", "head"], ledger=True),
    "unknown": unruled,
    "gradient": lambda: sx.explain(NET, X, method="gradient"),
    "float32": lambda: sx.explain(nn.Linear(4, 2), X.float()),
    "bfloat16": lambda: sx.explain(nn.Linear(4, 2).bfloat16(), X.bfloat16()),
    "no contiguous relevance": lambda: dataclasses.replace(sx.explain(NET, X), relevance=X.T),
}


def assert_same(a, b):
    """Bit for bit, with structure and types."""
    assert type(a) is type(b)
    if isinstance(a, Tensor):
        assert a.dtype == b.dtype and torch.equal(a, b)
    elif dataclasses.is_dataclass(a):
        for f in (f for f in dataclasses.fields(a) if f.compare):
            assert_same(getattr(a, f.name), getattr(b, f.name))
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


@pytest.mark.parametrize("name", ["run", "run.safetensors", "run.v2", "a b/é"])
@pytest.mark.parametrize("case", EXPLANATIONS)
def test_round_trip(case, name, tmp_path):
    (tmp_path / "a b").mkdir()
    e = EXPLANATIONS[case]()
    e.save(tmp_path / name)
    assert_same(sx.load(tmp_path / name), e)
    assert_same(sx.load(str(tmp_path / name)), e)


def test_files_are_safetensors_and_json(tmp_path):
    EXPLANATIONS["everything"]().save(tmp_path / "run")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.json", "run.safetensors"]
    with safe_open(tmp_path / "run.safetensors", "pt") as file:
        assert {"relevance.0", "relevance.1", "score", "ledger.gap"} <= set(file.keys())
    head = (tmp_path / "run.safetensors").read_bytes()[:9]
    assert head[8:] == b"{" and not head.startswith((b"PK", b"\x80"))
    assert json.loads((tmp_path / "run.json").read_text())["stepped_over"] == "softmax"


def test_overwriting_leaves_nothing_of_the_first(tmp_path):
    EXPLANATIONS["everything"]().save(tmp_path / "run")
    e = EXPLANATIONS["tensor"]()
    e.save(tmp_path / "run")
    assert_same(sx.load(tmp_path / "run"), e)


def change_format(folder):
    document = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(document | {"format": 99}))


BROKEN = {
    "nothing there": (lambda d: (d / "run.safetensors").unlink(), r"No file .*run\.safetensors"),
    "no json": (lambda d: (d / "run.json").unlink(), r"No file .*run\.json; an explanation is"),
    "format": (change_format, r"format 99; this version reads format 1"),
    "another json": (lambda d: (d / "run.json").write_text("[]"), r"run\.json"),
    "no json at all": (lambda d: (d / "run.json").write_text("not json"), r"run\.json"),
    "json cut off": (lambda d: (d / "run.json").write_bytes((d / "run.json").read_bytes()[:50]), r"run\.json"),
    "json with parts missing": (lambda d: (d / "run.json").write_text('{"format": 1}'), r"run\.json"),
    "a pickle": (lambda d: torch.save({}, d / "run.safetensors"), r"run\.safetensors"),
    "cut off": (
        lambda d: (d / "run.safetensors").write_bytes((d / "run.safetensors").read_bytes()[:-9]),
        r"run\.safetensors",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_load_errors(case, tmp_path):
    change, message = BROKEN[case]
    EXPLANATIONS["tensor"]().save(tmp_path / "run")
    change(tmp_path)
    with pytest.raises(sx.DataError, match=message):
        sx.load(tmp_path / "run")


def test_saving_into_no_folder(tmp_path):
    with pytest.raises(sx.DataError, match=r"the folder .*missing does not exist"):
        EXPLANATIONS["tensor"]().save(tmp_path / "missing" / "run")


def test_repr():
    assert repr(EXPLANATIONS["tensor"]()) == "Explanation(lrp, 2 samples)"
    assert repr(EXPLANATIONS["tuple"]()) == "Explanation(lrp, 2 samples, softmax stepped over)"
    assert repr(unruled()) == "Explanation(lrp, 2 samples, 1 operations without a rule)"
    e = EXPLANATIONS["ledger"]()
    e = dataclasses.replace(e, ledger=dataclasses.replace(e.ledger, gap=torch.tensor([0.0, -0.5])))
    assert repr(e) == "Explanation(lrp, 2 samples, ledger gap 0.5)"


def test_an_explanation_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EXPLANATIONS["tensor"]().score = math.nan
