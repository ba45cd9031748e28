"""Each picture that should be there is one attempt, wherever reading begins."""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sciexplain.domains import images
from sciexplain.domains.images.attempts import Attempt, Attempts
from sciexplain.domains.images.decode import Reading
from sciexplain.errors import DataError, InputError

GREY = np.random.default_rng(0).integers(0, 256, (4, 5, 7), dtype=np.uint8)
NOT_FINITE = np.where(np.arange(4)[:, None, None] == 2, np.nan, GREY / 255)


def cut(path: Path, write: Callable[[Path], object], share: float = 0.6) -> None:
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def write_png(path: Path) -> None:
    Image.fromarray(GREY[0]).save(path)


def write_tiff(path: Path) -> None:
    tifffile.imwrite(path, GREY, photometric="minisblack")


def write_packed(path: Path) -> None:
    first, *others = map(Image.fromarray, GREY)
    first.save(path, save_all=True, append_images=others, compression="tiff_lzw")


FILES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "good": (".png", write_png, "1"),
    "no picture": (".jpg", lambda path: path.write_text("none"), "0"),
    "cut": (".bmp", lambda path: cut(path, write_png), "0"),
    "stack": (".tif", write_tiff, "1111"),
    "packed": (".tiff", write_packed, "1111"),
    "cut stack": (".tif", lambda path: cut(path, write_tiff, 0.1), "0"),
    "array": (".npy", lambda path: np.save(path, GREY), "1111"),
    "one of them bad": (".npy", lambda path: np.save(path, NOT_FINITE), "1101"),
    "archive": (".npz", lambda path: np.savez_compressed(path, images=GREY[:2]), "11"),
    "damaged archive": (".npz", lambda path: damaged(path), "1110"),
    "no archive": (".npz", lambda path: path.write_bytes(b"PK"), "0"),
    "objects": (".npy", lambda path: np.save(path, np.array([{}]), allow_pickle=True), "0"),
}
"""Suffix, what writes the file, and which of its attempts go well."""


def damaged(path: Path) -> None:
    """Four pictures; that some of them are damaged is found out at their end."""
    rng = np.random.default_rng(1)
    np.savez_compressed(path, images=rng.integers(0, 40, (4, 64, 64), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[7500:8000] = bytes(500)
    path.write_bytes(bytes(content))


def outline(found: list[Attempt]) -> list[tuple[str, str]]:
    return [(name, "0" if isinstance(one, DataError) else "1") for name, one in found]


@settings(max_examples=40)
@given(st.lists(st.sampled_from(sorted(FILES)), min_size=1, max_size=6), st.data())
def test_reading_from_any_place_on_is_the_rest_of_reading(kinds: list[str], data: st.DataObject) -> None:
    with TemporaryDirectory() as made:
        folder = Path(made)
        for number, kind in enumerate(kinds):
            suffix, write, _ = FILES[kind]
            below = folder / ("a" if number % 2 else "b")
            below.mkdir(exist_ok=True)
            write(below / f"{number}{suffix}")
        found = list(images.attempts(folder))
        in_order = [kinds[n] for n in (*range(1, len(kinds), 2), *range(0, len(kinds), 2))]
        assert "".join(well for _, well in outline(found)) == "".join(FILES[kind][2] for kind in in_order)
        assert images.count(folder) == len(found)
        assert len(dict(found)) == len(found)
        start = data.draw(st.integers(0, len(found) + 1))
        later = list(images.attempts(folder, start=start))
        assert outline(later) == outline(found[start:])
        for (_, one), (_, other) in zip(later, found[start:], strict=True):
            if isinstance(one, images.Picture) and isinstance(other, images.Picture):
                np.testing.assert_array_equal(one.array, other.array)
        assert [p.name for p in images.read(folder, on_error=lambda *_: None)] == [
            name for name, well in outline(found) if well == "1"
        ]
        some = data.draw(st.sets(st.integers(0, len(found) + 1)))
        at = list(Attempts(folder, Reading()).at(some))
        assert outline(at) == [outline(found)[n] for n in sorted(some) if n < len(found)]


def test_only_what_is_wanted_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        write_png(tmp_path / f"{number}.png")
    write_tiff(tmp_path / "4.tif")
    opened: list[str] = []
    module = import_module(Attempts.__module__)
    before = module._opened
    monkeypatch.setattr(module, "_opened", lambda path, reading: opened.append(path.name) or before(path, reading))
    assert images.count(tmp_path) == 8 and opened == ["4.tif"]
    opened.clear()
    assert [name for name, _ in images.attempts(tmp_path, start=3)] == ["3.png", *(f"4.tif[{n}]" for n in range(4))]
    assert opened == ["3.png", "4.tif"]


def test_a_file_that_is_gone_by_then_is_one_attempt(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_png(tmp_path / name)
    np.save(tmp_path / "c.npy", GREY)
    reading = images.attempts(tmp_path)
    assert isinstance(next(reading)[1], images.Picture)
    (tmp_path / "b.png").unlink()
    (tmp_path / "c.npy").unlink()
    (name, gone), (other, also) = reading
    assert (name, other) == ("b.png", "c.npy")
    assert str(gone) == "b.png: found no file of this name; expected a picture" and isinstance(also, DataError)


def test_a_stack_that_has_been_counted_stays_as_long(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY)
    write_png(tmp_path / "b.png")
    everything = Attempts(tmp_path, Reading())
    assert len(everything) == 5
    np.save(tmp_path / "a.npy", GREY[:2])
    assert outline(list(everything.read())) == [
        *((f"a.npy[{n}]", "1" if n < 2 else "0") for n in range(4)),
        ("b.png", "1"),
    ]
    (tmp_path / "a.npy").unlink()
    assert outline(list(everything.read(2))) == [("a.npy[2]", "0"), ("a.npy[3]", "0"), ("b.png", "1")]


def test_single_files_places_and_lists(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=GREY)
    write_png(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    path = tmp_path / "x.npz"
    assert images.count(path) == 4
    assert images.count(f"{path}[2]") == images.count(tmp_path / "a.png") == images.count(tmp_path / "pipe.png") == 1
    listed = [f"{path}[3]", f"{path}[4]", path, tmp_path / "a.png", tmp_path / "pipe.png"]
    found = outline(list(images.attempts(listed)))
    assert images.count(listed) == len(found) == 8
    assert [name.removeprefix(f"{tmp_path}/") for name, _ in found] == [
        "x.npz[3]", "x.npz[4]", *(f"x.npz[{n}]" for n in range(4)), "a.png", "pipe.png",
    ]  # fmt: skip
    assert "".join(well for _, well in found) == "10111110"


def test_folders_that_are_missing_or_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for call in (images.count, lambda folder: next(images.attempts(folder)), lambda folder: next(images.read(folder))):
        with pytest.raises(DataError, match="found no pictures"):
            call(tmp_path / "empty")
    with pytest.raises(InputError, match="expected 0 or more"):
        next(images.attempts(tmp_path / "a.png", start=-1))


def test_links_are_not_followed_in_circles(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    write_png(tmp_path / "below" / "a.png")
    (tmp_path / "below" / "up").symlink_to(tmp_path)
    (tmp_path / "b.png").symlink_to(tmp_path / "below" / "a.png")
    (tmp_path / "c.png").symlink_to(tmp_path / "nowhere.png")
    assert [name for name, _ in images.attempts(tmp_path)] == ["b.png", "below/a.png"]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    for name in (b"\xff.png", "é\n.png".encode()):
        write_png(Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))))
    names = [name for name, found in images.attempts(tmp_path) if isinstance(found, images.Picture)]
    assert names == ["é\n.png", "\\udcff.png"]
