import hashlib

import pytest
import torch
from torch import nn

from sciexplain.runs import describe_files, describe_model, describe_versions
from sciexplain.runs.provenance import state_sha256


def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def test_state_digest_is_the_same_for_the_same_weights():
    model, twin = make(), make()
    assert state_sha256(model) == state_sha256(twin.double().float())


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m[0].weight.data[0, 0].add_(1e-6),
        lambda m: m[1].running_mean.add_(1),
        lambda m: m[1].num_batches_tracked.add_(1),
        lambda m: m.double(),
        lambda m: m.bfloat16(),
        lambda m: setattr(m[0].weight, "data", m[0].weight.data.reshape(2, 3)),
    ],
)
def test_state_digest_sees_every_change(change):
    model = make()
    before = state_sha256(model)
    change(model)
    assert state_sha256(model) != before


def test_state_digest_reads_through_memory_layout():
    conv, turned = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
    turned.load_state_dict(conv.state_dict())
    assert state_sha256(turned.to(memory_format=torch.channels_last)) == state_sha256(conv)


def test_model_entry(tmp_path):
    weights = tmp_path / "w.pt"
    weights.write_bytes(b"weights")
    entry = describe_model(make(), "m:make", weights)
    assert entry["reference"] == "m:make"
    assert entry["class"] == "torch.nn.modules.container.Sequential"
    assert entry["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert describe_model(make(), "m:make")["weights_sha256"] is None


def test_file_entries_and_their_digest(tmp_path):
    a, b, absent = tmp_path / "a", tmp_path / "b", tmp_path / "absent"
    a.write_bytes(b"A")
    b.write_bytes(b"BB")
    entry = describe_files(tmp_path, [a, b, absent])
    assert entry["path"] == str(tmp_path)
    assert entry["files"] == [
        {"path": str(a), "bytes": 1, "sha256": hashlib.sha256(b"A").hexdigest()},
        {"path": str(b), "bytes": 2, "sha256": hashlib.sha256(b"BB").hexdigest()},
        {"path": str(absent), "bytes": None, "sha256": None},
    ]
    b.write_bytes(b"CC")
    assert describe_files(tmp_path, [a, b, absent])["sha256"] != entry["sha256"]


def test_versions():
    assert describe_versions()["torch"] == torch.__version__
    assert set(describe_versions()) == {"sciexplain", "torch", "numpy", "python"}
