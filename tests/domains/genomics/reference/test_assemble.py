"""Divisions that no neighbour, copy or other strand of a test sequence was trained on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.encode import reverse_complement_of
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.reference.assemble import (
    Reading,
    by_chromosome,
    divided,
    from_classes,
    from_positives,
    from_table,
)
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError, InputError

RNG = np.random.default_rng(0)


def _sequence(length=20):
    return "".join(RNG.choice(list("ACGT"), length))


def _fasta(path, sequences, chroms=None):
    names = [f"{c}:{20 * i}-{20 * i + 20}" for i, c in enumerate(chroms)] if chroms else range(len(sequences))
    path.write_text("".join(f">{n}\n{s}\n" for n, s in zip(names, sequences, strict=True)))
    return path


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60), st.integers(0, 5))
def test_chromosomes_are_never_divided(chroms, seed):
    if len(set(chroms)) < 3:
        with pytest.raises(DataError, match="--split random"):
            by_chromosome(chroms, seed)
        return
    parts, how = by_chromosome(chroms, seed)
    assert sorted(np.concatenate(parts)) == list(range(len(chroms)))
    own = [{chroms[i] for i in part} for part in parts]
    assert all(own) and sum(map(len, own)) == len(set(chroms))
    assert all(f" {chrom}" in how for chrom in own[1] | own[2])
    assert by_chromosome(chroms, seed)[1] == how


def test_equal_sequences_stay_together_on_either_strand():
    base = [_sequence() for _ in range(40)]
    texts = [s for b in base for s in (b, b.lower(), reverse_complement_of(b))]
    parts, how = divided([Record(str(i), s) for i, s in enumerate(texts)], Reading({}))
    assert how == "random, seed 0" and [len(part) for part in parts] == [96, 12, 12]
    assert sum(len({i // 3 for i in part}) for part in parts) == 40


def test_shuffles_keep_pairs_of_letters_and_stay_with_their_sequence(tmp_path):
    sequences = [_sequence() for _ in range(30)]
    sequences[7] = sequences[3]
    data = from_positives("own", [_fasta(tmp_path / "a.fa", sequences)], "shuffled", Reading({}))
    assert data.targets[:, 0].tolist() == [1.0] * 30 + [0.0] * 30 and data.tasks == ("own",)
    for yes, no in zip(data.records[:30], data.records[30:], strict=True):
        assert sorted(map("".join, zip(yes.sequence, yes.sequence[1:], strict=False))) == sorted(
            map("".join, zip(no.sequence, no.sequence[1:], strict=False))
        )
    part = np.zeros(60)
    part[data.valid], part[data.test] = 1, 2
    assert (part[:30] == part[30:]).all() and part[3] == part[7]


def test_classes_by_chromosome_where_places_are_known(tmp_path):
    chroms = [f"chr{i % 5}" for i in range(25)]
    files = [_fasta(tmp_path / f"{n}.fa", [_sequence() for _ in chroms], chroms) for n in ("x", "y")]
    data = from_classes({"x": files[:1], "y": files[1:]}, Reading({}))
    assert data.split.startswith("by chromosome: test chr") and data.targets.sum(0).tolist() == [25, 25]
    assert data.records[30].interval == Interval("chr0", 100, 120)
    assert from_classes({"x": files[:1], "y": files[1:]}, Reading({}, "random", 3)).split == "random, seed 3"


def test_rows_of_a_table_that_cannot_be_used_are_listed(tmp_path):
    rows = [f"s{i},{_sequence()},{i},{i % 2}" for i in range(12)]
    (tmp_path / "t.csv").write_text(
        "\n".join(["name,sequence,a,b", *rows, "empty,ACGTACGTACGTACGTACGT,,", "odd,ACGTACGTACGTACGTACGJ,1,1"])
    )
    data = from_table(tmp_path / "t.csv", ["a", "b"], Reading({}))
    assert data.targets.tolist() == [[i, i % 2] for i in range(12)] and data.kind == "regression"
    assert {place for place, _ in data.failures} == {"empty", "t.csv:15"}


@pytest.mark.parametrize(
    ("sequences", "reading", "message"),
    [
        (["ACGT"] * 4, Reading({}), "found 4 usable sequences; expected ten or more"),
        ([_sequence(20 + i % 3) for i in range(20)], Reading({}), "sequences of 20 to 22 letters"),
        ([_sequence() for _ in range(20)], Reading({}, "chromosome"), "20 of 20 sequences have no place"),
        ([_sequence() for _ in range(20)], Reading({}, "scaffold"), 'expected "chromosome" or "random"'),
    ],
)
def test_what_is_wrong_is_said(sequences, reading, message, tmp_path):
    half = len(sequences) // 2
    files = [_fasta(tmp_path / "a.fa", sequences[:half]), _fasta(tmp_path / "b.fa", sequences[half:])]
    with pytest.raises((DataError, InputError), match=message):
        from_positives("a", files[:1], files[1:], reading)
