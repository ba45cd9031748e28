"""A decision of a run, written down, verified, and verified against what it is not."""

import json

import pytest
from PIL import Image

from sciexplain.records import load
from sciexplain.runs import open_run


def files(*names):
    return [part for name in names for part in ("--out", name)]


def test_every_domain_is_recorded_and_verified(made, sciexplain):
    name = {"images": "c.png", "molecules": "data.csv:4", "genomics": "s1"}[made]
    out = files("record.json", "record.html", "record.pdf")
    labels = "a,b" if made == "genomics" else "a,b,c"
    result = sciexplain("record", "run", name, *out, "--sign", "Ada", "--labels", labels)
    assert result.exit_code == 0, result.output
    record = load("record.json")
    if made != "molecules":
        assert record.document["decision"]["label"] in labels.split(",")
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
def test_wrong_usage_is_one_line_and_writes_nothing(made, sciexplain, folder):
    (folder / "signed.json").write_text("kept")
    (folder / "other.json").write_text("{}")
    ask = ("record", "run", "a.png", "--out", "r.json")
    for arguments, words in (
        (
            ("record", "run", "zebra.png", "--out", "r.json"),
            "has no row 'zebra.png'; its 4 rows are a.png, b.png",
        ),
        (("record", "pictures", "a.png", "--out", "r.json"), "is not a run"),
        ((*ask, "--out", "r.docx"), "is written as .json, .html or .pdf"),
        ((*ask, "--out", "nowhere/r.pdf"), "there is no folder nowhere"),
        ((*ask, "--out", "signed.json"), "signed.json is there already; give another name or --overwrite"),
        ((*ask, "--labels", "a,b"), "2 labels (a, b) for 3 classes"),
        ((*ask, "--role", "referee"), "give --sign too"),
        ((*ask, "--data", "nowhere"), "--data nowhere: found no such file"),
        (("verify", "other.json"), "is no record"),
    ):
        result = sciexplain(*arguments)
        assert result.exit_code == 2 and words in result.stderr, result.output
        assert len(result.stderr.strip().splitlines()) == 1 and not (folder / "r.json").exists()
    assert (folder / "signed.json").read_text() == "kept"
    assert sciexplain("record", "run", "a.png", "--out", "signed.json", "--overwrite").exit_code == 0


def test_pictures_of_other_sizes_are_no_neighbours(folder, sciexplain):
    model = ("--model", "network_of_cli_tests.py:make")
    assert sciexplain("explain", "images", *model, "--data", "pictures", "--out", "run", "--quiet").exit_code == 0
    for name in ("a.png", "b.png"):  # 8 × 8 pixels, and 12 × 8, alone of its size
        assert sciexplain("record", "run", name, "--out", f"{name}.json").exit_code == 0
    assert "b.png" not in {p["name"] for p in load("a.png.json").document["prototypes"]}
    assert load("b.png.json").document["prototypes"] == []


@pytest.mark.parametrize("made", ["images"], indirect=True)
def test_what_cannot_be_asked_again_is_one_line(made, sciexplain, folder):
    assert sciexplain("record", "run", "a.png", "--out", "r.json").exit_code == 0
    (folder / "pictures" / "c.png").unlink()  # another picture than the record's
    assert sciexplain("verify", "r.json").exit_code == 0
    document = json.loads((folder / "r.json").read_text())
    for name, broken in (
        ("other", {"format_version": 99}),
        ("part", {"decision": None}),
        ("no run", {"asked": {}}),
        ("half a run", {"asked": {"id": "a.png", "run": {"command": "explain images"}}}),
    ):
        (folder / f"{name}.json").write_text(json.dumps(document | broken))
        result = sciexplain("verify", f"{name}.json")
        assert result.exit_code == 2 and len(result.stderr.strip().splitlines()) == 1, result.output
    document.pop("decision")
    (folder / "less.json").write_text(json.dumps(document))
    assert "is no whole record: it has no 'decision'" in sciexplain("verify", "less.json").stderr
    for model in ("fixed_size", "raises"):
        (folder / "network_of_cli_tests.py").open("a").write(
            "def raises():\n    return nn.Sequential(nn.Flatten(), nn.Linear(7, 2))\n"
        )
        result = sciexplain("verify", "r.json", "--model", f"network_of_cli_tests.py:{model}")
        assert (result.exit_code, "Traceback" in result.output) == ({"fixed_size": 1, "raises": 2}[model], False)
    Image.new("RGB", (8, 8)).save("pictures/a.png")
    result = sciexplain("verify", "r.json")
    assert result.exit_code == 1 and "\ninput: recorded" in result.stdout
