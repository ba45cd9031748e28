"""What a model is run in, so that it predicts as always and nothing of it or of torch is changed afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .._evaluation import evaluation_mode
from ..engine.base import engines_suspended
from ..engine.programs import as_written
from ..inputs import buffers_restored
from .observe import first_parameter


@contextmanager
def undisturbed(model: Any, *others: Any, seed: int) -> Iterator[None]:
    """Evaluation mode of a model and of the modules in ``others`` (priors); gradients; random numbers of its own."""
    with ExitStack() as stack:
        for part in [model, *(m for other in others for m in modules_in(other))]:
            stack.enter_context(buffers_restored(part))
            stack.enter_context(evaluation_mode(part))
        for context in (engines_suspended(), as_written, torch.inference_mode(False), torch.enable_grad()):
            stack.enter_context(context)
        devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
        stack.enter_context(torch.random.fork_rng(devices=devices))
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed_all(seed)
            # its recurrent layers have no backward pass in evaluation mode
            stack.enter_context(torch.backends.cudnn.flags(enabled=not _is_recurrent(model)))
        yield


def modules_in(thing: Any) -> list[nn.Module]:
    """A module, or the modules that an object holds as attributes."""
    if isinstance(thing, nn.Module):
        return [thing]
    return [value for value in getattr(thing, "__dict__", {}).values() if isinstance(value, nn.Module)]


def like_codes(given: Any, model: Any) -> Tensor:
    """A tensor whose device and dtype codes shall have: the decoder's, or else the model's."""
    parameters = (p for module in modules_in(given) for p in module.parameters() if p.is_floating_point())
    like = next(parameters, first_parameter(model))
    # steps of a thousandth are lost in half precision
    return like.float() if like.dtype in (torch.float16, torch.bfloat16) else like


def _is_recurrent(model: Any) -> bool:
    return isinstance(model, nn.Module) and any(isinstance(m, nn.RNNBase) for m in model.modules())
