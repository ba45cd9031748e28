"""Named data sets: small ones built in, larger ones fetched, checked and cached."""

from sciexplain.datasets.expression import LabelledExpression
from sciexplain.datasets.labelled import LabelledImages
from sciexplain.datasets.molecules import LabelledMolecules, read_table
from sciexplain.datasets.motif_files import motif_file
from sciexplain.datasets.registry import describe, load, names
from sciexplain.datasets.sequences import LabelledSequences, MotifInstance
from sciexplain.datasets.simulate import simulate_motifs

__all__ = [
    "LabelledExpression",
    "LabelledImages",
    "LabelledMolecules",
    "LabelledSequences",
    "MotifInstance",
    "describe",
    "load",
    "motif_file",
    "names",
    "read_table",
    "simulate_motifs",
]
