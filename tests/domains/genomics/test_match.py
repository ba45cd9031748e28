"""Matches of motifs: themselves first, on the right strand and at the right place."""

import warnings

import numpy as np
import pytest

from sciexplain.domains.genomics.formats.meme import read_motifs
from sciexplain.domains.genomics.match import Matches, match_motifs
from sciexplain.domains.genomics.motif import Motif
from sciexplain.errors import InputError

EVEN = np.full((1, 4), 0.25)


@pytest.fixture(scope="module")
def database(shared_data):
    return read_motifs(shared_data("genomics/motifs/H12CORE_meme_format.meme"))


@pytest.mark.parametrize("turned", [False, True])
def test_a_motif_of_the_data_base_is_its_own_best_match(database, turned):
    some = database[::60]
    matches = match_motifs([m.reverse_complement() if turned else m for m in some], database, top=1)
    assert [m.target for m in matches] == [m.name for m in some]
    palindromes = sum(np.abs(m.ppm - m.reverse_complement().ppm).max() < 0.2 for m in some)
    assert sum(m.strand == "+-"[turned] for m in matches) >= len(some) - palindromes
    assert all(m.offset == 0 and m.overlap == len(own) for m, own in zip(matches, some, strict=True))
    assert all(m.p <= m.q <= 1 and m.e == pytest.approx(m.p * len(database)) for m in matches)


@pytest.mark.parametrize(("before", "cut"), [(3, 0), (0, 2), (0, 0)])
@pytest.mark.parametrize("turned", [False, True])
def test_offsets_say_how_the_motif_lies_on_the_target(database, before, cut, turned):
    """Best alignment by distance, searched here in plain numpy with overhangs that cost nothing."""
    target = next(m for m in database if m.name.startswith("CTCF.H12CORE.0"))
    ppm = np.concatenate([*[EVEN] * before, target.ppm[cut : cut + 14]])
    query = Motif("q", ppm[::-1, ::-1].copy() if turned else ppm)
    (match,) = match_motifs([query], database, top=1)
    assert match.target == target.name and match.strand == "+-"[turned]
    on = target.ppm[::-1, ::-1] if turned else target.ppm
    costs = {}
    for offset in range(-len(query) + 8, len(on) - 7):
        here = range(max(0, -offset), min(len(query), len(on) - offset))
        costs[offset] = sum(((query.ppm[i] - on[i + offset]) ** 2).sum() - 0.75 for i in here)
    assert match.offset == min(costs, key=costs.get)
    assert match.overlap == min(len(query), len(on) - match.offset) - max(0, -match.offset)


def test_order_is_by_p_and_q_limits(database):
    query = [next(m for m in database if m.name.startswith(n)) for n in ("SPI1.H12CORE.0", "CTCF.H12CORE.0")]
    matches = match_motifs(query, database, top=20)
    for own in query:
        best = matches.of(own.name)
        assert len(best) == 20 and [m.p for m in best] == sorted(m.p for m in best)
    assert {"SPIB", "ELF5"} <= {m.target.split(".")[0] for m in matches.of(query[0].name)}  # its nearest relatives
    close = match_motifs(query, database, top=None, max_q=1e-3)
    assert 2 < len(close) < 200 and all(m.q <= 1e-3 for m in close)
    assert list(matches.to_pandas().columns)[:3] == ["motif", "target", "p"] and len(matches[:3]) == 3


def test_without_a_likeness_p_is_not_small(database):
    """Motifs of columns drawn from the data base: the share of p ≤ α is at most α, but for binomial error."""
    rng = np.random.default_rng(0)
    columns = np.concatenate([m.ppm for m in database])
    queries = [Motif(str(i), columns[rng.integers(0, len(columns), 10)]) for i in range(30)]
    matches = match_motifs(queries, database, top=None)
    p = np.array([m.p for m in matches])
    assert len(p) == 30 * len(database)
    for alpha in (0.2, 0.05, 0.01):
        assert (p <= alpha).mean() <= 1.1 * alpha


def test_a_small_data_base_is_warned_of(database):
    with pytest.warns(UserWarning, match="has 3 motifs") as caught:
        match_motifs(database[:1], database[:3])
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert match_motifs([], database) == Matches((), len(database))


@pytest.mark.parametrize(("options", "message"), [({"top": 0}, "top=0"), ({"max_q": 0}, "max_q=0")])
def test_options_out_of_range_are_named(options, message):
    motif = Motif("x", np.eye(4))
    with pytest.raises(InputError, match=message):
        match_motifs([motif], [motif], **options)
    with pytest.raises(InputError, match="no motifs"):
        match_motifs([motif], [])
