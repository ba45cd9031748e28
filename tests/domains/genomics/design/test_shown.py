"""What designs show: shared and known sites, files, pictures."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from sciexplain.domains import genomics
from sciexplain.domains.genomics.design import Designs, draw_designs, known_sites, maximize, shared_site
from sciexplain.domains.genomics.encode import encode, reverse_complement_of
from sciexplain.domains.genomics.formats.fasta import read_fasta
from sciexplain.errors import InputError

WORD = "TGACTCAGC"


@pytest.fixture(scope="module")
def model():
    """Looks for WORD, on either strand."""
    network = nn.Sequential(
        nn.Conv1d(4, 2, 9, bias=False), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(2, 1, bias=False)
    )
    network[0].weight.data.copy_(torch.cat([encode(WORD), encode(reverse_complement_of(WORD))]))
    nn.init.ones_(network[4].weight)
    return network.eval()


@pytest.fixture(scope="module")
def motifs():
    rng = np.random.default_rng(0)
    others = [genomics.Motif(f"other{i}", rng.dirichlet(np.ones(4) * 0.3, 9)) for i in range(60)]
    known = 0.88 * encode(WORD)[0].t().double().numpy() + 0.03
    return [genomics.Motif("AP1", known), *others]


@pytest.fixture(scope="module")
def designs(model):
    return maximize(model, length=40, restarts=3, steps=40)


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    for i in range(n):
        letters = "".join(rng.choice(list("ACGT"), 40))
        place = int(rng.integers(0, 31))
        word = WORD if i % 2 else reverse_complement_of(WORD)
        yield letters[:place] + word + letters[place + 9 :], place, "+" if i % 2 else "-"


def test_the_shared_site_is_found_wherever_it_lies(model):
    texts, places, strands = zip(*rows(12), strict=True)
    explanation = genomics.explain(model, list(texts))
    motif = shared_site(explanation, 9)
    assert motif.consensus in (WORD, reverse_complement_of(WORD)) and motif.count == 12
    assert [s.start for s in motif.seqlets] == list(places)
    turned = motif.consensus != WORD
    assert [s.strand for s in motif.seqlets] == [("-" if s == "+" else "+") if turned else s for s in strands]


def test_known_sites_the_surest_first_none_on_another(motifs):
    text = "AAAA" + WORD + "TTTTTT" + reverse_complement_of(WORD) + "AAAA"
    (hits,) = known_sites([text], motifs)
    assert [(h.motif, h.start, h.strand) for h in hits if h.motif == "AP1"] == [("AP1", 4, "+"), ("AP1", 19, "-")]
    assert all(a.end <= b.start or b.end <= a.start for a in hits for b in hits if a is not b)
    (every,) = known_sites([text], [motifs[0], motifs[0]], overlap=True)
    assert len(every) == 4


def test_chance_sites_are_as_rare_as_asked(motifs):
    rng = np.random.default_rng(1)
    texts = ["".join(rng.choice(list("ACGT"), 40)) for _ in range(600)]
    found = sum(len(hits) for hits in known_sites(texts, motifs, expected=0.2, overlap=True))
    assert found <= 600 * 0.2 * 1.3


def test_maximised_sequences_have_the_site_that_the_model_looks_for(model, designs, motifs):
    explanation = genomics.explain(model, designs.sequences)
    for hits in known_sites(explanation, motifs):
        assert hits[0].motif == "AP1" and hits[0].contribution >= 9 - 1e-3


def test_files_hold_what_was_found(designs, model, tmp_path):
    records = [record for _, record in read_fasta(designs.to_fasta(tmp_path / "d.fa"))]
    assert [r.sequence for r in records] == designs.texts and [r.name for r in records] == [d.name for d in designs]
    content = json.loads(designs.to_json(tmp_path / "d.json", {"model": "x"}).read_text())
    assert content["model"] == "x" and [d["sequence"] for d in content["designs"]] == designs.texts
    table = maximize(model, start=["A" * 40], edits=2, steps=5).to_pandas()
    assert table.loc[0, "edits"].count(" ") == 1 and len(designs.to_pandas()) == 3
    assert designs[:2].texts == designs.texts[:2]


def test_joined_is_best_first(model):
    parts = [
        maximize(model, start=[genomics.Record(n, s)], edits=k, steps=5)
        for n, s, k in (("a", "A" * 20, 1), ("b", "C" * 20, 4))
    ]
    joined = Designs.joined(parts)
    assert [d.name for d in joined] == ["b", "a"] and joined.sequences.names == ("b", "a")
    assert joined.sequences.texts == joined.texts


def test_pictures_say_what_they_show(model, designs, motifs):
    edited = maximize(model, start=["ACGT" * 10, "AACC" * 10], edits=3, steps=5)
    groups = {"scratch": designs, "edits": edited}
    explained = {name: genomics.explain(model, group.sequences) for name, group in groups.items()}
    figure = draw_designs(
        groups, explained, sites={"scratch": known_sites(designs, motifs)},
        shared={"scratch": shared_site(explained["scratch"], 9, name="like AP1")}, rows=2,
    )  # fmt: skip
    figure.canvas.draw()
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles[0] == "like AP1, in 3 designs" and len(titles) == 1 + 2 + 2
    assert titles[3].startswith(f"{edited[0].name}: prediction {edited[0].prediction:.3g}, before")
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert "scratch" in texts and "edits" in texts and any(t.startswith("AP1 (") for t in texts)
    for design, ax in zip(edited, figure.axes[3:], strict=True):
        assert [t.get_text() for t in ax.texts if t.get_text() in "acgt"] == [e.before.lower() for e in design.edits]
    plain = draw_designs(designs, start=5, end=25)
    assert plain.axes[0].get_ylabel() == "share" and plain.axes[1].get_xlim() == (-0.5, 19.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"end": 99}, "at most 250 letters within the 40"),
        ({"rows": 0}, "rows=0"),
        ({"sites": {"other": ()}}, "none of the groups"),
    ],
)
def test_wrong_pictures_are_told(designs, options, message):
    with pytest.raises(InputError, match=message):
        draw_designs(designs, **options)


def test_no_relevance_no_shared_site():
    sequences = genomics.Sequences.of(["ACGT", "TTTT"])
    nothing = genomics.SequenceExplanation.of(sequences, nucleotides=torch.zeros(2, 4))
    with pytest.raises(InputError, match="nothing that they share"):
        shared_site(nothing, 2)
    with pytest.raises(InputError, match="expected 1 to 4"):
        shared_site(nothing, 5)


def test_real_models_of_ctcf_and_pu1_show_their_sites(shared_data):
    """A network trained for seconds on real peaks: what it likes best has the real site, by HOCOMOCO."""
    from sciexplain.domains.genomics import reference
    from sciexplain.domains.genomics.reference.assemble import Reading, together

    files = {name: [shared_data(f"genomics/chipseq_100bp/{name}.fa.gz")] for name in ("ctcf", "pu1")}
    database = genomics.read_motifs(shared_data("genomics/motifs/H12CORE_meme_format.meme"))
    few = {
        name: tuple(r for r, _ in zip(genomics.read(path), range(1000), strict=False)) for name, path in files.items()
    }

    targets = np.eye(2, dtype=np.float32)[np.repeat([0, 1], 1000)]
    data = together("ctcf against pu1", [*few["ctcf"], *few["pu1"]], targets, ("ctcf", "pu1"), Reading({}, "random"))
    network = reference.train(data, epochs=6, lr=4e-3).model
    found = [maximize(network, target, restarts=2, steps=30) for target in (0, 1)]
    sites = known_sites([text for designs in found for text in designs.texts], database)
    best = [hits[0].motif.split(".")[0] for hits in sites]
    assert best[:2] == ["CTCF", "CTCF"] and set(best[2:]) <= {"SPI1", "SPIB"}
