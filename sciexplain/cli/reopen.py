"""Opening a run again, with the model and the data that it was made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from sciexplain.cli.reopened import Reopened
from sciexplain.cli.work import data_files, kind_of
from sciexplain.errors import DataError, ModelError
from sciexplain.runs import Run, describe_files, named, open_run
from sciexplain.runs.provenance import state_sha256


def reopen(
    path: str | Path,
    *,
    model: str | None = None,
    weights: Path | None = None,
    data: Path | None = None,
    unsafe_pickle: bool = False,
    trust: bool = False,
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
    trust
        Import what the run names even if the user has not named it before.
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
        open_run(path),
        model=model,
        weights=weights,
        data=data,
        unsafe_pickle=unsafe_pickle,
        trust=trust,
        device=device,
    )


def asked_again(
    run: Run,
    *,
    model: str | None = None,
    weights: Path | None = None,
    data: Path | None = None,
    unsafe_pickle: bool = False,
    trust: bool = False,
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
    if not trust:
        _check_named(run, model, unsafe_pickle)
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


def _check_named(run: Run, model: str | None, unsafe_pickle: bool) -> None:
    """That no file but the user decides what is imported.

    Raises
    ------
    ModelError
        The run names a function that the user has not named on this machine before.
    """
    kind, options = kind_of(run.info), run.info["options"]
    theirs = {
        "model": None if model is not None else run.info["model"]["reference"],
        "featurizer": options.get("featurizer"),
        "tokenizer": options.get("tokenizer"),
    }
    for option, reference in theirs.items():
        if reference is None or not (":" in reference or option == "tokenizer"):
            continue
        # A file may be called "net:make": molecules' models are files too, the others' folders.
        path = Path(reference)
        if option == "model" and (path.is_dir() or (kind == "molecules" and path.exists())):
            continue
        if not named.is_known(reference):
            remedy = f"give --model {reference}, or --trust-run" if option == "model" else "give --trust-run"
            raise ModelError(
                f"{run.path} says that its {option} is {reference}, which you have not named here before, and a run "
                f"does not decide what is imported; if you trust it, {remedy}"
            )
    if unsafe_pickle and model is None:
        raise ModelError(
            f"--unsafe-pickle would read what {run.path} names; give --model and --weights too, or --trust-run"
        )


def _opened(run: Run, model: str, weights: Path | None, data: Path, unsafe_pickle: bool) -> Reopened:
    kind, options = kind_of(run.info), run.info["options"]
    if kind == "images":
        from sciexplain.cli.images_reopened import ImagesReopened
        from sciexplain.domains.images import load_model

        return ImagesReopened(run, load_model(model, weights, unsafe_pickle=unsafe_pickle), data)
    if kind == "molecules":
        from sciexplain.cli.molecules_reopened import MoleculesReopened
        from sciexplain.cli.molecules_work import load_family

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
    was = Path(asked["path"])
    path = given or was
    if not path.exists():
        if given is not None:
            raise DataError(f"--data {given}: found no such file or folder")
        raise DataError(f"{run.path} was made of {path}, which is not there; say with --data where it is now")
    if not unchanged:
        return path
    if asked["files"] is None:  # too many to be listed
        now = describe_files(path, data_files(run.info, path))
        if now["sha256"] != asked["sha256"]:
            raise DataError(f"{path} is not what it was when {run.path} was made; give the data of then with --data")
        return path
    before = [Path(file["path"]) for file in asked["files"]]
    # other files, such as a genome, stay where they were
    files = [path / file.relative_to(was) if file.is_relative_to(was) else file for file in before]
    for file, then in zip(files, asked["files"], strict=True):
        here = describe_files(path, [file])["files"][0]
        if here["sha256"] is None:
            raise DataError(f"{file}, of which {run.path} was made, is not there; give the data of then with --data")
        if here["sha256"] != then["sha256"]:
            raise DataError(f"{file} is not what it was when {run.path} was made; give the data of then with --data")
    return path
