"""Motifs planted in sequences and seen by a model come out again, with their places; files of TF-MoDISco."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from sciexplain.domains.genomics.encode import encode, reverse_complement_of
from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.formats.modisco_files import read_modisco_results, write_modisco_h5, write_modisco_npz
from sciexplain.domains.genomics.motifs import Motifs, discover_motifs
from sciexplain.domains.genomics.sequences import Sequences
from sciexplain.domains.genomics.sites import Site, Sites
from sciexplain.errors import DataError, InputError

FOR, AGAINST = "TGACTCAGC", "CCGGAAGTGG"


def explained(sequences):
    """Gradient × input, centred at each place, of a model that counts one word for and another against."""
    kernels = []
    for word in (FOR, AGAINST):
        for read in (word, reverse_complement_of(word)):
            kernels.append(torch.nn.functional.pad(1.3 * encode(read) - 0.3, (0, 11 - len(read))))
    x = sequences.one_hot.clone().requires_grad_(True)
    seen = torch.nn.functional.conv1d(x, torch.cat(kernels), padding=10) - 6
    score = torch.nn.functional.softplus(seen, beta=2).sum(2) @ torch.tensor([1.0, 1, -1, -1])
    (gradient,) = torch.autograd.grad(score.sum(), x)
    return SequenceExplanation.of(sequences, hypothetical=gradient - gradient.mean(1, keepdim=True), again=explained)


@pytest.fixture(scope="module")
def planted():
    """240 sequences of 101 letters with both words, up to their ends, on either strand; and what is where as sites."""
    rng = np.random.default_rng(0)
    texts, sites = [], []
    for row in range(240):
        text = "".join(rng.choice(list("ACGT"), 101))
        for word, low, high, sign in ((FOR, 0, 40, 1), (AGAINST, 50, 91, -1)):
            at = int(rng.integers(low, high))
            read = word if rng.random() < 0.5 else reverse_complement_of(word)
            text = text[:at] + read + text[at + len(word) :]
            sites.append(Site(row, str(row), at, at + len(word), None, float(sign), 0.001, 0.01, read, read))
        texts.append(text)
    return explained(Sequences.of(texts)), Sites(tuple(sites), 0.05)


@pytest.fixture(scope="module")
def motifs(planted):
    return discover_motifs(*planted, leiden_runs=2)


def on_the_strand(text, seqlet):
    part = text[seqlet.start : seqlet.end]
    return part if seqlet.strand == "+" else reverse_complement_of(part)


@pytest.mark.parametrize(("sign", "word"), [(1, FOR), (-1, AGAINST)])
def test_planted_words_come_out(planted, motifs, sign, word):
    found = next(m for m in motifs if m.sign == sign)
    assert word in found.consensus or word in found.reverse_complement().consensus
    assert np.sign(found.contributions.sum()) == sign
    assert found.name == ("positive_0" if sign > 0 else "negative_0") and motifs[found.name] is found


def test_seqlets_lie_where_the_motif_says(planted, motifs):
    """Probabilities and contributions counted anew from the explanation, at the seqlets, are the motif's."""
    explanation, _ = planted
    texts = explanation.sequences.texts
    assert len(motifs) >= 2
    for motif in motifs:
        assert motif.count == len(motif.seqlets) > 20 and all(s.end - s.start == len(motif) for s in motif.seqlets)
        for name, blank, whole in (
            ("ppm", 0.25, explanation.sequences.one_hot),
            ("contributions", 0.0, explanation.contributions),
            ("hypothetical", 0.0, explanation.hypothetical),
        ):
            wide = torch.nn.functional.pad(whole, (50, 50), value=blank)  # seqlets may hang over an end
            parts = [(s, wide[s.row, :, s.start + 50 : s.end + 50].T.numpy()) for s in motif.seqlets]
            turned = [part if s.strand == "+" else part[::-1, ::-1] for s, part in parts]
            assert np.allclose(np.mean(turned, 0), getattr(motif, name), atol=1e-4)
        inside = [s for s in motif.seqlets if s.start >= 0 and s.end <= 101]
        common = Counter(on_the_strand(texts[s.row], s) for s in inside).most_common(1)[0][0]
        word = FOR if motif.sign > 0 else AGAINST
        assert word in common or word in reverse_complement_of(common)


def test_notes_say_what_was_used(planted, motifs):
    assert motifs.notes[0] == "240 sequences, all 101 letters"
    assert motifs.notes[1].startswith("240 positive seqlets: ")
    assert motifs.notes[2].startswith("240 negative seqlets: ")


def test_the_draw_is_fair_and_the_seed_decides(planted):
    """More seqlets than are wanted: those used come from all of the file, and the same seed gives the same motifs."""
    explanation, sites = planted
    positive = Sites(tuple(s for s in sites if s.score > 0), 0.05)
    first, again = (discover_motifs(explanation, positive, max_seqlets=120, leiden_runs=1, seed=3) for _ in range(2))
    assert first.notes[1].startswith("240 positive seqlets, of which 120 were drawn at random (max_seqlets): ")
    assert first.notes[2] == "0 negative seqlets"
    rows = np.array([s.row for m in first for s in m.seqlets])
    assert len(rows) > 20 and (rows < 120).any() and (rows >= 120).any()
    assert [m.seqlets for m in first] == [m.seqlets for m in again]
    assert all(np.array_equal(a.contributions, b.contributions) for a, b in zip(first, again, strict=True))


def test_units_do_not_matter(planted):
    """TF-MoDISco computes in float32; relevance of 1e-25 or 1e25 would be lost, or infinite, when it is squared."""
    explanation, sites = planted
    positive = Sites(tuple(s for s in sites if s.score > 0)[:120], 0.05)
    plain = discover_motifs(explanation, positive, leiden_runs=1)
    assert len(plain)
    for unit in (1e-25, 1e25):
        sized = SequenceExplanation.of(explanation.sequences, hypothetical=explanation.hypothetical.double() * unit)
        found = discover_motifs(sized, positive, leiden_runs=1)
        assert [m.seqlets for m in found] == [m.seqlets for m in plain]
        for a, b in zip(found, plain, strict=True):
            assert np.allclose(a.contributions / unit, b.contributions, rtol=1e-4, atol=1e-6)


def test_its_own_seqlets(planted):
    found = discover_motifs(planted[0], leiden_runs=1, min_seqlets=40)
    assert {m.sign for m in found} == {1, -1}
    words = [m.consensus + " " + m.reverse_complement().consensus for m in found]
    assert any("TGACTCA" in w for w in words) and any("CGGAAG" in w for w in words)


def test_too_few_seqlets_are_no_crash(planted):
    explanation, sites = planted
    few = discover_motifs(explanation[:5], min_seqlets=100)
    assert len(few) == 0 and any("too few for motifs (min_seqlets=100)" in note for note in few.notes)
    flat = SequenceExplanation.of(explanation.sequences, hypothetical=torch.zeros(240, 4, 101))
    assert discover_motifs(flat) == Motifs((), ("240 sequences, all 101 letters", "no relevance"))
    window = discover_motifs(explanation, Sites(sites.sites[:50], 0.05), window=41)
    assert window.notes[0] == "240 sequences, of each the middle 41 of 101 letters"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 102}, "window=102"),
        ({"window": 10}, "seqlet_width=20 is more than the 10"),
        ({"min_seqlets": 3}, "min_seqlets=3"),
        ({"max_seqlets": 0}, "max_seqlets=0"),
    ],
)
def test_options_out_of_range_are_named(planted, options, message):
    with pytest.raises(InputError, match=message):
        discover_motifs(planted[0], **options)


def test_what_cannot_be_used_is_refused(planted):
    explanation, sites = planted
    with pytest.raises(InputError, match="no hypothetical"):
        discover_motifs(SequenceExplanation.of(explanation.sequences, nucleotides=explanation.nucleotides))
    broken = explanation.hypothetical.clone()
    broken[3, 1, 4] = float("nan")
    with pytest.raises(InputError, match="NaN or infinite"):
        discover_motifs(SequenceExplanation.of(explanation.sequences, hypothetical=broken))
    with pytest.raises(InputError, match="sites of this explanation"):
        discover_motifs(explanation[:3], sites)


def test_tables(motifs, tmp_path):
    from sciexplain.domains.genomics.formats.meme import read_motifs

    table = motifs.to_pandas()
    assert table["name"].tolist() == [m.name for m in motifs] and (table["information"] > 5).all()
    read = read_motifs(motifs.to_meme(tmp_path / "motifs.meme"))
    assert all(np.allclose(a.ppm, b.ppm, atol=1e-7) for a, b in zip(motifs, read, strict=True))
    assert len(motifs[:1]) == 1 and len(Motifs(()).to_pandas()) == 0
    with pytest.raises(InputError, match="no motif 'x'"):
        motifs["x"]


def test_modisco_reads_and_writes_the_same(planted, tmp_path):
    """Its command line on our files; its results with places in our coordinates, though its window is the middle."""
    short, _ = planted
    rng = np.random.default_rng(1)
    ends = ["".join(rng.choice(list("ACGT"), 120)) for _ in range(240)]
    texts = [end[:60] + text + end[60:] for end, text in zip(ends, short.sequences.texts, strict=True)]
    # silent ends, since TF-MoDISco finds next to nothing in short sequences
    hypothetical = torch.nn.functional.pad(short.hypothetical, (60, 60))
    explanation = SequenceExplanation.of(Sequences.of(texts), hypothetical=hypothetical)
    sequences, contributions = write_modisco_npz(tmp_path / "s.npz", tmp_path / "c.npz", explanation)
    assert np.array_equal(np.load(sequences)["arr_0"], explanation.sequences.one_hot.numpy())
    assert np.array_equal(np.load(contributions)["arr_0"], explanation.hypothetical.numpy())
    out = tmp_path / "r.h5"
    command = Path(sys.executable).with_name("modisco")
    options = ["-s", sequences, "-a", contributions, "-n", "2000", "-w", "218", "-l", "1", "-o", out]
    done = subprocess.run([command, "motifs", *map(str, options)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = read_modisco_results(out, length=221)
    assert len(found)
    for motif in found:
        parts = []
        for s in motif.seqlets:
            part = explanation.contributions[s.row, :, s.start : s.end].T.numpy()
            parts.append(part if s.strand == "+" else part[::-1, ::-1])
        assert np.allclose(np.mean(parts, 0), motif.contributions, atol=1e-5)


def test_the_layout_of_the_h5_file(planted, tmp_path):
    import h5py

    explanation, _ = planted
    with h5py.File(write_modisco_h5(tmp_path / "x.h5", explanation)) as file:
        assert np.array_equal(file["raw/seq"][:], explanation.sequences.one_hot.numpy())
        assert np.array_equal(file["shap/seq"][:], explanation.hypothetical.numpy())
        assert np.allclose(file["projected_shap/seq"][:], explanation.contributions.numpy())


def test_what_are_no_results_is_said(tmp_path):
    import h5py

    with pytest.raises(DataError, match="no such file"):
        read_modisco_results(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(DataError, match="is no HDF5 file"):
        read_modisco_results(tmp_path / "text.h5")
    for name, key, message in (
        ("old", "metacluster_idx_to_submetacluster_results/x", "modisco convert"),
        ("other", "some/thing", "has no pos_patterns"),
        ("broken", "pos_patterns/pattern_0/sequence", "lacks an entry"),
    ):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file[key] = np.ones((3, 4)) / 4
        with pytest.raises(DataError, match=message):
            read_modisco_results(tmp_path / f"{name}.h5")
    with pytest.raises(DataError, match="window_size"):
        read_modisco_results(tmp_path / "broken.h5", length=101)
