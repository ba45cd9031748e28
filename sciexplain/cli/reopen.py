"""Opening a run again, with the model and the data that it was made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from sciexplain.cli.reopened import Reopened
from sciexplain.errors import DataError, ModelError
from sciexplain.runs import Run, describe_files, open_run
from sciexplain.runs.provenance import state_sha256


def reopen(
    path: str | Path,
    *,
    model: str | None = None,
    weights: Path | None = None,
    data: Path | None = None,
    unsafe_pickle: bool = False,
    device: str = "cpu",
) -> Reopened:
    """A run with its model and data, after a check that both are what they were.

    Parameters
    ----------
    path
        The run's folder.
    model, weights, data
        Where they are now; None: where ``run.json`` says they were.
    unsafe_pickle
        As the command that made the run takes it; it is asked for anew.
    device
        Of the model.

    Raises
    ------
    DataError
        The folder holds no run, or the data cannot be found or is not what it was.
    ModelError
        The model cannot be found, or is not what it was.
    """
    return asked_again(
        open_run(path), model=model, weights=weights, data=data, unsafe_pickle=unsafe_pickle, device=device
    )


def asked_again(
    run: Run,
    *,
    model: str | None = None,
    weights: Path | None = None,
    data: Path | None = None,
    unsafe_pickle: bool = False,
    device: str = "cpu",
    unchanged: bool = True,
) -> Reopened:
    """See :func:`reopen`, of which this is the part without a folder of rows.

    Parameters
    ----------
    run
        Of which ``info`` alone is read.
    unchanged
        Refuse a model and data that are not what they were.
    """
    asked: Mapping[str, Any] = run.info["model"]
    weights = weights or (None if model is not None or asked["weights"] is None else Path(asked["weights"]))
    opened = _opened(run, model or asked["reference"], weights, _data(run, data, unchanged), unsafe_pickle)
    if unchanged and state_sha256(opened.model) != asked["state_sha256"]:
        raise ModelError(
            f"the weights of {model or asked['reference']} are not those that {run.path} was made with; give the model "
            "of then with --model and --weights, or explain anew"
        )
    opened.model.to(device)
    return opened


def _opened(run: Run, model: str, weights: Path | None, data: Path, unsafe_pickle: bool) -> Reopened:
    kind, options = str(run.info.get("command", "")).rpartition(" ")[2], run.info["options"]
    if kind == "images":
        from sciexplain.cli.images_reopened import ImagesReopened
        from sciexplain.domains.images import load_model

        return ImagesReopened(run, load_model(model, weights, unsafe_pickle=unsafe_pickle), data)
    if kind == "molecules":
        from sciexplain.cli.molecules_reopened import MoleculesReopened
        from sciexplain.cli.molecules_run import load_family

        family = load_family(model, weights, options["featurizer"], options["unit"], unsafe_pickle=unsafe_pickle)
        network: nn.Module = family.model
        return MoleculesReopened(run, network, data, family)
    if kind == "genomics":
        from sciexplain.cli.genomics_question import load_network
        from sciexplain.cli.genomics_reopened import SequencesReopened

        return SequencesReopened(run, load_network(model, weights, unsafe_pickle=unsafe_pickle), data)
    raise DataError(
        f"{run.path} was made by {run.info.get('command')!r}; expected explain images, molecules or genomics"
    )


def _data(run: Run, given: Path | None, unchanged: bool) -> Path:
    """The data, whose files are as they were if they have to be."""
    asked = run.info["data"]
    before = [Path(file["path"]) for file in asked["files"]]
    was = Path(asked["path"])
    path = given or was
    if not path.exists():
        if given is not None:
            raise DataError(f"--data {given}: found no such file or folder")
        raise DataError(f"{run.path} was made of {path}, which is not there; say with --data where it is now")
    if not unchanged:
        return path
    # other files, such as a genome, stay where they were
    files = [path / file.relative_to(was) if file.is_relative_to(was) else file for file in before]
    now = describe_files(path, files)["files"]
    for file, then, here in zip(files, asked["files"], now, strict=True):
        if here["sha256"] is None:
            raise DataError(f"{file}, of which {run.path} was made, is not there; give the data of then with --data")
        if here["sha256"] != then["sha256"]:
            raise DataError(f"{file} is not what it was when {run.path} was made; give the data of then with --data")
    return path
