"""LRP in the frame of ``torch_geometric.explain``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch_geometric.explain import ExplainerAlgorithm, Explanation
from torch_geometric.explain.config import MaskType, ModelMode

import sciexplain as sx
from sciexplain.domains.molecules.blocks import colours_of
from sciexplain.errors import InputError


class LRPExplainer(ExplainerAlgorithm):
    """Layer-wise relevance propagation as an algorithm of ``torch_geometric.explain.Explainer``.

    Masks are signed relevance, in the unit of the explained logit: ``node_mask`` of the features (``"attributes"``), of
    nodes (``"object"``) or of features over all nodes (``"common_attributes"``); ``edge_mask`` what passes along each
    column of ``edge_index``, averaged over the message-passing layers (equal columns share it). What stays on a node,
    through self-loops that a layer adds too, is in no column.

    Explained is the logit of the target class (a final softmax or sigmoid is stepped over), of every row in ``index``,
    all together; for a single logit of two classes, what speaks for the target: class 0 is explained as minus the
    logit. Features of edges are given, not explained.

    Parameters
    ----------
    composite
        LRP rules, by name or as a :class:`sciexplain.Composite`; ε where none is given.

    Examples
    --------
    >>> import torch
    >>> from torch_geometric.explain import Explainer
    >>> from torch_geometric.nn import GCN
    >>> explainer = Explainer(
    ...     GCN(3, 8, 2, out_channels=4),
    ...     LRPExplainer(),
    ...     explanation_type="model",
    ...     node_mask_type="attributes",
    ...     edge_mask_type="object",
    ...     model_config={"mode": "multiclass_classification", "task_level": "node", "return_type": "raw"},
    ... )
    >>> explanation = explainer(torch.rand(4, 3), torch.tensor([[0, 1, 2], [1, 2, 3]]), index=3)
    >>> explanation.node_mask.shape, explanation.edge_mask.shape
    (torch.Size([4, 3]), torch.Size([3]))
    """

    def __init__(self, composite: sx.Composite | str | None = None) -> None:
        super().__init__()
        self.composite = composite

    def supports(self) -> bool:
        """Whether the settings of the ``Explainer`` can be answered."""
        return True  # all that ``Explainer`` accepts

    @torch.no_grad()
    def forward(
        self,
        model: torch.nn.Module,
        x: Tensor,
        edge_index: Tensor,
        *,
        target: Tensor,
        index: int | Tensor | None = None,
        **kwargs: Any,
    ) -> Explanation:
        """The explanation of the rows ``index`` of the model's output (all, where None)."""
        if isinstance(x, dict) or isinstance(edge_index, dict):
            raise InputError("LRPExplainer explains graphs with one kind of node and edge; these are of several kinds.")
        layers = sx.linearize(
            lambda x: model(x, edge_index, **kwargs),
            {"x": x},
            self._objective(target, index),
            sites=len(x),
            places={"x": None},
            composite=self.composite,
        )
        assert isinstance(layers.relevance, dict)
        relevance, kind = layers.relevance["x"], self.explainer_config.node_mask_type
        node_mask = None
        if kind == MaskType.attributes:
            node_mask = relevance
        elif kind == MaskType.object:
            node_mask = relevance.flatten(1).sum(1, keepdim=True)
        elif kind == MaskType.common_attributes:
            node_mask = relevance.sum(0, keepdim=True)
        edge_mask = _along(edge_index, layers) if self.explainer_config.edge_mask_type == MaskType.object else None
        return Explanation(node_mask=node_mask, edge_mask=edge_mask)

    def _objective(self, target: Tensor, index: int | Tensor | None) -> Callable[[Any], Tensor]:
        mode = self.model_config.mode

        def objective(output: Tensor) -> Tensor:
            rows = output.reshape(1, -1) if output.ndim == 0 else output
            chosen = torch.zeros(len(rows), dtype=rows.dtype, device=rows.device)
            chosen[torch.arange(len(rows)) if index is None else index] = 1.0
            if mode == ModelMode.regression:
                values = rows.flatten(1).sum(1) if rows.ndim > 1 else rows
            elif rows.ndim == 1 or rows.shape[1] == 1:
                values = rows.reshape(-1) * (2 * target.reshape(-1).to(rows) - 1)
            else:
                values = rows.gather(1, target.reshape(-1, 1).long())[:, 0]
            return values * chosen

        return objective


def _along(edge_index: Tensor, layers: sx.Linearization) -> Tensor:
    """(E,): what passes along each column, averaged over the layers."""
    n = layers.sites
    keys, columns, counts = torch.unique(edge_index[0] * n + edge_index[1], return_inverse=True, return_counts=True)
    total = torch.zeros(len(keys), dtype=layers.at(0).dtype)
    for layer in range(1, layers.depth + 1):
        start, end, passing = layers.flows(layer) or _by_colours(edge_index, layers, layer)
        found = torch.searchsorted(keys, start * n + end).clamp(max=len(keys) - 1)
        known = (keys[found] == start * n + end) & (start != end) if len(keys) else torch.zeros_like(start).bool()
        total.index_add_(0, found[known], passing[known] / layers.depth)
    return (total / counts)[columns]


def _by_colours(edge_index: Tensor, layers: sx.Linearization, layer: int) -> tuple[Tensor, Tensor, Tensor]:
    """(from, to, relevance) along the edges, one backward pass for all nodes that share no neighbour."""
    n = layers.sites
    nodes = torch.arange(n)
    source, to = torch.cat([edge_index[0], nodes]), torch.cat([edge_index[1], nodes])
    source, to = torch.unique(torch.stack([source, to]), dim=1)
    colours, passing = colours_of(source, to, n), torch.zeros(len(source), dtype=layers.at(0).dtype)
    for colour in range(int(colours.max()) + 1 if n else 0):
        slopes = [
            s * (colours[c.place] == colour).to(s).reshape(-1, *(1,) * (s.ndim - 1))
            for s, c in zip(layers.slopes(layer), layers.cuts[layer - 1], strict=True)
        ]
        first = layer == 1
        at_node = layers.pull_to_input(slopes) if first else layers.reaching(layer - 1, layers.pull(layer, slopes))
        mine = colours[to] == colour
        passing[mine] = at_node[source[mine]]
    return source, to, passing
