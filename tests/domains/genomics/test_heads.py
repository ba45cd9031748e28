"""Heads of models with several outputs, in the forms that models give them."""

from collections import namedtuple

import pytest
import torch

from sciexplain.domains.genomics import counts, profile
from sciexplain.errors import TargetError

Z = torch.tensor([[[0.0, 1.0, 3.0], [2.0, -1.0, 0.5]]]).double()
C = torch.tensor([[5.0, 7.0]]).double()
Output = namedtuple("Output", ["profile", "counts"])


class Holder:
    profile, counts = Z, C


@pytest.mark.parametrize("output", [(Z, C), [Z, C], Output(Z, C)])
def test_by_place(output):
    assert counts()(output).tolist() == [5.0] and counts(task=1)(output).tolist() == [7.0]
    assert profile()(output).shape == (1,)


@pytest.mark.parametrize("output", [{"profile": Z, "counts": C}, Holder(), Output(Z, C)])
def test_by_name(output):
    assert counts("counts", 1)(output).tolist() == [7.0]
    torch.testing.assert_close(profile("profile")(output), profile()((Z, C)))


def test_weighted_sum():
    """By hand: Σ softmax(z) (z − mean z), over all positions of both strands, or of one."""
    for z, target in ((Z.flatten(), profile()), (Z[0, 1], profile(task=1))):
        e = z.exp() / z.exp().sum()
        torch.testing.assert_close(target((Z, C)), (e * (z - z.mean())).sum()[None])


def test_weights_are_constant():
    z = Z.clone().requires_grad_()
    profile()(z).sum().backward()
    p = Z.flatten(1).softmax(1)
    torch.testing.assert_close(z.grad.flatten(1), p - p.mean())


def test_single_output():
    assert counts()(C).tolist() == [5.0] and counts()(torch.tensor([4.0])).tolist() == [4.0]


@pytest.mark.parametrize(
    ("target", "output", "message"),
    [
        (profile(3), (Z, C), "head=3: the model has 2 outputs"),
        (profile("x"), (Z, C), "head='x'"),
        (profile("x"), {"a": Z}, r"head='x': the model has \['a'\]"),
        (counts(task=2), (Z, C), "task=2: head 1 has 2 tasks"),
        (counts(0), ("text", C), "is str; expected a tensor"),
        (profile(), torch.tensor([[4.0]]), "is no profile"),
        (profile(1, task=0), (Z, C), "is no profile"),
    ],
)
def test_what_is_not_there(target, output, message):
    with pytest.raises(TargetError, match=message):
        target(output)
