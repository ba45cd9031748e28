"""Sites: where they lie, how they are written, and that the false discovery rate is what was asked for."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from sciexplain.domains.genomics.encode import encode, reverse_complement_of
from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record, Sequences
from sciexplain.domains.genomics.shuffle import shuffle_dinucleotides
from sciexplain.domains.genomics.sites import Sites, call_sites
from sciexplain.errors import InputError

WORD = "TGACTCAGC"  # no palindrome, so a strand that is read the wrong way round shows
RNG_LETTERS = np.array(list("ACGT"))


def model(weight, slope):
    """Gradient × input of a sum over ReLU(convolution − slope · length), which is a line where a word fits."""

    def explained(sequences):
        x = sequences.one_hot.clone().requires_grad_(True)
        width = weight.shape[2]
        seen = torch.relu(torch.nn.functional.conv1d(x, weight, padding=width - 1) - slope * width)
        (gradient,) = torch.autograd.grad(seen.sum(), x)
        return SequenceExplanation.of(sequences, hypothetical=gradient.detach(), again=explained)

    return explained


def word_model(word=WORD, sign=1.0):
    both = torch.cat([encode(word), -0.3 * (1 - encode(word))]).reshape(2, 4, -1).sum(0, keepdim=True)
    explained = model(both, 0.6)

    def signed(sequences):
        found = explained(sequences)
        return SequenceExplanation.of(sequences, hypothetical=sign * found.hypothetical, again=signed)

    return signed


def random_text(rng, length, gc=0.5):
    return "".join(rng.choice(RNG_LETTERS, length, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]))


@pytest.fixture(scope="module")
def planted():
    """Twelve sequences on alternating strands of one chromosome, the word at a different place in each."""
    rng = np.random.default_rng(0)
    records, places = [], []
    for i in range(12):
        text, at = random_text(rng, 120), 10 + 8 * i
        strand = "+-"[i % 2]
        text = text[:at] + WORD + text[at + len(WORD) :]
        records.append(Record(f"peak {i}", text, Interval("chr1", 1000 * i, 1000 * i + 120, strand)))
        places.append(at)
    return records, places


def test_sites_are_where_the_word_is(planted):
    records, places = planted
    sites = call_sites(word_model()(Sequences.of(records)))
    found = {s.row: s for s in sites}
    assert sorted(found) == list(range(12)) and len(sites) == 12
    for row, at in enumerate(places):
        site = found[row]
        assert (site.start, site.end, site.sequence, site.consensus) == (at, at + len(WORD), WORD, WORD)
        assert site.score == pytest.approx(len(WORD)) and site.q <= 0.05 and site.p > 0


def test_genome_coordinates_follow_the_strand(planted):
    records, _ = planted
    genome = {}
    for record in records:
        plus = record.sequence if record.interval.strand == "+" else reverse_complement_of(record.sequence)
        genome |= {record.interval.start + i: letter for i, letter in enumerate(plus)}
    for site in call_sites(word_model()(Sequences.of(records))):
        there = "".join(genome[i] for i in range(site.interval.start, site.interval.end))
        assert (there if site.interval.strand == "+" else reverse_complement_of(there)) == site.sequence


@pytest.mark.parametrize(
    ("effect", "sign", "called"),
    [(1, "both", 12), (1, "positive", 12), (1, "negative", 0), (-1, "both", 12), (-1, "negative", 12)],
)
def test_what_speaks_for_and_against(planted, effect, sign, called):
    sites = call_sites(word_model(sign=effect)(Sequences.of(planted[0])), sign=sign)
    assert len(sites) == called and all(np.sign(s.score) == effect for s in sites)
    assert all(s.consensus == WORD for s in sites)


def test_each_target_has_its_own_unit(planted):
    """Outputs of a model differ in size; the smaller one's sites are not lost among the larger one's."""
    explained = word_model()(Sequences.of(planted[0]))
    target = torch.arange(12) % 2
    sizes = 1e6 ** target[:, None, None].double()
    shuffled = shuffle_dinucleotides(explained.sequences.one_hot, 40, 1).flatten(0, 1)
    many = [row for row in range(12) for _ in range(40)]
    null = explained.again(explained.sequences[many].with_letters(shuffled))

    def sized(part, rows):
        return SequenceExplanation.of(
            part.sequences, hypothetical=part.hypothetical * sizes[rows], target=target[rows], again=None
        )

    together = call_sites(sized(explained, list(range(12))), null=sized(null, many))
    assert {s.row for s in together} == set(range(12))
    one = sized(null, many)[[i for i, row in enumerate(many) if row % 2]]
    with pytest.raises(InputError, match="nothing for target 0"):
        call_sites(sized(explained, list(range(12))), null=one)


def test_the_null_may_be_of_other_sequences(planted):
    rng = np.random.default_rng(1)
    explained = word_model()(Sequences.of(planted[0]))
    null = explained.again(Sequences.of([random_text(rng, 120) for _ in range(250)]))
    sites = call_sites(explained, null=null)
    assert {s.row for s in sites} == set(range(12))


def test_no_site_where_the_mask_is(planted):
    records, places = planted
    mask = torch.zeros(12, 120, dtype=torch.bool)
    for row in range(0, 12, 2):
        mask[row, places[row] + 4] = True
    sites = call_sites(word_model()(Sequences.of(records)), mask=mask, min_length=5)
    assert {s.row for s in sites} == set(range(1, 12, 2))


@pytest.mark.parametrize("seed", [0, 1])
def test_same_seed_same_sites(planted, seed):
    explained = word_model()(Sequences.of(planted[0]))
    assert call_sites(explained, seed=seed) == call_sites(explained, seed=seed)


@pytest.mark.parametrize(("sign", "enough"), [("both", 40), ("positive", 20)])
def test_too_few_shuffles_are_said_and_the_number_named_is_enough(sign, enough):
    rng = np.random.default_rng(5)
    text = random_text(rng, 200, gc=0.2)
    explained = word_model()(Sequences.of(text[:100] + WORD + text[100:]))
    with pytest.warns(UserWarning, match="No site is called: 1 of .*candidates exceed everything in 3 ") as caught:
        assert not call_sites(explained, shuffles=3, sign=sign)
    assert int(re.search(r"shuffles=(\d+)", str(caught[0].message))[1]) == enough
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for shuffles in (enough, None):
            assert len(call_sites(explained, shuffles=shuffles, sign=sign)) == 1


@pytest.mark.parametrize(("count", "length", "shuffles"), [(1, 120, 20), (5, 60, 20)])
def test_without_signal_a_call_is_as_rare_as_was_asked(count, length, shuffles):
    """Under the complete null every call is false, so the false discovery rate is the chance of any."""
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(6, 4, 7, generator=generator) * torch.tensor([3.0, 3, 3, 1, 1, 1])[:, None, None]
    ways = torch.randn(6, 1, generator=generator)

    def explained(sequences):  # words of two strengths that speak for or against: rows differ, tails are heavy
        x = sequences.one_hot.clone().requires_grad_(True)
        seen = torch.relu(torch.nn.functional.conv1d(x, weight, padding=3) - 3).sum(2) @ ways
        (gradient,) = torch.autograd.grad(seen.sum(), x)
        return SequenceExplanation.of(sequences, hypothetical=gradient, again=explained)

    rng, runs, tested = np.random.default_rng(1), 200, 0
    calls = {0.05: 0, 0.2: 0}
    for run in range(runs):
        texts = [random_text(rng, length, gc) for gc in rng.uniform(0.25, 0.75, count)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sites = call_sites(explained(Sequences.of(texts)), max(calls), shuffles=shuffles, seed=run)
        tested += sites.candidates
        for rate in calls:
            calls[rate] += any(site.q <= rate for site in sites)
    assert tested > runs * count  # otherwise there was nothing to be wrong about
    for rate, number in calls.items():
        assert number / runs <= rate + 3 * np.sqrt(rate * (1 - rate) / runs)


def test_files_hold_the_table(tmp_path, planted):
    import pandas

    records, _ = planted
    records = [replace(r, name=f"a;b={i}") for i, r in enumerate(records)]
    sites = call_sites(word_model()(Sequences.of(records)))
    table = sites.to_pandas()
    assert list(table.columns[:9]) == ["chrom", "start", "end", "strand", "score", "p", "q", "sequence", "consensus"]
    read = pandas.read_parquet(sites.to_parquet(tmp_path / "sites.parquet"))
    pandas.testing.assert_frame_equal(read, table, check_dtype=False)

    rows = [line.split("\t") for line in sites.to_bed(tmp_path / "sites.bed").read_text().splitlines()]
    assert [(r[0], int(r[1]), int(r[2]), r[3], r[5]) for r in rows] == sorted(
        (s.interval.chrom, s.interval.start, s.interval.end, s.consensus, s.interval.strand) for s in sites
    )
    assert all(len(r) == 9 and 0 <= int(r[4]) <= 1000 for r in rows)

    lines = [line for line in sites.to_gff3(tmp_path / "sites.gff3").read_text().splitlines() if line[0] != "#"]
    first, site = lines[0].split("\t"), min(sites, key=lambda s: s.interval)
    assert (int(first[3]), int(first[4])) == (site.interval.start + 1, site.interval.end)
    assert f"in=a%3Bb%3D{site.row}" in first[8] and f"letters={WORD}" in first[8]


def test_without_a_place_the_name_stands_for_the_chromosome(tmp_path, planted):
    records, places = planted
    sites = call_sites(word_model()(Sequences.of([replace(r, interval=None) for r in records])))
    assert {(s.interval, s.place.chrom, s.place.start) for s in sites} == {
        (None, f"peak {i}", at) for i, at in enumerate(places)
    }
    assert sites.to_bed(tmp_path / "s.bed").read_text().count("\n") == 12


def test_no_sites_is_an_answer(tmp_path):
    none = Sites((), 0.05)
    assert len(none.to_pandas()) == 0 and none[:3] == none
    assert none.to_bed(tmp_path / "none.bed").read_text() == ""
    flat = SequenceExplanation.of(Sequences.of(["ACGTACGTAC"]), nucleotides=torch.zeros(1, 10))
    assert len(call_sites(flat, null=flat)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fdr": 0.0}, "fdr=0"),
        ({"sign": "up"}, "sign='up'"),
        ({"threshold": 0}, "threshold=0"),
        ({"smooth": 2}, "smooth=2"),
        ({"min_length": 9, "max_length": 3}, "min_length=9"),
        ({"shuffles": 0}, "shuffles=0"),
        ({"mask": torch.zeros(1, 3, dtype=torch.bool)}, "mask has shape"),
    ],
)
def test_options_out_of_range_are_named(planted, options, message):
    with pytest.raises(InputError, match=message):
        call_sites(word_model()(Sequences.of(planted[0])), **options)


def test_what_cannot_be_compared_is_refused():
    sequences = Sequences.of(["ACGTACGTAC"])
    alone = SequenceExplanation.of(sequences, nucleotides=torch.ones(1, 10))
    with pytest.raises(InputError, match="cannot be asked again"):
        call_sites(alone)
    with pytest.raises(InputError, match="9 letters; expected 10"):
        call_sites(alone, null=SequenceExplanation.of(Sequences.of(["ACGTACGTA"]), nucleotides=torch.ones(1, 9)))
    broken = SequenceExplanation.of(sequences, nucleotides=torch.full((1, 10), float("nan")))
    with pytest.raises(InputError, match="sequence_0 has relevance that is NaN"):
        call_sites(broken, null=alone)
