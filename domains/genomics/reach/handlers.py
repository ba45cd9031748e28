"""Which operation is done on windows, and by what."""

from __future__ import annotations

from collections.abc import Callable

from sciexplain.domains.genomics.reach import layers, pointwise, pooling, recurrent, shapes
from sciexplain.domains.genomics.reach.calls import Call, Result

_NAMES: dict[Callable[[Call], Result], str] = {
    pointwise.elementwise: """
        abs celu clamp clamp_max clamp_min cos elu erf exp expm1 gelu hardshrink hardsigmoid hardswish hardtanh
        leaky_relu lerp log log1p logsigmoid maximum minimum mish pow __pow__ reciprocal relu6 rsqrt selu sigmoid silu
        sin softplus softsign sqrt square tan tanh tanhshrink _threshold __rsub__ rsub __rdiv__ __rtruediv__ __rpow__
        addcmul addcdiv""",
    pointwise.relu: "relu",
    pointwise.add: "add __add__ __radd__",
    pointwise.subtract: "sub __sub__ subtract",
    pointwise.scale: "mul __mul__ __rmul__ multiply div __div__ __truediv__ true_divide divide",
    pointwise.negative: "neg __neg__ negative",
    pointwise.unchanged: "contiguous clone detach data alias positive identity",
    pointwise.dropout: "dropout dropout1d dropout2d alpha_dropout feature_alpha_dropout feature_dropout",
    pointwise.cast: "to float double half bfloat16 type type_as",
    pointwise.over_channels: "softmax log_softmax softmin glu cumsum normalize",
    pointwise.layer_norm: "layer_norm rms_norm",
    pointwise.batch_norm: "batch_norm",
    pointwise.prelu: "prelu",
    pointwise.embedding: "embedding",
    layers.convolution: "conv1d conv2d",
    layers.linear: "linear matmul __matmul__ mm",
    pooling.pool: "max_pool1d max_pool2d avg_pool1d avg_pool2d",
    pooling.adaptive: "adaptive_avg_pool1d adaptive_max_pool1d",
    pooling.reduction: "sum mean max amax min amin logsumexp argmax argmin var std norm prod any all",
    recurrent.recurrent: "lstm gru rnn_tanh rnn_relu",
    shapes.permute: "permute",
    shapes.move: "movedim moveaxis",
    shapes.transpose: "transpose swapaxes swapdims mT",
    shapes.reshape: "reshape view flatten unflatten",
    shapes.unsqueeze: "unsqueeze",
    shapes.squeeze: "squeeze",
    shapes.getitem: "__getitem__",
    shapes.narrow: "narrow",
    shapes.split: "split chunk tensor_split",
    shapes.unbind: "unbind",
    shapes.pad: "pad",
    shapes.flip: "flip",
    shapes.concatenate: "cat concat concatenate",
}

#: By the operation's name without the sign of one in place.
HANDLERS: dict[str, Callable[[Call], Result]] = {
    name: handler for handler, names in _NAMES.items() for name in names.split()
}
