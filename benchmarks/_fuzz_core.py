"""Everything but the domains' readers, to be fed with damaged files; see ``fuzz.py``."""

from __future__ import annotations

import atexit
import gzip
import importlib.abc
import io
import json
import os
import sys
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch
from torch import nn

import sciexplain as sx
from sciexplain import _trained, datasets, records
from sciexplain.cli.audit_files import read_labels
from sciexplain.cli.evaluation_masks import read_masks
from sciexplain.datasets import archives, idx, leukemia, promoters, registry
from sciexplain.domains import images
from sciexplain.domains.genomics import reference as of_genomics
from sciexplain.domains.images import reference as of_images
from sciexplain.domains.molecules import models as molecule_models
from sciexplain.domains.molecules import reference as of_molecules
from sciexplain.errors import DataError
from sciexplain.records.page import html
from sciexplain.report import labels as report_labels
from sciexplain.runs import models, open_run
from sciexplain.runs.format import ROW_SCHEMA

warnings.filterwarnings("ignore")
_MADE: dict[int, Path] = {}


def folder() -> Path:
    """One for this process, in memory where the system has such a place."""
    if os.getpid() not in _MADE:
        memory = Path("/dev/shm")
        made = tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory if memory.is_dir() else None)
        atexit.register(made.cleanup)
        _MADE[os.getpid()] = Path(made.name)
    return _MADE[os.getpid()]


def put(name: str, content: bytes) -> Path:
    path = folder() / name
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


# -- runs ----------------------------------------------------------------------------------------------------------


def run_json(content: bytes) -> None:
    path = put("run/run.json", content)
    run = open_run(path.parent)
    assert isinstance(run.info, dict)


def rows(content: bytes) -> None:
    """Parquet, which pyarrow reads and answers for; what is asked of it here is only that it ends."""
    put("rows/run.json", SEEDS["core/run.json"][0])
    path = put("rows/rows/part-00000.parquet", content)
    run = open_run(path.parents[1])
    try:
        for batch in run.rows.to_batches(columns=["id", "relevance", "shape"], batch_size=64):
            batch.to_pylist()
        list(run.summaries())
    except (pa.ArrowException, OSError) as error:
        raise DataError(str(error)[:1000]) from error


def masks(content: bytes, suffix: str) -> None:
    table = pa.table({"id": ["a.smi:1"], "input": ["ethanol"]})
    opened = SimpleNamespace(kind="molecules", table=table)
    read_masks(put(f"masks{suffix}", content), opened, ["a.smi:1"], [range(3)])  # type: ignore[arg-type]  # as a run


def labels(content: bytes) -> None:
    subject = SimpleNamespace(ids=["a", "b"], column=lambda given: None)
    read_labels(str(put("labels.csv", content)), subject)  # type: ignore[arg-type]  # all that is asked of one


def true_labels(content: bytes, suffix: str) -> None:
    report_labels.read_labels(put(f"true{suffix}", content), ["cat", "dog"])


# -- results -------------------------------------------------------------------------------------------------------


def explanation(content: bytes, suffix: str) -> None:
    for ending, whole in _EXPLANATION.items():
        put(f"explanation{ending}", content if ending == suffix else whole)
    e = sx.load(folder() / "explanation.safetensors")
    assert "Explanation" in repr(e) and e.score.ndim == 1
    if e.ledger is not None:
        str(e.ledger.rows)


def record(content: bytes) -> None:
    found = records.load(put("record.json", content))
    page = html(found)
    assert "<script" not in page
    repr(found), found.untouched, found.score, found.picture, found.caveats
    for name in found.document["relevance"]:
        found.relevance(name)


# -- models --------------------------------------------------------------------------------------------------------


def model_json(content: bytes) -> None:
    domain = next((name for name in _LOADERS if f'"{name}"'.encode() in content), "images")
    put(f"{domain}/model.json", content)
    put(f"{domain}/model.safetensors", _FOLDERS[domain][1])
    _LOADERS[domain](folder() / domain)


def model_weights(content: bytes) -> None:
    put("weights/model.json", _FOLDERS["images"][0])
    put("weights/model.safetensors", content)
    images.load_model(folder() / "weights")


def checkpoint(content: bytes) -> None:
    """Weights of ``torch.save``, old and new; what the unpickler would not have must not be made."""
    models._load_weights(_network(), put("weights.pt", content), unsafe_pickle=False)


def safetensors(content: bytes) -> None:
    models._load_weights(_network(), put("weights.safetensors", content), unsafe_pickle=False)


def whole_model(content: bytes) -> None:
    molecule_models.load_model(put("whole/model.pt", content))


def units(content: bytes) -> None:
    put("schnetpack/config.yaml", content)
    molecule_models._schnetpack_units(folder() / "schnetpack" / "config.yaml")


class _NothingNew(importlib.abc.MetaPathFinder):
    """Modules that were not imported before are not there."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextmanager
def _importing_nothing_new() -> Iterator[None]:
    finder = _NothingNew()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def reference(content: bytes) -> None:
    """A name of code: found or not, never called."""
    with _importing_nothing_new():
        models.load_function(content.decode("utf-8", "replace"))


# -- data sets -----------------------------------------------------------------------------------------------------


def archive(content: bytes) -> None:
    """Its files come with names of their own, whatever it says."""
    path = put("archive", content)
    for name, data in archives.read_members(path, lambda name: True):
        assert name not in ("", ".", "..") or Path(name).name == name, name
        assert len(data) <= 1 << 24
    out = folder() / "unpacked"
    out.mkdir(exist_ok=True)
    archives.unpack(path, ("a.txt",), out)
    assert [found.name for found in out.iterdir()] == ["a.txt"]


def data_set(content: bytes) -> None:
    registry.describe(content.decode("utf-8", "replace"))
    assert content.decode() in datasets.names()


def idx_file(content: bytes) -> None:
    """Packed here where it is not, so that damage reaches what is inside."""
    idx.read_idx(put("a.gz", content if content[:2] == b"\x1f\x8b" else gzip.compress(content, 1)), most_values=1 << 20)


def table(content: bytes, read: Callable[[Path], Any]) -> None:
    found = read(put("table.txt", content))
    if isinstance(found, Iterator):
        list(found)


# -- seeds ---------------------------------------------------------------------------------------------------------


def _network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def _saved(value: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def _explanation() -> dict[str, bytes]:
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    e = sx.explain(net, torch.randn(2, 4), ledger=True, layers=["0", "1"])
    e.save(folder() / "seed")
    return {suffix: (folder() / f"seed{suffix}").read_bytes() for suffix in (".json", ".safetensors")}


def _record() -> bytes:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
    e = images.explain(net, torch.rand(1, 1, 4, 4)).explanation
    made = e.record(name="<script>", labels=["a", "b", "c"]).sign("N. N.", "chemist", "=1+1")
    return made.save(folder() / "seed_record.json").read_bytes()


def _model_folder(domain: str) -> tuple[bytes, bytes]:
    torch.manual_seed(0)
    own: Any
    info: dict[str, Any]
    if domain == "images":
        own = of_images.networks.Architecture("classifier", (1, 4, 4), 2, 2)
        network, info = of_images.networks.build(own), {"labels": ["a", "b"]}
    elif domain == "genomics":
        own = of_genomics.Architecture("small", length=20, channels=2, kernel=3)
        network, info = of_genomics.build(own), {"tasks": ["a"]}
    else:
        own = of_molecules.Architecture("gin", width=2, layers=1)
        kind = of_molecules.BondGraph((6, 8))
        network = of_molecules.build(own, tasks=1, atom_width=len(kind.atom_names), bond_width=len(kind.bond_names))
        info = {"featurizer": {"kind": "BondGraph", "elements": [6, 8]}, "unit": "eV", "tasks": ["a"]}
    path = _trained.save(network, {"architecture": asdict(own), **info}, folder() / "seed_model", domain=domain)
    return (path / "model.json").read_bytes(), (path / "model.safetensors").read_bytes()


def _parquet(count: int, **options: Any) -> bytes:
    stream = io.BytesIO()
    made = [
        {
            **dict.fromkeys(ROW_SCHEMA.names),
            **{"number": i, "id": f"a.smi:{i}", "input": "a", "score": 0.5, "relevance": [0.1, 0.2], "shape": [2]},
        }
        for i in range(count)
    ]
    pa.parquet.write_table(pa.Table.from_pylist(made, schema=ROW_SCHEMA), stream, **options)
    return stream.getvalue()


def _arrays(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _zip(names: tuple[str, ...], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as made:
        for name in names:
            made.writestr(name, b"1, 2\n2, 1\n" * 20)
    return stream.getvalue()


def _tar(names: tuple[str, ...], kind: bytes = tarfile.REGTYPE, style: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=style) as made:
        for name in names:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "../../../etc/passwd"
            info.size = 20 if kind == tarfile.REGTYPE else 0
            made.addfile(info, io.BytesIO(b"1, 2\n2, 1\n" * 2) if info.size else None)
    return stream.getvalue()


def _whole_models() -> list[bytes]:
    found = [_saved(nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, 1))), _saved({"net": nn.Linear(2, 2)})]
    try:
        from chemprop import models as chemprop_models
        from chemprop import nn as layers

        mpnn = chemprop_models.MPNN(
            layers.BondMessagePassing(d_h=4), layers.MeanAggregation(), layers.RegressionFFN(input_dim=4, hidden_dim=4)
        )
        found.append(
            _saved({"hyper_parameters": mpnn.hparams, "state_dict": mpnn.state_dict(), "output_columns": ["a"]})
        )
    except ImportError:
        pass
    return found


_LOADERS: dict[str, Callable[[Path], Any]] = {
    "genomics": of_genomics.load,
    "molecules": of_molecules.load,
    "images": images.load_model,
}
_EXPLANATION = _explanation()
_FOLDERS = {domain: _model_folder(domain) for domain in _LOADERS}
_STATE = _network().state_dict()
_ASKED = {
    "format": "sciexplain-run",
    "format_version": 1,
    "status": "finished",
    "command": "explain molecules",
    "model": {"reference": "os:system", "class": "a.B", "state_sha256": "00", "weights": None, "weights_sha256": None},
    "data": {"path": "a.smi", "sha256": "00", "files": [{"path": "a.smi", "bytes": 3, "sha256": "00"}]},
    "versions": {"torch": "2.13.0"},
    "options": {"target": None, "featurizer": "os:system", "unit": "eV"},
    "counts": {"rows": 3, "failed": 0},
}

SEEDS: dict[str, list[bytes]] = {
    "core/run.json": [json.dumps(_ASKED, indent=2).encode(), json.dumps({**_ASKED, "format_version": 2}).encode()],
    "core/rows": [_parquet(3), _parquet(20, compression="zstd"), _parquet(2, compression="none", use_dictionary=False)],
    "core/masks.csv": [b"id,atoms\na.smi:1,0 1\nb,2\n", b'name,atoms\nethanol,"0, 1"\n'],
    "core/masks.jsonl": [b'{"id": "a.smi:1", "atoms": [0, 1]}\n{"id": "b", "atoms": "2"}\n'],
    "core/labels.csv": [b"id,label\na,cat\nb,dog\nc,cat\n"],
    "core/true labels.csv": [b"id,label\na,cat\nb,\nc,1\n"],
    "core/true labels.npz": [_arrays(labels=np.arange(3)), _arrays(labels=np.array(["cat", "dog"]), images=np.eye(2))],
    "core/explanation.json": [_EXPLANATION[".json"]],
    "core/explanation.safetensors": [_EXPLANATION[".safetensors"]],
    "core/record.json": [_record()],
    "core/model.json": [text for text, _ in _FOLDERS.values()],
    "core/model.safetensors": [_FOLDERS["images"][1]],
    "core/checkpoint": [
        _saved(_STATE),
        _saved({"state_dict": _STATE, "epoch": 3, "lr": [0.1, {"a": (1, None, True)}]}),
        _saved(_STATE, _use_new_zipfile_serialization=False),
        _saved({"model": _STATE, "sparse": torch.eye(2).to_sparse(), "half": torch.ones(2).half()}),
    ],
    "core/safetensors": [_FOLDERS["images"][1], _EXPLANATION[".safetensors"]],
    "core/whole model": _whole_models(),
    "core/config.yaml": [
        b"globals:\n  unit: eV\ndata:\n  property_units: &own\n    energy: eV\n    gap: ${globals.unit}\n  <<: *own\n",
        b"data: {property_units: {energy_U0: Hartree, mu: Debye}, batch_size: 1.0e+2, when: 2020-01-01}\n",
    ],
    "core/reference": [b"my_models:make", b"models/net.py:make", b"os.path:join", b"../../a.py:f", b"json:loads"],
    "core/archive": [
        _zip(("a.txt", "b/c.txt")),
        _zip(("../../a.txt", "/etc/b.txt", "c\\..\\d.txt", "A.TXT"), zipfile.ZIP_STORED),
        _tar(("a.txt", "b/c.txt")),
        gzip.compress(_tar(("../a.txt", "/abs/b.txt", "ö" * 120)), 1),
        _tar(("a.txt", "b"), tarfile.SYMTYPE, tarfile.GNU_FORMAT),
        _tar(("a.txt",), tarfile.LNKTYPE, tarfile.USTAR_FORMAT),
        _tar(("a.txt",), tarfile.CHRTYPE),
    ],
    "core/data set": [b"digits", b"mutag", b"simulated-motif"],
    "core/idx": [b"\0\0\x08\x01\0\0\0\x03abc", b"\0\0\x08\x03" + b"\0\0\0\x02" * 3 + bytes(8)],
    "core/expression": [b"gene\ts1\ts2\nTP53\t1.5\t-2\nMYC\t0\t3e2\n"],
    "core/classes": [b"4 2 1\n# ALL AML\nALL ALL AML AML\n"],
    "core/promoters": [f"+,S10,\t{'acgt' * 14}a\n-,\t 867,{'tgca' * 14}t\n".encode()],
}
"""Whole files, by the names of the targets that take them."""

TARGETS: dict[str, Callable[[bytes], None]] = {
    "core/run.json": run_json,
    "core/rows": rows,
    "core/masks.csv": lambda content: masks(content, ".csv"),
    "core/masks.jsonl": lambda content: masks(content, ".jsonl"),
    "core/labels.csv": labels,
    "core/true labels.csv": lambda content: true_labels(content, ".csv"),
    "core/true labels.npz": lambda content: true_labels(content, ".npz"),
    "core/explanation.json": lambda content: explanation(content, ".json"),
    "core/explanation.safetensors": lambda content: explanation(content, ".safetensors"),
    "core/record.json": record,
    "core/model.json": model_json,
    "core/model.safetensors": model_weights,
    "core/checkpoint": checkpoint,
    "core/safetensors": safetensors,
    "core/whole model": whole_model,
    "core/config.yaml": units,
    "core/reference": reference,
    "core/archive": archive,
    "core/data set": data_set,
    "core/idx": idx_file,
    "core/expression": lambda content: table(content, leukemia.read_expression),
    "core/classes": lambda content: table(content, leukemia.read_classes),
    "core/promoters": lambda content: table(content, promoters.read_promoters),
}
"""What to call with bytes: it returns where they are read, and raises a ``SciExplainError`` where they are refused."""
