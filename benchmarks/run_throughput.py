"""Whole runs beside a bare loop: what reading, writing and keeping order cost.

For each data set the same samples are explained (a) by a bare loop of ``explain`` over batches that are in memory
already, keeping nothing; (b) by a run as the command line makes it, from the file to the finished folder without what
it makes of all rows together at the end, in one process; (c) the same with ``--workers``, their start included. All
on one thread of PyTorch for each process, by turns, best wall time of several rounds. ``reached`` is the bare loop's
time over the run's; what overlaps needs a second core.

    python benchmarks/run_throughput.py [--rounds 3] [--rows 12000] [--workers 2] [--ray] [--flat 1000000]

``--ray`` adds workers beside each other; ``--flat`` the memory of a run over so many rows.
"""

import argparse
import gzip
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import sciexplain as sx
from sciexplain.cli.watch import Silent
from sciexplain.cli.work import opened_work
from sciexplain.runs import Answer, Decision, Done, Explained, Local, Processes, RunFolder, Sample, Work, explain_all

NETWORKS = """
import torch
from torch import nn
from torch_geometric.nn import GIN, global_add_pool

def small():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 64), nn.ReLU(), nn.Linear(64, 10)).eval()

def residual():
    import _peers
    _peers.torchvision()
    import timm
    torch.manual_seed(0)
    return timm.create_model("resnet18", pretrained=False).eval()

class Graph(nn.Module):
    def __init__(self):
        super().__init__()
        self.gin, self.out = GIN(9, 64, 3), nn.Linear(64, 1)
    def forward(self, x, edge_index, batch):
        return self.out(global_add_pool(self.gin(x, edge_index), batch))

def graph():
    torch.manual_seed(0)
    return Graph().eval()

def sequence():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(4, 64, 15, padding=7), nn.ReLU(), nn.MaxPool1d(4), nn.Conv1d(64, 64, 7, padding=3), nn.ReLU(),
        nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(64, 2)).eval()
"""


class Case(NamedTuple):
    """A data set: what it is called, the options of the run, and the bare loop over the same batches."""

    name: str
    info: dict[str, Any]
    bare: Callable[[nn.Module, Any, Sequence[Any]], object]
    batch: int


def cases(folder: Path, rows: int) -> Iterator[Case]:
    """Data sets of every domain, as far as they are at hand."""
    (folder / "networks.py").write_text(NETWORKS)
    shared = Path(os.environ.get("SCIEXPLAIN_DATA", Path(__file__).parents[2] / "shared" / "data"))
    digits = shared / "images" / "mnist_test_10k.npz"
    plain = {"composite": "epsilon_plus", "target": None, "limit": None}
    pixels = {"resize": None, "crop": None, "mean": (0.0,), "std": (1.0,), "mode": None, "method": "lrp"}
    if digits.exists():
        with np.load(digits) as content:
            np.savez(folder / "digits.npz", images=content["images"][:rows])
        for ledger in (False, True):
            options = {**plain, **pixels, "ledger": ledger, "model": "networks.py:small", "data": "digits.npz"}
            yield Case(f"MNIST, small CNN, {'a' if ledger else 'no'} ledger", about("images", options), pictures, 64)
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for n in range(max(32, rows // 40)):
        from PIL import Image

        Image.fromarray(rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)).save(folder / "photos" / f"{n:05d}.jpg")
    options = {**plain, **pixels, "crop": 224, "ledger": False, "model": "networks.py:residual", "data": "photos"}
    yield Case("JPEG of 256 px, ResNet-18", about("images", options), pictures, 16)
    benzene = shared / "molecules" / "graph_attribution" / "benzene.jsonl.gz"
    if benzene.exists():
        with gzip.open(benzene, "rt") as lines:
            known = [json.loads(line)["smiles"] for line in lines]
        smiles = list(islice(cycle(known), rows))
        (folder / "benzene.smi").write_text("".join(f"{text} m{n}\n" for n, text in enumerate(smiles)))
        options = {
            **{**plain, "model": "networks.py:graph", "data": "benzene.smi", "featurizer": "pyg", "unit": ""},
            **{"smiles": None, "name": None, "walks": 0, "fragments": None, "bonds": True, "embed": False},
            "ledger": False,
        }
        for sdf in (True, False):
            asked = about("molecules", {**options, "sdf": sdf})
            yield Case(f"benzene rings, GIN, bonds, {'' if sdf else 'no '}SDF", asked, atoms_and_bonds, 256)
    peaks = shared / "genomics" / "chipseq_100bp" / "ctcf.fa.gz"
    if peaks.exists():
        with gzip.open(peaks, "rt") as lines:
            (folder / "peaks.fa").write_text("".join(islice(lines, 2 * rows)))
        options = {
            **{**plain, "model": "networks.py:sequence", "data": "peaks.fa", "method": "lrp", "strand": "both"},
            **{"head": None, "reference": None, "layout": None, "alphabet": None, "ambiguous": "zero", "seed": 0},
            **{"tokenizer": None, "genome": None, "length": None, "pad": False, "sequence": None, "name": None},
            **{"fdr": 0.05, "sign": "positive", "shuffles": None, "distance": 100_000, "hits": 1e-4},
            **{"min_seqlets": 30, "surface_limit": 200_000, "pictures": 0, "genes": None, "motifs": None},
            "gene_sets": None,
        }
        yield Case("ChIP-seq peaks of 100 bp, CNN", about("genomics", options), nucleotides, 256)


def about(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """What ``run.json`` says of a run."""
    return {"command": f"explain {kind}", "options": options}


def pictures(model: nn.Module, work: Any, samples: Sequence[Sample]) -> object:
    """The core's explanation of pictures that are preprocessed."""
    inputs = torch.stack([sample.content.input for sample in samples])
    question = work._question
    return sx.explain(model, inputs, composite=question.composite, ledger=question.ledger).relevance


def atoms_and_bonds(model: nn.Module, work: Any, samples: Sequence[Sample]) -> object:
    """The domain's explanation, and the relevance of atoms and bonds."""
    found = work._question.answer([sample.content for sample in samples])
    return [(a.atoms, a.bonds) for a in found]


def nucleotides(model: nn.Module, work: Any, samples: Sequence[Sample]) -> object:
    """The domain's explanation of sequences that are encoded."""
    question = work.question
    return question.answer(question.encoded([sample.content for sample in samples])).hypothetical


def bare_loop(case: Case, folder: Path) -> tuple[float, int]:
    """Seconds of explaining alone, and how many samples."""
    work, model = opened(case)
    samples = [attempt for attempt in work.read() if isinstance(attempt, Sample)]
    case.bare(model, work, samples[: case.batch])
    begun = time.perf_counter()
    for start in range(0, len(samples), case.batch):
        case.bare(model, work, samples[start : start + case.batch])
    return time.perf_counter() - begun, len(samples)


def whole_run(case: Case, folder: Path, workers: int = 1) -> float:
    """Seconds of a run, its model loaded already; other processes load theirs."""
    work, _ = opened(case)
    work.finish = Work.finish.__get__(work)  # of all rows together, which a bare loop has nothing of
    work.explain([attempt for attempt, _ in zip(work.read(), range(1), strict=False) if isinstance(attempt, Sample)])
    with tempfile.TemporaryDirectory(dir=folder) as out:
        begun = time.perf_counter()
        with RunFolder(Path(out) / "run", case.info) as run:
            engine = Local(work) if workers == 1 else Processes(work, partial(opened, case), workers)
            explain_all(work, engine, run, Silent(), pictures=0, batch_size=case.batch)
        return time.perf_counter() - begun


def opened(case: Case, device: str = "cpu") -> tuple[Work, nn.Module]:
    """The work of a case, made anew."""
    options = case.info["options"]
    return opened_work(case.info, options["model"], None, Path(options["data"]), device=device)


def compared(console: Console, folder: Path, rounds: int, rows: int, workers: int) -> None:
    """The table of whole runs beside bare loops."""
    table = Table(title="whole runs beside a bare loop, one thread of PyTorch")
    several = f"{workers} processes, s"
    for title in ("data and model", "samples", "bare, s", "run, s", "samples/s", "reached", several, "reached"):
        table.add_column(title, justify="left" if title.startswith("data") else "right")
    for case in cases(folder, rows):
        bare, runs, shared, count = [], [], [], 0
        for _ in range(rounds):
            seconds, count = bare_loop(case, folder)
            bare.append(seconds)
            runs.append(whole_run(case, folder))
            shared.append(whole_run(case, folder, workers))
        table.add_row(
            case.name,
            str(count),
            f"{min(bare):.2f}",
            f"{min(runs):.2f}",
            f"{count / min(runs):,.0f}",
            f"{min(bare) / min(runs):.2f}",
            f"{min(shared):.2f}",
            f"{min(bare) / min(shared):.2f}",
        )
    console.print(table)


class Numbers(Work):
    """Rows that cost nothing to explain: what is left is the run itself."""

    noun, shard, most, wrong_question = "numbers", 4096, 1024, ()

    def __init__(self, total: int, seconds: float = 0.0) -> None:
        self.total, self.seconds = total, seconds

    def count(self) -> int:
        return self.total

    def read(self, start: int = 0) -> Iterator[Sample]:
        for n in range(start, self.total):
            yield Sample(f"n{n}", "numbers", n, 32)

    def explain(self, samples: Sequence[Sample]) -> Explained:
        end = time.process_time() + self.seconds * len(samples)
        while time.process_time() < end:  # busy, as a model is
            torch.ones(64, 64) @ torch.ones(64, 64)
        values = np.ones((len(samples), 32), dtype=np.float32)
        decision = Decision(0, 1.0, 1)
        return Explained([Answer(decision, 0, 1.0, row) for row in values])


class Memory(Silent):
    """Notes the memory in use at some moments."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.noted = total, 0, {}

    def advance(self, done: Done) -> None:
        self.done += done.samples
        percent = 100 * self.done // self.total
        if percent in (10, 25, 50, 75, 100) and percent not in self.noted:
            self.noted[percent] = psutil.Process().memory_info().rss / 2**20


def flat(console: Console, folder: Path, rows: int) -> None:
    """The memory in use over many rows."""
    memory = Memory(rows)
    begun = time.perf_counter()
    work = Numbers(rows)
    with RunFolder(folder / "flat", {"command": "explain numbers"}) as run:
        explain_all(work, Local(work), run, memory, batch_size=1024, shard=4096)
    seconds = time.perf_counter() - begun
    console.print(
        f"memory over {rows:,} rows of 32 relevances ({rows / seconds:,.0f} rows/s): "
        + ", ".join(f"{mib:.0f} MiB at {percent} %" for percent, mib in memory.noted.items())
    )


def busy(total: int, device: str = "cpu") -> tuple[Work, None]:
    """What Ray's workers make."""
    return Numbers(total, 0.005), None


def beside_each_other(console: Console, folder: Path) -> None:
    """This process, two processes, one and two Ray workers."""
    from ray import cloudpickle

    from sciexplain.runs.ray import Cluster

    cloudpickle.register_pickle_by_value(__import__("sys").modules[__name__])
    total = 8000
    table = Table(title=f"{total} rows of 5 ms each on {os.cpu_count()} cores")
    for title in ("engine", "workers", "seconds", "ideal", "efficiency"):
        table.add_column(title, justify="left" if title == "engine" else "right")
    ideal = 0.005 * total
    for name, workers in (("local", 1), ("local", 2), ("ray", 1), ("ray", 2)):
        work = Numbers(total, 0.005)
        make = partial(busy, total)
        if name == "ray":
            entered: Any = Cluster(make, workers=workers)
        else:
            entered = nullcontext(Local(work) if workers == 1 else Processes(work, make, workers))
        with RunFolder(folder / f"{name}{workers}", {"command": "explain numbers"}) as run, entered as engine:
            begun = time.perf_counter()
            explain_all(work, engine, run, Silent(), batch_size=50, shard=200)
        seconds = time.perf_counter() - begun
        table.add_row(
            name, str(workers), f"{seconds:.1f}", f"{ideal / workers:.1f}", f"{ideal / workers / seconds:.2f}"
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--flat", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        if asked.flat:
            flat(console, folder, asked.flat)
        if asked.ray:
            beside_each_other(console, folder)
        if asked.rounds:
            compared(console, folder, asked.rounds, asked.rows, asked.workers)
        os.chdir("/")


if __name__ == "__main__":
    main()
