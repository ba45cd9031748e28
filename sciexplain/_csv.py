"""Texts in tables of comma-separated values that spreadsheets open."""

import re

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")


def text_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: one that begins like one gets an apostrophe before it.

    ``=``, ``@``, tab and carriage return begin one, and ``+`` and ``-`` where more follows than a number: strands and
    charges stay as they are.

    Examples
    --------
    >>> [text_cell(text) for text in ("CCO", "=HYPERLINK(1)", "@a", "-", "+2", "-35.5", "-1+cmd|' /C calc'!A0")]
    ['CCO', "'=HYPERLINK(1)", "'@a", '-', '+2', '-35.5', "'-1+cmd|' /C calc'!A0"]
    """
    if text[:1] in ("=", "@", "\t", "\r"):
        return f"'{text}"
    if text[:1] in ("+", "-") and len(text) > 1 and not _NUMBER.match(text):
        return f"'{text}"
    return text
