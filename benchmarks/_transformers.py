"""Hugging Face models of text, images and sound, from small configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import _peers
import torch
from _cases import Case, image, last, tokens
from torch import Tensor

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "max_position_embeddings": 32,
    "use_cache": False,
    "num_labels": 3,
    "head_dim": 4,
}
EXPERTS = {
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 12,
    "experts_implementation": "eager",
}


def transformer(kind: str, head: str = "AutoModel", inputs: Callable[[], Any] = tokens, **options: Any) -> Case:
    """A Hugging Face model from its configuration; ``SMALL`` gives the sizes that the configuration knows."""
    _peers.torchvision()
    import transformers

    known = type(transformers.AutoConfig.for_model(kind))
    names = set(known().to_dict()) | set(known.attribute_map) | {"num_labels"}
    config = known(**{k: v for k, v in SMALL.items() if k in names} | options)
    model = getattr(transformers, head).from_config(config)
    return Case(model, inputs(), last)


def _patches() -> dict[str, Tensor]:
    return {"pixel_values": image(32)}


def _waveform() -> dict[str, Tensor]:
    return {"input_values": torch.randn(1, 1600)}


def _ended() -> dict[str, Tensor]:
    given = tokens()
    given["input_ids"][:, -1] = 2
    return given


def _text_pair() -> dict[str, Tensor]:
    return tokens() | {"decoder_input_ids": torch.randint(4, 50, (1, 5))}


CLASSIFIER, CAUSAL = "AutoModelForSequenceClassification", "AutoModelForCausalLM"
_SPEECH: dict[str, Any] = {
    "inputs": _waveform,
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 3, 2),
    "conv_stride": (5, 2, 2),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 8,
}

TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "albert": (CLASSIFIER, {}),
    "bert": (CLASSIFIER, {}),
    "bert eager": (CLASSIFIER, {"kind": "bert", "attn_implementation": "eager"}),
    "big_bird": (CLASSIFIER, {"attention_type": "original_full"}),
    "convbert": (CLASSIFIER, {"embedding_size": 16}),
    "deberta-v2": (CLASSIFIER, {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8}),
    "distilbert": (CLASSIFIER, {"dim": 16, "hidden_dim": 24, "n_layers": 2, "n_heads": 4}),
    "electra": (CLASSIFIER, {"embedding_size": 16}),
    "esm": (CLASSIFIER, {"position_embedding_type": "rotary"}),
    "fnet": (CLASSIFIER, {}),
    "funnel": (CLASSIFIER, {"d_model": 16, "n_head": 4, "d_head": 4, "d_inner": 24, "block_sizes": [1, 1]}),
    "longformer": (CLASSIFIER, {"attention_window": 4}),
    "mobilebert": (CLASSIFIER, {"embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16}),
    "modernbert": (CLASSIFIER, {"global_attn_every_n_layers": 2}),
    "mpnet": (CLASSIFIER, {}),
    "nystromformer": (CLASSIFIER, {"num_landmarks": 3, "segment_means_seq_len": 9}),
    "roberta": (CLASSIFIER, {}),
    "roformer": (CLASSIFIER, {"embedding_size": 16}),
    "squeezebert": (CLASSIFIER, {"embedding_size": 16}),
    "ctrl": (CAUSAL, {"n_embd": 16, "dff": 24, "n_layer": 2, "n_head": 4}),
    "codegen": (CAUSAL, {"n_embd": 16, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "n_positions": 32}),
    "deepseek_v2": (
        CAUSAL,
        {
            **EXPERTS,
            "n_routed_experts": 4,
            "n_group": 2,
            "topk_group": 1,
            "head_dim": 4,
            "num_key_value_heads": 4,
            "q_lora_rank": 8,
            "kv_lora_rank": 8,
            "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 4,
            "v_head_dim": 4,
            "first_k_dense_replace": 1,
            "n_shared_experts": 1,
            "topk_method": "greedy",
        },
    ),
    "deepseek_v3": (
        CAUSAL,
        {
            **EXPERTS,
            "n_routed_experts": 4,
            "n_group": 2,
            "topk_group": 1,
            "head_dim": 4,
            "num_key_value_heads": 4,
            "q_lora_rank": 8,
            "kv_lora_rank": 8,
            "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 4,
            "v_head_dim": 4,
            "first_k_dense_replace": 1,
            "n_shared_experts": 1,
        },
    ),
    "falcon": (CAUSAL, {"num_kv_heads": 2, "alibi": True}),
    "gemma2": (CAUSAL, {}),
    "gemma3_text": (CAUSAL, {}),
    "gpt2": (CAUSAL, {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 32}),
    "gpt2 classifier": (CLASSIFIER, {"kind": "gpt2", "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 32}),
    "gpt_neo": (
        CAUSAL,
        {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 4},
    ),
    "gpt_neox": (CAUSAL, {}),
    "gpt_oss": (CAUSAL, EXPERTS),
    "gptj": (CAUSAL, {"n_embd": 16, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "n_positions": 32}),
    "granitemoe": (CAUSAL, EXPERTS),
    "jamba": (
        CAUSAL,
        {
            **EXPERTS,
            "num_hidden_layers": 4,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "mamba_d_state": 4,
            "use_mamba_kernels": False,
            "mamba_dt_rank": 2,
        },
    ),
    "jetmoe": (CAUSAL, {**EXPERTS, "kv_channels": 4, "num_key_value_heads": 2}),
    "llama": (CAUSAL, {}),
    "mamba": (CAUSAL, {"state_size": 4, "time_step_rank": 2}),
    "mamba2": (CAUSAL, {"state_size": 4, "num_heads": 4, "head_dim": 8, "n_groups": 2, "chunk_size": 4}),
    "falcon_mamba": (CAUSAL, {"state_size": 4, "time_step_rank": 2}),
    "minimax": (CAUSAL, EXPERTS),
    "mistral": (CAUSAL, {"sliding_window": 4}),
    "mixtral": (CAUSAL, EXPERTS),
    "mixtral batched": (CAUSAL, {**EXPERTS, "kind": "mixtral", "experts_implementation": "batched_mm"}),
    "mpt": (CAUSAL, {"d_model": 16, "n_heads": 4, "n_layers": 2, "max_seq_len": 32}),
    "olmoe": (CAUSAL, EXPERTS),
    "opt": (CAUSAL, {"ffn_dim": 24, "word_embed_proj_dim": 16}),
    "phi3": (CAUSAL, {}),
    "qwen2_moe": (CAUSAL, {**EXPERTS, "shared_expert_intermediate_size": 12}),
    "qwen3": (CAUSAL, {}),
    "qwen3_moe": (CAUSAL, EXPERTS),
    "qwen3_next": (
        CAUSAL,
        {
            **EXPERTS,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 4,
            "linear_value_head_dim": 4,
            "shared_expert_intermediate_size": 12,
            "layer_types": ["linear_attention", "full_attention"],
        },
    ),
    "rwkv": (CAUSAL, {"attention_hidden_size": 16, "context_length": 32}),
    "xlstm": (CAUSAL, {"num_heads": 4, "num_blocks": 2, "chunk_size": 4}),
    "bart": (
        CLASSIFIER,
        {
            "inputs": _ended,
            "d_model": 16,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_ffn_dim": 24,
            "decoder_ffn_dim": 24,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
        },
    ),
    "marian": (
        "AutoModelForSeq2SeqLM",
        {
            "inputs": _text_pair,
            "d_model": 16,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_ffn_dim": 24,
            "decoder_ffn_dim": 24,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "decoder_start_token_id": 0,
            "decoder_vocab_size": 50,
        },
    ),
    "t5": (
        "AutoModelForSeq2SeqLM",
        {
            "inputs": _text_pair,
            "d_model": 16,
            "d_kv": 4,
            "d_ff": 24,
            "num_layers": 2,
            "num_heads": 4,
            "decoder_start_token_id": 0,
        },
    ),
    "switch_transformers": (
        "AutoModelForSeq2SeqLM",
        {
            "inputs": _text_pair,
            "d_model": 16,
            "d_kv": 4,
            "d_ff": 24,
            "num_layers": 2,
            "num_decoder_layers": 2,
            "num_sparse_encoder_layers": 1,
            "num_sparse_decoder_layers": 1,
            "num_heads": 4,
            "num_experts": 4,
            "decoder_start_token_id": 0,
        },
    ),
    "beit": (
        "AutoModelForImageClassification",
        {"inputs": _patches, "image_size": 32, "use_relative_position_bias": True},
    ),
    "dinov2": ("AutoModelForImageClassification", {"inputs": _patches, "image_size": 28, "patch_size": 14}),
    "segformer": (
        "AutoModelForImageClassification",
        {
            "inputs": _patches,
            "depths": [1, 1, 1, 1],
            "hidden_sizes": [8, 16, 16, 16],
            "num_attention_heads": [1, 2, 2, 2],
        },
    ),
    "swin": (
        "AutoModelForImageClassification",
        {
            "inputs": _patches,
            "image_size": 32,
            "hidden_size": 32,
            "embed_dim": 16,
            "depths": [1, 2],
            "num_attention_heads": [2, 2],
            "window_size": 4,
        },
    ),
    "vit": ("AutoModelForImageClassification", {"inputs": _patches, "image_size": 32}),
    "clip_vision_model": ("AutoModel", {"inputs": _patches, "image_size": 32, "patch_size": 8}),
    "siglip_vision_model": ("AutoModel", {"inputs": _patches, "image_size": 32, "patch_size": 8}),
    "audio-spectrogram-transformer": (
        "AutoModelForAudioClassification",
        {"inputs": lambda: {"input_values": torch.randn(1, 64, 32)}, "max_length": 64, "num_mel_bins": 32},
    ),
    "hubert": ("AutoModelForAudioClassification", _SPEECH),
    "wav2vec2": ("AutoModelForAudioClassification", _SPEECH),
    "wavlm": ("AutoModelForAudioClassification", _SPEECH),
    "whisper": (
        "AutoModelForAudioClassification",
        {
            "inputs": lambda: {"input_features": torch.randn(1, 20, 40)},
            "d_model": 16,
            "encoder_layers": 2,
            "encoder_attention_heads": 4,
            "encoder_ffn_dim": 24,
            "num_mel_bins": 20,
            "max_source_positions": 20,
            "classifier_proj_size": 8,
        },
    ),
    "patchtst": (
        "AutoModel",
        {
            "inputs": lambda: {"past_values": torch.randn(1, 32, 3)},
            "num_input_channels": 3,
            "context_length": 32,
            "patch_length": 8,
            "patch_stride": 8,
            "d_model": 16,
            "ffn_dim": 24,
            "do_mask_input": False,
        },
    ),
}
