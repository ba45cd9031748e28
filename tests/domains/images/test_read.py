"""Files of every kind against the samples that were written into them."""

import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from sciexplain.domains import images
from sciexplain.domains.images.arrays import layout_of
from sciexplain.errors import DataError

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RGB[..., 0]
GREY16 = (GREY.astype(np.uint16) << 8) + RGB[..., 1]
ALPHA = np.full((5, 7, 1), 51, np.uint8)
LUMA = RGB / 255 @ np.array([0.299, 0.587, 0.114])


def save(path: Path, mode: str, samples: np.ndarray, **options: object) -> None:
    picture = Image.fromarray(samples)
    assert picture.mode == mode
    picture.save(path, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".ppm"])
def test_colour_and_modes(tmp_path: Path, suffix: str) -> None:
    save(tmp_path / f"a{suffix}", "RGB", RGB)
    picture = images.read_one(tmp_path / f"a{suffix}")
    assert picture.array.dtype == np.float32 and picture.size == (5, 7)
    np.testing.assert_allclose(picture.array, RGB / 255, atol=1e-7)
    grey = images.read_one(tmp_path / f"a{suffix}", "L").array
    np.testing.assert_allclose(grey[..., 0], LUMA, atol=1e-6)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
@pytest.mark.parametrize(("samples", "white"), [(GREY, 255), (GREY16, 65535)])
def test_grey_keeps_one_channel_and_all_bits(tmp_path: Path, suffix: str, samples: np.ndarray, white: int) -> None:
    Image.fromarray(samples).save(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(images.read_one(tmp_path / f"a{suffix}").array[..., 0], samples / white, atol=1e-7)
    colour = images.read_one(tmp_path / f"a{suffix}", "RGB").array
    np.testing.assert_allclose(colour, np.repeat(samples[..., None] / white, 3, -1), atol=1e-7)


def test_black_and_white_png(tmp_path: Path) -> None:
    Image.fromarray(GREY > 127).save(tmp_path / "a.png")
    np.testing.assert_array_equal(images.read_one(tmp_path / "a.png").array[..., 0], GREY > 127)


@pytest.mark.parametrize("background", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_lies_on_the_background(tmp_path: Path, background: float, suffix: str) -> None:
    save(tmp_path / f"c{suffix}", "RGBA", np.concatenate([RGB, ALPHA], -1))
    save(tmp_path / f"g{suffix}", "LA", np.concatenate([GREY[..., None], ALPHA], -1))
    for name, stored in (("c", RGB), ("g", GREY[..., None])):
        picture = images.read_one(tmp_path / f"{name}{suffix}", background=background)
        np.testing.assert_allclose(picture.array, 0.2 * stored / 255 + 0.8 * background, atol=1e-6)


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putdata([0, 1])
    picture.save(tmp_path / "opaque.png")
    picture.save(tmp_path / "a.png", transparency=1)
    np.testing.assert_array_equal(images.read_one(tmp_path / "opaque.png").array, [[[1, 0, 0], [0, 0, 1]]])
    np.testing.assert_array_equal(images.read_one(tmp_path / "a.png").array, [[[1, 0, 0], [1, 1, 1]]])


def test_16_bit_grey_with_a_transparent_value(tmp_path: Path) -> None:
    samples = np.array([[1000, 2000]], np.uint16)

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 2, 1, 16, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" + samples.astype(">u2").tobytes())
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tRNS", struct.pack(">H", 2000))
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )
    array = images.read_one(tmp_path / "a.png").array
    np.testing.assert_allclose(array[0, :, 0], [1000 / 65535, 1], atol=1e-7)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_rgb(tmp_path: Path, suffix: str) -> None:
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[:] = (255, 0, 51, 102)
    Image.fromarray(ink, mode="CMYK").save(tmp_path / f"a{suffix}", **({"quality": 100} if suffix == ".jpg" else {}))
    expected = (1 - ink[0, 0, :3] / 255) * (1 - ink[0, 0, 3] / 255)
    np.testing.assert_allclose(images.read_one(tmp_path / f"a{suffix}").array[8, 8], expected, atol=0.02)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".png", {}),
        (".jpg", {"quality": 100, "subsampling": 0}),
        (".tif", {}),
        (".tif", {"compression": "tiff_lzw"}),
    ],
)
def test_orientation_is_undone(tmp_path: Path, orientation: int, suffix: str, options: dict) -> None:
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :16] = 255
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}", exif=exif, **options)
    array = images.read_one(tmp_path / f"a{suffix}").array
    bright_rows, bright_columns = (array[..., 0].mean(axis) > 0.3 for axis in (1, 0))
    # Where the stored top left corner belongs, by the definition of the tag.
    top = orientation in (1, 2, 5, 6)
    left = orientation in (1, 4, 5, 8)
    assert array.shape == ((16, 24, 3) if orientation < 5 else (24, 16, 3))
    assert bright_rows[0] == top and bright_rows[-1] != top
    assert bright_columns[0] == left and bright_columns[-1] != left


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("samples", [RGB, GREY, GREY16], ids=["rgb", "grey", "grey16"])
def test_tiff_compressions(tmp_path: Path, compression: str, samples: np.ndarray) -> None:
    Image.fromarray(samples).save(tmp_path / "a.tif", compression=compression)
    white = np.iinfo(samples.dtype).max
    np.testing.assert_allclose(images.read_one(tmp_path / "a.tif").array.squeeze(), samples / white, atol=1e-7)


def test_tiff_pages_are_pictures(tmp_path: Path) -> None:
    stack = np.stack([GREY16, GREY16 // 2, GREY16 // 3])
    tifffile.imwrite(tmp_path / "s.tif", stack, photometric="minisblack")
    pictures = list(images.read(tmp_path / "s.tif"))
    assert [picture.name for picture in pictures] == ["s.tif[0]", "s.tif[1]", "s.tif[2]"]
    for picture, page in zip(pictures, stack, strict=True):
        np.testing.assert_allclose(picture.array[..., 0], page / 65535, atol=1e-7)
    again = images.read_one(f"{tmp_path / 's.tif'}[1]")
    assert (again.name, again.path) == ("s.tif[1]", tmp_path / "s.tif")
    np.testing.assert_array_equal(again.array, pictures[1].array)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_packed_tiff_pages_are_pictures(tmp_path: Path, compression: str) -> None:
    stack = np.stack([GREY, GREY // 2, GREY // 3])
    first, *others = map(Image.fromarray, stack)
    first.save(tmp_path / "s.tif", save_all=True, append_images=others, compression=compression)
    for picture, page in zip(images.read(tmp_path / "s.tif"), stack, strict=True):
        np.testing.assert_allclose(picture.array[..., 0], page / 255, atol=1e-7)
    np.testing.assert_allclose(images.read_one(f"{tmp_path}/s.tif[2]").array[..., 0], stack[2] / 255, atol=1e-7)


def test_tiff_planes_floats_and_inverted_grey(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "planar.tif", RGB.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    np.testing.assert_allclose(images.read_one(tmp_path / "planar.tif").array, RGB / 255, atol=1e-7)
    unit = (GREY / 255).astype(np.float32)
    tifffile.imwrite(tmp_path / "float.tif", unit, photometric="minisblack")
    np.testing.assert_array_equal(images.read_one(tmp_path / "float.tif").array[..., 0], unit)
    tifffile.imwrite(tmp_path / "white0.tif", GREY, photometric="miniswhite")
    np.testing.assert_allclose(images.read_one(tmp_path / "white0.tif").array[..., 0], 1 - GREY / 255, atol=1e-6)
    five = np.concatenate([RGB, RGB[..., :2]], -1)
    tifffile.imwrite(tmp_path / "five.tif", five, photometric="minisblack", planarconfig="contig")
    np.testing.assert_allclose(images.read_one(tmp_path / "five.tif").array, five / 255, atol=1e-7)


def test_tiff_palette(tmp_path: Path) -> None:
    quantised = Image.fromarray(RGB).quantize(16)
    quantised.save(tmp_path / "p.tif")
    np.testing.assert_allclose(
        images.read_one(tmp_path / "p.tif").array, np.asarray(quantised.convert("RGB")) / 255, atol=1e-7
    )


def test_premultiplied_tiff(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.concatenate([RGB // 5, ALPHA], -1),
        photometric="rgb",
        extrasamples=["assocalpha"],
    )
    np.testing.assert_allclose(
        images.read_one(tmp_path / "a.tif", background=0.5).array, (RGB // 5) / 255 + 0.4, atol=1e-6
    )


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((28, 28), "HW"),
        ((10, 28, 28), "NHW"),
        ((1, 28, 28), "NHW"),
        ((28, 28, 3), "HWC"),
        ((28, 28, 1), "HWC"),
        ((28, 28, 4), "HWC"),
        ((10, 28, 28, 3), "NHWC"),
        ((10, 3, 28, 28), "NCHW"),
        ((10, 1, 28, 28), "NCHW"),
    ],
)
def test_layout_rule(shape: tuple[int, ...], layout: str) -> None:
    assert layout_of(shape) == layout


@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 28, 3), (2, 3, 28, 3), (2, 5, 28, 28), (5,), (1, 2, 3, 4, 5)])
def test_unclear_layouts_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="shape"):
        layout_of(shape)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("axes", "layout"), [((0, 1, 2, 3), None), ((0, 3, 1, 2), None), ((0, 3, 1, 2), "NCHW")])
def test_npz_gives_each_picture(tmp_path: Path, compressed: bool, axes: tuple[int, ...], layout: str | None) -> None:
    stack = np.random.default_rng(1).integers(0, 256, (4, 5, 7, 3), dtype=np.uint8)
    write = np.savez_compressed if compressed else np.savez
    stored = np.ascontiguousarray(stack.transpose(axes))
    write(tmp_path / "x.npz", images=stored, labels=np.arange(4), masks=np.zeros((4, 5, 7), bool))
    pictures = list(images.read(tmp_path / "x.npz", layout=layout))
    assert [picture.name for picture in pictures] == [f"x.npz[{i}]" for i in range(4)]
    for picture, samples in zip(pictures, stack, strict=True):
        np.testing.assert_allclose(picture.array, samples / 255, atol=1e-7)
    third = images.read_one(f"{tmp_path}/x.npz[2]", layout=layout)
    np.testing.assert_array_equal(third.array, pictures[2].array)
    assert images.read_one(f"{tmp_path}/x.npz[1]", key="masks").array.max() == 0


def test_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", RGB)
    np.save(tmp_path / "many.npy", np.stack([GREY, GREY // 2]))
    np.save(tmp_path / "first.npy", RGB.transpose(2, 0, 1))
    np.testing.assert_allclose(images.read_one(tmp_path / "one.npy").array, RGB / 255, atol=1e-7)
    second = list(images.read(tmp_path / "many.npy"))[1]
    assert second.name == "many.npy[1]"
    np.testing.assert_allclose(second.array[..., 0], (GREY // 2) / 255, atol=1e-7)
    np.testing.assert_allclose(images.read_one(tmp_path / "first.npy", layout="CHW").array, RGB / 255, atol=1e-7)
    with pytest.raises(DataError, match="more than one meaning"):
        images.read_one(tmp_path / "first.npy")


def test_white_names_the_scale(tmp_path: Path) -> None:
    np.save(tmp_path / "twelve.npy", np.array([[0, 4095]], np.uint16))
    np.testing.assert_array_equal(images.read_one(tmp_path / "twelve.npy", white=4095).array.ravel(), [0, 1])


def test_folders_and_lists(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    for name in ("b/2.png", "b/c/1.JPG", "a.png", ".hidden/x.png"):
        Image.fromarray(RGB).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    assert [path.relative_to(tmp_path).as_posix() for path in images.list_images(tmp_path)] == [
        "a.png",
        "b/2.png",
        "b/c/1.JPG",
    ]
    assert [picture.name for picture in images.read(tmp_path)] == ["a.png", "b/2.png", "b/c/1.JPG"]
    listed = [tmp_path / "b" / "2.png", tmp_path / "a.png", tmp_path / "b" / "c"]
    assert [picture.name for picture in images.read(listed)] == [
        path.as_posix() for path in (*listed[:2], tmp_path / "b/c/1.JPG")
    ]
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        with pytest.raises(DataError, match=folder):
            images.list_images(tmp_path / folder)


def broken(folder: Path) -> dict[str, str]:
    """Files that cannot be read, and what the message must say of each."""
    save(folder / "whole.png", "RGB", np.tile(RGB, (40, 40, 1)))
    whole = (folder / "whole.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("not a picture")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.tif").write_text("not a picture")
    (folder / "text.npz").write_text("not an archive")
    (folder / "notes.txt").write_text("not a picture")
    np.save(folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(folder / "two.npz", x=np.zeros((4, 5, 5)), y=np.zeros((4, 5, 5)))
    np.savez(folder / "order.npz", images=np.asfortranarray(np.zeros((4, 5, 5))))
    np.save(folder / "bright.npy", np.full((5, 5), 300.0))
    return {
        "cut.png": "truncated",
        "text.png": "begins as none of PNG",
        "empty.jpg": "begins as none of PNG",
        "text.tif": "does not begin as a TIFF does",
        "text.npz": "cannot be decoded",
        "notes.txt": "ending in '.txt'",
        "objects.npy": "type object",
        "two.npz": "x (4, 5, 5), y (4, 5, 5)",
        "order.npz": "Fortran order",
        "bright.npy": "from 300 to 300",
        "missing.png": "no file",
    }


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    reasons = broken(tmp_path)
    for name, words in reasons.items():
        with pytest.raises(DataError) as caught:
            list(images.read(tmp_path / name))
        message = str(caught.value)
        assert message.startswith(f"{name}: found ") and words in message and "expected" in message
    failed: dict[str, DataError] = {}
    files = [tmp_path / name for name in (*reasons, "whole.png")]
    read = [picture.name for picture in images.read(files, on_error=failed.__setitem__)]
    assert read == [(tmp_path / "whole.png").as_posix()]
    assert list(failed) == [(tmp_path / name).as_posix() for name in reasons]


def test_one_bad_picture_in_an_archive(tmp_path: Path) -> None:
    stack = np.zeros((4, 4, 5))
    stack[1, 2, 2] = np.nan
    np.savez(tmp_path / "x.npz", images=stack)
    failed: list[str] = []
    read = [p.name for p in images.read(tmp_path / "x.npz", on_error=lambda name, error: failed.append(name))]
    assert (read, failed) == (["x.npz[0]", "x.npz[2]", "x.npz[3]"], ["x.npz[1]"])


def test_places_that_are_not_there(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 4, 5)))
    with pytest.raises(DataError, match=r"x.npz\[2\]: found no picture 2"):
        images.read_one(tmp_path / "x.npz[2]")
    with pytest.raises(DataError, match="more than one picture"):
        images.read_one(tmp_path / "x.npz")


def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path) -> None:
    # A valid header of 60 000 × 60 000 pixels with nothing behind it: decoding it would fail otherwise.
    body = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + b"\0\0\0\0IDAT")
    save(tmp_path / "a.png", "RGB", RGB)
    tifffile.imwrite(tmp_path / "a.tif", RGB)
    np.save(tmp_path / "a.npy", GREY)
    np.savez(tmp_path / "a.npz", images=GREY[None])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match="pixels"):
            images.read_one(tmp_path / "bomb.png")
        for suffix in (".png", ".tif", ".npy", ".npz"):
            with pytest.raises(DataError, match="7 × 5 pixels; expected 1 to 34"):
                images.read_one(tmp_path / f"a{suffix}", max_pixels=34)
            assert images.read_one(tmp_path / f"a{suffix}", max_pixels=35).size == (5, 7)


def test_reading_is_lazy(tmp_path: Path) -> None:
    save(tmp_path / "a.png", "RGB", RGB)
    pictures = images.read([tmp_path / "a.png", tmp_path / "missing.png"])
    assert next(pictures).size == (5, 7)
    with pytest.raises(DataError, match="missing"):
        next(pictures)


def test_mnist(shared_data: Callable[[str], Path]) -> None:
    path = shared_data("images/mnist_test_10k.npz")
    with np.load(path) as stored:
        raw = stored["images"][[0, 9_999]]
    for index, samples in zip((0, 9_999), raw, strict=True):
        picture = images.read_one(f"{path}[{index}]")
        assert picture.name == f"mnist_test_10k.npz[{index}]"
        np.testing.assert_allclose(picture.array[..., 0], samples / 255, atol=1e-7)
