"""The pictures of a run, read again in their order, those that are wanted."""

from collections.abc import Iterator, Sequence

from sciexplain.cli.images_reopened import ImagesReopened
from sciexplain.domains import images


class Inputs:
    """Pictures by the number of their attempt, taken as these ascend.

    Parameters
    ----------
    opened
        The run with its data; None where these are not at hand: then there are no pictures.
    numbers
        Those that are wanted, ascending.
    """

    def __init__(self, opened: ImagesReopened | None, numbers: Sequence[int]) -> None:
        self._pictures = iter(()) if opened is None else _read(opened, numbers)

    def take(self, number: int) -> images.Picture | None:
        """One of them; None where it can no longer be read."""
        for at, picture in self._pictures:
            if at == number:
                return picture
        return None


def _read(opened: ImagesReopened, numbers: Sequence[int]) -> Iterator[tuple[int, images.Picture | None]]:
    for number, (_, found) in zip(numbers, opened.work.attempts.at(numbers), strict=False):
        yield number, found if isinstance(found, images.Picture) else None
