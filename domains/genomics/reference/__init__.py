"""Small reference models of sequences: trained here, tested honestly, kept without code."""

from sciexplain._fitting import Epoch
from sciexplain.domains.genomics.reference.networks import Architecture, Heads, build
from sciexplain.domains.genomics.reference.prior import SequencePrior
from sciexplain.domains.genomics.reference.prior_training import TrainedPrior, load_prior, save_prior, train_prior
from sciexplain.domains.genomics.reference.storage import load, save
from sciexplain.domains.genomics.reference.train import Trained, predict, train

__all__ = [
    "Architecture",
    "Epoch",
    "Heads",
    "SequencePrior",
    "Trained",
    "TrainedPrior",
    "build",
    "load",
    "load_prior",
    "predict",
    "save",
    "save_prior",
    "train",
    "train_prior",
]
