"""Docstrings for mkdocstrings: roles of reStructuredText as links, formulae as MathML.

``:func:`explain``` becomes a link where the page of that function is in the site, and code where it is not.
"""

from __future__ import annotations

import re
import sys
from html import escape
from inspect import cleandoc
from pathlib import Path
from typing import Any

from griffe import AliasResolutionError, CyclicAliasError, Extension, Module, NameResolutionError, Object

sys.path.insert(0, str(Path(__file__).parent))
from mathematics import to_mathml  # beside this file, which is not on the path

_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod|obj|exc):`(~?\.*)([^`]+)`")
_MATH = re.compile(r":math:`([^`]+)`")
_DOCTEST = re.compile(r"(?:^[ ]*>>> .*\n(?:[ ]*\S.*\n)*)+(?:\n(?:[ ]*>>> .*\n(?:[ ]*\S.*\n)*)+)*", re.MULTILINE)
_EXAMPLES = re.compile(r"^Examples\n-+\n", re.MULTILINE)
_BLOCK = re.compile(r"^( *)\.\. math::[ ]*(.*)\n((?:\1[ ]+.*\n|[ ]*\n)*)", re.MULTILINE)


def as_markdown(text: str, owner: Object) -> str:
    """A docstring's reStructuredText as Markdown."""
    text = _BLOCK.sub(lambda m: f"{m[1]}{to_mathml(m[2] + ' ' + m[3], block=True)}\n\n", text + "\n").rstrip("\n")
    text = _MATH.sub(lambda m: f"<span>{to_mathml(m[1])}</span>", text)  # at the start of a line too
    text = _ROLE.sub(lambda m: _link(m[1], m[2], owner), text)
    text = text.replace("``", "`").replace("\\*", "∗")  # an escaped star stays one in code too
    start = match.start() if (match := _EXAMPLES.search(text)) else len(text)  # that section is known to mkdocstrings
    return _DOCTEST.sub(_fenced, text[:start] + "\n").rstrip("\n") + "\n\n" + text[start:]


def _fenced(match: re.Match[str]) -> str:
    """Examples outside of their section, as a block of code."""
    code = re.sub(r"[ ]*# doctest: \+.*", "", cleandoc(match[0]))
    return f"```pycon\n{code}\n```\n"


def _link(prefix: str, name: str, owner: Object) -> str:
    title, _, target = name.removesuffix(">").partition("<")  # ``title <target>``, or the target alone
    shown = escape(title.strip() if target else name.rsplit(".", 1)[-1] if prefix else name)
    path = _path_of((target or name).lstrip("~."), owner)
    return f'<autoref optional identifier="{path}"><code>{shown}</code></autoref>' if path else f"<code>{shown}</code>"


def _path_of(name: str, owner: Object) -> str | None:
    """The full path of what a docstring calls by a short name."""
    if name.startswith("sciexplain."):
        return name
    scope: Any = owner
    while scope is not None:
        try:
            return scope.resolve(name.split(".")[0]) + "".join(f".{part}" for part in name.split(".")[1:])
        except (NameResolutionError, AliasResolutionError, CyclicAliasError, KeyError):
            pass
        if name.split(".")[0] in scope.members:
            return f"{scope.path}.{name}"
        scope = scope.parent
    return None


class Docstrings(Extension):
    """Rewrites every docstring of the package once it is loaded."""

    def on_package(self, *, pkg: Module, **kwargs: Any) -> None:
        self._rewrite(pkg)

    def _rewrite(self, owner: Any) -> None:
        if owner.docstring is not None:
            owner.docstring.value = as_markdown(owner.docstring.value, owner)
        for member in list(owner.members.values()):
            if not member.is_alias:
                self._rewrite(member)
