"""The long table: each letter with its own base and its own relevance, on both strands."""

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import torch

from sciexplain.domains.genomics.explanation import SequenceExplanation
from sciexplain.domains.genomics.formats import nucleotide_table
from sciexplain.domains.genomics.formats.nucleotide_table import write_parquet
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.sequences import Record, Sequences

SEQUENCES = Sequences.of(
    [
        Record("plus", "AACGN", Interval("chr1", 10, 15, "+")),
        Record("minus", "ACGTT", Interval("chr2", 20, 25, "-")),
        Record("nowhere", "TTTGA"),
        Record("plus", "CCCCA", Interval("chr1", 0, 5)),
    ]
)


def test_each_letter_has_its_line(tmp_path):
    hypothetical = torch.randn(4, 4, 5, generator=torch.Generator().manual_seed(0))
    e = SequenceExplanation.of(SEQUENCES, hypothetical=hypothetical, method="deepshap")
    path = write_parquet(tmp_path / "x.parquet", e)
    table = pd.DataFrame(parquet.read_table(path).to_pydict(), dtype=object)
    assert "".join(table["letter"]) == "AACGNACGTTTTTGACCCCA"
    places = [10, 11, 12, 13, 14, 24, 23, 22, 21, 20, None, None, None, None, None, 0, 1, 2, 3, 4]
    assert table["position"].tolist() == places
    assert table["chrom"].tolist() == ["chr1"] * 5 + ["chr2"] * 5 + [None] * 5 + ["chr1"] * 5
    assert table["strand"].tolist() == ["+"] * 5 + ["-"] * 5 + [None] * 5 + ["."] * 5
    assert table["row"].tolist() == [i for i in range(4) for _ in range(5)]
    assert table["index"].tolist() == [*range(5)] * 4
    assert table["name"].tolist()[::5] == ["plus", "minus", "nowhere", "plus"]
    np.testing.assert_array_equal(table["relevance"], e.nucleotides.flatten().numpy())
    for channel, letter in enumerate("ACGT"):
        np.testing.assert_array_equal(table[f"hypothetical_{letter}"], hypothetical[:, channel].flatten().numpy())
        here = table[table["letter"] == letter]
        np.testing.assert_array_equal(here["relevance"], here[f"hypothetical_{letter}"])
    metadata = parquet.read_schema(path).metadata
    assert (metadata[b"method"], metadata[b"alphabet"]) == (b"deepshap", b"DNA")


def test_pieces_make_the_same_table_and_none_is_needed(tmp_path, monkeypatch):
    e = SequenceExplanation.of(SEQUENCES, nucleotides=torch.arange(20.0).reshape(4, 5))
    whole = pd.read_parquet(write_parquet(tmp_path / "whole.parquet", e))
    assert not any(name.startswith("hypothetical") for name in whole)
    monkeypatch.setattr(nucleotide_table, "_LINES_AT_ONCE", 5)
    path = write_parquet(tmp_path / "pieces.parquet", e)
    assert parquet.ParquetFile(path).num_row_groups == 4
    pd.testing.assert_frame_equal(pd.read_parquet(path), whole)
    empty = pd.read_parquet(write_parquet(tmp_path / "empty.parquet", e[[]]))
    assert len(empty) == 0 and list(empty) == list(whole)
