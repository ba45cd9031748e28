"""Pictures and relevance in the form that a page holds: ``data:`` URLs, and whole numbers with their step."""

from __future__ import annotations

import base64
import io
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain.domains.images.attempts import Picture
from sciexplain.domains.images.heatmap import grey
from sciexplain.domains.images.preprocess import Preprocess

_SMALL = 128 * 128
"""Up to so many pixels, nothing is lost: pictures are PNG, relevance has 16 bits."""
_QUALITY = 88
_FILE_SIDE = 320


def shown(picture: Picture | NDArray[np.float32]) -> NDArray[np.uint8]:
    """(H, W, 3) as a person sees it: three channels are red, green and blue, any other number is grey."""
    array = picture.array if isinstance(picture, Picture) else picture
    if array.shape[-1] != 3:
        array = grey(Picture("", None, array))[..., None].repeat(3, axis=-1)
    return np.rint(array.clip(0, 1) * 255).astype(np.uint8)


def picture_url(pixels: NDArray[np.uint8]) -> str:
    """A ``data:`` URL of (H, W, 3): PNG for small pictures, JPEG for photographs.

    Examples
    --------
    >>> picture_url(np.zeros((2, 2, 3), np.uint8))[:22]
    'data:image/png;base64,'
    """
    from PIL import Image

    exact = pixels.shape[0] * pixels.shape[1] <= _SMALL
    image = Image.fromarray(pixels)
    if exact and (pixels == pixels[..., :1]).all():
        image = image.convert("L")
    buffer = io.BytesIO()
    if exact:
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=_QUALITY)
    return f"data:image/{'png' if exact else 'jpeg'};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def stored(values: NDArray[np.float32]) -> dict[str, Any]:
    """Relevance as whole numbers of 16 bits, of 8 for large pictures, times a step; read back true to half a step.

    Numbers that are not finite become 0.

    Returns
    -------
    dict
        ``bits``, ``step``, and ``data``: the numbers in row-major order, little-endian, deflated (RFC 1950), in base64.

    Examples
    --------
    >>> made = stored(np.array([[-1.0, 0.5]], np.float32))
    >>> made["bits"], np.frombuffer(zlib.decompress(base64.b64decode(made["data"])), "<i2").tolist()
    (16, [-32767, 16384])
    """
    exact = np.nan_to_num(np.asarray(values, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    bits, most, form = (16, 32767, "<i2") if exact.size <= _SMALL else (8, 127, "i1")
    step = float(np.abs(exact).max(initial=0)) / most or 1.0
    whole = np.rint(exact / step).astype(form)
    return {"bits": bits, "step": step, "data": base64.b64encode(zlib.compress(whole.tobytes(), 9)).decode()}


def input_of(picture: Picture, preprocess: Preprocess) -> dict[str, Any]:
    """What a page shows of a picture: the pixels that the model gets, and the file's where these are others.

    Returns
    -------
    dict
        ``src``: the model's pixels, normalisation undone. Where the picture is resized or cropped on the way also
        ``note``, and ``file``: ``src``, ``size`` (rows, columns) and ``kept`` (top, left, height and width of what is
        left, as shares).
    """
    pixels = model_pixels(picture, preprocess)
    made: dict[str, Any] = {"src": picture_url(shown(pixels))}
    if preprocess.keeps_pixels(picture.size):
        return made
    height, width = pixels.shape[:2]
    whole = replace(preprocess, crop=None)(picture).shape[-2:] if preprocess.crop is not None else (height, width)
    kept = height / whole[0], width / whole[1]
    how = [word for word, so in (("resized", tuple(whole) != picture.size), ("cropped", kept != (1.0, 1.0))) if so]
    made["note"] = (
        f"The model gets {width} × {height} pixels: the picture of {picture.size[1]} × {picture.size[0]} is "
        f"{' and '.join(how)} for it. Relevance is shown on the model's pixels."
    )
    made["file"] = {
        "src": picture_url(_reduced(shown(picture))),
        "size": list(picture.size),
        "kept": [(1 - kept[0]) / 2, (1 - kept[1]) / 2, *kept],
    }
    return made


def model_pixels(picture: Picture, preprocess: Preprocess) -> NDArray[np.float32]:
    """(H, W, C) in 0..1: what the model gets of a picture, normalisation undone."""
    pixels: NDArray[np.float32] = preprocess.to_display(preprocess(picture)[None])[0].permute(1, 2, 0).numpy()
    return pixels.clip(0, 1)


def _reduced(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((_FILE_SIDE, _FILE_SIDE))
    return np.asarray(image)
