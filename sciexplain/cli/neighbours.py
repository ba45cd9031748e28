"""The examples of a run that stand for what was decided, the nearest to one sample first."""

from typing import Any

import numpy as np

from sciexplain.cli.reopened import Reopened

_LOOKED_AT = 500
_CHOSEN = 12


def neighbours(opened: Reopened, sample: str, count: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """The nearest prototypes of the class that was explained, found among the run's other samples.

    Parameters
    ----------
    opened
        The run.
    sample
        The id of one of its rows.
    count
        How many to name.
    seed
        Of which samples are looked at, where there are many.

    Returns
    -------
    ``name``, ``label`` and ``distance``, in the space that the model's last layer reads; fewer, or none, where the run
    has no more samples of that class.
    """
    rows = {row["id"]: row for row in opened.table.to_pylist()}
    target = rows[sample]["target"]
    alike = [name for name, row in rows.items() if name != sample and _is_member(row, target)]
    if opened.kind == "images":  # a batch is of one size
        alike = [name for name in alike if rows[name]["shape"] == rows[sample]["shape"]]
    if not count or not alike:
        return []
    if len(alike) > _LOOKED_AT:
        drawn = np.random.default_rng(seed).choice(len(alike), _LOOKED_AT, replace=False)
        alike = [alike[i] for i in sorted(drawn)]
    found = opened.prototypes(alike, target, min(_CHOSEN, len(alike)))
    own = opened.prototypes([sample], target, 1, layer=found.layer)
    far = (found.features - own.features).norm(dim=1)
    return [
        {
            "name": alike[found.indices[i]],
            "label": f"score {rows[alike[found.indices[i]]]['score']:.4g}",
            "distance": float(far[i]),
        }
        for i in far.argsort(stable=True)[:count].tolist()
    ]


def _is_member(row: dict[str, Any], target: int | None) -> bool:
    """Whether the model said of a row what is explained; of a model without classes, every row."""
    return row["prediction"] is None or row["prediction"] == target
