"""Intermediate concepts: relevance by channels and subspaces of any layer (CRP, Achtibat et al. 2023)."""

from .channels import channel_relevance
from .conditional import ConditionalRelevance, conditional
from .graph import ConceptGraph, graph
from .ranking import Ranked, Ranking
from .top import Concepts, top
from .windows import Window, window

__all__ = [
    "ConceptGraph",
    "Concepts",
    "ConditionalRelevance",
    "Ranked",
    "Ranking",
    "Window",
    "channel_relevance",
    "conditional",
    "graph",
    "top",
    "window",
]
