"""The pages themselves: what is written into them is escaped, and what they may load is said in them."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from sciexplain._optional import require

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; base-uri 'none'; "
    "form-action 'none'; require-trusted-types-for 'script'; trusted-types sciexplain"
)
"""Scripts and styles are files of the report; nothing inline, no eval, no network, no text made into markup."""


@cache
def _environment() -> Any:
    jinja2 = require("jinja2", extra="report")
    return jinja2.Environment(
        loader=jinja2.PackageLoader("sciexplain.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def page(name: str, values: Mapping[str, Any]) -> str:
    """A page by the name of its template, without ``.html``.

    Raises
    ------
    MissingDependencyError
        jinja2 is not installed.
    """
    text: str = _environment().get_template(f"{name}.html").render(page=name, policy=POLICY, **values)
    return text


def assets() -> dict[str, bytes]:
    """Scripts and styles of all pages, by file name."""
    folder = files("sciexplain.report") / "assets"
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith((".js", ".css"))}
