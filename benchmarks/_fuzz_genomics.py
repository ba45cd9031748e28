"""Readers of genomics, to be fed with damaged files; see ``fuzz.py``."""

from __future__ import annotations

import atexit
import gzip
import io
import os
import select
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from Bio import bgzf

from sciexplain.domains import genomics
from sciexplain.domains.genomics import Genome, Interval, Sequences
from sciexplain.domains.genomics.expression import Expression, read_cls
from sciexplain.domains.genomics.expression.frames import read_frame
from sciexplain.domains.genomics.formats import hdf5
from sciexplain.domains.genomics.gene_lists import ranking_of
from sciexplain.errors import DataError, InputError

warnings.filterwarnings("ignore")
_MADE: dict[int, Path] = {}
_OPEN: dict[int, Genome] = {}
_MOST, _PATIENCE = 3000, 3.0
"""Attempts of a file that are looked at twice; seconds that the HDF5 library may take, which some damage keeps."""

CHROM = "AACGTTTGCACACCCTGATTACAGGGaccaTTCNRYacgtACGTTTGACCA"
GENOME = f">chr1 of a test\n{CHROM[:20]}\n{CHROM[20:40]}\n{CHROM[40:]}\n>chr2\nTTGCAAACCAG\n"


def folder() -> Path:
    """One for this process, in memory where the system has such a place."""
    if os.getpid() not in _MADE:
        memory = Path("/dev/shm")
        made = tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory if memory.is_dir() else None)
        atexit.register(made.cleanup)
        _MADE[os.getpid()] = Path(made.name)
        (_MADE[os.getpid()] / "whole.fa").write_text(GENOME)
    return _MADE[os.getpid()]


def put(name: str, content: bytes) -> Path:
    path = folder() / name
    path.write_bytes(content)
    return path


def sequences(name: str, **options: Any) -> Callable[[bytes], None]:
    """Every row is one attempt, and the same one wherever the reading begins; what is read can be encoded."""

    def target(content: bytes) -> None:
        path = put(name, content)
        asked = options | ({"genome": whole()} if "bed" in name.lower() or "peak" in name.lower() else {})
        every = list(islice(genomics.attempts(path, **asked), _MOST))
        start = len(content) % (len(every) + 1)
        _same(every[start:], islice(genomics.attempts(path, start=start, **asked), len(every) - start))
        if len(every) < _MOST and genomics.count(path) != len(every):
            raise AssertionError(f"{genomics.count(path)} counted, {len(every)} read")
        for _, record in every:
            if not isinstance(record, DataError):
                Sequences.of(record)

    return target


def whole() -> Genome:
    """A genome that is not damaged, opened once in each process."""
    if os.getpid() not in _OPEN:
        _OPEN[os.getpid()] = Genome(folder() / "whole.fa")
    return _OPEN[os.getpid()]


def _same(expected: list[tuple[str, Any]], found: Iterator[tuple[str, Any]]) -> None:
    told = [[(place, repr(one)) for place, one in listed] for listed in (expected, found)]
    if told[0] != told[1]:
        raise AssertionError(f"{told[0]} from the start, {told[1]} from the middle")


def noted(read: Callable[[Path, Callable[[str, Exception], object]], Any], name: str) -> Callable[[bytes], None]:
    """A reader that tells of each row that it cannot read."""

    def target(content: bytes) -> None:
        try:
            read(put(name, content), lambda place, error: None)
        except DataError:
            return

    return target


def genome(name: str) -> Callable[[bytes], None]:
    """A genome whose index is made, or lies beside it."""

    def target(content: bytes) -> None:
        index = folder() / f"{name}.fai"
        index.unlink(missing_ok=True)
        path = put(name, content)
        _fetch(path)
        _fetch(path)  # with the index that was kept

    return target


def _fetch(path: Path) -> None:
    try:
        with Genome(path) as found:
            for chrom, length in islice(found.chroms.items(), 20):
                for start, end in ((0, 5), (length // 2, length // 2 + 9), (max(0, length - 3), length + 3)):
                    try:
                        letters = found.fetch(Interval(chrom, start, end, "-"), pad=True)
                    except DataError:
                        continue
                    if len(letters) != end - start:
                        raise AssertionError(f"{len(letters)} letters of {chrom}:{start}-{end}")
    except DataError:
        return


def index(content: bytes) -> None:
    """An index that lies."""
    path = put("lying.fa", GENOME.encode())
    put("lying.fa.fai", content)
    os.utime(path, (0, 0))
    _fetch(path)


class Looking:
    """The program that looks at HDF5 files, started once for many of them."""

    def __init__(self) -> None:
        self._process: Any = None
        atexit.register(self.end)

    def __call__(self, path: Path) -> str:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                hdf5.LOOK, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        told = ""
        if select.select([self._process.stdout], [], [], _PATIENCE)[0]:
            told = self._process.stdout.readline()
        if not told:
            self.end()
            return "is damaged, such that the HDF5 library cannot read it"
        return str(told).strip()

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


hdf5.looked = Looking()


def expression(name: str) -> Callable[[bytes], None]:
    """A table of genes and patients; anything else is refused."""

    def target(content: bytes) -> None:
        path = put(name, content)
        for options in ({}, {"genes_in": "rows", "duplicates": "mean", "leave_out": "genes"}):
            try:
                Expression.of(path, on_error=lambda name, error: None, **options)
            except (DataError, InputError):
                continue

    return target


def ranking(content: bytes) -> None:
    try:
        ranking_of(read_frame(put("ranks.tsv", content)))
    except (DataError, InputError):
        return


def classes(content: bytes) -> None:
    try:
        read_cls(put("some.cls", content))
    except DataError:
        return


def _bgzip(text: str) -> bytes:
    packed = io.BytesIO()
    with bgzf.BgzfWriter(fileobj=packed) as writer:
        writer.write(text.encode())
        return _closed(writer, packed)


def _closed(writer: Any, packed: io.BytesIO) -> bytes:
    writer.flush()
    return packed.getvalue() + bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def _parquet(columns: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    pa.parquet.write_table(pa.table(columns), file, **options)
    return file.getvalue()


def _modisco() -> bytes:
    file = io.BytesIO()
    shares = np.full((6, 4), 0.25)
    with h5py.File(file, "w") as handle:
        handle.attrs["window_size"] = 40
        for sign in ("pos_patterns", "neg_patterns"):
            group = handle.create_group(f"{sign}/pattern_0")
            for name in ("sequence", "contrib_scores", "hypothetical_contribs"):
                group[name] = shares
            group["seqlets/example_idx"], group["seqlets/start"] = [0, 1], [3, 4]
            group["seqlets/end"], group["seqlets/is_revcomp"] = [9, 10], [True, False]
    return file.getvalue()


def _annotated() -> bytes:
    import anndata

    path = folder() / "seed.h5ad"
    with pd.option_context("future.infer_string", False):
        obs = pd.DataFrame({"type": ["AML", "ALL", "AML"]}, index=["p1", "p2", "p3"])
        var = pd.DataFrame(index=["CD19", "MPO"])
        anndata.AnnData(np.arange(6.0).reshape(3, 2), obs=obs, var=var).write_h5ad(path)
    return path.read_bytes()


FASTA = (
    "; a comment\n>chr1:2-6(-) first\nTG\nCA\n>second description\nACGTNacgtn\nACG\n\n>none\n>chr1:11-14\nACGT\n"
    ">odd\nACXT\n>MN908947.3:1,000-1,004\nACGT\n"
)
BED = (
    "track name=x\n# of it\nchr1\t2\t6\tup\t0\t+\nchr1\t2\t6\tdown\t0\t-\nchr1 10 20\nchr2\t0\t11\t.\tGENE\t.\n"
    "chr1\t9\t90\tover\nchr9\t0\t4\nchr1\t5\t3\n"
)
PEAKS = (
    "chr1\t3\t12\tp\t100\t-\t7.5\t3.25\t2\t4\nchr1\t10\t30\t.\t0\t.\t1\t2\t3\t-1\nchr2\t0\t11\tq\t0\t+\tnan\t0\t0\t99\n"
)
BED12 = "chr1\t10\t45\tg\t0\t+\t20\t40\t255,0,0\t2\t10,15\t0,20,\nchr1\t5\t9\t.\tNAME\t-\n"
GENBANK = """LOCUS       AB1                       24 bp    DNA     linear   UNK 01-JAN-1980
DEFINITION  a test.
ACCESSION   AB1
VERSION     AB1.1
FEATURES             Location/Qualifiers
     CDS             join(complement(1..9),<10..>12,AB2.1:3..9)
                     /gene="x"
ORIGIN
        1 aacgtttgca nnccctgatt acag
//
LOCUS       AB2                       11 bp    DNA     linear   UNK 01-JAN-1980
VERSION     AB2.1
ORIGIN
        1 ttgcaaacca g
//
"""
TABLE = (
    "id,sequence,chrom,start,end,strand,y\na,AACGt,chr1,10,15,-,1.5\n"
    '"b ""of"" two\nlines",GG,,,,,\nchr1:3-6(+),ACG,,,,,x\n'
)
VCF = (
    "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\n"
    "chr1\t5\trs1\tA\tG,<DEL>,AT\t.\nchr1\t9\t.\tAC\tA,*,C[2:321681[\nchr2\t0\t.\tA\tT\nchr2\t3\t.\tg\tg,.\n"
)
GFF = """##gff-version 3
chr1\tx\tgene\t11\t14\t.\t-\t.\tID=g1;Name=ABC%31;biotype=protein_coding
chr1\tx\tmRNA\t11\t14\t.\t-\t.\tID=t1;Parent=g1
chr1\tx\texon\t11\t12\t.\t-\t.\tParent=t1
chr1\tx\tCDS\t11\t12\t.\t-\t0\tID=c1;Parent=t1,t2
chr1\tx\tfive_prime_UTR\t13\t14\t.\t-\t.\tParent=t1
chr1\tx\ttRNA\t31\t44\t.\t+\t.\tID=r1;gene_name=R
chr1\tx\ttelomere\t1\t4\t.\t+\t.\tID=tel
chr1\tx\tgene\t11\t14\t.\t-\t.\tID=g1
##FASTA
>chr1
ACGT
"""
GTF = (
    'chr1\tx\tgene\t11\t44\t.\t+\t.\tgene_id "G1"; gene_name "A;B"; gene_type "lncRNA";\n'
    'chr1\tx\ttranscript\t11\t44\t.\t+\t.\tgene_id "G1"; transcript_id "T1";\n'
    'chr1\tx\texon\t11\t20\t.\t+\t.\tgene_id "G1"; transcript_id "T1"; exon_number 1\n'
    'chr1\tx\tstart_codon\t11\t13\t.\t+\t0\tgene_id "G1"; transcript_id "T1";\n'
    'chr1\tx\tCDS\t11\t20\t.\t+\t0\tgene_id "G2"; transcript_id "T2";\n'
)
GMT = "GLYCOLYSIS\tabout it\tHK1\tPKM\tHK1\nENRICHR\t\tTP53,1.0\tMYC,-2e3\n\nEMPTY\tno genes\n"
MEME = """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies (from uniform background):
A 0.25 C 0.25 G 0.25 T 0.25

MOTIF MA0004.1 Arnt
letter-probability matrix: alength= 4 w= 2 nsites= 20 E= 0
 0.2  0.8  0.0  0.0
 1.0  0  0  0
URL http://jaspar.genereg.net/matrix/MA0004.1
MOTIF no_width
letter-probability matrix:
0.1 0.2 0.3 0.4
"""
JASPAR = ">MA0004.1 Arnt\nA [ 4 19 0 ]\nC [16 0 20 ]\nG [ 0 1 0 ]\nT [ 0 0 0 ]\n>raw\n 4 19\n16 0\n 0 1\n 0 0\n"
EXPRESSION = "name,CD19,MPO,MPO\na,1.0,7,7\nb,9.5,2,\nb,x,-1e3,3\n"
CLASSES = "3 2 1\n# ALL AML\n0 0 1\n"
FAI = "chr1\t49\t16\t20\t21\nchr2\t11\t74\t11\t12\n"
FEW = {"id": ["a", "b", None], "sequence": ["AACG", "GGCC", "ACGTACGT"], "start": [1, None, 3], "chrom": ["c"] * 3}

TARGETS: dict[str, Callable[[bytes], None]] = {
    "genomics/fasta": sequences("some.fa"),
    "genomics/fasta.gz": sequences("some.fa.gz", length=8, pad=True),
    "genomics/bed": sequences("some.bed"),
    "genomics/bed.bgz": sequences("some.bed.bgz", length=4),
    "genomics/narrowpeak": sequences("some.narrowPeak", length=6, pad=True),
    "genomics/genbank": sequences("some.gb"),
    "genomics/csv": sequences("some.csv", sequence="sequence", labels=["y"]),
    "genomics/parquet": sequences("some.parquet", sequence="sequence"),
    "genomics/genome.fa": genome("genome.fa"),
    "genomics/genome.fa.gz": genome("genome.fa.gz"),
    "genomics/fai": index,
    "genomics/vcf": noted(lambda path, note: list(genomics.read_vcf(path, on_error=note)), "some.vcf"),
    "genomics/gff3": noted(lambda path, note: genomics.read_genes(path, on_error=note), "some.gff3"),
    "genomics/gtf": noted(lambda path, note: genomics.read_genes(path, on_error=note), "some.gtf"),
    "genomics/bed12": noted(lambda path, note: genomics.read_genes(path, on_error=note), "genes.bed"),
    "genomics/gmt": noted(lambda path, note: genomics.read_gmt(path, on_error=note), "some.gmt"),
    "genomics/meme": noted(lambda path, note: genomics.read_motifs(path, on_error=note), "some.meme"),
    "genomics/jaspar": noted(lambda path, note: genomics.read_motifs(path, on_error=note), "some.jaspar"),
    "genomics/modisco": noted(lambda path, note: genomics.read_modisco_results(path, length=50), "some.h5"),
    "genomics/expression.csv": expression("some.csv"),
    "genomics/expression.tsv.gz": expression("some.tsv.gz"),
    "genomics/expression.parquet": expression("some.parquet"),
    "genomics/expression.h5ad": expression("some.h5ad"),
    "genomics/ranking": ranking,
    "genomics/cls": classes,
}
SEEDS: dict[str, list[bytes]] = {
    "genomics/fasta": [FASTA.encode(), FASTA.replace("\n", "\r\n").encode(), GENOME.encode()],
    "genomics/fasta.gz": [gzip.compress(FASTA.encode(), mtime=0), _bgzip(FASTA), FASTA.encode()],
    "genomics/bed": [BED.encode(), PEAKS.encode(), BED12.encode()],
    "genomics/bed.bgz": [_bgzip(BED), _bgzip(BED12), gzip.compress(BED.encode(), mtime=0) * 2],
    "genomics/narrowpeak": [PEAKS.encode(), PEAKS[: PEAKS.index("chr2")].encode()],
    "genomics/genbank": [GENBANK.encode()],
    "genomics/csv": [TABLE.encode(), TABLE.replace(",", "\t").encode(), TABLE.replace(",", ";").encode()],
    "genomics/parquet": [
        _parquet(FEW),
        _parquet(FEW, compression="none", use_dictionary=False, row_group_size=1),
        _parquet({"sequence": ["A" * 5000] * 500}, compression="zstd"),
    ],
    "genomics/genome.fa": [GENOME.encode(), FASTA.encode()],
    "genomics/genome.fa.gz": [_bgzip(GENOME), gzip.compress(GENOME.encode(), mtime=0)],
    "genomics/fai": [FAI.encode()],
    "genomics/vcf": [VCF.encode(), gzip.compress(VCF.encode(), mtime=0)],
    "genomics/gff3": [GFF.encode()],
    "genomics/gtf": [GTF.encode()],
    "genomics/bed12": [BED12.encode(), BED.encode()],
    "genomics/gmt": [GMT.encode()],
    "genomics/meme": [MEME.encode()],
    "genomics/jaspar": [JASPAR.encode()],
    "genomics/modisco": [_modisco()],
    "genomics/expression.csv": [EXPRESSION.encode(), EXPRESSION.replace(",x,", ",2,").encode()],
    "genomics/expression.tsv.gz": [gzip.compress(EXPRESSION.replace(",", "\t").encode(), mtime=0)],
    "genomics/expression.parquet": [
        _parquet({"name": ["a", "b"], "CD19": [1.0, 2.0], "MPO": [3, None]}),
        _parquet({"name": ["a", "b"], "CD19": ["1", "x"]}, compression="none", use_dictionary=False),
    ],
    "genomics/expression.h5ad": [_annotated()],
    "genomics/ranking": [b"gene\tscore\nA\t1.5\nB\t-2\n", b"gene\tscore\nA\t1\nA\tx\n"],
    "genomics/cls": [CLASSES.encode(), b"3 2 1\n# ALL AML\nALL AML ALL\n"],
}
