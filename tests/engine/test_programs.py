"""Exported, compiled, checkpointed and wrapped models are explained like the model inside."""

import threading

import pytest
import torch
import torch.nn.functional as F
from rule_tester import randomize, sample
from torch import nn
from torch.utils import checkpoint

import sciexplain as sx

COMPOSITES = {
    "epsilon": "epsilon",
    "flat": "epsilon_plus_flat",
    "by name": sx.Composite([("head", sx.rules.ZPlus()), ("b*.*", sx.rules.GeneralizedGamma())]),
}
LAYERS = ["body.1", "block", "head"]
METHODS = ["gradient", "input_x_gradient", "integrated_gradients"]
X = sample(3, 6)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)

    def forward(self, x):
        y = F.gelu(self.inner(x)).clone()
        y[:, 1] *= 2
        return x + y


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 6, bias=False), nn.ReLU())
        self.block = Block()
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.block(self.body(x)))


class Checkpointed(Net):
    """``how``: the options of torch's checkpoint."""

    def __init__(self, **how):
        super().__init__()
        self.how = how

    def forward(self, x):
        run = checkpoint.checkpoint
        return self.head(run(self.block, run(self.body, x, **self.how), **self.how))


class Image(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.last, self.head = nn.LayerNorm(4), nn.Linear(4, 2)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2).flatten(2).transpose(1, 2)
        x = self.last(x + self.attention(x, x, x, need_weights=False)[0])
        return self.head(x.mean(1))


def model() -> Net:
    return randomize(Net())


def exported(net, *inputs):
    dynamic = ({0: torch.export.Dim.DYNAMIC},) * len(inputs)
    return torch.export.export(net, inputs, strict=False, dynamic_shapes=dynamic)


def compiled(net):
    return torch.compile(net, backend="eager")


def explained(net, composite="epsilon", x=X, **options):
    return sx.explain(net, x, 1, composite=COMPOSITES[composite], on_unknown="error", **options)


def assert_same(found, expected):
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-9, atol=1e-12)
    assert found.layers.keys() == expected.layers.keys()
    for name, relevance in expected.layers.items():
        torch.testing.assert_close(found.layers[name], relevance, rtol=1e-9, atol=1e-12)


WRAPPED = {
    "exported": lambda net: exported(net, X),
    "exported and decomposed": lambda net: exported(net, X).run_decompositions(),
    "compiled": compiled,
    "data parallel": nn.DataParallel,
    "compiled data parallel": lambda net: compiled(nn.DataParallel(net)),
}


@pytest.mark.parametrize("composite", COMPOSITES)
@pytest.mark.parametrize("wrapped", WRAPPED)
def test_equals_the_original(wrapped, composite):
    expected = explained(model(), composite, layers=LAYERS)
    assert_same(explained(WRAPPED[wrapped](model()), composite, layers=LAYERS), expected)


@pytest.mark.parametrize("wrapped", WRAPPED)
def test_ledger_and_description(wrapped):
    net = WRAPPED[wrapped](model())
    found = explained(net, "flat", ledger=True)
    assert found.ledger.gap.abs().max() < 1e-12
    described = COMPOSITES["by name"].describe(net, X)
    assert [op.module for op in described.operations if op.kind] == ["body.0", "block.inner", "head"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("wrapped", WRAPPED)
def test_methods(wrapped, method):
    expected = sx.explain(model(), X, 1, method)
    torch.testing.assert_close(sx.explain(WRAPPED[wrapped](model()), X, 1, method).relevance, expected.relevance)


@pytest.mark.parametrize("composite", ["epsilon", "flat"])
def test_modules_of_programs(composite):
    program, expected = exported(model(), X), explained(model(), composite)
    for module in (program.module(), program.run_decompositions().module()):
        assert_same(explained(module, composite), expected)


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("composite", ["epsilon", "flat"])
def test_exported_image_model(composite, decomposed):
    net, x = randomize(Image()), sample(2, 2, 4, 4)
    program = exported(net, x)
    program = program.run_decompositions() if decomposed else program
    assert_same(explained(program, composite, x), explained(net, composite, x))


@pytest.mark.parametrize("decomposed", [False, True])
def test_exported_tokens(decomposed):
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(9, 4), nn.Linear(4, 2)

        def forward(self, tokens, mask):
            x = torch.where(mask[..., None], self.table(tokens), 0.0)
            return self.head(x.sum(1) / mask.sum(1, keepdim=True))

    net, tokens = randomize(Tokens()), torch.tensor([[1, 2, 8], [4, 4, 0]])
    inputs = (tokens, tokens > 0)
    program = exported(net, *inputs)
    program = program.run_decompositions() if decomposed else program
    found, expected = (explained(n, x=inputs).relevance[0] for n in (program, net))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    assert found.abs().max() > 0


def test_compiled_inside_the_model():
    net, plain = model(), model()
    net.body[0].forward = torch.compile(net.body[0].forward, backend="eager")
    net.block = compiled(net.block)
    net.head.compile(backend="eager")
    silu = torch.compile(F.silu, backend="eager")
    expected = explained(lambda x: F.silu(plain(x)), "by name")
    assert_same(explained(lambda x: silu(net(x)), "by name"), expected)
    assert_same(explained(torch.compile(lambda x: silu(net(x)), backend="eager"), "by name"), expected)
    assert_same(explained(net, layers=["block.inner"]), explained(plain, layers=["block.inner"]))
    x = X.clone().requires_grad_()
    with sx.LRP(COMPOSITES["by name"]):
        y = compiled(model())(x)
    (c,) = torch.autograd.grad(y[:, 1].sum(), x)
    torch.testing.assert_close(x * c, explained(plain, "by name").relevance)


def test_explaining_in_compiled_code():
    net = model()

    def agreement(x):
        x = torch.sin(x) * 2
        relevance = sx.explain(net, x, 1, composite="epsilon_plus").relevance
        gradient = sx.explain(net, x, 1, "input_x_gradient").relevance
        return F.cosine_similarity(relevance, gradient)

    run = torch.compile(agreement, backend="eager")
    for x in (X, sample(3, 6, seed=4), sample(2, 6)):
        torch.testing.assert_close(run(x), agreement(x))


CHECKPOINTS = {
    "reentrant": {"use_reentrant": True},
    "not reentrant": {"use_reentrant": False},
    "not reentrant, no state of random numbers": {"use_reentrant": False, "preserve_rng_state": False},
}


@pytest.mark.parametrize("how", CHECKPOINTS)
@pytest.mark.parametrize("composite", COMPOSITES)
def test_checkpoints(how, composite):
    found = explained(randomize(Checkpointed(**CHECKPOINTS[how])), composite, layers=LAYERS)
    assert_same(found, explained(model(), composite, layers=LAYERS))


@pytest.mark.parametrize("how", CHECKPOINTS)
@pytest.mark.parametrize("method", METHODS)
def test_methods_on_checkpoints(method, how):
    found = sx.explain(randomize(Checkpointed(**CHECKPOINTS[how])), X, 1, method)
    torch.testing.assert_close(found.relevance, sx.explain(model(), X, 1, method).relevance)


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this torch has no gloo")
def test_distributed_data_parallel():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        net = nn.parallel.DistributedDataParallel(model())
        assert_same(explained(net, "by name", layers=LAYERS), explained(model(), "by name", layers=LAYERS))
    finally:
        torch.distributed.destroy_process_group()


def _torch_state():
    from torch._dynamo.eval_frame import _stance

    return (checkpoint.CheckpointFunction, checkpoint._checkpoint_without_reentrant_generator, _stance.stance)


def test_torch_is_as_before():
    before, seen = _torch_state(), []

    def failing(x):
        sx.explain(model(), x.detach(), 1)
        seen.append(_torch_state())
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        sx.explain(failing, X)
    assert seen[0][2] == "force_eager"
    assert _torch_state() == before


def test_checkpoints_of_other_threads_stay():
    inside, elsewhere = threading.Event(), threading.Event()
    net = randomize(Checkpointed(use_reentrant=True))
    nodes = []

    def waiting(x):
        inside.set()
        assert elsewhere.wait(20)
        return net(x)

    def other():
        assert inside.wait(20)
        y = checkpoint.checkpoint(net.block, X.clone().requires_grad_(), use_reentrant=True)
        nodes.append(y.grad_fn.name())
        elsewhere.set()

    thread = threading.Thread(target=other)
    thread.start()
    explained(waiting)
    thread.join()
    assert nodes == ["CheckpointFunctionBackward"]
