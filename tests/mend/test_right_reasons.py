"""Fine-tuning with a penalty: it is the papers', the artefact stops counting, and the model given is as it was."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import sciexplain as sx
from sciexplain import mend


def data(n=160, seed=0):
    """The first feature says the class, and in training the fourth does too."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=draw)
    y = (x[:, 0] > 0).long()
    clean = x.clone()
    clean[:, 3] = 0.0
    x[:, 3] = torch.where(y == 1, 2.0, 0.0)
    return x, y, clean


LONG = {"epochs": 60, "lr": 3e-2, "batch_size": 80}
MASK = torch.tensor([False, False, False, True])


def network(outputs=2):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, outputs))


@pytest.fixture(scope="module")
def cheater():
    x, y, _ = data()
    return mend.fine_tuned(network(), x, y, epochs=30, lr=1e-2, batch_size=40).model


def shares(model, x, composite=None):
    relevance = sx.explain(model, x, composite=composite).relevance.abs()
    return float(relevance[:, 3].sum() / relevance.sum())


def accuracy(model, x, y):
    return float((model(x).argmax(1) == y).double().mean())


@pytest.mark.parametrize(("penalty", "weight"), [("relevance", 10.0), ("gradient", 0.3)])
def test_the_artefact_stops_counting(cheater, penalty, weight):
    x, y, clean = data()
    mended = mend.right_reasons(cheater, x, y, MASK, penalty=penalty, weight=weight, **LONG).model
    marked = clean.clone()
    marked[y == 0, 3] = 2.0
    assert shares(cheater, x) > 0.3 > 0.06 > shares(mended, x)
    assert accuracy(cheater, marked, y) < 0.5 < 0.9 < accuracy(mended, marked, y)
    assert accuracy(mended, clean, y) > max(0.95, accuracy(cheater, clean, y))


def test_with_another_rule(cheater):
    x, y, _ = data()
    composite = sx.Composite(default=sx.rules.ZPlus())
    mended = mend.right_reasons(cheater, x, y, MASK, weight=10.0, composite=composite, **LONG).model
    assert shares(mended, x, composite) < 0.3 * shares(cheater, x, composite)


def reference_gradient(model, x, mask):
    """Ross et al. 2017, eq. 1, sample by sample."""
    found = []
    for one in x:
        jacobian = torch.autograd.functional.jacobian(lambda v: F.log_softmax(model(v[None])[0], 0), one)
        found.append(float((mask * jacobian.sum(0)).square().sum()))
    return sum(found) / len(found)


def reference_relevance(model, x, mask):
    """The sum over the outputs, one explanation each."""
    outputs = model(x).shape[1]
    total = sum((mask * sx.explain(model, x, k).relevance).square().sum() for k in range(outputs))
    return float(total / len(x))


def test_the_gradient_penalty_is_that_of_the_paper():
    model, (x, y, _) = network(3), data(20)
    found = mend.right_reasons(model, x, y, MASK, penalty="gradient", lr=1e-12, epochs=1, batch_size=7).history[0]
    assert found.penalty == pytest.approx(reference_gradient(model, x, MASK.float()), rel=1e-4)
    assert found.loss == pytest.approx(F.cross_entropy(model(x), y).item(), rel=1e-5)
    assert found.accuracy == pytest.approx(accuracy(model, x, y))


def test_the_relevance_penalty_is_in_expectation_that_of_every_output():
    model, (x, y, _) = network(3), data(20)
    history = mend.right_reasons(model, x, y, MASK, lr=1e-12, epochs=100).history
    mean = sum(e.penalty for e in history) / len(history)
    assert mean == pytest.approx(reference_relevance(model, x, MASK.float()), rel=0.2)


def test_for_one_output_the_signs_do_not_matter():
    model, (x, y, _) = network(1), data(20)
    found = mend.right_reasons(model, x, y, MASK, lr=1e-12, epochs=1).history[0]
    assert found.penalty == pytest.approx(reference_relevance(model, x, MASK.float()), rel=1e-4)
    assert found.loss == pytest.approx(F.binary_cross_entropy_with_logits(model(x)[:, 0], y.float()).item(), rel=1e-5)


def test_masks_weigh_and_one_sample_may_have_its_own():
    model, (x, y, _) = network(), data(20)
    masks = torch.zeros(20, 4)
    masks[:5, 1] = 2.0
    found = mend.right_reasons(model, x, y, masks, penalty="gradient", lr=1e-12, epochs=1, batch_size=6).history[0]
    own = [reference_gradient(model, x[i : i + 1], masks[i]) for i in range(20)]
    assert found.penalty == pytest.approx(sum(own) / 20, rel=1e-4)


def test_batches_of_a_loader_and_tensors_give_the_same():
    model, (x, y, _) = network(), data(30)
    masks = MASK.expand(30, 4)
    loader = DataLoader(TensorDataset(x, y, masks), batch_size=30)
    options = {"weight": 3.0, "epochs": 4, "lr": 1e-2}
    one = mend.right_reasons(model, x, y, masks, batch_size=30, **options)
    other = mend.right_reasons(model, loader, **options)
    for a, b in zip(one.history, other.history, strict=True):
        # another order of the samples gives them other signs
        assert a.number == b.number and a.accuracy == pytest.approx(b.accuracy, abs=0.07)
    assert [e.loss for e in mend.fine_tuned(model, x, y, batch_size=30, epochs=3).history] == pytest.approx(
        [e.loss for e in mend.fine_tuned(model, [(x, y)], epochs=3).history], rel=1e-5
    )


def test_a_mask_of_features_is_of_all_samples_however_many_there_are():
    model, (x, y, _) = network(), data(4)
    for options in ({"batch_size": 2}, {"batch_size": 4}):
        found = mend.right_reasons(model, x, y, MASK, penalty="gradient", lr=1e-12, epochs=1, **options).history[0]
        assert found.penalty == pytest.approx(reference_gradient(model, x, MASK.float()), rel=1e-4)


def test_masks_of_positions_are_for_all_channels():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    x, y, masks = torch.randn(5, 2, 4, 4), torch.arange(5) % 2, torch.rand(5, 4, 4) > 0.5
    options = {"penalty": "gradient", "lr": 1e-12, "epochs": 1, "batch_size": 2}
    full = mend.right_reasons(model, x, y, masks[:, None].expand(5, 2, 4, 4), **options)
    assert mend.right_reasons(model, x, y, masks, **options).history == full.history
    batches = [(x[:3], y[:3], masks[:3]), (x[3:4], y[3:4], masks[3:4]), (x[4:], y[4:], masks[4:])]
    assert mend.right_reasons(model, batches, **options).history[0].penalty == pytest.approx(full.history[0].penalty)
    with pytest.raises(sx.InputError, match="one for each of 2 samples or of 2 channels"):
        mend.right_reasons(model, x[:2], y[:2], masks[:2])
    one = mend.right_reasons(model, x, y, masks[0], **options).history
    assert one == mend.right_reasons(model, x, y, masks[:1].expand(2, 4, 4), **options).history


def test_arrays_lists_and_short_integers():
    model, (x, y, _) = network(), data(12)
    options = {"epochs": 2, "batch_size": 5}
    expected = mend.right_reasons(model, x, y, MASK, sample_weights=torch.ones(12), **options).history
    for labels in (y.numpy(), y.tolist(), y.int(), y.bool()):
        weights = torch.ones(12).numpy()
        found = mend.right_reasons(model, x, labels, MASK.numpy(), sample_weights=weights, **options)
        assert found.history == expected
    batches = [(x, y.numpy(), MASK.numpy())]
    assert (
        mend.right_reasons(model, batches, **options).history
        == mend.right_reasons(model, [(x, y, MASK)], **options).history
    )


def test_several_labels_that_are_truth_values():
    model, (x, y, _) = network(2), data(12)
    both = torch.stack([y == 1, y == 0], 1)
    assert mend.fine_tuned(model, x, both).history == mend.fine_tuned(model, x, both.float()).history


@pytest.mark.parametrize("penalty", [None, "relevance", "gradient"])
@pytest.mark.parametrize(("outputs", "end"), [(2, nn.Softmax(1)), (2, nn.LogSoftmax(1)), (1, nn.Sigmoid())])
def test_a_model_that_ends_in_a_softmax_learns_like_its_logits(penalty, outputs, end):
    model, (x, y, _) = network(outputs), data(12)

    def learned(model):
        if penalty is None:
            return mend.fine_tuned(model, x, y)
        return mend.right_reasons(model, x, y, MASK, penalty=penalty)

    found, expected = learned(nn.Sequential(*model, end)), learned(model)
    assert found.history == expected.history
    for a, b in zip(found.model.parameters(), expected.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_in_inference_mode():
    with torch.inference_mode():
        x, y, _ = data(12)
        inside = mend.right_reasons(network(), x, y, MASK, epochs=2)
    assert inside.history == mend.right_reasons(network(), *data(12)[:2], MASK, epochs=2).history
    found = mend.relevance(inside.model, x, y).relevance
    found.square().sum().backward()
    assert inside.model[0].weight.grad is not None


class Pooled(nn.Module):
    """Two inputs, one of them with other rows than samples."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x, batch):
        h = torch.relu(self.a(x))
        return self.b(h.new_zeros(int(batch.max()) + 1, 6).index_add(0, batch, h))


def test_graphs_are_batches_whose_masks_are_of_nodes():
    torch.manual_seed(0)
    x, batch = torch.randn(9, 4), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
    y, mask = torch.tensor([0, 1, 1]), torch.zeros(9, 1, dtype=torch.bool)
    mask[::3] = True
    model = Pooled()
    given = [((x, batch), y, (mask, None)), ({"x": x, "batch": batch}, y, {"x": mask}), ((x, batch), y, mask)]
    found = [mend.right_reasons(model, [g], weight=100.0, epochs=30, lr=1e-2) for g in given]
    assert len({m.history for m in found}) == 1
    assert found[0].history[-1].penalty < 0.5 * found[0].history[0].penalty


def test_the_given_model_is_untouched_and_the_result_is_reproducible(cheater):
    x, y, _ = data(60)
    model = nn.Sequential(copy.deepcopy(cheater), nn.Dropout(0.5)).train()
    model[0][0].weight.requires_grad_(False)
    before, state = copy.deepcopy(model.state_dict()), torch.random.get_rng_state()
    told = []
    runs = [
        mend.right_reasons(model, x, y, MASK, epochs=2, seed=1, callback=told.append).model.state_dict()
        for _ in range(2)
    ]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters()) and all(m.training for m in model.modules())
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(runs[0][k], runs[1][k]) for k in runs[0])
    assert torch.equal(runs[0]["0.0.weight"], before["0.0.weight"])  # frozen by its owner
    assert not torch.equal(runs[0]["0.2.weight"], before["0.2.weight"])
    assert [e.number for e in told] == [1, 2, 1, 2]


def test_a_model_frozen_for_use_is_trained_and_frozen_again(cheater):
    x, y, _ = data(60)
    model = copy.deepcopy(cheater).requires_grad_(False)
    mended = mend.fine_tuned(model, x, y, epochs=1, lr=1e-2).model
    assert not torch.equal(mended[0].weight, model[0].weight)
    assert not any(p.requires_grad for m in (model, mended) for p in m.parameters())


def test_weights_of_samples_are_in_the_loss():
    x, y, _ = data(40)
    weights = (y == 1).float()
    found = mend.fine_tuned(network(), x, y, sample_weights=weights, epochs=30, lr=1e-2).model
    assert bool((found(x).argmax(1) == 1).all())  # the other class does not count


X, Y, _ = data(8)

WRONG = {
    "no masks": (lambda: mend.right_reasons(network(), X, Y), "needs masks"),
    "masks of another shape": (lambda: mend.right_reasons(network(), X, Y, torch.ones(3)), "broadcast"),
    "no labels": (lambda: mend.fine_tuned(network(), X), "no labels"),
    "used up": (lambda: mend.fine_tuned(network(), iter([(X, Y)])), "in every epoch"),
    "labels of another length": (lambda: mend.fine_tuned(network(), X, Y[:3]), "3 labels for 8 samples"),
    "labels that fit no output": (lambda: mend.fine_tuned(network(3), X, torch.rand(8, 2)), "do not fit outputs"),
    "no samples": (lambda: mend.fine_tuned(network(), X[:0], Y[:0]), "empty"),
    "half an epoch": (lambda: mend.fine_tuned(network(), X, Y, epochs=1.5), "epochs=1.5"),
    "no such class": (lambda: mend.fine_tuned(network(), X, Y + 1), "labels go from 1 to 2; the model has 2 outputs"),
    "no batch": (lambda: mend.fine_tuned(network(), [X, Y]), "A batch is Tensor"),
    "no penalty": (lambda: mend.right_reasons(network(), X, Y, MASK, penalty="shap"), '"relevance" or "gradient"'),
    "no model": (lambda: mend.fine_tuned(torch.relu, X, Y), "expected a torch module"),
    "no rate": (lambda: mend.fine_tuned(network(), X, Y, lr=0.0), "lr=0.0"),
    "too fast": (lambda: mend.fine_tuned(network(), X * 1e20, Y, lr=1e30, epochs=9), "lower lr"),
    "a mean as loss": (lambda: mend.fine_tuned(network(), X, Y, loss=F.cross_entropy), "loss returned"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told(what):
    call, message = WRONG[what]
    with pytest.raises(sx.SciExplainError, match=message):
        call()
