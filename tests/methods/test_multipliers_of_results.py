"""What one more unit of an input would get: for every method that has it, against its own relevance and by a probe."""

import pytest
import torch
from method_tester import CLASSES, IMAGES, NET, REFERENCES

import sciexplain as sx

BASELINE = REFERENCES[0]
EACH = REFERENCES[None].expand(4, -1, -1, -1, -1)

#: method, options, and the mean reference that relevance counts from
FROM = {
    "lrp": ({}, 0.0),
    "deeplift": ({"reference": BASELINE}, BASELINE),
    "input_x_gradient": ({}, 0.0),
    "integrated_gradients": ({"baseline": BASELINE}, BASELINE),
}
WITHOUT = {"occlusion": {"window": 2}, "vargrad": {}, "excitation_backprop": {}, "lime": {"samples": 30}}


@pytest.mark.parametrize("method", FROM)
def test_times_the_difference_they_are_relevance(method):
    options, start = FROM[method]
    e = sx.explain(NET, IMAGES, CLASSES, method, **options)
    torch.testing.assert_close(e.multipliers * (IMAGES - start), e.relevance)


@pytest.mark.parametrize("method", ["gradient", "smoothgrad", "guided_backprop"])
def test_of_sensitivity_they_are_relevance_itself(method):
    e = sx.explain(NET, IMAGES, CLASSES, method)
    if method == "guided_backprop":
        assert e.multipliers is None
    else:
        assert torch.equal(e.multipliers, e.relevance)


def test_of_several_references_they_are_the_mean():
    e = sx.explain(NET, IMAGES, CLASSES, "deepshap", references=EACH)
    each = [sx.explain(NET, IMAGES, CLASSES, "deeplift", reference=r).multipliers for r in REFERENCES]
    torch.testing.assert_close(e.multipliers, torch.stack(each).mean(0))


def test_a_unit_put_beside_the_input_gets_them():
    """x = (x − 1) + 1: the one is an input of its own, and gets what the multiplier says."""
    e = sx.explain(NET, IMAGES, CLASSES)
    found = sx.explain(lambda x, one: NET(x + one), (IMAGES - 1, torch.ones_like(IMAGES)), CLASSES)
    torch.testing.assert_close(found.relevance[1], e.multipliers)


@pytest.mark.parametrize("method", WITHOUT)
def test_methods_without(method):
    assert sx.explain(NET, IMAGES, CLASSES, method, **WITHOUT[method]).multipliers is None


@pytest.mark.parametrize("composite", ["epsilon_plus_flat", "deep_taylor"])
def test_rules_that_yield_relevance_itself_have_none(composite):
    assert sx.explain(NET, IMAGES, CLASSES, composite=composite).multipliers is None


@pytest.mark.parametrize("method", ["lrp", "deeplift", "integrated_gradients", "gradient"])
def test_structure_batches_and_files(method, tmp_path):
    def model(a, b):
        return NET(a) + NET(b)

    e = sx.explain(model, (IMAGES, IMAGES.flip(0)), CLASSES, method)
    assert [m.shape for m in e.multipliers] == [IMAGES.shape] * 2
    split = sx.explain(model, (IMAGES, IMAGES.flip(0)), CLASSES, method, batch_size=3)
    torch.testing.assert_close(split.multipliers, e.multipliers)
    e.save(tmp_path / "e")
    torch.testing.assert_close(sx.load(tmp_path / "e").multipliers, e.multipliers)
