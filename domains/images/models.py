"""Models of pictures from a reference network's folder or from a user's own function."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from sciexplain import runs
from sciexplain.domains.images.reference.storage import load, load_prior
from sciexplain.errors import ModelError

__all__ = ["load_model", "load_prior"]


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
    if Path(reference).is_dir():
        if weights is not None:
            raise ModelError(f"{reference} holds its own weights; {weights} cannot be read into it")
        return load(reference)
    return runs.load_model(str(reference), weights, unsafe_pickle=unsafe_pickle)
