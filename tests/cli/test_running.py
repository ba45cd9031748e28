import json
import shutil
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from sciexplain.runs import RunFolder, open_run

MODEL = "network_of_cli_tests.py:make"
SLOW = """
import time
import torch
from torch import nn

class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    def forward(self, x):
        time.sleep(0.02)
        return self.net(x)

def make():
    return Slow().eval()
"""


@pytest.fixture
def many(folder):
    """Pictures enough to be interrupted, and a model that takes its time."""
    (folder / "slow.py").write_text(SLOW)
    pixels = np.random.default_rng(0).integers(0, 256, (200, 2, 2, 3), dtype=np.uint8)
    np.savez(folder / "stack.npz", images=pixels)
    options = [
        "--model",
        "slow.py:make",
        "--data",
        "stack.npz",
        "--out",
        "run",
        "--batch-size",
        "2",
        "--shard",
        "10",
        "--no-ledger",
    ]
    return ["explain", "images", *options]


def start(arguments, **options):
    script = Path(sysconfig.get_path("scripts"), "sciexplain")
    return subprocess.Popen([script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def wait_for_rows(count=2):
    deadline = time.monotonic() + 120
    while len(list(Path("run/rows").glob("part-*"))) < count:
        assert time.monotonic() < deadline, "no rows came"
        time.sleep(0.01)


def contents(path):
    return open_run(path).rows.to_table().drop_columns(["seconds"]).sort_by("number").to_pylist()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_says_how_to_go_on_and_that_works(many, number):
    process = start([*many, "--quiet"])
    wait_for_rows()
    process.send_signal(number)
    told, errors = process.communicate()
    assert process.returncode == 130, errors
    assert not errors
    assert "To go on: sciexplain explain images --model slow.py:make" in told
    info = open_run("run").info
    assert info["status"] == "interrupted"
    assert 20 <= info["counts"]["rows"] < 200
    before = {path: path.stat().st_mtime_ns for path in Path("run/rows").glob("part-*")}
    again = start([*many, "--quiet"])
    assert "200 pictures explained in run" in again.communicate()[0]
    assert again.returncode == 0
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    shutil.move("run", "broken")
    assert start([*many, "--quiet"]).wait() == 0
    assert contents("broken") == contents("run")


def test_two_runs_into_one_folder_are_refused(many, sciexplain):
    with RunFolder(Path("run"), {}):
        second = start([*many, "--quiet"])
        assert "being written by another run" in second.communicate()[1]
        assert second.returncode == 2
    assert sciexplain(*many, "--quiet", "--overwrite", "--limit", 4).exit_code == 0


def test_the_same_again_has_nothing_to_do(sciexplain, folder):
    arguments = ["explain", "images", "--model", MODEL, "--data", "pictures", "--out", "run", "--quiet"]
    (folder / "pictures" / "bad.png").write_text("no picture")
    assert sciexplain(*arguments).exit_code == 1
    written = {path: path.stat().st_mtime_ns for path in Path("run").rglob("*") if path.is_file()}
    again = sciexplain(*arguments)
    assert again.exit_code == 1
    assert "4 pictures explained in run" in again.output
    assert {path: path.stat().st_mtime_ns for path in Path("run").rglob("*") if path.is_file()} == written


def test_another_question_is_told_what_is_there(sciexplain, folder):
    arguments = ["explain", "images", "--model", MODEL, "--data", "pictures", "--out", "run", "--quiet"]
    assert sciexplain(*arguments).exit_code == 0
    other = sciexplain(*arguments, "--target", 2)
    assert other.exit_code == 2
    assert "it holds a run with --target None" in " ".join(other.output.split())
    assert sciexplain(*arguments, "--target", 2, "--overwrite").exit_code == 0
    assert open_run("run").info["options"]["target"] == 2


def test_lines_of_json_for_batch_systems(sciexplain, folder):
    (folder / "pictures" / "bad.png").write_text("no picture")
    result = sciexplain(
        *["explain", "images", "--model", MODEL, "--data", "pictures", "--out", "run", "--progress", "json"]
    )
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    events = {line.pop("event"): line for line in lines}
    assert events["begin"] == {"total": 5, "done": 0, "failed": 0}
    assert events["failed"]["id"] == "bad.png"
    assert events["progress"].keys() >= {"rows_per_second", "seconds_left", "memory_bytes"}
    assert (events["progress"]["done"], events["progress"]["failed"]) == (5, 1)
    assert events["finished"] == {"run": "run", "rows": 4, "failed": 1, "lines": []}


def test_a_picture_that_goes_away_in_the_middle_is_one_failure(many, folder):
    from PIL import Image

    shutil.rmtree(folder / "pictures")
    (folder / "pictures").mkdir()
    for n in range(500):
        Image.new("RGB", (2, 2), (n % 256,) * 3).save(folder / "pictures" / f"{n:03d}.png")
    many[many.index("stack.npz")] = "pictures"
    process = start([*many, "--quiet", "--shard", "4", "--batch-size", "4"])
    wait_for_rows(1)
    (folder / "pictures" / "499.png").unlink()
    process.communicate()
    assert process.returncode == 1
    (failed,) = open_run("run").errors.to_pylist()
    assert (failed["id"], failed["number"], failed["stage"]) == ("499.png", 499, "read")
    assert len(contents("run")) == 499


def test_engine_options_that_do_not_fit(sciexplain, folder):
    arguments = ["explain", "images", "--model", MODEL, "--data", "pictures", "--out", "run", "--quiet"]
    result = sciexplain(*arguments, "--address", "auto")
    assert result.exit_code == 2
    assert "--address is for --engine ray" in " ".join(result.output.split())
    assert not (folder / "run").exists()


def test_processes_give_the_same_files(made, command, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    check_same_files(made, command, ["local", "--workers", "2"])


@pytest.mark.xdist_group("ray")
@pytest.mark.parametrize("made", ["molecules"], indirect=True)  # workers are the same with processes, in all domains
def test_ray_gives_the_same_files(made, command, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    check_same_files(made, command, ["ray", "--workers", "2"])


def check_same_files(made, command, engine):
    info = open_run("run").info["options"]
    given = {
        "images": ["--mean", "0.5", "--resize", "8,8"],
        "molecules": ["--featurizer", "pyg"],
        "genomics": ["--strand", "both"],
    }[made]
    arguments = ["--model", info["model"], "--data", info["data"], *given, "--shard", "2", "--batch-size", "2"]
    for name, asked in (("one", ["local"]), ("two", engine)):
        result = command("explain", made, *arguments, "--out", name, "--quiet", "--engine", *asked)
        assert result.returncode == (0 if made == "images" else 1), result.stderr
    assert contents("one") == contents("two")
    assert open_run("one").errors == open_run("two").errors
    files = {path.relative_to("one") for path in Path("one").rglob("*") if path.is_file()}
    assert files == {path.relative_to("two") for path in Path("two").rglob("*") if path.is_file()}
    for file in files:
        if file.suffix in (".sdf", ".bed", ".meme", ".gff3") or "pictures" in file.parts:
            assert Path("one", file).read_bytes() == Path("two", file).read_bytes(), file
        elif file.suffix == ".parquet" and file.parts[0] != "rows":
            ours, theirs = (pyarrow.parquet.read_table(Path(name, file)) for name in ("one", "two"))
            assert ours == theirs, file
