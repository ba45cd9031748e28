"""A tokenizer of each kind, trained on a few sentences, and tiny models for them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from _peers import torchvision

torchvision()  # transformers imports it
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402
from transformers import (  # noqa: E402
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

SENTENCES = [
    "A lovely film, warm and unforgettable.",
    "The film was unbearably long; I left early.",
    "Lovely actors, but a forgettable story.",
    "Ein schöner Film über das Meer.",
] * 3


@pytest.fixture(scope="session")
def wordpiece() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(SENTENCES, trainers.WordPieceTrainer(vocab_size=70, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def _byte_level(pad: str | None) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=alphabet)
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token=pad)


@pytest.fixture(scope="session")
def byte_level() -> PreTrainedTokenizerFast:
    return _byte_level("<|end|>")


@pytest.fixture(scope="session")
def without_padding() -> PreTrainedTokenizerFast:
    return _byte_level(None)


@pytest.fixture(scope="session")
def metaspace() -> PreTrainedTokenizerFast:
    """One that takes the whole text as one unit, as Llama's does."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>"]
    tokenizer.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=90, special_tokens=special))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )


SIZES = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 24}


def _ready(model: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model.double().eval()


@pytest.fixture(scope="session")
def bert(wordpiece: PreTrainedTokenizerFast) -> torch.nn.Module:
    labels = {"id2label": {0: "bad", 1: "good", 2: "neither"}, "label2id": {"bad": 0, "good": 1, "neither": 2}}
    return _ready(BertForSequenceClassification(BertConfig(vocab_size=len(wordpiece), **SIZES, **labels)))


@pytest.fixture(scope="session")
def gpt2(byte_level: PreTrainedTokenizerFast) -> torch.nn.Module:
    return _ready(GPT2LMHeadModel(GPT2Config(vocab_size=len(byte_level), n_embd=16, n_layer=2, n_head=2)))


@pytest.fixture(scope="session")
def llama(metaspace: PreTrainedTokenizerFast) -> SimpleNamespace:
    config = LlamaConfig(vocab_size=len(metaspace), num_key_value_heads=1, pad_token_id=2, num_labels=4, **SIZES)
    return SimpleNamespace(
        language=_ready(LlamaForCausalLM(config)), classifier=_ready(LlamaForSequenceClassification(config))
    )
