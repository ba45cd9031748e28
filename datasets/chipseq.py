"""CTCF against PU.1: real ChIP-seq peaks, 100 bp around their centres."""

from __future__ import annotations

import numpy as np

from sciexplain.datasets.fetch import Source, fetch
from sciexplain.datasets.sequences import LabelledSequences, records_of
from sciexplain.domains.genomics.formats.fasta import read_fasta
from sciexplain.domains.genomics.sequences import Record
from sciexplain.errors import DataError

_REPOSITORY = "https://raw.githubusercontent.com/const-ae/Neural_Network_DNA_Demo/master/data/"
_SHA256 = {
    "ctcf.fa.gz": "29f74f5096f3d6e71125c3b34eabb88d72e422fefeac55c9763b4e588132c4d5",
    "pu1.fa.gz": "5db3f070fa38285600492ae4d2fe58e511ffd3f1573ecf48cc7cff7a2e297a2a",
}
_VALID, _TEST = ("chr7",), ("chr8", "chr9")


def load_chipseq() -> LabelledSequences:
    """67 849 peaks of the human genome (hg19): is CTCF there, is PU.1 (of the gene SPI1)?

    12 peaks are of both. Chromosome 7 is for validation, 8 and 9 are for the test, so that no overlapping peaks were
    trained on. Lower case, for repeats, is kept.

    Raises
    ------
    DataError
        The files are not there and cannot be fetched, or are others.

    References
    ----------
    C. Ahlmann-Eltze, https://github.com/const-ae/Neural_Network_DNA_Demo.
    """
    found: dict[str, Record] = {}
    members: list[set[str]] = []
    for file, digest in _SHA256.items():
        source = Source(_REPOSITORY + file, digest, f"genomics/chipseq_100bp/{file}")
        peaks = records_of(read_fasta(fetch(source, name="CTCF-PU1", extra="genomics")))
        members.append({record.name for record in peaks})
        for record in peaks:
            if record.interval is None:
                raise DataError(f"{file}: {record.name!r} is no interval of {len(record)} bp; expected chrom:start-end")
            if found.setdefault(record.name, record).sequence != record.sequence:
                raise DataError(f"{file}: {record.name} has another sequence than in the first file")
    chroms = np.array([record.interval.chrom for record in found.values() if record.interval])
    valid, test = np.isin(chroms, _VALID), np.isin(chroms, _TEST)
    return LabelledSequences(
        "ctcf-pu1",
        tuple(found.values()),
        np.array([[name in names for names in members] for name in found], np.float32),
        ("CTCF", "PU.1"),
        "classification",
        np.flatnonzero(~valid & ~test),
        np.flatnonzero(valid),
        np.flatnonzero(test),
        "by chromosome: 7 for validation, 8 and 9 for the test",
    )
