"""A record as one sheet of PDF, A4."""

from __future__ import annotations

import io
import textwrap
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
_NAMES = 27
_VALUES = 34


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
            names = _wrapped(name, int(_NAMES / self.scale))
            values = _wrapped(value, int(_VALUES / self.scale))
            for i in range(max(len(names), len(values))):
                if i < len(names):
                    self._text(left, y, names[i], size=_FONT * self.scale, color=_QUIET)
                if i < len(values):
                    self._text(left + 0.4 * width, y, values[i], size=_FONT * self.scale)
                y -= _LINE * self.scale
        return y - 0.12

    def _text(self, x: float, y: float, text: str, *, size: float = _FONT, **style: Any) -> None:
        self.figure.text(x / _WIDTH, y / _HEIGHT, text.replace("$", r"\$"), fontsize=size, va="top", **style)


def _wrapped(text: str, width: int) -> list[str]:
    return [part for line in text.splitlines() for part in textwrap.wrap(line, width) or [""]] or [""]


def _signatures(record: Record) -> Section:
    lines = [
        (
            f"{entry['name']}, {entry['role']}".rstrip(", "),
            f"{entry['date']}{'' if entry['digest'] == record.digest else ' ANOTHER VERSION'} {entry['statement']}",
        )
        for entry in record.signed_off
    ]
    return Section("Signed off by", tuple(lines) or (("nobody yet", ""),))
