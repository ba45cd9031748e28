"""The page: what it may do, what it holds, and that it runs."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from ase.build import molecule as ase_molecule
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import AllChem

from sciexplain.domains.colormap import relevance_colours
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.view3d import Volume, view
from sciexplain.errors import InputError

HOSTILE = "</script><script>alert(1)</script><!-- {{ program }} & 'x' \" --> </title>"
HEADLESS = [
    *("--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--virtual-time-budget=8000", "--dump-dom"),
]


class Page(HTMLParser):
    """The parts of a page, as a browser would cut them."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict, str]] = []
        self.inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes), ""))
        self.inside = True

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            tag, attributes, text = self.found[-1]
            self.found[-1] = (tag, attributes, text + data)

    def all(self, tag: str) -> list[tuple[dict, str]]:
        return [(attributes, text) for found, attributes, text in self.found if found == tag]

    @property
    def data(self) -> dict:
        (text,) = [text for attributes, text in self.all("script") if attributes.get("id") == "data"]
        return json.loads(text)


def water(name: str = "water") -> Molecule:
    atoms = ase_molecule("H2O")
    return Molecule(atoms.numbers.astype(np.int64), name, positions=atoms.positions)


def aspirin() -> Molecule:
    mol = Chem.AddHs(Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    return Molecule(np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]), "aspirin", mol)


def test_the_policy_allows_exactly_the_scripts_and_styles_inside():
    page = Page(view(water(), [1.0, 2.0, -3.0]))
    (policy,) = [a["content"] for a, _ in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["default-src"] == ["'none'"]
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy

    def sources(texts):
        return [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts]

    scripts = [text for attributes, text in page.all("script") if "type" not in attributes]
    assert len(scripts) == 2 and rules["script-src"] == sources(scripts)
    assert rules["style-src"] == sources(text for _, text in page.all("style"))
    # Before the policy stands nothing that it should have governed; a browser would change carriage returns.
    assert [tag for tag, _, _ in page.found][:4] == ["html", "head", "meta", "meta"]
    assert "\r" not in "".join(scripts) and not any("<!--" in text or "<script" in text for text in scripts)


def test_nothing_is_fetched_and_no_attribute_runs():
    page = Page(view(water(HOSTILE), [1.0, 2.0, -3.0], unit=HOSTILE, title=HOSTILE))
    for tag, attributes, _ in page.found:
        assert not {"src", "href", "style", "action"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")], tag
    assert not page.all("link") and not page.all("iframe")


def test_the_library_is_the_published_one_with_its_licence():
    text = view(water())
    library = Page(text).all("script")[1][1]
    # 3Dmol.js 2.5.5 as npm has it
    assert hashlib.sha256(library.encode()).hexdigest().startswith("f7cc78921ae72e76")
    assert "Copyright (c) 2014, University of Pittsburgh" in text and "Redistributions in binary form" in text


@pytest.mark.parametrize("where", ["name", "title", "unit"])
def test_hostile_text_is_text(where):
    texts = {"name": "water", "title": "", "unit": "", where: HOSTILE}
    page = Page(view(water(texts["name"]), [1.0, 2.0, -3.0], unit=texts["unit"], title=texts["title"]))
    assert len(page.all("script")) == 3
    if where == "unit":
        assert page.data["unit"] == HOSTILE
        assert page.all("button")[-1][1] == f"Relevance ({HOSTILE})"
    else:
        assert page.all("title")[0][1] == HOSTILE and page.all("h1")[0][1].strip() == HOSTILE


@settings(max_examples=15)
@given(st.text(max_size=30))
def test_any_unit_comes_back(unit):
    assert Page(view(water(), [1.0, 0.0, 0.0], unit=unit)).data["unit"] == unit


def test_numbers_colours_and_table():
    molecule = aspirin()
    values = np.linspace(-1, 3, len(molecule))
    page = Page(view(molecule, values, {(0, 1): 1.5, (12, 0): -2.0, (0, 2): 0.01}, unit="kcal/mol"))
    atoms = page.data["atoms"]
    assert [atom["relevance"] for atom in atoms] == values.tolist()
    np.testing.assert_allclose([[a["x"], a["y"], a["z"]] for a in atoms], molecule.mol.GetConformer().GetPositions())
    assert [atom["symbol"] for atom in atoms] == [atom.GetSymbol() for atom in molecule.mol.GetAtoms()]
    colours = ["#" + "".join(f"{round(255 * c):02x}" for c in colour) for colour in relevance_colours().clip(0, 1)]
    assert atoms[-1]["colour"] == colours[-1] and atoms[0]["colour"] == colours[128 - round(128 / 3)]
    bonds = {(i, j): (order, colour) for i, j, order, colour in page.data["bonds"]}
    assert len(bonds) == molecule.mol.GetNumBonds() and bonds[1, 2][0] == 2
    assert bonds[0, 1][1] == colours[128 + 64]
    assert [pair[:3] for pair in page.data["pairs"]] == [[0, 12, colours[0]]]
    cells = [text for _, text in page.all("td")]
    assert cells[:3] == ["0", "C", "−1"] and len(cells) == 3 * len(molecule)
    assert [text for _, text in page.all("span")] == ["−3", "0", "+3"]


def test_a_molecule_without_relevance_has_no_scale():
    page = Page(view(water()))
    (scale,) = [attributes for attributes, _ in page.all("div") if attributes.get("class") == "scale"]
    assert "hidden" in scale and {atom["relevance"] for atom in page.data["atoms"]} == {None}


def test_volume_keeps_values_and_place():
    values = np.random.default_rng(0).normal(size=(3, 4, 5))
    steps = np.array([[0.5, 0, 0], [0.1, 0.4, 0], [0, 0, 0.3]])
    volume = Page(view(water(), volume=Volume(values, np.array([1.0, 2, 3]), steps, "eV"))).data["volume"]
    read = np.frombuffer(base64.b64decode(volume["values"]), "<f4").reshape(volume["size"])
    np.testing.assert_allclose(read, values, rtol=1e-6)
    matrix = np.array(volume["matrix"]).reshape(4, 4)
    np.testing.assert_allclose(matrix @ [1, 2, 3, 1], [*(np.array([1, 2, 3]) @ steps + [1, 2, 3]), 1])
    assert volume["largest"] == np.abs(values).max()


@pytest.mark.parametrize(
    ("values", "origin", "steps"),
    [
        (np.zeros((3, 3)), np.zeros(3), np.ones(3)),
        (np.zeros((3, 3, 1)), np.zeros(3), np.ones(3)),
        (np.zeros((3, 3, 3)), np.zeros(2), np.ones(3)),
        (np.zeros((3, 3, 3)), np.zeros(3), np.ones((2, 3))),
        (np.full((3, 3, 3), np.nan), np.zeros(3), np.ones(3)),
    ],
)
def test_bad_volumes(values, origin, steps):
    with pytest.raises(InputError, match="volume"):
        Volume(values, origin, steps)


def test_a_formula_has_no_geometry():
    mol = Chem.MolFromSmiles("CO")
    with pytest.raises(InputError, match="'CO' without a geometry"):
        view(Molecule(np.array([6, 8]), "CO", mol))


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_it_runs_in_a_browser(tmp_path):
    molecule = aspirin()
    grid = np.random.default_rng(0).normal(size=(6, 6, 6))
    page = tmp_path / "page.html"
    volume = Volume(grid, np.full(3, -3.0), np.ones(3))
    page.write_text(view(molecule, np.arange(21.0) - 10, unit="eV", title=HOSTILE, volume=volume), encoding="utf-8")
    command = ["chromium", *HEADLESS, f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr"]
    ran = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120)
    assert not re.findall(r"CONSOLE.*(?:Refused|violates|Error).*", ran.stderr)
    assert 'data-ready="yes"' in ran.stdout
    assert ran.stdout.count("<canvas") >= 1 and "border-left-color: rgb" in ran.stdout
