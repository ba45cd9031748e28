"""Texts: explain what a language model or a classifier says about them, token by token and word by word.

Works with models and tokenizers as Hugging Face's transformers has them, and with others that are called the same way;
the library itself is not needed here.

>>> from sciexplain.domains import texts
>>> e = texts.explain(model, tokenizer, ["a lovely film", "a film"])  # doctest: +SKIP
>>> e.words[0]  # doctest: +SKIP
(('[CLS]', 0.02), ('a', -0.1), ('lovely', 1.7), ('film', 0.3), ('[SEP]', 0.05))
>>> Path("why.html").write_text(e.to_html())  # doctest: +SKIP
"""

from sciexplain.domains.texts.encode import EncodedText, Model, Tokenizer
from sciexplain.domains.texts.explain import TextExplanation, explain

__all__ = ["EncodedText", "Model", "TextExplanation", "Tokenizer", "explain"]
