"""The folder of a report: whole or not at all, never in place of something else."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import report_runs
from report_runs import Dots, labels_of, make_run

from sciexplain.errors import DataError
from sciexplain.report.labels import Labels
from sciexplain.report.rows import SIZE
from sciexplain.report.write import check_free, write_report

COLOURS = np.linspace(0, 1, 9)[:, None].repeat(3, 1)


def write(run, out, content=None, **options):
    return write_report(run, content or Dots(run), out, colours=COLOURS, **options)


def held(report: Path, name: str):
    """What a page gets of ``data/NAME.js``."""
    literal = re.fullmatch(r"sciexplain\.receive\(.*?, '(.*)'\);\n", (report / f"data/{name}.js").read_text())[1]
    return json.loads(re.sub(r"\\(.)", r"\1", literal))


def rows_of(report: Path) -> dict:
    shards = [held(report, f"rows/{file.stem}") for file in sorted((report / "data/rows").iterdir())]
    return {
        name: [value for shard in shards for value in shard[name]]
        for name in shards[0]
        if name not in ("prefix", "input")
    }


def test_the_gallery_has_every_row(tmp_path):
    run = make_run(tmp_path / "run", 2 * SIZE + 7, failed=3)
    truth = Labels(labels_of(run), None, "labels.csv")
    made = write(run, tmp_path / "out", labels=truth, samples=100)
    assert (made.rows, made.samples, made.failed) == (2 * SIZE + 7, 100, 3)
    table = run.rows.to_table().to_pydict()
    found = rows_of(tmp_path / "out")
    for name in ("number", "id", "prediction", "target", "runner_up"):
        assert found[name] == table[name]
    np.testing.assert_allclose(found["score"], table["score"], rtol=1e-5)
    assert found["label"] == [truth.by_id[name] for name in table["id"]]
    assert sum(found["detail"]) == 100
    report = held(tmp_path / "out", "report")
    assert report["rows"]["starts"] == [table["number"][i] for i in (0, SIZE, 2 * SIZE)]
    assert report["samples"]["count"] == 100


def test_inputs_are_read_back(tmp_path):
    """They are stored without what they share."""
    run = make_run(tmp_path / "run", 5)
    write(run, tmp_path / "out")
    part = held(tmp_path / "out", "rows/00000")
    assert part["prefix"] == "data/" and "input" not in part


def test_what_no_row_has_is_left_out(tmp_path):
    run = make_run(tmp_path / "run", 5, classes=0)
    write(run, tmp_path / "out")
    assert not {"prediction", "probability", "label", "cluster"} & held(tmp_path / "out", "rows/00000").keys()


@pytest.mark.parametrize("status", ["interrupted", "running"])
def test_a_run_that_is_not_finished_says_so(tmp_path, status):
    run = make_run(tmp_path / "run", 5, status=status, info={"counts": None, "finished": None})
    (run.path / "errors.parquet").unlink()
    (run.path / "errors").mkdir()
    write(run, tmp_path / "out")
    assert f"The run is {status}" in (tmp_path / "out/index.html").read_text()


def test_a_run_without_rows(tmp_path):
    run = make_run(tmp_path / "run", 1)
    (run.path / "rows/part-00000.parquet").unlink()
    made = write(run, tmp_path / "out")
    assert (made.rows, made.samples) == (0, 0)


def test_rows_out_of_order_are_refused(tmp_path):
    import pyarrow.parquet as pq

    run = make_run(tmp_path / "run", 4)
    path = run.path / "rows/part-00000.parquet"
    pq.write_table(pq.read_table(path).take([1, 0, 2, 3]), path)
    with pytest.raises(DataError, match="not in the order"):
        write(run, tmp_path / "out")


def test_clusters_of_an_audit(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    run = make_run(tmp_path / "run", 3)
    ids = run.rows.to_table()["id"].to_pylist()
    places = {"class": [0, 0, 0], "x": [0.0, 1.0, 2.0], "y": [0.0, 0.0, 1.0]}
    pq.write_table(pa.table({"id": ids, "cluster": [2, None, 1], **places}), run.path / "clusters.parquet")
    (run.path / "audit.json").write_text(json.dumps({"clusters": [], "classes": {}, "alarm": False}))
    write(run, tmp_path / "out")
    assert rows_of(tmp_path / "out")["cluster"] == [2, None, 1]
    assert held(tmp_path / "out", "report")["filters"]["cluster"] == [[1, 1], [2, 1]]
    assert (tmp_path / "out/audit.html").is_file()


def test_without_an_audit_there_is_no_page_of_it(tmp_path):
    write(make_run(tmp_path / "run", 3), tmp_path / "out")
    assert not (tmp_path / "out/audit.html").exists()
    assert "audit.html" not in (tmp_path / "out/index.html").read_text()


def test_every_page_loads_only_its_own_files(tmp_path):
    write(make_run(tmp_path / "run", 3), tmp_path / "out", samples=0)
    for page in ("index", "gallery", "sample", "findings"):
        text = (tmp_path / f"out/{page}.html").read_text()
        assert "default-src &#39;none&#39;" in text and "unsafe" not in text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", text)  # nothing inline
        for name in re.findall(r'(?:src|href)="([^"#]+)"', text):
            assert (tmp_path / "out" / name).is_file()


def test_what_is_there_already_is_not_touched(tmp_path):
    run = make_run(tmp_path / "run", 3)
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("ten years")
    with pytest.raises(DataError, match="holds no report"):
        write(run, out, overwrite=True)
    with pytest.raises(DataError, match="not a folder"):
        write(run, out / "thesis.tex", overwrite=True)
    (tmp_path / "link").symlink_to(out)
    with pytest.raises(DataError, match="not a folder"):
        write(run, tmp_path / "link", overwrite=True)
    assert (out / "thesis.tex").read_text() == "ten years"


def test_a_report_is_replaced_as_a_whole_when_asked(tmp_path):
    out = tmp_path / "out"
    write(make_run(tmp_path / "run", SIZE + 1), out)
    small = make_run(tmp_path / "small", 3)
    with pytest.raises(DataError, match="--overwrite"):
        write(small, out)
    write(small, out, overwrite=True)
    assert len(list((out / "data/rows").iterdir())) == 1  # nothing of the old one is left
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run", "small"]


def test_a_folder_that_only_looks_like_a_report_is_not_replaced(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").write_text("[1]")
    with pytest.raises(DataError, match="holds no report"):
        check_free(out, overwrite=True)


def test_when_it_fails_the_old_one_stays_and_nothing_else(tmp_path):
    run = make_run(tmp_path / "run", 3)
    write(run, tmp_path / "out")
    before = (tmp_path / "out/index.html").read_bytes()

    class Broken(Dots):
        def samples(self, numbers):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(run, tmp_path / "out", Broken(run), overwrite=True)
    assert (tmp_path / "out/index.html").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run"]


def test_tables_are_written_apart(tmp_path):
    run = make_run(tmp_path / "run", 3)
    write(run, tmp_path / "out", Dots(run, report_runs.FINDINGS))
    listed = held(tmp_path / "out", "report")["tables"]
    assert [(one["key"], one["rows"]) for one in listed] == [("fragments", 120), ("motifs", 1)]
    assert held(tmp_path / "out", "tables/fragments")["rows"][3] == ["CCCC=O 3", 3, None, 3]
