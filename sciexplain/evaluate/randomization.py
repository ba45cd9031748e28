"""Networks with random weights, layer by layer, on a copy."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from .._evaluation import evaluation_mode
from ..engine.programs import original
from ..errors import InputError, ModelError
from ..inputs import Inputs

LayerOrder = Literal["top_down", "bottom_up", "independent"]
Weights = Literal["initial", "permuted"]


def randomized(
    model: Any, inputs: Inputs, *, order: LayerOrder = "top_down", weights: Weights = "initial", seed: int = 0
) -> Iterator[tuple[str, nn.Module]]:
    """Names of layers, and a copy of the model in which they and those before them are random.

    A layer is a module with parameters of its own, in the order in which the forward pass meets them; weights that
    layers share become random once, with the first of them that does. A layer's draw depends on the seed and its place,
    not on the order.

    Parameters
    ----------
    model
        Left as it is.
    order
        ``"top_down"`` from the output, ``"bottom_up"`` from the input, both cascading; ``"independent"``: one layer at
        a time, all others as trained.
    weights
        ``"initial"``: as the layer initialises itself (``reset_parameters``); parameters of modules without such are
        drawn from a normal distribution with their own mean and spread. ``"permuted"``: each parameter's own values in
        random order, which keeps their distribution.

    Yields
    ------
    name
    model
        The same object each time, changed further.

    Raises
    ------
    ModelError, InputError
    """
    if order not in get_args(LayerOrder) or weights not in get_args(Weights):
        raise InputError(
            f"order={order!r}, weights={weights!r}: expected order {', '.join(map(repr, get_args(LayerOrder)))} and "
            f"weights {', '.join(map(repr, get_args(Weights)))}."
        )
    network = copied(model)
    trained = {k: v.detach().clone() for k, v in network.state_dict().items()}
    layers = _layers(network, inputs)
    seeds = torch.randint(2**62, (len(layers),), generator=torch.Generator().manual_seed(seed)).tolist()
    turns = list(zip(layers, seeds, strict=True))
    done: set[int] = set()
    for (name, module), own in turns[::-1] if order == "top_down" else turns:
        if order == "independent":
            network.load_state_dict(trained)
            done = set()
        if _randomize(module, weights, own, done):
            yield name, network


def copied(model: Any) -> nn.Module:
    """A deep copy in evaluation mode.

    Raises
    ------
    ModelError
        For what is no module, has no parameters, or cannot be copied.
    """
    model = original(model)
    if not isinstance(model, nn.Module) or not any(True for _ in model.parameters()):
        raise ModelError(
            f"model is {type(model).__name__} without parameters to randomise; expected a torch module with weights."
        )
    try:
        return copy.deepcopy(model).eval()
    except Exception as error:  # a model's own __deepcopy__ may raise anything
        raise ModelError(f"The model cannot be copied, which random weights need: {error}") from error


def _layers(network: nn.Module, inputs: Inputs) -> list[tuple[str, nn.Module]]:
    """Modules with parameters of their own, in the order of their first use.

    A module whose weights others use without calling it (attention's output projection) goes with the nearest around
    it that was called.
    """
    called: dict[str, int] = {}
    names = {module: name for name, module in network.named_modules()}
    hooks = [] if isinstance(network, torch.jit.ScriptModule) else list(names)

    def note(module: nn.Module, _: Any) -> None:
        called.setdefault(names[module], len(called))

    handles = [module.register_forward_pre_hook(note) for module in hooks]
    try:
        with evaluation_mode(network), torch.no_grad():
            inputs.cloned().call(network)
    finally:
        for handle in handles:
            handle.remove()

    def place(name: str) -> int:
        while name and name not in called:
            name = name.rpartition(".")[0]
        return called.get(name, -1)

    own = [(name, m) for name, m in network.named_modules() if any(True for _ in m.parameters(recurse=False))]
    return sorted(own, key=lambda pair: place(pair[0]))


def _randomize(module: nn.Module, weights: Weights, seed: int, done: set[int]) -> bool:
    """Make a module's own parameters random; False where they are already. ``done`` holds what is."""
    own = [(i, p) for i, p in enumerate(module.parameters(recurse=False)) if id(p) not in done]
    if not own:
        return False
    before = {id(p): p.detach().clone() for _, p in own}
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    with torch.no_grad():
        if weights == "initial" and callable(reset):
            _reset_own(module, reset, [p for _, p in own], seed)
        for i, p in own:
            # Parametrised weights are out of a reset's reach; what it sets to a constant may be one already.
            if torch.equal(p, before[id(p)]) and not (callable(reset) and bool((p == p.reshape(-1)[0]).all())):
                p.copy_(_drawn(p, weights, torch.Generator().manual_seed(seed + i)))
            done.add(id(p))
    return True


def _reset_own(module: nn.Module, reset: Callable[[], object], own: list[nn.Parameter], seed: int) -> None:
    """A module's own initialisation, but not of the layers inside it: their turn is another."""
    mine = {id(t) for t in (*own, *module.buffers(recurse=False))}
    others = [(t, t.detach().clone()) for t in (*module.parameters(), *module.buffers()) if id(t) not in mine]
    with torch.random.fork_rng(devices=sorted({p.get_device() for p in own if p.is_cuda})):
        torch.manual_seed(seed)
        reset()
    for tensor, values in others:
        tensor.copy_(values)


def _drawn(p: Tensor, weights: Weights, generator: torch.Generator) -> Tensor:
    values = p.detach().cpu().reshape(-1)
    if weights == "permuted":
        return values[torch.randperm(len(values), generator=generator)].view(p.shape).to(p)
    values = values.double()
    spread = float(values.std()) if len(values) > 1 else 0.0
    spread = spread or abs(float(values.mean()))
    drawn = torch.randn(len(values), generator=generator, dtype=torch.float64) * spread + values.mean()
    return drawn.view(p.shape).to(p)
