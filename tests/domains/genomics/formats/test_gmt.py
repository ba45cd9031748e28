"""GMT files as they come, and those that are none."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from sciexplain.domains.genomics.enrichment import read_gmt
from sciexplain.errors import DataError, SciExplainError


def test_gmt_files(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    text = "﻿A\thttp://x\tg1\tg2\tg1\t\t\r\n\r\n  \r\nB\t\tTP53,1.0\tHLA-DRB1\tCD3,x\r\nA\tagain\tg1\tg2\r\n"
    (tmp_path / "x.gmt").write_bytes(text.encode())
    expected = {"A": ("g1", "g2"), "B": ("TP53", "HLA-DRB1", "CD3,x")}
    assert read_gmt(tmp_path / "x.gmt") == expected
    (tmp_path / "x.gmt.gz").write_bytes(gzip.compress(text.encode()))
    assert read_gmt(tmp_path / "x.gmt.gz") == expected
    sets = read_gmt(shared_data("genomics/leukemia/h.all.v7.0.symbols.gmt"))
    assert len(sets) == 50 and len(sets["HALLMARK_APOPTOSIS"]) == 161
    assert sets["HALLMARK_TNFA_SIGNALING_VIA_NFKB"][:2] == ("JUNB", "CXCL2")


@pytest.mark.parametrize(
    "text, message",
    [
        ("A\tabout\n", r"x\.gmt:1: 'A.tabout' is no gene set"),
        ("A\tx\tg\n\nonly words\n", r"x\.gmt:3: 'only words' is no gene set"),
        ("\tx\tg\n", r"x\.gmt:1: .* expected its name"),
        ("A\tx\tg\nB\tx\th\nA\tx\ti\n", r"x\.gmt:3: the set 'A' is in line 1 already, with other genes"),
        ("\n\n", "holds no gene set"),
        (None, "no such file"),
    ],
)
def test_gmt_files_that_are_none(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "x.gmt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_gmt(path)


def test_bad_lines_of_gmt_files_are_reported(tmp_path: Path) -> None:
    reported: list[tuple[str, SciExplainError]] = []
    path = tmp_path / "y.gmt"
    path.write_text("A\tx\tg\nbad\nB\tx\th\n")
    assert read_gmt(path, on_error=lambda *row: reported.append(row)) == {"A": ("g",), "B": ("h",)}
    assert [place for place, _ in reported] == ["y.gmt:2"]
