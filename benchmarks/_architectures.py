"""The zoo's register: architectures by name, each with random weights in float64 and a small input.

Builders import their library when called, so that a part of the zoo needs only what it is made of.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import _graphs
import _networks as own
import _transformers
import _vision
import torch
from _cases import Architecture, Case, call, dna, image, molecule, randomize, sequence
from torch import nn


def network(make: Callable[[], nn.Module], inputs: Callable[[], Any], target: Any = 1) -> Case:
    return Case(make(), inputs(), target)


OWN: dict[str, tuple[str, Callable[[], nn.Module], Callable[[], Any]]] = {
    "RNN tanh, two layers": ("recurrent", partial(own.Recurrent, nn.RNN, 5, 6, num_layers=2), sequence),
    "RNN relu": ("recurrent", partial(own.Recurrent, nn.RNN, 5, 6, nonlinearity="relu"), sequence),
    "LSTM": ("recurrent", partial(own.Recurrent, nn.LSTM, 5, 6), sequence),
    "LSTM bidirectional": (
        "recurrent",
        partial(own.Recurrent, nn.LSTM, 5, 6, num_layers=2, bidirectional=True),
        sequence,
    ),
    "LSTM projected": ("recurrent", partial(own.Recurrent, nn.LSTM, 5, 6, num_layers=2, proj_size=4), sequence),
    "GRU": ("recurrent", partial(own.Recurrent, nn.GRU, 5, 6), sequence),
    "GRU bidirectional": (
        "recurrent",
        partial(own.Recurrent, nn.GRU, 5, 6, num_layers=2, bidirectional=True),
        sequence,
    ),
    "GRU and LSTM cells": ("recurrent", partial(own.CellLoop, 5, 6), sequence),
    "packed LSTM on tokens": (
        "recurrent",
        own.PackedTagger,
        lambda: torch.tensor([[5, 3, 9, 4, 0, 0], [7, 2, 2, 8, 6, 3]]),
    ),
    "CNN-LSTM": ("recurrent", partial(own.ConvolutionalRecurrent, 5, nn.LSTM), lambda: torch.randn(1, 5, 24)),
    "CNN-GRU": ("recurrent", partial(own.ConvolutionalRecurrent, 5, nn.GRU), lambda: torch.randn(1, 5, 24)),
    "BPNet": ("genomics", own.BPNet, partial(dna, 100)),
    "Basset": ("genomics", own.Basset, partial(dna, 200)),
    "DanQ": ("genomics", own.DanQ, partial(dna, 200)),
    "Enformer block": ("genomics", own.Enformer, partial(dna, 64)),
    "U-Net": ("vision", own.UNet, partial(image, 32)),
    "VAE": ("dense", own.VAE, lambda: torch.randn(1, 10)),
    "mixture of experts": ("dense", own.MixtureOfExperts, lambda: torch.randn(1, 8)),
    "Transformer": (
        "attention",
        partial(nn.Transformer, 8, 2, 2, 2, 16, batch_first=True),
        lambda: (torch.randn(1, 5, 8), torch.randn(1, 4, 8)),
    ),
    "message passing by hand": ("graph", own.MessagePassing, lambda: molecule()),
}

#: name → family and builder
ZOO: dict[str, Architecture] = {
    **{
        f"torchvision {n}": Architecture("torchvision", partial(_vision.torchvision, n, **o))
        for n, o in _vision.TORCHVISION.items()
    },
    **{f"torchvision {n}": Architecture("torchvision", partial(_vision.segmentation, n)) for n in _vision.SEGMENTATION},
    **{f"timm {n}": Architecture("timm", partial(_vision.timm, n, **o)) for n, o in _vision.TIMM.items()},
    **{
        f"transformers {n}": Architecture(
            "transformers", partial(_transformers.transformer, **{"kind": n, "head": head} | options)
        )
        for n, (head, options) in _transformers.TRANSFORMERS.items()
    },
    **{n: Architecture(family, partial(network, make, inputs)) for n, (family, make, inputs) in OWN.items()},
    **{
        f"PyG {n}": Architecture("graph", partial(_graphs.graph, make, edges))
        for n, (make, edges) in _graphs.GRAPH.items()
    },
    "PyG AttentiveFP": Architecture("graph", _graphs.attentive_fp),
}


def build(name: str, seed: int = 0) -> Case:
    """The named case in float64, in evaluation mode, with nothing at a trivial value; the same every time."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            case = ZOO[name].build()
            model = case.model.double().eval()
            with torch.no_grad():
                call(model, case.inputs)  # lazy layers take their shapes
            randomize(model, case.inputs)
            return Case(model, case.inputs, case.target)
    finally:
        torch.set_default_dtype(before)
