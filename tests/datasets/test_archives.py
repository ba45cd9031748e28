"""Members of archives as they are; what they must not do is in test_security.py."""

import io
import tarfile
import zipfile

import pytest

from sciexplain.datasets.archives import Member, read_members, unpack
from sciexplain.errors import DataError

CONTENT = {"x/a.txt": b"first", "x/y/b.csv": b"second" * 1000, "c": b""}


def packed(path):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in CONTENT.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
            for name, content in CONTENT.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_members_by_their_last_names(name, tmp_path):
    path = packed(tmp_path / name)
    expected = [Member(inside.rpartition("/")[2], content) for inside, content in CONTENT.items()]
    assert list(read_members(path, lambda inside: True)) == expected
    assert list(read_members(path, lambda inside: inside.startswith("x/y"))) == expected[1:2]


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_unpacking_some(name, tmp_path):
    path = packed(tmp_path / name)
    found = unpack(path, ("c", "a.txt"), tmp_path)
    assert [(one.name, one.read_bytes()) for one in found] == [("c", b""), ("a.txt", b"first")]
    with pytest.raises(DataError, match=r"found no d\.txt, e; expected an archive that holds them"):
        unpack(path, ("d.txt", "e"), tmp_path)
    with pytest.raises(DataError, match="is no name of a file"):
        unpack(path, ("x/a.txt",), tmp_path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut", b"\x1f\x8b\x08\0 cut"])
def test_what_is_no_archive(content, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as an archive"):
        list(read_members(tmp_path / "a", lambda inside: True))
    with pytest.raises(DataError, match="cannot be read as an archive"):
        list(read_members(tmp_path / "none", lambda inside: True))
