"""Class against class, against the explanation of the difference of two outputs."""

import numpy as np
import pytest
import torch

import sciexplain as sx
from sciexplain.domains import images
from sciexplain.errors import TargetError

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.3, 0.35)


def network(channels: int = 3, side: int = 6) -> torch.nn.Sequential:
    torch.manual_seed(0)
    return (
        torch.nn.Sequential(
            torch.nn.Conv2d(channels, 5, 3),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(5 * (side - 2) ** 2, 4),
        )
        .double()
        .eval()
    )


def pictures(n: int = 3, size: tuple[int, int] = (9, 12)) -> list[images.Picture]:
    generator = np.random.default_rng(0)
    return [images.Picture(f"p{i}", None, generator.random((*size, 3), dtype=np.float32)) for i in range(n)]


SMALL = images.Preprocess(7, 6, MEAN, STD)


def test_contrast_is_the_explanation_of_the_difference() -> None:
    net = network()
    c = images.contrast(net, pictures(), 1, 3, preprocess=SMALL, composite="epsilon_gamma_box")
    torch.testing.assert_close(c.for_a.relevance - c.for_b.relevance, c.against.relevance)
    outputs = net(SMALL(pictures()).double())
    torch.testing.assert_close(c.against.score, (outputs[:, 1] - outputs[:, 3]).detach())
    torch.testing.assert_close(c.for_b.score, outputs[:, 3].detach())
    assert (c.for_a.label(0), c.for_b.label(0), c.against.label(0)) == ("1", "3", "")


def test_contrast_with_a_pair_for_each_picture() -> None:
    net = network()
    top = net(SMALL(pictures(7)).double()).topk(2).indices
    top[::2] = top[::2].flip(1)
    c = images.contrast(net, pictures(7), top[:, 0], top[:, 1], preprocess=SMALL)
    for i in range(7):
        a, b = top[i].tolist()
        alone = images.contrast(net, pictures(7)[i], a, b, preprocess=SMALL)
        for name in ("for_a", "for_b", "against"):
            together, one = getattr(c, name), getattr(alone, name)
            torch.testing.assert_close(together.relevance[i], one.relevance[0])
            torch.testing.assert_close(together.score[i], one.score[0])
    assert c.a.tolist() == top[:, 0].tolist()


def test_contrast_steps_over_a_softmax() -> None:
    net = network()
    plain = images.contrast(net, pictures(), 0, 2, preprocess=SMALL)
    soft = images.contrast(torch.nn.Sequential(net, torch.nn.Softmax(1)), pictures(), 0, 2, preprocess=SMALL)
    torch.testing.assert_close(soft.against.relevance, plain.against.relevance)


def test_contrast_with_a_method_that_asks_the_model_elsewhere() -> None:
    net = network()
    c = images.contrast(net, pictures(), 0, 2, preprocess=SMALL, method="integrated_gradients")
    expected = sx.explain(net, SMALL(pictures()).double(), lambda y: y[:, 0] - y[:, 2], method="integrated_gradients")
    torch.testing.assert_close(c.against.relevance, expected.relevance)


def test_a_class_that_is_not_there() -> None:
    with pytest.raises(TargetError, match="9"):
        images.contrast(network(), pictures(), 9, 0, preprocess=SMALL)
