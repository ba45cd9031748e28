"""Checksums, and the local folder; the published files of MNIST are in test_mnist.py."""

import dataclasses
import hashlib

import pytest

from sciexplain.datasets.fetch import Source, fetch
from sciexplain.errors import DataError


def no_network(*_, **__):
    raise ConnectionError("no route to host")


def giving(content):
    """What fetches nothing else, whatever is asked for."""

    def downloader(url, output_file, pooch):
        with open(output_file, "wb") as file:
            file.write(content)

    return downloader


@pytest.fixture
def cache(tmp_path, monkeypatch):
    import pooch

    monkeypatch.delenv("SCIEXPLAIN_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache")
    (tmp_path / "cache" / "x").mkdir(parents=True)
    return tmp_path / "cache" / "x"


SOURCE = Source(
    "https://example.org/data/x.zip",
    hashlib.sha256(b"published").hexdigest(),
    "molecules/x.zip",
    hashlib.sha256(b"local").hexdigest(),
)


def test_what_is_fetched_is_checked_before_it_is_used(cache, monkeypatch):
    monkeypatch.setattr("sciexplain.datasets.fetch._downloaded", giving(b"another"))
    with pytest.raises(DataError, match=r"X's x\.zip from https://example\.org/data/x\.zip differs from the published"):
        fetch(SOURCE, name="X")
    assert not list(cache.iterdir())
    monkeypatch.setattr("sciexplain.datasets.fetch._downloaded", giving(b"published"))
    assert fetch(SOURCE, name="X").read_bytes() == b"published"


def test_a_cached_file_is_checked_too(cache, monkeypatch):
    (cache / "x.zip").write_bytes(b"changed since")
    monkeypatch.setattr("sciexplain.datasets.fetch._downloaded", no_network)
    with pytest.raises(DataError, match="cannot be fetched"):
        fetch(SOURCE, name="X")
    (cache / "x.zip").write_bytes(b"published")
    assert fetch(SOURCE, name="X") == cache / "x.zip"


def test_an_md5_is_enough_where_others_give_no_more(cache, monkeypatch):
    source = dataclasses.replace(SOURCE, sha256=None, md5=hashlib.md5(b"published").hexdigest())
    monkeypatch.setattr("sciexplain.datasets.fetch._downloaded", giving(b"another"))
    with pytest.raises(DataError, match="differs"):
        fetch(source, name="X")
    monkeypatch.setattr("sciexplain.datasets.fetch._downloaded", giving(b"published"))
    assert fetch(source, name="X").read_bytes() == b"published"


def test_what_nobody_has_said_the_checksum_of_is_not_fetched(cache, monkeypatch, tmp_path):
    source = dataclasses.replace(SOURCE, url="https://example.org/data/y.zip", sha256=None)
    monkeypatch.setattr("sciexplain.datasets.fetch._downloaded", giving(b"published"))
    with pytest.raises(DataError, match=r"no published checksum.* put it at molecules/y\.zip in a folder"):
        fetch(source, name="X")
    (tmp_path / "molecules").mkdir()
    (tmp_path / "molecules" / "y.zip").write_bytes(b"fetched by hand")
    monkeypatch.setenv("SCIEXPLAIN_DATA", str(tmp_path))
    assert fetch(source, name="X") == tmp_path / "molecules" / "y.zip"


@pytest.mark.parametrize(
    "url", ["http://example.org/x.zip", "file:///etc/passwd", "ftp://example.org/x", "/etc/passwd"]
)
def test_only_https_is_an_address(url):
    with pytest.raises(DataError, match="expected one that begins with https"):
        dataclasses.replace(SOURCE, url=url)


def test_without_network_says_what_to_do(cache, monkeypatch):
    monkeypatch.setattr("sciexplain.datasets.fetch._downloaded", no_network)
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
