"""Small reference models of molecules: trained here, tested honestly, kept without code."""

from sciexplain._fitting import Epoch
from sciexplain.domains.molecules.reference.features import BondGraph, Geometry
from sciexplain.domains.molecules.reference.networks import Architecture, build
from sciexplain.domains.molecules.reference.storage import load, save
from sciexplain.domains.molecules.reference.train import Trained, predict, train

__all__ = ["Architecture", "BondGraph", "Epoch", "Geometry", "Trained", "build", "load", "predict", "save", "train"]
