"""Grad-CAM and Grad-CAM++ against the papers' sums, captum, and networks of every shape."""

import pytest
import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn

import sciexplain as sx

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}
BOTH = ("gradcam", "gradcam_plus_plus")


def network(dims, channels=2):
    convolution, pool = CONVOLUTIONS[dims], getattr(nn, f"AdaptiveAvgPool{dims}d")
    layers = [convolution(channels, 4, 3, padding=1), nn.ReLU(), convolution(4, 5, 3, stride=2), nn.ReLU()]
    return randomize(nn.Sequential(*layers, pool(1), nn.Flatten(), nn.Linear(5, 3)))


def by_hand(method, activation, score):
    """The papers' equations, one channel and one sample at a time."""
    (gradient,) = torch.autograd.grad(score.sum(), activation)
    maps = []
    for A, g in zip(activation.detach(), gradient, strict=True):
        total = torch.zeros(A.shape[1:]).double()
        for A_k, g_k in zip(A, g, strict=True):
            if method == "gradcam":
                weight = g_k.mean()
            else:
                alpha = torch.where(g_k == 0, 0.0, g_k**2 / (2 * g_k**2 + A_k.sum() * g_k**3))
                weight = (alpha * g_k.relu()).sum()
            total += weight * A_k
        maps.append(total.relu())
    return torch.stack(maps)


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_last_map_of_a_network(dims, method):
    net, x = network(dims), sample(3, 2, *(9, 7, 8)[:dims])
    e = sx.explain(net, x, 1, method)
    activation = net[:4](x).detach().requires_grad_()
    cam = by_hand(method, activation, net[4:](activation)[:, 1])
    assert list(e.layers) == ["3"]
    torch.testing.assert_close(e.layers["3"], cam)
    large = F.interpolate(cam[:, None], x.shape[2:], mode=MODES[dims])
    torch.testing.assert_close(e.relevance.sum(1, keepdim=True), large)
    torch.testing.assert_close(e.relevance, large.expand_as(x) / 2)
    torch.testing.assert_close(e.score, net(x)[:, 1].detach())


def test_captum():
    captum = pytest.importorskip("captum.attr")
    net, x, target = network(2), sample(4, 2, 9, 7), torch.tensor([2, 0, 1, 2])
    for name, layer in (("1", net[1]), ("3", net[3])):
        found = sx.explain(net, x, target, "gradcam", layer=name).layers[name]
        expected = captum.LayerGradCam(net, layer).attribute(x, target, relu_attributions=True)
        torch.testing.assert_close(found, expected[:, 0].detach())


@pytest.mark.parametrize("method", BOTH)
def test_plus_plus_of_a_map_without_gradient(method):
    """A channel that does not count has weight 0, not 0 / 0."""
    net = network(2)
    with torch.no_grad():
        net[-1].weight[:, 0] = 0
    assert sx.explain(net, sample(2, 2, 9, 7), 1, method).relevance.isfinite().all()


# -- which layer -----------------------------------------------------------------------------------------------------


class InPlace(nn.Module):
    """Residual, in place, pooled inside: the map is the block's output."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv, self.norm, self.fc = (
            nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(4, 3),
        )  # fmt: skip
        self.relu = nn.ReLU(inplace=True)

    def features(self, x):
        x = self.relu(self.stem(x))
        y = self.norm(self.conv(x))
        y += x
        return self.relu(y)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


class Tokens(nn.Module):
    """Convolutions, then tokens that no map should be read from."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.mlp, self.head = (
            nn.Conv1d(2, 4, 3, padding=1), nn.LayerNorm(4), nn.Linear(4, 4), nn.Linear(4, 3),
        )  # fmt: skip
        self.drop = nn.Dropout()

    def forward(self, x):
        tokens = self.conv(x).transpose(1, 2)
        tokens = tokens + self.drop(self.mlp(self.norm(tokens)))
        return self.head(tokens.mean(1))


class Last(nn.Module):
    """Of the last convolution only one position matters."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.fc = nn.Conv1d(2, 3, 3), nn.Conv1d(3, 3, 3), nn.Linear(3, 3)

    def forward(self, x):
        return self.fc(self.b(self.a(x).relu())[..., -1])


class Dense(nn.Module):
    """A segmentation network; its output is no map to explain itself with."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 3, 1)

    def forward(self, x):
        return self.head(self.body(x).relu())


IMAGE, SEQUENCE = sample(2, 2, 8, 7), sample(2, 2, 9)
NETWORK = network(2)
LAYERS = {
    "in place": (InPlace(), IMAGE, "relu"),
    "tokens behind": (Tokens(), SEQUENCE, "conv"),
    "one position": (Last(), SEQUENCE, "a"),
    "inside a function": (lambda x: NETWORK(x).softmax(1), IMAGE, "3"),
    "nested": (nn.Sequential(nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU()), nn.Flatten(), nn.Linear(90, 3)), IMAGE, "0"),
    "dense output": (Dense(), IMAGE, "body"),
}


@pytest.mark.parametrize("case", LAYERS)
def test_the_layer_that_is_found(case):
    model, x, expected = LAYERS[case]
    if isinstance(model, nn.Module):
        model = randomize(model)
    target = (lambda y: y[:, 1].flatten(1).sum(1)) if case == "dense output" else 1
    assert list(sx.explain(model, x, target, "gradcam").layers) == [expected]


def test_values_after_changes_in_place():
    model = randomize(InPlace())
    e = sx.explain(model, IMAGE, 1, "gradcam")
    activation = model.features(IMAGE).detach().requires_grad_()
    torch.testing.assert_close(
        e.layers["relu"], by_hand("gradcam", activation, model.fc(activation.mean((2, 3)))[:, 1])
    )


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
def test_a_scripted_network():
    e = sx.explain(torch.jit.script(NETWORK), IMAGE, 1, "gradcam")
    torch.testing.assert_close(e.layers["3"], sx.explain(NETWORK, IMAGE, 1, "gradcam").layers["3"])


def test_tokens_with_reshape():
    """A layer of tokens as a map, by name, without its first token."""
    model = randomize(Tokens())
    captured = []
    handle = model.norm.register_forward_hook(lambda m, a, y: captured.append(y))
    y = model(SEQUENCE.clone().requires_grad_())
    handle.remove()
    (gradient,) = torch.autograd.grad(y[:, 1].sum(), captured[0])
    cam = torch.einsum("nk,ntk->nt", gradient[:, 1:].mean(1), captured[0][:, 1:].detach()).relu()
    e = sx.explain(model, SEQUENCE, 1, "gradcam", layer="norm", reshape=lambda t: t[:, 1:].movedim(-1, 1))
    torch.testing.assert_close(e.layers["norm"], cam)
    assert e.relevance.shape == SEQUENCE.shape


@pytest.mark.parametrize("frozen", [False, True])
def test_integer_tokens(frozen):
    """Relevance of a token is its place on the map."""
    embedding, net = nn.Embedding(5, 2), network(1)
    model = randomize(nn.Module())
    model = nn.Sequential(embedding, nn.Flatten(1), nn.Unflatten(1, (9, 2))).double()

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.net = embedding.double(), net

        def forward(self, t):
            return self.net(self.embedding(t).transpose(1, 2))

    model = Model().requires_grad_(not frozen)
    tokens = torch.arange(18).view(2, 9) % 5
    e = sx.explain(model, tokens, 1, "gradcam")
    expected = sx.explain(net, embedding(tokens).transpose(1, 2).detach(), 1, "gradcam")
    torch.testing.assert_close(e.layers["net.3"], expected.layers["3"])
    torch.testing.assert_close(e.relevance, expected.relevance.sum(1))


def test_of_two_inputs_the_one_with_room_for_the_map():
    net, table = network(2), sample(2, 3)
    e = sx.explain(lambda t, x: net(x) * t, (table, IMAGE), 1, "gradcam")
    assert not e.relevance[0].any() and e.relevance[1].any()


TOKENS = randomize(Tokens())
ERRORS = {
    "no map": (nn.Linear(5, 3), sample(2, 5).float(), {}, sx.ModelError, "found no module with an output"),
    "no module": (lambda x: x.flatten(1) @ sample(126, 3), IMAGE[..., :7, :9], {}, sx.ModelError, "found no module"),
    "unknown layer": (NETWORK, IMAGE, {"layer": "fc"}, sx.InputError, "layer='fc': no module .*; there are 0, 1, 2, 3"),
    "tokens": (TOKENS, SEQUENCE, {"layer": "norm"}, sx.InputError, "layer='norm': its output is no map.*pass reshape="),
    "flat layer": (NETWORK, IMAGE, {"layer": "6"}, sx.InputError, "layer='6': its output is no map"),
    "reshape": (TOKENS, SEQUENCE, {"layer": "norm", "reshape": lambda t: t[:, 0]}, sx.RuleError, "expected a map"),
    "two images": (
        lambda a, b: NETWORK(a + b), (IMAGE, IMAGE), {}, sx.InputError, "that has as many, not 0 .*Name another",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    model, x, options, error, message = ERRORS[case]
    x = IMAGE.new_ones(2, 2, 9, 7) if case == "no module" else x
    with pytest.raises(error, match=message) as caught:
        sx.explain(model, x, 1, "gradcam", **options)
    assert "\n" not in str(caught.value)
