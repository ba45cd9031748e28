"""How a model takes expression: as (N, genes), (N, genes, 1), or as nodes of a graph with their links."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from sciexplain._evaluation import evaluation_mode
from sciexplain.domains.genomics.expression.gene_network import GeneNetwork
from sciexplain.errors import InputError, ModelError

Model = Callable[..., Any]
Layout = Literal["genes", "channel", "nodes"]

_SHAPES = {"genes": "(N, genes)", "channel": "(N, genes, 1)", "nodes": "(N · genes, 1) and edge_index"}


def as_called(model: Model, inputs: Tensor, network: GeneNetwork | None = None, layout: Layout | None = None) -> Model:
    """The model as a function of (N, genes), whatever its own layout.

    Parameters
    ----------
    model
        A callable.
    inputs
        (N, genes): the first of them is tried.
    network
        For a model whose forward takes ``edge_index``: its links, its genes in the order of the inputs.
    layout
        What the user says; None: nodes where the forward has an argument ``edge_index``, or else what works.

    Raises
    ------
    InputError
        The model takes none of them, or a network is missing or not taken.
    """
    taken = _arguments(model)
    if layout is not None and layout not in _SHAPES:
        raise InputError(f"layout={layout!r}; expected one of {', '.join(map(repr, _SHAPES))}.")
    if layout == "nodes" or (layout is None and "edge_index" in taken):
        if network is None:
            raise InputError("The model takes edge_index; give the network of genes, network=.")
        return _over_nodes(model, network, taken)
    if network is not None:
        raise InputError(
            "network= is for a model whose forward takes edge_index; this one does not, so that its network is its own "
            "(as in GeneGraphCNN) or none."
        )
    return _arranged(model, layout or _found(model, inputs[:1]))


def _arguments(model: Model) -> list[str]:
    try:
        return list(inspect.signature(getattr(model, "forward", model)).parameters)
    except (TypeError, ValueError):
        return []


def _arranged(model: Model, layout: Layout) -> Model:
    return model if layout == "genes" else lambda x: model(x[..., None])


def _found(model: Model, one: Tensor) -> Layout:
    reasons = []
    tried: tuple[Layout, ...] = ("genes", "channel")
    for layout in tried:
        try:
            with evaluation_mode(model), torch.no_grad():
                _arranged(model, layout)(one)
            return layout
        except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:
            reasons.append(f"{_SHAPES[layout]}: {str(error).partition(chr(10))[0]}")
    raise InputError(
        f"The model takes the expression of {one.shape[1]} genes in no layout that was tried ({'; '.join(reasons)}). "
        "The genes must be those that it was trained with, in that order; Expression.with_genes puts them so."
    )


def _over_nodes(model: Model, network: GeneNetwork, taken: list[str]) -> Model:
    both = torch.from_numpy(network.edges.T.copy())
    edges = torch.cat([both, both.flip(0)], 1)
    weights = torch.from_numpy(network.weights).repeat(2)

    def call(x: Tensor) -> Any:
        n, g = x.shape
        if g != len(network):
            raise ModelError(f"Expression of {g} genes, but a network of {len(network)}.")
        first = torch.arange(n, device=x.device).repeat_interleave(edges.shape[1]) * g
        given = {
            "edge_weight": weights.to(x).repeat(n),
            "batch": torch.arange(n, device=x.device).repeat_interleave(g),
        }
        links = edges.to(x.device).repeat(1, n) + first
        return model(x.reshape(n * g, 1), links, **{name: value for name, value in given.items() if name in taken})

    return call
