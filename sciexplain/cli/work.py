"""The work of a run, by what its options say: made by the command, and again by every process that takes part."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from sciexplain.runs import Work


def opened_work(
    info: Mapping[str, Any],
    model: str,
    weights: Path | None,
    data: Path,
    *,
    unsafe_pickle: bool = False,
    device: str = "cpu",
) -> tuple[Work, nn.Module]:
    """The work, and its model.

    Parameters
    ----------
    info
        Of ``run.json``: ``command`` and ``options``.
    model, weights, data
        As the command takes them.
    unsafe_pickle, device
        As the command takes them.

    Raises
    ------
    ModelError
        The model cannot be found or read.
    DataError
        The data cannot.
    """
    kind, options = kind_of(info), info["options"]
    if kind == "images":
        from sciexplain.cli.images_work import PictureWork
        from sciexplain.domains.images import load_model

        network = load_model(model, weights, unsafe_pickle=unsafe_pickle).to(device)
        return PictureWork.asked(network, data, options), network
    if kind == "molecules":
        from sciexplain.cli.molecules_work import MoleculeWork, load_family

        family = load_family(model, weights, options["featurizer"], options["unit"], unsafe_pickle=unsafe_pickle)
        family.model.to(device)
        return MoleculeWork.asked(family, data, options), family.model
    from sciexplain.cli.genomics_question import load_network
    from sciexplain.cli.genomics_work import SequenceWork

    network = load_network(model, weights, unsafe_pickle=unsafe_pickle).to(device)
    return SequenceWork.asked(network, data, options), network


def kind_of(info: Mapping[str, Any]) -> str:
    """``"images"``, ``"molecules"`` or ``"genomics"``, by the command that made a run."""
    return str(info.get("command", "")).rpartition(" ")[2]


def data_files(info: Mapping[str, Any], data: Path) -> list[Path]:
    """The files that a run reads, in their order.

    Raises
    ------
    DataError
        There are none.
    """
    kind, options = kind_of(info), info["options"]
    if kind == "images" and data.is_dir():
        from sciexplain.domains.images import list_images

        return list_images(data)[: options["limit"]]
    if kind == "molecules" and data.is_dir():
        return sorted(file for file in data.iterdir() if file.is_file())
    others = [options.get(name) for name in ("genes", "motifs", "gene_sets")] if kind == "genomics" else []
    genome = options.get("genome") or []
    return [data, *map(Path, genome), *(Path(file) for file in others if file is not None)]
