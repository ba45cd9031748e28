"""What all molecules of a run show together: elements, surroundings of atoms, fragments, and the strongest atoms."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sciexplain.cli.grouped import rows_of
from sciexplain.cli.molecules_sdf import sdf_records
from sciexplain.domains.molecules.environments import environments
from sciexplain.domains.molecules.sdf_text import molecule_of
from sciexplain.domains.molecules.sketch import sketch
from sciexplain.errors import DataError
from sciexplain.report import Column, Table
from sciexplain.runs import Run

_STRONGEST = 30
_LONGEST = 60
_FRAGMENTS = 200
_SURROUNDINGS = 100
_MOLECULES, _SECONDS = 50_000, 120


@dataclass
class _Sum:
    """Of the relevance of all parts of one kind, such as one fragment's."""

    count: int = 0
    molecules: int = 0
    total: float = 0.0
    size: float = 0.0
    last: int = -1
    strongest: float = 0.0
    example: int = -1

    def add(self, number: int, relevance: float) -> None:
        """One more, in the molecule of this number; molecules come one after the other."""
        self.count += 1
        self.molecules += number != self.last
        self.last = number
        self.total += relevance
        self.size += abs(relevance)
        if self.example < 0 or abs(relevance) > abs(self.strongest):
            self.strongest, self.example = relevance, number

    @property
    def mean(self) -> float:
        return self.total / self.count


def findings(run: Run, there: frozenset[str], unit: str) -> Iterator[Table]:
    """The tables, each from one reading of the run.

    Parameters
    ----------
    there
        Tables that the run has.
    unit
        Of relevance.
    """
    if "atoms" in there:
        yield from _atoms(run, unit)
    yield from _surroundings(run, unit)
    if "fragments" in there:
        yield from _fragments(run, unit)


def _means(unit: str) -> tuple[Column, ...]:
    number = [Column(name, "number", unit) for name in ("mean relevance", "mean |relevance|")]
    return (Column("molecules", "number"), Column("strongest in", "sample"), *number)


def _of(one: _Sum) -> list[Any]:
    return [one.molecules, one.example, one.mean, one.size / one.count]


def _atoms(run: Run, unit: str) -> Iterator[Table]:
    """Means by element, and the atoms of the largest relevance, of either sign."""
    elements: dict[str, _Sum] = {}
    extremes: dict[bool, list[tuple[float, int, str, int, str]]] = {True: [], False: []}
    names = ["number", "molecule", "name", "atom", "element", "relevance"]
    for batch in run.table("atoms").to_batches(columns=names, batch_size=65_536):
        _add_elements(elements, batch)
        relevance = batch["relevance"].to_numpy()
        for largest, kept in extremes.items():
            order = np.argsort(-relevance if largest else relevance, kind="stable")[:_STRONGEST]
            chosen = batch.take(pa.array(order)).to_pylist()
            kept += [(row["relevance"], row["number"], _named(row), row["atom"], row["element"]) for row in chosen]
            kept.sort(key=lambda atom: (-atom[0] if largest else atom[0], atom[1], atom[3]))
            del kept[_STRONGEST:]
    if not elements:
        return
    everything = sum(one.size for one in elements.values()) or 1.0
    ranked = sorted(elements.items(), key=lambda item: -item[1].size)
    yield Table(
        "elements",
        "Elements",
        (
            Column("element"),
            Column("atoms", "number"),
            *_means(unit),
            Column("share of all |relevance|", "number", "%"),
        ),
        [[symbol, one.count, *_of(one), 100 * one.size / everything] for symbol, one in ranked],
        "Relevance of atoms, by element, over all molecules of the run.",
    )
    signed = [atom for largest, kept in extremes.items() for atom in kept if (atom[0] > 0) == largest and atom[0]]
    signed.sort(key=lambda atom: (-abs(atom[0]), atom[1], atom[3]))
    yield Table(
        "strongest_atoms",
        "Strongest atoms",
        (
            Column("sample", "sample"),
            Column("molecule"),
            Column("atom", "number"),
            Column("element"),
            Column("relevance", "number", unit),
        ),
        [[number, name, atom, symbol, r] for r, number, name, atom, symbol in signed],
        f"Up to {_STRONGEST} atoms of positive and as many of negative relevance, the largest first.",
    )


def _named(row: Mapping[str, Any]) -> str:
    """Its name, or else its id; a long SMILES loses its middle."""
    name = str(row["name"] or row["molecule"])
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]}…{name[-_LONGEST // 2 :]}"


def _add_elements(elements: dict[str, _Sum], batch: pa.RecordBatch) -> None:
    """Many atoms at once: there may be a hundred million."""
    coded = batch["element"].dictionary_encode()
    codes, symbols = coded.indices.to_numpy(zero_copy_only=False), coded.dictionary.to_pylist()
    numbers, relevance = batch["number"].to_numpy(), batch["relevance"].to_numpy()
    for code, symbol in enumerate(symbols):
        chosen = codes == code
        own, where = relevance[chosen], numbers[chosen]
        one = elements.setdefault(symbol, _Sum())
        one.count += len(own)
        one.molecules += len(np.unique(where)) - int(where[0] == one.last)
        one.last = int(where[-1])
        one.total += float(own.sum())
        one.size += float(np.abs(own).sum())
        top = int(np.abs(own).argmax())
        if one.example < 0 or abs(own[top]) > abs(one.strongest):
            one.strongest, one.example = float(own[top]), int(where[top])


def _surroundings(run: Run, unit: str) -> Iterator[Table]:
    """Means by what an atom is bonded to."""
    found: dict[str, _Sum] = {}
    begun, seen = time.monotonic(), 0
    numbers = np.concatenate([batch["number"].to_numpy() for batch in run.rows.to_batches(columns=["number"])] or [[]])
    wanted = numbers[:_MOLECULES].astype(np.int64).tolist()
    records = sdf_records(run, wanted)
    for row in rows_of(run.rows, ["relevance"], wanted):
        _, record = next(records)
        if time.monotonic() - begun > _SECONDS:
            break
        if record is None:
            continue
        try:
            molecule = molecule_of(record)
        except DataError:
            continue
        if molecule.mol is None or len(molecule) != len(row["relevance"]):
            continue
        seen += 1
        for where, relevance in zip(environments(molecule.mol), row["relevance"].tolist(), strict=True):
            found.setdefault(where, _Sum()).add(row["number"], relevance)
    if not found:
        return
    least = max(1, min(10, sum(one.count for one in found.values()) // 2000))
    common = sorted(((one.mean, where) for where, one in found.items() if one.count >= least), reverse=True)
    half = _SURROUNDINGS // 2
    shown = common if len(common) <= _SURROUNDINGS else common[:half] + common[-half:]
    of = "all molecules" if seen == len(numbers) else f"{seen} molecules"
    more = f"; of {len(common)} the {half} highest and the {half} lowest means" if len(shown) < len(common) else ""
    rare = f" that {least} atoms or more have" if least > 1 else ""
    yield Table(
        "surroundings",
        "Surroundings of atoms",
        (Column("drawing", "image"), Column("SMARTS"), Column("atoms", "number"), *_means(unit)),
        [[sketch(where, smarts=True), where, found[where].count, *_of(found[where])] for _, where in shown],
        f"Relevance of atoms by what they are bonded to (the marked atom, its hydrogens and charge, its neighbours), "
        f"over {of}; surroundings{rare}, by mean{more}.",
    )


def _fragments(run: Run, unit: str) -> Iterator[Table]:
    """Means by fragment."""
    found: dict[tuple[str, str], _Sum] = {}
    names = ["number", "fragment", "smiles", "relevance"]
    for batch in run.table("fragments").to_batches(columns=names, batch_size=65_536):
        for number, name, smiles, relevance in zip(*(batch[key].to_pylist() for key in names), strict=True):
            found.setdefault((name, smiles), _Sum()).add(number, relevance)
    if not found:
        return
    ranked = sorted(found.items(), key=lambda item: (-item[1].size, item[0]))[:_FRAGMENTS]
    rest = ""
    if len(found) > len(ranked):
        rest = f"; {len(found)} in all, of which these have the largest sum of |relevance|"
    kind = str(run.info["options"].get("fragments") or "").replace("_", " ")
    named = any(name != smiles for (name, smiles), _ in ranked)
    yield Table(
        "fragments",
        "Fragments",
        (
            Column("drawing", "image"),
            *([Column("fragment")] if named else []),
            Column("SMILES"),
            Column("found", "number"),
            *_means(unit),
        ),
        [[sketch(smiles), *([name] if named else []), smiles, one.count, *_of(one)] for (name, smiles), one in ranked],
        f"Relevance of fragments{f' ({kind})' if kind else ''}: the sum of their atoms', over all molecules{rest}.",
    )
