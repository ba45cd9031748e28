"""``sciexplain record`` and ``sciexplain verify``: one decision written down, and had again."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sciexplain.cli import options
from sciexplain.cli.console import say
from sciexplain.errors import DataError, ModelError, SciExplainError

_Model = Annotated[str | None, typer.Option(help="Where the model is now, if it was moved.")]
_Weights = Annotated[Path | None, typer.Option(help="Where its weights are now, if they were moved.")]
_Data = Annotated[Path | None, typer.Option(help="Where the data is now, if it was moved.")]
_Device = Annotated[str, typer.Option(parser=options.device, help="Such as cpu or cuda.")]
_Unsafe = Annotated[
    bool, typer.Option("--unsafe-pickle", help="Read models that carry code. They can do anything to this machine.")
]


def record(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `sciexplain explain` made.")],
    sample: Annotated[str, typer.Argument(metavar="ID", help="Of a row of the run.")],
    out: Annotated[
        list[Path], typer.Option(metavar="FILE", help=".json, to be verified; also .html or .pdf, one page to read.")
    ],
    sign: Annotated[str | None, typer.Option(metavar="NAME", help="Who signs the record off.")] = None,
    role: Annotated[str, typer.Option(help="Of who signs.")] = "",
    statement: Annotated[str, typer.Option(help="What is signed.")] = "",
    labels: Annotated[str | None, typer.Option(metavar="A,B,…", help="Of the classes; default: the model's.")] = None,
    prototypes: Annotated[int, typer.Option(min=0, help="Nearest examples of the run to name.")] = 3,
    model: _Model = None,
    weights: _Weights = None,
    data: _Data = None,
    device: _Device = "cpu",
    seed: Annotated[int, typer.Option(min=0, help="Of the random orders that faithfulness is held against.")] = 0,
    unsafe_pickle: _Unsafe = False,
    trust_run: options.TrustRun = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace records of these names.")] = False,
) -> None:
    """Write down one decision of a run: what was decided and why, by what, how faithfully, and with which caveats.

    The sample is explained again, alone. Exit code 0: done; 2: wrong usage, or the decision could not be had again.
    """
    from sciexplain.cli.neighbours import neighbours
    from sciexplain.cli.reopen import reopen
    from sciexplain.records import check_files
    from sciexplain.records import record as recorded

    check_files(out, overwrite=overwrite)
    if sign is None and (role or statement):
        raise DataError("--role and --statement are of who signs; give --sign too, or leave them out")
    opened = reopen(
        run, model=model, weights=weights, data=data, unsafe_pickle=unsafe_pickle, trust=trust_run, device=device
    )
    opened.check([sample])
    asked = {"id": sample, "run": dict(opened.run.info)}
    names = getattr(opened.model, "labels", None) if labels is None else [n.strip() for n in labels.split(",")]
    made = recorded(
        opened.case(sample, names),
        labels=names,
        prototypes=neighbours(opened, sample, prototypes),
        asked=asked,
        expected=opened.relevance([sample])[0],
        seed=seed,
    )
    if sign is not None:
        made = made.sign(sign, role, statement)
    files = [made.save(path) for path in out]
    decision = made.document["decision"]
    what = f"{decision['score']:.4g} {decision['unit']}".strip()
    explained = "the output" if decision["label"] is None else f"class {decision['label']}"
    say([f"{sample}: {explained} has {what}; recorded in {', '.join(map(str, files))}", *made.caveats])


def verify(
    record: Annotated[Path, typer.Argument(metavar="RECORD", exists=True, help="The .json of `sciexplain record`.")],
    model: _Model = None,
    weights: _Weights = None,
    data: _Data = None,
    device: _Device = "cpu",
    unsafe_pickle: _Unsafe = False,
    trust_run: options.TrustRun = False,
) -> None:
    """Ask for a recorded decision again, and say whether it is identical, to the last digit.

    Exit code 0: identical; 1: not; 2: wrong usage.
    """
    from sciexplain.cli.reopen import asked_again
    from sciexplain.records import load
    from sciexplain.records import verify as verified
    from sciexplain.runs import Run

    loaded = load(record)
    asked: Any = loaded.document["asked"]
    if not isinstance(asked, dict) or not {"id", "run"} <= asked.keys():
        raise DataError(
            f"{record} does not say where its model and data are, as it was not made from a run; verify it in Python: "
            "sciexplain.records.load(…).verify(model, inputs)"
        )
    try:
        opened = asked_again(
            Run(record, asked["run"]),
            model=model,
            weights=weights,
            data=data,
            unsafe_pickle=unsafe_pickle,
            trust=trust_run,
            device=device,
            unchanged=False,
        )
        found = verified(loaded, opened.case(asked["id"]))
    except (SciExplainError, OSError):
        raise
    except Exception as error:  # another model may raise anything about this sample, and a record may be damaged
        raise ModelError(f"{record} cannot be asked again: {type(error).__name__}: {error}") from error
    say(found.lines())
    if not found.identical:
        raise typer.Exit(1)
