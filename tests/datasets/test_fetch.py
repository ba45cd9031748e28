"""Trust on first use, and the local folder; the published files of MNIST are in test_mnist.py."""

import hashlib

import pytest

from sciexplain.datasets.fetch import Source, fetch
from sciexplain.errors import DataError


def no_network(*_, **__):
    raise ConnectionError("no route to host")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    import pooch

    monkeypatch.delenv("SCIEXPLAIN_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache")
    (tmp_path / "cache" / "x").mkdir(parents=True)
    return tmp_path / "cache" / "x"


SOURCE = Source("https://example.org/data/x.zip", None, "molecules/x.zip", hashlib.sha256(b"local").hexdigest())


def test_first_download_is_believed_and_then_held_to(cache, monkeypatch):
    (cache / "x.zip").write_bytes(b"first")
    with pytest.warns(UserWarning, match=r"No checksum of X's x\.zip is known"):
        assert fetch(SOURCE, name="X") == cache / "x.zip"
    assert (cache / "x.zip.sha256").read_text() == hashlib.sha256(b"first").hexdigest() + "\n"
    assert fetch(SOURCE, name="X").read_bytes() == b"first"

    (cache / "x.zip").write_bytes(b"second")

    def downloader(url, output_file, caller):
        with open(output_file, "wb") as file:
            file.write(b"third")

    monkeypatch.setattr("pooch.core.choose_downloader", lambda *_, **__: downloader)
    with pytest.raises(DataError, match="differs from what was fetched first"):
        fetch(SOURCE, name="X")


def test_without_network_says_what_to_do(cache, monkeypatch):
    monkeypatch.setattr("pooch.core.choose_downloader", no_network)
    with pytest.raises(DataError, match=r"connect to the network once.* SCIEXPLAIN_DATA to a folder with molecules/x"):
        fetch(SOURCE, name="X")


def test_local_folder_goes_first_and_is_checked(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("SCIEXPLAIN_DATA", str(tmp_path))
    (cache / "x.zip").write_bytes(b"cached")
    (tmp_path / "molecules").mkdir()
    (tmp_path / "molecules" / "x.zip").write_bytes(b"local")
    assert fetch(SOURCE, name="X") == tmp_path / "molecules" / "x.zip"
    (tmp_path / "molecules" / "x.zip").write_bytes(b"changed")
    with pytest.raises(DataError, match="damaged or another file"):
        fetch(SOURCE, name="X")
