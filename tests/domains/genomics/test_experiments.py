"""Experiments, on models whose answers can be written down."""

import pytest
import torch

from sciexplain.domains.genomics import Sequences, ablate, encode, explain, insert, marginalize, spacing
from sciexplain.errors import InputError, TargetError

TEXTS = ["ACACACACACAC", "TTATTATTATTA"]


def counts_g(x):
    return x[:, 2:3].sum(2)


def pair(x):
    """1 for each G that has a C three letters on."""
    return (x[:, 2, :-3] * x[:, 1, 3:]).sum(1, keepdim=True)


def test_marginalize():
    m = marginalize(counts_g, TEXTS, "GGG", layout="NCL")
    assert m.before.tolist() == [0, 0] and m.after.tolist() == [3, 3] and m.effect.tolist() == [3, 3]


@pytest.mark.parametrize("position", [0, 9, None])
def test_insert(position):
    start = 4 if position is None else position
    found = insert(TEXTS, "GCT", position).texts
    assert found == [t[:start] + "GCT" + t[start + 3 :] for t in TEXTS]


def test_insert_takes_motifs_and_tensors():
    class Frequent:
        ppm = torch.tensor([[0.1, 0.2, 0.6, 0.1], [0.7, 0.1, 0.1, 0.1]]).numpy()

    assert insert(TEXTS[0], Frequent(), 0).texts == insert(TEXTS[0], encode("GA")[0], 0).texts == ["GA" + TEXTS[0][2:]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: insert(TEXTS, "GGG", 10), "does not fit"),
        (lambda: insert(TEXTS, "G" * 13), "does not fit"),
        (lambda: insert(TEXTS, 5), "motif is int"),
        (lambda: ablate(counts_g, TEXTS, [(0, 1)] * 3, layout="NCL"), "3 regions for 2 sequences"),
        (lambda: ablate(counts_g, TEXTS, (5, 13), layout="NCL"), "does not lie within"),
        (lambda: ablate(counts_g, TEXTS, (5, 5), layout="NCL"), "does not lie within"),
        (lambda: spacing(counts_g, TEXTS, "G", "C", [], layout="NCL"), "no distances"),
    ],
)
def test_bad_experiments(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_operation_in_the_place_of_the_prediction():
    m = marginalize(
        counts_g, TEXTS, "GG", position=3, operation=lambda s: explain(counts_g, s, layout="NCL").nucleotides
    )
    expected = torch.zeros(2, 12)
    expected[:, 3:5] = 1
    torch.testing.assert_close(m.effect, expected)


@pytest.mark.filterwarnings("ignore:.*shuffle")
def test_ablate():
    texts = ["ATATGGGGATATATCATA", "TTTTTATATACATATACC"]
    a = ablate(counts_g, texts, [(4, 8), (0, 4)], n=200, layout="NCL")
    assert a.before.tolist() == [4, 0] and a.after.shape == (2, 200) and a.effect[1] == 0
    assert 1.5 < float(a.effect[0]) < 4  # most of the Gs go elsewhere in a shuffle
    again = ablate(counts_g, texts, [(4, 8), (0, 4)], n=200, layout="NCL")
    assert torch.equal(a.after, again.after)


@pytest.mark.filterwarnings("ignore:.*shuffle")
def test_ablate_several_regions_of_a_sequence():
    class Region:
        def __init__(self, row, start, end):
            self.row, self.start, self.end = row, start, end

    a = ablate(counts_g, TEXTS, [Region(1, 0, 3), Region(1, 3, 6), Region(0, 0, 2)], n=3, layout="NCL")
    assert a.effect.shape == (3,)


@pytest.mark.parametrize("upstream", [False, True])
def test_spacing_finds_the_distance_that_counts(upstream):
    first, second = ("C", "G") if upstream else ("G", "C")
    distances = range(-5, 0) if upstream else range(5)
    s = spacing(pair, ["TTTTTTTTTTTTTTTT"], first, second, distances, layout="NCL")
    best = -3 if upstream else 2
    assert [d for d, e in zip(s.distances, s.effect[:, 0], strict=True) if e] == [best]
    torch.testing.assert_close(s.interaction, s.effect)


def test_spacing_off_the_end():
    with pytest.raises(InputError, match="does not fit"):
        spacing(pair, ["TTTTTT"], "GG", "CC", [0, 9], layout="NCL")


def test_class_predicted_before_is_kept():
    def two(x):
        return torch.stack([x[:, 0].sum(1), 10 * x[:, 2].sum(1)], 1)

    m = marginalize(two, ["AAAAAA"], "G", layout="NCL")
    assert m.effect.tolist() == [-1]


def test_one_prediction_for_each_sequence():
    with pytest.raises(TargetError):
        marginalize(lambda x: x.sum(2), TEXTS, "G", target=lambda y: y.sum(0), layout="NCL")


def test_sequences_stay_as_they_were():
    s = Sequences.of(TEXTS)
    before = s.inputs.clone()
    marginalize(counts_g, s, "GG", layout="NCL")
    assert torch.equal(s.inputs, before)
