"""Which named data sets there are, and how each is loaded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sciexplain.datasets.digits import load_digits
from sciexplain.datasets.labelled import LabelledImages
from sciexplain.datasets.mnist import load_mnist
from sciexplain.errors import DataError


@dataclass(frozen=True)
class Entry:
    """A named data set: what it is and the function that loads it."""

    description: str
    load: Callable[[], LabelledImages]


REGISTRY: Mapping[str, Entry] = MappingProxyType(
    {
        "digits": Entry("1 797 handwritten digits, 8 × 8, built in (Alpaydin and Kaynak 1998)", load_digits),
        "mnist": Entry("70 000 handwritten digits, 28 × 28, fetched (LeCun et al. 1998)", load_mnist),
    }
)


def names() -> tuple[str, ...]:
    """Names that :func:`load` knows."""
    return tuple(REGISTRY)


def describe(name: str) -> str:
    """One line on what a data set is; raises as :func:`load` does."""
    return _entry(name).description


def load(name: str) -> LabelledImages:
    """Load a data set by name.

    Parameters
    ----------
    name
        One of :func:`names`.

    Raises
    ------
    DataError
        No data set has this name, or its files cannot be fetched or fail their check.

    Examples
    --------
    >>> digits = load("digits")
    >>> digits.images.shape, digits.names[:3]
    ((1797, 8, 8), ('0', '1', '2'))
    """
    return _entry(name).load()


def _entry(name: str) -> Entry:
    if name not in REGISTRY:
        raise DataError(f"no data set is named {name!r}; there are: {', '.join(REGISTRY)}")
    return REGISTRY[name]
