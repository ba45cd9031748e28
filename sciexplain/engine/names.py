"""Operations by name: what is done with an active tensor that meets them.

Names are torch's own, without the trailing underscore of in-place variants, so that functions, methods, operators,
modules and ``torch.ops.aten`` are the same thing.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MOVEMENT = _names("""
    view view_as reshape reshape_as flatten unflatten ravel squeeze unsqueeze permute transpose t T mT H mH adjoint
    movedim moveaxis swapaxes swapdims contiguous clone alias to float double half bfloat16 type type_as cpu cuda
    expand expand_as broadcast_to broadcast_tensors repeat tile repeat_interleave
    cat concat concatenate stack hstack vstack dstack column_stack row_stack
    split split_with_sizes chunk tensor_split hsplit vsplit dsplit unbind unsafe_split unsafe_chunk
    __getitem__ __setitem__ __iter__ index_select gather take take_along_dim select narrow slice masked_select index
    diagonal diag diag_embed block_diag tril triu roll flip fliplr flipud rot90 unfold as_strided im2col
    pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle
    scatter index_put masked_scatter masked_fill where index_copy index_fill select_scatter slice_scatter
    diagonal_scatter fill_diagonal fill zero pad constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d
    replication_pad1d replication_pad2d replication_pad3d max_unpool1d max_unpool2d max_unpool3d
    atleast_1d atleast_2d atleast_3d meshgrid pin_memory copy real
""")
"""Values are rearranged: relevance moves with them, whether it is carried as c or as R."""

DROPOUT = _names("dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout")
"""Off, whatever the mode of the model."""

AFFINE = _names("add sub subtract rsub __rsub__ neg negative positive")
"""Sums and differences; with a constant, elementwise affine."""

LINEAR = _names("""
    sum nansum mean nanmean cumsum diff trace trapezoid trapz
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    interpolate upsample upsample_nearest upsample_bilinear upsample_nearest1d upsample_nearest2d upsample_nearest3d
    upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d grid_sample grid_sampler
    fold col2im scatter_add index_add scatter_reduce index_reduce segment_reduce sparse_mm spmm _sparse_mm
    to_dense to_sparse coalesce values
""")
"""Linear in the signal: the ordinary gradient conserves relevance."""

HOMOGENEOUS = _names("""
    relu leaky_relu prelu abs absolute max min amax amin maximum minimum fmax fmin aminmax topk sort msort
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

ADDS_CONSTANTS = _names("""
    add sub subtract rsub __rsub__ cat concat concatenate stack hstack vstack dstack column_stack row_stack block_diag
    pad constant_pad_nd where masked_fill masked_scatter index_put __setitem__ scatter scatter_add index_add index_copy
    index_fill select_scatter slice_scatter diagonal_scatter scatter_reduce index_reduce maximum minimum max min fmax
    fmin copy fill_diagonal pairwise_distance cdist dist hypot renorm fill
""")
"""May mix constants into the signal; what they get is booked as bias."""

ACTIVATIONS = _names("""
    sigmoid tanh gelu silu swish mish softplus elu selu celu hardswish hardsigmoid hardtanh relu6 softsign tanhshrink
    hardshrink softshrink logsigmoid log_sigmoid threshold clamp clip clamp_min clamp_max
    exp exp2 expm1 log1p sqrt square pow __pow__ float_power sin cos tan asin arcsin atan arctan sinh cosh asinh arcsinh
    erf erfc sinc sign sgn round floor ceil trunc fix frac heaviside nan_to_num special_expit special_erf
    special_log1p special_expm1 special_gelu deg2rad rad2deg i0 logit atanh arctanh erfinv
""")
"""Elementwise: the secant through f(0)."""

GATES = _names("sigmoid hardsigmoid special_expit")
"""Activations whose output, when it multiplies a signal, is a gate."""

NORMALIZERS = _names("rsqrt reciprocal __rdiv__ __rtruediv__")
"""Their output is a statistic that scales a signal; undefined at 0, so they have no secant."""

TAYLOR = _names("softmax log_softmax softmin logsumexp gumbel_softmax logcumsumexp logaddexp logaddexp2")
"""First-order expansion at the input; its constant term counts as bias (Achtibat et al. 2024, prop. 3.1)."""

SOFTMAX = _names("softmax softmin gumbel_softmax")

CONSTANT = _names("""
    __set__ detach detach_ size dim numel nelement stride storage_offset is_floating_point is_complex item tolist numpy
    __len__ __bool__ __contains__ __hash__ __repr__ __format__ argmax argmin argsort shape zeros_like ones_like
    empty_like full_like rand_like randn_like new_zeros new_ones new_empty new_full new_tensor requires_grad_
    register_hook retain_grad backward grad data is_contiguous equal allclose all any isnan isinf isfinite histc
    bincount _set_grad_enabled set_grad_enabled unique searchsorted bucketize lt le gt ge eq ne logical_not
""")
"""Results that carry no relevance by the author's own word, or bookkeeping."""
