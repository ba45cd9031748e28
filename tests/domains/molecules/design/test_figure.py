"""Pictures of searches say what was found, and in which order."""

import pytest
from counting_networks import EFFICIENT, Counting

from sciexplain.domains.molecules.design import beside, learn_prior, maximize, traces
from sciexplain.errors import InputError

START = ["CCO", "CCCCC", "CC(=O)N", "CCOC(C)=O", "OCCCO", "CCCO", "CC(C)O"]


@pytest.fixture(scope="module")
def designs():
    options = {"start": START, "max_atoms": 7, "steps": 3, "population": 12}
    known = learn_prior(START)
    return maximize(Counting(EFFICIENT), **options).under(known), maximize(Counting(EFFICIENT), prior=known, **options)


def texts(drawing):
    return [text.get_text() for axes in drawing.figure.axes for text in axes.texts]


def test_searches_stand_one_below_the_other(designs):
    drawing = beside(designs, 3, title="both")
    shown = [one for design in designs for one in design.diverse(3)]
    assert [part.molecule.name for part in drawing.parts] == [one.smiles for one in shown]
    words = texts(drawing)
    assert words[0] == "both" and "highest the output: valid molecules" in words
    for one in shown:
        assert any(f"nearest {one.nearest:.2f}" in text and "log p −" in text for text in words)


def test_traces_show_every_generation(designs):
    axes = traces(designs).figure.axes[0]
    best = axes.lines[0]
    assert list(best.get_xdata()) == [0, 1, 2, 3]
    assert list(best.get_ydata()) == [generation.best for generation in designs[0].trace]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "valid: best", "valid: mean", "valid and usual: best", "valid and usual: mean",
    ]  # fmt: skip


def test_nothing_found_cannot_be_drawn():
    nothing = maximize(Counting(EFFICIENT), start=["CCO"], forbidden=["C", "O", "N"], steps=1, population=4)
    assert not len(nothing) and nothing._repr_svg_() is None
    with pytest.raises(InputError, match="nothing to draw"):
        nothing.grid()
