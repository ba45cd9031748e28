"""Gene sets from GMT files."""

from __future__ import annotations

import re
from pathlib import Path

from sciexplain._files import PathName
from sciexplain.domains.genomics.formats.fasta import too_long
from sciexplain.domains.genomics.formats.limits import LONGEST_NAME, MOST_COLUMNS, shown
from sciexplain.domains.genomics.formats.lines import Lines, OnError, report
from sciexplain.errors import DataError

# Enrichr writes a membership's weight behind the gene.
_WEIGHT = re.compile(r",[-+0-9.eE]++$")


def read_gmt(path: PathName, *, on_error: OnError | None = None) -> dict[str, tuple[str, ...]]:
    """Read gene sets: one a line, its name, a description and its genes, separated by tabs.

    Blank lines and empty cells are passed over, a gene named twice counts once, and a weight behind a gene, as Enrichr
    writes it (``TP53,1.0``), is left out.

    Parameters
    ----------
    path
        As MSigDB, WikiPathways and Enrichr publish them; may be compressed by gzip.
    on_error
        Called with ``"sets.gmt:7"`` and the error for each line that is no gene set, which is then left out; None: the
        first is raised.

    Returns
    -------
    ``{name of the set: its genes}``, in the order of the file.

    Raises
    ------
    DataError
        There is no such file, it holds no gene set, a line has no genes or no name, or a name comes twice with other
        genes.

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("sets.gmt").write_text("GLYCOLYSIS\\tabout it\\tHK1\\tPKM\\tHK1\\n")
    >>> read_gmt("sets.gmt")
    {'GLYCOLYSIS': ('HK1', 'PKM')}
    """
    path = Path(path)
    sets: dict[str, tuple[str, ...]] = {}
    lines: dict[str, int] = {}
    for number, line in Lines(path):
        if isinstance(line, DataError) and not number:
            raise line
        if isinstance(line, str) and not line.strip():
            continue
        try:
            if isinstance(line, DataError):
                raise line
            name, genes = _gene_set(line)
            if sets.setdefault(name, genes) != genes:
                raise DataError(f"the set {shown(name)} is in line {lines[name]} already, with other genes; rename one")
            lines.setdefault(name, number)
        except DataError as error:
            report(f"{path.name}:{number}", error, on_error)
    if not sets:
        raise DataError(f"{path.name} holds no gene set; expected lines of name, description and genes, tabs between")
    return sets


def _gene_set(line: str) -> tuple[str, tuple[str, ...]]:
    if line.count("\t") > MOST_COLUMNS:
        raise DataError(f"the line has {line.count(chr(9)) - 1} genes; expected at most {MOST_COLUMNS - 1}")
    name, *cells = (cell.strip() for cell in line.split("\t"))
    genes = tuple(dict.fromkeys(_WEIGHT.sub("", cell) for cell in cells[1:] if cell))
    if strange := [text for text in (name, *genes) if len(text) > LONGEST_NAME]:
        raise too_long(strange[0])
    if not name or not genes:
        raise DataError(f"{line[:40]!r} is no gene set; expected its name, a description and its genes, tabs between")
    return name, genes
