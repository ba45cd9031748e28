"""What forwards ask for."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sciexplain.domains.molecules.families.arguments import Argument, arguments_of, call_with, keys_read
from sciexplain.errors import InputError

pytest.importorskip("torch_geometric")
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GCNConv, Sequential, global_add_pool
from torch_geometric.nn.models import GCN


def batch() -> Batch:
    data = Data(x=torch.rand(2, 3), edge_index=torch.tensor([[0, 1], [1, 0]]), edge_attr=torch.rand(2, 4))
    return Batch.from_data_list([data, data])


def annotated(inputs: "Data", scale: float = 1.0) -> None: ...


def qualified(inputs: "torch_geometric.data.Batch", extra: Any = None) -> None: ...  # type: ignore[name-defined]  # noqa: F821


FORMS: dict[str, tuple[Callable[..., Any], list[bool]]] = {
    "annotation": (annotated, [True, False]),
    "annotation in words": (qualified, [True, False]),
    "data": (lambda data, edge_weight=None: None, [True, False]),
    "the only one": (lambda inputs: None, [True]),
    "only a batch": (lambda batch: None, [True]),
    "only a tensor": (lambda x: None, [False]),
    "tensors": (lambda x, edge_index, batch: None, [False, False, False]),
    "anything": (lambda *args: None, [True]),
}


@pytest.mark.parametrize("name", FORMS)
def test_which_parameter_is_the_whole_batch(name: str) -> None:
    function, expected = FORMS[name]
    assert [a.whole for a in arguments_of(function)] == expected


@pytest.mark.parametrize(
    ("parameter", "attribute"),
    [
        ("x", "x"),
        ("h", "x"),
        ("node_features", "x"),
        ("node_attrs", "x"),
        ("edge_attrs", "edge_attr"),
        ("edge_features", "edge_attr"),
        ("edges", "edge_index"),
        ("batch_index", "batch"),
        ("batch_size", "batch_size"),
        ("n_graphs", "num_graphs"),
        ("ptr", "ptr"),
        ("pos", None),
        ("edge_weight", None),
        ("anything", None),
    ],
)
def test_names_that_mean_the_same(parameter: str, attribute: str | None) -> None:
    assert Argument(parameter, True).key(batch()) == attribute


def test_calls() -> None:
    given = batch()
    module = Sequential(
        "x, edge_index, batch", [(GCNConv(3, 2), "x, edge_index -> x"), (global_add_pool, "x, batch -> x")]
    )
    expected = module(given.x, given.edge_index, given.batch)
    torch.testing.assert_close(call_with(module, arguments_of(module), given), expected)
    gcn = GCN(3, 4, 1)  # its batch, edge_weight and edge_attr are optional
    torch.testing.assert_close(call_with(gcn, arguments_of(gcn), given), gcn(given.x, given.edge_index))
    assert keys_read(arguments_of(gcn), given) == {"x", "edge_index", "edge_attr", "batch"}

    class Summed(nn.Module):
        def forward(self, x: Tensor, batch: Tensor) -> Tensor:
            return torch.zeros(2, 3).index_add(0, batch, x)

    scripted = torch.jit.script(Summed())
    torch.testing.assert_close(
        call_with(scripted, arguments_of(scripted), given), global_add_pool(given.x, given.batch)
    )

    def positional(x: Tensor, missing: Any = None, /, *, batch: Tensor) -> tuple[Any, ...]:
        return x, missing, batch

    assert call_with(positional, arguments_of(positional), given) == (given.x, None, given.batch)


def test_what_the_data_lacks() -> None:
    with pytest.raises(InputError, match="takes x, pos, but the data has no pos: it has batch, edge_attr, edge_index"):
        call_with(lambda x, pos: x, arguments_of(lambda x, pos: x), batch())
