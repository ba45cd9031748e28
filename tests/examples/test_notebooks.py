"""Every notebook is its script, keeps its outputs, and runs."""

import os
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples"
SCRIPTS = sorted(FOLDER.glob("[0-9]*.py"))
LARGEST = 1_500_000


def named(path):
    return path.stem


def test_there_are_ten():
    assert [path.name[:2] for path in SCRIPTS] == [f"{number:02d}" for number in range(1, 11)]


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_notebook_and_script_are_one(script):
    notebook = jupytext.read(script.with_suffix(".ipynb"))
    cells = [[(cell.cell_type, cell.source.strip()) for cell in of.cells] for of in (jupytext.read(script), notebook)]
    assert cells[0] == cells[1], f"run: make examples, or jupytext --sync {script.name}"
    assert notebook.cells[0].cell_type == notebook.cells[-1].cell_type == "markdown"


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_outputs_are_kept_and_clean(script):
    path = script.with_suffix(".ipynb")
    cells = [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert path.stat().st_size < LARGEST


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_it_runs_on_small_settings(script, shared_data, tmp_path):
    data = shared_data("README.md").parent
    paths = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
    done = subprocess.run(
        [sys.executable, "-P", script],
        cwd=tmp_path,
        env={
            **os.environ,
            "MPLBACKEND": "agg",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(paths),
            "SCIEXPLAIN_DATA": str(data),
            "SCIEXPLAIN_EXAMPLES": "small",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
