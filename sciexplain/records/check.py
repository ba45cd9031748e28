"""Whether a document that was read has the form of a record, so that nothing that uses it need ask again."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class _Maybe:
    """This form, or null."""

    form: Any


@dataclass(frozen=True)
class _Each:
    """An object whose every value has this form."""

    form: Any


_NUMBERS = [float]
_FORM: dict[str, Any] = {
    "input": {"name": str, "sha256": str, "described": _Each(str)},
    "model": {
        "class": str,
        "state_sha256": _Maybe(str),
        "parameters": int,
        "dtype": _Maybe(str),
        "device": _Maybe(str),
    },
    "versions": _Each(str),
    "question": {
        "method": str,
        "target": object,
        "composite": _Maybe(str),
        "options": _Each(object),
        "options_in_words": _Each(str),
    },
    "decision": {
        "score": float,
        "unit": str,
        "target": _Maybe(int),
        "label": _Maybe(str),
        "probability": _Maybe(float),
        "alternatives": [{"class": int, "label": str, "logit": float, "probability": float}],
    },
    "relevance": _Each({"dtype": str, "shape": [int], "sha256": str, "zlib_base64": str}),
    "conservation": {
        "score": float,
        "relevance": float,
        "absorbed": _Maybe(_Each(float)),
        "gap": _Maybe(float),
        "promised": bool,
    },
    "faithfulness": _Maybe(
        {"removed": str, "area": float, "random_areas": _NUMBERS, "random_orders": int, "beaten": int}
    ),
    "prototypes": [{"name": object, "label": object, "distance": float}],
    "caveats": [str],
    "kind": str,
    "created": str,
    "picture": _Maybe(str),
    "asked": _Maybe(_Each(object)),
    "digest": str,
    "signed_off": [dict.fromkeys(("name", "role", "statement", "date", "digest"), str)],
}
"""A type; a list or an object of forms. What else an object has is left alone."""
_WORDS = {str: "a text", float: "a number", int: "a whole number", bool: "true or false"}
_PIXELS = 1 << 24


def misfits(document: Any) -> Iterator[str]:
    """What is wrong with a document, as what was found and what was expected; nothing where it is a record."""
    yield from _misfits(document, _FORM, "it")
    if not isinstance(document, dict):
        return
    if document.get("relevance") == {}:
        yield "relevance is empty; expected that of one input or more"
    measured, picture = document.get("faithfulness"), document.get("picture")
    if isinstance(measured, dict) and measured.get("random_areas") == []:
        yield "faithfulness.random_areas is empty; expected one number or more"
    if isinstance(picture, str) and not _small_png(picture):
        yield f"picture is not what it should be; expected a PNG of at most {_PIXELS} pixels in base64"


def _misfits(value: Any, form: Any, place: str) -> Iterator[str]:
    if isinstance(form, _Maybe):
        if value is not None:
            yield from _misfits(value, form.form, place)
    elif isinstance(form, list):
        if not isinstance(value, list):
            yield f"{place} is {_said(value)}; expected a list"
            return
        for number, entry in enumerate(value):
            yield from _misfits(entry, form[0], f"{place}[{number}]")
    elif isinstance(form, _Each | dict):
        if not isinstance(value, dict):
            yield f"{place} is {_said(value)}; expected an object"
        elif isinstance(form, _Each):
            for name, entry in value.items():
                yield from _misfits(entry, form.form, f"{place}.{name}")
        else:
            for name, of_entry in form.items():
                if name not in value:
                    yield f"{place} has no {name!r}"
                else:
                    yield from _misfits(value[name], of_entry, name if place == "it" else f"{place}.{name}")
    elif not _is(value, form):
        yield f"{place} is {_said(value)}; expected {_WORDS[form]}"


def _is(value: Any, kind: type) -> bool:
    if kind in (int, float):
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63
        return whole or (kind is float and isinstance(value, float))
    return isinstance(value, kind)


def _said(value: Any) -> str:
    return "null" if value is None else f"{str(value)[:40]!r}" if isinstance(value, str | int | float) else "a list"


def _small_png(text: str) -> bool:
    """By its first bytes, before anything unpacks it."""
    try:
        head = base64.b64decode(text[:64], validate=True)
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 24:
        return False
    width, height = struct.unpack(">II", head[16:24])
    return bool(0 < width * height <= _PIXELS)
