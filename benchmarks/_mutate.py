"""Damage to whole files: bytes and bits, numbers, words, lines and lengths; no two inputs need to be alike."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Sequence

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORD = re.compile(rb"[A-Za-z_][A-Za-z_0-9.]{1,30}")
_NUMBERS = (
    *(b"0", b"-1", b"1", b"-0", b"00", b"1.5", b"1e999", b"-1e999", b"1e-999", b"nan", b"NaN", b"inf", b"-Infinity"),
    *(str(2**bits + off).encode() for bits in (7, 8, 15, 16, 31, 32, 53, 63, 64) for off in (-1, 0, 1)),
    *(b"9" * 400, b"-9223372036854775808", b"1_000", b"0x10", b"1e9", b"1000000000000", b"+5", b"1,5"),
)
_TEXTS = (
    *(
        b"",
        b" ",
        b"\t",
        b"\n",
        b"\r\n",
        b"\r",
        b"\0",
        b",",
        b";",
        b":",
        b"/",
        b"\\",
        b"'",
        b'"',
        b"#",
        b"$",
        b"%s",
        b"=1",
    ),
    *(b"../", b"/etc/passwd", b"null", b"true", b"[]", b"{}", b"[[", b"<script>", b"__class__", b"\x1b[31m", b"${a}"),
    *("é".encode(), "\u202e".encode(), "\ufeff".encode(), "\U0001f9ec".encode(), "\u0660\u0661".encode(), b"\\ud800"),
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xff\xfe", b"\x1f\x8b", b"PK\x03\x04", b"\x80\x04"),
)
_LARGEST = 1 << 20


def mutated(seeds: Sequence[bytes], random_: random.Random) -> bytes:
    """A seed, damaged in one to six ways."""
    data = random_.choice(seeds)
    for _ in range(random_.choice((1, 1, 1, 2, 2, 3, 4, 6))):
        data = random_.choice(_WAYS)(data, random_, seeds)
    return data[:_LARGEST]


def _place(data: bytes, r: random.Random, most: int = 64) -> tuple[int, int]:
    """A stretch: where it begins and ends."""
    start = r.randrange(len(data) + 1)
    return start, min(len(data), start + r.randint(1, min(most, len(data) or 1)))


def _flip(data: bytes, r: random.Random, seeds: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(r.choice((1, 1, 2, 8))):
        if changed:
            changed[r.randrange(len(changed))] ^= 1 << r.randrange(8)
    return bytes(changed)


def _overwrite(data: bytes, r: random.Random, seeds: Sequence[bytes]) -> bytes:
    start, stop = _place(data, r, 8)
    new = r.choice((bytes(stop - start), b"\xff" * (stop - start), r.randbytes(stop - start)))
    return data[:start] + new + data[stop:]


def _insert(data: bytes, r: random.Random, seeds: Sequence[bytes]) -> bytes:
    start = r.randrange(len(data) + 1)
    return data[:start] + r.choice((r.randbytes(r.randint(1, 9)), r.choice(_TEXTS), r.choice(_TEXTS))) + data[start:]


def _delete(data: bytes, r: random.Random, seeds: Sequence[bytes]) -> bytes:
    start, stop = _place(data, r, r.choice((1, 8, 64, 4096)))
    return data[:start] + data[stop:]


def _cut(data: bytes, r: random.Random, seeds: Sequence[bytes]) -> bytes:
    return data[: r.randrange(len(data) + 1)]


def _repeat(data: bytes, r: random.Random, seeds: Sequence[bytes]) -> bytes:
    start, stop = _place(data, r, r.choice((1, 4, 64)))
    times = r.choice((2, 2, 3, 20, 300)) if r.random() < 0.99 else r.choice((5_000, 50_000))
    return data[:start] + data[start:stop] * times + data[stop:]


def _splice(data: bytes, r: random.Random, seeds: Sequence[bytes]) -> bytes:
    other = r.choice(seeds)
    start, stop = _place(other, r, 256)
    here = r.randrange(len(data) + 1)
    return r.choice((data[:here] + other[start:], data[:here] + other[start:stop] + data[here:]))


def _number(data: bytes, r: random.Random, seeds: Sequence[bytes]) -> bytes:
    found = list(_NUMBER.finditer(data, r.randrange(len(data) + 1)))[:50]
    if not found:
        return _binary_number(data, r, seeds)
    one = r.choice(found)
    return data[: one.start()] + r.choice(_NUMBERS) + data[one.end() :]


def _binary_number(data: bytes, r: random.Random, seeds: Sequence[bytes]) -> bytes:
    bits, order = r.choice((8, 16, 32, 64)), r.choice("<>")
    value = r.choice(
        (0, 1, 2**bits - 1, 2 ** (bits - 1), 2 ** (bits - 1) - 1, r.randrange(2**bits), len(data) % 2**bits)
    )
    new = struct.pack(order + {8: "B", 16: "H", 32: "I", 64: "Q"}[bits], value)
    start = r.randrange(len(data) + 1)
    return data[:start] + new + data[start + len(new) :]


def _word(data: bytes, r: random.Random, seeds: Sequence[bytes]) -> bytes:
    found = list(_WORD.finditer(data, r.randrange(len(data) + 1)))[:50]
    words = _WORD.findall(r.choice(seeds))[:500]
    if not found:
        return _insert(data, r, seeds)
    one = r.choice(found)
    return data[: one.start()] + r.choice((*_TEXTS, *words)) + data[one.end() :]


def _lines(data: bytes, r: random.Random, seeds: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    one, other = r.randrange(len(lines)), r.randrange(len(lines))
    way = r.randrange(4)
    if way == 0:
        del lines[one]
    elif way == 1:
        lines[one], lines[other] = lines[other], lines[one]
    elif way == 2:
        lines.insert(one, lines[other])
    else:
        separator = r.choice((b"\t", b",", b" ", b";"))
        lines[one] = separator.join(r.sample(cells := re.split(rb"[\t, ;]", lines[one]), len(cells)))
    return r.choice((b"\n", b"\n", b"\n", b"\r\n", b"\r")).join(lines)


_Way = Callable[[bytes, random.Random, Sequence[bytes]], bytes]
_WAYS: tuple[_Way, ...] = (
    *(_flip, _overwrite, _insert, _delete, _cut, _repeat, _splice),
    *(_number, _number, _binary_number, _word, _lines),
)
