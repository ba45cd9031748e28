"""Results as files: pictures as PNG, SVG or PDF, numbers as NPY or NPZ."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sciexplain.domains.images.explain import ImageExplanation
from sciexplain.domains.images.listing import PathName
from sciexplain.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Savable = Union["Figure", NDArray[Any], Tensor, ImageExplanation, Mapping[str, NDArray[Any] | Tensor]]


def save(path: PathName, item: Savable, *, dpi: int = 150) -> Path:
    """Write a figure, an image or numbers; the suffix of the path says how.

    Parameters
    ----------
    path
        ``.png`` takes a figure or an image (H, W, 3) in 0..1; ``.svg`` and ``.pdf`` take a figure; ``.npy``
        an array or a tensor; ``.npz`` an :class:`ImageExplanation` (``names``, ``relevance`` (N, C, H, W),
        ``heatmap`` (N, H, W), ``score`` (N,)) or a mapping of names to arrays. Folders are made.
    item
        What to write.
    dpi
        Dots per inch of a figure in PNG.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        The item cannot be written in this format.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix in (".png", ".svg", ".pdf") and hasattr(item, "savefig"):
        item.savefig(path, dpi=dpi)
    elif suffix == ".png" and isinstance(item, np.ndarray) and item.ndim == 3 and item.shape[-1] == 3:
        from PIL import Image

        Image.fromarray((item.clip(0, 1) * 255).round().astype(np.uint8)).save(path)
    elif suffix == ".npy" and isinstance(item, np.ndarray | Tensor):
        np.save(path, _array(item), allow_pickle=False)
    elif suffix == ".npz" and isinstance(item, ImageExplanation):
        names = np.array([picture.name for picture in item.pictures])
        parts = {"relevance": item.relevance, "heatmap": item.heatmap, "score": item.score}
        _savez(path, {"names": names, **parts})
    elif suffix == ".npz" and isinstance(item, Mapping):
        _savez(path, item)
    else:
        shape = f" of shape {tuple(item.shape)}" if isinstance(item, np.ndarray | Tensor) else ""
        raise InputError(
            f"{path.name}: a {type(item).__name__}{shape}; expected a figure or an image (H, W, 3) for .png, "
            "a figure for .svg and .pdf, an array for .npy, an ImageExplanation or a mapping for .npz; "
            "heatmaps become images by render()"
        )
    return path


def _savez(path: Path, parts: Mapping[str, Any]) -> None:
    arrays: dict[str, Any] = {name: _array(part) for name, part in parts.items()}
    np.savez_compressed(path, **arrays)


def _array(values: Any) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
