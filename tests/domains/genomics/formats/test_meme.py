"""Motif files as they are in the wild, and back."""

import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sciexplain.domains.genomics.formats.meme import read_motifs, write_meme
from sciexplain.domains.genomics.motif import Motif, Seqlet
from sciexplain.errors import DataError, InputError

MEME = """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies (from uniform background):
A 0.25000 C 0.25000 G 0.25000 T 0.25000

MOTIF MA0004.1\tArnt
letter-probability matrix: alength= 4 w= 2 nsites= 20 E= 0
 0.200000  0.800000  0.000000  0.000000
 1.0  0  0  0
URL http://jaspar.genereg.net/matrix/MA0004.1

MOTIF no_width
log-odds matrix: alength= 4
 1 2 3 4
letter-probability matrix:
0.1 0.2 0.3 0.4
"""

JASPAR = """>MA0004.1\tArnt
A  [ 4 19  0 ]
C  [16  0 20 ]
G  [ 0  1  0 ]
T  [ 0  0  0 ]
>raw
 4 19
16  0
 0  1
 0  0
"""


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_meme(tmp_path, ending, packed):
    text = MEME.replace("\n", ending).encode()
    path = tmp_path / ("x.meme.gz" if packed else "x.meme")
    path.write_bytes(gzip.compress(text) if packed else text)
    first, second = read_motifs(path)
    assert (first.name, first.count, second.name) == ("MA0004.1 Arnt", 20, "no_width")
    assert first.ppm.tolist() == [[0.2, 0.8, 0, 0], [1, 0, 0, 0]]
    assert np.allclose(second.ppm, [[0.1, 0.2, 0.3, 0.4]])


def test_jaspar(tmp_path):
    (tmp_path / "x.jaspar").write_text(JASPAR)
    first, second = read_motifs(tmp_path / "x.jaspar")
    assert first.name == "MA0004.1 Arnt" and first.count == 20
    assert np.allclose(first.ppm, [[0.2, 0.8, 0, 0], [0.95, 0, 0.05, 0], [0, 1, 0, 0]])
    assert second.ppm.shape == (2, 4) and np.allclose(second.ppm[0], first.ppm[0])


@pytest.mark.parametrize(
    ("name", "count", "first", "consensus"),
    [
        ("H12CORE_meme_format", 1443, "AHR.H12CORE.0.P.B", "VHKWGCGTGM"),
        ("jaspar_2024_consensus", 182, "C001:HES_SREBF:bHLH", "CACGTG"),
    ],
)
def test_data_bases_as_published(shared_data, name, count, first, consensus):
    """Against the plain parser of memelite, which keeps one motif of a name."""
    from memelite.io import read_meme

    path = shared_data(f"genomics/motifs/{name}.meme")
    motifs = read_motifs(path)
    assert (len(motifs), motifs[0].name, motifs[0].consensus) == (count, first, consensus)
    peer = read_meme(str(path))
    assert set(peer) == {m.name for m in motifs}
    assert all(np.allclose(peer[m.name].T, m.ppm, atol=1e-4) for m in motifs)


numbers = st.lists(st.lists(st.floats(0.01, 1), min_size=4, max_size=4), min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(numbers, min_size=1, max_size=4))
def test_what_is_written_is_read(tmp_path, many):
    from memelite.io import read_meme

    motifs = []
    for i, rows in enumerate(many):
        weights = np.array(rows)
        motifs.append(Motif(f"m{i} of\ttwo", weights / weights.sum(1, keepdims=True), count=i + 1))
    path = write_meme(tmp_path / "out.meme", motifs)
    for motif, read, peer in zip(motifs, read_motifs(path), read_meme(str(path)).values(), strict=True):
        assert read.name == motif.name.replace("\t", " ") and read.count == motif.count
        assert np.allclose(read.ppm, motif.ppm, atol=1e-7) and np.allclose(peer.T, motif.ppm, atol=1e-7)


BROKEN = {
    "three numbers": ("0.2 0.8 0.0", "rows of \\[3\\] numbers"),
    "no sum of 1": ("0.2 0.2 0.2 0.2", "sums to 0.8"),
    "rows missing": ("", "rows of \\[\\] numbers"),
    "below 0": ("-0.5 0.5 0.5 0.5", "expected probabilities"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_motif_is_reported_and_the_others_are_read(tmp_path, name):
    row, message = BROKEN[name]
    path = tmp_path / "x.meme"
    path.write_text(f"{MEME}\nMOTIF broken\nletter-probability matrix: alength= 4\n{row}\nMOTIF last\n"
                    "letter-probability matrix: alength= 4 w= 1\n1 0 0 0\n")  # fmt: skip
    with pytest.raises(DataError, match=message):
        read_motifs(path)
    told = []
    motifs = read_motifs(path, on_error=lambda place, error: told.append((place, str(error))))
    assert [m.name for m in motifs] == ["MA0004.1 Arnt", "no_width", "last"]
    assert [place for place, _ in told] == ["x.meme:22"] and "broken" in told[0][1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "begins with ''"),
        ("hello", "begins with 'hello'"),
        ("MEME version 4\n", "no motif"),
        ("MEME version 4\nALPHABET= ACDEFGHIKLMNPQRSTVWY\nMOTIF x\n", "expected ACGT"),
        ("MEME version 4\nMOTIF x\n", "x.meme:2: motif x has no letter-probability matrix"),
        ("MEME version 4\nMOTIF x\nletter-probability matrix: w= 3\n1 0 0 0\n", "says w= 3 and has 1 rows"),
        (">x\nA [1 2]\nC [1 2]\nG [1 2]\n", "has 3 rows"),
        (">x\nA [1 2]\nC [1 2]\nT [1 2]\nG [1 2]\n", "of A, C, G, T in turn"),
        (">x\nA [1 2]\nC [1]\nG [1 2]\nT [1 2]\n", "one number of them"),
        (">x\n0 1\n0 1\n0 1\n0 1\n", "without counts"),
    ],
)
def test_what_is_no_motif_file_is_said(tmp_path, text, message):
    (tmp_path / "x.meme").write_text(text)
    with pytest.raises(DataError, match=message):
        read_motifs(tmp_path / "x.meme")


def test_a_background_has_four_frequencies(tmp_path):
    with pytest.raises(InputError, match="four frequencies"):
        write_meme(tmp_path / "x.meme", [], background=(0.5, 0.5, 0.5, 0.5))


@given(st.data())
def test_trimming_and_turning_keep_seqlets_on_their_letters(data):
    """The letters of each seqlet, read on its strand, are those of the motif: before, after and on the other strand."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    word, row = rng.integers(0, 4, 8), rng.integers(0, 4, 40)
    at, strand = data.draw(st.integers(0, 32)), data.draw(st.sampled_from("+-"))
    row[at : at + 8] = word if strand == "+" else 3 - word[::-1]
    size = np.where(np.arange(8) % 7 < 2, 0.01, 1.0)
    motif = Motif("x", np.eye(4)[word], np.eye(4)[word] * size[:, None], None, (Seqlet(0, at, at + 8, strand),))
    for version in (motif, motif.trimmed(), motif.reverse_complement().trimmed(), motif.trimmed().reverse_complement()):
        (seqlet,) = version.seqlets
        there = row[seqlet.start : seqlet.end]
        there = there if seqlet.strand == "+" else 3 - there[::-1]
        assert np.array_equal(version.ppm.argmax(1), there)
    assert len(motif.trimmed()) == 5


def test_a_motif_is_probabilities():
    with pytest.raises(DataError, match="position 1 has"):
        Motif("x", np.array([[1.0, 0, 0, 0], [0.5, 0, 0, 0]]))
    with pytest.raises(DataError, match=r"shape \(4, 3\)"):
        Motif("x", np.ones((4, 3)) / 4)
    with pytest.raises(DataError, match="hypothetical has shape"):
        Motif("x", np.eye(4), hypothetical=np.eye(3))
