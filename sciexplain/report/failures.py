"""Samples that failed: grouped by their reason, and listed in files that are loaded as they are needed."""

import re
from typing import Any

import numpy as np
import pyarrow as pa

from sciexplain.report.payload import Data

SIZE = 1000
_GROUPS = 200
_NUMBERS = re.compile(r"\d+(\.\d+)?")


def write_failures(data: Data, errors: pa.Table) -> dict[str, Any]:
    """Write ``failures/00000.js`` and so on, group after group; their entry in ``report.js``.

    Reasons that differ in numbers, or in the sample's own name, are one group, which shows the first of them.
    """
    rows = errors.to_pydict()
    keys = [
        (stage or "", _alike(reason or "", name or "", where or ""))
        for stage, reason, name, where in zip(rows["stage"], rows["reason"], rows["id"], rows["input"], strict=True)
    ]
    counts: dict[tuple[str, str], int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    ranked = sorted(counts, key=lambda key: -counts[key])
    rank = {key: min(place, _GROUPS - 1) for place, key in enumerate(ranked)}  # the rarest are one group
    groups = np.array([rank[key] for key in keys], np.int64)
    order = np.argsort(groups, kind="stable")
    for shard, start in enumerate(range(0, len(order), SIZE)):
        places = order[start : start + SIZE].tolist()
        data.write(f"failures/{shard:05d}", {name: [rows[name][i] for i in places] for name in rows})
    listed = []
    for group in range(min(len(ranked), _GROUPS)):
        members = np.flatnonzero(groups == group)
        first, others = int(members[0]), group == _GROUPS - 1 and len(ranked) > _GROUPS
        listed.append(
            {
                "stage": rows["stage"][first],
                "reason": f"{len(ranked) - _GROUPS + 1} rarer reasons" if others else rows["reason"][first],
                "count": len(members),
                "start": int((groups < group).sum()),
            }
        )
    return {"count": len(order), "size": SIZE, "groups": listed}


def _alike(reason: str, name: str, where: str) -> str:
    """A reason without what is of one sample alone."""
    for own in (where, name):
        at = reason.find(own) if own else -1
        if at >= 0 and not (reason[at - 1 : at].isalnum() or reason[at + len(own) : at + len(own) + 1].isalnum()):
            reason = f"{reason[:at]}…{reason[at + len(own) :]}"
    return _NUMBERS.sub("#", reason)
