"""Failures by their reason."""

import json
import re

import pyarrow as pa

from sciexplain.report.failures import write_failures
from sciexplain.report.payload import Data
from sciexplain.runs.format import FAILURE_SCHEMA


def _table(rows):
    return pa.Table.from_pylist(
        [
            {"number": n, "id": name, "input": f"in/{name}", "reason": reason, "stage": stage}
            for n, name, reason, stage in rows
        ],
        schema=FAILURE_SCHEMA,
    )


def _listed(folder):
    held = {}
    for file in sorted((folder / "failures").iterdir()):
        part = json.loads(re.sub(r"\\(.)", r"\1", re.fullmatch(r".*?, '(.*)'\);\n", file.read_text())[1]))
        for name, values in part.items():
            held.setdefault(name, []).extend(values)
    return held


def test_reasons_that_differ_in_numbers_or_the_own_name_are_one(tmp_path):
    rows = [
        (1, "a", "a: broken at byte 7", "read"),
        (2, "b", "no such class", "explain"),
        (3, "c", "in/c: broken at byte 12", "read"),
        (5, "at", "broken at byte 12", "read"),
    ]
    found = write_failures(Data(tmp_path), _table(rows))
    assert found["count"] == 4
    assert [(one["count"], one["start"], one["stage"]) for one in found["groups"]] == [
        (2, 0, "read"),
        (1, 2, "explain"),
        (1, 3, "read"),
    ]
    assert found["groups"][0]["reason"] == "a: broken at byte 7"
    assert _listed(tmp_path)["number"] == [1, 3, 2, 5]  # group after group


def test_the_rarest_of_very_many_reasons_are_one_group(tmp_path):
    letters = [f"{chr(97 + i // 26 % 26)}{chr(97 + i % 26)}" for i in range(300)]
    rows = [(i, f"s{i}", f"reason {name}", "read") for i, name in enumerate(letters)]
    found = write_failures(Data(tmp_path), _table([*rows, (300, "s300", "reason aa", "read")]))
    assert len(found["groups"]) == 200
    assert found["groups"][0]["count"] == 2
    assert found["groups"][-1]["reason"] == "101 rarer reasons" and found["groups"][-1]["count"] == 101
    assert sum(one["count"] for one in found["groups"]) == 301


def test_names_may_be_empty(tmp_path):
    assert write_failures(Data(tmp_path), _table([(0, "", "", "")]))["groups"][0]["count"] == 1


def test_none(tmp_path):
    assert write_failures(Data(tmp_path), _table([])) == {"count": 0, "size": 1000, "groups": []}
