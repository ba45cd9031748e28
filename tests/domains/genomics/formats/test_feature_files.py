"""Files of features: a plain parser finds every field where browsers look for it."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.domains.genomics.formats.feature_files import Feature, item_colour, write_bed, write_gff3
from sciexplain.domains.genomics.formats.regions import read_bed
from sciexplain.domains.genomics.interval import Interval
from sciexplain.errors import DataError, InputError

HOSTILE = "a;b=c,d&e%41\tf\ng é"
FEATURES = (
    Feature(Interval("chr10", 5, 9, "-"), "second", -2.0, "TF_binding_site", {"q": "0.01", "note": HOSTILE}),
    Feature(Interval("chr2", 0, 3, "+"), "first", 1.0),
    Feature(Interval("chr10", 4, 100, "."), "", 0.0),
)


def rows(path) -> list[list[str]]:
    text = path.read_bytes().decode()
    assert text.endswith("\n") and "\r" not in text
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


def test_bed_has_nine_columns_in_order(tmp_path):
    assert rows(write_bed(tmp_path / "x.bed", FEATURES, chroms=["chr2"])) == [
        ["chr2", "0", "3", "first", "500", "+", "0", "3", item_colour(1.0, 2.0)],
        ["chr10", "4", "100", ".", "0", ".", "4", "100", item_colour(0.0, 2.0)],
        ["chr10", "5", "9", "second", "1000", "-", "5", "9", item_colour(-2.0, 2.0)],
    ]
    assert [row[0] for row in rows(write_bed(tmp_path / "y.bed", FEATURES))] == ["chr10", "chr10", "chr2"]
    assert rows(write_bed(tmp_path / "z.bed", FEATURES, limit=0.5))[0][4] == "0"
    assert [row[4] for row in rows(write_bed(tmp_path / "z.bed", FEATURES, limit=4.0))] == ["0", "500", "250"]
    assert write_bed(tmp_path / "none.bed", ()).read_text() == ""


def test_bed_is_read_back_as_it_was_given(tmp_path):
    path = write_bed(tmp_path / "x.bed", FEATURES, chroms=["chr2", "chr10"])
    found = [(region.interval, region.name) for _, region in read_bed(path)]
    assert found[0] == (FEATURES[1].interval, "first") and found[2] == (FEATURES[0].interval, "second")


def test_colours_say_the_sign_and_can_be_seen_on_white():
    def light(colour: str) -> float:
        return sum(int(c) for c in colour.split(",")) / 3

    strong, weak = (item_colour(v, 1.0).split(",") for v in (1.0, 1e-3))
    assert int(strong[0]) > int(strong[2]) and int(weak[0]) > int(weak[2])
    blue = item_colour(-1e-3, 1.0).split(",")
    assert int(blue[2]) > int(blue[0])
    shades = [light(item_colour(v, 1.0)) for v in (1e-3, 0.3, 0.6, 1.0)]
    assert shades == sorted(shades, reverse=True) and shades[0] < 215
    assert item_colour(9.0, 1.0) == item_colour(1.0, 1.0)


def test_gff3_is_one_based_and_gives_back_what_it_was_given(tmp_path):
    path = write_gff3(tmp_path / "x.gff3", FEATURES, chrom_sizes={"chr2": 10, "chr10": 100, "chr3": 7})
    head = path.read_text().splitlines()[:3]
    assert head == ["##gff-version 3", "##sequence-region chr2 1 10", "##sequence-region chr10 1 100"]
    first, plain, second = rows(path)
    assert first == ["chr2", "sciexplain", "sequence_feature", "1", "3", "1", "+", ".", "Name=first"]
    assert plain[3:5] + plain[8:] == ["5", "100", "."]
    assert second[:8] == ["chr10", "sciexplain", "TF_binding_site", "6", "9", "-2", "-", "."]
    attributes = dict(pair.split("=") for pair in second[8].split(";"))
    assert {unquote(k): unquote(v) for k, v in attributes.items()} == {
        "Name": "second",
        "q": "0.01",
        "note": HOSTILE,
    }


@given(st.text(max_size=30), st.text(min_size=1, max_size=10))
def test_any_text_stays_in_its_cell(tmp_path_factory, name, key):
    folder = tmp_path_factory.mktemp("x")
    feature = Feature(Interval("c", 1, 2), name, 1.0, attributes={key: name} if name else {})
    ((*_, last),) = [line.split("\t") for line in _lines(write_gff3(folder / "x.gff3", [feature]))[1:]]
    if name:
        pairs = dict(pair.split("=") for pair in last.split(";"))
        assert unquote(pairs["Name"]) == name or key == "Name"
        assert name in map(unquote, pairs.values())
    (bed,) = _lines(write_bed(folder / "x.bed", [feature]))
    assert len(bed.split("\t")) == 9 and bed.split("\t")[3].split() == (name.split() or ["."])


def _lines(path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


@pytest.mark.parametrize(
    ("write", "kind", "message"),
    [
        (lambda p: write_bed(p, [Feature(Interval("c", 0, 1), "n", float("nan"))]), InputError, "n has the score nan"),
        (lambda p: write_bed(p, FEATURES, limit=0.0), InputError, "limit=0.0; expected above 0"),
        (lambda p: write_gff3(p, FEATURES, chrom_sizes={"chr2": 9}), DataError, "no size is given for chr10"),
        (lambda p: write_gff3(p, FEATURES, chrom_sizes={"chr2": 9, "chr10": 99}), DataError, "which has 99 bp"),
        (lambda p: write_bed(p / "x", FEATURES), DataError, "does not exist; make it first"),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path, write, kind, message):
    with pytest.raises(kind, match=message):
        write(tmp_path / "x")
    assert not list(tmp_path.iterdir())
