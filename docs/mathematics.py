r"""TeX formulae of the docstrings as MathML, which browsers draw without a script or a network.

>>> to_mathml(r"\frac{1}{n}")
'<math><mfrac><mn>1</mn><mi>n</mi></mfrac></math>'
"""

from __future__ import annotations

import re
from html import escape

_TOKENS = re.compile(r"\\[a-zA-Z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)

_LETTERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "lambda": "λ", "theta": "θ", "phi": "φ", "pi": "π",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "mu": "μ", "ell": "ℓ", "Omega": "Ω", "partial": "∂", "epsilon": "ε",
}  # fmt: skip
_SIGNS = {
    "in": "∈", "notin": "∉", "cdot": "·", "to": "→", "leftarrow": "←", "sim": "∼", "pm": "±", "mp": "∓", "mapsto": "↦",
    "le": "≤", "dots": "…", "setminus": "∖", "propto": "∝", "odot": "⊙", "neq": "≠", "mid": "∣", "cup": "∪", "top": "⊤",
    "langle": "⟨", "rangle": "⟩", "lfloor": "⌊", "rfloor": "⌋", "lVert": "‖", "rVert": "‖", "|": "‖", "{": "{",
    "}": "}",
}  # fmt: skip
_LARGE = {"sum": "∑", "prod": "∏", "int": "∫"}
_FUNCTIONS = ("log", "exp", "max", "min", "cos", "det")
_SPACES = {",": "0.17em", ";": "0.28em", ":": "0.22em", "!": "0", "quad": "1em", "qquad": "2em", " ": "0.25em"}
_SIZES = ("left", "right", "big", "Big", "bigg", "Bigg")
_UPRIGHT = ("mathrm", "operatorname", "text")
_SCRIPT = {"F": "ℱ", "L": "ℒ"}
_ABOVE = {"bar": "¯", "tilde": "~", "hat": "^"}


def to_mathml(tex: str, *, block: bool = False) -> str:
    """A formula as ``<math>``.

    Raises
    ------
    ValueError
        For a command that is not known, so that no page shows half a formula.
    """
    rest = [t for t in _TOKENS.findall(tex)][::-1]
    body = _row(rest, until=None)
    attribute = ' display="block"' if block else ""
    return f"<math{attribute}>{body}</math>"


def _row(rest: list[str], until: str | None) -> str:
    parts: list[str] = []
    while rest:
        if rest[-1] == until:
            rest.pop()
            return _joined(parts)
        part = _item(rest)
        if part:
            parts.append(_with_scripts(part, rest))
    if until is not None:
        raise ValueError(f"{until} is missing")
    return _joined(parts)


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"


def _with_scripts(base: str, rest: list[str]) -> str:
    low = high = ""
    while rest and rest[-1] in ("_", "^", "'"):
        sign = rest.pop()
        if sign == "'":
            high += "<mo>′</mo>"
        elif sign == "_":
            low = _item(rest)
        else:
            high += _item(rest)
    if high.count("<mo>′</mo>") and high != "<mo>′</mo>":
        high = f"<mrow>{high}</mrow>"
    around = base.startswith('<mo movablelimits="true"') or base in ("<mi>max</mi>", "<mi>min</mi>")
    if low and high:
        return f"<{'munderover' if around else 'msubsup'}>{base}{low}{high}</{'munderover' if around else 'msubsup'}>"
    if low:
        return f"<{'munder' if around else 'msub'}>{base}{low}</{'munder' if around else 'msub'}>"
    if high:
        return f"<msup>{base}{high}</msup>"
    return base


def _text(rest: list[str]) -> str:
    """What stands in braces, as it is."""
    if rest.pop() != "{":
        raise ValueError("expected {")
    words: list[str] = []
    while (token := rest.pop()) != "}":
        words.append(token)
    return "".join(words)


def _item(rest: list[str]) -> str:
    """The next thing, without its scripts; empty for space."""
    token = rest.pop()
    while token.isspace():
        if not rest:
            return ""
        token = rest.pop()
    if token == "{":
        return _row(rest, until="}")
    if token.startswith("\\"):
        return _command(token[1:], rest)
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    if token.isalpha():
        return f"<mi>{token}</mi>"
    if token in "()[]":
        return f'<mo stretchy="false">{token}</mo>'
    return f"<mo>{escape({'-': '−', '*': '∗'}.get(token, token))}</mo>"


def _command(name: str, rest: list[str]) -> str:
    if name in _LETTERS:
        return f"<mi>{_LETTERS[name]}</mi>"
    if name in _SIGNS:
        return f"<mo>{_SIGNS[name]}</mo>"
    if name in _LARGE:
        return f'<mo movablelimits="true">{_LARGE[name]}</mo>'
    if name in _FUNCTIONS:
        return f"<mi>{name}</mi>"
    if name in _SPACES:
        return f'<mspace width="{_SPACES[name]}"/>'
    if name in _SIZES:
        return ""
    if name in _UPRIGHT:
        said = _text(rest)
        return f"<mtext>{escape(said)}</mtext>" if " " in said or name == "text" else f"<mi>{escape(said)}</mi>"
    if name == "mathcal":
        return f"<mi>{''.join(_SCRIPT[letter] for letter in _text(rest))}</mi>"
    if name in ("frac", "tfrac"):
        return f"<mfrac>{_item(rest)}{_item(rest)}</mfrac>"
    if name == "binom":
        return f'<mrow><mo>(</mo><mfrac linethickness="0">{_item(rest)}{_item(rest)}</mfrac><mo>)</mo></mrow>'
    if name in _ABOVE:
        return f'<mover accent="true">{_item(rest)}<mo>{_ABOVE[name]}</mo></mover>'
    raise ValueError(f"\\{name} is not known")
