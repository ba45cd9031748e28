"""Small reference models of sequences: trained here, tested honestly, kept without code."""

from sciexplain._fitting import Epoch
from sciexplain.domains.genomics.reference.networks import Architecture, Heads, build
from sciexplain.domains.genomics.reference.storage import load, save
from sciexplain.domains.genomics.reference.train import Trained, predict, train

__all__ = ["Architecture", "Epoch", "Heads", "Trained", "build", "load", "predict", "save", "train"]
