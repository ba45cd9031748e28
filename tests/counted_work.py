"""A small work for tests of runs: samples are numbers, explained by what makes them up."""

import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from sciexplain.errors import DataError
from sciexplain.runs import (
    Answer,
    Decision,
    Explained,
    Failure,
    Finding,
    Processes,
    RunFolder,
    Sample,
    Work,
    explain_all,
)


class CountedWork(Work):
    """``total`` samples; every seventh cannot be read, and number ``breaks`` makes its batch fail."""

    noun = "numbers"
    shard = 16
    most = 8
    wrong_question = (LookupError,)
    texts = ("numbers.txt",)

    def __init__(self, total, *, breaks=None, error=ValueError, known=True, seconds=0.0):
        self.total, self.breaks, self.error, self.known, self.seconds = total, breaks, error, known, seconds
        self.batches = []
        self.tables = {"parts": pa.schema({"name": pa.string(), "part": pa.int64()})}

    def count(self):
        return self.total if self.known else None

    def read(self, start=0):
        for n in range(start, self.total):
            name = f"n{n}"
            if n % 7 == 3:
                yield Failure(name, f"list[{n}]", "is odd", "read")
            else:
                yield Sample(name, f"list[{n}]", n, 1 + n % 3, bucket=n % 2)

    def explain(self, samples):
        self.batches.append([sample.content for sample in samples])
        time.sleep(self.seconds * len(samples))
        if self.breaks in self.batches[-1]:
            raise self.error(f"cannot do {self.breaks}")
        return Explained([self._answer(sample) for sample in samples], {("odd", "net"): 1})

    def _answer(self, sample):
        n = sample.content

        def draw(path):
            path = path.with_suffix(".txt")
            path.write_text(str(n))
            return path

        return Answer(
            Decision(n % 3, 0.5, (n + 1) % 3),
            n % 3,
            float(n),
            np.full((1, 1 + n % 3), n, dtype=np.float32),
            tables=lambda: {"parts": {"name": [sample.id] * (n % 3), "part": np.arange(n % 3)}},
            texts=lambda: {"numbers.txt": f"{n}\n"},
            draw=draw,
        )

    def finish(self, run, say):
        say("adding up")
        return Finding([f"{run.rows.count_rows()} numbers"], {"sum": sum(run.rows.to_table()["score"].to_pylist())})


class Quiet:
    """A watch that only counts."""

    def __init__(self):
        self.total, self.before, self.samples, self.failures, self.said = None, 0, 0, [], []

    def begin(self, total, done, failed):
        self.total, self.before = total, done

    def advance(self, done):
        self.samples += done.samples
        self.failures += done.failures

    def say(self, text):
        self.said.append(text)


def contents(path):
    """All that a run of these holds and that does not depend on time."""
    from sciexplain.runs import open_run

    run = open_run(path)
    rows = run.rows.to_table().drop_columns(["seconds"]).sort_by("number").to_pylist()
    return {
        "rows": rows,
        "errors": run.errors.sort_by("number").to_pylist(),
        "parts": run.table("parts").to_table().sort_by([("number", "ascending"), ("part", "ascending")]).to_pylist(),
        "text": (Path(path) / "numbers.txt").read_text(),
        "pictures": sorted(p.name for p in (Path(path) / "pictures").iterdir()),
        "sum": run.info["sum"],
        "counts": run.info["counts"],
        "status": run.info["status"],
    }


def make(total, notes=None, device="cpu", **options):
    """What a worker makes; in the folder of notes it leaves the number of its process."""
    if notes is not None:
        (notes / str(os.getpid())).touch()
    return CountedWork(total, **options), None


class Wrong(CountedWork):
    def explain(self, samples):
        raise LookupError("no class 12")


def wrong(device):
    return Wrong(9), None


def unmade(device):
    raise DataError("no such model")


def dying(device):
    os._exit(9)


def by_processes(total, notes=None, **options):
    """Two worker processes."""
    return Processes(CountedWork(total), partial(make, total, notes, **options), 2)


def explained(path, total, engine, *, known=True, **options):
    """A whole run; what watched it."""
    watch = Quiet()
    with RunFolder(path, {"command": "explain numbers"}) as folder:
        explain_all(CountedWork(total, known=known), engine, folder, watch, **{"shard": 8, "batch_size": 4, **options})
    return watch
