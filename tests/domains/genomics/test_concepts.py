"""Channels of sequence models: logos of planted motifs, in either layout."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import sciexplain as sx
from sciexplain.domains.genomics.concepts import aligned, top_concepts
from sciexplain.domains.genomics.encode import encode
from sciexplain.domains.genomics.prototypes import limits_figure, prototype_limits, prototypes

MOTIFS = ("TGACTCA", "GGGCGGG")
LENGTH = 40


def sequences(n=60, seed=0):
    generator = np.random.default_rng(seed)
    found = []
    for i in range(n):
        letters = "".join(generator.choice(list("ACGT"), LENGTH))
        if i % 3 < 2:
            start = int(generator.integers(0, LENGTH - 7))
            letters = letters[:start] + MOTIFS[i % 3] + letters[start + 7 :]
        found.append(letters)
    return found


class Channels(nn.Module):
    """A detector for each motif; class 1 is either of them."""

    def __init__(self, layout="NCL"):
        super().__init__()
        self.layout = layout
        self.conv, self.pool, self.head = nn.Conv1d(4, 3, 7), nn.MaxPool1d(LENGTH - 6), nn.Linear(3, 2)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.bias.fill_(-5.5)
            for channel, motif in enumerate(MOTIFS):
                self.conv.weight[channel] = encode([motif])[0].float()
            self.head.weight.copy_(torch.tensor([[0.0, 0, 1], [2, 1, 0]]))
            self.head.bias.copy_(torch.tensor([1.0, 0]))

    def forward(self, x):
        x = x.transpose(1, 2) if self.layout == "NLC" else x
        return self.head(self.pool(torch.relu(self.conv(x))).flatten(1))


@pytest.mark.parametrize("layout", ["NCL", "NLC"])
@pytest.mark.parametrize("layer", ["conv", "pool"])
def test_logos_of_planted_motifs(layout, layer):
    found = top_concepts(Channels(layout), sequences(), 1, layer, 2, examples=10)
    assert found.concepts.channels == (0, 1)
    assert found.relevance.shape == (2, 10, 4, LENGTH)
    for motif, expected in zip(found.motifs(), MOTIFS, strict=True):
        assert motif.consensus == expected and len(motif) == 7
        for seqlet in motif.seqlets:
            assert sequences()[seqlet.row][seqlet.start : seqlet.end] == expected
        assert (motif.contributions.sum(1) > 0).all()
    figure = found.figure()
    assert [t.get_text().split("\n")[0] for t in figure.texts] == ["channel 0", "channel 1"] and len(figure.axes) == 6


def test_a_width_of_ones_own_and_no_relevance():
    found = top_concepts(Channels(), sequences(), 1, "conv", 3, examples=5)
    with pytest.raises(sx.InputError, match="Channel 2 has positive relevance in none"):
        found.motifs()
    found = top_concepts(Channels(), sequences(), 1, "conv", 1, examples=5)
    (motif,) = found.motifs(11)
    assert len(motif) == 11 and "TGACTCA" in motif.consensus
    with pytest.raises(sx.InputError, match="width=99"):
        found.motifs(99)


@given(st.integers(0, 10_000), st.integers(4, 9))
@settings(max_examples=25, deadline=None)
def test_windows_lie_over_each_other(seed, width):
    """Copies of one pattern at any place, with holes at its ends, come to lie on each other."""
    generator = np.random.default_rng(seed)
    pattern = generator.random((4, width)) * (generator.random((1, width)) > 0.2)
    pattern[:, width // 2] += 3
    seen, starts = np.zeros((12, 4, 40)), generator.integers(0, 40 - width, 12)
    for i, start in enumerate(starts):
        seen[i, :, start : start + width] = pattern
    found, wide = aligned(seen)
    assert len(set(found - starts)) == 1 and wide <= width
    found, wide = aligned(seen, width + 4)
    assert wide == width + 4 and len(set(found - starts)) == 1


def test_prototypes_and_limits_in_either_layout():
    texts = sequences(90)
    found = [prototypes(Channels(layout), texts, 1, 1, by="mmd") for layout in ("NCL", "NLC")]
    assert found[0].indices == found[1].indices
    one = prototypes(Channels(), texts, 1, 1, layer="pool", by="relevance", channel=0, share=0)
    limits = prototype_limits(Channels(), texts, one, layer="pool", threshold=0.5)
    members = {i for i in range(90) if float(Channels()(encode([texts[i]]).float())[0].detach().diff()) > 0}
    assert {i for i in limits.unexplained if i in members} >= {
        i for i in members if i % 3 == 1 and MOTIFS[0] not in texts[i]
    }
    figure = limits_figure(Channels(), texts, limits)
    assert {t.get_title(loc="left").split(":")[0] for t in figure.axes} == {"prototype", "explained", "not explained"}
    designed = prototype_limits(Channels(), texts, [texts[one.indices[0]]], 1, layer="pool", threshold=0.5)
    torch.testing.assert_close(designed.distances, limits.distances)
