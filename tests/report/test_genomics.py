"""Sequences in a report: what stands in the pages, and what a browser makes of it."""

import base64
import csv
import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_pages import shift, until
from typer.testing import CliRunner

from sciexplain.cli import app
from sciexplain.cli.genomics_report import content
from sciexplain.domains import genomics
from sciexplain.domains.colormap import relevance_colours
from sciexplain.domains.genomics.alphabet import DNA, PROTEIN
from sciexplain.domains.genomics.drawing import sequence_view
from sciexplain.domains.genomics.encode import reverse_complement_of
from sciexplain.domains.genomics.formats.nucleotide_table import schema_of
from sciexplain.report.write import write_report
from sciexplain.runs import open_run
from sciexplain.runs.format import FAILURE_SCHEMA, ROW_SCHEMA

HOSTILE, HOSTILE_GENE = "<script>alert(1)</script>", "<script>alert(2)</script>"
WORD, TURNED = "AGATAAGG", "CCTTATCT"
LENGTH, EVERY, BROKEN = 400, 450, 20
NETWORK = f"""
import torch
from torch import nn

class Gata(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 2, 8)
        word = torch.eye(4)[["ACGT".index(c) for c in "{WORD}"]].T
        self.conv.weight.data = torch.stack([word, word.flip(0, 1)])
        self.conv.bias.data.fill_(-6.0)
        self.rest = nn.Conv1d(4, 8, 6)  # what a trained network would have learned besides
        self.out = nn.Linear(10, 1)
        self.out.weight.data = torch.cat([torch.ones(1, 2), 0.02 * torch.randn(1, 8)], 1)
        self.out.bias.data.zero_()

    def forward(self, x):
        found = torch.cat([self.conv(x), self.rest(x)[:, :, : x.shape[2] - 7]], 1)
        return self.out(torch.relu(found).sum(2))

def make():
    torch.manual_seed(0)
    return Gata().eval()
"""
MEME = """MEME version 4

ALPHABET= ACGT

MOTIF OTHER
letter-probability matrix: alength= 4 w= 8 nsites= 20
{other}
MOTIF GATA
letter-probability matrix: alength= 4 w= 8 nsites= 20
{gata}
"""


def matrix(word):
    return "\n".join(" ".join("0.97" if c == letter else "0.01" for c in "ACGT") for letter in word)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A genome with 60 regions of 400 bp, each with the word at its own place, on either strand; genes behind some."""
    made = tmp_path_factory.mktemp("sequences")
    rng = np.random.default_rng(3)
    letters, regions = rng.choice(list("ACGT"), 30_000), []
    for i in range(60):
        start = 100 + EVERY * i
        at = start + int(rng.integers(20, LENGTH - 40))
        letters[at : at + 8] = list(WORD if i % 2 else TURNED)
        name = HOSTILE if i == 5 else f"peak{i}"
        regions.append(f"chr1\t{start}\t{start + LENGTH}\t{name}\t0\t{'-' if i % 3 == 0 else '+'}")
    regions.insert(BROKEN, "chr9\t10\t410\tlost\t0\t+")
    (made / "peaks.bed").write_text("\n".join(regions) + "\n")
    (made / "genome.fa").write_text(">chr1\n" + "".join(letters) + "\n")
    lines = []
    for i in range(20):
        start, strand = 100 + EVERY * i + 150, "+-"[i % 2]
        name = HOSTILE_GENE if i == 5 else f"GENE{i}"
        row = f"chr1\tx\t{{}}\t{start + 1}\t{{}}\t.\t{strand}\t.\t"
        lines.append(row.format("gene", start + 200) + f"ID=g{i};Name={name}")
        lines.append(row.format("mRNA", start + 200) + f"ID=t{i};Parent=g{i}")
        lines += [
            f"chr1\tx\t{kind}\t{start + a + 1}\t{start + b}\t.\t{strand}\t.\tParent=t{i}"
            for kind, a, b in (("exon", 0, 60), ("exon", 120, 200), ("CDS", 20, 60))
        ]
    (made / "genes.gff3").write_text("##gff-version 3\n" + "\n".join(lines) + "\n")
    (made / "known.meme").write_text(MEME.format(other=matrix("TTGACACC"), gata=matrix(WORD)))
    sets = {"FIRST": range(12), "LAST": range(8, 20)}
    lines = ["\t".join([name, "na", *(f"g{i}" for i in own)]) for name, own in sets.items()]
    (made / "sets.gmt").write_text("\n".join(lines) + "\n")
    (made / "network.py").write_text(NETWORK)
    files = {"genome": "genome.fa", "genes": "genes.gff3", "motifs": "known.meme", "gene-sets": "sets.gmt"}
    arguments = ["explain", "genomics", "--model", f"{made / 'network.py'}:make", "--data", made / "peaks.bed"]
    for option, name in files.items():
        arguments += [f"--{option}", made / name]
    arguments += ["--min-seqlets", "20", "--out", made / "run", "--pictures", "0", "--quiet"]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 1, result.output  # one region cannot be read
    return made


@pytest.fixture(scope="module")
def run(folder):
    return open_run(folder / "run")


@pytest.fixture(scope="module")
def report(run):
    write_report(run, content(run, None), run.path / "report", colours=relevance_colours())
    return run.path / "report"


@pytest.fixture(scope="module")
def rows(run):
    return {row["number"]: row for row in run.rows.to_table().to_pylist()}


@pytest.fixture(scope="module")
def sites(run):
    return pq.read_table(run.path / "sites.parquet").to_pylist()


def made_up(path, sequences, *, alphabet=DNA, hypothetical=False, options=()):
    """A run over these letters and their relevance, which lie nowhere on a genome."""
    (path / "rows").mkdir(parents=True)
    (path / "nucleotides.parquet").mkdir()
    rows = [
        {"number": n, "id": f"s{n}", "input": f"s{n}", "target": 0, "score": float(values.sum()), "relevance": values}
        | {"shape": [len(values)], "seconds": 0.01}
        for n, (_, values) in sequences.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=ROW_SCHEMA), path / "rows" / "part-00000.parquet")
    own = schema_of(alphabet, hypothetical=hypothetical)
    schema = pa.schema([pa.field("number", pa.int64()), *own], own.metadata)
    with pq.ParquetWriter(path / "nucleotides.parquet" / "part-00000.parquet", schema) as writer:
        for n, (letters, values) in sequences.items():
            size = len(letters)
            lines = {"number": [n] * size, "name": [f"s{n}"] * size, "index": range(size), "letter": list(letters)}
            lines |= {"relevance": values} | {name: [None] * size for name in ("chrom", "position", "strand")}
            lines |= {name: values for name in own.names if name.startswith("hypothetical_")}
            arrays = {field.name: pa.array(lines[field.name], field.type) for field in schema}
            writer.write_table(pa.table(arrays, schema))
    pq.write_table(FAILURE_SCHEMA.empty_table(), path / "errors.parquet")
    info = {
        "format": "sciexplain-run", "format_version": 1, "status": "finished", "command": "explain genomics",
        "model": {"reference": "net.py:make"}, "data": {"path": "data.fa", "files": []}, "options": dict(options),
    }  # fmt: skip
    (path / "run.json").write_text(json.dumps(info))
    run = open_run(path)
    write_report(run, content(run, None), path / "report", colours=relevance_colours())
    return path / "report"


# ---- what is written


def floats(sample):
    return np.frombuffer(base64.b64decode(sample["relevance"]), "<f4")


@pytest.mark.parametrize("lines", [7, 1 << 17])
def test_every_sequence_has_its_own_letters_and_numbers(run, rows, lines, monkeypatch):
    monkeypatch.setattr(sequence_view, "_LINES_AT_ONCE", lines)
    wanted = [0, 1, 5, 19, 21, 60]
    found = dict(content(run, None).samples(wanted))
    assert list(found) == wanted and BROKEN not in rows
    genome = genomics.Genome(run.path.parent / "genome.fa")
    for number, sample in found.items():
        np.testing.assert_array_equal(floats(sample), rows[number]["relevance"])
        chrom, start, end, strand = sample["interval"]
        assert f"{chrom}:{start}-{end}({strand})" == rows[number]["input"]
        assert sample["letters"] == genome.fetch(genomics.Interval(chrom, start, end, strand))


def test_hypothetical_relevance_in_steps(run):
    table = run.table("nucleotides").to_table(filter=pa.compute.field("number") == 3)
    (_, sample), *_ = content(run, None).samples([3])
    packed = sample["hypothetical"]
    steps = np.frombuffer(base64.b64decode(packed["values"]), "<i2").reshape(4, LENGTH)
    expected = np.stack([table[f"hypothetical_{letter}"] for letter in "ACGT"])
    np.testing.assert_allclose(steps * packed["step"], expected, atol=packed["step"] * 0.51)
    assert np.abs(steps).max() == 32767


def test_what_lies_in_a_sequence(run, sites):
    found = dict(content(run, None).samples(range(61)))
    listed = sorted((n, *site[:4]) for n, sample in found.items() for site in sample["sites"])
    expected = [(s["number"], s["start_in_sequence"], s["end_in_sequence"], s["score"], s["q"]) for s in sites]
    assert listed == sorted(expected) and len(listed) > 40
    hits = pq.read_table(run.path / "hits.parquet").num_rows
    assert sum(len(sample["hits"]) for sample in found.values()) == hits > 50
    gene = found[1]["genes"][-1]
    assert gene[0] == "GENE1" and gene[2:5] == [700, 900, "-"]
    assert gene[5] == [[700, 760], [820, 900]] and gene[6] == [[720, 760]]
    linked = {line["id"]: line["q"] for line in pq.read_table(run.path / "genes.parquet").to_pylist()}
    assert gene[7] == linked["g1"]


def test_tables_say_what_the_files_say(run, rows, sites):
    tables = {table.key: table for table in content(run, None).tables()}
    assert list(tables) == ["motifs", "matches", "hits", "sites", "genes", "gene_sets"]
    columns = {key: [column.name for column in table.columns] for key, table in tables.items()}
    motif = dict(zip(columns["motifs"], tables["motifs"].rows[0], strict=True))
    hits = [h for h in pq.read_table(run.path / "hits.parquet").to_pylist() if h["motif"] == motif["motif"]]
    assert motif["best match"] == "GATA" and motif["q"] < 0.05
    assert motif["instances"] == len(hits) and motif["sequences"] == len({h["number"] for h in hits})
    assert motif["mean relevance"] == pytest.approx(np.mean([h["contribution"] for h in hits]))
    strongest = max(hits, key=lambda h: abs(h["contribution"]))
    assert motif["strongest in"] == strongest["number"]
    place = columns["sites"].index("place")
    assert tables["sites"].rows[0][place] == f"chr1:{sites[0]['start'] + 1}-{sites[0]['end']}"
    for table in tables.values():
        for i, column in enumerate(table.columns):
            if column.kind == "sample":
                assert {row[i] for row in table.rows} - {None} <= set(rows)


def test_genes_at_a_motifs_sites(run, sites):
    table = next(t for t in content(run, None).tables() if t.key == "motifs")
    column = [column.name for column in table.columns].index("genes at its sites")
    hits = [h for h in pq.read_table(run.path / "hits.parquet").to_pylist() if h["motif"] == table.rows[0][0]]
    touched = {
        i
        for i, s in enumerate(sites)
        for h in hits
        if h["number"] == s["number"] and h["start"] < s["end"] and h["end"] > s["start"]
    }
    genes = [g for g in pq.read_table(run.path / "genes.parquet").to_pylist() if touched & set(g["sites"])]
    names = table.rows[0][column].split(", ")
    assert len(names) == 5 and set(names) <= {g["name"] for g in genes}


@pytest.mark.parametrize("what", ["gone", "changed"])
def test_genes_that_are_not_what_they_were_are_not_drawn(run, folder, what):
    path = folder / "genes.gff3"
    before = path.read_bytes()
    path.unlink()
    if what == "changed":
        path.write_bytes(before + b"# more\n")
    try:
        meta = content(run, None).meta()
        sample = dict(content(run, None).samples([1]))[1]
    finally:
        path.write_bytes(before)
    assert "genes.gff3" in meta["notes"][0] and "genes" not in meta["tracks"] and sample["genes"] == []


def test_very_long_sequences_are_left_out_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr("sciexplain.cli.genomics_report._LONGEST", 50)
    ones = np.ones(60, np.float32)
    made_up(tmp_path / "run", {0: ("A" * 60, ones), 2: ("A" * 50, ones[:50])})
    made = content(open_run(tmp_path / "run"), None)
    assert [number for number, _ in made.samples([0, 2])] == [2]
    assert made.meta()["notes"] == ["1 sequences of more than 50 letters have no drawing."]


def test_classes_are_the_models(run):
    model = SimpleNamespace(tasks=("CTCF", "PU.1"))
    assert content(run, SimpleNamespace(model=model)).meta()["classes"] is None  # one output: no classes
    assert content(run, None).meta()["unit"] == ""


# ---- in a browser


@pytest.mark.parametrize("name", ["sample.html#1", "findings.html"])
def test_nothing_moves_once_it_is_there(opened, report, name):
    assert shift(opened, report, name) < 0.1


def sequence(opened, report, number, **look):
    page = opened(report, f"sample.html#{number}", **look)
    until(page, "() => document.querySelector('.sequence-stage')?.dataset.frames > 0")
    return page


def state(page):
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found = page.evaluate("() => ({ ...document.querySelector('.sequence-stage').dataset })")
    left, plot = map(float, found["plot"].split())
    return SimpleNamespace(
        left=float(found["left"]), right=float(found["right"]), mode=found["mode"], at=left, plot=plot,
        frames=int(found["frames"]),
    )  # fmt: skip


def x_of(shown, edge):
    """Of an edge between letters, from the stage's left."""
    return shown.at + (edge - shown.left) / (shown.right - shown.left) * shown.plot


def corner(page):
    box = page.locator(".sequence-stage canvas").bounding_box()
    return box["x"], box["y"]


def picture(page):
    """The canvas, (H, W, 3)."""
    found = page.evaluate(
        """() => {
          const canvas = document.querySelector('.sequence-stage canvas'), { width, height } = canvas;
          const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
          let text = '';
          for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
          return [height, width, btoa(text)];
        }"""
    )
    return np.frombuffer(base64.b64decode(found[2]), np.uint8).reshape(found[0], found[1], 4)[..., :3].astype(int)


def is_colour(pixels, colour, most=8):
    if isinstance(colour, str):
        colour = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return (np.abs(pixels - np.array(colour)) <= most).all(-1)


def go(page, text):
    page.get_by_label("Go to a place").fill(text)
    page.get_by_role("button", name="Go", exact=True).click()


def read(page):
    return page.inner_text(".sequence-read")


def along(sample, rows):
    """Relevance and letters as drawn along the genome."""
    values = np.array(rows[sample["number"]]["relevance"], np.float32)
    return values[::-1] if rows[sample["number"]]["input"].endswith("(-)") else values


@pytest.mark.parametrize("number", [3, 4])  # of the − strand and of the + strand
def test_letters_stand_where_their_relevance_is(opened, report, rows, number):
    page = sequence(opened, report, number)
    assert state(page).mode == "bars"
    values = along(rows[number], rows)
    middle = int(np.abs(np.convolve(values, np.ones(8), "valid")).argmax()) + 4
    start = int(rows[number]["input"].split(":")[1].split("-")[0])
    go(page, f"{start + middle - 30}-{start + middle + 30}")
    shown = state(page)
    assert shown.mode == "letters"
    colours = page.evaluate("() => sciexplain.report().meta.light")
    genome = genomics.Genome(report.parent.parent / "genome.fa")
    drawn = picture(page)
    heights, expected = [], []
    for j in range(middle - 4, middle + 4):
        letter = genome.fetch(genomics.Interval("chr1", start + j, start + j + 1))
        own = is_colour(drawn[:260, round(x_of(shown, j)) + 1 : round(x_of(shown, j + 1)) - 1], colours[letter])
        tall = np.flatnonzero(own.any(1))
        heights.append(len(tall) and tall[-1] - tall[0] + 1)
        expected.append(abs(values[j]))
    scale = np.max(heights) / np.max(expected)
    np.testing.assert_allclose(heights, np.array(expected) * scale, atol=3)
    assert max(heights) > 50


@pytest.mark.parametrize("number", [3, 4])
def test_what_one_points_at_is_read(opened, report, rows, number):
    page = sequence(opened, report, number)
    values = along(rows[number], rows)
    start = int(rows[number]["input"].split(":")[1].split("-")[0])
    go(page, f"{start + 101}-{start + 160}")
    shown, (x, y) = state(page), corner(page)
    genome = genomics.Genome(report.parent.parent / "genome.fa")
    for j in (100, 123, 159):
        page.mouse.move(x + x_of(shown, j + 0.5), y + 150)
        letter = genome.fetch(genomics.Interval("chr1", start + j, start + j + 1))
        said = read(page)
        assert said.startswith(f"chr1:{start + j + 1:,} {letter} ")
        value = page.evaluate("(value) => sciexplain.signed(value, 6)", float(values[j]))
        assert page.inner_text(".sequence-value") == value


def test_the_strongest_of_many_letters_is_read(opened, tmp_path):
    values = np.zeros(5000, np.float32)
    values[1234] = -0.75
    page = sequence(opened, made_up(tmp_path / "run", {0: ("ACGTN" * 1000, values)}), 0)
    shown, (x, y) = state(page), corner(page)
    assert shown.mode == "bins"
    page.mouse.move(x + x_of(shown, 1232), y + 150)
    assert read(page).startswith("position 1,234 N −0.75")  # counted from 0, as it lies nowhere


@pytest.mark.parametrize("along_genome", [True, False])
@pytest.mark.parametrize("number", [3, 4])
def test_sites_are_where_they_are(opened, report, sites, number, along_genome):
    page = sequence(opened, report, number)
    own = [s for s in sites if s["number"] == number]
    turned = number == 3 and along_genome
    if number == 3 and not along_genome:
        page.get_by_role("button", name="Along the genome").click()
    go(page, str(sum(own[0][end] for end in ("start", "end")) // 2))
    page.get_by_role("button", name="Zoom out").click()
    shown, drawn = state(page), picture(page)
    red = is_colour(drawn, page.evaluate("() => sciexplain.rgb(0.85)"))
    ends = own[0]["start_in_sequence"], own[0]["end_in_sequence"]
    left, right = (LENGTH - ends[1], LENGTH - ends[0]) if turned else ends
    middle = round(x_of(shown, (left + right) / 2))
    below = 300 + int(np.flatnonzero(red[300:, middle])[0]) + 5  # below relevance and axis, sites come first
    there = np.flatnonzero(red[below])
    assert there[0] == pytest.approx(x_of(shown, left), abs=1.5)
    assert there[-1] + 1 == pytest.approx(x_of(shown, right), abs=1.5)


def test_wheel_zooms_around_the_pointer_and_drag_moves(opened, report):
    page = sequence(opened, report, 4)
    before, (x, y) = state(page), corner(page)
    at = round(x + 340) - x  # a wheel's events know whole pixels of the window
    edge = (at - before.at) / before.plot * LENGTH
    page.mouse.move(x + at, y + 150)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -240)
    page.keyboard.up("Control")
    until(page, "() => document.querySelector('.sequence-stage').dataset.right < 399")
    after = state(page)
    assert x_of(after, edge) == pytest.approx(at, abs=0.01)
    page.mouse.down()
    page.mouse.move(x + at - 55, y + 160, steps=3)
    page.mouse.up()
    moved = state(page)
    assert x_of(moved, edge) == pytest.approx(at - 55, abs=0.01)
    assert moved.right - moved.left == pytest.approx(after.right - after.left)


def test_a_wheel_alone_scrolls_the_page(opened, report):
    page = sequence(opened, report, 4, height=400)
    x, y = corner(page)
    page.mouse.move(x + 300, y + 100)
    page.mouse.wheel(0, 200)
    until(page, "() => scrollY > 100")
    assert (state(page).left, state(page).right) == (0, LENGTH)


def test_keys(opened, report, sites):
    page = sequence(opened, report, 4)
    page.locator(".sequence-stage").focus()
    page.keyboard.press("+")
    zoomed = state(page)
    assert 0 < zoomed.left < zoomed.right < LENGTH
    page.keyboard.press("ArrowLeft")
    assert state(page).left < zoomed.left
    page.keyboard.press("End")
    assert state(page).right == LENGTH
    page.keyboard.press("0")
    assert (state(page).left, state(page).right) == (0, LENGTH)
    for _ in range(30):
        page.keyboard.press("+")
    assert state(page).right - state(page).left == pytest.approx(20)
    page.keyboard.press("0")
    page.keyboard.press(".")
    first = read(page)
    page.keyboard.press(".")
    assert first.startswith("chr1:") and read(page) != first
    own = next(s for s in sites if s["number"] == 4)
    page.keyboard.press("Home")
    page.keyboard.press("p" if own["start_in_sequence"] < 200 else "n")
    shown = state(page)
    assert shown.left < own["start_in_sequence"] < own["end_in_sequence"] < shown.right
    assert page.inner_text("#name") == "peak4"  # arrows moved the track, not on to other samples


def test_places_genes_motifs_and_letters_are_found(opened, report, sites):
    page = sequence(opened, report, 4)
    start = 100 + 4 * EVERY

    def shown_after(text):
        go(page, text)
        found = state(page)
        return found.left, found.right

    assert shown_after(f"chr1:{start + 51:,}-{start + 150:,}") == (50, 150)
    left, right = shown_after(str(start + 200))
    assert left < 199 < right < LENGTH
    left, right = shown_after("gene4")
    assert (left + right) / 2 == 250 and right - left < LENGTH
    own = next(s for s in sites if s["number"] == 4)
    left, right = shown_after("GATA")
    assert left <= own["start_in_sequence"] and own["end_in_sequence"] <= right
    page.get_by_role("button", name="The whole sequence").click()
    shown_after(HOSTILE)
    assert HOSTILE in read(page) and (state(page).left, state(page).right) == (0, LENGTH)
    shown_after("chr2:5-9")
    assert "chr2:5-9" in read(page)


def test_letters_are_saved(opened, report, rows):
    page = sequence(opened, report, 4)
    start = 100 + 4 * EVERY
    go(page, f"{start + 11}-{start + 40}")
    with page.expect_download() as started:
        page.get_by_role("button", name="Save the letters in view").click()
    table = list(csv.reader(io.StringIO(Path(started.value.path()).read_text(encoding="utf-8"))))
    assert table[0][:3] == ["base on chr1, from 1", "letter", "relevance"] and len(table) == 31
    assert [int(line[0]) for line in table[1:]] == list(range(start + 11, start + 41))
    np.testing.assert_allclose([float(line[2]) for line in table[1:]], rows[4]["relevance"][10:40], rtol=1e-6)
    with page.expect_download() as started:
        page.get_by_role("button", name="Save this picture").click()
    assert Path(started.value.path()).read_bytes()[:4] == b"\x89PNG"


def test_what_lies_in_it_is_listed_and_shown(opened, report, sites):
    page = sequence(opened, report, 4)
    own = next(s for s in sites if s["number"] == 4)
    line = page.locator("#numbers tbody tr").filter(has_text="site").first
    assert f"chr1:{own['start'] + 1}-{own['end']}" in line.inner_text()
    line.get_by_role("button").click()
    shown = state(page)
    assert shown.left < own["start_in_sequence"] < own["end_in_sequence"] < shown.right < LENGTH


def test_letters_of_the_other_strand(opened, report, sites):
    page = sequence(opened, report, 3)
    consensus = next(s for s in sites if s["number"] == 3)["consensus"]
    assert reverse_complement_of(consensus, DNA) in page.inner_text("#numbers")
    turned = page.evaluate(
        """(text) => {
          const data = { letters: 'A', relevance: 'AAAAAA==' };
          return new sciexplain.sequence.Track(data, sciexplain.report().meta).other(text);
        }""",
        "ACGTNRYKMSWBDHVacgtnr",
    )
    assert turned == reverse_complement_of("ACGTNRYKMSWBDHVacgtnr", DNA)


def test_hypothetical_relevance_on_demand(opened, report, rows):
    page = sequence(opened, report, 4)
    tall = page.locator(".sequence-stage canvas").bounding_box()["height"]
    page.get_by_role("button", name="Hypothetical").click()
    start = 100 + 4 * EVERY
    go(page, f"{start + 1}-{start + 60}")
    shown, (x, y) = state(page), corner(page)
    assert page.locator(".sequence-stage canvas").bounding_box()["height"] > tall
    page.mouse.move(x + x_of(shown, 30.5), y + 150)
    assert all(f"{letter} " in read(page).split("hypothetical:")[1] for letter in "ACGT")


def test_names_are_text(opened, report):
    page = sequence(opened, report, 5)
    assert page.inner_text("#name") == HOSTILE
    go(page, HOSTILE_GENE)
    shown, (x, y) = state(page), corner(page)
    assert shown.right - shown.left < LENGTH
    height = page.locator(".sequence-stage canvas").bounding_box()["height"]
    page.mouse.move(x + x_of(shown, 250), y + height - 14)
    assert HOSTILE_GENE in read(page)
    page = opened(report, "findings.html#genes")
    until(page, "() => document.querySelector('#genes tbody tr')")
    assert HOSTILE_GENE in page.inner_text("#genes")
    assert page.locator("main script").count() == 0


def test_findings_lead_to_samples_and_are_saved(opened, report, run):
    page = opened(report, "findings.html#motifs")
    until(page, "() => document.querySelector('#motifs tbody tr img')?.complete")
    assert page.evaluate("() => [...document.querySelectorAll('#motifs img')].every((one) => one.naturalWidth > 50)")
    with page.expect_download() as started:
        page.locator("#motifs").get_by_role("button", name="CSV").click()
    saved = list(csv.DictReader(io.StringIO(Path(started.value.path()).read_text(encoding="utf-8"))))
    assert saved[0]["best match"] == "GATA" and int(saved[0]["instances"]) > 40 and "logo" not in saved[0]
    page = opened(report, "findings.html#hits")
    until(page, "() => document.querySelector('#hits tbody a')")
    number = page.locator("#hits tbody a").first.inner_text()
    page.locator("#hits tbody a").first.click()
    page.wait_for_url("**/sample.html*")
    until(page, "() => document.querySelector('.sequence-stage')?.dataset.frames > 0")
    assert page.url.endswith(f"sample.html#{number}")


def test_profiles_in_the_gallery(opened, report, rows):
    page = opened(report, "gallery.html")
    until(page, "() => document.querySelectorAll('.sequence-thumbnail').length === 60")
    tile = page.locator(".tile").filter(has_text="peak4").first
    assert tile.get_by_role("img").get_attribute("aria-label") == f"Relevance along {LENGTH} letters, 1 site"
    assert "alert" not in page.evaluate("() => [...document.scripts].map((one) => one.text).join('')")


def test_long_sequences_are_drawn_once_a_frame(opened, tmp_path, record_property):
    rng = np.random.default_rng(0)
    letters, values = "".join(rng.choice(list("ACGT"), 200_000)), rng.normal(size=200_000).astype(np.float32)
    page = sequence(opened, made_up(tmp_path / "run", {0: (letters, values)}), 0)
    before = state(page).frames
    page.evaluate(
        """() => {
          const stage = document.querySelector('.sequence-stage');
          for (let i = 0; i < 50; i++) stage.dispatchEvent(new WheelEvent('wheel', { ctrlKey: true, deltaY: -20 }));
        }"""
    )
    assert state(page).frames == before + 1
    record_property("milliseconds", page.get_attribute(".sequence-stage", "data-milliseconds"))
    go(page, letters[123_456:123_480])
    shown = state(page)
    assert shown.mode == "letters" and shown.left < 123_456 < 123_480 < shown.right


def test_proteins_have_their_letters(opened, tmp_path):
    values = np.linspace(-1, 1, 40, dtype=np.float32)
    report = made_up(tmp_path / "run", {0: ("ACDEFGHIKLMNPQRSTVWY" * 2, values)}, alphabet=PROTEIN)
    page = sequence(opened, report, 0)
    assert state(page).mode == "letters" and "40 residues" in page.inner_text(".sequence-where")
    assert page.evaluate("() => Object.keys(sciexplain.report().meta.shapes).length") == 20


def test_a_letter_that_is_none_of_the_alphabets(opened, tmp_path):
    page = sequence(opened, made_up(tmp_path / "run", {0: ("ACNGT" * 8, np.ones(40, np.float32))}), 0)
    shown = state(page)
    grey = is_colour(picture(page)[:260], [0x59, 0x63, 0x6D])
    n, a = (grey[60:, round(x_of(shown, j + 0.5))].sum() for j in (2, 0))
    assert n > 100 > a


@pytest.mark.parametrize("dark", [False, True])
def test_colours_fit_the_ground_on_screen_and_on_paper(opened, report, rows, dark):
    page = sequence(opened, report, 4, dark=dark)
    values = along(rows[4], rows)
    middle = 100 + 4 * EVERY + int(np.convolve(values, np.ones(8), "valid").argmax()) + 4
    go(page, f"{middle - 20}-{middle + 20}")
    state(page)
    meta = page.evaluate("() => sciexplain.report().meta")

    def letters_in(colours):
        drawn = picture(page)[:260]
        return sum(int(is_colour(drawn, colours[letter], 3).sum()) > 30 for letter in "ACT")

    assert letters_in(meta["dark" if dark else "light"]) == 3
    page.emulate_media(media="print")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert letters_in(meta["light"]) == 3 and picture(page)[1, 1].tolist() == [255, 255, 255]


def test_narrow_pages_do_not_scroll_sideways(opened, report):
    page = sequence(opened, report, 4, width=400)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert state(page).plot > 250


def test_another_sample_takes_the_place_of_this(opened, report):
    page = sequence(opened, report, 3)
    page.get_by_role("button", name="Next sample").click()
    until(page, "() => document.querySelector('#name').textContent === 'peak4'")
    until(page, "() => document.querySelectorAll('.sequence-stage').length === 1")
    page.get_by_role("button", name="Zoom in").click()
    assert state(page).right < LENGTH


def test_mean_profiles_in_the_audit(opened, run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy, ignore=shutil.ignore_patterns("report"))
    result = CliRunner().invoke(app, ["audit", str(copy), "--quiet"])
    assert result.exit_code == 0, result.output
    write_report(open_run(copy), content(open_run(copy), None), copy / "report", colours=relevance_colours())
    page = opened(copy / "report", "audit.html")
    until(page, "() => document.querySelector('.audit-member .sequence-thumbnail') !== null")
    labels = [image.get_attribute("aria-label") for image in page.locator(".sequence-mean").all()]
    assert labels == [f"Mean relevance by position, 0 to {LENGTH}"] * page.locator(".audit-card").count()
