"""What the commands that train on pictures have in common: the data, and the progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sciexplain.cli.console import progress
from sciexplain.errors import DataError

if TYPE_CHECKING:
    from sciexplain.datasets import LabelledImages


@contextmanager
def reporting(model: str, epochs: int, *, quiet: bool) -> Iterator[Callable[[Any], None]]:
    """A progress bar, and what to tell it after each epoch."""
    with progress(quiet=quiet) as bar:
        task = bar.add_task(f"training {model}", total=epochs)

        def report(epoch: Any) -> None:
            bar.update(task, advance=1, description=f"training {model}, validation loss {epoch.valid_loss:.3f}")

        yield report


def named_pictures(name: str) -> "LabelledImages":
    """A named data set of pictures.

    Raises
    ------
    DataError
        There is none of this name, or it holds something else.
    """
    from sciexplain import datasets

    found = datasets.load(name)
    if not isinstance(found, datasets.LabelledImages):
        raise DataError(f"{name} holds no pictures; digits and mnist do")
    return found
