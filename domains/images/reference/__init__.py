"""Small reference models of grey pictures: a classifier and a generative prior, trained here, kept without code."""

from sciexplain._fitting import Epoch
from sciexplain.domains.images.reference.networks import Architecture, Autoencoder, build
from sciexplain.domains.images.reference.storage import load, load_prior, save
from sciexplain.domains.images.reference.train import Trained, divided, train, train_prior

__all__ = [
    "Architecture",
    "Autoencoder",
    "Epoch",
    "Trained",
    "build",
    "divided",
    "load",
    "load_prior",
    "save",
    "train",
    "train_prior",
]
