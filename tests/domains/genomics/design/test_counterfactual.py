"""The nearest sequence with another prediction, against all sequences within so many edits."""

import json
from itertools import combinations, product

import pytest
import torch
from torch import nn

from sciexplain.domains import genomics
from sciexplain.domains.genomics.design import counterfactual
from sciexplain.errors import InputError, TargetError

LETTERS = "ACGT"
START = "ACGTTGACAT"


def network(seed, outputs=3):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv1d(4, 8, 4), nn.ReLU(), nn.Conv1d(8, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(40, outputs)
    ).eval()


def says(model, texts):
    with torch.no_grad():
        return model(genomics.encode(list(texts)))


def within(text, edits):
    """All sequences with exactly so many edits."""
    for places in combinations(range(len(text)), edits):
        for letters in product(*([x for x in LETTERS if x != text[p]] for p in places)):
            changed = list(text)
            for p, x in zip(places, letters, strict=True):
                changed[p] = x
            yield "".join(changed)


def fewest(model, start, changed, allowed=lambda text: True, most=3):
    """By trying all: the fewest edits after which ``changed(outputs)`` holds."""
    for edits in range(1, most + 1):
        texts = [t for t in within(start, edits) if allowed(t)]
        if texts and bool(changed(says(model, texts)).any()):
            return edits
    return None


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("target", [None, "least"])
def test_as_few_edits_as_there_can_be(seed, target):
    model = network(seed)
    outputs = says(model, [START])[0]
    predicted = int(outputs.argmax())
    wanted = None if target is None else int(outputs.argmin())
    one = counterfactual(model, START, wanted, edits=4)[0]
    expected = fewest(model, START, lambda y: y.argmax(1) != predicted if wanted is None else y.argmax(1) == wanted)
    if expected is None:
        assert one.at_least == 3 and not one.proven
        return
    assert one.found and one.at_least == min(expected, 3)
    if expected <= 3 and len(one.edits) == expected:
        assert one.proven
    assert expected > 2 or (one.proven and len(one.edits) == expected)
    assert sum(a != b for a, b in zip(START, one.sequence, strict=True)) == len(one.edits)
    assert one.after == pytest.approx(says(model, [one.sequence])[0].tolist(), abs=1e-5)
    assert one.before == pytest.approx(outputs.tolist(), abs=1e-5) and one.class_before == predicted
    assert one.class_after != predicted if wanted is None else one.class_after == wanted


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_a_threshold_is_crossed_from_either_side(seed, squash):
    model = network(seed, 1)
    texts = [START, "TTTTTTTTTT"]
    middle = float(says(model, texts).mean())
    asked = nn.Sequential(model, nn.Sigmoid()) if squash else model
    for one, text in zip(counterfactual(asked, texts, threshold=middle), texts, strict=True):
        before = float(says(model, [text])[0])
        after = float(says(model, [one.sequence])[0])
        assert (before > middle) != (after > middle) and one.class_before is None
        assert one.before == pytest.approx((before,), abs=1e-4) and one.after == pytest.approx((after,), abs=1e-4)
        expected = fewest(model, text, lambda y, b=before: (y[:, 0] > middle) != (b > middle), most=2)
        assert expected is None or (one.proven and len(one.edits) == expected)


def test_one_output_of_several_by_a_threshold():
    model = network(0)
    value = float(says(model, [START])[0, 2])
    one = counterfactual(model, START, 2, threshold=value + 0.1)[0]
    assert float(says(model, [one.sequence])[0, 2]) > value + 0.1 and len(one.after) == 1
    same = counterfactual(model, START, lambda y: y[:, 2], threshold=value + 0.1)[0]
    assert same.sequence == one.sequence


def test_each_gain_is_what_taking_it_back_loses():
    model = network(1)
    one = counterfactual(model, START, int(says(model, [START])[0].argmin()))[0]
    wanted, others = one.class_after, [c for c in range(3) if c != one.class_after]

    def margin(text):
        y = says(model, [text])[0]
        return float(y[wanted] - y[others].max())

    for edit in one.edits:
        back = one.sequence[: edit.position] + edit.before + one.sequence[edit.position + 1 :]
        assert edit.gain == pytest.approx(margin(one.sequence) - margin(back), abs=1e-5)
        assert margin(back) <= 0  # or it would not be needed


@pytest.mark.parametrize("seed", range(3))
def test_constraints_and_positions_hold_and_count_for_the_proof(seed):
    model = network(seed)
    predicted = int(says(model, [START])[0].argmax())

    def allowed(text):
        free = all(text[i] == START[i] for i in (0, 1, 9))
        return free and "TG" not in text and "CA" not in text and sum(x in "GC" for x in text) == 5

    one = counterfactual(model, START, gc=(0.5, 0.5), forbidden=["TG"], positions=(2, 9), edits=5)[0]
    expected = fewest(model, START, lambda y: y.argmax(1) != predicted, allowed)
    assert one.at_least <= (expected or 99)
    if one.found:
        assert allowed(one.sequence) and len(one.edits) >= (expected or 4)
        assert not one.proven or len(one.edits) == expected


def test_what_is_not_found_says_what_is_needed():
    model = nn.Sequential(nn.Flatten(), nn.Linear(40, 1, bias=False)).eval()
    model.layout = "NCL"
    nn.init.ones_(model[1].weight)
    one = counterfactual(model, START, threshold=20.0, edits=3)[0]
    assert not one.found and one.at_least == 3 and one.after == () and "needs 3 edits or more" in str(one)
    unproven = counterfactual(model, START, threshold=20.0, edits=3, pairs=10)[0]
    assert unproven.at_least == 2


def test_written_and_read(tmp_path):
    found = counterfactual(network(0), [START, "ACACACACAC"], edits=4)
    content = json.loads(found.to_json(tmp_path / "c.json").read_text())["counterfactuals"]
    assert [c["sequence"] for c in content] == [one.sequence for one in found]
    assert [c["proven"] for c in content] == [one.proven for one in found] and len(found[:1]) == 1
    (one, other), about = found, found.to_json(tmp_path / "d.json", {"model": "m"})
    assert json.loads(about.read_text())["model"] == "m"
    assert found.to_fasta(tmp_path / "c.fa").read_text() == "".join(
        f">{c.name} edits={len(c.edits)} {','.join(map(str, c.edits))}\n{c.sequence}\n" for c in (one, other) if c.found
    )


def test_the_model_is_left_alone():
    model = network(0).train()
    state = torch.random.get_rng_state()
    counterfactual(model, START)
    assert all(m.training for m in model.modules()) and torch.equal(torch.random.get_rng_state(), state)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("target", "options", "error", "message"),
    [
        (9, {}, TargetError, "expected a class, 0 to 2"),
        ("predicted", {}, TargetError, "is predicted as class . already"),
        (None, {"threshold": 0.5}, TargetError, "say which is meant"),
        (None, {"edits": 0}, InputError, "edits=0"),
        (0, {"threshold": float("nan")}, InputError, "threshold=nan"),
        (None, {"positions": (3, 2)}, InputError, "within 0 to 10"),
        (None, {"forbidden": ["A"], "positions": (1, 10)}, InputError, "whatever letters change"),
    ],
)
def test_wrong_questions_are_told(target, options, error, message):
    model = network(0)
    target = int(says(model, [START])[0].argmax()) if target == "predicted" else target
    with pytest.raises(error, match=message):
        counterfactual(model, START, target, **options)
