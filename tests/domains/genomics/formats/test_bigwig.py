"""Relevance along the genome: every base gets its own number, on both strands, and browsers' readers find it there."""

import math
from collections import defaultdict

import numpy as np
import pyBigWig
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.formats.bigwig import along_genome, write_bedgraph, write_bigwig
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record, Sequences
from sciexplain.errors import DataError, InputError

SIZES = {"chr2": 50, "chr10": 40, "chr1": 1_000_000}


def explained(*rows: tuple[str | None, list[float]]) -> SequenceExplanation:
    """One sequence for each (place, relevance from its first letter on)."""
    records = [
        Record(f"s{i}", "A" * len(values), None if place is None else Interval.parse(place))
        for i, (place, values) in enumerate(rows)
    ]
    return SequenceExplanation.of(
        Sequences.of(records), nucleotides=torch.tensor([values for _, values in rows], dtype=torch.float64)
    )


def by_base(e: SequenceExplanation) -> dict[tuple[str, int], float]:
    """The mean at each base, letter by letter."""
    found = defaultdict(list)
    for interval, row in zip(e.sequences.intervals, e.nucleotides.tolist(), strict=True):
        for letter, value in enumerate(row):
            found[interval.chrom, interval.part(letter, letter + 1).start].append(value)
    return {place: sum(values) / len(values) for place, values in found.items()}


ROWS = (
    ("chr1:999990-999994(-)", [1.0, 2.0, 4.0, 8.0]),
    ("chr10:0-4(+)", [0.5, -0.5, 0.25, -0.25]),
    ("chr2:46-50", [3.0, 5.0, 7.0, 11.0]),
    ("chr10:2-6(-)", [10.0, 20.0, 30.0, 40.0]),
    ("chr1:7-11(+)", [-1.0, -1.0, 0.0, 6.0]),
    ("chr1:11-15(-)", [9.0, 6.0, 6.0, 6.0]),
)
LINES = [
    "chr2 46 47 3", "chr2 47 48 5", "chr2 48 49 7", "chr2 49 50 11",
    "chr10 0 1 0.5", "chr10 1 2 -0.5", "chr10 2 3 20.125", "chr10 3 4 14.875", "chr10 4 5 20", "chr10 5 6 10",
    "chr1 7 9 -1", "chr1 9 10 0", "chr1 10 14 6", "chr1 14 15 9",
    "chr1 999990 999991 8", "chr1 999991 999992 4", "chr1 999992 999993 2", "chr1 999993 999994 1",
]  # fmt: skip


def test_bedgraph_has_each_base_once_in_the_chromosomes_order(tmp_path):
    path = write_bedgraph(tmp_path / "x.bedgraph", explained(*ROWS), chrom_sizes=SIZES)
    assert path.read_bytes().decode() == "".join(line.replace(" ", "\t") + "\n" for line in LINES)
    plain = write_bedgraph(tmp_path / "y.bedgraph", explained(*ROWS)).read_text().split("\n")
    assert [line.partition("\t")[0] for line in plain[:-1]] == ["chr1"] * 8 + ["chr10"] * 6 + ["chr2"] * 4


def test_bigwig_is_read_back_by_its_own_library(tmp_path):
    e = explained(*ROWS)
    with pyBigWig.open(str(write_bigwig(tmp_path / "x.bw", e, SIZES))) as file:
        assert file.isBigWig() and list(file.chroms()) == list(SIZES) and file.chroms() == SIZES
        expected = by_base(e)
        assert file.header()["nBasesCovered"] == len(expected)
        assert (file.header()["minVal"], file.header()["maxVal"]) == (-1, 20)
        assert file.header()["nLevels"] > 0
        for chrom, size in {"chr2": 50, "chr10": 40, "chr1": 30}.items():
            for base, value in enumerate(file.values(chrom, 0, size)):
                assert value == expected.get((chrom, base), pytest.approx(math.nan, nan_ok=True))
        assert file.values("chr1", 999988, 999996)[2:6] == [8, 4, 2, 1]
        # A browser far out asks for the zoom levels.
        assert file.stats("chr1", 0, 1_000_000, type="max") == [9.0]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 12), st.sampled_from("+-."), st.integers(-4, 4)),
        min_size=1,
        max_size=8,
    )
)
def test_every_base_has_the_mean_of_what_covers_it(drawn):
    rows = [(f"{c}:{s}-{s + 5}({strand})", [v, v + 1.0, v * v, -v, 7.0]) for c, s, strand, v in drawn]
    e = explained(*rows)
    found = {}
    stretches = list(along_genome(e))
    for chrom, start, values in stretches:
        for base, value in enumerate(values.tolist(), start):
            assert (chrom, base) not in found
            found[chrom, base] = value
    assert found == pytest.approx(by_base(e))
    assert [s[:2] for s in stretches] == sorted(s[:2] for s in stretches)


@pytest.mark.parametrize(
    ("bad", "kind", "message"),
    [
        ((None, [1.0, 2.0]), DataError, "s1 has no place on a genome"),
        (("chrX:0-2", [1.0, 2.0]), DataError, "no size is given for chrX; there are sizes for chr2, chr10, chr1"),
        (("chr2:49-51", [1.0, 2.0]), DataError, "chr2:49-51 ends after chr2 does, which has 50 bp"),
        (("chr2:0-2", [1.0, math.nan]), InputError, "s1: its relevance is not finite"),
    ],
)
@pytest.mark.parametrize(
    "write", [write_bigwig, lambda path, e, sizes, **how: write_bedgraph(path, e, chrom_sizes=sizes, **how)]
)
def test_a_sequence_without_room_is_reported_and_the_rest_written(tmp_path, write, bad, kind, message):
    e = explained(("chr1:5-7(-)", [1.0, 2.0]), bad)
    path = tmp_path / "x"
    with pytest.raises(kind, match=message.replace("(", r"\(")):
        write(path, e, SIZES)
    assert not list(tmp_path.iterdir())
    said = []
    write(path, e, SIZES, on_error=lambda name, error: said.append((name, type(error), str(error))))
    assert [(name, found) for name, found, _ in said] == [("s1", kind)] and message in said[0][2]
    alone = write(tmp_path / "alone", e[0], SIZES)
    assert path.read_bytes() == alone.read_bytes()


def test_nothing_left_or_no_folder_is_an_error_not_an_empty_file(tmp_path):
    e = explained((None, [1.0]))
    with pytest.raises(InputError, match="nothing to write"):
        write_bigwig(tmp_path / "x.bw", e, SIZES, on_error=lambda *_: None)
    with pytest.raises(DataError, match=r"the folder .*missing does not exist"):
        write_bigwig(tmp_path / "missing" / "x.bw", explained(("chr1:0-1", [1.0])), SIZES)
    assert not list(tmp_path.iterdir())


def test_an_explanations_method_writes_the_same(tmp_path):
    e = explained(*ROWS)
    e.to_bigwig(tmp_path / "a.bw", SIZES)
    assert (tmp_path / "a.bw").read_bytes() == write_bigwig(tmp_path / "b.bw", e, SIZES).read_bytes()


def test_a_stretch_of_the_human_genome_keeps_its_numbers(tmp_path, shared_data):
    """Relevance 1 at each G and −1 at each C of real sequences, found again at the genome's own letters."""
    import pyfaidx

    (fasta,) = shared_data("genomics/human_chr1_1m").glob("*.fa.gz")
    genome = pyfaidx.Fasta(str(fasta), as_raw=True, sequence_always_upper=True)
    (chrom,) = genome.keys()
    records = []
    for i, start in enumerate(range(100_000, 160_000, 700)):
        text = genome[chrom][start : start + 1000]
        if i % 2:
            text = text.translate(str.maketrans("ACGT", "TGCA"))[::-1]
        records.append(Record(str(i), text, Interval(chrom, start, start + 1000, "-" if i % 2 else "+")))
    sequences = Sequences.of(records)
    # As the plus strand has them: a C of the minus strand is a G there.
    sign = torch.tensor([-1.0 if i.strand == "-" else 1.0 for i in sequences.intervals])
    e = SequenceExplanation.of(
        sequences, nucleotides=(sequences.one_hot[:, 2] - sequences.one_hot[:, 1]) * sign[:, None]
    )
    with pyBigWig.open(str(write_bigwig(tmp_path / "x.bw", e, {chrom: len(genome[chrom])}))) as file:
        found = np.array(file.values(chrom, 99_990, 160_200))
    text = np.array(list(genome[chrom][99_990:160_200]))
    expected = (text == "G").astype(float) - (text == "C")
    expected[:10] = np.nan
    np.testing.assert_array_equal(found, expected)


def test_without_sizes_chromosomes_end_with_their_last_sequence(tmp_path):
    e = explained(("chr2:5-7(-)", [1.0, 2.0]), ("chr2:9-11", [3.0, 4.0]), ("chr10:0-2", [5.0, 6.0]))
    e.to_bigwig(tmp_path / "x.bw")
    with pyBigWig.open(str(tmp_path / "x.bw")) as file:
        assert file.chroms() == {"chr2": 11, "chr10": 2}
        assert file.values("chr2", 5, 7) == [2.0, 1.0] and file.values("chr10", 0, 2) == [5.0, 6.0]


def test_sequences_without_any_place_are_chromosomes_by_name(tmp_path):
    e = explained((None, [1.0, 2.0]), (None, [3.0, 4.0]))
    e.to_bigwig(tmp_path / "x.bw")
    with pyBigWig.open(str(tmp_path / "x.bw")) as file:
        assert file.chroms() == {"s0": 2, "s1": 2} and file.values("s1", 0, 2) == [3.0, 4.0]
    e.to_bedgraph(tmp_path / "x.bedgraph")
    assert (tmp_path / "x.bedgraph").read_text().splitlines()[-1] == "s1\t1\t2\t4"
