"""Rows: nothing on anything else, and no more of them than must be."""

from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sciexplain.domains.genomics.drawing.lanes import lanes, shortened, text_width

SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda p: (p[0], p[0] + p[1])), max_size=40)


@given(SPANS)
def test_spans_of_a_row_do_not_overlap_and_rows_are_as_few_as_can_be(spans):
    rows = lanes(spans)
    for i, (a, b) in enumerate(spans):
        for j, (c, d) in enumerate(spans[:i]):
            assert rows[i] != rows[j] or b <= c or d <= a
    deepest = max((sum(a <= x < b for a, b in spans) for x in range(70)), default=0)
    assert len(set(rows)) == deepest and sorted(set(rows)) == list(range(deepest))


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")), max_size=40), st.floats(0.1, 3))
def test_shortened_texts_fit_as_they_are_drawn(text, width):
    short = shortened(text, width, 8.0)
    assert short == text or (short.endswith("…") and text.startswith(short[:-1])) or short == ""
    figure = Figure(dpi=100)
    FigureCanvasAgg(figure)
    drawn = figure.text(0, 0, short, size=8.0, parse_math=False).get_window_extent().width / 100
    assert drawn <= max(width, text_width("…", 8.0)) + 0.02
