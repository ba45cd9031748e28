import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from counted_work import CountedWork, Quiet, contents
from hypothesis import given, settings
from hypothesis import strategies as st

from sciexplain.errors import DataError
from sciexplain.runs import Local, RunFolder, explain_all, open_run

ASKED = {"command": "explain numbers", "options": {"target": 1}, "versions": {"torch": "1"}}


def explained(work, path, **options):
    watch = Quiet()
    with RunFolder(path, ASKED) as folder:
        lines = explain_all(work, Local(work), folder, watch, **{"shard": 16, "batch_size": 8, **options})
    return lines, watch


def test_every_sample_has_one_row_or_one_error(tmp_path):
    lines, watch = explained(CountedWork(50), tmp_path)
    found = contents(tmp_path)
    readable = [n for n in range(50) if n % 7 != 3]
    assert [row["number"] for row in found["rows"]] == readable
    assert [row["score"] for row in found["rows"]] == readable
    assert all(row["relevance"] == [row["score"]] * row["shape"][1] for row in found["rows"])
    assert [row["number"] for row in found["errors"]] == [n for n in range(50) if n % 7 == 3]
    assert [row["name"] for row in found["parts"]] == [f"n{n}" for n in readable for _ in range(n % 3)]
    assert found["text"] == "".join(f"{n}\n" for n in readable)
    assert found["counts"] == {"rows": 43, "failed": 7}
    assert (found["status"], found["sum"], lines) == ("finished", sum(readable), ["43 numbers"])
    assert (watch.total, watch.samples, len(watch.failures)) == (50, 50, 7)
    assert [p.name for p in sorted((tmp_path / "rows").iterdir())] == [f"part-00000{n}.parquet" for n in range(4)]
    assert not list(tmp_path.glob("*.parts")) and not (tmp_path / "errors").exists()
    assert open_run(tmp_path).info["operations_without_a_rule"] == [{"operation": "odd", "module": "net", "count": 8}]


@settings(max_examples=30, deadline=None)
@given(
    total=st.integers(0, 40),
    shard=st.integers(1, 20),
    batch=st.integers(1, 9),
    limit=st.none() | st.integers(1, 45),
    known=st.booleans(),
)
def test_how_a_run_is_cut_does_not_matter(tmp_path_factory, total, shard, batch, limit, known):
    whole, cut = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("cut")
    explained(CountedWork(total if limit is None else min(total, limit)), whole)
    explained(CountedWork(total, known=known), cut, shard=shard, batch_size=batch, limit=limit)
    assert contents(whole) == contents(cut)


def test_batches_are_of_one_bucket(tmp_path):
    work = CountedWork(40)
    explained(work, tmp_path)
    assert all(len({n % 2 for n in batch}) == 1 and len(batch) <= 8 for batch in work.batches)


def test_a_sample_that_fails_alone_is_recorded(tmp_path):
    work = CountedWork(40, breaks=20)
    explained(work, tmp_path)
    (failed,) = [row for row in contents(tmp_path)["errors"] if row["stage"] == "explain"]
    assert failed == {
        "number": 20,
        "id": "n20",
        "input": "list[20]",
        "reason": "ValueError: cannot do 20",
        "stage": "explain",
    }
    assert len(contents(tmp_path)["rows"]) == 33


def test_out_of_memory_halves_batches_from_then_on(tmp_path):
    class Small(CountedWork):
        def explain(self, samples):
            if len(samples) > 3:
                self.batches.append(len(samples))
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 1 TB")
            return super().explain(samples)

    work = Small(64)
    explained(work, tmp_path)
    assert len(contents(tmp_path)["rows"]) == 55
    assert sum(isinstance(batch, int) for batch in work.batches) <= 6  # both buckets were full


def test_a_wrong_question_is_told_and_leaves_nothing(tmp_path):
    class Wrong(CountedWork):
        def explain(self, samples):
            raise LookupError("no class 12")

    with pytest.raises(LookupError, match="no class 12"):
        explained(Wrong(40), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_same_error_later_is_one_samples(tmp_path):
    explained(CountedWork(40, breaks=30, error=LookupError), tmp_path)
    assert [row["number"] for row in contents(tmp_path)["errors"] if row["stage"] == "explain"] == [30]


def test_an_error_of_the_reader_ends_the_run_and_it_can_be_gone_on_with(tmp_path):
    class Torn(CountedWork):
        def read(self, start=0):
            yield from itertools.islice(super().read(start), max(0, 40 - start))
            raise DataError("the disk is gone")

    with pytest.raises(DataError, match="disk is gone"):
        explained(Torn(60), tmp_path)
    assert open_run(tmp_path).info["status"] == "interrupted"
    assert open_run(tmp_path).info["counts"] == {"rows": 27, "failed": 5}
    _, watch = explained(CountedWork(60), tmp_path)
    assert (watch.before, watch.samples) == (32, 28)
    explained(CountedWork(60), tmp_path / "whole")
    assert contents(tmp_path) == contents(tmp_path / "whole")


def test_shards_that_are_missing_in_the_middle_are_made(tmp_path):
    explained(CountedWork(60), tmp_path / "whole")

    def stop(*_):
        raise KeyboardInterrupt

    work = CountedWork(60)
    work.finish = stop
    with pytest.raises(KeyboardInterrupt):
        explained(work, tmp_path / "run")
    (tmp_path / "run" / "rows" / "part-000001.parquet").unlink()
    work = CountedWork(60)
    explained(work, tmp_path / "run")
    assert sorted(n for batch in work.batches for n in batch) == [n for n in range(16, 32) if n % 7 != 3]
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_a_finished_run_is_left_as_it_is(tmp_path):
    explained(CountedWork(20), tmp_path)
    before = (tmp_path / "run.json").read_bytes()
    work = CountedWork(20)
    assert explained(work, tmp_path)[0] == []
    assert not work.batches
    assert (tmp_path / "run.json").read_bytes() == before


def test_a_full_disk_stops_the_run_without_a_half_shard(tmp_path, monkeypatch):
    explained(CountedWork(60), tmp_path / "whole")
    parquet = sys.modules["sciexplain.runs.shard"].pa.parquet
    write, calls = parquet.write_table, itertools.count()

    def full(table, file, **options):
        if next(calls) >= 7:
            Path(file).write_bytes(b"PAR1 half")
            raise OSError(28, "No space left on device")
        write(table, file, **options)

    monkeypatch.setattr(parquet, "write_table", full)
    with pytest.raises(DataError, match="No space left on device"):
        explained(CountedWork(60), tmp_path / "run")
    monkeypatch.undo()
    assert set(open_run(tmp_path / "run").shards) == {0, 1}
    explained(CountedWork(60), tmp_path / "run")
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


SCRIPT = """
import sys
from pathlib import Path
from counted_work import CountedWork, Quiet
from sciexplain.runs import Local, RunFolder, explain_all
work = CountedWork(120, seconds=0.002)
asked = {asked}
with RunFolder(Path(sys.argv[1]), asked) as folder:
    explain_all(work, Local(work), folder, Quiet(), shard=8, batch_size=4)
"""


def test_killed_at_any_moment_it_goes_on_where_it_stopped(tmp_path):
    explained(CountedWork(120), tmp_path / "whole", shard=8)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    script = SCRIPT.format(asked=ASKED)

    def start():
        return subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "run")], env=environment)

    kills = 0
    for pause in (0.02, 0.1, 0.2, 0.05, 0.15):
        process = start()
        done = len(list((tmp_path / "run" / "rows").glob("part*")))
        while process.poll() is None and len(list((tmp_path / "run" / "rows").glob("part*"))) == done:
            time.sleep(0.005)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 2
    assert start().wait() == 0
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    assert not [p for p in (tmp_path / "run").rglob(".*")]


def test_killed_while_it_tidied_up_it_leaves_nothing_behind(tmp_path):
    explained(CountedWork(20), tmp_path)
    (tmp_path / "errors").mkdir()
    for name in ("errors/part-000001.parquet", "numbers.txt.parts/part-000001.txt", ".0a1b.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    before = contents(tmp_path)
    explained(CountedWork(20), tmp_path)
    assert contents(tmp_path) == before
    assert not list(tmp_path.glob("*.parts")) and not (tmp_path / "errors").exists() and not list(tmp_path.glob(".*"))
