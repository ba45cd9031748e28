import os
import signal
import time
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
from counted_work import CountedWork, Quiet, contents, explained, make, wrong

from sciexplain.errors import DataError, InputError
from sciexplain.runs import Local, RunFolder, explain_all

pytest.importorskip("ray")
from sciexplain.runs.ray import Cluster

pytestmark = pytest.mark.xdist_group("ray")  # one Ray at a time on a small machine


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Workers are processes of their own: they find this file's helpers as this one does."""
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    )


def test_the_same_run_as_in_one_process(tmp_path):
    explained(tmp_path / "local", 90, Local(CountedWork(90, breaks=33)), pictures=20)
    with Cluster(partial(make, 90, breaks=33), workers=2) as cluster:
        watch = explained(tmp_path / "ray", 90, cluster, pictures=20)
        assert contents(tmp_path / "ray") == contents(tmp_path / "local")
        assert (watch.total, watch.samples, len(watch.failures)) == (90, 90, 14)

        # begun here, gone on with there
        def stop(*_):
            raise KeyboardInterrupt

        work = CountedWork(90)
        work.finish = stop
        with pytest.raises(KeyboardInterrupt), RunFolder(tmp_path / "both", {"command": "explain numbers"}) as folder:
            explain_all(work, Local(CountedWork(90, breaks=33)), folder, Quiet(), shard=8, batch_size=4, pictures=20)
        for number in (2, 5, 11):
            (tmp_path / "both" / "rows" / f"part-{number:06d}.parquet").unlink()
        assert explained(tmp_path / "both", 90, cluster, pictures=20).samples == 8 + 8 + 2
        assert contents(tmp_path / "both") == contents(tmp_path / "local")

        with pytest.raises(DataError, match="with one worker"), RunFolder(tmp_path / "unknown", {}) as folder:
            explain_all(CountedWork(9, known=False), cluster, folder, Quiet(), shard=8, batch_size=4)

    with Cluster(wrong, workers=1) as cluster:
        with pytest.raises(LookupError, match="no class 12"):
            explained(tmp_path / "wrong", 9, cluster)
        assert not (tmp_path / "wrong").exists()


def test_a_worker_that_is_killed_loses_nothing(tmp_path):
    (tmp_path / "notes").mkdir()
    killed = []

    def kill():
        while len(list((tmp_path / "ray" / "rows").glob("part*"))) < 3:
            time.sleep(0.01)
        for note in sorted((tmp_path / "notes").iterdir(), key=lambda path: -path.stat().st_mtime_ns):
            try:
                os.kill(int(note.name), signal.SIGKILL)
            except ProcessLookupError:  # the one that planned the run
                continue
            killed.append(note.name)
            return

    thread = Thread(target=kill)
    with Cluster(partial(make, 120, tmp_path / "notes", seconds=0.02), workers=2) as cluster:
        thread.start()
        explained(tmp_path / "ray", 120, cluster)
        thread.join()
    assert killed and len(list((tmp_path / "notes").iterdir())) > 2  # another took its place
    explained(tmp_path / "local", 120, Local(CountedWork(120)))
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


def test_what_is_not_there_is_told():
    with pytest.raises(InputError, match="no Ray cluster answers"), Cluster(make, address="127.0.0.1:1"):
        pass
    with pytest.raises(InputError, match="has no GPU"), Cluster(make, device="cuda"):
        pass
