"""From pictures to a network's input, and from that input's relevance back to the pictures' own pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sciexplain.domains.images.arrays import picture_of
from sciexplain.domains.images.attempts import Picture
from sciexplain.domains.images.decode import MAX_PIXELS, Reading
from sciexplain.errors import DataError, InputError

Size = tuple[int, int]


@dataclass(frozen=True)
class Preprocess:
    """Resize, crop the centre, normalise: what most networks were evaluated with.

    Parameters
    ----------
    resize
        Length of the shorter side, or (rows, columns). Bilinear with antialiasing.
    crop
        Side of the central square to keep, or (rows, columns).
    mean, std
        Per channel or for all, on the scale where white is 1: the input is ``(picture − mean) / std``.

    Notes
    -----
    The same numbers as torchvision's ``Resize``, ``CenterCrop``, ``ToTensor``, ``Normalize`` give on a float
    tensor with ``antialias=True``; unlike there, a crop larger than the picture is refused, because pixels
    that exist in no picture could not be explained.

    Grey pictures are repeated to as many channels as ``mean`` or ``std`` name.

    Examples
    --------
    >>> imagenet = Preprocess(256, 224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    >>> [round(bound, 3) for bound in imagenet.low.flatten().tolist()]
    [-2.118, -2.036, -1.804]
    """

    resize: int | Size | None = None
    crop: int | Size | None = None
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        mean, std = _per_channel(self.mean), _per_channel(self.std)
        if len({len(mean), len(std)} - {1}) > 1 or not mean or not std:
            raise InputError(f"mean={self.mean} and std={self.std}; expected one number each, or one per channel")
        if min(std) <= 0:
            raise InputError(f"std={self.std}; expected numbers above 0")
        for name, value in (("resize", self.resize), ("crop", self.crop)):
            if value is not None and (len(_sides(value)) != 2 or min(_sides(value)) < 1):
                raise InputError(f"{name}={value}; expected a number of pixels, or (rows, columns)")

    @cached_property
    def channels(self) -> int | None:
        """Channels of the network's input, where ``mean`` or ``std`` name them."""
        named = max(len(_per_channel(self.mean)), len(_per_channel(self.std)))
        return named if named > 1 else None

    @property
    def low(self) -> Tensor:
        """(1, C, 1, 1): what black becomes, the lower bound of the z^B rule (Montavon et al. 2017)."""
        return self._normalised(torch.zeros(1, self.channels or 1, 1, 1))

    @property
    def high(self) -> Tensor:
        """(1, C, 1, 1): what white becomes, the upper bound of the z^B rule."""
        return self._normalised(torch.ones(1, self.channels or 1, 1, 1))

    def __call__(self, pictures: "Picture | NDArray[Any] | Sequence[Picture | NDArray[Any]]") -> Tensor:
        """Turn a picture into (C, H, W), or a sequence of them into (N, C, H, W), float32.

        Parameters
        ----------
        pictures
            :class:`Picture`, or arrays (H, W) or (H, W, C): uint8, uint16, or floats in 0..1.

        Raises
        ------
        InputError
            A crop larger than the picture, channels that do not fit, or inputs that differ in shape.
        """
        if isinstance(pictures, Picture | np.ndarray):
            return self._one(as_picture(pictures, "picture"))
        inputs = [self._one(as_picture(picture, f"picture {i}")) for i, picture in enumerate(pictures)]
        if not inputs:
            raise InputError("no pictures; expected at least one")
        if len(shapes := {tuple(one.shape) for one in inputs}) > 1:
            raise InputError(
                f"pictures become inputs of different shapes, {sorted(shapes)}; expected one shape: "
                "say resize=(rows, columns), or resize= and crop=; and read them with one mode="
            )
        return torch.stack(inputs)

    def to_display(self, inputs: Tensor) -> Tensor:
        """Undo the normalisation of (N, C, H, W): 0 is black, 1 is white."""
        mean, std = (self._shaped(value, inputs) for value in (self.mean, self.std))
        return inputs * std + mean

    def to_original(self, relevance: Tensor, size: Size) -> Tensor:
        """Carry relevance of the network's pixels back to the original pixels; the sum stays the same.

        Each network pixel is a weighted mean of original pixels, and hands its relevance back to them by
        these weights: the transpose of the resize operator, whose rows sum to one. Original pixels that were
        cropped away get 0.

        Parameters
        ----------
        relevance
            (..., H, W) on the network's pixels.
        size
            (rows, columns) of the original picture.

        Returns
        -------
        Tensor
            (..., rows, columns), in the dtype of ``relevance``.

        Raises
        ------
        InputError
            A picture of this size does not become an input of H × W.
        """
        resized = self._resized(size)
        top, left, height, width = self._kept(resized)
        if tuple(relevance.shape[-2:]) != (height, width):
            raise InputError(
                f"relevance of {tuple(relevance.shape[-2:])} pixels; a picture of {size} becomes an input of "
                f"{(height, width)} here"
            )
        rows = _resize_weights(size[0], resized[0])[top : top + height]
        columns = _resize_weights(size[1], resized[1])[left : left + width]
        rows, columns = (weights.to(relevance.device) for weights in (rows, columns))
        return (rows.T @ relevance.double() @ columns).to(relevance.dtype)

    def keeps_pixels(self, size: Size) -> bool:
        """Whether the input's pixels are the original ones, neither resized nor cropped."""
        resized = self._resized(size)
        return resized == tuple(size) and self._kept(resized) == (0, 0, *size)

    def _one(self, picture: Picture) -> Tensor:
        pixels = torch.from_numpy(picture.array).permute(2, 0, 1)
        if self.channels and len(pixels) == 1:
            pixels = pixels.expand(self.channels, -1, -1)
        if self.channels not in (None, len(pixels)):
            raise InputError(
                f"{picture.name}: {len(pixels)} channels; expected {self.channels}, as mean and std have: "
                "read it with mode='RGB' (three) or mode='L' (one)"
            )
        resized = self._resized(picture.size)
        if resized[0] * resized[1] > max(MAX_PIXELS, picture.size[0] * picture.size[1]):
            raise InputError(
                f"{picture.name}: {picture.size[0]} × {picture.size[1]} pixels to be resized to {resized[0]} × "
                f"{resized[1]}; expected at most {MAX_PIXELS} in all: say resize=(rows, columns)"
            )
        top, left, height, width = self._kept(resized, picture.name)
        if resized != picture.size:
            pixels = _resize(pixels, resized)
        # Interpolation may leave 0..1 by a rounding error, and the bounds of z^B must hold exactly.
        pixels = pixels[:, top : top + height, left : left + width].clamp(0, 1)
        return self._normalised(pixels[None])[0]

    def _normalised(self, pixels: Tensor) -> Tensor:
        mean, std = self._mean_std
        return (pixels - mean) / std

    @cached_property
    def _mean_std(self) -> tuple[Tensor, Tensor]:
        """For pixels as they are read, each of which wants them."""
        pixels = torch.empty(0)
        return self._shaped(self.mean, pixels), self._shaped(self.std, pixels)

    @staticmethod
    def _shaped(value: float | tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(_per_channel(value), dtype=like.dtype, device=like.device)[None, :, None, None]

    def _resized(self, size: Size) -> Size:
        if self.resize is None:
            return size[0], size[1]
        if not isinstance(self.resize, int):
            return _sides(self.resize)
        short, long = self.resize, int(self.resize * max(size) / min(size))
        return (short, long) if size[0] <= size[1] else (long, short)

    def _kept(self, resized: Size, name: str = "picture") -> tuple[int, int, int, int]:
        """Top, left, height and width of the crop."""
        if self.crop is None:
            return 0, 0, *resized
        height, width = _sides(self.crop)
        if height > resized[0] or width > resized[1]:
            raise InputError(
                f"{name}: {resized[0]} × {resized[1]} pixels to crop {height} × {width} from; "
                "expected at least as many: say resize="
            )
        return round((resized[0] - height) / 2), round((resized[1] - width) / 2), height, width


def as_picture(picture: Picture | NDArray[Any], name: str) -> Picture:
    """Accept an array (H, W) or (H, W, C) where a picture is expected; values as in :func:`read`."""
    if isinstance(picture, Picture):
        return picture
    if not isinstance(picture, np.ndarray) or picture.ndim not in (2, 3):
        shape = f" of shape {picture.shape}" if isinstance(picture, np.ndarray) else ""
        raise InputError(f"{name}: {type(picture).__name__}{shape}; expected a Picture or an array (H, W[, C])")
    try:
        return Picture(name, None, picture_of(picture, "HWC" if picture.ndim == 3 else "HW", Reading()))
    except DataError as error:
        raise InputError(f"{name}: {error}") from error


def _per_channel(value: float | tuple[float, ...]) -> tuple[float, ...]:
    return tuple(np.ravel(value).tolist())


def _sides(value: int | Size) -> Size:
    return (value, value) if isinstance(value, int) else value


def _resize(pixels: Tensor, size: Size) -> Tensor:
    """(C, h, w) to (C, *size) by antialiased bilinear interpolation."""
    if size[1] == 1:
        # torch 2.13 gets an output of one column wrong on the CPU.
        rows, columns = (_resize_weights(*sides).to(pixels) for sides in zip(pixels.shape[1:], size, strict=True))
        return rows @ pixels @ columns.T
    return F.interpolate(pixels[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]


def _resize_weights(before: int, after: int) -> Tensor:
    """(after, before) float64: the weights of antialiased bilinear resizing along one axis; rows sum to one.

    A triangle around each new pixel's centre, as wide as the scale when shrinking, cut at the border.
    """
    scale = before / after
    centres = (torch.arange(after, dtype=torch.float64) + 0.5) * scale
    distance = (torch.arange(before, dtype=torch.float64) + 0.5 - centres[:, None]).abs()
    weights = (1 - distance / max(scale, 1.0)).clamp(min=0)
    return weights / weights.sum(1, keepdim=True)
