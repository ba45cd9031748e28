import duckdb
import pandas as pd
import polars
import pyarrow.dataset
import pyarrow.parquet
import pytest
from counted_work import CountedWork, Quiet

from sciexplain.errors import DataError
from sciexplain.runs import Local, RunFolder, explain_all, open_run


@pytest.fixture
def run(tmp_path):
    with RunFolder(tmp_path / "run", {"command": "explain numbers"}) as folder:
        work = CountedWork(20)
        explain_all(work, Local(work), folder, Quiet(), shard=8, batch_size=4)
    return open_run(tmp_path / "run")


def test_the_libraries_of_the_field_read_it(run):
    scores = [float(n) for n in range(20) if n % 7 != 3]
    assert run.rows.to_table(columns=["score"])["score"].to_pylist() == scores
    assert pd.read_parquet(run.path / "rows")["score"].tolist() == scores
    assert polars.scan_pyarrow_dataset(run.rows).select("score").collect()["score"].to_list() == scores
    assert polars.read_parquet(run.path / "rows")["score"].to_list() == scores
    rows = run.rows
    assert duckdb.sql("select sum(score) from rows").fetchall() == [(sum(scores),)]
    assert rows.count_rows() == len(pyarrow.parquet.read_table(run.path / "rows"))
    assert run.table("parts").count_rows() == len(pd.read_parquet(run.path / "parts.parquet"))
    assert len(pd.read_parquet(run.path / "errors.parquet")) == run.errors.num_rows == 3


def test_rows_are_read_by_columns_and_conditions(run):
    found = run.rows.to_table(columns=["id"], filter=pyarrow.dataset.field("prediction") == 2)
    assert found["id"].to_pylist() == [f"n{n}" for n in range(20) if n % 7 != 3 and n % 3 == 2]


def test_a_table_that_is_not_there(run):
    with pytest.raises(DataError, match="no table 'atoms'; it has errors, parts"):
        run.table("atoms")


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"format": "other"}', '{"format": "sciexplain-run"}'])
def test_other_folders_are_no_runs(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match="is not a run"):
        open_run(tmp_path)


def test_a_later_format_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"format": "sciexplain-run", "format_version": 2}')
    with pytest.raises(DataError, match="run format 2"):
        open_run(tmp_path)


@pytest.mark.parametrize("content", [None, b"PAR1"])
def test_a_damaged_shard_is_named(run, content):
    path = next(iter(run.shards.values()))
    # a column whose name is not UTF-8 any more
    path.write_bytes(path.read_bytes().replace(b"relevance", b"\xbcelevance") if content is None else content)
    with pytest.raises(DataError, match=r"part-000000\.parquet is damaged"):
        list(run.summaries())
