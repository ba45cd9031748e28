"""Lines of BED and narrowPeak, and windows around their centres."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.formats.regions import Region, read_bed, window_of
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import DataError, InputError

PEAK = "chr1\t10\t30\tp\t100\t-\t7.5\t3.25\t2\t4"


def attempt(path: Path, **options: list[str]) -> tuple[list[Region], dict[str, str]]:
    failed: dict[str, str] = {}
    found = list(read_bed(path, on_error=lambda place, error: failed.__setitem__(place, str(error)), **options))
    return [region for _, region in found], failed


@pytest.mark.parametrize(
    ("line", "region"),
    [
        ("chr1\t10\t14", Region("chr1:10-14", Interval("chr1", 10, 14))),
        ("chr1 10 14 a", Region("a", Interval("chr1", 10, 14))),
        ("chr1\t10\t14\ta b\t0", Region("a b", Interval("chr1", 10, 14))),
        ("chr1\t10\t14\t.\t0\t-", Region("chr1:10-14(-)", Interval("chr1", 10, 14, "-"))),
        ("chr1\t10\t14\t.\tGENE", Region("GENE", Interval("chr1", 10, 14))),
        ("chr1\t10\t14\ta\tnan\t+\t10\t14\t255,0,0", Region("a", Interval("chr1", 10, 14, "+"))),
        (
            "chr1\t10\t14\ta\t0\t+\t10\t14\t0\t2\t1,1\t0,3",
            Region("a", Interval("chr1", 10, 14, "+")),
        ),
        (PEAK, Region("p", Interval("chr1", 10, 30, "-"), 14, (7.5,))),
        (PEAK[:-1] + "-1", Region("p", Interval("chr1", 10, 30, "-"), None, (7.5,))),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines(tmp_path: Path, line: str, region: Region, end: str) -> None:
    path = tmp_path / "a.bed"
    path.write_bytes(f"track name=x{end}browser y{end}#z{end}{end}{line}{end}".encode())
    assert list(read_bed(path)) == [("a.bed:5", region)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("chr1\t10", "2 columns; expected 3 to 12"),
        ("chr1\t10\t14\t" + "x\t" * 10, "columns; expected 3 to 12"),
        ("chr1\tx\t14", "the start is 'x'; expected a whole number"),
        ("chr1\t1e3\t1400", "the start is '1e3'"),
        ("chr1\t10\t14.0", "the end is '14.0'"),
        ("chr1\t14\t10", "chr1:14-10: ends at or before its start"),
        ("chr1\t10\t10", "chr1:10-10: ends at or before its start"),
        ("chr1\t-1\t10", "starts before the chromosome does"),
        ("chr1\t10\t14\ta\t0\tx", "the strand is 'x'; expected +, - or ."),
        (PEAK[:-1] + "20", "the summit is 20 bp from the start of chr1:10-30"),
    ],
)
def test_a_line_that_is_none_is_reported_and_the_rest_read(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "a.bed"
    path.write_text(f"chr1\t1\t2\tfirst\n{line}\nchr1\t3\t4\tlast\n")
    regions, failed = attempt(path)
    assert [region.name for region in regions] == ["first", "last"]
    assert list(failed) == ["a.bed:2"] and failed["a.bed:2"].startswith("a.bed:2: ") and reason in failed["a.bed:2"]
    with pytest.raises(DataError, match=r"^a\.bed:2: (?!a\.bed)"):
        list(read_bed(path))


def test_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.narrowPeak"
    path.write_text(f"{PEAK}\nchr1\t1\t2\n{PEAK.replace('3.25', 'x')}\n")
    regions, failed = attempt(path, labels=["pValue", "score"])
    assert [region.labels for region in regions] == [(3.25, 100.0)]
    assert "no pValue among its 3 columns" in failed["a.narrowPeak:2"]
    assert "pValue is 'x'; expected a number" in failed["a.narrowPeak:3"]
    with pytest.raises(InputError, match="labels has 'height'"):
        list(read_bed(path, labels=["height"]))


@pytest.mark.parametrize("text", ["", "track name=x\n# nothing\n"])
def test_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.bed").write_text(text)
    assert attempt(tmp_path / "a.bed") == (
        [],
        {"a.bed": "a.bed: there are no regions in it; expected lines of chrom, start and end"},
    )


@given(st.integers(0, 1000), st.integers(1, 300), st.integers(1, 300), st.sampled_from("+-."))
def test_the_centre_stays_the_centre(start: int, size: int, length: int, strand: str) -> None:
    region = Region("r", Interval("chr1", start, start + size, strand))  # type: ignore[arg-type]
    first, last = window_of(region, length)
    assert last - first == length and first + length // 2 == start + size // 2
    if length == size:
        assert (first, last) == (start, start + size)
    summit = Region("r", region.interval, summit=start)
    assert window_of(summit, length)[0] + length // 2 == start
