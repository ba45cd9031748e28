"""A record as one sheet of PDF, A4."""

from __future__ import annotations

import io
import textwrap
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .tables import Section, sections, title

if TYPE_CHECKING:
    from .record import Record

_WIDTH, _HEIGHT = 8.27, 11.69
_MARGIN = 0.5
_FONT = 6.6
_LINE = 0.118
_QUIET = "#5b5b62"
_NAMES, _SPACE = 0.4, 0.06
"""Share of a column that names take, and inches between them and the values."""


def write_pdf(record: Record, path: Path) -> None:
    """Draw the sheet. What is too long for its column is broken; what is too much for the sheet gets a smaller type."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    for scale in (1.15, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5):
        figure = Figure(figsize=(_WIDTH, _HEIGHT))
        if _Sheet(figure, scale).drawn(record):
            break
    FigureCanvasPdf(figure)
    figure.savefig(path, format="pdf", metadata={"Title": title(record), "CreationDate": None})


class _Sheet:
    """Places text from the top down, in inches."""

    def __init__(self, figure: Any, scale: float) -> None:
        self.figure, self.scale = figure, scale

    def drawn(self, record: Record) -> bool:
        """Draw all of it; False where it does not fit."""
        y = _HEIGHT - _MARGIN
        self._text(_MARGIN, y, title(record), size=13, weight="bold")
        d = record.document
        self._text(_MARGIN, y - 0.27, f"{d['kind']} · made {d['created']} · sha256 {record.digest}", color=_QUIET)
        y = self._picture(record, y - 0.45)
        self._text(_MARGIN, y, "Before you rely on it", size=8, weight="bold")
        y -= 0.17
        for caveat in record.caveats:
            for i, line in enumerate(textwrap.wrap(caveat, int(118 / self.scale))):
                self._text(_MARGIN + 0.1, y, ("· " if i == 0 else "  ") + line, size=7.4 * self.scale)
                y -= 0.135 * self.scale
        columns = [y - 0.12] * 2
        for section in (*sections(record), _signatures(record)):
            column = columns.index(max(columns))
            columns[column] = self._section(section, column, columns[column])
        return min(columns) > _MARGIN / 2

    def _picture(self, record: Record, y: float) -> float:
        if record.picture is None:
            return y
        from matplotlib.image import imread

        image = imread(io.BytesIO(record.picture))
        height = min(2.9, (_WIDTH - 2 * _MARGIN) * image.shape[0] / image.shape[1])
        width = height * image.shape[1] / image.shape[0]
        left = (_WIDTH - width) / 2
        axes = self.figure.add_axes(
            (left / _WIDTH, (y - height) / _HEIGHT, width / _WIDTH, height / _HEIGHT), frameon=False
        )
        axes.imshow(image, interpolation="antialiased", aspect="auto")
        axes.set_axis_off()
        return y - height - 0.15

    def _section(self, section: Section, column: int, y: float) -> float:
        width = (_WIDTH - 2 * _MARGIN - 0.3) / 2
        left = _MARGIN + column * (width + 0.3)
        self._text(left, y, section.title, size=8, weight="bold")
        y -= 0.16
        for name, value in section.lines:
            size = _FONT * self.scale
            names = _wrapped(name, _NAMES * width - _SPACE, size)
            values = _wrapped(value, (1 - _NAMES) * width, size)
            for i in range(max(len(names), len(values))):
                if i < len(names):
                    self._text(left, y, names[i], size=size, color=_QUIET)
                if i < len(values):
                    self._text(left + _NAMES * width, y, values[i], size=size)
                y -= _LINE * self.scale
        return y - 0.12

    def _text(self, x: float, y: float, text: str, *, size: float = _FONT, **style: Any) -> None:
        self.figure.text(x / _WIDTH, y / _HEIGHT, text.replace("$", r"\$"), fontsize=size, va="top", **style)


def _wrapped(text: str, width: float, size: float) -> list[str]:
    """Lines of at most so many inches; a word that is longer is broken."""
    lines: list[str] = []
    for line in text.splitlines():
        here = ""
        for word in line.split():
            if here and _inches(f"{here} {word}", size) <= width:
                here = f"{here} {word}"
                continue
            if here:
                lines.append(here)
            here = ""
            for letter in word:
                if here and _inches(here + letter, size) > width:
                    lines.append(here)
                    here = ""
                here += letter
        lines.append(here)
    return lines or [""]


def _inches(text: str, size: float) -> float:
    """How wide a text is in the font of the sheet."""
    return size / 72 * sum(map(_em, text))


@cache
def _em(letter: str) -> float:
    """The width of a letter, in sizes of the font."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    font.set_size(100, 72)
    return float(font.load_char(ord(letter)).linearHoriAdvance) / 65536 / 100


def _signatures(record: Record) -> Section:
    lines = [
        (
            f"{entry['name']}, {entry['role']}".rstrip(", "),
            f"{entry['date']}{'' if entry['digest'] == record.digest else ' ANOTHER VERSION'} {entry['statement']}",
        )
        for entry in record.signed_off
    ]
    return Section("Signed off by", tuple(lines) or (("nobody yet", ""),))
