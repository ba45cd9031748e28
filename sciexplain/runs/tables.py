"""Tables of a run that are longer than its rows: written as they come, there only when whole."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet


class Tables:
    """Parquet files in a folder, each with one schema; a context manager.

    A file appears under its name when the context ends, however it ends, with all that was added until then.

    Parameters
    ----------
    folder
        Where they go.
    schemas
        Of every file, by its name without ``.parquet``.
    """

    def __init__(self, folder: Path, schemas: Mapping[str, pa.Schema]) -> None:
        self._folder, self._schemas = folder, schemas
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._writers = {
            name: pa.parquet.ParquetWriter(self._partial(name), schema, compression="zstd")
            for name, schema in self._schemas.items()
        }
        return self

    def add(self, name: str, columns: Mapping[str, Any]) -> None:
        """Add rows, given as columns."""
        self._writers[name].write_table(pa.table(dict(columns), schema=self._schemas[name]))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, writer in self._writers.items():
            writer.close()
            os.replace(self._partial(name), self._folder / f"{name}.parquet")

    def _partial(self, name: str) -> Path:
        return self._folder / f".{name}.parquet.partial"
