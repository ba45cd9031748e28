"""One tester for every method: what all of them owe, whatever their values are."""

from __future__ import annotations

import copy
from typing import Any

import torch
from rule_tester import randomize, sample
from torch import Tensor, nn

import sciexplain as sx

NET = randomize(
    nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 3, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(18, 3),
    )
)
IMAGES = sample(4, 2, 6, 4)
REFERENCES = sample(3, 2, 6, 4, seed=9)
CLASSES = torch.tensor([2, 0, 1, 2])

#: method, and options that keep it short; a new method is a new line
METHODS: dict[str, dict[str, Any]] = {
    "gradient": {},
    "input_x_gradient": {},
    "smoothgrad": {"samples": 5},
    "vargrad": {"samples": 5},
    "integrated_gradients": {"steps": 6},
    "expected_gradients": {"references": REFERENCES, "samples": 7},
    "guided_backprop": {},
    "deconvnet": {},
    "excitation_backprop": {},
    "gradcam": {},
    "gradcam_plus_plus": {},
    "occlusion": {"window": 2, "stride": 1},
    "shapley_sampling": {"samples": 3},
    "kernel_shap": {"samples": 60},
    "lime": {"samples": 60},
}
#: the sum of relevance is the score, less that of the baseline
COMPLETE = ("integrated_gradients", "expected_gradients", "shapley_sampling", "kernel_shap")


class MethodTester:
    """Checks a method on a small network of convolutions."""

    def __init__(self, method: str) -> None:
        self.method, self.options = method, METHODS[method]

    def explain(self, x: Tensor = IMAGES, target: Any = CLASSES, model: Any = NET, **more: Any) -> sx.Explanation:
        return sx.explain(model, x, target, self.method, **{**self.options, **more})

    def check_score_and_shape(self) -> None:
        e = self.explain()
        y = NET(IMAGES).detach()
        score = torch.ones(4) if self.method == "excitation_backprop" else y[torch.arange(4), CLASSES]
        torch.testing.assert_close(e.score, score.double())
        torch.testing.assert_close(e.output, y)
        assert torch.equal(e.target, CLASSES) and e.relevance.shape == IMAGES.shape and e.method == self.method
        assert e.relevance.abs().max() > 1e-6

    def check_target(self) -> None:
        """The predicted class, and a callable for it."""
        predicted = NET(IMAGES).argmax(1)
        expected = self.explain(target=predicted)
        for target in (None, lambda y: y.amax(1)):
            e = self.explain(target=target)
            torch.testing.assert_close(e.relevance, expected.relevance)
        assert torch.equal(self.explain(target=None).target, predicted)

    def check_batch(self) -> None:
        """A sample's relevance is the same alone, in another order, and in batches of any size."""
        whole = self.explain().relevance
        for i in range(4):
            alone = self.explain(IMAGES[i : i + 1], CLASSES[i : i + 1]).relevance
            torch.testing.assert_close(alone[0], whole[i], rtol=1e-8, atol=1e-11)
        turned = self.explain(IMAGES.flip(0), CLASSES.flip(0)).relevance
        torch.testing.assert_close(turned.flip(0), whole, rtol=1e-8, atol=1e-11)
        split = self.explain(batch_size=3)
        torch.testing.assert_close(split.relevance, whole, rtol=1e-8, atol=1e-11)
        if "chunk" in self.takes():
            for chunk in (1, 9):
                found = self.explain(chunk=chunk).relevance
                torch.testing.assert_close(found, whole, rtol=1e-8, atol=1e-11)

    def check_determinism(self) -> None:
        state = torch.get_rng_state()
        assert torch.equal(self.explain().relevance, self.explain().relevance)
        assert torch.equal(torch.get_rng_state(), state)
        if "seed" in self.takes() and self.method != "occlusion":  # whose fill is not random here
            assert not torch.allclose(self.explain(seed=1).relevance, self.explain().relevance)

    def check_model_untouched(self) -> None:
        before = {k: v.clone() for k, v in NET.state_dict().items()}
        x = IMAGES.clone()
        self.explain(x)
        assert torch.equal(x, IMAGES) and not x.requires_grad
        assert all(torch.equal(v, before[k]) for k, v in NET.state_dict().items())
        assert all(p.grad is None and p.requires_grad for p in NET.parameters())
        assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in NET.modules())

    def check_frozen_model(self) -> None:
        frozen = copy.deepcopy(NET).requires_grad_(False)
        torch.testing.assert_close(self.explain(model=frozen).relevance, self.explain().relevance)

    def check_dtype(self, dtype: torch.dtype) -> None:
        options = {k: v.to(dtype) if isinstance(v, Tensor) else v for k, v in self.options.items()}
        e = sx.explain(copy.deepcopy(NET).to(dtype), IMAGES.to(dtype), CLASSES, self.method, **options)
        exact = self.explain().relevance
        assert e.relevance.dtype == dtype
        found = torch.stack([exact.flatten(), e.relevance.double().flatten()])
        assert torch.corrcoef(found)[0, 1] > (0.9999 if dtype == torch.float32 else 0.8)

    def check_structures(self) -> None:
        """A tuple or a dict of inputs gives a tuple or a dict of relevance; the first input is all that counts."""

        def model(a: Tensor, scale: float = 1.0) -> Tensor:
            return NET(a) * scale

        expected = self.explain().relevance
        options = {k: (v,) if k == "references" else v for k, v in self.options.items()}
        (found,) = sx.explain(model, (IMAGES,), CLASSES, self.method, **options).relevance
        torch.testing.assert_close(found, expected)
        options = {k: {"a": v} if k == "references" else v for k, v in self.options.items()}
        found = sx.explain(model, {"a": IMAGES, "scale": 1.0}, CLASSES, self.method, **options).relevance
        torch.testing.assert_close(found, {"a": expected})

    def check_completeness(self) -> None:
        e = self.explain()
        if self.method not in COMPLETE:
            assert e.convergence_error is None
            return
        assert e.convergence_error.shape == (4,)
        baseline = REFERENCES if self.method == "expected_gradients" else torch.zeros(1, 2, 6, 4).double()
        y = NET(baseline).detach()[:, CLASSES]
        if self.method == "expected_gradients":
            drawn = torch.tensor([2, 2, 2]) + torch.eye(3, dtype=torch.long)  # 7 draws: one reference comes once more
            candidates = e.score - drawn.double() @ y / 7 - e.relevance.flatten(1).sum(1)
            assert (candidates - e.convergence_error).abs().amax(1).min() < 1e-12
        else:
            torch.testing.assert_close(e.convergence_error, e.score - y[0] - e.relevance.flatten(1).sum(1))

    def takes(self) -> list[str]:
        return list(sx.METHODS[self.method].__kwdefaults__ or {})
