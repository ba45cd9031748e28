"""All forms of a target say the same thing; what does not fit the output is refused in a sentence."""

import numpy as np
import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx

CLASSES = torch.tensor([2, 0, 1, 2])
NET = randomize(nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)))
X = sample(4, 5)
ONE_HOT = torch.nn.functional.one_hot(CLASSES, 3).double()


def explained(target, net=NET, x=X, **options):
    return sx.explain(net, x, target, **options)


#: forms of the same per-sample classes
FORMS = {
    "int32 tensor": CLASSES.int(),
    "uint8 tensor": CLASSES.to(torch.uint8),
    "counted from the end": CLASSES - 3,
    "list": CLASSES.tolist(),
    "tuple": tuple(CLASSES.tolist()),
    "numpy": CLASSES.numpy(),
    "one-hot times output": ONE_HOT * NET(X).detach(),
    "numpy start relevance": (ONE_HOT * NET(X).detach()).numpy(),
    "callable": lambda y: y.gather(1, CLASSES[:, None])[:, 0],
    "callable that sums to (N,)": lambda y: (y * ONE_HOT).sum(1),
}


@pytest.mark.parametrize("method", ["lrp", "gradient", "integrated_gradients", "smoothgrad"])
@pytest.mark.parametrize("form", FORMS)
def test_forms_of_classes(form, method):
    expected, found = explained(CLASSES, method=method), explained(FORMS[form], method=method)
    torch.testing.assert_close(found.relevance, expected.relevance)
    torch.testing.assert_close(found.score, expected.score)


@pytest.mark.parametrize("number", [1, -2, np.int64(1), np.array(1), torch.tensor(1), torch.tensor([1])])
def test_one_class_for_all(number):
    found = explained(number)
    assert torch.equal(found.relevance, explained(torch.full((4,), 1)).relevance)
    assert found.target.tolist() == [1] * 4 and torch.equal(found.score, NET(X)[:, 1].detach())


def test_what_the_result_tells():
    e = explained(CLASSES - 3)
    assert torch.equal(e.target, CLASSES)
    assert torch.equal(e.score, NET(X).detach()[range(4), CLASSES])
    assert torch.equal(e.output, NET(X).detach())
    assert explained(lambda y: y[:, 0]).target is None and explained(ONE_HOT).target is None


def test_none_is_the_predicted_class():
    e = explained(None)
    assert torch.equal(e.target, NET(X).argmax(1)) and torch.equal(e.score, NET(X).amax(1).detach())


#: net from (4, 5), target, the same as a callable; the output is dense or has one value
DENSE = randomize(nn.Sequential(nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 3, 2)))  # (N, 3, 4)
ONE = randomize(nn.Linear(5, 1))
OTHER_OUTPUTS = {
    "(N,)": (lambda x: ONE(x)[:, 0], None, lambda y: y),
    "(N,) by index": (lambda x: ONE(x)[:, 0], 0, lambda y: y),
    "(N, 1)": (ONE, None, lambda y: y[:, 0]),
    "(N, 1), negative index": (ONE, -1, lambda y: y[:, 0]),
    "(N, C, 1)": (lambda x: NET(x)[..., None], None, lambda y: y.amax((1, 2))),
    "(N, C, 1, 1)": (lambda x: NET(x)[..., None, None], CLASSES, lambda y: (y[..., 0, 0] * ONE_HOT).sum(1)),
    "(N, 1, L)": (lambda x: DENSE(x)[:, :1], 0, lambda y: y.sum((1, 2))),
    "(N, C, L)": (DENSE, 2, lambda y: y[:, 2].sum(1)),
    "(N, C, L), per sample": (DENSE, CLASSES, lambda y: (y.sum(2) * ONE_HOT).sum(1)),
    "(N, C, H, W)": (lambda x: DENSE(x).unflatten(2, (2, 2)), 1, lambda y: y[:, 1].sum((1, 2))),
}  # fmt: skip


@pytest.mark.parametrize("output", OTHER_OUTPUTS)
def test_other_outputs(output):
    net, target, as_callable = OTHER_OUTPUTS[output]
    a, b = explained(target, net), explained(as_callable, net)
    torch.testing.assert_close(a.relevance, b.relevance)
    torch.testing.assert_close(a.score, b.score)
    assert a.score.shape == (4,)


def test_region():
    mask = sample(4, 4) > 0
    region = explained(lambda y: (y[:, 1] * mask).sum(1), DENSE)
    start = torch.zeros(4, 3, 4).double()
    start[:, 1] = DENSE(X)[:, 1].detach() * mask
    torch.testing.assert_close(region.relevance, explained(start, DENSE).relevance)
    torch.testing.assert_close(region.score, start.sum((1, 2)))


def test_start_relevance_is_linear():
    a, b = sample(4, 3, seed=5), sample(4, 3, seed=6)
    both = explained(2 * a - b).relevance
    torch.testing.assert_close(both, 2 * explained(a).relevance - explained(b).relevance)
    torch.testing.assert_close(explained(a).score, a.sum(1))


def test_nothing_starts_on_an_output_of_zero():
    net = nn.Sequential(randomize(nn.Linear(5, 3, bias=False)), nn.ReLU())
    start = sample(4, 3, seed=5)
    dead = net(X) == 0
    assert dead.any() and not dead.all()
    e = explained(start, net, composite=sx.Composite(default=sx.rules.Epsilon(0)))
    torch.testing.assert_close(e.score, start.masked_fill(dead, 0).sum(1))
    torch.testing.assert_close(e.relevance.sum(1), e.score)
    assert not explained(torch.ones(4, 3), lambda x: x[:, :3] * 0).relevance.any()


GRAPHS = {
    "one value": (lambda y: y[:, 0], None),
    "class": (lambda y: y, 0),
    "callable on a tensor": (lambda y: y, lambda y: y[:, 0]),
    "callable on a dict": (lambda y: {"charge": y[:, 1], "energy": y[:, 0]}, lambda out: out["energy"]),
    "callable on a tuple": (lambda y: (None, y), lambda out: out[1][:, 0]),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_fewer_scores_than_rows(case):
    """Two molecules of three and one atoms: the output has fewer rows than the input."""
    output, target = GRAPHS[case]

    def model(x, molecule):
        return output(torch.zeros(2, 3).double().index_add(0, molecule, NET(x)))

    e = explained(target, model, (X, torch.tensor([0, 0, 1, 0])))
    expected = explained(0).relevance, NET(X)[:, 0].detach()
    torch.testing.assert_close(e.relevance[0], expected[0])
    torch.testing.assert_close(e.score, torch.stack([expected[1][[0, 1, 3]].sum(), expected[1][2]]))


REFUSED = {
    "int": (3, r"target 3 is out of range: the model has 3 outputs \(0 to 2\), output shape \(4, 3\)"),
    "negative": (-4, r"target -4 is out of range"),
    "tensor": (torch.tensor([0, 1, 5, 9]), r"target 5 is out of range"),
    "list": ([0, 1, 2, 3], r"target 3 is out of range"),
    "too short": (torch.tensor([0, 1]), r"shape \(2,\).*expected class indices of shape \(4,\)"),
    "column": (CLASSES[:, None], r"shape \(4, 1\).*expected class indices of shape \(4,\)"),
    "one-hot of integers": (ONE_HOT.long(), r"shape \(4, 3\) and torch.int64; expected class indices"),
    "truth value": (True, r"target=True: expected a class index, not a truth value"),
    "truth values": (CLASSES > 0, r"torch.bool; expected class indices"),
    "numpy truth values": (CLASSES.numpy() > 0, r"torch.bool; expected class indices"),
    "float classes": (CLASSES.double(), r"shape \(4,\), the output \(4, 3\); a float target is the start relevance"),
    "float": (1.5, r"shape \(\), the output \(4, 3\)"),
    "NaN": (torch.full((4, 3), torch.nan), r"target.*NaN"),
    "name": ("cat", r"target='cat': expected None, a class index"),
    "ragged": ([[0], [1, 2]], r"target=\[\[0\], \[1, 2\]\]: expected None"),
    "callable, wrong shape": (lambda y: y, r"returned \(4, 3\); expected a tensor of shape \(N,\)"),
    "callable, wrong number": (lambda y: y[:2, 0], r"returned \(2,\).*4"),
    "callable, one number": (lambda y: y.sum(), r"returned \(\).*\(N,\)"),
    "callable, no tensor": (lambda y: 1.0, r"returned float; expected a tensor of shape \(N,\)"),
}  # fmt: skip


@pytest.mark.parametrize("method", ["lrp", "gradient"])
@pytest.mark.parametrize("target", REFUSED)
def test_refused(target, method):
    value, message = REFUSED[target]
    with pytest.raises(sx.TargetError, match=message):
        explained(value, method=method)


def test_a_dense_output_needs_a_target():
    with pytest.raises(sx.TargetError, match=r"shape \(4, 3, 4\); for a dense output give a class"):
        explained(None, DENSE)
