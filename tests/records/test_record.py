"""A record holds what the model said, can be had again to the last digit, and tells what changed."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import sciexplain as sx
from sciexplain.domains.images import explain as explain_pictures
from sciexplain.domains.images.case import picture_case
from sciexplain.errors import DataError, InputError
from sciexplain.records import check_files, load
from sciexplain.records.sheet import _wrapped


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4 * 6 * 6, 3), nn.Softmax(1)
    ).eval()


@pytest.fixture
def images():
    return torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


COMPOSITES = {
    "preset": "epsilon_plus",
    "none": None,
    "written": sx.Composite(
        [
            ("first", sx.rules.ZBox(torch.zeros(1, 1, 1, 1), 1.0)),
            (nn.Linear, sx.rules.Gamma(0.5)),
            ("2.*", sx.rules.ZPlus()),
        ],
        default=sx.rules.AlphaBeta(3, 2, stabilizer=1e-7),
        attention="attnlrp",
    ),
}


@pytest.mark.parametrize("composite", COMPOSITES.values(), ids=COMPOSITES)
def test_a_record_is_had_again_to_the_last_digit(network, images, composite, tmp_path):
    e = sx.explain(network, images, composite=composite)
    record = e.record(2, name="a scan", labels=["cat", "dog", "owl"])
    alone = sx.explain(network, images[2:3], int(e.target[2]), composite=composite, ledger=True)
    np.testing.assert_array_equal(record.relevance(), alone.relevance[0].numpy())
    assert record.score == float(alone.score)
    conservation = record.document["conservation"]
    total = conservation["relevance"] + sum(conservation["absorbed"].values()) + conservation["gap"]
    assert total == pytest.approx(record.score, abs=1e-5) and abs(conservation["gap"]) < 1e-5

    decision, probabilities = record.document["decision"], network(images[2:3])[0]
    assert decision["stepped_over"] == "softmax" and decision["label"] == ["cat", "dog", "owl"][int(e.target[2])]
    assert [a["class"] for a in decision["alternatives"]] == probabilities.argsort(descending=True).tolist()
    assert [a["probability"] for a in decision["alternatives"]] == pytest.approx(sorted(probabilities.tolist())[::-1])

    read = load(record.save(tmp_path / "record.json"))
    assert read.untouched and read.document == json.loads(json.dumps(record.document))
    found = read.verify(network, images[2:3])
    assert found.identical and not found.versions, list(found.lines())


def test_what_changed_is_told(network, images):
    record = sx.explain(network, images).record(0)

    def different(model, x, record=record):
        found = record.verify(model, x)
        assert not found.identical and next(found.lines()) == "NOT identical"
        return {check.what for check in found.checks if not check.identical}

    assert "input" in different(network, images[1:2])
    other = copy.deepcopy(network)
    with torch.no_grad():
        other[0].weight += 1e-4
    assert different(other, images[:1]) == {"model", "score", "relevance of input"}
    forged = copy.deepcopy(dict(record.document))
    forged["decision"]["score"] += 1
    assert different(network, images[:1], type(record)(forged)) == {"record", "score"}


def test_a_model_that_changed_since_makes_no_record(network, images):
    e = sx.explain(network, images)
    images += 0.5
    with pytest.raises(InputError, match="changed since"):
        e.record(1)


def test_the_model_keeps_its_mode_and_weights(network, images):
    before = {k: v.clone() for k, v in network.state_dict().items()}
    e = sx.explain(network, images, method="gradient")
    network.train()
    state = torch.random.get_rng_state()
    record = e.record(0)
    assert network.training and torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert record.document["conservation"]["absorbed"] is None
    assert any("does not promise" in caveat for caveat in record.caveats)


@pytest.mark.parametrize("left_behind", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_copies_leave_the_model_behind(network, images, left_behind):
    e = sx.explain(network, images)
    assert e.origin.model is network and e.origin.inputs is images
    copied = left_behind(e)
    if left_behind is copy.copy:
        assert copied.origin is e.origin
        return
    assert copied.origin is None
    with pytest.raises(InputError, match="does not know its model"):
        copied.record(0)


def test_every_form_of_input_and_target():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.out = nn.Embedding(10, 4), nn.Linear(8, 2)

        def forward(self, tokens, numbers):
            return self.out(torch.cat([self.embed(tokens).mean(1), numbers], 1))

    torch.manual_seed(0)
    model, inputs = Two().eval(), (torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.randn(2, 4))

    def of_the_user(output):
        return output[:, 0] - output[:, 1]

    e = sx.explain(model, inputs, of_the_user)
    record = e.record(1)
    assert set(record.document["relevance"]) == {"0", "1"}
    assert record.document["question"]["target"].endswith("of_the_user")
    assert record.document["faithfulness"] is None
    one = tuple(x[1:2] for x in inputs)
    with pytest.raises(InputError, match="The target was the function"):
        record.verify(model, one)
    assert record.verify(model, one, target=of_the_user).identical


def test_references_are_given_again(network, images):
    references = torch.rand(4, 3, 1, 8, 8)
    record = sx.explain(network, images, method="deepshap", references=references).record(3)
    with pytest.raises(InputError, match="Give references="):
        record.verify(network, images[3:])
    assert record.verify(network, images[3:], references=references[3:]).identical


def test_signing_off(network, images, tmp_path):
    record = sx.explain(network, images).record(0)
    signed = record.sign("Ada", "statistician", "I have read the caveats.").sign("Bo")
    assert [entry["name"] for entry in signed.signed_off] == ["Ada", "Bo"] and not record.signed_off
    assert load(signed.save(tmp_path / "r.json")) == signed
    with pytest.raises(DataError, match="give a name"):
        record.sign(" ")
    forged = type(record)({**record.document, "caveats": []})
    with pytest.raises(DataError, match="changed since it was made"):
        forged.sign("Ada")


def test_labels_are_as_many_as_classes(network, images):
    with pytest.raises(InputError, match="2 labels"):
        sx.explain(network, images).record(0, labels=["a", "b"])


def test_files_are_looked_at_before_they_are_written(tmp_path):
    (tmp_path / "old.json").write_text("")
    check_files([tmp_path / "new.json", tmp_path / "new.HTML"], overwrite=False)
    check_files([tmp_path / "old.json"], overwrite=True)
    for name, words in (("old.json", "there already"), ("x/new.pdf", "no folder"), ("new.txt", r"\.json, \.html")):
        with pytest.raises(DataError, match=words):
            check_files([tmp_path / "new.json", tmp_path / name], overwrite=False)


@pytest.mark.parametrize("text", ["chr12:54773569-54773669", "one two three four five six", "W" * 30, "a\n\nb", ""])
def test_lines_of_the_sheet_fit_their_column(text):
    """Measured by matplotlib, which draws them."""
    from matplotlib.textpath import TextPath

    lines = _wrapped(text, 1.3, 7.5)
    assert "".join("".join(lines).split()) == "".join(text.split())
    for line in filter(None, lines):
        assert TextPath((0, 0), line, size=7.5).get_extents().width / 72 <= 1.3


def test_pages_say_it_and_escape_it(network, images, tmp_path):
    record = sx.explain(network, images).record(0, name="<script>alert(1)</script>", labels=["a", "$b$", "c"])
    html = record.sign("A & B").save(tmp_path / "r.html").read_text()
    assert "<script>" not in html and "&lt;script&gt;alert(1)" in html and "A &amp; B" in html
    assert "default-src 'none'" in html and all(caveat.split("'")[0] in html for caveat in record.caveats)
    pdf = record.save(tmp_path / "r.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") == 1
    with pytest.raises(DataError, match=r"\.json, \.html or \.pdf"):
        record.save(tmp_path / "r.docx")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no record"),
        ("[]", "is no record"),
        ('{"format": "sciexplain-record", "format_version": 9}', "format 9"),
        ('{"format": "sciexplain-record", "format_version": 1}', "no whole record: it has no 'input'"),
    ],
)
def test_what_is_no_record(content, message, tmp_path):
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "r.json")
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / "none.json")


def test_the_nearest_prototypes_are_named(network, images):
    prototypes = sx.prototypes(network, torch.cat([images, images + 0.1]), 0, k=3, members="all")
    record = sx.explain(network, images).record(1, prototypes=prototypes)
    named = record.document["prototypes"]
    view = prototypes.view
    own = sx.prototypes(network, images[1:2], 0, k=1, members="all", layer=view.layer).features
    far = (prototypes.features - own).norm(dim=1).sort()
    assert [p["distance"] for p in named] == pytest.approx(far.values.tolist())
    assert [p["name"] for p in named] == [f"sample {prototypes.indices[i]}" for i in far.indices.tolist()]
    pictures = explain_pictures(network, images)
    assert pictures.record(1, prototypes=prototypes).document["prototypes"] == named
    with pytest.raises(InputError, match="prototypes is Prototypes; expected for each"):
        sx.records.record(picture_case(pictures, 1), prototypes=prototypes)


def test_a_record_is_of_one_sample(network, images):
    e = sx.explain(network, images)
    for index in (4, 1.5, True):
        with pytest.raises(InputError, match="expected the number of one of the explanation's 4 samples"):
            e.record(index)
    with pytest.raises(InputError, match=r"4 samples; the record is of one: give x\[i : i \+ 1\]"):
        e.record(0).verify(network, images)
