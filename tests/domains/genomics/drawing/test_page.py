"""The page of motifs: read back by parsers, it says what it was given, as text, and needs nothing else."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from sciexplain.domains.genomics.drawing.logo_svg import logo_svg
from sciexplain.domains.genomics.drawing.page import genes_of, write_page
from sciexplain.domains.genomics.genes import GeneRow, GeneTable
from sciexplain.domains.genomics.hits import Hit
from sciexplain.domains.genomics.match import Match, match_motifs
from sciexplain.domains.genomics.motif import Motif, Seqlet
from sciexplain.domains.genomics.motifs import Motifs
from sciexplain.domains.genomics.sites import Site, Sites
from sciexplain.errors import DataError, InputError

HOSTILE = '</td><script>alert("1")</script> & <b>x</b> {{ 7 * 7 }} \x00'
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Tags balanced, ids unique, texts of tables; nothing is fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.ids, self.links, self.tags = [], [], [], []
        self.rows: list[list[str]] = []
        self.text = ""
        self.uses: set[str] = set()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        assert not {"src", "srcset", "style", "background", "action"} & set(found)
        assert not [name for name in found if name.startswith("on")]
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a":
            self.links.append(found["href"])
        if tag == "use":
            self.uses.add(found["href"])
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            assert "url(" not in data and "@import" not in data
            return
        self.text += data
        if "td" in self.open and "svg" not in self.open:
            self.rows[-1][-1] += data


def motif(name: str, sign: int = 1, length: int = 8, rows=(0, 0, 1), contributions: bool = True) -> Motif:
    ppm = np.random.default_rng(length).dirichlet([0.2] * 4, size=length)
    values = sign * ppm if contributions else None
    seqlets = tuple(Seqlet(row, 10, 10 + length) for row in rows)
    return Motif(name, ppm, values, values, seqlets, sign, len(rows))


def hit(of: str) -> Hit:
    return Hit(0, "p", 1, 9, "+", of, 9.0, 1e-6, 0.5, 0.9, None)


def match(of: Motif, target: str, p: float, q: float, strand: str = "+", offset: int = 0) -> Match:
    return Match(of.name, target, p, p * 100, q, strand, offset, 5)


def site(row: int, start: int) -> Site:
    return Site(row, f"p{row}", start, start + 5, None, 1.0, 0.01, 0.02, "ACGTA", "ACGTA")


def gene(name: str, sites: tuple[int, ...], q: float = 0.01) -> GeneRow:
    return GeneRow(name.lower(), name, "chr1", 0, 9, "-", sites, 2.5, 2.5, "five_prime_utr", -1234, q / 2, q)


def table(*rows: GeneRow) -> GeneTable:
    return GeneTable(rows, (), {}, (), (), 1, np.zeros((1, 1), np.uint8))


SITES = Sites((site(0, 12), site(0, 40), site(1, 17), site(2, 12), site(1, 18)), 0.05)


def test_genes_are_those_linked_to_sites_that_seqlets_overlap():
    # Seqlets: row 0 and 1, letters 10 to 18: they overlap the sites 0 and 2, and end where 4 begins.
    genes = table(gene("BOTH", (0, 2, 3)), gene("FAR", (1, 3)), gene("OTHER", (4,)), gene("ONE", (2,)))
    assert [(row.name, n) for row, n in genes_of(motif("m"), SITES, genes)] == [("BOTH", 2), ("ONE", 1)]


def test_a_section_says_what_is_known_of_its_motif(tmp_path):
    first, second = motif("first", rows=(0, 0, 1)), motif("second", -1, 6, rows=(5,))
    genes = table(*(gene(f"G{i}", (0, i % 3)) for i in range(10)))
    path = write_page(
        tmp_path / "x.html",
        Motifs((first, second), ("3 of 5 seqlets used",)),
        matches=[match(first, "WORSE", 0.01, 0.05), match(first, "KNOWN", 1e-9, 4.2e-7)],
        database=[motif("KNOWN", length=6), motif("WORSE", length=11), motif("OTHER")],
        hits=[hit("first")] * 1500,
        genes=genes,
        sites=SITES,
        title="Motifs of CTCF",
        notes=["What this is."],
        run={"Model": "net.pt", "Sequences": 1234},
        failed=[("row 7", DataError("ends after chr2 does"))],
        links={"sites": "tables/sites of run.bed"},
        most_genes=4,
    )
    page = Page(path.read_text("utf-8"))
    for words in ("Motifs of CTCF", "What this is.", "3 of 5 seqlets used", "net.pt", "1234", "1 row failed"):
        assert words in page.text
    assert "3 seqlets in 2 sequences, 1,500 hits, 8 bp" in page.text
    sections = page.text.partition("Relevance is")[0]
    assert sections.index("speaks for the target") < sections.index("speaks against the target")
    assert "and 6 more" in page.text
    assert ["row 7", "ends after chr2 does"] in page.rows
    assert ["first", "", "3", "1,500", "KNOWN", "4.2e−7", "G0, G1, G2"] in page.rows
    assert ["second", "", "1", "0", "none", "", ""] in page.rows
    assert [row[:4] for row in page.rows if row[0] in ("this motif", "KNOWN", "WORSE")] == [
        ["this motif", "", "", ""],
        ["KNOWN", "1.0e−9", "4.2e−7", "+"],
        ["WORSE", "0.01", "0.05", "+"],
    ]
    assert ["G0", "1", "5′ UTR", "−1,234", "2.5", "0.01"] in page.rows
    assert page.links == ["tables/sites%20of%20run.bed", "#motif-1", "#motif-2"]
    assert len(page.ids) == len(set(page.ids)) and {"motif-1", "motif-2"} <= set(page.ids)
    assert {use[1:] for use in page.uses} <= set(page.ids)
    text = path.read_text("utf-8")
    turned = first.reverse_complement()
    for shown, strand in ((first, "as found"), (turned, "reverse complement")):
        assert logo_svg(shown.contributions, description=f"first: Contributions, {strand}") in text
        assert logo_svg(shown.ppm, kind="information", description=f"first: Information, {strand}") in text


def test_what_was_not_asked_is_not_shown(tmp_path):
    path = write_page(tmp_path / "x.html", [motif("only", contributions=False)])
    page = Page(path.read_text("utf-8"))
    assert (
        "Known motifs" not in page.text and "Genes" not in page.text and "hits" not in page.text.split("Relevance")[0]
    )
    assert "Contributions" not in page.text and "Information, as found" in page.text
    assert [row for row in page.rows if row and row[0] == "only"] == [["only", "", "3"]]


def test_names_are_text_whatever_they_hold(tmp_path):
    hostile = motif(HOSTILE)
    path = write_page(
        tmp_path / "x.html",
        [hostile],
        matches=[match(hostile, HOSTILE, 0.1, 0.2)],
        database=[hostile],
        genes=table(gene(HOSTILE, (0,))),
        sites=SITES,
        title=HOSTILE,
        notes=[HOSTILE],
        run={HOSTILE: HOSTILE},
        failed=[(HOSTILE, InputError(HOSTILE))],
        links={HOSTILE: "javascript:alert(1)", "up": '../a"b<c>.bed'},
    )
    text = path.read_text("utf-8")
    page = Page(text)
    assert "script" not in page.tags and "b" not in page.tags and "\x00" not in text
    said = HOSTILE.replace("\x00", " ")
    assert page.text.count(said) >= 8 and "49" not in re.sub(r"[\d.]{3,}", "", page.text)
    assert page.links[:2] == ["javascript%3Aalert%281%29", "../a%22b%3Cc%3E.bed"]
    assert "default-src 'none'" in text


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("longer", ["ours", "known"])
def test_known_motifs_line_up_as_tomtom_found_them(tmp_path, strand, longer):
    """One motif cut out of the other, on either strand: equal letters stand below each other."""
    whole = motif("whole", length=24)
    part = Motif("part", whole.ppm[5:19])
    ours, known = (whole, part) if longer == "ours" else (part, whole)
    turned = known if strand == "+" else known.reverse_complement()
    fill = [Motif(f"other{i}", np.random.default_rng(i).dirichlet([1] * 4, size=10)) for i in range(60)]
    (found,) = match_motifs([ours], [*fill, turned], top=1)
    assert (found.target, found.strand, found.overlap) == (known.name, strand, 14)
    path = write_page(tmp_path / "x.html", [ours], matches=[found], database=[*fill, turned])
    above, below = re.findall(r'aria-label="(?:this motif|part|whole)" [^>]*>.*?</svg>', path.read_text("utf-8"))[-2:]
    places = [set(re.findall(r'href="(#letter-.)" transform="(matrix\([^"]*)"', svg)) for svg in (above, below)]
    small, large = sorted(places, key=len)
    assert small and small < large


def test_known_motifs_without_a_database_are_names(tmp_path):
    first = motif("first")
    text = write_page(tmp_path / "x.html", [first], matches=[match(first, "KNOWN", 0.5, 1.0)]).read_text("utf-8")
    assert ["KNOWN", "0.5", "1", "+"] in Page(text).rows and "this motif" not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"genes": table()}, "genes without sites"),
        ({"hits": "unknown"}, "There is a hit of 'unknown', which is none of the motifs"),
        ({"links": {"x": "/etc/x"}}, "/etc/x as a link; expected a path relative to the page"),
        ({"matches": [match(motif("m"), "K", 1, 1)], "database": [motif("L")]}, "database has no motif 'K', which m"),
        ({"matches": [match(motif("n"), "K", 1, 1)]}, "There is a match of 'n'"),
        ({"motifs": 2}, "m is the name of several motifs"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path, options, message):
    motifs = [motif("m")] * options.pop("motifs", 1)
    if "hits" in options:
        options["hits"] = [hit(options["hits"])]
    with pytest.raises(InputError, match=message):
        write_page(tmp_path / "x.html", motifs, **options)
    assert not list(tmp_path.iterdir())


def test_a_page_without_motifs_says_so(tmp_path):
    page = Page(write_page(tmp_path / "x.html", Motifs((), ("12 seqlets; 100 are needed",))).read_text("utf-8"))
    assert "No motifs were found." in page.text and "12 seqlets; 100 are needed" in page.text
