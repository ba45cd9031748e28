"""Occlusion against a plain loop, and captum."""

import pytest
import torch
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx
from sciexplain.methods.windows import windows_over

TABLE, SEQUENCE, IMAGE, VOLUME = sample(3, 5), sample(3, 2, 7), sample(3, 2, 6, 5), sample(2, 1, 4, 3, 5)


def net(x):
    return randomize(nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 8), nn.Tanh(), nn.Linear(8, 3)))


def occluded(model, x, window, stride, fill=0.0, target=1):
    """f(x) − f(x with a window hidden), the mean over the windows that a value is in."""
    total, count = torch.zeros_like(x), torch.zeros_like(x)
    score = model(x)[:, target]
    corners = [range(0, max(n - w, 0) + s, s) for n, w, s in zip(x.shape[1:], window, stride, strict=True)]
    for corner in torch.cartesian_prod(*[torch.tensor(list(c)) for c in corners]).view(-1, len(corners)):
        place = (slice(None), *(slice(int(c), int(c) + w) for c, w in zip(corner, window, strict=True)))
        hidden = x.clone()
        hidden[place] = torch.as_tensor(fill).to(x).expand_as(x)[place]
        difference = score - model(hidden)[:, target]
        total[place] += difference.view(-1, *(1,) * (x.ndim - 1))
        count[place] += 1
    return (total / count).detach()


#: input, options, and the window and stride they mean for every dimension
CASES = {
    "table": (TABLE, {}, (1,), (1,)),
    "pairs of features": (TABLE, {"window": 2}, (2,), (2,)),
    "overlapping": (TABLE, {"window": 3, "stride": 1}, (3,), (1,)),
    "sequence": (SEQUENCE, {}, (2, 1), (2, 1)),
    "sequence in windows": (SEQUENCE, {"window": 3, "stride": 2}, (2, 3), (2, 2)),
    "image": (IMAGE, {}, (2, 1, 1), (2, 1, 1)),
    "image, square": (IMAGE, {"window": 2}, (2, 2, 2), (2, 2, 2)),
    "image, oblong": (IMAGE, {"window": (3, 2), "stride": (2, 1)}, (2, 3, 2), (2, 2, 1)),
    "image, by channel": (IMAGE, {"window": (1, 3, 3)}, (1, 3, 3), (1, 3, 3)),
    "image, as a whole": (IMAGE, {"window": 99}, (2, 99, 99), (2, 99, 99)),
    "volume": (VOLUME, {"window": (2, 3, 2)}, (1, 2, 3, 2), (1, 2, 3, 2)),
    "a number": (IMAGE, {"window": 2, "fill": 0.7}, (2, 2, 2), (2, 2, 2)),
    "a value for each channel": (
        IMAGE, {"window": 2, "fill": sample(2, 1, 1, seed=8)}, (2, 2, 2), (2, 2, 2),
    ),
    "a value for each value": (IMAGE, {"window": 2, "fill": sample(3, 2, 6, 5, seed=8)}, (2, 2, 2), (2, 2, 2)),
}  # fmt: skip


@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize("case", CASES)
def test_a_plain_loop(case, batch_size):
    x, options, window, stride = CASES[case]
    model = net(x)
    found = sx.explain(model, x, 1, "occlusion", batch_size=batch_size, **options)
    torch.testing.assert_close(found.relevance, occluded(model, x, window, stride, options.get("fill", 0.0)))
    torch.testing.assert_close(found.score, model(x)[:, 1].detach())


@pytest.mark.parametrize(("window", "stride"), [(1, 1), (2, 2), (3, 1), (2, 1)])
def test_captum(window, stride):
    captum = pytest.importorskip("captum.attr")
    x = sample(3, 2, 6, 6)
    model = net(x)
    target = torch.tensor([2, 0, 1])
    expected = captum.Occlusion(model).attribute(x, (2, window, window), (2, stride, stride), 0.4, target)
    found = sx.explain(model, x, target, "occlusion", window=window, stride=stride, fill=0.4).relevance
    torch.testing.assert_close(found, expected.to(found), rtol=1e-5, atol=1e-6)


def test_a_linear_model():
    linear = randomize(nn.Linear(5, 3))
    found = sx.explain(linear, TABLE, 2, "occlusion", fill=0.5).relevance
    torch.testing.assert_close(found, (TABLE - 0.5) * linear.weight.detach()[2])


def test_about_200_windows():
    for shape in ((1, 3, 224, 224), (1, 4, 1000), (1, 1, 32, 32, 32), (1, 300)):
        windows = windows_over(torch.zeros(1).expand(shape), None, None)
        assert 150 <= len(windows) <= 300, shape
        count = torch.zeros(shape[1:])
        for window in windows:
            count[window] += 1
        assert (count == 1).all()


# -- samplers --------------------------------------------------------------------------------------------------------


def gaussian(x, mask, generator):
    """Values given the mean outside of the window."""
    return x[~mask].mean() + 0.5 * torch.randn(x.shape, generator=generator, dtype=x.dtype)


def test_a_conditional_sampler():
    """The score is averaged over draws; in a linear model only their mean counts."""
    linear = randomize(nn.Linear(5, 3))
    n = 600
    found = sx.explain(linear, TABLE, 2, "occlusion", fill=gaussian, samples=n).relevance
    rest = (TABLE.sum(1, keepdim=True) - TABLE) / 4
    weight = linear.weight.detach()[2]
    assert ((found - (TABLE - rest) * weight).abs() < 5 * 0.5 * weight.abs() / n**0.5).all()


def test_draws_are_the_same_for_every_sample_and_window():
    model, call = net(TABLE), {"method": "occlusion", "fill": gaussian, "samples": 3}
    whole = sx.explain(model, TABLE, 1, **call).relevance
    for i in range(3):
        torch.testing.assert_close(sx.explain(model, TABLE[i : i + 1], 1, **call).relevance[0], whole[i])
    torch.testing.assert_close(sx.explain(model, TABLE, 1, **call, chunk=4).relevance, whole)
    assert not torch.allclose(sx.explain(model, TABLE, 1, **call, seed=1).relevance, whole)


def test_a_sampler_sees_the_sample_and_the_window():
    seen = []

    def fill(x, mask, generator):
        seen.append((x.clone(), mask.clone()))
        x.fill_(9)  # its own copy
        return 0.3

    model = net(IMAGE)
    found = sx.explain(model, IMAGE[:1], 1, "occlusion", window=3, fill=fill).relevance
    torch.testing.assert_close(found, sx.explain(model, IMAGE[:1], 1, "occlusion", window=3, fill=0.3).relevance)
    assert all(torch.equal(x, IMAGE[0]) for x, _ in seen)
    assert torch.stack([m for _, m in seen[-4:]]).sum(0).eq(1).all()


# -- several inputs, and integers ------------------------------------------------------------------------------------

EMBEDDING, HEAD = randomize(nn.Embedding(7, 3)), randomize(nn.Linear(3, 3), 2)
TOKENS = torch.tensor([[1, 5, 2, 0], [6, 6, 3, 1]])


def on_tokens(t):
    return HEAD(EMBEDDING(t).tanh().sum(1))


@pytest.mark.parametrize("pad", [0, 4])
def test_tokens_are_replaced_by_the_padding_token(pad):
    found = sx.explain(on_tokens, TOKENS, 1, "occlusion", fill=pad).relevance
    assert found.dtype == torch.float64
    expected = EMBEDDING(TOKENS).tanh() - EMBEDDING(torch.tensor(pad)).tanh()
    torch.testing.assert_close(found, (expected @ HEAD.weight[1]).detach())


def test_each_input_in_turn():
    x, mask = sample(2, 3, seed=5), torch.tensor([[True, False, True, True]]).expand(2, 4)

    def model(t, x, mask, scale):
        return HEAD((EMBEDDING(t).tanh() * mask[..., None]).sum(1) + x) * scale

    e = sx.explain(model, {"t": TOKENS, "x": x, "mask": mask, "scale": 2.0}, 1, "occlusion",
                   fill={"t": 4, "x": 0.5, "mask": 0})  # fmt: skip
    weight = 2 * HEAD.weight[1].detach()
    change = EMBEDDING(TOKENS).tanh() - EMBEDDING(torch.tensor(4)).tanh()
    torch.testing.assert_close(e.relevance["t"], (change @ weight * mask).detach())
    torch.testing.assert_close(e.relevance["x"], (x - 0.5) * weight)
    assert not e.relevance["mask"].any()


ERRORS = {
    "window": ({"window": 0}, IMAGE, sx.RuleError, r"window=0 does not fit .* \(2, 6, 5\); expected a positive number"),
    "window of four": ({"window": (1, 1, 1, 1)}, IMAGE, sx.RuleError, r"one for each of the 2 dimensions \(6, 5\)"),
    "gaps": ({"window": 2, "stride": 3}, IMAGE, sx.RuleError, "stride=3 is more than window=2, which leaves gaps"),
    "samples": ({"samples": 2}, IMAGE, sx.RuleError, r"samples=2\): expected 1, or more with a callable fill"),
    "fill": ({"fill": torch.ones(4)}, IMAGE, sx.InputError, r"The fill has shape \(4,\), the input \(3, 2, 6, 5\)"),
    "fill that is not finite": ({"fill": torch.nan}, IMAGE, sx.InputError, "The fill has values that are NaN"),
    "half a token": ({"fill": 0.5}, TOKENS, sx.InputError, "The fill 0.5 does not fit an integer input"),
    "sampler": ({"fill": lambda *a: torch.ones(3)}, IMAGE, sx.RuleError, r"returned \(3,\); expected values that"),
    "truth values": ({}, TABLE > 0, sx.InputError, "The inputs are truth values"),
    "fills": ({"fill": {"a": 1}}, IMAGE, sx.InputError, r"fill is a dict of \['a'\]; expected one for each"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    options, x, error, message = ERRORS[case]
    model = on_tokens if x is TOKENS else lambda v: v.flatten(1).double() @ torch.ones(v[0].numel(), 3).double()
    with pytest.raises(error, match=message) as caught:
        sx.explain(model, x, 1, "occlusion", **options)
    assert "\n" not in str(caught.value)


def test_an_input_that_the_samples_share():
    with pytest.raises(sx.InputError, match=r"'1' of shape \(1, 5\) is shared by the 3 samples"):
        sx.explain(lambda a, b: HEAD((a + b)[:, :3]), (TABLE, TABLE[:1]), 1, "occlusion")
