"""Which record of a run's SDF belongs to which row."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sciexplain.domains.molecules.sdf_text import records, score
from sciexplain.runs import Run

_WHOLE = "molecules.sdf"


def sdf_records(run: Run, numbers: Sequence[int]) -> Iterator[tuple[int, str | None]]:
    """The record of each of these samples, as text; None where the run wrote none.

    Records stand in the order of the rows, whose score they repeat; a sample without a structure has a row alone.

    Parameters
    ----------
    run
        Over molecules, finished or not.
    numbers
        Of rows that are there, ascending.
    """
    written = records(_files(run))
    record = next(written, None)
    wanted = iter(numbers)
    sought = next(wanted, None)
    for batch in run.rows.to_batches(columns=["number", "score"]):
        for number, value in zip(batch["number"].to_pylist(), batch["score"].to_pylist(), strict=True):
            while sought is not None and sought < number:  # no row of this number
                sought = next(wanted, None)
            if sought is None:
                return
            own = record is not None and score(record) in (value, None)
            if number == sought:
                yield number, record if own else None
                sought = next(wanted, None)
            if own:
                record = next(written, None)


def _files(run: Run) -> list[Path]:
    """The one SDF of a run that is finished, or the parts of the shards that are done by now."""
    whole = run.path / _WHOLE
    if whole.is_file():
        return [whole]
    done = {f"{path.stem}.sdf" for path in run.shards.values()}
    return sorted(path for path in (run.path / f"{_WHOLE}.parts").glob("*.sdf") if path.name in done)
