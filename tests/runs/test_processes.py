import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import psutil
import pytest
from counted_work import CountedWork, by_processes, contents, dying, explained, unmade, wrong

from sciexplain.errors import DataError
from sciexplain.runs import Local, Processes
from sciexplain.runs.memory import Plan
from sciexplain.runs.workers import groups, shared_out


def test_the_same_run_as_in_one_process(tmp_path):
    explained(tmp_path / "one", 90, Local(CountedWork(90, breaks=33)), pictures=20)
    watch = explained(tmp_path / "two", 90, by_processes(90, breaks=33), pictures=20)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert (watch.total, watch.samples, len(watch.failures)) == (90, 90, 14)


def test_without_a_number_of_samples_there_is_nothing_to_share(tmp_path):
    with pytest.raises(DataError, match="with one worker"):
        explained(tmp_path / "run", 9, by_processes(9), known=False)


@pytest.mark.parametrize(("failing", "error"), [(wrong, LookupError("no class 12")), (unmade, DataError("no such"))])
def test_what_workers_raise_is_raised(tmp_path, failing, error):
    with pytest.raises(type(error), match=str(error)):
        explained(tmp_path / "run", 9, Processes(CountedWork(9), failing, 2))
    assert not (tmp_path / "run").exists()


def killed(notes, rows, number):
    """Kill a worker when so many shards are there."""
    while len(list(rows.glob("part*"))) < number:
        time.sleep(0.01)
    os.kill(int(min(notes.iterdir()).name), signal.SIGKILL)


def test_a_worker_that_is_killed_loses_nothing(tmp_path):
    (tmp_path / "notes").mkdir()
    thread = Thread(target=killed, args=(tmp_path / "notes", tmp_path / "two" / "rows", 3))
    thread.start()
    explained(tmp_path / "two", 120, by_processes(120, tmp_path / "notes", seconds=0.02))
    thread.join()
    assert len(list((tmp_path / "notes").iterdir())) > 2  # others took their place
    explained(tmp_path / "one", 120, Local(CountedWork(120)))
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_workers_that_all_die_are_told_of(tmp_path):
    with pytest.raises(DataError, match="ended 3 times without a word"):
        explained(tmp_path / "run", 9, Processes(CountedWork(9), dying, 2))


SCRIPT = """
from pathlib import Path
from counted_work import by_processes, explained
if __name__ == "__main__":
    explained(Path("run"), 400, by_processes(400, Path("notes"), seconds=0.05))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_process_that_started_them(tmp_path, number):
    (tmp_path / "notes").mkdir()
    (tmp_path / "script.py").write_text(SCRIPT)
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    begun = subprocess.Popen(
        [sys.executable, "-P", "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stderr=subprocess.DEVNULL,
    )
    while len(notes := list((tmp_path / "notes").iterdir())) < 2:
        assert begun.poll() is None
        time.sleep(0.05)
    begun.send_signal(number)
    assert begun.wait(20) != 0
    end = time.monotonic() + 20
    while any(psutil.pid_exists(int(note.name)) for note in notes):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_shards_are_enough_for_all():
    plan = Plan(64, 1000, 4096)
    assert shared_out(plan, 2, 12_000) == Plan(64, 500, 1500)
    assert shared_out(plan, 2, 12_000, shard=4096) == Plan(64, 500, 4096)
    assert shared_out(plan, 2, None) == Plan(64, 500, 4096)
    assert shared_out(plan, 4, 30) == Plan(64, 250, 16)
    assert shared_out(Plan(64, None, 100), 3, 10**9) == Plan(64, None, 100)


def test_groups_hold_every_shard_once():
    for count, workers in ((0, 2), (5, 2), (100, 2), (10_000, 3)):
        found = groups(range(count), workers)
        assert [shard for group in found for shard in group] == list(range(count))
    assert len(groups(range(100), 2)) > 2 * 8 and len(groups(range(10**6), 2)) == -(-(10**6) // 64)
