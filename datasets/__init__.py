"""Named data sets: small ones built in, larger ones fetched, checked and cached."""

from sciexplain.datasets.labelled import LabelledImages
from sciexplain.datasets.registry import describe, load, names

__all__ = ["LabelledImages", "describe", "load", "names"]
