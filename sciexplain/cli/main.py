"""``sciexplain``: the commands together, and how their errors reach the user."""

from importlib.metadata import version
from typing import Annotated, Any

import typer
from pyarrow import ArrowException
from typer.core import TyperGroup

from sciexplain.cli import audit, data, demo, evaluate, explain, maximize, record, report, train
from sciexplain.cli.console import report_error
from sciexplain.errors import SciExplainError


class _OneLineErrors(TyperGroup):
    """A user's mistake is one line on stderr and exit code 2, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (SciExplainError, OSError, ArrowException) as error:
            report_error(error)
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=_OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Explain the decisions of trained PyTorch models in a scientist's own terms.",
)
app.command("demo")(demo.demo)
app.add_typer(explain.app, name="explain")
app.add_typer(train.app, name="train")
app.add_typer(maximize.app, name="maximize")
app.command("evaluate", no_args_is_help=True)(evaluate.evaluate)
app.command("audit", no_args_is_help=True)(audit.audit)
app.command("report", no_args_is_help=True)(report.report)
app.command("record", no_args_is_help=True)(record.record)
app.command("verify", no_args_is_help=True)(record.verify)
app.add_typer(data.app, name="data")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"sciexplain {version('sciexplain')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    app()


def call(*arguments: object) -> int:
    """A command from Python, as a shell would run it.

    Parameters
    ----------
    arguments
        Of the command line, such as ``"explain", "images", "--model", folder``.

    Returns
    -------
    Its exit code: 0 done, 1 done but for samples that failed, 2 wrong usage.

    Examples
    --------
    >>> call("data", "get", "digits")
    digits: ...images of 8 × 8...
    0
    """
    try:
        app([str(argument) for argument in arguments], prog_name="sciexplain")
    except SystemExit as end:
        return int(end.code or 0)
    return 0
