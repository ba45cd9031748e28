"""``sciexplain report``: options, and what happens where model or data have gone."""

import numpy as np
import pytest
import typer
from report_runs import Dots, make_run
from typer.testing import CliRunner

from sciexplain.cli import report
from sciexplain.errors import DataError

app = typer.Typer()
app.command()(report.report)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "content_of", lambda run, opened, **options: Dots(run))
    return make_run(tmp_path / "run", 20)


def ask(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments), "--quiet"], catch_exceptions=False)


def test_beside_the_run_and_without_its_model(run):
    made = ask(run.path)
    assert made.exit_code == 0
    assert "Made from the rows alone, without inputs" in made.output
    assert "20 rows, 20 of them with a page of their own" in made.output
    page = (run.path / "report/index.html").read_text()
    assert "Made from the rows alone, without inputs: run " in page.replace(f"{run.path.parent}/", "")


def test_a_second_time_only_when_asked(run):
    ask(run.path)
    with pytest.raises(DataError, match="--overwrite"):
        ask(run.path)
    assert ask(run.path, "--overwrite", "--samples", 3).exit_code == 0


def test_elsewhere_with_labels_and_names(run, tmp_path):
    ids = run.rows.to_table()["id"].to_pylist()
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\n" + "".join(f"{name},ape\n" for name in ids))
    made = ask(run.path, "--out", tmp_path / "out", "--labels", labels, "--classes", "ape, bee,cow,dog")
    assert made.exit_code == 0
    assert "labels.csv" in (tmp_path / "out/index.html").read_text()
    assert "of 20 labelled" in (tmp_path / "out/index.html").read_text()


def test_labels_that_data_bring_along(tmp_path, monkeypatch):
    data = tmp_path / "data.npz"
    np.savez(data, images=np.zeros((20, 2, 2)), labels=np.arange(20) % 4)
    info = {"data": {"path": str(data), "sha256": "x", "files": []}}
    run = make_run(tmp_path / "run", 20, info=info)
    monkeypatch.setattr(report, "content_of", lambda run, opened, **options: Dots(run))
    ask(run.path)
    right = (run.rows.to_table()["prediction"].to_numpy() == np.arange(20) % 4).mean()
    assert f"{100 * right:.1f} % of 20 labelled" in (run.path / "report/index.html").read_text()


def test_a_model_that_is_named_has_to_open(run, tmp_path):
    with pytest.raises(DataError):
        ask(run.path, "--model", tmp_path / "net.py:make")
    assert not (run.path / "report").exists()


def test_a_folder_that_is_not_its_own(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds no report"):
        ask(run.path, "--out", tmp_path / "out", "--overwrite")


def test_a_run_of_no_domain(tmp_path):
    run = make_run(tmp_path / "run", 2, info={"command": "explain poems"})
    with pytest.raises(DataError, match="'explain poems'; expected explain images"):
        ask(run.path)
