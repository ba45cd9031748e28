"""Files that were made to exhaust a machine, or to take it over, are refused in little memory."""

import io
import lzma
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from sciexplain.domains import images
from sciexplain.errors import DataError

MUCH = 5 * 10**7
LITTLE = 10**7
GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


@contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < LITTLE
    finally:
        tracemalloc.stop()


def refused(path: Path, content: bytes, words: str) -> None:
    """The one attempt at this file fails with these words, and takes little memory."""
    path.write_bytes(content)
    list(images.attempts(path))  # what is imported once is not the file's
    with little_memory():
        ((name, error),) = images.attempts(path)
    assert name == path.name and isinstance(error, DataError) and words in str(error), error
    assert len(str(error)) < 600 and "\n" not in str(error)


def chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(*chunks: bytes, width: int = 1, height: int = 1) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def test_png(tmp_path: Path) -> None:
    packed = zlib.compress(bytes(MUCH), 9)
    path = tmp_path / "a.png"
    refused(path, png(width=100_000, height=100_000), "100000 × 100000 pixels")
    refused(path, png(chunk(b"zTXt", b"Comment\0\0" + packed)), "too large")
    refused(path, png(chunk(b"iTXt", b"Comment\0\1\0\0\0" + packed)), "too large")
    refused(path, png(chunk(b"iCCP", b"profile\0\0" + packed)), "too large")
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**6), 9))
    refused(path, png(*[text] * 80), "Too much memory")


def test_pictures_of_little_pixels_in_much_data_are_read_in_little_memory(tmp_path: Path) -> None:
    content = png()
    there = content.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(content[:there] + chunk(b"IDAT", zlib.compress(bytes(MUCH), 9)) + content[-12:])
    (tmp_path / "a.tif").write_bytes(tiff((259, 3, 1, 34925), data=lzma.compress(bytes(MUCH))))
    with little_memory():
        assert images.read_one(tmp_path / "a.png").size == (1, 1)
        assert images.read_one(tmp_path / "a.tif").size == (10, 10)


def test_jpeg_of_many_scans(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("L", (4096, 4096)).save(stream, "JPEG", progressive=True)
    content = stream.getvalue()
    scan = content[content.rindex(b"\xff\xda") : -2]
    refused(tmp_path / "a.jpg", content[:-2] + scan * 1000 + content[-2:], "scans over 16777216 pixels")
    few = content[:-2] + scan * 3 + content[-2:]
    (tmp_path / "b.jpg").write_bytes(few)
    assert images.read_one(tmp_path / "b.jpg").size == (4096, 4096)


def test_other_formats_of_too_many_pixels(tmp_path: Path) -> None:
    refused(tmp_path / "a.ppm", b"P6 100000 100000 255\n", "100000 × 100000 pixels")
    header = struct.pack("<IiiHHIIiiII", 40, 100_000, 100_000, 1, 24, 0, 0, 1, 1, 0, 0)
    refused(tmp_path / "a.bmp", b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header, "100000 × 100000 pixels")
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + b"\xff\xff\xff" + b"\xff\0\0"
    body = b"WEBP" + canvas
    refused(tmp_path / "a.webp", b"RIFF" + struct.pack("<I", len(body)) + body, "4294967296 pixels")


def test_a_long_animation_is_its_first_picture(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(GREY, n, 0)).convert("RGB") for n in range(300)]
    for kind in ("webp", "png"):
        frames[0].save(tmp_path / f"a.{kind}", save_all=True, append_images=frames[1:], loop=0, lossless=True)
        ((_, found),) = images.attempts(tmp_path / f"a.{kind}")
        assert isinstance(found, images.Picture)
        np.testing.assert_allclose(found.array[..., 0], GREY / 255, atol=1e-6)


def test_files_that_are_far_larger_than_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    Image.fromarray(GREY).save(path)
    with path.open("ab") as file:
        file.truncate(2**36)  # of which nothing is on the disk
    ((_, error),) = images.attempts(path)
    assert isinstance(error, DataError) and "a file of 68719476736 bytes" in str(error)


Tag = tuple[int, int, int, int]


def tiff(*tags: Tag, data: bytes = b"", following: int = 0) -> bytes:
    """A page of 10 × 10 pixels, unless tags say otherwise; the data begin at byte 200."""
    known: dict[int, list[Tag]] = {
        code: [(code, kind, count, value)]
        for code, kind, count, value in (
            (256, 4, 1, 10), (257, 4, 1, 10), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
            (273, 4, 1, 200), (277, 3, 1, 1), (278, 4, 1, 10), (279, 4, 1, max(100, len(data))),
        )
    }  # fmt: skip
    for tag in tags:
        known[tag[0]] = [*(one for one in known.get(tag[0], []) if one in tags), tag]
    entries = [tag for code in sorted(known) for tag in known[code]]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *tag) for tag in entries)
    return (b"II*\0\x08\0\0\0" + directory + struct.pack("<I", following)).ljust(200, b"\0") + (data or bytes(100))


def tiled(width: int, height: int) -> tuple[Tag, ...]:
    return (322, 4, 1, width), (323, 4, 1, height), (324, 4, 1, 200), (325, 4, 1, 100)


def test_the_plain_page_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(data=bytes([51]) * 100))
    np.testing.assert_allclose(images.read_one(tmp_path / "a.tif").array, np.full((10, 10, 1), 0.2), atol=1e-6)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (tiff((256, 4, 1, 10**5), (257, 4, 1, 10**5)), "100000 × 100000 pixels"),
        (tiff((277, 3, 1, 65535), (256, 4, 1, 8000), (257, 4, 1, 8000)), "65535 channels"),
        (tiff((256, 4, 1, 2000), (257, 4, 1, 2000)), "cannot be decoded"),
        (tiff((256, 4, 1, 8192), (257, 4, 1, 8192), *tiled(1, 1)), "1 strips or tiles; expected 67108864"),
        (tiff((257, 4, 1, 2**26), (256, 4, 1, 1), (278, 4, 1, 1), (259, 3, 1, 8)), "expected 67108864"),
        (tiff(*tiled(2**31 - 1, 2**31 - 1), (259, 3, 1, 8)), "2147483647 × 2147483647 pixels"),
        (tiff(*tiled(2**15, 2**14), (259, 3, 1, 5)), "32768 × 16384 pixels"),
        (tiff((273, 4, 2**30, 8), (279, 4, 2**30, 8)), "with tags of 8.59e+09 bytes"),
        (tiff(*[(30000 + n, 7, 10**6, 8) for n in range(200)], data=bytes(10**6)), "with tags of 2e+08 bytes"),
        (tiff(*[(330, 4, 250_000, 8)] * 500, data=bytes(10**6)), "with tags of 5e+08 bytes"),
        (tiff((279, 4, 1, 10**9), (259, 3, 1, 8)), "1000000000 bytes of strips"),
        (tiff((259, 3, 1, 8), data=zlib.compress(bytes(2 * MUCH), 9)), "unpack to far more"),
        (b"II*\0\xff\0\0\0", "page 0, said to be at byte 255 of 8, which is not there"),
        (b"II*\0\0\0\0\0", "no pages"),
        (b"II", "does not begin as a TIFF does"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tiff(tmp_path: Path, content: bytes, words: str) -> None:
    refused(tmp_path / "a.tif", content, words)


def test_strips_that_are_all_the_same_bytes(tmp_path: Path) -> None:
    """8192 rows that are each packed into the same three megabytes: 24 GB to read."""
    rows = 8192
    packed = zlib.compress(np.random.default_rng(0).bytes(3 * 10**6), 0)
    tags = (
        (256, 4, 1, rows), (257, 4, 1, rows), (259, 3, 1, 8), (278, 4, 1, 1),
        (273, 4, rows, 200), (279, 4, rows, 200 + 4 * rows),
    )  # fmt: skip
    places = struct.pack("<I", 200 + 8 * rows) * rows + struct.pack("<I", len(packed)) * rows
    refused(tmp_path / "a.tif", tiff(*tags, data=places + packed), "bytes of strips or tiles for a picture of 67108864")


@pytest.mark.parametrize("back", [0, 5, 120])
def test_a_chain_of_pages_in_a_circle_breaks_off(tmp_path: Path, back: int) -> None:
    """The pages before that are read, and that something is wrong is told."""
    one = len(tiff()[:122])  # a directory of nine tags, after the head
    pages, count = b"", 150
    for place in range(count):
        following = 8 + (one - 8) * (place + 1 if place < count - 1 else back)
        pages += tiff((273, 4, 1, 8), following=following)[8:one]
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0" + pages)
    found = list(images.attempts(tmp_path / "a.tif"))
    assert len(found) == images.count(tmp_path / "a.tif") == count + 1
    assert all(isinstance(one, images.Picture) for _, one in found[:-1])
    assert "which is an earlier page" in str(found[-1][1])


def test_tiff_descriptions_are_not_expanded(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 20}">' for n in range(9))
    text = f'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "{"a" * 50}">{entities}]><OME>&j;</OME>'
    tifffile.imwrite(tmp_path / "a.tif", GREY, description=text, metadata=None)
    assert images.read_one(tmp_path / "a.tif").size == GREY.shape


@pytest.mark.parametrize("options", [{"imagej": True}, {"metadata": {"truncate": True}}, {}])
def test_stacks_behind_one_page_are_not_cut_to_their_first_picture(tmp_path: Path, options: dict) -> None:
    stack = np.stack([GREY] * 5)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, photometric="minisblack", **options)
    whole = len(list(images.read(path)))
    assert whole == 5
    content = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        second = file.pages[1].offset
    first = content.index(struct.pack("<I", second))  # where the first page says where the next one is
    path.write_bytes(content[:first] + bytes(4) + content[first + 4 :])
    refused(path, path.read_bytes(), "5 pictures behind 1 TIFF pages")


def header(shape: str, kind: str = "|u1", *, order: str = "False") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text) + 1) + text + b"\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header("(10**12, 28, 28)"), "cannot be decoded"),
        (header("(1000000000000, 28, 28)"), "expected all of it"),
        (header("(1000000000000, 28, 28)", order="True"), "expected all of it"),
        (header("(1000000000000, 0, 28)"), "holds no pictures"),
        (header("(0, 28, 28)"), "holds no pictures"),
        (header("(9, -28, -28)") + bytes(9000), "holds no pictures"),
        (header("(1000000000000, 28, 28)", "|V0"), "expected integers or floats"),
        (header("(1, 1)", "|O") + b"cos\nsystem\n(S'touch owned'\ntR.", "expected integers or floats"),
        (header("(1, 1)", "<c8") + bytes(8), "expected integers or floats"),
        (header("(1, 100000, 100000)") + bytes(1000), "expected all of it"),
        (b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1) + b" " * 100, "cannot be decoded"),
        (b"\x93NUMPY\1\0" + struct.pack("<H", 2000) + b"(" * 2000, "cannot be decoded"),
        (header("(" + "9" * 5000 + ", 2, 2)"), "cannot be decoded"),
        (b"\x80\4cos\nsystem\n(S'touch owned'\ntR.", "cannot be decoded"),
        (b"", "cannot be decoded"),
    ],
)
def test_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    refused(tmp_path / "a.npy", content, words)
    (tmp_path / "a.npy").unlink()
    refused(tmp_path / "a.npz", archive(content), words)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def archive(content: bytes, name: str = "images.npy", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as made:
        made.writestr(name, content)
    return stream.getvalue()


def lying(content: bytes, size: int, packed: int) -> bytes:
    """The archive, whose only member is said to be of other sizes."""
    there = content.rindex(b"PK\1\2")
    return content[: there + 20] + struct.pack("<II", packed, size) + content[there + 28 :]


def test_archives_that_unpack_to_far_more(tmp_path: Path) -> None:
    many = header("(4000000000, 1, 1)")
    path = tmp_path / "a.npz"
    refused(path, lying(archive(many), 4 * 10**9 + 200, 4 * 10**9), "bytes of the file, which cannot hold as much")
    stored = archive(many, method=zipfile.ZIP_STORED)
    refused(path, lying(stored, 4 * 10**9 + 200, 4 * 10**9 + 200), "bytes of the file, which cannot hold as much")
    refused(path, archive(b"\x93NUMPY\2\0" + struct.pack("<I", MUCH) + bytes(MUCH)), "cannot be decoded")
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        refused(path, archive(header("(10000, 10, 10)") + bytes(10**6), method=method), "does not write")


def test_archives_are_unpacked_a_picture_at_a_time(tmp_path: Path) -> None:
    """A thousandfold, as for masks that are empty: time, but no memory."""
    (tmp_path / "a.npz").write_bytes(archive(header("(100, 1000, 500)") + bytes(MUCH)))
    with little_memory():
        assert sum(isinstance(one, images.Picture) for _, one in images.attempts(tmp_path / "a.npz")) == 100


def test_names_in_archives_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    path = tmp_path / "below" / "a.npz"
    path.write_bytes(archive(header("(1, 2, 2)") + bytes(4), "../../owned.npy"))
    assert [name for name, _ in images.attempts(path)] == ["a.npz[0]"]
    path.write_bytes(archive(header("(1, 2, 2)") + bytes(4), f"{tmp_path}/owned.npy"))
    assert [name for name, _ in images.attempts(path)] == ["a.npz[0]"]
    assert [one.name for one in tmp_path.rglob("*")] == ["below", "a.npz"]
    refused(path, archive(header("(2,)"), "\x1b[2J\n.npy"), r"\x1b[2J\n")
