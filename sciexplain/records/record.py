"""A record: one JSON document with a digest, the names of those who signed it off, and its printed forms."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from .._files import PathName, written
from .._json import read_json
from ..errors import DataError
from . import digest
from .check import misfits

if TYPE_CHECKING:
    from .verify import Verification

FORMAT = "sciexplain-record"
FORMAT_VERSION = 1
_KINDS = (".json", ".html", ".pdf")


@dataclass(frozen=True)
class Record:
    """What was decided about one sample, why, and with what.

    Attributes
    ----------
    document
        JSON values: ``input``, ``model``, ``versions``, ``question``, ``decision``, ``relevance``, ``conservation``,
        ``faithfulness``, ``prototypes``, ``caveats``, ``picture``, ``asked``, and ``digest``, the sha256 of them all.
    signed_off
        Who stands for it: each has ``name``, ``role``, ``statement``, ``date`` and the ``digest`` that was signed.

    Notes
    -----
    The digest tells a record that was changed. It is no proof of who made it: for that, sign the file itself.
    """

    document: Mapping[str, Any]
    signed_off: tuple[Mapping[str, str], ...] = ()

    @classmethod
    def sealed(cls, document: Mapping[str, Any]) -> Record:
        """A record of a document that has no digest yet."""
        return cls({**document, "digest": digest.of_document(document)})

    def __repr__(self) -> str:
        name = self.document["input"]["name"]
        return f"Record({name or self.document['kind']}, score {self.score:.4g}, {self.digest[:12]})"

    @property
    def digest(self) -> str:
        """sha256 of the document."""
        return str(self.document["digest"])

    @property
    def score(self) -> float:
        """The explained output."""
        return float(self.document["decision"]["score"])

    @property
    def caveats(self) -> tuple[str, ...]:
        """What to know before relying on it, in plain words."""
        return tuple(self.document["caveats"])

    @property
    def picture(self) -> bytes | None:
        """A PNG of the sample and its relevance."""
        return None if self.document["picture"] is None else base64.b64decode(self.document["picture"])

    def relevance(self, name: str | None = None) -> NDArray[Any]:
        """Relevance as it was, by its name in the document; the first where none is given."""
        entries = self.document["relevance"]
        return digest.unpacked(entries[name] if name is not None else next(iter(entries.values())))

    @property
    def untouched(self) -> bool:
        """Whether the document is what its digest says."""
        return digest.of_document({k: v for k, v in self.document.items() if k != "digest"}) == self.digest

    def sign(self, name: str, role: str = "", statement: str = "") -> Record:
        """The same record with one more person who stands for it.

        Raises
        ------
        DataError
            No name, or the document was changed since it was made.
        """
        if not name.strip():
            raise DataError("a record is signed off by somebody: give a name")
        if not self.untouched:
            raise DataError("the record was changed since it was made, so nobody should sign it off; make it anew")
        date = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"name": name, "role": role, "statement": statement, "date": date, "digest": self.digest}
        return Record(self.document, (*self.signed_off, entry))

    def verify(self, model: Any, inputs: Any, **options: Any) -> Verification:
        """Ask ``model`` about ``inputs`` again; see :func:`sciexplain.records.verify`."""
        from .tensor_case import case_again
        from .verify import verify

        return verify(self, case_again(self, model, inputs, **options))

    def save(self, path: PathName) -> Path:
        """Write the record as ``.json``, or as one page of ``.html`` or ``.pdf``.

        Raises
        ------
        DataError
            Another ending, or a folder that does not exist.
        """
        kind = Path(path).suffix.lower()
        if kind == ".json":
            document = {**self.document, "signed_off": [dict(entry) for entry in self.signed_off]}
            text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=True) + "\n"
            return written(path, lambda file: file.write_bytes(text.encode()))
        if kind == ".html":
            from .page import html

            page = html(self)
            return written(path, lambda file: file.write_bytes(page.encode()))
        if kind == ".pdf":
            from .sheet import write_pdf

            return written(path, lambda file: write_pdf(self, file))
        raise DataError(f"{path}: a record is written as .json, .html or .pdf")


def check_files(paths: Iterable[PathName], *, overwrite: bool) -> None:
    """That records can be written there: told before the first of them is, and before the work.

    Raises
    ------
    DataError
        Another ending than :meth:`Record.save` knows, a folder that does not exist or may not be written in, or, unless
        ``overwrite``, a file that is there.
    """
    for path in map(Path, paths):
        if path.suffix.lower() not in _KINDS:
            raise DataError(f"{path}: a record is written as .json, .html or .pdf")
        if not path.parent.is_dir():
            raise DataError(f"{path}: there is no folder {path.parent}; make it first")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise DataError(f"{path}: nothing may be written in {path.parent}")
        if path.is_dir() or (path.exists() and not overwrite):
            raise DataError(
                f"{path} is there already; give another name" + (" or --overwrite" if path.is_file() else "")
            )


def load(path: PathName) -> Record:
    """Read a record that :meth:`Record.save` wrote as JSON.

    Raises
    ------
    DataError
        There is none, it is of a later version, or it does not have a record's form.
    """
    document = read_json(Path(path), what="record")
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataError(f"{path} is no record: expected the .json that a record was saved as")
    of_version = document.get("format_version")
    if isinstance(of_version, int) and of_version > FORMAT_VERSION:
        raise DataError(
            f"{path} has record format {of_version}; this version of sciexplain reads up to {FORMAT_VERSION}: install "
            "a newer one"
        )
    if wrong := next(misfits({"signed_off": [], **document}), None):
        raise DataError(f"{path} is no whole record: {wrong}")
    signed_off = tuple(document.pop("signed_off", ()))
    return Record(document, signed_off)
