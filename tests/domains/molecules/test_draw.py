"""Structural formulae: what is drawn where, in which colour, and that nothing meets or leaves the page."""

import io
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from ase.build import bulk
from ase.build import molecule as ase_molecule
from ase.cluster import Icosahedron
from matplotlib.collections import EllipseCollection, LineCollection
from PIL import Image
from rdkit import Chem

from sciexplain.domains.molecules.draw import draw
from sciexplain.domains.molecules.grid import grid
from sciexplain.domains.molecules.molecule import Molecule
from sciexplain.domains.molecules.paint import ground
from sciexplain.domains.molecules.skeleton import flat, lay_out, skeleton
from sciexplain.domains.molecules.walk_curves import curves
from sciexplain.errors import DataError, InputError

TNT = "Cc1c(cc(cc1[N+](=O)[O-])[N+](=O)[O-])[N+](=O)[O-]"
RITONAVIR = "CC(C)c1nc(CN(C)C(=O)N[C@@H](C(C)C)C(=O)N[C@@H](Cc2ccccc2)C[C@H](O)[C@H](Cc2ccccc2)NC(=O)OCc2cncs2)cs1"
PEPTIDE = "N[C@@H](CC1=CNC=N1)C(=O)NCC(=O)N[C@@H](CCC(=O)O)C(=O)N[C@@H](C(C)C)C(=O)N[C@@H](CS)C(=O)" * 8 + "O"
HOSTILE = '</svg><script>alert(1)</script> & "x" --> $\\frac{1}{0}$ \x00\n'


def of(smiles: str, name: str | None = None, sanitize: bool = True) -> Molecule:
    mol = Chem.MolFromSmiles(smiles, sanitize=sanitize)
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    return Molecule(numbers, smiles if name is None else name, mol)


def in_space(atoms, name: str = "") -> Molecule:
    return Molecule(np.asarray(atoms.numbers, np.int64), name, positions=np.asarray(atoms.positions))


def relevance(molecule: Molecule) -> np.ndarray:
    return np.random.default_rng(len(molecule)).normal(size=len(molecule))


def texts(drawing) -> list:
    return [text for text in drawing.figure.axes[0].texts if text.get_text()]


def discs(drawing) -> tuple[np.ndarray, np.ndarray]:
    """Centres and colours of the discs, without their rims."""
    last = [c for c in drawing.figure.axes[0].collections if isinstance(c, EllipseCollection)][-1]
    return np.asarray(last.get_offsets()), last.get_facecolors()[:, :3]


def test_black_lines_are_readable_on_every_colour_and_signs_look_alike():
    values = np.linspace(-1, 1, 101)
    linear = np.where((c := ground(values, 1.0)) <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert ((luminance + 0.05) / 0.05 >= 4.5).all()
    np.testing.assert_allclose(luminance, luminance[::-1], atol=0.01)
    assert (np.diff(luminance[50:]) < 0).all()
    np.testing.assert_array_equal(ground(np.array([5.0]), 1.0), ground(np.array([1.0]), 1.0))


def test_pixels_at_an_atom_have_its_colour():
    molecule = of("CCO")
    values = np.array([1.0, -0.5, 0.25])
    drawing = draw(molecule, values)
    pixels = np.asarray(Image.open(io.BytesIO(drawing.png(4))).convert("RGB")).astype(int)
    centres, _ = discs(drawing)
    expected = 255 * ground(values, 1.0)
    order = np.argsort(np.abs(values))
    for (x, y), atom in zip(centres * 4, order, strict=True):
        around = pixels[int(y) - 30 : int(y) + 31, int(x) - 30 : int(x) + 31].reshape(-1, 3)
        kinds, counts = np.unique(around, axis=0, return_counts=True)
        assert np.abs(kinds[counts.argmax()] - expected[atom]).max() <= 1


def test_colours_follow_the_limit_and_atoms_keep_their_order():
    molecule = of(TNT)
    values = relevance(molecule)
    drawing = draw(molecule, values, limit=10.0)
    centres, colours = discs(drawing)
    order = np.argsort(np.abs(values))
    np.testing.assert_allclose(colours, ground(values[order], 10.0))
    places = np.empty_like(centres)
    places[order] = centres
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    pairs = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.mol.GetBonds()]
    lengths = [apart[pair] for pair in pairs]
    np.testing.assert_allclose(lengths, np.median(lengths), rtol=0.02)
    labels = {text.get_text() for text in texts(drawing)}
    assert {"−10", "0", "+10", "relevance"} <= labels


def test_bonds_are_bands_and_what_stays_on_atoms_colours_atoms():
    molecule = of("CCO")
    drawing = draw(molecule, bonds={(1, 0): 0.5, (1, 2): -1.0, (2, 2): 0.25})
    (bands,) = [c for c in drawing.figure.axes[0].collections if isinstance(c, LineCollection)]
    np.testing.assert_allclose(bands.get_colors()[:, :3], ground(np.array([0.5, -1.0]), 1.0))
    centres, colours = discs(drawing)
    np.testing.assert_allclose(colours[-1], ground(0.25, 1.0))
    np.testing.assert_allclose(bands.get_segments()[1][1], centres[-1])


def test_pairs_without_a_bond_are_arcs_and_hidden_ones_are_counted():
    molecule = of("CCCO")
    drawing = draw(molecule, bonds={(0, 1): 1.0, (0, 2): 0.5, (0, 3): 0.01, (1, 3): -0.02})
    dashed = [p for p in drawing.figure.axes[0].patches if p.get_linestyle() not in ("solid", "-")]
    assert len(dashed) == 1
    assert "relevance; 2 weak pairs not drawn" in [text.get_text() for text in texts(drawing)]


def test_walks_pass_through_their_atoms_there_and_back_apart():
    paper = skeleton(of("CCO"), 300, 200)
    first, second, loop = curves([(0, 1, 0), (0, 1, 2), (1, 1)], paper)
    knots = first[::3]
    np.testing.assert_allclose(knots[[0, 2, 4]], paper.places[[0, 1, 0]])
    assert np.linalg.norm(knots[1] - knots[3]) > 0.15 * paper.bond_length
    assert np.linalg.norm(second[::3][1] - knots[1]) > 0.05 * paper.bond_length, "two walks in one lane"
    tip = loop[::3][2] - paper.places[1]
    for other in (0, 2):
        assert tip @ (paper.places[other] - paper.places[1]) < 0, "a loop over a bond"


def test_walks_are_listed_strongest_first():
    walks = [((0, 1), 0.1), ((1, 2, 1), -0.4), ((2,), 0.2)] + [((0, 0), 0.01)] * 5
    listed = [text.get_text() for text in texts(draw(of("CCO"), walks=walks, unit="eV"))]
    assert listed[:3] == ["−0.4 eV   C1 → O2 → C1", "+0.2 eV   O2", "+0.1 eV   C0 → C1"]
    assert listed[-1] == "and 2 with less"


@pytest.mark.parametrize(
    "molecule",
    [
        of("C", "methane"),
        of("[Na+]"),
        of("C[N+](C)(C)CCOC(C)=O.[Cl-]"),
        of(RITONAVIR),
        of(PEPTIDE, "peptide"),
        of("[CH3]"),
        of("*c1ccccc1"),
        of("c1cccc1", sanitize=False),
        of("[2H]C([2H])=C/C=C\\F"),
        in_space(ase_molecule("C60"), "C60"),
        in_space(ase_molecule("CH3CH2OH"), "ethanol"),
        in_space(Icosahedron("Cu", 3), "Cu55"),
        in_space(bulk("NaCl", "rocksalt", 5.64, cubic=True), "rock salt"),
        in_space(ase_molecule("Na2"), "Na2"),
    ],
    ids=lambda molecule: molecule.name[:12],
)
def test_any_molecule_stays_on_the_page(molecule):
    paper = skeleton(molecule, 480, 300)
    assert paper.places.shape == (len(molecule), 2)
    assert (paper.places > 0).all() and (paper.places < [480, 300]).all()
    for shape in paper.shapes:
        assert (shape.points > 0).all() and (shape.points < [480, 300]).all()
    apart = np.linalg.norm(paper.places[:, None] - paper.places[None], axis=-1)[np.triu_indices(len(molecule), 1)]
    if paper.order is None and len(apart):
        assert apart.min() > 0.2 * paper.bond_length, "two atoms on one place"
    walk = [((0, 0, len(molecule) - 1), 0.5)]
    picture = draw(
        molecule, relevance(molecule), walks=walk, numbers=True, unit="eV", title=molecule.name, size=(480, 420)
    )
    ElementTree.fromstring(picture.svg)
    assert Image.open(io.BytesIO(picture.png(1))).size == (480, 420)


@pytest.mark.parametrize("size", [(480, 400), (160, 240)])
@pytest.mark.parametrize("title", ["", "Trinitrotoluene", "a very long title " * 20, HOSTILE, "x" * 300])
@pytest.mark.parametrize("unit", ["", "kcal/mol", "a unit that nobody has ever heard of, and long"])
def test_texts_never_meet_nor_leave_the_page(size, title, unit):
    molecule = of(TNT)
    walks = [((0, 1, 2, 1, 0, 1, 2, 3, 4), 1e-7), ((6, 7), -123456.0)]
    drawing = draw(molecule, 1e5 * relevance(molecule), walks=walks, unit=unit, title=title, size=size)
    renderer = drawing.figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in texts(drawing)]
    assert boxes
    for box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= size[0] and box.y1 <= size[1]
    assert not [(a, b) for a, b in combinations(boxes, 2) if a.shrunk(0.98, 0.9).overlaps(b)]


def test_svg_is_self_contained_repeatable_and_takes_text_as_text():
    molecule = of("CCO", HOSTILE)
    once, again = (draw(molecule, [1, 2, 3], title=HOSTILE, unit=HOSTILE) for _ in range(2))
    assert once.svg == again.svg == once._repr_svg_()
    root = ElementTree.fromstring(once.svg)
    assert root.get("width") == "480" and root.get("height") == "400" and once.svg.startswith("<svg")
    assert not [e for e in root.iter() if e.tag.rpartition("}")[2] in ("script", "image", "foreignObject")]
    links = [value for e in root.iter() for key, value in e.attrib.items() if key.endswith("href")]
    assert all(link.startswith("#") for link in links)


def test_the_molecule_is_left_as_it_is():
    molecule = of(TNT)
    before = molecule.mol.ToBinary(Chem.PropertyPickleOptions.AllProps)
    draw(molecule, relevance(molecule), numbers=True)
    assert molecule.mol.ToBinary(Chem.PropertyPickleOptions.AllProps) == before


def test_coordinates_of_a_flat_file_are_kept():
    drawn = flat(of("CCO"))
    places = drawn.GetConformer().GetPositions()[:, :2] @ [[0, 1], [1, 0]]
    for i, (x, y) in enumerate(places.tolist()):
        drawn.GetConformer().SetAtomPosition(i, (x, y, 0))
    again = flat(Molecule(np.array([6, 6, 8]), mol=drawn))
    np.testing.assert_allclose(again.GetConformer().GetPositions()[:, :2], places)


@pytest.mark.parametrize(("suffix", "magic"), [(".svg", b"<svg"), (".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_save(tmp_path, suffix, magic):
    path = draw(of("CCO"), [1, 2, 3]).save(tmp_path / f"a{suffix}")
    assert path.read_bytes().startswith(magic)


def test_save_refuses(tmp_path):
    drawing = draw(of("CCO"))
    with pytest.raises(InputError, match=r"a\.gif: expected \.svg"):
        drawing.save(tmp_path / "a.gif")
    with pytest.raises(DataError, match="does not exist"):
        drawing.save(tmp_path / "none" / "a.svg")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"atoms": [1, 2]}, r"atoms of shape \(2,\) for 'CCO' with 3 atoms"),
        ({"atoms": [1, np.nan, 2]}, "number 1 is nan"),
        ({"bonds": {(0, 3): 1.0}}, r"bonds with \(0, 3\) in 'CCO'"),
        ({"bonds": {(0, -1): 1.0}}, "expected atoms from 0 to 2"),
        ({"bonds": {(0, 1): np.inf}}, "finite"),
        ({"walks": [((), 1.0)]}, r"walks with \(\)"),
        ({"walks": [((0, 7), 1.0)]}, "walks with"),
        ({"limit": 0.0}, "limit=0.0"),
        ({"atoms": [1, 2, 3], "size": (480, 100)}, r"expected at least \(80, 1"),
    ],
)
def test_bad_values(arguments, message):
    with pytest.raises(InputError, match=message):
        draw(of("CCO"), **arguments)


def test_bad_molecules():
    with pytest.raises(InputError, match="neither bonds nor positions"):
        draw(Molecule(np.array([6, 8]), "CO"))
    with pytest.raises(InputError, match="without atoms"):
        draw(Molecule(np.array([], int), "nothing"))


def test_grid_has_one_scale_and_every_molecule():
    items = [(of(s), np.full(len(of(s)), v), None) for s, v in (("CCO", 1.0), ("CC", -4.0), ("C.C", 0.0))]
    sheet = grid(items, columns=2, unit="eV", title="three")
    labels = [text.get_text() for text in texts(sheet)]
    assert {"three", "CCO", "CC", "C.C", "−4", "+4", "relevance (eV)"} <= set(labels)
    found = [c.get_facecolors()[0, :3] for c in sheet.figure.axes[0].collections if isinstance(c, EllipseCollection)]
    for value in (1.0, -4.0, 0.0):
        assert any(np.allclose(colour, ground(value, 4.0)) for colour in found)
    renderer = sheet.figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in texts(sheet)]
    assert not [(a, b) for a, b in combinations(boxes, 2) if a.shrunk(0.98, 0.9).overlaps(b)]
    ElementTree.fromstring(sheet.svg)


def test_grid_takes_drawings():
    drawings = [draw(of("CCO"), [1, 2, 3], unit="eV", title="one"), draw(of("CC"), [1, 2], unit="eV")]
    assert grid(drawings).unit == "eV" and len(grid(drawings).parts) == 2
    with pytest.raises(InputError, match="one unit"):
        grid([*drawings, draw(of("C"), unit="K")])
    with pytest.raises(InputError, match="0 molecules"):
        grid([])
    with pytest.raises(InputError, match="3 captions for 2"):
        grid(drawings, captions=["a", "b", "c"])


def test_a_layout_that_rdkit_fails_at_is_passed_over(monkeypatch):
    from sciexplain.domains.molecules import read_one, skeleton

    monkeypatch.setattr(skeleton, "_CLEAR", float("inf"))  # every way is tried; sampling fails at lone chlorine
    flat = skeleton.flat(read_one("CC(C)NCC(O)COc1cccc2ccccc12.[Cl]"))
    assert flat.GetNumConformers() == 1


@pytest.mark.parametrize(
    "smiles", ["[Na+].[Na+].O=C([O-])c1ccccc1C(=O)[O-]", "CCO.CCN.c1ccccc1", "[Cl-].C[N+](C)(C)CCCCCCCCCCCC.O"]
)
@pytest.mark.parametrize("hydrogens", [False, True])
def test_molecules_beside_each_other_do_not_meet(smiles, hydrogens):
    mol = Chem.MolFromSmiles(smiles)
    mol = Chem.AddHs(mol) if hydrogens else mol
    lay_out(mol)
    places = mol.GetConformer().GetPositions()[:, :2]
    boxes = [(places[list(part)].min(0), places[list(part)].max(0)) for part in Chem.GetMolFrags(mol)]
    for (low, high), (other_low, other_high) in combinations(boxes, 2):
        assert (low > other_high + 0.5).any() or (other_low > high + 0.5).any()
