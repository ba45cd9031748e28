"""A decision of a run, written down, verified, and verified against what it is not."""

import json

import pytest

from sciexplain.records import load
from sciexplain.runs import open_run


def files(*names):
    return [part for name in names for part in ("--out", name)]


def test_every_domain_is_recorded_and_verified(made, sciexplain):
    name = {"images": "c.png", "molecules": "data.csv:4", "genomics": "s1"}[made]
    out = files("record.json", "record.html", "record.pdf")
    result = sciexplain("record", "run", name, *out, "--sign", "Ada", "--labels", "a,b,c")
    assert result.exit_code == 0, result.output
    record = load("record.json")
    assert record.untouched and record.signed_off[0]["name"] == "Ada" and record.document["asked"]["id"] == name
    assert record.picture.startswith(b"\x89PNG") and record.document["faithfulness"]["random_orders"] > 0
    rows = {row["id"]: row for row in open_run("run").rows.to_table().to_pylist()}
    alike = {other for other, row in rows.items() if other != name and row["target"] == rows[name]["target"]}
    assert {p["name"] for p in record.document["prototypes"]} <= alike
    assert len(record.document["prototypes"]) == min(3, len(alike))
    assert sorted(p["distance"] for p in record.document["prototypes"]) == [
        p["distance"] for p in record.document["prototypes"]
    ]
    result = sciexplain("verify", "record.json")
    assert result.exit_code == 0 and result.stdout.startswith("identical\n"), result.output


@pytest.mark.parametrize("made", ["images"], indirect=True)
def test_what_is_not_identical(made, sciexplain, folder):
    assert sciexplain("record", "run", "a.png", *files("r.json")).exit_code == 0
    code = folder / "network_of_cli_tests.py"
    code.write_text(code.read_text().replace("manual_seed(0)", "manual_seed(1)"))
    result = sciexplain("verify", "r.json")
    assert result.exit_code == 1 and result.stdout.startswith("NOT identical\n")
    assert "\nmodel: recorded" in result.stdout and "\ninput: identical" in result.stdout
    code.write_text(code.read_text().replace("manual_seed(1)", "manual_seed(0)"))

    document = json.loads((folder / "r.json").read_text())
    document["decision"]["probability"] = 1.0
    (folder / "r.json").write_text(json.dumps(document))
    result = sciexplain("verify", "r.json")
    assert result.exit_code == 1 and "\nrecord: recorded" in result.stdout and "\nscore: identical" in result.stdout


@pytest.mark.parametrize("made", ["images"], indirect=True)
def test_wrong_usage_is_one_line(made, sciexplain, folder):
    result = sciexplain("record", "run", "zebra.png", *files("r.json"))
    assert result.exit_code == 2 and "has no row 'zebra.png'; its 4 rows are a.png" in result.stderr
    result = sciexplain("record", "run", "a.png", *files("r.docx"))
    assert result.exit_code == 2 and "is written as .json, .html or .pdf" in result.stderr
    assert sciexplain("record", "pictures", "a.png", *files("r.json")).exit_code == 2
    (folder / "other.json").write_text("{}")
    result = sciexplain("verify", "other.json")
    assert result.exit_code == 2 and "is no record" in result.stderr
