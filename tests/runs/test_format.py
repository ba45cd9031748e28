import json

import numpy as np
import pytest

from sciexplain.errors import DataError, TargetError
from sciexplain.runs import Failure, Row, RunWriter, open_run


def row(index, **changes):
    values = np.arange(6, dtype=np.float32) * index
    fields = {
        "id": f"r{index}",
        "input": f"data/{index}.png",
        "prediction": index,
        "probability": 0.5,
        "target": index,
        "runner_up": index + 1,
        "score": 1.5 * index,
        "relevance": values,
        "shape": (1, 2, 3),
        "gap": 1e-9,
        "picture": f"{index}.png",
        "seconds": 0.25,
    }
    return Row(**{**fields, **changes})


def test_rows_come_back_as_written_over_several_shards(tmp_path):
    with RunWriter(tmp_path / "run", {"command": "x"}, rows_per_shard=2) as run:
        for index in range(5):
            run.add(row(index))
        run.fail(Failure("r9", "data/9.png", "cut short", "read"))
    back = open_run(tmp_path / "run")
    rows = back.rows.to_table().to_pylist()
    assert [r["id"] for r in rows] == ["r0", "r1", "r2", "r3", "r4"]
    for index, found in enumerate(rows):
        expected = vars(row(index))
        np.testing.assert_array_equal(found.pop("relevance"), expected.pop("relevance"))
        assert found == {**expected, "shape": [1, 2, 3]}
    assert back.errors.to_pylist() == [{"id": "r9", "input": "data/9.png", "reason": "cut short", "stage": "read"}]
    assert [p.name for p in sorted((tmp_path / "run" / "rows").iterdir())] == [
        f"part-0000{n}.parquet" for n in range(3)
    ]


def test_json_holds_what_was_asked_and_what_came_out(tmp_path):
    with RunWriter(tmp_path, {"command": "explain", "options": {"limit": 3}}) as run:
        during = json.loads((tmp_path / "run.json").read_text())
        run.add(row(1))
        run.fail(Failure("a", "b", "c", "read"))
    info = open_run(tmp_path).info
    assert (during["status"], during["finished"]) == ("running", None)
    assert info["status"] == "finished"
    assert info["started"] <= info["finished"]
    assert info["command"] == "explain"
    assert info["options"] == {"limit": 3}
    assert info["counts"] == {"rows": 1, "failed": 1}


def test_empty_run_has_empty_tables(tmp_path):
    with RunWriter(tmp_path, {}):
        pass
    run = open_run(tmp_path)
    assert run.rows.count_rows() == 0
    assert run.rows.schema.names[0] == "id"
    assert run.errors.num_rows == 0
    assert run.errors.column_names == ["id", "input", "reason", "stage"]


def test_model_without_classes_has_nulls(tmp_path):
    with RunWriter(tmp_path, {}) as run:
        run.add(row(1, prediction=None, probability=None, target=None, runner_up=None, gap=None, picture=None))
    (found,) = open_run(tmp_path).rows.to_table().to_pylist()
    absent = {name for name, value in found.items() if value is None}
    assert absent == {"prediction", "probability", "target", "runner_up", "gap", "picture"}


def test_interrupted_run_keeps_what_was_done(tmp_path):
    with pytest.raises(KeyboardInterrupt), RunWriter(tmp_path, {}) as run:
        run.add(row(1))
        raise KeyboardInterrupt
    back = open_run(tmp_path)
    assert back.info["status"] == "interrupted"
    assert back.info["counts"] == {"rows": 1, "failed": 0}
    assert back.rows.count_rows() == 1


def test_wrong_question_leaves_nothing(tmp_path):
    with pytest.raises(TargetError), RunWriter(tmp_path / "run", {}):
        raise TargetError("no class 12")
    assert not (tmp_path / "run").exists()


def test_wrong_question_after_the_first_row_keeps_it(tmp_path):
    with pytest.raises(TargetError), RunWriter(tmp_path, {}) as run:
        run.add(row(1))
        raise TargetError("no class 12")
    assert open_run(tmp_path).info["status"] == "interrupted"


def test_entries_known_at_the_end(tmp_path):
    with RunWriter(tmp_path, {}) as run:
        run.record("slow", ["r1"])
    assert open_run(tmp_path).info["slow"] == ["r1"]


def test_a_failed_write_leaves_no_half_file(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), RunWriter(tmp_path, {}) as run:
        run.add(row(1))
        monkeypatch.setattr("os.replace", fail)
    assert not list((tmp_path / "rows").glob("*.parquet"))
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "running"
    assert open_run(tmp_path).rows.count_rows() == 0


def test_full_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="not empty"), RunWriter(tmp_path, {}, overwrite=overwrite):
            pass
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_overwriting_replaces_only_the_run(tmp_path):
    with RunWriter(tmp_path, {"n": 1}, rows_per_shard=1) as run:
        run.add(row(1))
        run.add(row(2))
        (run.pictures / "old.png").touch()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="--overwrite"), RunWriter(tmp_path, {}):
        pass
    with RunWriter(tmp_path, {"n": 2}, overwrite=True) as run:
        run.add(row(3))
    back = open_run(tmp_path)
    assert back.info["n"] == 2
    assert back.rows.to_table()["id"].to_pylist() == ["r3"]
    assert not list((tmp_path / "pictures").iterdir())
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(DataError, match="is a file"), RunWriter(tmp_path / "run", {}):
        pass
    with pytest.raises(DataError, match="cannot be made"), RunWriter(tmp_path / "run" / "inner", {}):
        pass


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"format": "other"}'])
def test_other_folders_are_no_runs(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match="is not a run"):
        open_run(tmp_path)


def test_a_later_format_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"format": "sciexplain-run", "format_version": 2}')
    with pytest.raises(DataError, match="run format 2"):
        open_run(tmp_path)
