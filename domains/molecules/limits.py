"""How much is taken from a file at most: far more than real molecules have, and little enough for any computer."""

from __future__ import annotations

LONGEST_LINE = 1 << 20
"""Bytes of a line of text, and of a row of a table, which may have several lines."""

LONGEST_CELL = 1 << 17
"""Characters of a cell of a table, and of the value of a property."""

LARGEST_RECORD = 1 << 24
"""Bytes of a record of an SDF or XYZ file."""

LONGEST_COLLECTION = 8_000
"""Characters that tell the atoms of one stereochemical collection of a V3000 molfile, some 1500 atoms."""

LONGEST_SMILES = 20_000
"""Characters: reading takes RDKit the square of this, about two seconds for so many."""

MOST_ATOMS = 100_000
"""Of a molecule."""

MOST_ATOMS_NAMED = 1_000
"""Of a molecule without a name that gets its SMILES for one; the name of a larger one is its formula."""

MOST_ATOMS_EMBEDDED = 500
"""Of a molecule, hydrogens included, whose geometry is made: ETKDG and the force fields take about a minute for so
many, and four times that for twice as many."""

EMBEDDING_SECONDS = 60
"""Of each of the two ways in which ETKDG looks for a geometry."""

MOST_COLUMNS = 1 << 14
"""Of a table."""

MOST_ROWS = 1 << 24
"""Of a Parquet row group."""

LARGEST_ROW_GROUP = 1 << 31
"""Bytes of a Parquet row group, unpacked."""

MOST_TIMES = 200
"""What is packed may unpack to so many times its size; text of molecules does to 3 to 30 times."""

UNPACKED_ANYHOW = 1 << 26
"""Bytes that may be unpacked whatever their packed size."""
