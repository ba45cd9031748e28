"""Intervals: 0-based, half-open, and their parts on both strands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import DataError

INTERVALS = st.builds(
    lambda chrom, start, length, strand: Interval(chrom, start, start + length, strand),
    st.sampled_from(["chr1", "chrI", "NC_001133.9", "HLA-A*01:01"]),
    st.integers(0, 10**9),
    st.integers(1, 10**6),
    st.sampled_from("+-."),
)


@given(INTERVALS)
def test_written_and_read(interval):
    assert Interval.parse(str(interval)) == interval


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr1:0-1", Interval("chr1", 0, 1)),
        (" chr1:1,234-5,678(-)\n", Interval("chr1", 1234, 5678, "-")),
        ("HLA:A:3-4(.)", Interval("HLA:A", 3, 4)),
    ],
)
def test_parse(text, expected):
    assert Interval.parse(text) == expected


@pytest.mark.parametrize("text", ["chr1", "chr1:5", "chr1:a-b", "chr1:5-9(x)", "chr1:-5-9", ":1-2 3", ""])
def test_no_interval(text):
    with pytest.raises(DataError, match="expected chrom:start-end"):
        Interval.parse(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("chr1", 5, 5), "ends at or before its start"),
        (("chr1", 9, 5), "ends at or before its start"),
        (("chr1", -1, 5), "starts before the chromosome"),
        (("chr1", 1, 5, "x"), "strand 'x'"),
    ],
)
def test_impossible(arguments, message):
    with pytest.raises(DataError, match=message):
        Interval(*arguments)


@pytest.mark.parametrize(("strand", "expected"), [("+", (102, 105)), (".", (102, 105)), ("-", (105, 108))])
def test_part_counts_in_the_direction_of_the_sequence(strand, expected):
    part = Interval("chr1", 100, 110, strand).part(2, 5)
    assert (part.start, part.end, part.strand) == (*expected, strand)


@given(INTERVALS, st.data())
def test_parts_of_parts(interval, data):
    start = data.draw(st.integers(0, len(interval) - 1))
    end = data.draw(st.integers(start + 1, len(interval)))
    part = interval.part(start, end)
    assert len(part) == end - start and interval.start <= part.start < part.end <= interval.end
    assert interval.part(start, start + 1).part(0, 1) == part.part(0, 1)
