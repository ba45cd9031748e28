"""Whether the targets of a data set are numbers or classes."""

from typing import Literal

Kind = Literal["regression", "classification"]
