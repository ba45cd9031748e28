"""``sciexplain data``: the named data sets."""

from typing import Annotated

import typer
from rich.table import Table

from sciexplain import datasets
from sciexplain.cli.console import results

app = typer.Typer(no_args_is_help=True, help="List and fetch the named data sets.")


@app.command("list")
def list_names() -> None:
    """List the data sets by name."""
    table = Table("name", "what it is")
    for name in datasets.names():
        table.add_row(name, datasets.describe(name))
    results().print(table)


@app.command()
def get(name: Annotated[str, typer.Argument(help="A name that `sciexplain data list` shows.")]) -> None:
    """Fetch, check and cache a data set, and say what it holds."""
    data = datasets.load(name)
    shape = " × ".join(str(size) for size in data.images.shape[1:])
    results().print(
        f"{name}: {len(data)} images of {shape}, {len(data.names)} classes, "
        f"{len(data.train)} for training and {len(data.test)} held out",
        highlight=False,
    )
