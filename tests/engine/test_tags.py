import torch

from sciexplain.engine import tags


def test_all_nodes_between_a_result_and_its_inputs_are_tagged():
    x = torch.ones(3, requires_grad=True)
    for _ in range(20):
        inner = x * 2
        others = [x + n for n in range(8)]  # nobody else looks at their nodes: older torch has new objects then
        made = (inner + 1).exp().sin().cos()
        tags.put(made, tags.Tag(tags.SHALLOW), [inner, *others])
        node, seen = made.grad_fn, []
        while tags.is_tagged(node):
            seen.append(node.name())
            ((node, _),) = [entry for entry in node.next_functions if entry[0] is not None]
        assert seen == ["CosBackward0", "SinBackward0", "ExpBackward0", "AddBackward0"] and node == inner.grad_fn
