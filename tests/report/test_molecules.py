"""Molecules in a report: what stands in the pages, and what a browser makes of it."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from ase.build import molecule as ase_molecule
from rdkit import Chem
from rdkit.Chem import AllChem
from report_pages import shift, until
from torch_geometric.nn import GIN, global_add_pool
from typer.testing import CliRunner

from sciexplain.cli import app
from sciexplain.cli.molecules_report import MoleculeContent, content
from sciexplain.domains import molecules
from sciexplain.domains.colormap import relevance_colours
from sciexplain.domains.molecules.read import read_one
from sciexplain.report.write import write_report
from sciexplain.runs import open_run
from sciexplain.runs.format import FAILURE_SCHEMA, ROW_SCHEMA

HOSTILE = "<img src=x onerror=alert(1)>"
NUMBERS = [0, 1, 3, 4, 5, 6, 7]  # 2 failed
ASPIRIN, SALT, WATER, HELIUM, LARGE, UNWRITTEN, BARE = NUMBERS
UNIT = "kcal/mol"
GRAPHS = """
import torch
from torch_geometric.nn import GIN, global_add_pool

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gin, self.out = GIN(9, 8, 2), torch.nn.Linear(8, 1)
    def forward(self, x, edge_index, batch):
        return self.out(global_add_pool(self.gin(x, edge_index), batch))

def make():
    torch.manual_seed(0)
    return Net().eval()
"""


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.gin, self.out = GIN(9, 12, 3), torch.nn.Linear(12, 1)

    def forward(self, x, edge_index, batch):
        return self.out(global_add_pool(self.gin(x, edge_index), batch))


@pytest.fixture(scope="module")
def found():
    """Explanations: aspirin, a salt, water with positions, one atom, a peptide, one in no SDF, one without bonds."""
    atoms = ase_molecule("H2O")
    water = replace(molecules.with_hydrogens(read_one("O")), positions=atoms.positions, name=HOSTILE)
    peptide = read_one(Chem.MolToSmiles(Chem.MolFromSequence("AGLKDEFRWSAGLKD")))
    AllChem.Compute2DCoords(peptide.mol)
    wavy = peptide.mol.GetConformer().GetPositions() + [[0, 0, i % 5] for i in range(len(peptide))]
    peptide.mol.RemoveAllConformers()
    asked = [
        read_one("CC(=O)Oc1ccccc1C(=O)O"),
        read_one("CC(=O)[O-].[Na+]"),
        water,
        read_one("[He]"),
        replace(peptide, positions=wavy),
    ]
    asked += [read_one("CCO"), molecules.embed(read_one("CC=O"))]
    made = dict(zip(NUMBERS, molecules.explain(Network().eval(), asked, featurizer="pyg", unit=UNIT), strict=True))
    assert len(made[LARGE]) > 100
    made[BARE] = replace(made[BARE], molecule=replace(made[BARE].molecule, mol=None))  # as XYZ has it
    return made


@pytest.fixture(scope="module")
def run(found, tmp_path_factory):
    return written_run(tmp_path_factory.mktemp("molecules") / "run", found)


def written_run(path, found, *, status="finished"):
    """A run in two shards, as ``explain molecules --walks 3 --fragments brics`` leaves it."""
    of = {"number": pa.int64(), "molecule": pa.string(), "name": pa.string()}
    last = {"relevance": pa.float64(), "unit": pa.string()}
    schemas = {
        "atoms": pa.schema({**of, "atom": pa.int64(), "element": pa.string(), **last}),
        "bonds": pa.schema({**of, "i": pa.int64(), "j": pa.int64(), **last}),
        "walks": pa.schema({**of, "walk": pa.list_(pa.int64()), **last}),
        "fragments": pa.schema(
            {**of, "fragment": pa.string(), "smiles": pa.string(), "atoms": pa.list_(pa.int64()), **last}
        ),
    }
    for name in ("rows", *(f"{table}.parquet" for table in schemas)):
        (path / name).mkdir(parents=True)
    texts = []
    for shard in (0, 1):
        own = {number: a for number, a in found.items() if number // 4 == shard}
        rows = [row(number, a) for number, a in own.items()]
        part = f"part-{shard:05d}"
        pa.parquet.write_table(pa.Table.from_pylist(rows, schema=ROW_SCHEMA), path / "rows" / f"{part}.parquet")
        for name, schema in schemas.items():
            entries = [entry for number, a in own.items() for entry in listed(name, number, a)]
            table = pa.Table.from_pylist(entries, schema=schema)
            pa.parquet.write_table(table, path / f"{name}.parquet" / f"{part}.parquet")
        molecules.MoleculeExplanations([a for n, a in own.items() if n != UNWRITTEN]).to_sdf(path / "part.sdf")
        texts.append((part, (path / "part.sdf").read_text()))
    (path / "part.sdf").unlink()
    if status == "finished":
        (path / "molecules.sdf").write_text("".join(text for _, text in texts))
    else:
        (path / "molecules.sdf.parts").mkdir()
        for part, text in [*texts, ("part-00009", texts[0][1])]:  # the last is of a shard that is not done
            (path / "molecules.sdf.parts" / f"{part}.sdf").write_text(text)
    pa.parquet.write_table(FAILURE_SCHEMA.empty_table(), path / "errors.parquet")
    info = {
        "format": "sciexplain-run",
        "format_version": 1,
        "status": status,
        "command": "explain molecules",
        "model": {"reference": "net.py:make"},
        "data": {"path": "data.csv", "files": []},
        "options": {"fragments": "brics", "unit": "", "embed": False, "walks": 3},
    }
    (path / "run.json").write_text(json.dumps(info))
    return open_run(path)


def row(number, a):
    relevance = a.atoms.detach().float().numpy()
    of = {"number": number, "id": f"data.csv:{number}", "input": a.name, "target": 0, "score": a.score}
    return {**of, "relevance": relevance, "shape": [len(a)], "seconds": 0.01}


def listed(name, number, a):
    of = {"number": number, "molecule": f"data.csv:{number}", "name": a.name, "unit": UNIT}
    if name == "atoms":
        symbols = Chem.GetPeriodicTable()
        for i, (z, r) in enumerate(zip(a.molecule.numbers.tolist(), a.atoms.tolist(), strict=True)):
            yield {**of, "atom": i, "element": symbols.GetElementSymbol(z), "relevance": r}
    if name == "bonds":
        yield from ({**of, "i": i, "j": j, "relevance": r} for (i, j), r in a.bonds.items())
    if name == "walks" and len(a) < 100:
        yield from ({**of, "walk": list(walk), "relevance": r} for walk, r in a.walks(3))
    if name == "fragments":
        for part, r in parts_of(a):
            yield {**of, "fragment": part.name, "smiles": part.smiles, "atoms": sorted(part.atoms), "relevance": r}


@pytest.fixture(scope="module")
def report(run):
    write_report(run, content(run, None), run.path / "report", colours=relevance_colours())
    return run.path / "report"


@pytest.fixture(scope="module")
def samples(run):
    return dict(content(run, None).samples(NUMBERS))


# ---- what is written


def test_every_molecule_has_its_own_numbers(found, samples):
    assert list(samples) == NUMBERS
    for number, a in found.items():
        sample = samples[number]
        np.testing.assert_allclose(sample["relevance"], a.atoms.detach().numpy(), rtol=1e-6, atol=1e-12)
        passing = {(i, j): r for i, j, *_, r in (*sample["bonds"], *sample["pairs"]) if r is not None}
        passing |= {(i, i): r for i, r in enumerate(sample["stays"])}
        expected = {pair: r for pair, r in a.bonds.items() if r or pair[0] != pair[1]}
        assert {pair for pair, r in passing.items() if r} == {pair for pair, r in expected.items() if r}
        assert sum(passing.values()) == pytest.approx(float(a.atoms.sum()), rel=1e-4, abs=1e-6)
        assert all(passing[pair] == pytest.approx(r, rel=1e-5) for pair, r in expected.items())
        assert [tuple(atoms) for _, _, atoms, _ in sample["fragments"]] == [
            tuple(sorted(part.atoms)) for part, _ in parts_of(a)
        ]
    walks = [(tuple(walk), pytest.approx(r)) for walk, r in samples[ASPIRIN]["walks"]]
    assert walks == found[ASPIRIN].walks(3) and not samples[LARGE]["walks"]


def test_every_molecule_has_its_own_structure(found, samples):
    for number in NUMBERS[:-2]:
        symbols = [atom.GetSymbol() for atom in found[number].molecule.mol.GetAtoms()]
        assert samples[number]["elements"] == symbols and samples[number]["formula"] is not None
        pairs = {(i, j) for i, j, *_ in samples[number]["bonds"]}
        assert pairs == {
            tuple(sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx()))) for b in found[number].molecule.mol.GetBonds()
        }
    assert samples[UNWRITTEN]["formula"] is None and "no structure" in samples[UNWRITTEN]["no_formula"]
    assert len(samples[UNWRITTEN]["elements"]) == 3
    assert samples[BARE]["elements"] == ["C", "C", "O", "H", "H", "H", "H"] and samples[BARE]["formula"] is not None
    assert {bond[2] for bond in samples[BARE]["bonds"]} == {"contact"} and len(samples[BARE]["bonds"]) == 6


def test_geometries(found, samples):
    assert samples[WATER]["solid"]["made"] == ""
    made = np.array(samples[WATER]["solid"]["positions"]).reshape(-1, 3) / 1000
    apart, own = (np.linalg.norm(p[0] - p[1]) for p in (made, found[WATER].molecule.positions))
    assert apart == pytest.approx(own, abs=2e-3)
    assert "ETKDGv3" in samples[ASPIRIN]["solid"]["made"] and len(samples[ASPIRIN]["solid"]["hydrogens"]) == 8


def test_time_for_geometries_is_bounded(run):
    late = dict(MoleculeContent(run, seconds=0).samples(NUMBERS))
    assert late[WATER]["solid"] and late[ASPIRIN]["solid"] is None and "used up" in late[ASPIRIN]["no_solid"]


def test_some_of_the_rows(run, samples):
    few = dict(content(run, None).samples([WATER, UNWRITTEN]))
    assert list(few) == [WATER, UNWRITTEN] and all(few[n] == samples[n] for n in few)


def test_a_run_that_is_not_finished(found, samples, tmp_path):
    run = written_run(tmp_path / "run", found, status="interrupted")
    assert dict(content(run, None).samples([ASPIRIN, WATER, UNWRITTEN])) == {
        n: samples[n] for n in (ASPIRIN, WATER, UNWRITTEN)
    }


def test_a_run_of_the_command(tmp_path, graphs):
    smiles = ["CCO", "C1CC", "c1ccccc1O", "CC(=O)[O-].[Na+]"]  # the second cannot be read
    (tmp_path / "data.csv").write_text("smiles\n" + "\n".join(smiles) + "\n")
    asked = ["--model", graphs, "--featurizer", "pyg", "--data", str(tmp_path / "data.csv"), "--quiet"]
    asked += ["--walks", "2", "--fragments", "brics", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, ["explain", "molecules", *asked])
    assert result.exit_code == 1, result.output
    made = content(open_run(tmp_path / "run"), None)
    found = dict(made.samples([0, 2, 3]))
    for number, sample in found.items():
        assert sample["elements"] == [atom.GetSymbol() for atom in Chem.MolFromSmiles(smiles[number]).GetAtoms()]
        assert sample["formula"] and sample["solid"] and len(sample["walks"]) == 2 and sample["fragments"]
    assert {table.key for table in made.tables()} == {"elements", "strongest_atoms", "surroundings", "fragments"}


@pytest.fixture
def graphs(tmp_path):
    """A network over graphs, as --model takes it."""
    (tmp_path / "graphs.py").write_text(GRAPHS)
    return f"{tmp_path / 'graphs.py'}:make"


def test_findings(run, found):
    tables = {table.key: table for table in content(run, None).tables()}
    atoms = [(n, z, r) for n, a in found.items() for z, r in zip(symbols_of(a), a.atoms.tolist(), strict=True)]
    for symbol, count, many, example, mean, size, share in tables["elements"].rows:
        own = [(n, r) for n, z, r in atoms if z == symbol]
        assert (count, many) == (len(own), len({n for n, _ in own}))
        assert mean == pytest.approx(np.mean([r for _, r in own])) and size == pytest.approx(
            np.mean([abs(r) for _, r in own])
        )
        assert share == pytest.approx(100 * sum(abs(r) for _, r in own) / sum(abs(r) for *_, r in atoms))
        assert example == max(own, key=lambda item: abs(item[1]))[0]
    strongest = [line[4] for line in tables["strongest_atoms"].rows]
    ordered = sorted((r for *_, r in atoms), reverse=True)
    extremes = [*[r for r in ordered if r > 0][:30], *[r for r in ordered if r < 0][-30:]]
    assert strongest == pytest.approx(sorted(extremes, key=abs, reverse=True))
    parts = [(n, part.smiles, r) for n, a in found.items() for part, r in parts_of(a)]
    for image, smiles, count, many, _, mean, *_ in tables["fragments"].rows:
        own = [(n, r) for n, text, r in parts if text == smiles]
        assert (count, many) == (len(own), len({n for n, _ in own}))
        assert mean == pytest.approx(np.mean([r for _, r in own])) and image.startswith("data:image/svg+xml")
    around = {line[1]: line for line in tables["surroundings"].rows}
    methyl = [found[n].atoms[i].item() for n in NUMBERS[:-2] for i in methyls(found[n])]
    assert around["[CH3]-C"][2] == len(methyl) and around["[CH3]-C"][5] == pytest.approx(np.mean(methyl), rel=1e-5)


def symbols_of(a):
    table = Chem.GetPeriodicTable()
    return [table.GetElementSymbol(z) for z in a.molecule.numbers.tolist()]


def parts_of(a):
    return [] if a.molecule.mol is None else a.fragments("brics")


def methyls(a):
    return [match[0] for match in a.molecule.mol.GetSubstructMatches(Chem.MolFromSmarts("[CH3]-C"), maxMatches=10_000)]


# ---- in a browser


@pytest.mark.parametrize("name", ["sample.html#1", "findings.html"])
def test_nothing_moves_once_it_is_there(opened, report, name):
    assert shift(opened, report, name) < 0.1


def sample_page(opened, report, number=ASPIRIN, *, solid=True, **options):
    page = opened(report, f"sample.html#{number}", **options)
    until(page, "document.querySelector('.molecule-read') !== null")
    if solid:
        until(page, "document.querySelector('.molecule-stage canvas') !== null")
        until(page, "document.querySelector('.molecule-solid .scale') !== null")
    return page


def picked(page, table):
    return page.locator(f".of-{table} tr.picked").evaluate_all("rows => rows.map((row) => Number(row.dataset.index))")


def ringed(page, samples, number=ASPIRIN):
    places = np.array(samples[number]["formula"]["places"]).reshape(-1, 2)
    rings = page.locator(".molecule-ring").evaluate_all(
        "all => all.map((c) => [Number(c.getAttribute('cx')), Number(c.getAttribute('cy'))])"
    )
    return [int(np.abs(places - ring).sum(1).argmin()) for ring in rings]


def test_atoms_have_their_colours_and_a_scale(opened, report, samples):
    page = sample_page(opened, report)
    discs = page.locator("[data-disc]").evaluate_all(
        "all => all.map((c) => [Number(c.dataset.disc), c.getAttribute('fill')])"
    )
    relevance, limit = samples[ASPIRIN]["relevance"], max(abs(r) for r in samples[ASPIRIN]["relevance"])
    for atom, fill in discs:
        red, _, blue = (int(part) for part in fill.removeprefix("rgb(").removesuffix(")").split(","))
        if abs(relevance[atom]) > 0.1 * limit:
            assert (red > blue) == (relevance[atom] > 0)
    scale = page.locator(".molecule-flat .scale")
    assert f"relevance ({UNIT})" in scale.inner_text()
    assert float(scale.locator(".scale-ends").inner_text().split("+")[1]) == pytest.approx(limit, rel=1e-3)


def test_pointing_at_an_atom_marks_its_row_and_back(opened, report, samples):
    page = sample_page(opened, report)
    page.locator("[data-atom='3']").hover()
    assert picked(page, "atom") == [3] and ringed(page, samples) == [3]
    told = page.locator(".molecule-read data").get_attribute("value")
    assert float(told) == samples[ASPIRIN]["relevance"][3]
    page.locator(".of-atom tbody tr").nth(7).hover()
    assert picked(page, "atom") == [7] and ringed(page, samples) == [7]
    page.locator(".of-bond tbody tr").nth(2).hover()
    assert sorted(ringed(page, samples)) == sorted(samples[ASPIRIN]["bonds"][2][:2])
    page.locator(".of-fragment tbody tr").nth(0).hover()
    assert sorted(ringed(page, samples)) == samples[ASPIRIN]["fragments"][0][2]
    page.mouse.move(2, 2)
    assert ringed(page, samples) == []
    page.locator("[data-atom='5']").click()
    page.mouse.move(2, 2)
    assert ringed(page, samples) == [5]  # a click keeps it


def test_a_row_out_of_sight_comes_into_view(opened, report):
    page = sample_page(opened, report, LARGE, solid=False)
    before = page.evaluate("scrollY")
    page.locator("[data-atom='100']").dispatch_event("pointerover")
    inside = """(row) => {
      const [table, own] = [row.closest(".table-scroll"), row].map((one) => one.getBoundingClientRect());
      return own.top >= table.top && own.bottom <= table.bottom + 1;
    }"""
    assert page.locator(".of-atom tr.picked").evaluate(inside)
    assert page.evaluate("scrollY") == before


def test_keys_go_from_atom_to_atom(opened, report, samples):
    page = sample_page(opened, report)
    page.locator(".molecule-sheet").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert ringed(page, samples) == [2] and "O, atom 2" in page.inner_text(".molecule-read")
    page.keyboard.press("Escape")
    assert ringed(page, samples) == []
    page.locator(".of-atom tbody tr").first.focus()
    page.keyboard.press("ArrowDown")
    assert ringed(page, samples) == [1]
    assert page.inner_text("#name") == "CC(=O)Oc1ccccc1C(=O)O"


def test_the_table_of_atoms_is_sorted_and_saved(opened, report, samples):
    page = sample_page(opened, report)
    table = page.locator(".of-atom")
    table.get_by_role("button", name="relevance").click()
    order = [int(text) for text in table.locator("tbody td:first-child").all_inner_texts()]
    relevance = np.array(samples[ASPIRIN]["relevance"])
    assert order == np.argsort(-relevance, kind="stable").tolist()
    table.locator("tbody tr").first.hover()
    assert ringed(page, samples) == [order[0]]
    with page.expect_download() as started:
        table.get_by_role("button", name="CSV").click()
    lines = list(csv.reader(io.StringIO(Path(started.value.path()).read_text(encoding="utf-8"))))
    assert lines[0][:3] == ["atom", "element", f"relevance ({UNIT})"]
    assert [float(line[2]) for line in lines[1:]] == sorted(relevance, reverse=True)


def drawn(page):
    """What the stage shows, as rows of colours."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(page.locator(".molecule-stage").screenshot())).convert("RGB")).astype(int)


@pytest.mark.parametrize("number", [ASPIRIN, SALT, WATER, HELIUM])
def test_the_molecule_in_space_is_there(opened, report, number):
    page = sample_page(opened, report, number)
    picture = drawn(page)
    ground = picture[2, 2]
    assert (np.abs(picture - ground).sum(-1) > 60).mean() > 0.002


def test_it_turns_by_keys_and_by_itself(opened, report):
    page = sample_page(opened, report)
    page.get_by_label("labels").select_option("")
    before = drawn(page)
    page.locator(".molecule-viewer").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    turned = drawn(page)
    assert (np.abs(turned - before).sum(-1) > 60).mean() > 0.002
    assert page.inner_text("#name") == "CC(=O)Oc1ccccc1C(=O)O"  # arrow keys do not lead to another sample
    page.keyboard.press("0")
    assert (np.abs(drawn(page) - before).sum(-1) > 60).mean() < 0.0005
    page.keyboard.press(" ")
    assert page.get_by_label("turn", exact=True).is_checked()
    page.wait_for_timeout(400)
    first = drawn(page)
    page.wait_for_timeout(400)
    assert (np.abs(drawn(page) - first).sum(-1) > 60).mean() > 0.001
    page.get_by_label("turn", exact=True).uncheck()


def test_the_stage_is_used_again(opened, report, found):
    page = sample_page(opened, report)
    for name in (found[number].name for number in (SALT, WATER, HELIUM)):
        page.keyboard.press("j")
        until(page, "name => document.querySelector('#name').textContent === name", arg=name)
        until(page, "document.querySelector('.molecule-stage canvas') !== null")
    assert page.locator("canvas").count() == 1
    assert "The geometry is that of the data" not in page.inner_text(".molecule-solid")
    page.keyboard.press("k")
    until(page, "document.querySelector('.molecule-solid')?.textContent.includes('The geometry is that of the data')")


def test_without_webgl_there_are_numbers(opened, report):
    page = opened(report, f"sample.html#{ASPIRIN}")
    page.add_init_script("""
      const usual = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
        return kind.includes("webgl") ? null : usual.call(this, kind, ...rest);
      };
    """)
    page.reload()
    until(page, "document.querySelector('.molecule-stage')?.textContent.includes('cannot show WebGL')")
    assert page.locator(".of-atom tbody tr").count() == 13 and page.locator(".molecule-drawing").is_visible()


def test_without_a_structure_there_are_numbers(opened, report):
    page = sample_page(opened, report, UNWRITTEN, solid=False)
    assert page.inner_text("#view").count("no structure of this molecule") == 2
    assert page.locator(".of-atom tbody tr").count() == 3


def test_walks_are_drawn(opened, report):
    page = sample_page(opened, report)
    assert page.locator(".molecule-walks path").count() == 0
    page.get_by_label("the 3 walks").check()
    assert page.locator(".molecule-walks > g").count() == 3
    page.get_by_label("the 3 walks").uncheck()
    page.locator(".of-walk tbody tr").nth(1).hover()
    assert page.locator(".molecule-walks > g").count() == 1


def test_names_are_text(opened, report):
    page = sample_page(opened, report, WATER)
    assert page.inner_text("#name") == HOSTILE and "data.csv:3" in page.inner_text("#input")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_fits_and_can_be_read(opened, report, width, dark):
    page = sample_page(opened, report, width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_label("atoms' numbers").check()
    poor = page.evaluate(Path(__file__).with_name("contrast.js").read_text(encoding="utf-8"))
    assert poor == []


def test_the_gallery_shows_formulae_without_the_library(opened, report):
    page = opened(report, "gallery.html")
    until(page, "document.querySelectorAll('.tile .molecule-drawing').length === 6")
    assert page.evaluate("typeof globalThis.$3Dmol") == "undefined"
