"""Simulated sequences: that what the truth says is written there, and nothing else makes the labels."""

import re
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.datasets import simulate_motifs
from sciexplain.datasets.simulate import MOTIFS, load_simulated
from sciexplain.domains.genomics.encode import reverse_complement_of
from sciexplain.errors import InputError

PAIR = {"pair": ("SPI1", "CTCF")}
CLASSES = {"R": "[AG]", "Y": "[CT]", "S": "[CG]", "N": "[ACGT]"}


def pattern(name):
    return re.compile("".join(CLASSES.get(letter, letter) for letter in MOTIFS[name]))


def written(data, instance):
    """What is there, in the motif's own direction."""
    text = data.records[instance.row].sequence[instance.start : instance.end]
    return text if instance.strand == "+" else reverse_complement_of(text)


@pytest.mark.parametrize("strands", ["both", "+"])
@pytest.mark.parametrize("spacing", [None, (3, 12)])
def test_truth_is_what_is_written(strands, spacing):
    data = simulate_motifs(400, 150, tasks=PAIR | {"REST": ("REST",)}, spacing=spacing, strands=strands, seed=3)
    for instance in data.truth:
        assert pattern(instance.motif).fullmatch(written(data, instance))
    for instance in data.decoys:
        whole = pattern(instance.motif.split()[-1]).fullmatch(written(data, instance))
        assert bool(whole) == (" " not in instance.motif)
    found = defaultdict(list)
    for instance in data.truth:
        found[instance.row, instance.task].append(instance.motif)
    for row, labels in enumerate(data.targets):
        for task, label in zip(data.tasks, labels, strict=True):
            expected = {"pair": ["CTCF", "SPI1"], "REST": ["REST"]}[task] if label else []
            assert sorted(found[row, task]) == expected
    both = Counter(instance.strand for instance in data.truth)
    assert set(both) == (set("+-") if strands == "both" else {"+"})
    assert strands == "+" or abs(both["+"] / both.total() - 0.5) < 0.1


@given(seed=st.integers(0, 1000), n=st.integers(1, 12), length=st.integers(110, 130))
def test_nothing_is_written_over_anything(seed, n, length):
    data = simulate_motifs(
        n, length, tasks=PAIR, spacing=(0, 6), decoys=("partial", "shuffled", "half", "neutral"), seed=seed
    )
    used = np.zeros((n, length), int)
    for instance in (*data.truth, *data.decoys):
        assert 0 <= instance.start < instance.end <= length
        used[instance.row, instance.start : instance.end] += 1
    assert used.max() <= 1


@pytest.mark.parametrize("strands", ["both", "+"])
def test_order_and_spacing_make_the_label(strands):
    """Reading the sequences alone, the grammar is there exactly in the positives."""
    data = simulate_motifs(600, tasks=PAIR, spacing=(4, 9), strands=strands, seed=1)
    grammar = re.compile(pattern("SPI1").pattern + "[ACGT]{4,9}" + pattern("CTCF").pattern)
    for record, label in zip(data.records, data.targets[:, 0], strict=True):
        texts = [record.sequence] + ([reverse_complement_of(record.sequence)] if strands == "both" else [])
        assert any(grammar.search(text) for text in texts) == bool(label)
    gaps = defaultdict(set)
    decoys = defaultdict(list)
    for instance in data.truth:
        gaps[instance.row].add(instance)
    for instance in data.decoys:
        if instance.motif in ("SPI1", "CTCF"):
            decoys[instance.row].append(instance)
    found = []
    for pair in gaps.values():
        first, second = sorted(pair, key=lambda instance: instance.start)
        assert first.strand == second.strand
        assert (first.motif, second.motif) == (("SPI1", "CTCF") if first.strand == "+" else ("CTCF", "SPI1"))
        found.append(second.start - first.end)
    assert set(found) == set(range(4, 10))
    # Every negative has one of the two, or both in another way, so that neither alone makes the label.
    assert set(decoys) == set(np.flatnonzero(data.targets[:, 0] == 0))
    faults = Counter(
        "missing" if len(pair) == 1 else "spacing" if pair[1].start - pair[0].end > 9 else "order"
        for pair in decoys.values()
    )
    assert set(faults) == ({"missing", "spacing"} if strands == "both" else {"missing", "spacing", "order"})
    assert min(faults.values()) > 70


def test_any_order():
    data = simulate_motifs(200, tasks=PAIR, spacing=(4, 9), ordered=False, strands="+")
    firsts = Counter(instance.motif for instance in data.truth[::2])
    assert min(firsts["SPI1"], firsts["CTCF"]) > 25


def test_shares():
    data = simulate_motifs(1000, tasks={"a": ("CTCF",), "b": ("REST",)}, positives=0.3)
    assert data.targets.mean(0).tolist() == pytest.approx([0.3, 0.3])
    both = (data.targets.sum(1) == 2).mean()
    assert both == pytest.approx(0.09, abs=0.03)
    noisy = simulate_motifs(1000, tasks={"a": ("CTCF",), "b": ("REST",)}, positives=0.3, noise=0.1)
    assert noisy.truth == data.truth
    assert (noisy.targets != data.targets).mean() == pytest.approx(0.1, abs=0.02)


def test_mutated_letters():
    data = simulate_motifs(2000, motifs={"REST": MOTIFS["REST"]}, tasks={"REST": ("REST",)}, mutation=0.1, decoys=())
    wrong = [a != b for i in data.truth for a, b in zip(written(data, i), MOTIFS["REST"], strict=True)]
    assert np.mean(wrong) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("gc", [0.2, 0.5, 0.65])
def test_background_has_the_gc_asked_for(gc):
    data = simulate_motifs(300, tasks={"AP1": ("AP1",)}, decoys=(), gc=gc)
    outside = [
        record.sequence[place]
        for record, mask in zip(data.records, data.truth_mask(), strict=True)
        for place in np.flatnonzero(~mask)
    ]
    counts = Counter(outside)
    # Standard deviation of a share of 60 000 letters: 0.002.
    assert (counts["G"] + counts["C"]) / len(outside) == pytest.approx(gc, abs=0.01)
    assert counts["G"] / len(outside) == pytest.approx(gc / 2, abs=0.01)
    assert counts["A"] / len(outside) == pytest.approx((1 - gc) / 2, abs=0.01)


def test_background_has_the_dinucleotides_asked_for():
    asked = np.random.default_rng(0).dirichlet(np.ones(4), 4)
    stationary = np.linalg.matrix_power(asked, 100)[0]
    frequencies = stationary[:, None] * asked
    data = simulate_motifs(500, positives=0, decoys=(), dinucleotides=frequencies)
    pairs = Counter(pair for r in data.records for pair in zip(r.sequence, r.sequence[1:], strict=False))
    found = np.array([[pairs[a, b] for b in "ACGT"] for a in "ACGT"]) / pairs.total()
    np.testing.assert_allclose(found, frequencies, atol=0.006)


def test_matrices_are_drawn_from():
    class Motif:
        ppm = np.array([[0.7, 0.1, 0.1, 0.1], [0, 0, 0.5, 0.5], [0, 1, 0, 0]] * 3)

    for motif in (Motif(), Motif.ppm):
        data = simulate_motifs(2000, motifs={"m": motif}, tasks={"m": ("m",)}, positives=1, decoys=())
        texts = [written(data, instance) for instance in data.truth]
        found = np.array([[np.mean([text[i] == letter for text in texts]) for letter in "ACGT"] for i in range(9)])
        np.testing.assert_allclose(found, Motif.ppm, atol=0.05)


def test_seeds():
    first, again, other = (simulate_motifs(50, seed=seed) for seed in (1, 1, 2))
    assert first.records == again.records and first.truth == again.truth and first.sha256 == again.sha256
    assert first.sha256 != other.sha256
    parts = np.concatenate([first.train, first.valid, first.test])
    assert sorted(parts) == list(range(50))


def test_halves():
    data = simulate_motifs(300, 100, decoys=("half",))
    halves = {"CCGCG..GG": 0, "GGNGGCAG": 0}
    assert {instance.motif for instance in data.decoys} == {"half CTCF"}
    for instance in data.decoys:
        text = written(data, instance)
        assert len(text) == 7
        start = bool(re.fullmatch("CCGCG[ACGT]G", text))
        assert start or re.fullmatch("G[ACGT]GGCAG", text)
        halves["CCGCG..GG" if start else "GGNGGCAG"] += 1
    assert min(halves.values()) > 50


def test_named_cases():
    pair = load_simulated("pair")
    assert (pair.name, pair.tasks, len(pair)) == ("simulated-pair", ("SPI1 and CEBP",), 10_000)
    assert {instance.motif for instance in pair.truth} == {"SPI1", "CEBP"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n=0, length=200"),
        ({"length": 20, "positives": 1}, "CTCF.* bp together, and length=20; give longer sequences"),
        ({"motifs": {"m": "TGAZ"}}, "motif m is 'TGAZ'; expected a consensus"),
        ({"motifs": {"m": ""}}, "motif m is ''"),
        ({"motifs": {"m": np.ones((5, 4))}}, r"motif m has shape \(5, 4\); expected"),
        ({"motifs": {"m": np.ones(4)}}, r"motif m has shape \(4,\)"),
        ({"tasks": {"t": ("MYC",)}}, "task 't' names the motif 'MYC'; there are CTCF, SPI1"),
        ({"tasks": {}}, "a task at least"),
        ({"tasks": {"t": ()}}, "a motif at least"),
        ({"spacing": (5, 2)}, r"spacing=\(5, 2\)"),
        ({"strands": "-"}, "strands='-'"),
        ({"decoys": ("random",)}, "decoys has 'random'"),
        ({"gc": 40}, "gc=40; expected a share, 0 to 1"),
        ({"dinucleotides": np.zeros((4, 4))}, r"\(4, 4\), frequencies"),
    ],
)
def test_what_cannot_be_simulated(options, message):
    with pytest.raises(InputError, match=message):
        simulate_motifs(**options)


@pytest.mark.parametrize("seed", range(3))
def test_every_part_has_both_classes(seed):
    data = simulate_motifs(400, 60, seed=seed)
    for part in (data.train, data.valid, data.test):
        assert 0.3 < data.targets[part].mean() < 0.7
