"""Models of pictures from a reference network's folder or from a user's own function."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from sciexplain import runs
from sciexplain.domains.images.reference.networks import Autoencoder
from sciexplain.domains.images.reference.storage import is_model, load
from sciexplain.domains.images.reference.storage import load_prior as _load_prior
from sciexplain.errors import ModelError


def load_model(reference: str | Path, weights: str | Path | None = None, *, unsafe_pickle: bool = False) -> nn.Module:
    """A trained model of pictures, in evaluation mode.

    Parameters
    ----------
    reference
        A folder that ``sciexplain train images`` wrote; or ``"MODULE:FUNCTION"``, a function of yours that returns the
        model.
    weights
        For ``"MODULE:FUNCTION"``: a ``.safetensors`` file, or a state_dict that ``torch.save`` wrote.
    unsafe_pickle
        Also read pickled files that carry code. Such a file can do anything on this machine when it is read.

    Raises
    ------
    ModelError
        There is no such model, or it cannot be read safely.

    Examples
    --------
    >>> model = load_model("digits_model")  # doctest: +SKIP
    >>> model.shape, model.labels[:3]  # doctest: +SKIP
    ((1, 8, 8), ('0', '1', '2'))
    """
    if is_model(reference) or Path(reference).is_dir():
        if weights is not None:
            raise ModelError(f"{reference} holds its own weights; {weights} cannot be read into it")
        return load(reference)
    return runs.load_model(str(reference), weights, unsafe_pickle=unsafe_pickle)


def load_prior(folder: str | Path) -> Autoencoder:
    """A generative model of pictures that ``sciexplain train prior images`` wrote.

    Returns
    -------
    A prior for :func:`maximize` and :func:`counterfactual`: pictures from 0 black to 1 white, standard normal codes.

    Raises
    ------
    ModelError
        There is none, or its files are damaged or do not belong together.
    """
    return _load_prior(folder)
