"""Operations by name: what is done with an active tensor that meets them.

Names are torch's own, without the trailing underscore of in-place variants, so that functions, methods, operators,
modules and ``torch.ops.aten`` are the same thing. Where torch has several names for one thing, ``ALIASES`` tells the
plain one.
"""

from __future__ import annotations


def listed(text: str) -> frozenset[str]:
    """The names in a text."""
    return frozenset(text.split())


ALIASES = {
    **{f"{name}_copy": name for name in listed("""
        alias as_strided diagonal expand narrow permute select slice split split_with_sizes squeeze t transpose unbind
        unfold unsqueeze view view_as_real view_as_complex values detach
    """)},
    **{f"special_{name}": name for name in listed("""
        softmax log_softmax logsumexp erf erfc expm1 exp2 log1p logit sinc xlogy xlog1py round i0
    """)},
    **{f"_adaptive_avg_pool{d}d": f"adaptive_avg_pool{d}d" for d in (2, 3)},
    **{f"_upsample_{kind}_aa": f"upsample_{kind}" for kind in ("bilinear2d", "bicubic2d", "lanczos2d")},
    **{f"_upsample_nearest_exact{d}d": f"upsample_nearest{d}d" for d in (1, 2, 3)},
    "_to_copy": "to", "_unsafe_view": "view", "_reshape_alias": "view", "_reshape_copy": "reshape",
    "_reshape_alias_copy": "view", "lift_fresh": "clone", "lift_fresh_copy": "clone", "lift": "clone",
    "_convolution": "convolution",
    "_unsafe_index": "index", "_unsafe_index_put": "index_put", "_index_put_impl": "index_put",
    "concat": "cat", "concatenate": "cat", "moveaxis": "movedim", "swapaxes": "transpose", "swapdims": "transpose",
    "multiply": "mul", "divide": "div", "true_divide": "div", "__truediv__": "div", "subtract": "sub",
    "negative": "neg", "absolute": "abs", "__matmul__": "matmul", "linalg_matmul": "matmul", "clip": "clamp",
    "arctan": "atan", "arcsin": "asin", "arccos": "acos", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
    "special_expit": "sigmoid", "fix": "trunc",
    "_softmax": "softmax", "_safe_softmax": "softmax", "_log_softmax": "log_softmax", "log_sigmoid": "logsigmoid",
    "_prelu_kernel": "prelu", "_cdist_forward": "cdist", "_euclidean_dist": "cdist", "_pdist_forward": "pdist",
    "float_power": "pow", "__pow__": "pow", "_sparse_mm": "sparse_mm",
}  # fmt: skip
"""Other names that torch has for an operation, in its functions and in its operators."""

MOVEMENT = listed("""
    view view_as reshape reshape_as flatten unflatten ravel squeeze unsqueeze permute transpose t T mT H mH adjoint
    movedim contiguous clone alias to float double half bfloat16 type type_as cpu cuda
    expand expand_as broadcast_to broadcast_tensors repeat tile repeat_interleave
    cat stack hstack vstack dstack column_stack row_stack
    split split_with_sizes chunk tensor_split hsplit vsplit dsplit unbind unsafe_split unsafe_chunk
    __getitem__ __setitem__ __iter__ index_select gather take take_along_dim select narrow slice masked_select index
    diagonal diag diag_embed block_diag tril triu roll flip fliplr flipud rot90 unfold as_strided im2col
    pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle
    scatter index_put masked_scatter masked_fill where index_copy index_fill select_scatter slice_scatter
    diagonal_scatter fill_diagonal fill zero pad constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d
    replication_pad1d replication_pad2d replication_pad3d max_unpool1d max_unpool2d max_unpool3d
    atleast_1d atleast_2d atleast_3d meshgrid pin_memory copy _unsafe_masked_index
    _pack_padded_sequence _pad_packed_sequence
""")
"""Values are rearranged: relevance moves with them, whether it is carried as c or as R."""

DROPOUT = listed("dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout")
"""Off, whatever the mode of the model."""

AFFINE = listed("add sub rsub __rsub__ neg positive")
"""Sums and differences; with a constant, elementwise affine."""

LINEAR = listed("""
    sum nansum mean nanmean cumsum diff trace trapezoid trapz
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    interpolate upsample upsample_nearest upsample_bilinear upsample_nearest1d upsample_nearest2d upsample_nearest3d
    upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d grid_sample grid_sampler
    fold col2im scatter_add index_add scatter_reduce index_reduce segment_reduce sparse_mm spmm _sparse_mm
    to_dense to_sparse coalesce values
    real imag conj _conj conj_physical resolve_conj resolve_neg view_as_real view_as_complex complex
    fft_fft fft_ifft fft_fft2 fft_ifft2 fft_fftn fft_ifftn fft_rfft fft_irfft fft_rfft2 fft_irfft2 fft_rfftn fft_irfftn
    fft_hfft fft_ihfft fft_fftshift fft_ifftshift _fft_r2c _fft_c2r _fft_c2c stft istft
""")
"""Linear in the signal: the ordinary gradient conserves relevance."""

HOMOGENEOUS = listed("""
    relu leaky_relu prelu abs max min amax amin maximum minimum fmax fmin aminmax topk sort msort
    kthvalue median nanmedian mode cummax cummin max_pool1d max_pool2d max_pool3d max_pool1d_with_indices
    max_pool2d_with_indices max_pool3d_with_indices adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices
    fractional_max_pool2d fractional_max_pool3d fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices
    lp_pool1d lp_pool2d lp_pool3d norm linalg_norm linalg_vector_norm linalg_matrix_norm frobenius_norm nuclear_norm
    std dist cdist pdist pairwise_distance hypot renorm
""")
"""Homogeneous of degree 1, f(a x) = a f(x) for a > 0: by Euler's theorem the gradient conserves relevance.

Winner-takes-all operations (max-pooling and its kin) are among them.
"""

ADDS_CONSTANTS = listed("""
    add sub rsub __rsub__ cat stack hstack vstack dstack column_stack row_stack block_diag
    pad constant_pad_nd where masked_fill masked_scatter index_put __setitem__ scatter scatter_add index_add index_copy
    index_fill select_scatter slice_scatter diagonal_scatter scatter_reduce index_reduce maximum minimum max min fmax
    fmin copy fill_diagonal _pad_packed_sequence pairwise_distance cdist dist hypot renorm fill
""")
"""May mix constants into the signal; what they get is booked as bias."""

ACTIVATIONS = listed("""
    sigmoid tanh gelu silu swish mish softplus elu selu celu hardswish hardsigmoid hardtanh relu6 softsign tanhshrink
    hardshrink softshrink logsigmoid threshold clamp clamp_min clamp_max
    exp exp2 expm1 log1p sqrt square sin cos tan asin acos atan sinh cosh asinh atanh
    erf erfc erfinv sinc sign sgn round floor ceil trunc frac heaviside nan_to_num deg2rad rad2deg i0
""")
"""Elementwise: the secant through f(0)."""

GATES = listed("sigmoid hardsigmoid softplus exp exp2")
"""Activations whose output is a gate: positive whatever comes in, and 1, ½ or so for nothing."""

KEEPS_GATES = listed("""
    sigmoid tanh softplus exp exp2 expm1 log1p sqrt square relu relu6 hardtanh erf pow clamp clamp_min clamp_max
""")
"""Functions of one gate that are a gate again: positive for what is positive."""

BOUNDED = listed("tanh erf sin cos softsign")
"""Activations within ±1, from which adding 1 makes a gate."""

CUTS = listed("clamp clamp_min clamp_max relu relu6 hardtanh threshold")
"""Activations that cut a signal off."""

PICKING = listed("topk max amax sort msort kthvalue gather take_along_dim")
"""What they take out of a distribution (a softmax, sigmoids) chooses and weighs experts, and is a gate."""

NORMALIZERS = listed("rsqrt reciprocal __rdiv__ __rtruediv__ inverse linalg_inv linalg_pinv pinverse")
"""Their output is a statistic that scales a signal; undefined at 0, so they have no secant."""

TAYLOR = listed("""
    softmax log_softmax softmin logsumexp gumbel_softmax logcumsumexp logaddexp logaddexp2
    log log2 log10 logit acosh xlogy xlog1py
""")
"""First-order expansion at the input; its constant term counts as bias (Achtibat et al. 2024, prop. 3.1).

For functions of several values, and those that have no value at 0 to draw a secant from.
"""

SOFTMAX = listed("softmax softmin gumbel_softmax")

LIKE = listed("to type_as view_as expand_as reshape_as")
"""Of a second tensor they take the type or the shape only."""

CONSTANT = listed("""
    __set__ detach detach_ size dim numel nelement stride storage_offset is_floating_point is_complex item tolist numpy
    __len__ __bool__ __contains__ __hash__ __repr__ __format__ argmax argmin argsort shape zeros_like ones_like
    empty_like full_like rand_like randn_like new_zeros new_ones new_empty new_full new_tensor requires_grad_
    register_hook retain_grad backward grad data is_contiguous equal allclose all any isnan isinf isfinite histc
    bincount _set_grad_enabled set_grad_enabled unique searchsorted bucketize lt le gt ge eq ne logical_not
""")
"""Results that carry no relevance by the author's own word, or bookkeeping."""
