"""Each caveat is there where its figure says so, and nowhere else."""

import pytest
import torch

from sciexplain.records import Answer, caveats
from sciexplain.records.caveats import ALWAYS

GOOD = {"beaten": 20, "random_orders": 20}


def decision(probability=0.99, logits=(4.0, 0.0), target=0):
    alternatives = [
        {"class": i, "label": f"k{i}", "logit": logit, "probability": probability} for i, logit in enumerate(logits)
    ]
    return {"probability": probability, "alternatives": alternatives, "target": target, "label": f"k{target}"}


def answer(relevance=(3.0, 1.0), score=4.0, **others):
    others = {"absorbed": {"bias": 0.0, "stabilizer": 0.0, "unruled": 0.0}, "gap": 0.0, "conserves": True, **others}
    return Answer({"input": torch.tensor(relevance)}, torch.tensor([4.0, 0.0]), score, 0, **others)


def test_a_sure_and_faithful_decision_has_only_what_always_holds():
    assert caveats(answer(), decision(), GOOD) == list(ALWAYS)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ((answer(unknown=(("lgamma", "net", 2),)), decision(), GOOD), "lgamma"),
        ((answer(gap=0.1), decision(), GOOD), "ledger does not close"),
        ((answer(), decision(), None), "not measured"),
        ((answer(), decision(), {"beaten": 18, "random_orders": 20}), "Only 18 of 20"),
        ((answer(conserves=False), decision(), GOOD), "does not promise"),
        ((answer(absorbed={"bias": 2.0}), decision(), GOOD), "Biases inside the model carry 2 of the score 4"),
        ((answer(relevance=(10.0, -9.0)), decision(), GOOD), "largely cancels"),
        ((answer(), decision(probability=0.6), GOOD), "not sure"),
        ((answer(), decision(logits=(4.0, 3.9)), GOOD), "Class k1 comes so close to class k0"),
        ((answer(), decision(target=1), GOOD), "is class k1, which is not what the model predicts: that is class k0"),
    ],
)
def test_each_caveat_alone(case, words):
    found = caveats(*case)
    assert len(found) == 1 + len(ALWAYS) and words in found[0]
