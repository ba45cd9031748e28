"""Every preset on the usual architectures against zennit: its canonizers for zennit, none for us."""

from __future__ import annotations

import importlib.util

import _peers
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sciexplain as sx

if importlib.util.find_spec("zennit") is None:
    pytest.skip("needs zennit", allow_module_level=True)
zennit = _peers.zennit()
pytestmark = pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel lengths")

STABILIZER = 1e-12
LOW, HIGH = -3.0, 3.0
CHANNEL_LOW, CHANNEL_HIGH = (torch.linspace(*ends, 3).double() for ends in ((-3.0, -5.0), (4.0, 3.0)))
PER_CHANNEL = {"low": CHANNEL_LOW.view(1, 3, 1, 1), "high": CHANNEL_HIGH.view(1, 3, 1, 1)}


def _epsilon(stabilizer, canonizers):
    layer_map = [
        *zennit.composites.layer_map_base(stabilizer),
        (zennit.types.Linear, zennit.rules.Epsilon(1e-6)),
    ]
    return zennit.composites.LayerMapComposite(layer_map=layer_map, canonizers=canonizers)


#: our options, zennit's composite and its options
COMPOSITES = {
    "epsilon": ({}, _epsilon, {}),
    "epsilon_plus": ({}, zennit.composites.EpsilonPlus, {}),
    "epsilon_plus_flat": ({}, zennit.composites.EpsilonPlusFlat, {}),
    "epsilon_alpha2_beta1": ({}, zennit.composites.EpsilonAlpha2Beta1, {}),
    "epsilon_alpha2_beta1_flat": ({}, zennit.composites.EpsilonAlpha2Beta1Flat, {}),
    "epsilon_gamma_box": (
        {"low": LOW, "high": HIGH},
        zennit.composites.EpsilonGammaBox,
        {"low": LOW, "high": HIGH},
    ),
    "epsilon_gamma_box gamma 1": (
        {"low": LOW, "high": HIGH, "gamma": 1.0},
        zennit.composites.EpsilonGammaBox,
        {"low": LOW, "high": HIGH, "gamma": 1.0},
    ),
}


def randomized(model: nn.Module, *shape: int) -> nn.Module:
    """Values of both signs; a tiny BatchNorm eps, since zennit applies it twice."""
    model = model.double().eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model(torch.randn(shape, dtype=torch.float64))  # lazy layers get their shapes
        for p in model.parameters():
            nn.init.normal_(p, 0, 0.3)
        for m in model.modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                m.eps = 1e-14
                m.running_mean.normal_()
                m.running_var.uniform_(0.5, 2)
    return model


def compare(name: str, model: nn.Module, shape: tuple[int, ...], canonizers, ours=None, theirs=None) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(shape, generator=generator, dtype=torch.float64).clamp(LOW, HIGH)
    options, composite, their_options = COMPOSITES[name]
    if name != "epsilon":
        options = options | {"stabilizer": STABILIZER}
    options, their_options = options | (ours or {}), their_options | (theirs or {})
    target = torch.arange(len(x)) % 2
    found = sx.explain(model, x, target, composite=sx.composites.get(name.split()[0], **options), on_unknown="error")
    start = F.one_hot(target, found.output.shape[1]) * found.output
    attributor = zennit.attribution.Gradient(
        model, composite(stabilizer=STABILIZER, canonizers=canonizers, **their_options)
    )
    with attributor:
        _, expected = attributor(x, start)
    error = (found.relevance - expected).abs().max() / expected.abs().max()
    assert error < 1e-8


class VGG(nn.Module):
    def __init__(self, inplace: bool, batch_norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for ins, outs in [(3, 6), (6, 8), (8, 8)]:
            layers.append(nn.Conv2d(ins, outs, 3, padding=1))
            layers += [nn.BatchNorm2d(outs)] if batch_norm else []
            layers.append(nn.ReLU(inplace))
            layers += [nn.MaxPool2d(2)] if outs == 8 else []
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(
            nn.Linear(32, 10),
            nn.ReLU(inplace),
            nn.Dropout(),
            nn.Linear(10, 7),
            nn.ReLU(inplace),
            nn.Linear(7, 4),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class DenseNet(nn.Module):
    """Each layer sees the maps of all before it."""

    def __init__(self) -> None:
        super().__init__()
        channels = [(3, 6), (6, 4), (10, 4), (14, 5)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(ins, outs, 1 if outs == 5 else 3, padding=int(outs != 5)) for ins, outs in channels
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(outs) for _, outs in channels)
        self.relu = nn.ReLU()
        self.pool = nn.AvgPool2d(2)
        self.classifier = nn.Linear(5 * 36, 3)

    def forward(self, x: Tensor) -> Tensor:
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            new = self.relu(norm(convolution(x)))
            x = torch.cat([x, new], 1) if 0 < i < 3 else new
        return self.classifier(self.pool(x).flatten(1))


class DenseNetMerge(zennit.canonizers.MergeBatchNorm):
    """zennit's own looks for a convolution and a BatchNorm next to each other in the list of children."""

    def apply(self, root_module):
        canonizers = []
        for module in root_module.modules():
            if isinstance(module, DenseNet):
                for convolution, norm in zip(module.convolutions, module.norms, strict=True):
                    canonizers.append(self.copy())
                    canonizers[-1].register((convolution,), norm)
        return canonizers


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, 2, padding="valid")
        self.branches = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(6, 4, 1), nn.ReLU()),
                nn.Sequential(nn.Conv2d(6, 4, 3, padding="same", dilation=2), nn.ReLU()),
                nn.Sequential(
                    nn.Conv2d(6, 4, (1, 5), padding=(0, 2)),
                    nn.ReLU(),
                    nn.Conv2d(4, 4, 4, padding="same"),
                    nn.ReLU(),
                    nn.Conv2d(4, 3, (5, 1), padding=(2, 0), bias=False),
                    nn.ReLU(),
                ),
                nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(6, 2, 1, groups=2), nn.ReLU()),
                nn.MaxPool2d(3, 1, 1),
            ]
        )
        self.relu = nn.ReLU()
        self.mix = nn.Conv2d(19, 6, 3, stride=(2, 1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.stem(x))
        x = torch.cat([branch(x) for branch in self.branches], 1)
        return self.classifier(self.pool(self.relu(self.mix(x))).flatten(1))


def in_dimensions(d: int) -> nn.Module:
    kinds = ("Conv", "ConvTranspose", "AvgPool", "MaxPool", "BatchNorm")
    conv, transposed, average, maximum, norm = (getattr(nn, f"{kind}{d}d") for kind in kinds)
    return nn.Sequential(
        conv(4, 6, 3, stride=2, padding=1, padding_mode="reflect"),
        nn.LeakyReLU(0.1),
        conv(6, 6, 3, padding=2, dilation=2, groups=3),
        norm(6),
        nn.ReLU(),
        transposed(6, 4, 3, stride=2, output_padding=1),
        norm(4),
        nn.Tanh(),
        average(2),
        conv(4, 5, 2, padding_mode="circular", padding=1),
        nn.GELU(),
        maximum(2),
        nn.Flatten(),
        nn.LazyLinear(4),
    )


def resnet(block: str, **options) -> nn.Module:
    from torchvision.models import resnet

    return resnet.ResNet(getattr(resnet, block), [1, 1, 1, 1], num_classes=5, **options)


MERGE = (zennit.canonizers.SequentialMergeBatchNorm,)
RESNET = (zennit.torchvision.ResNetCanonizer,)

#: network, input shape, zennit's canonizers
NETWORKS = {
    "VGG": (lambda: VGG(False, False), (3, 3, 13, 12), ()),
    "VGG in-place": (lambda: VGG(True, False), (3, 3, 13, 12), ()),
    "VGG batch norm": (lambda: VGG(False, True), (3, 3, 13, 12), MERGE),
    "VGG in-place batch norm": (lambda: VGG(True, True), (2, 3, 11, 15), MERGE),
    "ResNet basic": (lambda: resnet("BasicBlock"), (2, 3, 37, 40), RESNET),
    "ResNet bottleneck": (lambda: resnet("Bottleneck", groups=2, width_per_group=32), (2, 3, 35, 33), RESNET),
    "DenseNet": (DenseNet, (2, 3, 13, 12), (DenseNetMerge,)),
    "Inception": (Inception, (2, 3, 13, 16), ()),
    "1-D": (lambda: in_dimensions(1), (3, 4, 17), MERGE),
    "2-D": (lambda: in_dimensions(2), (2, 4, 9, 11), MERGE),
    "3-D": (lambda: in_dimensions(3), (2, 4, 9, 11, 8), MERGE),
}  # fmt: skip


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    make, shape, canonizers = NETWORKS[request.param]
    return randomized(make(), *shape), shape, canonizers


@pytest.mark.parametrize("composite", COMPOSITES)
def test_preset(network, composite):
    model, shape, canonizers = network
    compare(composite, model, shape, [canonizer() for canonizer in canonizers])


@pytest.mark.parametrize("name", ["VGG in-place batch norm", "ResNet basic", "DenseNet", "Inception"])
def test_box_with_bounds_per_channel(name):
    make, shape, canonizers = NETWORKS[name]
    compare(
        "epsilon_gamma_box",
        randomized(make(), *shape),
        shape,
        [canonizer() for canonizer in canonizers],
        ours={"low": CHANNEL_LOW, "high": CHANNEL_HIGH},
        theirs=PER_CHANNEL,
    )
