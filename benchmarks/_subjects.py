"""What the speed of LRP is measured on: networks with random weights, their plain gradient, and the peers' LRP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

import _peers
import torch
from torch import Tensor, nn

import sciexplain as sx

LOW, HIGH = -2.2, 2.7


@dataclass(frozen=True)
class Contender:
    """Something that is timed; ``around`` is entered before the clock starts."""

    run: Callable[[], Any]
    around: Callable[[], AbstractContextManager[Any]] = nullcontext


@dataclass(frozen=True)
class Subject:
    """A network with an input: its gradient, and each composite's explanation by this package and by a peer."""

    title: str
    model: nn.Module
    gradient: Contender
    ours: dict[str, Contender]
    peer: str
    theirs: dict[str, Contender] = field(default_factory=dict)


def gradient(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Of the predicted class to the input, times the input."""
    x = x.detach().requires_grad_()
    y = model(x)
    (g,) = torch.autograd.grad(y.gather(1, y.argmax(1, keepdim=True)).sum(), x)
    return x.detach() * g


def explained(model: nn.Module, inputs: Any, composites: dict[str, dict[str, Any]]) -> dict[str, Contender]:
    return {
        name: Contender(partial(sx.explain, model, inputs, composite=sx.composites.get(name, **options)))
        for name, options in composites.items()
    }


# -- convolutional networks, beside zennit --------------------------------------------------------------------------

BOUNDS = {"low": LOW, "high": HIGH}
CONVOLUTIONAL: dict[str, dict[str, Any]] = {
    "epsilon": {}, "epsilon_plus_flat": {}, "epsilon_gamma_box": BOUNDS, "epsilon_alpha2_beta1_flat": {}
}  # fmt: skip


def convolutional(name: str, batch: int, device: str) -> Subject:
    """A network of torchvision, its BatchNorm statistics away from the identity."""
    model = getattr(_peers.torchvision().models, name)(weights=None).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    model, x = model.requires_grad_(False).to(device), _pictures(batch, device)
    return Subject(
        f"{name}, batch {batch}",
        model,
        Contender(partial(gradient, model, x)),
        explained(model, x, CONVOLUTIONAL),
        "zennit",
        {preset: Contender(partial(_zennit, preset, model, x)) for preset in CONVOLUTIONAL},
    )


def _pictures(batch: int, device: str) -> Tensor:
    return torch.randn(batch, 3, 224, 224, device=device).clamp(LOW, HIGH)


def _zennit(preset: str, model: nn.Module, x: Tensor) -> Tensor:
    z = _peers.zennit()
    composites: dict[str, Callable[..., Any]] = {
        "epsilon": lambda **k: z.composites.LayerMapComposite(
            layer_map=[*z.composites.layer_map_base(1e-9), (z.types.Linear, z.rules.Epsilon(1e-6))], **k
        ),
        "epsilon_plus_flat": lambda **k: z.composites.EpsilonPlusFlat(stabilizer=1e-9, **k),
        "epsilon_gamma_box": lambda **k: z.composites.EpsilonGammaBox(low=LOW, high=HIGH, stabilizer=1e-9, **k),
        "epsilon_alpha2_beta1_flat": lambda **k: z.composites.EpsilonAlpha2Beta1Flat(stabilizer=1e-9, **k),
    }
    canonizer = z.torchvision.ResNetCanonizer() if hasattr(model, "layer1") else z.torchvision.VGGCanonizer()
    with z.attribution.Gradient(model=model, composite=composites[preset](canonizers=[canonizer])) as attributor:
        return attributor(x, lambda y: torch.zeros_like(y).scatter(1, y.argmax(1, keepdim=True), 1))[1]


# -- transformers, beside LXT ---------------------------------------------------------------------------------------

ATTENDING: dict[str, dict[str, Any]] = {"epsilon": {}, "attention": {}}


def vit(batch: int, device: str) -> Subject:
    """ViT-B/16 of torchvision. LXT has it with constant attention weights only."""
    model = _peers.torchvision().models.vit_b_16(weights=None).eval()
    nn.init.normal_(model.heads[0].weight, std=0.02)
    model, x = model.requires_grad_(False).to(device), _pictures(batch, device)
    around = partial(_patched_by_lxt, _peers.torchvision().models.vision_transformer, "cp_LRP", "vit_torch")
    return Subject(
        f"ViT-B/16, 197 tokens, batch {batch}",
        model,
        Contender(partial(gradient, model, x)),
        explained(model, x, ATTENDING),
        "LXT",
        {"epsilon": Contender(partial(gradient, model, x), around)},
    )


def bert(batch: int, device: str) -> Subject:
    """BERT-base of transformers. LXT's own BERT is of an older release; its rules are put into today's."""
    library = _peers.transformers()
    model = library.BertForSequenceClassification(library.BertConfig())
    return _language(
        "BERT-base", model, "bert.embeddings.word_embeddings", library.models.bert.modeling_bert, batch, device
    )


def llama(batch: int, device: str) -> Subject:
    """A Llama of BERT-base's size, with a classification head."""
    library = _peers.transformers()
    config = library.LlamaConfig(
        vocab_size=30522, hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12,
        num_key_value_heads=4, pad_token_id=0, use_cache=False,
    )  # fmt: skip
    model = library.LlamaForSequenceClassification(config)
    return _language(
        "Llama, 12 layers of 768", model, "model.embed_tokens", library.models.llama.modeling_llama, batch, device
    )


def _language(
    title: str, model: nn.Module, embedding: str, module: ModuleType, batch: int, device: str, length: int = 128
) -> Subject:
    model = model.eval().requires_grad_(False).to(device)
    ids = torch.randint(5, 30000, (batch, length), device=device)
    mask = torch.ones_like(ids)

    def plain() -> Tensor:
        embedded = model.get_submodule(embedding)(ids)
        return gradient(lambda x: model(inputs_embeds=x, attention_mask=mask).logits, embedded)

    kind = module.__name__.rpartition("_")[2]
    maps = {"epsilon": "cp_LRP", "attention": "attnLRP"}
    return Subject(
        f"{title}, {length} tokens, batch {batch}",
        model,
        Contender(plain),
        explained(model, {"input_ids": ids, "attention_mask": mask}, ATTENDING),
        "LXT",
        {name: Contender(plain, partial(_patched_by_lxt, module, rules, kind)) for name, rules in maps.items()},
    )


@contextmanager
def _patched_by_lxt(module: ModuleType, rules: str, kind: str) -> Iterator[None]:
    """LXT's rules in the classes of ``module``, which it changes for the whole process, and back."""
    lxt = _peers.lxt().efficient
    if kind == "bert":
        activation = _peers.transformers().activations.GELUActivation
        changes: dict[Any, Any] = {
            nn.LayerNorm: partial(lxt.patches.patch_method, lxt.patches.layer_norm_forward),
            activation: partial(lxt.patches.patch_method, lxt.patches.non_linear_forward, keep_original=True),
            module: None,
        }
    else:
        changes = dict(getattr(getattr(lxt.models, kind), rules))
    if module in changes:  # its own way of putting this in leaves a dictionary that transformers 5 cannot use
        wrap = {"cp_LRP": lxt.patches.cp_wrap_attention_forward, "attnLRP": lxt.patches.wrap_attention_forward}[rules]
        changes[module] = partial(_wrap_attention, wrap)
    functions = dict(getattr(module, "ALL_ATTENTION_FUNCTIONS", {}))
    before = [(owner, {n: vars(owner).get(n) for n in ("forward", "original_forward")}) for owner in changes]
    try:
        lxt.monkey_patch(module, changes)
        yield
    finally:
        for owner, methods in before:
            for name, method in methods.items():
                if method is not None:
                    setattr(owner, name, method)
                elif name in vars(owner):
                    delattr(owner, name)
        if functions:
            module.ALL_ATTENTION_FUNCTIONS.update(functions)


def _wrap_attention(wrap: Callable[[Any], Any], module: ModuleType) -> bool:
    module.ALL_ATTENTION_FUNCTIONS.update({k: wrap(f) for k, f in module.ALL_ATTENTION_FUNCTIONS.items()})
    return True


# -- recurrent networks ---------------------------------------------------------------------------------------------


class Recurrent(nn.Module):
    """Two layers of LSTM and a dense layer on the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(64, 256, num_layers=2, batch_first=True)
        self.dense = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.lstm(x)[0][:, -1])


def lstm(batch: int, device: str) -> Subject:
    """No peer has rules for torch's own LSTM."""
    model, x = Recurrent().eval().requires_grad_(False).to(device), torch.randn(batch, 100, 64, device=device)
    title = f"LSTM, 2 layers of 256, 100 steps, batch {batch}"
    return Subject(title, model, Contender(partial(gradient, model, x)), explained(model, x, ATTENDING), "peer")


SUBJECTS: dict[str, Callable[[int, str], Subject]] = {
    "vgg16": partial(convolutional, "vgg16"),
    "resnet50": partial(convolutional, "resnet50"),
    "vit_b_16": vit,
    "bert": bert,
    "llama": llama,
    "lstm": lstm,
}


def build(name: str, batch: int, device: str) -> Subject:
    torch.manual_seed(0)
    return SUBJECTS.get(name, partial(convolutional, name))(batch, device)
