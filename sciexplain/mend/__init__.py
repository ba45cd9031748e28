"""Mend a model that was caught cheating, once a person has confirmed the artefact."""

from . import data
from .compensation import Compensated, artefact_direction, clarc
from .differentiable import Relevance, relevance
from .fine_tuning import Epoch, Mended, fine_tuned
from .reasons import right_reasons

__all__ = [
    "Compensated",
    "Epoch",
    "Mended",
    "Relevance",
    "artefact_direction",
    "clarc",
    "data",
    "fine_tuned",
    "relevance",
    "right_reasons",
]
