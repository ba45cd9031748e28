"""A record as one page of HTML that opens from disk and prints on one sheet."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from .._optional import require
from .tables import sections, title

if TYPE_CHECKING:
    from .record import Record


def html(record: Record) -> str:
    """The page; every value is escaped.

    Raises
    ------
    MissingDependencyError
        jinja2 is not installed.
    """
    jinja2 = require("jinja2", extra="report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sciexplain.records"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    picture = record.picture
    page: str = environment.get_template("record.html").render(
        title=title(record),
        record=record,
        document=record.document,
        sections=sections(record),
        picture=None if picture is None else base64.b64encode(picture).decode(),
    )
    return page
