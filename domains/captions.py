"""Words and numbers in figures, so that no text meets another."""

import re
from functools import cache
from math import ceil


def fit(text: str, width: float, size: float, lines: int) -> str:
    """Break a text into at most ``lines`` lines of ``width`` inches; what is too long loses its middle."""
    for kept in range(len(text), 0, -1):
        short = text if kept == len(text) else f"{text[: ceil(kept / 2)]}…{text[len(text) - kept // 2 :]}"
        broken = _break(short, width, size)
        if len(broken) <= lines:
            return "\n".join(broken)
    return ""


def number(value: float) -> str:
    """Three significant digits with a true minus sign."""
    return f"{value:.3g}".replace("-", "−")


def _break(text: str, width: float, size: float) -> list[str]:
    """Lines that end at blanks or behind underscores; within a word only where it has no line to itself."""
    lines, blank = [""], ""
    for piece in re.findall(r"[^ _]*_+|[^ _]+| ", text):
        if piece == " ":
            blank += piece
            continue
        longer = lines[-1] + blank + piece if lines[-1] else piece
        blank = ""
        if _width(longer, size) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in piece:
            if lines[-1] and _width(lines[-1] + letter, size) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def _width(text: str, size: float) -> float:
    """Inches, without kerning."""
    return sum(map(_advance, text)) * size / 72


@cache
def _advance(letter: str) -> float:
    """How far a letter moves the next one, in units of the font's size."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    def width(text: str) -> float:
        return text_to_path.get_text_width_height_descent(text, FontProperties(size=1), ismath=False)[0]

    return width(f"n{letter}n") - width("nn")
