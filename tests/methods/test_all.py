"""What every method owes, by the shared tester."""

import pytest
import torch
from method_tester import IMAGES, METHODS, MethodTester

import sciexplain as sx

ELSEWHERE = {"lrp", "deeplift", "deepshap"}


def test_every_method_is_tested():
    assert set(METHODS) == set(sx.METHODS) - ELSEWHERE


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", METHODS)
class TestMethod:
    def test_score_and_shape(self, method):
        MethodTester(method).check_score_and_shape()

    def test_target(self, method):
        MethodTester(method).check_target()

    def test_batch(self, method):
        MethodTester(method).check_batch()

    def test_determinism(self, method):
        MethodTester(method).check_determinism()

    def test_model_untouched(self, method):
        MethodTester(method).check_model_untouched()

    def test_frozen_model(self, method):
        MethodTester(method).check_frozen_model()

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_dtype(self, method, dtype):
        MethodTester(method).check_dtype(dtype)

    def test_structures(self, method):
        MethodTester(method).check_structures()

    def test_completeness(self, method):
        MethodTester(method).check_completeness()

    def test_saved_and_loaded(self, method, tmp_path):
        e = MethodTester(method).explain()
        e.save(tmp_path / "e")
        again = sx.load(tmp_path / "e")
        torch.testing.assert_close(again.relevance, e.relevance)
        torch.testing.assert_close(dict(again.layers), dict(e.layers))
        assert again.method == method and repr(again) == repr(e)
        if e.convergence_error is None:
            assert again.convergence_error is None
        else:
            assert torch.equal(again.convergence_error, e.convergence_error)

    def test_unknown_option(self, method):
        with pytest.raises(sx.RuleError, match=f"method='{method}' has no option gamma"):
            MethodTester(method).explain(gamma=1)


def test_a_file_from_before_there_were_convergence_errors(tmp_path):
    e = MethodTester("gradient").explain()
    e.save(tmp_path / "e")
    text = (tmp_path / "e.json").read_text()
    (tmp_path / "e.json").write_text(text.replace(' "convergence_error": null,\n', ""))
    assert "convergence_error" not in (tmp_path / "e.json").read_text()
    assert sx.load(tmp_path / "e").convergence_error is None


def test_references_are_needed():
    with pytest.raises(sx.RuleError, match="method='expected_gradients' needs references="):
        sx.explain(lambda x: x, IMAGES, method="expected_gradients")


@pytest.mark.parametrize("method", ["gradcam", "occlusion", "guided_backprop"])
def test_layers_and_ledger_belong_to_lrp(method):
    for more in ({"layers": ["0"]}, {"ledger": True}, {"composite": "epsilon"}):
        with pytest.raises(sx.RuleError, match='belong to method="lrp"'):
            MethodTester(method).explain(**more)
