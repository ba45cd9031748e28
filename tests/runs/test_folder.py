import json
import subprocess
import sys

import pytest
from counted_work import CountedWork, Quiet

from sciexplain.errors import DataError, TargetError
from sciexplain.runs import Local, RunFolder, explain_all, open_run

ASKED = {
    "command": "explain numbers",
    "model": {"reference": "m:make", "state_sha256": "1"},
    "data": {"path": "a.csv", "sha256": "2"},
    "versions": {"torch": "2.13"},
    "options": {"target": 1, "quiet": False, "out": "run"},
}


def fill(path, asked=ASKED, total=20, **options):
    with RunFolder(path, asked, **options) as folder:
        work = CountedWork(total)
        explain_all(work, Local(work), folder, Quiet(), shard=8, batch_size=4)
    return open_run(path)


def test_json_holds_what_was_asked_and_what_came_out(tmp_path):
    with RunFolder(tmp_path, ASKED) as folder:
        during = json.loads((tmp_path / "run.json").read_text())
        folder.record({"slow": ["r1"]})
    info = open_run(tmp_path).info
    assert (during["status"], during["finished"], during["counts"]) == ("running", None, None)
    assert (info["status"], info["counts"], info["slow"]) == ("finished", {"rows": 0, "failed": 0}, ["r1"])
    assert info["started"] <= info["finished"]
    assert {name: info[name] for name in ASKED} == ASKED


def test_empty_run_has_empty_tables(tmp_path):
    run = fill(tmp_path, total=0)
    assert run.rows.count_rows() == 0
    assert run.rows.schema.names[:2] == ["number", "id"]
    assert run.errors.num_rows == 0
    assert run.errors.column_names == ["number", "id", "input", "reason", "stage"]


def test_wrong_question_leaves_nothing(tmp_path):
    with pytest.raises(TargetError), RunFolder(tmp_path / "run", {}):
        raise TargetError("no class 12")
    assert not (tmp_path / "run").exists()


def test_full_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="not empty"), RunFolder(tmp_path, ASKED, overwrite=overwrite):
            pass
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_overwriting_replaces_only_the_run(tmp_path):
    fill(tmp_path, total=40)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "mine.parquet").write_text("mine too")
    other = {**ASKED, "options": {"target": 2}}
    run = fill(tmp_path, other, total=4, overwrite=True)
    assert run.info["options"] == {"target": 2}
    assert run.rows.count_rows() == 3
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "mine.parquet").read_text() == "mine too"


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(DataError, match="is a file"), RunFolder(tmp_path / "run", {}):
        pass
    with pytest.raises(DataError, match="cannot be made"), RunFolder(tmp_path / "run" / "inner", {}):
        pass


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"options": {"target": 2}}, "--target 1"),
        ({"options": {"target": 1, "limit": 5}}, r"--limit \(not given\)"),
        ({"versions": {"torch": "3.0"}}, "torch 2.13"),
        ({"command": "explain images"}, "command explain numbers"),
        ({"model": {"reference": "n:make", "state_sha256": "5"}}, "model m:make"),
        ({"model": {"reference": "m:make", "state_sha256": "5"}}, "another content of model m:make"),
        ({"data": {"path": "b.csv", "sha256": "5"}}, "data a.csv"),
    ],
)
def test_a_run_of_another_question_is_not_mixed_with_it(tmp_path, changed, told):
    fill(tmp_path)
    with pytest.raises(DataError, match=f"holds a run with {told}.*--overwrite"):
        fill(tmp_path, {**ASKED, **changed})


def test_how_it_is_done_is_no_other_question(tmp_path):
    fill(tmp_path)
    how = {"target": 1, "quiet": True, "out": "elsewhere", "engine": "ray", "workers": 3}
    moved = {"model": {**ASKED["model"], "weights": "w"}, "data": {**ASKED["data"], "files": []}}
    assert fill(tmp_path, {**ASKED, **moved, "options": how}).info["status"] == "finished"


def test_two_runs_into_one_folder_are_refused(tmp_path):
    script = (
        "import sys; from pathlib import Path; from sciexplain.runs import RunFolder\n"
        "from sciexplain.errors import DataError\n"
        "try:\n"
        "    RunFolder(Path(sys.argv[1]), {}).__enter__()\n"
        "except DataError as error:\n"
        "    print(error)"
    )
    with RunFolder(tmp_path, {}):
        told = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True)
    assert "is being written by another run" in told.stdout
