"""Walks, bodies and bonds of molecular networks: time, and the naive way beside it.

    python benchmarks/walk_speed.py [--parts a b c d] [--rounds 5]

(a) All walks of 4 atoms through a SchNet-like network (width 128, 3 interactions, float64) on a graph of 125 atoms and
1 102 directed edges; 200 of them against one masked backward pass each, whose time gives that of the naive way.
(b) 1-, 2- and 3-body terms of the same. (c) The 100 most relevant walks of 7 atoms of QM7 molecules, every atom joined
with every other (width 128, 6 interactions, float32), with proof and by the polynomial search. (d) Atoms and bonds of
5 000 molecules of ESOL and Lipophilicity by a GIN, against the plain gradient of the same batches, in turns.
Weights are random. QM7 and MoleculeNet are read from the folder that SCIEXPLAIN_DATA names, or fetched.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import GIN, SchNet, global_add_pool

from sciexplain import datasets
from sciexplain.domains import molecules
from sciexplain.domains.molecules import families, search, walks

ATOMS, EDGES = 125, 1102
STEP = 768


class Near(nn.Module):
    """Every pair of atoms of one molecule below a distance, both ways."""

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff

    def forward(self, pos: torch.Tensor, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sizes = torch.bincount(batch)
        edges, begin = [], 0
        for size in sizes.tolist():
            near = torch.cdist(pos[begin : begin + size], pos[begin : begin + size]) < self.cutoff
            edges.append(near.fill_diagonal_(False).nonzero().T + begin)
            begin += size
        index = torch.cat(edges, 1)
        return index, (pos[index[1]] - pos[index[0]]).norm(dim=1)


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    begin = time.perf_counter()
    result = run()
    return time.perf_counter() - begin, result


def cluster() -> tuple[molecules.MoleculeExplanation, int]:
    """The graph of (a) and (b): 125 atoms in a box, the nearest 551 pairs joined."""
    torch.manual_seed(0)
    pos = torch.rand(ATOMS, 3, dtype=torch.float64) * 10
    distances = torch.pdist(pos).sort().values
    cutoff = float(distances[EDGES // 2 - 1] + distances[EDGES // 2]) / 2
    near = Near(cutoff)
    model = SchNet(128, 128, 3, 50, cutoff=cutoff, interaction_graph=near).double().eval()
    data = Data(z=torch.randint(1, 9, (ATOMS,)), pos=pos)
    return molecules.explain(model, [data])[0], near(pos, torch.zeros(ATOMS, dtype=torch.long))[0].shape[1]


def all_walks() -> None:
    a, edges = cluster()
    (preparing, blocks) = timed(lambda: a.adjoints.blocks)
    listing, (found, relevance) = timed(lambda: walks.every(blocks, a.atoms))
    chosen = torch.randperm(len(found), generator=torch.Generator().manual_seed(1))[:200]
    naive, one_by_one = timed(lambda: torch.stack([_naive(a, found[i]) for i in chosen.tolist()]))
    scale = float(relevance.abs().max())
    worst = float((one_by_one - relevance[chosen]).abs().max())
    missing = abs(float(relevance.sum()) - float(a.atoms.sum()))
    connected = _paths(found)
    print(f"(a) {ATOMS} atoms, {edges} directed edges, {len(found):,} walks ({connected:,} without a step on the spot)")
    print(f"    layers as matrices {preparing:.2f} s, all walks {listing:.2f} s, together {preparing + listing:.2f} s")
    each = naive / 200
    print(f"    one backward pass per walk: {each * 1e3:.1f} ms each, {each * len(found) / 60:.0f} min for all")
    print(f"    200 walks differ by {worst:.1e} of at most {scale:.2g}; sum of walks − atoms: {missing:.1e}")


def _naive(a: molecules.MoleculeExplanation, walk: torch.Tensor) -> torch.Tensor:
    keep = torch.nn.functional.one_hot(walk, len(a)).bool()[None]
    return a.adjoints.run(1).masked(keep.double()).sum()


def _paths(found: torch.Tensor) -> int:
    return int((found[:, 1:] != found[:, :-1]).all(1).sum())


def terms() -> None:
    a, _ = cluster()
    seconds, bodies = timed(lambda: a.bodies(3))
    sizes = ", ".join(f"{len(bodies.of_order(n)):,} of {n}" for n in (1, 2, 3))
    rest = bodies.remainder / a.score
    print(
        f"(b) terms of 1, 2 and 3 atoms: {seconds:.2f} s from the model on ({sizes}; {rest:.1e} of the score remains)"
    )


def top_walks() -> None:
    torch.manual_seed(0)
    model = SchNet(128, 128, 6, 50, cutoff=20.0, interaction_graph=Near(20.0)).eval()
    found = [m for m in datasets.load("qm7").molecules if len(m) >= 14][::400][:12]
    print("(c) atoms  walks    matrices  exact    polynomial  found by both")
    for a in molecules.explain(model, found):
        preparing, blocks = timed(lambda a=a: a.adjoints.blocks)
        exact, (best, _) = timed(lambda b=blocks: search.exact(b, 100))
        quick, (other, _) = timed(lambda b=blocks: search.max_product(b, 100))
        both = len(set(map(tuple, best.tolist())) & set(map(tuple, other.tolist())))
        times = f"{preparing:.2f} s    {exact:.2f} s   {quick:.2f} s"
        print(f"    {len(a):<5}  {walks.count(blocks):.1e}  {times}      {both}")


class Net(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gin, self.out = GIN(9, width, 3), nn.Linear(width, 1)

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        return self.out(global_add_pool(self.gin(x, edge_index), batch))


def throughput(rounds: int) -> None:
    torch.manual_seed(0)
    sets = [m for name in ("esol", "lipophilicity") for m in datasets.load(name).molecules]
    for width in (64, 128, 300):
        model = Net(width).eval().requires_grad_(False)
        family = families.find(model, "pyg")
        graphs = [family.graph(m) for m in islice(sets, 5000)]

        def gradient(family=family, graphs=graphs) -> None:
            for begin in range(0, len(graphs), STEP):
                batch = family.collate(graphs[begin : begin + STEP])
                x = batch.tensors["x"].requires_grad_()
                torch.autograd.grad(batch.call({**batch.tensors, "x": x}).sum(), x)

        def relevance(family=family, graphs=graphs) -> list[Any]:
            found = molecules.explain(family, graphs, 0, batch_size=STEP)
            return [(a.atoms, a.bonds) for a in found]

        ratios, speeds = [], []
        gradient(), relevance()
        for _ in range(rounds):
            plain, ours = timed(gradient)[0], timed(relevance)[0]
            ratios.append(plain / ours)
            speeds.append(len(graphs) / ours)
        print(
            f"(d) GIN of width {width}, 3 layers: atoms and bonds of {statistics.median(speeds):,.0f} molecules/s, "
            f"{statistics.median(ratios):.2f} of the gradient's throughput"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=list("abcd"), choices=list("abcd"))
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    parts = {"a": all_walks, "b": terms, "c": top_walks, "d": lambda: throughput(given.rounds)}
    for part in given.parts:
        parts[part]()


if __name__ == "__main__":
    main()
