"""Peers that need a helping hand to import here. For benchmarks and tests only; the package never imports them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch

_LIBRARY: list[Any] = []


def torchvision() -> ModuleType:
    """torchvision, whose compiled operators may be missing for this torch: ``nms`` is declared first."""
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARY.append(library)  # its definitions go when it does
    import torchvision

    return torchvision


def zennit() -> ModuleType:
    """zennit 0.5, which imports torchvision."""
    torchvision()
    import zennit
    import zennit.attribution
    import zennit.canonizers
    import zennit.composites
    import zennit.rules
    import zennit.torchvision
    import zennit.types

    return zennit


def transformers() -> ModuleType:
    """transformers, which imports torchvision."""
    torchvision()
    import transformers

    return transformers


def lxt() -> ModuleType:
    """LXT 2.1, which imports two helpers for pruning heads that transformers 5 has no more; it does not use them."""
    helpers = transformers().pytorch_utils
    for name in ("find_pruneable_heads_and_indices", "prune_linear_layer"):
        if not hasattr(helpers, name):
            setattr(helpers, name, None)
    import lxt.efficient

    return lxt
