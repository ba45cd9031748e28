"""Files of a stranger: for each threat one that carries it, and what it must not do. See docs/security.md."""

import base64
import gzip
import http.server
import io
import json
import os
import pickle
import struct
import sys
import tarfile
import threading
import zipfile
import zlib
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import sciexplain as sx
from sciexplain import _trained, records
from sciexplain._csv import text_cell
from sciexplain._files import written
from sciexplain.datasets import archives, fetch
from sciexplain.domains import images
from sciexplain.domains.images.reference.networks import Architecture, build
from sciexplain.errors import DataError, ModelError
from sciexplain.records.page import html
from sciexplain.runs import load_model, named
from sciexplain.runs.models import load_function


class Trap:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def mark(tmp_path):
    """What a payload makes; it must not be there in the end."""
    path = tmp_path / "sprung"
    yield path
    assert not path.exists()


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """What is remembered of named functions, apart from the user's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def network(tmp_path, monkeypatch):
    """The current folder has a model of the user's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net_of_mine.py").write_text("from torch import nn\ndef make():\n    return nn.Linear(3, 2)\n")
    yield "net_of_mine:make"
    sys.modules.pop("net_of_mine", None)


# -- checkpoints ---------------------------------------------------------------------------------------------------


CARRIERS = {
    "beside the weights": lambda trap: {"state_dict": nn.Linear(3, 2).state_dict(), "note": trap},
    "in place of a tensor": lambda trap: {**nn.Linear(3, 2).state_dict(), "weight": trap},
    "as a key": lambda trap: {trap: 1},
    "alone": lambda trap: trap,
    "of Lightning": lambda trap: {
        "state_dict": {},
        "hyper_parameters": {"net": trap},
        "pytorch-lightning_version": "2",
    },
}


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin"])
@pytest.mark.parametrize("way", CARRIERS)
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_carry_no_code(way, suffix, zipped, network, mark, tmp_path):
    torch.save(CARRIERS[way](Trap(mark)), tmp_path / f"w{suffix}", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match="could run any code on this machine"):
        load_model(network, tmp_path / f"w{suffix}")


@pytest.mark.parametrize("name", ["w.pt", "w.bin", "w.safetensors"])
def test_a_plain_pickle_is_no_checkpoint(name, network, mark, tmp_path):
    (tmp_path / name).write_bytes(pickle.dumps(Trap(mark), 2))
    with pytest.raises(ModelError):
        load_model(network, tmp_path / name)


def test_the_oldest_format_is_left_to_a_torch_that_reads_it_safely(network, mark, tmp_path, monkeypatch):
    torch.save(Trap(mark), tmp_path / "w.pt", _use_new_zipfile_serialization=False)
    monkeypatch.delattr(torch.serialization, "get_unsafe_globals_in_checkpoint")
    with pytest.raises(ModelError, match=r"no zip archive.*install torch 2\.6"):
        load_model(network, tmp_path / "w.pt")


def test_a_whole_model_carries_no_code(mark, tmp_path):
    molecules = pytest.importorskip("sciexplain.domains.molecules.models", exc_type=ImportError)
    settings = {"message_passing": {"cls": os.system, "command": f"mkdir {mark}"}, "agg": {}, "predictor": {}}
    torch.save({"hyper_parameters": settings, "state_dict": {}}, tmp_path / "best.pt")
    with pytest.raises(ModelError, match="could run any code on this machine"):
        molecules.load_model(tmp_path / "best.pt")


def test_a_layer_that_would_be_asked_how_to_copy_it(tmp_path):
    molecules = pytest.importorskip("sciexplain.domains.molecules.models", exc_type=ImportError)
    layer = nn.Identity()
    layer.__dict__["__reduce_ex__"] = nn.Identity()
    layer.__dict__["__module__"] = "antigravity"
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, 2)
    pickler.dispatch_table = {nn.Identity: lambda one: (nn.Identity, (), dict(vars(one)))}
    pickler.dump(layer)
    with zipfile.ZipFile(tmp_path / "best_model", "w") as archive:
        archive.writestr("best_model/data.pkl", stream.getvalue())
        archive.writestr("best_model/version", "3\n")
    with pytest.raises(ModelError, match=r"best_model holds __module__, __reduce_ex__, so reading it"):
        molecules.load_model(tmp_path / "best_model")


@contextmanager
def memory_limit(megabytes):
    resource = pytest.importorskip("resource")
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("only Linux tells how much is mapped")
    with open("/proc/self/statm") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + (megabytes << 20), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def repacked(path, change, packing=zipfile.ZIP_STORED):
    """A checkpoint whose members were changed."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))


def test_a_checkpoint_does_not_grow(network, tmp_path):
    torch.save({"weight": torch.zeros(1 << 25)}, tmp_path / "w.pt")
    repacked(tmp_path / "w.pt", lambda name, content: content, zipfile.ZIP_DEFLATED)
    assert (tmp_path / "w.pt").stat().st_size < 1 << 20
    with pytest.raises(ModelError, match=r"would unpack to \d+, which torch\.save never writes"):
        load_model(network, tmp_path / "w.pt")


def test_a_tensor_is_no_larger_than_what_is_kept_of_it(network, tmp_path):
    torch.save({"weight": torch.zeros(6), "bias": torch.zeros(2)}, tmp_path / "w.pt")
    repacked(
        tmp_path / "w.pt",
        lambda name, content: content.replace(b"K\x06", b"J\0\0\0\x40") if name.endswith("data.pkl") else content,
    )
    with pytest.raises(ModelError, match="cannot be read as PyTorch weights"):
        load_model(network, tmp_path / "w.pt")


@pytest.mark.parametrize(
    "head",
    [
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**40) + b"{}",
        struct.pack("<Q", 70) + b'{"weight":{"dtype":"F32","shape":[99999999999],"data_offsets":[0,8]}}  ' + bytes(8),
        struct.pack("<Q", 64) + b'{"weight":{"dtype":"F32","shape":[2],"data_offsets":[0,1e30]}}  ' + bytes(8),
    ],
)
def test_safetensors_of_absurd_sizes(head, network, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(head)
    with memory_limit(1024), pytest.raises(ModelError, match="cannot be read as safetensors"):
        load_model(network, tmp_path / "w.safetensors")


# -- model folders -------------------------------------------------------------------------------------------------


def model_folder(path, **changes):
    own = Architecture("classifier", (1, 4, 4), 2, 2)
    info = {"architecture": vars(own) | changes.pop("architecture", {}), "labels": ["a", "b"], **changes}
    return _trained.save(build(own), info, path, domain="images")


def test_a_model_folder_names_no_class(mark, tmp_path):
    folder = model_folder(tmp_path / "m", **{"class": "os.system", "module": "antigravity"})
    before = set(sys.modules)
    assert images.load_model(folder).labels == ("a", "b")
    assert "antigravity" not in set(sys.modules) - before
    for kind in ("os.system", "__import__('os').mkdir", ["classifier"], {"kind": "classifier"}):
        with pytest.raises(ModelError):
            images.load_model(model_folder(tmp_path / "m", architecture={"kind": kind}))


@pytest.mark.parametrize(
    "size", [{"width": 20_000}, {"width": 2**62}, {"outputs": 2**33}, {"shape": [1, 2**20, 2**20]}]
)
def test_a_description_of_a_few_bytes_asks_for_no_more_than_its_weights(size, tmp_path):
    folder = model_folder(tmp_path / "m", architecture=size)
    with memory_limit(8192), pytest.raises(ModelError, match=r"more numbers|cannot be read"):
        images.load_model(folder)


def test_layers_without_end(tmp_path):
    networks = pytest.importorskip("sciexplain.domains.genomics.reference", exc_type=ImportError)
    own = networks.Architecture("small", length=20, channels=2, kernel=3)
    info = {"architecture": {**vars(own), "layers": 10**9}, "tasks": ["a"]}
    folder = _trained.save(networks.build(own), info, tmp_path / "m", domain="genomics")
    with pytest.raises(ModelError, match=r"does not hold this model's weights"):
        networks.load(folder)


def test_units_that_grow_when_they_are_merged(tmp_path):
    models = pytest.importorskip("sciexplain.domains.molecules.models", exc_type=ImportError)
    pytest.importorskip("yaml")
    lines = ["a0: &a0 {energy: eV}", *(f"a{i}: &a{i}\n  <<: [*a{i - 1}, *a{i - 1}]" for i in range(1, 64))]
    config = tmp_path / "config.yaml"
    config.write_text("\n".join(lines) + "\ndata:\n  property_units:\n    <<: *a63\n")
    assert models._schnetpack_units(config) == {}
    config.write_text("data: {property_units: !!python/object/apply:os.mkdir ['sprung']}")
    assert models._schnetpack_units(config) == {} and not os.path.exists("sprung")
    config.write_text("data: {property_units: {energy: eV}}")
    assert models._schnetpack_units(config) == {"energy": "eV"}


# -- code that is named --------------------------------------------------------------------------------------------


def test_an_installed_module_is_not_imported_beside_the_current_folder(tmp_path, mark, monkeypatch):
    """A folder of data may have files of any name, such as that of a library that is not installed."""
    installed, here = tmp_path / "installed", tmp_path / "data"
    installed.mkdir(), here.mkdir()
    (installed / "installed_of_others.py").write_text(
        "try:\n    import not_installed_here\nexcept ImportError:\n    pass\ndef make():\n    return 1\n"
    )
    (here / "not_installed_here.py").write_text(f"import os\nos.mkdir({str(mark)!r})")
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.chdir(here)
    assert load_function("installed_of_others:make")() == 1


@pytest.mark.parametrize(
    "reference", ["a" * 10**6 + ":f", "os;import antigravity:f", "a b:f", "..os:system", "os:sys tem", "\0.py:f", "os:"]
)
def test_what_names_no_function(reference):
    with pytest.raises(ModelError, match="should read MODULE:FUNCTION"):
        load_function(reference)


def test_what_a_run_names_was_named_by_the_user_before(network, tmp_path, monkeypatch):
    assert not named.is_known(network) and not named.is_known("os:system")
    load_model(network)
    assert named.is_known(network) and not named.is_known("os:system") and not named.is_known("net_of_mine:other")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "net_of_mine.py").write_text((tmp_path / "net_of_mine.py").read_text())
    monkeypatch.chdir(tmp_path / "theirs")
    assert not named.is_known(network)  # of the same name, in another file


def test_what_others_may_write_is_not_believed(network, tmp_path):
    load_model(network)
    (tmp_path / "state" / "sciexplain" / "named").chmod(0o666)
    assert not named.is_known(network)


def test_looking_for_a_module_does_not_import_it(tmp_path, mark, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "package_of_others").mkdir()
    (tmp_path / "package_of_others" / "__init__.py").write_text(f"import os\nos.mkdir({str(mark)!r})")
    assert not named.is_known("package_of_others.models:make")


# -- results and records -------------------------------------------------------------------------------------------


DEEP = "[" * 200_000


def test_results_nested_without_end(tmp_path):
    sx.explain(nn.Linear(2, 2), torch.ones(1, 2)).save(tmp_path / "e")
    for text in (DEEP, '{"a":' * 200_000, "9" * 10_000, '"\\ud800"', "NaN", '{"format": 1, "relevance": {"dict": {}}}'):
        (tmp_path / "e.json").write_text(text)
        with pytest.raises(DataError):
            sx.load(tmp_path / "e")
        with pytest.raises(DataError):
            records.load(tmp_path / "e.json")


def test_a_pipe_is_no_file(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes here")
    os.mkfifo(tmp_path / "r.json")
    with pytest.raises(DataError, match="there is no such file"):
        records.load(tmp_path / "r.json")


@pytest.mark.parametrize(
    ("part", "value"),
    [("relevance", "a text"), ("output", None), ("score", {"tensor": "relevance"}), ("layers", []), ("method", 3)],
)
def test_results_of_other_types_than_they_have(part, value, tmp_path):
    sx.explain(nn.Linear(2, 2), torch.ones(1, 2)).save(tmp_path / "e")
    document = json.loads((tmp_path / "e.json").read_text())
    (tmp_path / "e.json").write_text(json.dumps({**document, part: value}))
    with pytest.raises(DataError, match="do not belong together"):
        sx.load(tmp_path / "e")


@pytest.fixture
def record():
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
    return images.explain(net, torch.rand(1, 1, 4, 4)).explanation.record(labels=["a", "b", "c"], measure=False)


def changed(record, tmp_path, **parts):
    document = {**record.document, **parts}
    (tmp_path / "r.json").write_text(json.dumps(document))
    return records.load(tmp_path / "r.json")


def test_a_record_unpacks_to_no_more_than_its_shape_says(record, tmp_path):
    (name, entry), *_ = record.document["relevance"].items()
    bomb = base64.b64encode(zlib.compress(bytes(1 << 28), 9)).decode()
    for shape in ([4], [2**40], [2**31, 2**31, 2**31], [-1], [2**14, 2**14, 2**14]):
        found = changed(record, tmp_path, relevance={name: {**entry, "zlib_base64": bomb, "shape": shape}})
        with memory_limit(512), pytest.raises(DataError, match="found an array"):
            found.relevance()


def test_a_record_of_another_form_is_refused(record, tmp_path):
    for part in ("decision", "input", "model", "relevance", "caveats", "conservation", "signed_off"):
        for value in (None, 3, "text", {}, [[]], {"a": 1}):
            with pytest.raises(DataError, match="no whole record"):
                changed(record, tmp_path, **{part: value})


@pytest.mark.parametrize("picture", ["", "no base64!", base64.b64encode(b"<svg onload=alert(1)>").decode(), "bomb"])
def test_the_picture_of_a_record_is_a_small_png(picture, record, tmp_path):
    if picture == "bomb":
        head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 100_000, 100_000) + bytes(9)
        picture = base64.b64encode(head).decode()
    with pytest.raises(DataError, match="picture is not what it should be; expected a PNG"):
        changed(record, tmp_path, picture=picture)


def test_numbers_of_a_record_can_be_printed(record, tmp_path):
    for number in (10**400, -(2**63) - 1):
        with pytest.raises(DataError, match=r"no whole record: decision\.score"):
            changed(record, tmp_path, decision={**record.document["decision"], "score": number})


def test_a_page_of_a_record_has_texts_alone(record, tmp_path):
    evil = "</td><script>alert(1)</script><img src=x onerror=alert(1)>"
    document = json.loads(json.dumps(record.document).replace('"a"', json.dumps(evil)))
    found = changed(
        record,
        tmp_path,
        **{
            **document,
            "kind": evil,
            "created": evil,
            "caveats": [evil],
            "versions": {evil: evil},
            "input": {"name": evil, "sha256": evil, "described": {evil: evil}},
            "signed_off": [dict.fromkeys(("name", "role", "statement", "date", "digest"), evil)],
        },
    )
    page = html(found)
    assert "<script" not in page and "<img src=x" not in page and page.count("&lt;script&gt;") > 9
    assert "default-src 'none'" in page


# -- archives ------------------------------------------------------------------------------------------------------


OUTSIDE = (
    "../../evil.txt",
    "/tmp/evil.txt",
    "a/../../evil.txt",
    "..\\..\\evil.txt",
    "C:\\evil.txt",
    "./evil.txt",
)


def made_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in members:
            archive.writestr(info, content)
    return path


def made_tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("make", [made_zip, made_tar])
def test_members_cannot_leave_their_folder(name, make, tmp_path):
    info = name if make is made_zip else tarfile.TarInfo(name)
    path, out = make(tmp_path / "a", [(info, b"evil")]), tmp_path / "b" / "c"
    out.mkdir(parents=True)
    before = {p for p in tmp_path.rglob("*")}
    (found,) = archives.unpack(path, ("evil.txt",), out)
    assert found == out / "evil.txt"
    assert {p for p in tmp_path.rglob("*")} - before == {found}
    assert not os.path.exists("/tmp/evil.txt")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_links_and_devices_are_not_read(kind, tmp_path):
    (tmp_path / "secret").write_text("secret")
    info = tarfile.TarInfo("a.txt")
    info.type, info.linkname = kind, str(tmp_path / "secret")
    path = made_tar(tmp_path / "a.tar.gz", [(info, b"")])
    assert list(archives.read_members(path, lambda name: True)) == []
    link = zipfile.ZipInfo("a.txt")
    link.external_attr = 0o120777 << 16
    path = made_zip(tmp_path / "a.zip", [(link, str(tmp_path / "secret"))])
    with pytest.raises(DataError, match=r"found no a\.txt"):
        archives.unpack(path, ("a.txt",), tmp_path)


def test_names_that_differ_in_case_or_folder_alone(tmp_path):
    path = made_zip(tmp_path / "a.zip", [("x/a.txt", b"1"), ("y/A.TXT", b"2")])
    with pytest.raises(DataError, match=r"found two files 'A\.TXT'"):
        list(archives.read_members(path, lambda name: True))


def test_archives_unpack_to_no_more_than_they_may(tmp_path, monkeypatch):
    zeros = bytes(1 << 26)
    packed = {
        "claimed": made_zip(tmp_path / "claimed", [("a.txt", zeros)]),
        "tar": made_tar(tmp_path / "tar", [(tarfile.TarInfo("a.txt"), zeros)]),
        "skipped": made_tar(tmp_path / "skipped", [(tarfile.TarInfo("b.txt"), zeros)]),
    }
    # a member that claims to be small
    content = bytearray(packed["claimed"].read_bytes())
    for place in (content.find(b"PK\x01\x02") + 24, 22):
        content[place : place + 4] = struct.pack("<I", 10)
    (tmp_path / "lying").write_bytes(content)
    for path in (*packed.values(), tmp_path / "lying"):
        with memory_limit(40), pytest.raises(DataError, match=r"it may unpack to|cannot be read as an"):
            list(archives.read_members(path, lambda name: name == "a.txt"))
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    for path in (
        made_zip(tmp_path / "many.zip", [(str(i), b"") for i in range(4)]),
        made_tar(tmp_path / "many.tar", [(tarfile.TarInfo(str(i)), b"") for i in range(4)]),
    ):
        with pytest.raises(DataError, match="members"):
            list(archives.read_members(path, lambda name: True))


def test_pickles_in_arrays_are_not_read(mark, tmp_path):
    np.savez(tmp_path / "x.npz", images=np.array([[Trap(mark)]], dtype=object))
    np.save(tmp_path / "x.npy", np.array([[Trap(mark)]], dtype=object))
    for name in ("x.npz", "x.npy"):
        with pytest.raises(DataError):
            list(images.read(tmp_path / name))


# -- the network ---------------------------------------------------------------------------------------------------


@pytest.fixture
def server():
    """What answers with what it is told to."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.server.status)
            for name, value in self.server.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(self.server.content)

        def log_message(self, *arguments):
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.status, made.headers, made.content = 200, {}, b""
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_a_server_cannot_point_to_a_file(server, tmp_path):
    pytest.importorskip("pooch")
    (tmp_path / "secret").write_text("secret")
    server.status, server.headers = 302, {"Location": f"file://{tmp_path / 'secret'}"}
    with pytest.raises(OSError, match="No connection adapters"):
        fetch._downloaded(f"http://127.0.0.1:{server.server_port}/x", str(tmp_path / "out"), None)
    assert (tmp_path / "out").read_bytes() == b""


def test_a_server_cannot_fill_the_disk(server, tmp_path, monkeypatch):
    pytest.importorskip("pooch")
    server.content, server.headers = gzip.compress(bytes(1 << 22)), {"Content-Encoding": "gzip"}
    monkeypatch.setattr(fetch, "_LARGEST", 1 << 16)
    with pytest.raises(ValueError, match="larger than 65536 bytes"):
        fetch._downloaded(f"http://127.0.0.1:{server.server_port}/x", str(tmp_path / "out"), None)
    assert (tmp_path / "out").stat().st_size <= 1 << 16


# -- what is written -----------------------------------------------------------------------------------------------


def test_a_link_in_a_folder_of_others_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "audit.json").symlink_to(tmp_path / "mine")
    written(tmp_path / "audit.json", lambda path: path.write_text("new"))
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "audit.json").read_text() == "new" and not (tmp_path / "audit.json").is_symlink()


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "@SUM(1)", "+1+1", "-2+3+cmd", "\t=1", "\r=1", "=HYPERLINK(1)"])
def test_no_text_is_a_formula(text):
    assert text_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["CCO", "+", "-", "+2", "-1.5e-3", "[Na+]", "a=b", "", "−5"])
def test_other_texts_stay_as_they_are(text):
    assert text_cell(text) == text


def test_safetensors_are_what_is_saved(tmp_path):
    """That the files of results are no pickles at all, whatever their name says."""
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    sx.explain(nn.Linear(2, 2), torch.ones(1, 2)).save(tmp_path / "e")
    for name in ("a.safetensors", "e.safetensors"):
        assert (tmp_path / name).read_bytes()[8:9] == b"{"
