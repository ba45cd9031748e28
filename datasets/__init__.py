"""Named data sets: small ones built in, larger ones fetched, checked and cached."""

from sciexplain.datasets.labelled import LabelledImages
from sciexplain.datasets.molecules import LabelledMolecules, read_table
from sciexplain.datasets.registry import describe, load, names

__all__ = ["LabelledImages", "LabelledMolecules", "describe", "load", "names", "read_table"]
