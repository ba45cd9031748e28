"""The model, the input and torch itself are left exactly as they were, whatever happens."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from rule_tester import sample
from torch import Tensor, nn
from torch.nn.modules import module as nn_module
from torch.overrides import _get_current_function_mode_stack

import sciexplain as sx

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
)
GLOBAL_HOOKS = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
    "_global_forward_hooks_always_called",
)


class Broken(RuntimeError):
    """What the tests let go wrong."""


class RaisesInForward(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise Broken("forward")


class _BrokenBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 1.0

    @staticmethod
    def backward(ctx: Any, c: Tensor) -> Tensor:
        raise Broken("backward")


class RaisesInBackward(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return _BrokenBackward.apply(x)


@dataclass(frozen=True)
class BrokenRule(sx.rules.Rule):
    def propagate(self, layer: Any, c: Tensor) -> Tensor:
        raise Broken("rule")


def network(*extra: nn.Module) -> nn.Module:
    """BatchNorm, in-place ReLUs, a frozen parameter, hooks of its own; ``extra`` deep inside."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        inner = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), *extra, nn.ReLU(inplace=True))
        model = nn.Sequential(
            nn.Conv2d(3, 6, 3),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.Sequential(inner, nn.MaxPool2d(2)),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(6 * 4, 5),
            nn.ReLU(),
            nn.Linear(5, 3),
        ).double()
    model.eval()
    model[3].train()  # a flag of its own
    model[0].bias.requires_grad_(False)
    model[6].weight.grad = torch.full_like(model[6].weight, 0.5)
    model[0].register_forward_hook(lambda module, args, output: None)
    model[6].register_forward_pre_hook(lambda module, args: None)
    return model


def snapshot(model: nn.Module, x: Tensor) -> dict[str, Any]:
    """All that may not change, with copies of what could change in place."""
    parameters = list(model.named_parameters())
    return {
        "parameters": [(name, id(p), p._version, p.requires_grad) for name, p in parameters],
        "grads": [None if p.grad is None else (id(p.grad), p.grad.tolist()) for _, p in parameters],
        "state": {name: value.tolist() for name, value in model.state_dict().items()},
        "training": [m.training for m in model.modules()],
        "hooks": [{h: list(getattr(m, h).items()) for h in HOOKS} for m in model.modules()],
        "attributes": [sorted(vars(m)) for m in model.modules()],
        "global hooks": [list(getattr(nn_module, h).items()) for h in GLOBAL_HOOKS],
        "modes": _get_current_function_mode_stack(),
        "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "random": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "input": (x.tolist(), x._version, x.requires_grad, x.grad, x.grad_fn, x.is_leaf),
    }


@contextlib.contextmanager
def untouched(model: nn.Module, x: Tensor) -> Iterator[None]:
    before = snapshot(model, x)
    yield
    after = snapshot(model, x)
    for what, value in before.items():
        assert after[what] == value, f"changed: {what}"


def as_context(model: nn.Module, x: Tensor, **options: Any) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        with sx.LRP(options.pop("composite", "epsilon"), on_unknown="gradient", **options):
            y = model(leaf)
        return torch.autograd.grad(y[:, 0].sum(), leaf)[0]


def explain(**options: Any) -> Callable[..., Any]:
    return lambda model, x, **more: sx.explain(model, x, 0, on_unknown="gradient", **(options | more))


USES = {
    "explain": explain(),
    "explain flat": explain(composite="epsilon_plus_flat"),
    "explain alpha beta": explain(composite="epsilon_alpha2_beta1"),
    "explain with ledger and layers": explain(ledger=True, layers=["3.*", "8"]),
    "explain in batches": explain(batch_size=1),
    "describe": lambda model, x: sx.composites.get("epsilon_plus").describe(model, x),
    "LRP": as_context,
    "LRP with ledger": lambda model, x: as_context(model, x, ledger=True),
    "gradient": explain(method="gradient"),
    "integrated gradients": explain(method="integrated_gradients", steps=2),
}
SURROUNDINGS = {
    "plain": contextlib.nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "an outer LRP": lambda: sx.LRP("epsilon_plus"),
}


@pytest.fixture
def x() -> Tensor:
    return sample(2, 3, 6, 7)


@pytest.mark.parametrize("use", USES)
def test_after_use(use, x):
    model = network()
    with untouched(model, x):
        USES[use](model, x)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("use", ["explain", "explain with ledger and layers", "LRP"])
def test_surroundings(use, surroundings, x):
    model = network()
    expected = USES[use](model, x)
    with untouched(model, x), SURROUNDINGS[surroundings](), untouched(model, x):
        found = USES[use](model, x)
    if isinstance(found, Tensor):
        assert torch.equal(found, expected)
    else:
        assert torch.equal(found.relevance, expected.relevance)


FAILURES = {
    "forward": (RaisesInForward, {}),
    "backward": (RaisesInBackward, {}),
    "rule": (nn.Identity, {"composite": sx.Composite([("3.*", BrokenRule())])}),
}


@pytest.mark.parametrize("use", ["explain", "explain with ledger and layers", "LRP", "LRP with ledger"])
@pytest.mark.parametrize("failure", FAILURES)
def test_after_an_exception(failure, use, x):
    broken, options = FAILURES[failure]
    model = network(broken())
    expected = sx.explain(network(nn.Identity()), x, 0).relevance
    call = {
        "explain": explain(),
        "explain with ledger and layers": explain(ledger=True, layers=["0"]),
        "LRP": as_context,
        "LRP with ledger": lambda model, x, **options: as_context(model, x, ledger=True, **options),
    }[use]
    with untouched(model, x), pytest.raises(Broken):
        call(model, x, **options)
    assert torch.equal(sx.explain(network(nn.Identity()), x, 0).relevance, expected)


def test_an_unruled_operation_refused(x):
    model = network(RaisesInBackward())
    with untouched(model, x), pytest.raises(sx.UnknownOperationError):
        sx.explain(model, x, 0, on_unknown="error")


def test_an_exception_inside_the_context(x):
    model = network()
    with untouched(model, x), pytest.raises(Broken), sx.LRP("epsilon"), sx.LRP("epsilon_plus"):
        model(x.clone().requires_grad_())
        raise Broken


def test_the_input_of_the_user_keeps_its_graph(x):
    """An input in the middle of somebody's graph: neither its gradient nor its graph is touched."""
    leaf = x.clone().requires_grad_()
    middle = leaf * 2
    middle.retain_grad()
    node, model = middle.grad_fn, network()
    sx.explain(model, middle, 0)
    sx.explain(model, leaf, 0, ledger=True)
    assert middle.grad_fn is node and middle.grad is None
    assert leaf.grad is None and leaf.requires_grad and leaf.grad_fn is None
    middle.sum().backward()
    assert torch.equal(leaf.grad, torch.full_like(leaf, 2.0)) and torch.equal(middle.grad, torch.ones_like(middle))


def test_training_mode(x):
    """Explained as in evaluation mode, and nothing is counted or averaged."""
    model = network().train()
    expected = sx.explain(network().eval(), x, 0).relevance
    with untouched(model, x), pytest.warns(UserWarning, match="training mode"):
        found = sx.explain(model, x, 0)
    assert torch.equal(found.relevance, expected)


@pytest.mark.filterwarnings("error")
def test_one_inside_the_other(x):
    """An explanation started inside the forward pass of another."""
    model, inner = network(), network()
    expected, other = (
        sx.explain(model, x, 0).relevance,
        sx.explain(inner, x, 1, composite="epsilon_plus").relevance,
    )
    seen = []

    def forward(v: Tensor) -> Tensor:
        seen.append(sx.explain(inner, x, 1, composite="epsilon_plus").relevance)
        return model(v)

    with untouched(model, x), untouched(inner, x):
        found = sx.explain(forward, x, 0).relevance
    assert torch.equal(found, expected) and torch.equal(seen[0], other)


def test_second_thread(x):
    """A thread of its own, at the same time as another explanation of the same model in this one."""
    model = network()
    expected = sx.explain(model, x, 0, composite="epsilon_plus", layers=["3.0"])
    found: list[Any] = []
    barrier = threading.Barrier(2)

    def forward(v: Tensor) -> Tensor:
        barrier.wait(10)
        return model(v)

    def work() -> None:
        found.append(sx.explain(forward, x, 0, composite="epsilon_plus", layers=["3.0"]))

    with untouched(model, x):
        thread = threading.Thread(target=work)
        thread.start()
        work()
        thread.join(30)
    for e in found:
        assert torch.equal(e.relevance, expected.relevance)
        assert torch.equal(e.layers["3.0"], expected.layers["3.0"])
    assert len(found) == 2


class Watch:
    """Weak references to every activation of a model."""

    def __init__(self, model: nn.Module) -> None:
        self.activations: list[weakref.ref[Tensor]] = []
        self._handles = [m.register_forward_hook(self._see) for m in model.modules()]

    def _see(self, module: nn.Module, args: Any, output: Tensor) -> None:
        self.activations.append(weakref.ref(output))

    def alive(self) -> int:
        return sum(ref() is not None for ref in self.activations)


def tensors_alive() -> int:
    return sum(issubclass(type(o), Tensor) for o in gc.get_objects())


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("use", [u for u in USES if u != "integrated gradients"])
def test_no_graph_is_kept_alive(use, x):
    """Without help from the garbage collector: nothing holds itself in a circle."""
    model = network()
    USES[use](model, x)  # caches fill
    watch = Watch(model)
    with no_garbage_collection():
        before = tensors_alive()
        result = USES[use](model, x)
        assert watch.activations and watch.alive() == 0
        del result
        assert tensors_alive() == before


@pytest.mark.parametrize("failure", FAILURES)
def test_no_graph_is_kept_alive_after_an_exception(failure, x):
    broken, options = FAILURES[failure]
    model = network(broken())
    watch = Watch(model)
    with no_garbage_collection():
        with contextlib.suppress(Broken):
            explain()(model, x, **options)
        assert watch.activations and watch.alive() == 0


def test_the_result_holds_no_graph(x):
    e = sx.explain(network(), x, 0, ledger=True, layers=["3.0"])
    for tensor in (
        e.relevance,
        e.output,
        e.score,
        e.target,
        e.layers["3.0"],
        e.ledger.gap,
        *e.ledger.absorbed.values(),
    ):
        assert tensor.grad_fn is None and not tensor.requires_grad
