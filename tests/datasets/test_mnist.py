import gzip
import hashlib
import struct

import numpy as np
import pytest

from sciexplain import datasets
from sciexplain.datasets import mnist
from sciexplain.errors import DataError


@pytest.fixture
def no_local_data(monkeypatch):
    monkeypatch.delenv("SCIEXPLAIN_DATA", raising=False)


def publish(folder, monkeypatch, seed=0):
    """A small MNIST at a mirror made of files, so that pooch itself fetches and checks."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for part, count in (("train", 7), ("t10k", 3)):
        arrays[f"{part}-images-idx3-ubyte.gz"] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{part}-labels-idx1-ubyte.gz"] = rng.integers(0, 10, count, dtype=np.uint8)
    digests = {}
    for name, values in arrays.items():
        header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
        content = gzip.compress(header + values.tobytes(), mtime=0)
        (folder / name).write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(mnist, "_SHA256", digests)
    return arrays


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, filled like pooch would, since the network may be away."""
    import pooch

    folder = tmp_path / "cache"
    monkeypatch.setattr(pooch, "os_cache", lambda project: folder)
    (folder / "mnist").mkdir(parents=True)
    return folder / "mnist"


def test_cached_files_make_one_data_set(no_local_data, cache, monkeypatch):
    arrays = publish(cache, monkeypatch)
    data = datasets.load("mnist")
    images = np.concatenate([arrays["train-images-idx3-ubyte.gz"], arrays["t10k-images-idx3-ubyte.gz"]])
    np.testing.assert_allclose(data.images, images / 255, rtol=1e-6)
    np.testing.assert_array_equal(data.labels[data.train], arrays["train-labels-idx1-ubyte.gz"])
    np.testing.assert_array_equal(data.labels[data.test], arrays["t10k-labels-idx1-ubyte.gz"])


def no_network(*_, **__):
    raise ConnectionError("no route to host")


def test_without_network_and_cache_says_what_to_do(no_local_data, cache, monkeypatch):
    monkeypatch.setattr("pooch.retrieve", no_network)
    with pytest.raises(DataError, match=r"connect to the network once, .* set SCIEXPLAIN_DATA"):
        datasets.load("mnist")


def test_download_that_differs_is_refused(no_local_data, cache, monkeypatch, tmp_path):
    publish(tmp_path, monkeypatch)

    def downloader(url, output_file, caller):
        with open(output_file, "wb") as file:
            file.write(b"another file")

    monkeypatch.setattr("sciexplain.datasets.fetch._downloaded", downloader)
    with pytest.raises(DataError, match="differs from the published file"):
        datasets.load("mnist")
    assert not list(cache.iterdir())


def test_local_test_set(shared_data, monkeypatch):
    path = shared_data("images/mnist_test_10k.npz")
    monkeypatch.setenv("SCIEXPLAIN_DATA", str(path.parent.parent))
    monkeypatch.setattr("pooch.retrieve", no_network)
    data = datasets.load("mnist")
    with np.load(path) as raw:
        np.testing.assert_allclose(data.images[data.test] * 255, raw["images"], atol=1e-4)
        np.testing.assert_array_equal(data.labels[data.test], raw["labels"])
    assert len(data.train) == 0


def test_local_file_that_differs_is_refused(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mnist_test_10k.npz").write_bytes(b"another file")
    monkeypatch.setenv("SCIEXPLAIN_DATA", str(tmp_path))
    with pytest.raises(DataError, match="damaged or another file"):
        datasets.load("mnist")
