"""Relevance of tokens and words: of the right token, alone as in a batch, and with clear errors."""

from __future__ import annotations

import pytest
import torch

import sciexplain as sx
from sciexplain.domains import texts
from sciexplain.errors import InputError, TargetError

TEXTS = ["A lovely film", "The story was unforgettable, but unbearably  long.", "schöner Film"]
CASES = {
    "classifier": ("bert", "wordpiece"),
    "language model": ("gpt2", "byte_level"),
    "rotary language model": ("llama.language", "metaspace"),
    "classifier on the last token": ("llama.classifier", "metaspace"),
}


def built(request: pytest.FixtureRequest, case: str):
    model, tokenizer = CASES[case]
    found = request.getfixturevalue(model.split(".")[0])
    return getattr(found, model.split(".")[1]) if "." in model else found, request.getfixturevalue(tokenizer)


@pytest.mark.parametrize("composite", ["epsilon", "attention"])
@pytest.mark.parametrize("case", CASES)
def test_a_padded_text_gets_what_it_gets_alone(case, composite, request):
    model, tokenizer = built(request, case)
    together = texts.explain(model, tokenizer, TEXTS, composite=composite)
    for i, text in enumerate(TEXTS):
        alone = texts.explain(model, tokenizer, text, composite=composite)
        assert alone.tokens[0] == together.tokens[i] == tuple(tokenizer.tokenize(text, add_special_tokens=True))
        torch.testing.assert_close(together.relevance[i], alone.relevance[0], rtol=0, atol=1e-10)
        assert float(together.score[i] - alone.score[0]) == pytest.approx(0, abs=1e-10)
        assert int(together.target[i]) == int(alone.target[0])
        assert bool((together.relevance[i] != 0).any())


@pytest.mark.parametrize("case", CASES)
def test_is_what_the_core_says(case, request):
    model, tokenizer = built(request, case)
    inputs = {"input_ids": torch.tensor([tokenizer(TEXTS[1])["input_ids"]])}

    def score(output):
        return output.logits[:, -1, 3] if output.logits.ndim == 3 else output.logits[:, 1]

    e = texts.explain(model, tokenizer, TEXTS[1], target=3 if "language" in case else 1)
    expected = sx.explain(model, inputs, target=score).relevance["input_ids"][0]
    torch.testing.assert_close(e.relevance[0], expected, rtol=1e-10, atol=1e-12)


def test_split_batches_and_other_methods(bert, wordpiece):
    whole = texts.explain(bert, wordpiece, TEXTS)
    split = texts.explain(bert, wordpiece, TEXTS, batch_size=2)
    for a, b in zip(whole.relevance, split.relevance, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    deeplift = texts.explain(bert, wordpiece, TEXTS[0], method="deeplift")
    assert deeplift.explanation.method == "deeplift"
    assert bool((deeplift.relevance[0] != 0).any())


def test_the_ledger_explains_the_score(bert, wordpiece):
    e = texts.explain(bert, wordpiece, TEXTS[:2], ledger=True)
    assert float(e.ledger.gap.abs().max()) < 1e-10


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("classifier", "[CLS] The story was unforgettable , but unbearably long . [SEP]"),
        ("language model", "The story was unforgettable , but unbearably long ."),
        ("rotary language model", "<s> The story was unforgettable, but unbearably long."),
    ],
)
def test_words_are_slices_of_the_text(case, words, request):
    model, tokenizer = built(request, case)
    e = texts.explain(model, tokenizer, TEXTS[1])
    found = [w for w in e.words[0] if w[0] not in "Ġ▁"]  # one of two spaces
    assert " ".join(word for word, _ in found) == words
    assert sum(r for _, r in e.words[0]) == pytest.approx(float(e.relevance[0].sum()))
    special = [t for t, s in zip(e.tokens[0], e.encoded[0].special, strict=True) if s]
    assert special == [word for word in words.split() if word[0] in "[<"]


def test_bytes_of_one_character(gpt2, byte_level):
    e = texts.explain(gpt2, byte_level, "das ☕ Meer")
    assert [word for word, _ in e.words[0]] == ["das", "☕", "Meer"]


def test_pairs(bert, wordpiece):
    e = texts.explain(bert, wordpiece, [("A film", "the story"), ("A lovely film", "was long")])
    assert [w for w, _ in e.words[0]] == ["[CLS]", "A", "film", "[SEP]", "the", "story", "[SEP]"]
    alone = texts.explain(bert, wordpiece, ("A film", "the story"))
    torch.testing.assert_close(e.relevance[0], alone.relevance[0], rtol=0, atol=1e-10)
    assert ">film</span>" in e.to_html()


def test_targets_by_name(bert, wordpiece, gpt2, byte_level):
    e = texts.explain(bert, wordpiece, TEXTS[:2], target=["good", "bad"])
    assert e.names == ("good", "bad") and e.target.tolist() == [1, 0]
    assert texts.explain(bert, wordpiece, TEXTS[0], target=torch.tensor([2])).names == ("neither",)
    word = byte_level("A film")["input_ids"][-1]
    by_token = texts.explain(gpt2, byte_level, "A lovely", target="Ġfilm")
    by_text = texts.explain(gpt2, byte_level, "A lovely", target=" film")
    assert by_token.target.tolist() == by_text.target.tolist() == [word]
    assert by_text.names == ("Ġfilm",)
    ids = torch.tensor([byte_level("A lovely")["input_ids"]])
    assert float(by_text.score[0]) == pytest.approx(float(gpt2(ids).logits[0, -1, word].detach()))
    predicted = texts.explain(gpt2, byte_level, "A lovely")
    assert predicted.target.tolist() == [int(gpt2(ids).logits[0, -1].argmax())]


def test_position(gpt2, byte_level):
    e = texts.explain(gpt2, byte_level, ["A lovely film", "The film was long"], position=1)
    for i in range(2):
        assert bool((e.relevance[i][2:] == 0).all()) and bool((e.relevance[i][:2] != 0).all())
    with pytest.raises(TargetError, match="the shortest text has"):
        texts.explain(gpt2, byte_level, "A", position=40)


def test_errors(bert, wordpiece, gpt2, without_padding):
    with pytest.raises(InputError, match="no texts"):
        texts.explain(bert, wordpiece, [])
    with pytest.raises(InputError, match="expected texts"):
        texts.explain(bert, wordpiece, [3])
    with pytest.raises(InputError, match="no tokens"):
        texts.explain(gpt2, without_padding, [""])
    with pytest.raises(InputError, match="no padding token"):
        texts.explain(gpt2, without_padding, ["A lovely film", "The film"])
    with pytest.raises(TargetError, match=r"no label of the model \(bad, good, neither\) and no single token"):
        texts.explain(bert, wordpiece, "A film", target="excellent")
    assert len(texts.explain(gpt2, without_padding, ["A film", "A film"])) == 2


class Slow:
    """A tokenizer that does not tell where its tokens come from."""

    def __init__(self, tokenizer):
        self._tokenizer, self.pad_token_id, self.is_fast = tokenizer, tokenizer.pad_token_id, False

    def __call__(self, *args, **kwargs):
        assert not kwargs.get("return_offsets_mapping")
        return dict(self._tokenizer(*args, **kwargs))

    def __getattr__(self, name):
        return getattr(self._tokenizer, name)


def test_slow_tokenizers_give_tokens_but_no_words(bert, wordpiece):
    e = texts.explain(bert, Slow(wordpiece), TEXTS)
    torch.testing.assert_close(e.relevance[1], texts.explain(bert, wordpiece, TEXTS).relevance[1])
    assert ">[CLS]</span>" in e.to_html()
    with pytest.raises(InputError, match="fast version"):
        _ = e.words


def test_shown(bert, wordpiece):
    e = texts.explain(bert, wordpiece, ["A <b> & lovely  film"], target="good")
    page = e.to_html(limit=2.0)
    assert "&lt;</span>" in page and "&amp;</span>" in page and "<b>" not in page
    assert page.count('class="special"') == 2 and ">2</div>" in page and ">-2</div>" in page
    assert f"good {float(e.score[0]):.4g}" in page
    assert repr(e).startswith("TextExplanation(lrp, 1 texts)\n  'A <b> & lovely  film': 'good' ")


def test_no_tokenizer(bert):
    with pytest.raises(InputError, match="tokenizer is NoneType"):
        texts.explain(bert, None, ["A film."])
