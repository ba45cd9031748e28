"""Curves of flipping against loops written from the papers, one part after the other."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain import evaluate


def network(*layers: nn.Module) -> nn.Module:
    return randomize(nn.Sequential(*layers)).eval()


IMAGES = network(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(3 * 3 * 4, 3))
SEQUENCES = network(nn.Conv1d(4, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3))
VOLUMES = network(nn.Conv3d(1, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(2 * 2 * 2 * 2, 3))
TABLES = network(nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 3))
CASES = {
    "images": (IMAGES, sample(3, 2, 5, 6)),
    "sequences": (SEQUENCES, sample(3, 4, 6)),
    "volumes": (VOLUMES, sample(3, 1, 3, 3, 3)),
    "tables": (TABLES, sample(3, 7)),
}


def by_loop(model, x, worth, members, classes, *, fill, counts, order="most", mode="deletion"):
    """The score after the first ``counts`` parts, with one forward pass for one sample and step."""
    curves = []
    for n in range(len(x)):
        turn = sorted(range(len(worth[n])), key=lambda p: worth[n][p], reverse=order == "most")
        row = []
        for count in counts:
            gone = set(turn[:count]) if mode == "deletion" else set(turn[count:])
            y = x[n].clone()
            for p in gone:
                y[members[n] == p] = fill[n][members[n] == p]
            row.append(model(y[None])[0, classes[n]])
        curves.append(torch.stack(row))
    return torch.stack(curves).detach()


def numbered(x, parts):
    """The part of each value, written out: positions, values, or patches."""
    n, shape = len(x), x.shape[1:]
    members = torch.empty(shape, dtype=torch.long)
    seen: dict[tuple, int] = {}
    for place in torch.cartesian_prod(*[torch.arange(s) for s in shape]).reshape(-1, len(shape)).tolist():
        key = tuple(place) if parts == "features" or len(shape) == 1 else tuple(place[1:])
        if isinstance(parts, tuple):
            key = tuple(at // size for at, size in zip(key, parts, strict=True))
        members[tuple(place)] = seen.setdefault(key, len(seen))
    return members.expand(n, *shape), len(seen)


@pytest.mark.parametrize("mode", ["deletion", "insertion"])
@pytest.mark.parametrize("order", ["most", "least"])
@pytest.mark.parametrize(
    "name, parts",
    [
        ("images", None), ("images", "features"), ("images", (2, 4)), ("sequences", None), ("sequences", (4,)),
        ("volumes", None), ("volumes", (2, 2, 2)), ("tables", None), ("tables", (3,)),
    ],
)  # fmt: skip
def test_equals_the_loop(name, parts, order, mode):
    model, x = CASES[name]
    members, count = numbered(x, parts)
    relevance = sample(*x.shape, seed=3)
    classes = model(x).argmax(1)
    worth = torch.stack([
        torch.stack([r[m == p].sum() for p in range(count)]) for r, m in zip(relevance, members, strict=True)
    ])  # fmt: skip
    expected = by_loop(
        model, x, worth, members, classes, fill=torch.full_like(x, 0.3), counts=range(count + 1), order=order, mode=mode
    )
    found = evaluate.pixel_flipping(
        model, x, relevance, filler=0.3, parts=parts, steps=None, order=order, mode=mode, batch_size=5
    )
    assert found.scores.dtype == torch.float64 and (found.order, found.mode) == (order, mode)
    torch.testing.assert_close(found.scores, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.fractions, torch.arange(count + 1).double() / count)


def test_numbered_regions_of_each_sample():
    model, x = CASES["images"]
    numbers = torch.randint(0, 4, (3, 5, 6), generator=torch.Generator().manual_seed(0))
    relevance = sample(3, 5, 6, seed=4)
    worth = torch.stack(
        [torch.stack([r[m == p].sum() for p in range(4)]) for r, m in zip(relevance, numbers, strict=True)]
    )
    members = numbers[:, None].expand_as(x)
    expected = by_loop(model, x, worth, members, [1, 1, 1], fill=torch.zeros_like(x), counts=range(5))
    for given_numbers in (numbers, numbers[:, None], members):
        found = evaluate.pixel_flipping(model, x, relevance, 1, filler="zero", parts=given_numbers, steps=4)
        torch.testing.assert_close(found.scores, expected, rtol=1e-12, atol=1e-12)


def test_patch_size_as_a_number_is_a_square():
    model, x = CASES["images"]
    a, b = (evaluate.pixel_flipping(model, x, x, parts=p, filler="zero") for p in (2, (2, 2)))
    assert torch.equal(a.scores, b.scores)


@given(st.integers(1, 40), st.integers(1, 30), st.integers(1, 100))
def test_a_fraction_removes_its_share_of_the_parts(size, steps, seed):
    """The sum of the input falls by what the removed parts hold, whatever the number of steps."""
    x = torch.rand(1, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = evaluate.pixel_flipping(lambda rows: rows.sum(1, keepdim=True), x, x, filler="zero", steps=steps)
    left = x.sum() - torch.cat([torch.zeros(1), x[0].sort(descending=True).values.cumsum(0)])
    counts = [int(step * size / steps + 0.5) for step in range(steps + 1)]
    torch.testing.assert_close(found.scores[0], left[counts], rtol=1e-9, atol=1e-12)


class Words:
    """A removal of samples of different sizes; the score counts and weighs what is left."""

    def __init__(self, weights):
        self.weights, self.sizes, self.rows = weights, tuple(map(len, weights)), 0

    def scores(self, samples, kept):
        self.rows += len(samples)
        return torch.stack([(self.weights[i] * k).sum() for i, k in zip(samples, kept, strict=True)])


def test_samples_of_different_sizes():
    weights = [torch.tensor([1.0, 5.0, 2.0]), torch.tensor([3.0, -1.0, 4.0, 0.5, 2.5]), torch.tensor([7.0])]
    removal = Words([w.double() for w in weights])
    found = evaluate.flipping(removal, weights, steps=5)
    expected = [[8, 3, 3, 1, 1, 0], [9, 5, 2, -0.5, -1, 0], [7, 7, 7, 0, 0, 0]]
    torch.testing.assert_close(found.scores, torch.tensor(expected, dtype=torch.float64))
    assert removal.rows == 4 + 6 + 2  # steps at which nothing more goes are not run
    least = evaluate.flipping(removal, weights, steps=5, order="least", mode="insertion")
    torch.testing.assert_close(least.scores[1], torch.tensor([0, -1, -0.5, 2, 5, 9], dtype=torch.float64))


def test_what_is_already_the_filler_costs_nothing():
    rows = []
    x = torch.zeros(2, 1, 4, 4).double()  # single precision is run twice more to try its memory layout
    x[0, 0, :2] = torch.rand(2, 4) + 1
    x[1, 0, 1, 1] = 1

    def model(batch):
        rows.extend(batch.flatten(1))
        return torch.stack([batch.sum((1, 2, 3)), -batch.sum((1, 2, 3))], 1)

    found = evaluate.pixel_flipping(model, x, torch.rand(2, 1, 4, 4), 0, filler="zero", steps=None)
    assert len(rows) == 2 + (8 + 1)  # the samples as given, then every step that changes a pixel
    assert found.scores.shape == (2, 17) and torch.equal(found.scores[:, 0], x.sum((1, 2, 3)).double())
    assert bool((found.scores[:, -1] == 0).all())


def test_equal_relevance_comes_in_a_random_order_of_the_seed():
    model, x = CASES["images"]
    flat = torch.ones(3, 5, 6)
    a, b, c = (evaluate.pixel_flipping(model, x, flat, filler="zero", seed=s).scores for s in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)
    drawn = evaluate.pixel_flipping(model, x, x, filler="zero", order="random", seed=0).scores
    assert torch.equal(a, drawn)
    alone = evaluate.pixel_flipping(model, x[:1], x[:1], filler="zero", order="random", seed=0).scores
    torch.testing.assert_close(alone, drawn[:1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("filler", ["mean", "zero", "blur", "inpaint", "uniform", "resample"])
def test_batch_size_changes_nothing(filler):
    model, x = CASES["images"]
    a, b = (
        evaluate.pixel_flipping(model, x, x, filler=filler, steps=7, batch_size=size, output="probability").scores
        for size in (1, 64)
    )
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_targets():
    model, x = CASES["images"]
    e = sx.explain(model, x, torch.tensor([2, 0, 1]))
    options = {"filler": "zero", "steps": 6}
    own = evaluate.pixel_flipping(model, x, e, **options).scores
    torch.testing.assert_close(own[:, 0], e.score)
    same = [
        evaluate.pixel_flipping(model, x, e.relevance, [2, 0, 1], **options),
        evaluate.pixel_flipping(model, x, e.relevance.numpy(), torch.tensor([2, 0, 1]), **options),
        evaluate.pixel_flipping(model, x, e, lambda y: y[torch.arange(len(y)), [2, 0, 1] * (len(y) // 3)], **options),
    ]
    for found in same:
        torch.testing.assert_close(found.scores, own)
    # A callable that counts on the order of the batch, and on its size.
    fixed = evaluate.pixel_flipping(model, x, e, lambda y: y[torch.arange(3), torch.tensor([2, 0, 1])], **options)
    torch.testing.assert_close(fixed.scores, own)
    start = torch.zeros(3, 3, dtype=torch.float64)
    start[[0, 1, 2], [2, 0, 1]] = model(x)[[0, 1, 2], [2, 0, 1]].detach()
    torch.testing.assert_close(evaluate.pixel_flipping(model, x, e, start, **options).scores, own)


def test_outputs():
    model, x = CASES["images"]
    options = {"filler": "zero", "steps": 6}
    logit = evaluate.pixel_flipping(model, x, x, 1, **options)
    probability = evaluate.pixel_flipping(model, x, x, 1, output="probability", **options)
    correct = evaluate.pixel_flipping(model, x, x, 1, output="correct", **options)
    softmax = nn.Sequential(model, nn.Softmax(1))
    assert not torch.allclose(logit.scores, probability.scores)
    for output in ("score", "probability"):  # of a model that ends in a softmax they are the same
        found = evaluate.pixel_flipping(softmax, x, x, 1, output=output, **options)
        torch.testing.assert_close(found.scores, probability.scores)
    assert set(correct.scores.flatten().tolist()) <= {0.0, 1.0}
    torch.testing.assert_close(correct.scores[:, 0], (model(x).argmax(1) == 1).double())

    def single(rows):
        return model(rows)[:, :1] - 2

    found = evaluate.pixel_flipping(single, x, x, output="probability", **options)
    torch.testing.assert_close(found.scores, evaluate.pixel_flipping(single, x, x, **options).scores.sigmoid())
    for logits, k in ((single, 0), (model, 1)):  # of one output, and of several that are no alternatives
        squashed = evaluate.deletion(lambda rows, f=logits: f(rows).sigmoid(), x, x, k, **options)
        expected = evaluate.pixel_flipping(logits, x, x, k, **options).scores.sigmoid()
        torch.testing.assert_close(squashed.scores, expected)


def test_relevance_in_a_list():
    model, x = CASES["images"]
    expected = evaluate.pixel_flipping(model, x, x.sum(1), 1, steps=6)
    for form in (list(x.sum(1)), tuple(x), [r.numpy() for r in x]):
        torch.testing.assert_close(evaluate.pixel_flipping(model, x, form, 1, steps=6).scores, expected.scores)
    with pytest.raises(sx.InputError, match="relevance is list"):
        evaluate.pixel_flipping(model, x, [torch.ones(2), torch.ones(3)], 1)


def test_model_is_left_as_it_is():
    model = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(60, 3)).double().train()
    model[1].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    _, x = CASES["images"]
    state = torch.random.get_rng_state()
    found = evaluate.pixel_flipping(model, x, x, filler="uniform")
    assert torch.equal(state, torch.random.get_rng_state())
    assert [m.training for m in model] == [True, False, True, True]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    torch.testing.assert_close(found.scores[:, 0], model.eval()(x).amax(1).detach())
    model.train()
    with pytest.raises(sx.TargetError):
        evaluate.pixel_flipping(model, x, x, 9)
    assert model.training


def test_memory_layout_changes_nothing():
    """Images run with channels last where the model allows it; one that views them as they lie runs as before."""
    x = sample(6, 3, 6, 6).float()
    body, head = randomize(nn.Conv2d(3, 4, 3)).float(), randomize(nn.Linear(64, 2)).float()
    strides = set()

    def indifferent(rows):
        strides.add(rows.stride()[1])
        return head(body(rows).flatten(1))

    def particular(rows):
        strides.add(rows.stride()[1])
        return head(body(rows).view(len(rows), -1))

    def wrong(rows):  # silently another result in another layout
        strides.add(rows.stride()[1])
        return head(body(rows).flatten(1)) + rows.stride()[1]

    found = [evaluate.pixel_flipping(m, x, x, 0, filler="zero").scores for m in (indifferent, particular)]
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)
    odd = evaluate.pixel_flipping(wrong, x, x, 0, filler="zero").scores
    torch.testing.assert_close(odd - 36, found[1], rtol=1e-4, atol=1e-4)
    strides.clear()
    gray = randomize(nn.Conv2d(1, 2, 3)).float()
    evaluate.pixel_flipping(lambda r: strides.add(r.stride()) or gray(r).mean((2, 3)), x[:, :1], x[:, :1], 0)
    assert (36, 1, 6, 1) in strides


def test_model_that_changes_its_input_in_place():
    model, x = CASES["images"]
    before = x.clone()

    def careless(batch):
        return model(batch.mul_(1.0).add_(0.0)) + batch.zero_().sum()

    found = evaluate.pixel_flipping(careless, x, x, filler="zero")
    assert torch.equal(x, before)
    torch.testing.assert_close(found.scores, evaluate.pixel_flipping(model, x, x, filler="zero").scores)


def inserted_better(found):
    return found.scores()[0].better


def test_compare():
    model, x = CASES["images"]
    explanations = {"lrp": sx.explain(model, x), "gradient": sx.explain(model, x, method="gradient")}
    options = {"filler": "zero", "steps": 10}
    found = evaluate.compare_pixels(model, x, explanations, **options)
    for name, e in explanations.items():
        most = evaluate.pixel_flipping(model, x, e, **options)
        least = evaluate.pixel_flipping(model, x, e, order="least", **options)
        torch.testing.assert_close(found.gains[name], least.areas - most.areas)
        torch.testing.assert_close(found.leads[name], found.random.areas - most.areas)
        assert found.most[name].order == "most" and found.least[name].order == "least"
    inserted = evaluate.compare_pixels(model, x, explanations, mode="insertion", **options)
    torch.testing.assert_close(inserted.gains["lrp"], inserted.most["lrp"].areas - inserted.least["lrp"].areas)
    rows = {(row.method, row.metric): row for row in evaluate.table(found.scores(unit="logit"), reference="random")}
    lead = rows["lrp", "area, most relevant first"]
    assert (lead.better, lead.unit) == ("lower", "logit")
    assert lead.difference.mean == pytest.approx(-float(found.leads["lrp"].mean()))
    assert rows["lrp", "gain over the reverse order"].mean == pytest.approx(float(found.gains["lrp"].mean()))
    assert inserted_better(evaluate.compare_pixels(model, x, explanations, mode="insertion", **options)) == "higher"
    difference = found.difference("lrp", "gradient")
    assert difference.mean == pytest.approx(float((found.gains["lrp"] - found.gains["gradient"]).mean()))
    with pytest.raises(sx.InputError, match="No explanation ig"):
        found.difference("lrp", "ig")
    other = sx.explain(model, x, (explanations["lrp"].target + 1) % 3)
    with pytest.raises(sx.InputError, match="other targets"):
        evaluate.compare_pixels(model, x, explanations | {"other": other}, **options)


def test_games_are_flipping_with_the_papers_fillers():
    model, x = CASES["images"]
    torch.testing.assert_close(
        evaluate.deletion(model, x, x).scores,
        evaluate.pixel_flipping(model, x, x, filler="zero", output="probability").scores,
    )
    torch.testing.assert_close(
        evaluate.insertion(model, x, x).scores,
        evaluate.pixel_flipping(model, x, x, mode="insertion", filler="blur", output="probability").scores,
    )
    found = evaluate.region_perturbation(model, x, x, size=2, regions=4)
    torch.testing.assert_close(found.fractions, torch.arange(5).double() / 9)
    whole = evaluate.pixel_flipping(model, x, x, parts=2, filler="uniform", steps=9)
    torch.testing.assert_close(found.scores, whole.scores[:, :5])
    assert evaluate.region_perturbation(model, x, x, size=2, regions=None).scores.shape == (3, 10)
    found = evaluate.road(model, x, x, torch.tensor([0, 1, 2]), fractions=[0.5, 0.25])
    torch.testing.assert_close(found.fractions, torch.tensor([0, 0.25, 0.5], dtype=torch.float64))


def test_tokens():
    embedding = randomize(nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(12, 2))).eval()
    tokens = torch.tensor([[1, 2, 3, 4], [4, 0, 1, 1]])
    relevance = sample(2, 4)
    found = evaluate.pixel_flipping(embedding, tokens, relevance, 0, filler=0, steps=None)
    expected = by_loop(
        embedding,
        tokens,
        relevance,
        torch.arange(4).expand(2, 4),
        [0, 0],
        fill=torch.zeros_like(tokens),
        counts=range(5),
    )
    torch.testing.assert_close(found.scores, expected)
    with pytest.raises(sx.InputError, match="padding token"):
        evaluate.pixel_flipping(embedding, tokens, relevance, 0)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"inputs": (sample(3, 7), sample(3, 7))}, "inputs is tuple; expected one tensor"),
        ({"inputs": sample(3)}, "shape \\(3,\\)"),
        ({"inputs": torch.full((3, 7), float("nan"))}, "NaN or infinite"),
        ({"relevance": sample(3, 6)}, "relevance has shape \\(3, 6\\)"),
        ({"relevance": torch.full((3, 7), float("inf"))}, "no rank"),
        ({"relevance": "most"}, "relevance is str"),
        ({"order": "first"}, "order='first'"),
        ({"mode": "add"}, "mode='add'"),
        ({"steps": 0}, "steps=0"),
        ({"steps": [0.5, 1.5]}, "steps="),
        ({"steps": "all"}, "steps='all'"),
        ({"filler": "grey"}, "filler='grey'"),
        ({"filler": "blur"}, "needs neighbours"),
        ({"filler": sample(4)}, "must broadcast"),
        ({"filler": float("nan")}, "finite"),
        ({"filler": lambda rows, removed: rows[:, :3]}, "The filler returned"),
        ({"parts": "pixels"}, "parts='pixels'"),
        ({"parts": (2, 2)}, "parts=\\(2, 2\\)"),
        ({"parts": torch.tensor([0, 1])}, "parts has shape"),
        ({"parts": torch.full((7,), -1)}, "whole numbers from 0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"output": "logit"}, "output='logit'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(change, message):
    arguments = {"inputs": CASES["tables"][1], "relevance": sample(3, 7), "filler": "zero"} | change
    with pytest.raises(sx.InputError, match=message):
        evaluate.pixel_flipping(TABLES, **arguments)


def test_other_wrong_requests():
    x = CASES["tables"][1]
    with pytest.raises(sx.ModelError, match="expected a torch module"):
        evaluate.pixel_flipping(None, x, x)
    with pytest.raises(sx.ModelError, match="expected one for each row"):
        evaluate.pixel_flipping(lambda rows: rows.sum().reshape(1, 1), x, x)
    with pytest.raises(sx.InputError, match="one row"):
        evaluate.pixel_flipping(TABLES, x[:1], x[:1])
    with pytest.raises(sx.TargetError, match="needs a class"):
        evaluate.pixel_flipping(TABLES, x, x, lambda y: y[:, 0], filler=0.0, output="probability")
    with pytest.raises(sx.TargetError, match="single output"):
        evaluate.pixel_flipping(lambda rows: rows.sum(1), x, x, filler=0.0, output="correct")
    with pytest.raises(sx.ModelError, match="probability already"):
        evaluate.pixel_flipping(lambda rows: 1 / (1 + (-rows.sum(1)).exp()), x, x, filler=0.0, output="probability")
    e = sx.explain(TABLES, x, lambda y: y[:, 0])
    with pytest.raises(sx.InputError, match="give target="):
        evaluate.pixel_flipping(TABLES, x, e)
    with pytest.raises(sx.InputError, match="of 2 samples"):
        evaluate.flipping(Words([torch.ones(2)] * 3), [torch.ones(2)] * 2)
    with pytest.raises(sx.InputError, match="a sample of 2 parts"):
        evaluate.flipping(Words([torch.ones(2)] * 2), [torch.ones(2), torch.ones(3)])
    with pytest.raises(sx.InputError, match="relevance is empty"):
        evaluate.compare(Words([torch.ones(2)]), {})
    with pytest.raises(sx.InputError, match="relevance is list; expected explanations by name"):
        evaluate.compare_pixels(TABLES, x, [x])
