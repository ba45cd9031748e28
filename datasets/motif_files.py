"""Published collections of binding motifs, as MEME files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from sciexplain.datasets.fetch import Source, fetch
from sciexplain.errors import DataError

_GRELU = (
    "https://raw.githubusercontent.com/Genentech/gReLU/44af047f31ce6d74132c82cefdf5c4fb245cfc07"
    "/src/grelu/resources/meme/"
)
_FILES = {
    # V. Vorontsov et al., Nucleic Acids Res. 52, D154 (2024): 1 443 motifs of human and mouse.
    "hocomoco12": Source(
        "https://hocomoco12.autosome.org/final_bundle/hocomoco12/H12CORE/formatted_motifs/H12CORE_meme_format.meme",
        "dd380406bc82a70bc045e26c1e615bca368b9a281f987caa12a8a5a408bd104a",
        "genomics/motifs/H12CORE_meme_format.meme",
    ),
    # I. Rauluseviciute et al., Nucleic Acids Res. 52, D174 (2024): 182 clusters, each by its consensus.
    "jaspar2024": Source(
        _GRELU + "jaspar_2024_consensus.meme",
        "bb1d11c1c902de5485774d5184bfb591bf6324fb4936cbcd709646345cfb318e",
        "genomics/motifs/jaspar_2024_consensus.meme",
    ),
}


def motif_file(name: Literal["hocomoco12", "jaspar2024"]) -> Path:
    """Where the MEME file of a collection is: in the folder that ``SCIEXPLAIN_DATA`` names, or fetched and cached.

    ``"hocomoco12"`` is HOCOMOCO v12 core, ``"jaspar2024"`` the consensus of JASPAR 2024's clusters.

    Raises
    ------
    DataError
        There is no such collection, or its file cannot be fetched or is another.
    """
    if name not in _FILES:
        raise DataError(f"no motif collection is named {name!r}; there are: {', '.join(_FILES)}")
    return fetch(_FILES[name], name=name, extra="genomics")
