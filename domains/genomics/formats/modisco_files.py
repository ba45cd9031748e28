"""Files of TF-MoDISco: what ``modisco motifs`` reads, and what it writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciexplain._files import PathName, written
from sciexplain._optional import require
from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.formats.hdf5 import check_hdf5
from sciexplain.domains.genomics.motif import Motif, Seqlet
from sciexplain.domains.genomics.motifs import Motifs
from sciexplain.errors import DataError, InputError


def write_modisco_npz(
    sequences_path: PathName, contributions_path: PathName, explanation: SequenceExplanation
) -> tuple[Path, Path]:
    """Write one-hot sequences and hypothetical contributions, (N, 4, L) float32 as ``arr_0``.

    For ``modisco motifs -s sequences.npz -a contributions.npz -n 20000 -w L``: without ``-w`` it reads the middle 400
    letters, and of an odd number one less.

    Raises
    ------
    DataError
        A file cannot be written.
    InputError
        The method has no hypothetical contributions, or the alphabet has not four letters.
    """
    one_hot, hypothetical = _arrays(explanation)

    def write(path: PathName, array: NDArray[np.float32]) -> Path:
        def to(file: Path) -> None:
            with file.open("wb") as handle:  # numpy would add .npz to the name of a path without it
                np.savez_compressed(handle, array)

        return written(path, to)

    return write(sequences_path, one_hot), write(contributions_path, hypothetical)


def write_modisco_h5(path: PathName, explanation: SequenceExplanation) -> Path:
    """Write both as one HDF5 file, for ``modisco motifs -i``: ``raw/seq``, ``shap/seq`` and their product, (N, 4, L).

    Raises
    ------
    DataError
        The file cannot be written.
    InputError
        The method has no hypothetical contributions, or the alphabet has not four letters.
    """
    h5py: Any = require("h5py", extra="genomics")
    one_hot, hypothetical = _arrays(explanation)

    def to(file: Path) -> None:
        with h5py.File(file, "w") as handle:
            handle["raw/seq"], handle["shap/seq"] = one_hot, hypothetical
            handle["projected_shap/seq"] = one_hot * hypothetical

    return written(path, to)


def read_modisco_results(path: PathName, *, length: int | None = None) -> Motifs:
    """Motifs of a results file that ``modisco motifs -o`` wrote, untrimmed.

    Parameters
    ----------
    length
        L of the sequences it was given. TF-MoDISco counts places from the start of its window in their middle; with
        ``length`` they count from the start of the sequences.

    Raises
    ------
    DataError
        There is no such file, it is no HDF5 file or not of TF-MoDISco, or ``length`` is given and its window is not
        stated.
    """
    h5py: Any = require("h5py", extra="genomics")
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    check_hdf5(path)
    try:
        return _results(path, h5py, length)
    except DataError:
        raise
    except Exception as error:  # damaged files are answered by h5py with whatever it meets
        raise DataError(f"{path.name} cannot be read as results of modisco motifs: {error}") from error


def _results(path: Path, h5py: Any, length: int | None) -> Motifs:
    with h5py.File(path, "r") as handle:
        if "metacluster_idx_to_submetacluster_results" in handle:
            raise DataError(f"{path.name} is of the first TF-MoDISco; convert it: modisco convert -i OLD -o NEW")
        window = handle.attrs.get("window_size")
        if window is None and length is not None:
            raise DataError(f"{path.name} does not state its window_size; read it without length=")
        first = 0 if length is None else length // 2 - int(window) // 2
        motifs = [
            _motif(f"{what}_{place}", group, sign, first, path.name)
            for sign, what, key in ((1, "positive", "pos_patterns"), (-1, "negative", "neg_patterns"))
            for place, group in sorted(_patterns(handle.get(key)).items())
        ]
        if not motifs and window is None and not {"pos_patterns", "neg_patterns"} & set(handle):
            raise DataError(f"{path.name} has no pos_patterns or neg_patterns; expected results of modisco motifs")
    return Motifs(tuple(motifs), (f"{path.name}: {len(motifs)} motifs",))


def _arrays(explanation: SequenceExplanation) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    alphabet = explanation.sequences.alphabet
    if len(alphabet) != 4:
        raise InputError(f"TF-MoDISco needs an alphabet of four letters, not {alphabet.name}.")
    tracks = (explanation.sequences.one_hot, explanation.hypothetical)
    one_hot, hypothetical = (track.detach().cpu().float().numpy() for track in tracks)
    return one_hot, hypothetical


def _patterns(group: Any) -> dict[int, Any]:
    """By their numbers: by name, pattern_10 would come before pattern_2."""
    names = {} if group is None else {name: re.fullmatch(r"pattern_(\d+)", name) for name in group}
    return {int(match[1]): group[name] for name, match in names.items() if match}


def _motif(name: str, group: Any, sign: int, first: int, file: str) -> Motif:
    try:
        letters, contributions, hypothetical = (
            np.asarray(group[key], dtype=np.float64) for key in ("sequence", "contrib_scores", "hypothetical_contribs")
        )
        places = [group["seqlets"][key][:].tolist() for key in ("example_idx", "start", "end", "is_revcomp")]
    except KeyError as error:
        raise DataError(f"{file}: {group.name} lacks an entry: {error}; expected results of modisco motifs") from error
    seqlets = tuple(
        Seqlet(row, start + first, end + first, "-" if turned else "+")
        for row, start, end, turned in zip(*places, strict=True)
    )
    # rows of letters that were not there, as N, sum to less than 1
    missing = np.clip(1 - letters.sum(1, keepdims=True), 0, None) / 4
    shares = (letters + missing) / (letters + missing).sum(1, keepdims=True)
    return Motif(name, shares, contributions, hypothetical, seqlets, sign, len(seqlets))
