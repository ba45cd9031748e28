"""Every reader fed with damaged files: none may end in a traceback, a hang, a crash, or without memory.

    python benchmarks/fuzz.py [--inputs 1000000] [--seconds 60] [--targets 'genomics/*'] [--processes 2] [--keep DIR]
    python benchmarks/fuzz.py --replay 'genomics/bed' DIR/genomics_bed/0a1b2c.input

The targets and the whole files that are damaged are in ``_fuzz_core.py`` and ``_fuzz_DOMAIN.py``. An input is either
read or refused with an error of this package; anything else is a failure, and its input is kept. Most inputs are made
by ``_mutate.py``; a share of them by libFuzzer, which keeps those that reach new lines of our own parsers (by atheris,
where it is installed). Each target works in processes of its own under a limit of memory and of time for one input; the
input at hand is in a file that outlives a crash. Inputs depend on the seed alone, but for libFuzzer's.
"""

from __future__ import annotations

import argparse
import atexit
import fnmatch
import hashlib
import importlib
import importlib.util
import json
import mmap
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import Any, NamedTuple, NoReturn

MODULES = ("_fuzz_core", "_fuzz_images", "_fuzz_molecules", "_fuzz_genomics")
OWN_PARSERS = (
    "sciexplain._json",
    "sciexplain._trained",
    "sciexplain.cli.audit_files",
    "sciexplain.cli.evaluation_masks",
    "sciexplain.datasets.",
    "sciexplain.domains.genomics.",
    "sciexplain.domains.images.",
    "sciexplain.domains.molecules.",
    "sciexplain.explanation",
    "sciexplain.records.",
    "sciexplain.report.labels",
    "sciexplain.runs.",
)
"""Modules whose coverage libFuzzer is told of."""
_TRIAL = 500
"""Inputs of each target by which its speed is known."""
_MOST_OF_ONE_KIND = 3
"""Inputs that are kept of failures in the same place."""
_MOST_DEATHS = 20
"""Processes of one target that may die before it is left."""


class State(NamedTuple):
    """How far a target is, in a file that all processes map; the input at hand lies behind it."""

    number: int = 0
    refused: int = 0
    whole: int = 0
    failures: int = 0
    size: int = 0
    edges: int = 0
    slowest: float = 0.0
    spent: float = 0.0
    began: float = 0.0
    ended: float = 0.0


_STATE = struct.Struct("<6Q4d")
_LARGEST = 1 << 21


class Shared:
    """A :class:`State` in a file."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_STATE.size + _LARGEST))
        with path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), _STATE.size + _LARGEST)

    def get(self) -> State:
        return State(*_STATE.unpack_from(self.map))

    def put(self, state: State) -> None:
        _STATE.pack_into(self.map, 0, *state)

    @property
    def input(self) -> bytes:
        return self.map[_STATE.size : _STATE.size + self.get().size]

    @input.setter
    def input(self, data: bytes) -> None:
        data = data[:_LARGEST]
        self.map[_STATE.size : _STATE.size + len(data)] = data


class TooSlow(BaseException):
    """An input took more than its time; no ``except Exception`` may take it for an error of the file."""


@dataclass
class Worker:
    """Feeds one target, and notes what comes of it."""

    name: str
    target: Callable[[bytes], None]
    shared: Shared
    keep: Path
    limit: float
    kinds: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from sciexplain.errors import SciExplainError

        self.told = 0

        def counted(error: BaseException, *arguments: Any) -> None:
            Exception.__init__(error, *arguments)
            self.told += 1

        # Some targets take an error for an answer.
        SciExplainError.__init__ = counted  # type: ignore[method-assign, assignment]
        self.error = SciExplainError
        signal.signal(signal.SIGPROF, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"more than {self.limit:g} s")

    def feed(self, data: bytes) -> None:
        """One input."""
        state = self.shared.get()
        self.shared.input = data
        state = state._replace(size=len(data), began=time.time(), ended=0.0)
        self.shared.put(state)
        self.told = 0
        begun = time.perf_counter()
        signal.setitimer(signal.ITIMER_PROF, self.limit)
        failure: BaseException | None = None
        try:
            try:
                self.target(data)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        except self.error as error:
            failure = None if _can_be_told(error) else error
        except (Exception, TooSlow) as error:
            failure = error
        refused = failure is None and self.told > 0
        if failure is not None:
            state = state._replace(failures=state.failures + 1)
            self._note(data, failure)
        seconds = time.perf_counter() - begun
        self.shared.put(
            state._replace(
                number=state.number + 1,
                refused=state.refused + refused,
                whole=state.whole + (not refused),
                slowest=max(state.slowest, seconds),
                ended=time.time(),
            )
        )

    def _note(self, data: bytes, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "sciexplain" in f.filename]
        kind = f"{type(error).__name__} in {ours[-1] if ours else frames[-1].name}"
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if self.kinds[kind] <= _MOST_OF_ONE_KIND:
            save(self.keep, self.name, data, kind, "".join(traceback.format_exception(error)))


def _can_be_told(error: BaseException) -> bool:
    """Whether a message is one that a user can be shown: not empty, not endless, in letters that can be written."""
    try:
        return 0 < len(str(error).encode()) < 20_000
    except UnicodeEncodeError:
        return False


def save(keep: Path, target: str, data: bytes, kind: str, text: str) -> Path:
    """An input that failed, and beside it what it failed with."""
    folder = keep / re.sub(r"[^A-Za-z0-9.]+", "_", target)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(data).hexdigest()[:12]}.input"
    path.write_bytes(data)
    path.with_suffix(".txt").write_text(f"{kind}\n\n{text}", encoding="utf-8", errors="backslashreplace")
    return path


def targets(say: Callable[[str], object] = lambda line: None) -> Iterator[tuple[str, str]]:
    """Names of targets, and the module of each."""
    for module in MODULES:
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            say(f"{module} is missing: {error}")
            continue
        for name in found.TARGETS:
            yield name, module


# -- the processes of one module's targets -----------------------------------------------------------------------------


class Job(NamedTuple):
    """A target with one way of making inputs, until there have been so many."""

    name: str
    module: str
    guided: bool
    shared: str
    inputs: int = _TRIAL
    seconds: float = 1e9

    @property
    def state(self) -> State:
        return Shared(Path(self.shared)).get()

    @property
    def rate(self) -> float:
        state = self.state
        return state.number / state.spent if state.spent else 0.0

    @property
    def title(self) -> str:
        return f"{self.name} (guided)" if self.guided else self.name


def work(jobs: list[Job], arguments: argparse.Namespace) -> None:
    """Import a module once, and feed its targets one after the other, each in a process of its own."""
    warnings.filterwarnings("ignore")
    module = importlib.import_module(jobs[0].module)
    if jobs[0].guided:
        instrument()
    for job in jobs:
        for _ in range(_MOST_DEATHS):
            if not _died(job, module, arguments):
                break
        print(f"{job.title}: {job.state.number:,} inputs, {job.state.failures} failures, {job.rate:,.0f}/s", flush=True)


def instrument() -> None:
    """Have our own parsers tell which of their lines they reach."""
    import atheris

    for name, module in list(sys.modules.items()):
        if not name.startswith(OWN_PARSERS):
            continue
        for value in list(vars(module).values()):
            for one in (value, *vars(value).values()) if isinstance(value, type) else (value,):
                function = getattr(one, "__func__", one)
                if isinstance(function, FunctionType) and function.__module__ == name:
                    atheris.instrument_func(function)


def _died(job: Job, module: ModuleType, arguments: argparse.Namespace) -> bool:
    """Feed a target in a process of its own; whether that died of an input, which is then kept."""
    shared, log, begun = Shared(Path(job.shared)), Path(f"{job.shared}.log"), time.monotonic()
    child = os.fork()
    if not child:
        _feed(job, module, arguments, shared, log)
    hung, status = False, 0
    while not (done := os.waitpid(child, os.WNOHANG))[0]:
        time.sleep(0.02)
        state = shared.get()
        if state.began > state.ended and time.time() - state.began > 10 * arguments.limit + 30:
            hung = True  # its own clock was of no use
            os.kill(child, signal.SIGKILL)
    _tidy(job)
    status = os.waitstatus_to_exitcode(done[1])
    text = log.read_text(encoding="utf-8", errors="replace")
    state = shared.get()
    edges = max([state.edges, *map(int, re.findall(r"\bcov: (\d+)", text))])
    state = state._replace(spent=state.spent + time.monotonic() - begun, edges=edges)
    shared.put(state)
    if status == 0:
        return False
    if state.began <= state.ended:
        raise SystemExit(f"the process of {job.title} ended with {status} between two inputs:\n{text[-3000:]}")
    kind = "hang" if hung else f"died of {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
    save(arguments.keep, job.name, shared.input, kind, text[-20_000:])
    shared.put(
        state._replace(number=state.number + 1, failures=state.failures + 1, whole=state.whole + 1, ended=time.time())
    )
    return state.number + 1 < job.inputs


def _feed(job: Job, module: ModuleType, arguments: argparse.Namespace, shared: Shared, log: Path) -> NoReturn:
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    status = 3
    _note_folders(job)
    try:
        worker = Worker(job.name, module.TARGETS[job.name], shared, arguments.keep, arguments.limit)
        seeds = module.SEEDS[job.name]
        limit_memory(arguments.memory)
        if job.guided:
            guide(worker, seeds, job, arguments.seed)
        deadline = time.monotonic() + job.seconds
        while (number := shared.get().number) < job.inputs and time.monotonic() < deadline:
            worker.feed(mutated(seeds, f"{arguments.seed} {job.name} {number}"))
        status = 0
    finally:
        if status:
            traceback.print_exc()
        atexit._run_exitfuncs()  # temporary folders of the target's
        os._exit(status)


def _note_folders(job: Job) -> None:
    """Have this process write down which temporary folders it makes: one that dies leaves them behind."""
    make, notes = tempfile.mkdtemp, Path(f"{job.shared}.folders")

    def noted(*arguments: Any, **options: Any) -> str:
        made: str = make(*arguments, **options)
        with notes.open("a") as file:
            file.write(f"{made}\n")
        return made

    tempfile.mkdtemp = noted


def _tidy(job: Job) -> None:
    notes = Path(f"{job.shared}.folders")
    for made in notes.read_text().splitlines() if notes.exists() else ():
        shutil.rmtree(made, ignore_errors=True)
    notes.unlink(missing_ok=True)


def limit_memory(megabytes: int) -> None:
    """So many beyond what is mapped already."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def mutated(seeds: list[bytes], seed: str) -> bytes:
    """The input of a number; the first few are the seeds as they are."""
    from _mutate import mutated as damaged

    number = int(seed.rpartition(" ")[2])
    return seeds[number] if number < len(seeds) else damaged(seeds, random.Random(seed))


def guide(worker: Worker, seeds: list[bytes], job: Job, seed: int) -> NoReturn:
    """Let libFuzzer choose the inputs; it ends the process."""
    import atheris

    folder = f"{job.shared}.corpus"
    os.makedirs(folder, exist_ok=True)
    for number, content in enumerate(seeds):
        Path(folder, f"seed{number}").write_bytes(content)
    options = (
        f"-runs={job.inputs - worker.shared.get().number}",
        f"-max_total_time={max(1, min(int(job.seconds), 10**8))}",
        f"-max_len={max(4096, 2 * max(map(len, seeds)))}",
        f"-seed={seed + 1}",
        f"-artifact_prefix={folder}/",
        "-timeout=1000",  # the worker's own clock comes first, and the parent's
        "-rss_limit_mb=0",
    )
    atheris.Setup([sys.argv[0], *options, folder], worker.feed)
    atheris.Fuzz()
    raise AssertionError("libFuzzer ends the process")


# -- the parent ----------------------------------------------------------------------------------------------------


def run(jobs: list[Job], arguments: argparse.Namespace, folder: Path, *, quiet: bool = False) -> None:
    """All jobs, those of one module and way in one process, and so many of these at a time."""
    groups: dict[tuple[str, bool], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.module, job.guided), []).append(job)
    waiting = sorted(groups.values(), key=len)
    running: list[tuple[subprocess.Popen[bytes], Path]] = []
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    while waiting or running:
        while waiting and len(running) < arguments.processes:
            plan = folder / f"plan-{len(waiting)}.json"
            plan.write_text(json.dumps(waiting.pop()))
            command = [sys.executable, __file__, *sys.argv[1:], "--keep", str(arguments.keep), "--work", str(plan)]
            output = subprocess.DEVNULL if quiet else None
            log = plan.with_suffix(".log")
            with log.open("wb") as errors:
                process = subprocess.Popen(
                    command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
                )
            running.append((process, log))
        time.sleep(0.1)
        for process, log in [one for one in running if one[0].poll() is not None]:
            running.remove((process, log))
            if process.returncode:
                raise SystemExit(f"a worker ended with {process.returncode}: {log.read_text(errors='replace')[-3000:]}")


def planned(jobs: list[Job], arguments: argparse.Namespace) -> list[Job]:
    """Every job with as much time as the others of its way, so that there are as many inputs in all as asked for."""
    made = []
    for job in jobs:
        total = sum(other.rate for other in jobs if other.guided == job.guided)
        share = arguments.share if job.guided else 1 - arguments.share
        inputs = max(_TRIAL, int(arguments.inputs * share * job.rate / total * 1.02) + 1)
        made.append(job._replace(inputs=inputs, seconds=arguments.seconds))
    return made


def report(jobs: list[Job], arguments: argparse.Namespace, seconds: float) -> int:
    """Print the table; the number of failures."""
    from rich.box import MARKDOWN
    from rich.console import Console
    from rich.table import Table

    made = Table(box=MARKDOWN)
    made.add_column("target")
    for column in ("inputs", "refused", "read whole", "slowest (ms)", "edges", "failures"):
        made.add_column(column, justify="right")
    totals = [0, 0, 0, 0]
    for name in dict.fromkeys(job.name for job in jobs):
        own = [job for job in jobs if job.name == name]
        states = [job.state for job in own]
        numbers = [sum(getattr(s, what) for s in states) for what in ("number", "refused", "whole", "failures")]
        totals = [a + b for a, b in zip(totals, numbers, strict=True)]
        edges = max(s.edges for s in states)
        cells = [f"{numbers[0]:,}", f"{numbers[1]:,}", f"{numbers[2] - numbers[3]:,}"]
        cells += [f"{1000 * max(s.slowest for s in states):,.0f}", str(edges or "–"), str(numbers[3])]
        made.add_row(name, *cells)
    made.add_row("all", f"{totals[0]:,}", f"{totals[1]:,}", f"{totals[2] - totals[3]:,}", "", "", str(totals[3]))
    console = Console(width=140)
    console.print(made)
    console.print(f"{totals[0]:,} inputs in {seconds:,.0f} s, {totals[3]} failures")
    for path in sorted(Path(arguments.keep).glob("*/*.input")) if totals[3] else ():
        first = path.with_suffix(".txt").read_text(encoding="utf-8").partition("\n")[0]
        console.print(f"{path}: {first}", soft_wrap=True, highlight=False)
    return totals[3]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all targets together")
    parser.add_argument("--seconds", type=float, default=1e9, help="that a target may take, each way of making inputs")
    parser.add_argument("--targets", nargs="+", default=["*"], help="names, with * for any letters")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for inputs that fail; default: a temporary one, which stays")
    parser.add_argument("--limit", type=float, default=10.0, help="seconds of CPU that an input may take")
    parser.add_argument("--memory", type=int, default=2048, help="MB that a worker may take beyond its start")
    parser.add_argument("--share", type=float, default=0.2, help="of inputs that libFuzzer makes; 0: none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--replay", nargs=2, metavar=("TARGET", "FILE"), help="feed one input, and see its traceback")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work([Job(*entry) for entry in json.loads(arguments.work.read_text())], arguments)
        return
    names = dict(targets(print))
    if arguments.replay:
        name, file = arguments.replay
        importlib.import_module(names[name]).TARGETS[name](Path(file).read_bytes())
        return
    chosen = [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in arguments.targets)]
    if not chosen:
        parser.error(f"no target is named {' or '.join(arguments.targets)}, or its domain is not installed")
    if not importlib.util.find_spec("atheris"):
        print("atheris is not installed, so that libFuzzer makes no inputs")
        arguments.share = 0.0
    arguments.keep = Path(arguments.keep or tempfile.mkdtemp(prefix="fuzz-found-")).resolve()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        jobs = [
            Job(name, names[name], way, str(Path(folder, f"{number}-{way}")))
            for way in ((False, True) if arguments.share > 0 else (False,))
            for number, name in enumerate(chosen)
        ]
        for job in jobs:
            Shared(Path(job.shared))
        run(jobs, arguments, Path(folder), quiet=True)
        run(planned(jobs, arguments), arguments, Path(folder))
        failures = report(jobs, arguments, time.monotonic() - begun)
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
