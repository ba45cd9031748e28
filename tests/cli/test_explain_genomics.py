"""Explaining sequences on the command line, from peaks to sites, motifs, genes and gene sets."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from sciexplain.runs import open_run

NETWORK = """
import torch
from torch import nn

class Gata(nn.Module):
    \"\"\"Finds AGATAAGG on either strand: as many points as matching letters above 6, summed over places.\"\"\"

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 2, 8)
        word = torch.eye(4)[["ACGT".index(c) for c in "AGATAAGG"]].T
        self.conv.weight.data = torch.stack([word, word.flip(0, 1)])
        self.conv.bias.data.fill_(-6.0)
        self.rest = nn.Conv1d(4, 8, 6)  # what a trained network would have learned besides
        self.out = nn.Linear(10, 1)
        self.out.weight.data = torch.cat([torch.ones(1, 2), 0.02 * torch.randn(1, 8)], 1)
        self.out.bias.data.zero_()

    def forward(self, x):
        found = torch.cat([self.conv(x), self.rest(x)[:, :, : x.shape[2] - 7]], 1)
        return self.out(torch.relu(found).sum(2))

def make():
    torch.manual_seed(0)
    return Gata().eval()

def told():
    net = make()
    net.length, net.alphabet = 80, "DNA"
    return net

def over_words():
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(64, 5), nn.Flatten(), nn.ReLU(), nn.Linear(5 * 78, 2)).eval()

def words():
    from sciexplain.domains.genomics import KmerTokenizer
    return KmerTokenizer(3)

def dense():
    return nn.Sequential(nn.Flatten(), nn.Linear(4 * 80, 1))
"""
WORD, TURNED = "AGATAAGG", "CCTTATCT"
MEME = """MEME version 4

ALPHABET= ACGT

MOTIF OTHER
letter-probability matrix: alength= 4 w= 8 nsites= 20
{other}
MOTIF GATA
letter-probability matrix: alength= 4 w= 8 nsites= 20
{gata}
"""


def matrix(word):
    return "\n".join(" ".join("0.97" if c == letter else "0.01" for c in "ACGT") for letter in word)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A genome with 60 regions of 80 bp, each with the word at its own place, on either strand."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    genome = rng.choice(list("ACGT"), 30_000)
    lines, truth = [], []
    for i in range(60):
        start = 100 + 450 * i
        at = start + int(rng.integers(5, 65))
        genome[at : at + 8] = list(WORD if i % 2 else TURNED)
        truth.append((start, at))
        lines.append(f"chr1\t{start}\t{start + 80}\tpeak{i}\t0\t{'+-'[i % 3 == 0]}")
    bad = ["chr9\t10\t90\tlost", "chr1\t29990\t30070\tover", "chr1\t90\t10\treversed"]
    (tmp_path / "peaks.bed").write_text("\n".join(lines[:30] + bad + lines[30:]) + "\n")
    text = "".join(genome)
    (tmp_path / "genome.fa").write_text(">chr1\n" + "\n".join(text[i : i + 60] for i in range(0, 30_000, 60)) + "\n")
    genes = [
        f"chr1\tx\tgene\t{start + 101}\t{start + 301}\t.\t{'+-'[i % 2]}\t.\tID=g{i};Name=GENE{i}\n"
        for i, (start, _) in enumerate(truth[:20])
    ]
    (tmp_path / "genes.gff3").write_text("##gff-version 3\n" + "".join(genes))
    (tmp_path / "known.meme").write_text(MEME.format(other=matrix("TTGACACC"), gata=matrix(WORD)))
    (tmp_path / "sets.gmt").write_text(
        "FIRST\tna\t"
        + "\t".join(f"GENE{i}" for i in range(12))
        + "\nLAST\tna\t"
        + "\t".join(f"GENE{i}" for i in range(8, 20))
        + "\n"
    )
    (tmp_path / "network_of_genomics_tests.py").write_text(NETWORK)
    return tmp_path, truth


ARGUMENTS = ("explain", "genomics", "--model", "network_of_genomics_tests:make", "--data", "peaks.bed")


@pytest.fixture
def everything(folder, sciexplain):
    result = sciexplain(
        *ARGUMENTS, "--genome", "genome.fa", "--genes", "genes.gff3", "--motifs", "known.meme",
        "--gene-sets", "sets.gmt", "--min-seqlets", "20", "--out", "run", "--pictures", "3",
        "--batch-size", "16", "--quiet",
    )  # fmt: skip
    assert result.exit_code == 1, result.output  # three regions cannot be read
    assert "motifs: 1, " in result.output and "The data base has 2 motifs" in result.output
    return folder


def test_from_peaks_to_pathways(everything):
    folder, truth = everything
    run = open_run("run")
    rows = run.rows.to_table().to_pylist()
    assert [row["id"] for row in rows] == [f"peak{i}" for i in range(60)] and len(rows[0]["relevance"]) == 80
    assert rows[3]["input"] == f"chr1:{truth[3][0]}-{truth[3][0] + 80}(-)"
    reasons = run.errors.to_pylist()
    assert [r["id"] for r in reasons] == ["peaks.bed:31", "peaks.bed:32", "peaks.bed:33"]
    assert "chr9" in reasons[0]["reason"] and "30000" in reasons[1]["reason"]

    sites = pq.read_table(folder / "run" / "sites.parquet").to_pandas()
    at = {start for start, _ in ((a, s) for s, a in truth)}
    near = [any(abs(row.start - a) <= 4 for a in at) for row in sites.itertuples()]
    assert len(sites) > 40 and sum(near) / len(near) > 0.9

    info = json.loads((folder / "run" / "run.json").read_text())
    found = info["surfaced"]
    assert info["status"] == "finished" and info["counts"] == {"rows": 60, "failed": 3}
    assert found["sites"] == len(sites) and found["motifs"] >= 1 and found["hits"] >= 50 and found["genes"] >= 15

    matches = pq.read_table(folder / "run" / "matches.parquet").to_pandas()
    best = matches.sort_values("p").iloc[0]
    assert best.target == "GATA" and best.q < 0.05

    import pyBigWig

    with pyBigWig.open(str(folder / "run" / "relevance.bw")) as file:
        values = np.array(file.values("chr1", 0, 30_000))
    start, word = truth[3]
    np.testing.assert_allclose(values[start : start + 80], rows[3]["relevance"][::-1], rtol=1e-5, atol=1e-6)
    assert np.argmax(np.convolve(values[start : start + 80], np.ones(8), "valid")) == word - start

    assert len(list((folder / "run" / "pictures").glob("*.png"))) == 3
    page = (folder / "run" / "motifs.html").read_text()
    assert "GATA" in page and "<svg" in page
    for name in (
        "sites.bed",
        "sites.gff3",
        "motifs.meme",
        "hits.bed",
        "genes.bed",
        "genes.parquet",
        "gene_sets.parquet",
    ):
        assert (folder / "run" / name).stat().st_size > 0, name
    assert not list((folder / "run").glob(".*"))


def test_without_genome_genes_and_motifs(folder, sciexplain):
    folder, _ = folder
    (folder / "some.fa").write_text(
        ">a\nACGTACGTAGATAAGGACGT\n>b\nACGTACGT\n>c\nACGTACGTACGTMKLVACGT\n>d\nTTTTACGTAGATAAGGACGA\n>e\nNNNNNNNNNNnnnnnnnnnn\n"
    )
    result = sciexplain(*ARGUMENTS[:-1], "some.fa", "--out", "run", "--pictures", "1", "--quiet")
    assert result.exit_code == 1, result.output
    run = open_run("run")
    assert [(row["id"], row["shape"]) for row in run.rows.to_table().to_pylist()] == [
        ("a", [20]),
        ("b", [8]),
        ("d", [20]),
    ]
    reasons = {r["input"] if ":" not in r["id"] else r["id"]: r["reason"] for r in run.errors.to_pylist()}
    assert any("no letter of DNA" in reason for reason in reasons.values())
    assert reasons["e"] == "has no letters but N"
    assert not (folder / "run" / "relevance.bw").exists() and (folder / "run" / "motifs.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "genome"),
        (["--genome", "genome.fa", "--composite", "best"], "No composite 'best'"),
        (["--genome", "genome.fa", "--method", "magic"], "No method 'magic'"),
        (["--genome", "genome.fa", "--target", "4"], "target 4 is out of range"),
        (["--genome", "genome.fa", "--reference", "zero"], "takes no reference"),
        (["--genome", "genome.fa", "--model", "network_of_genomics_tests:dense", "--length", "90"], "neither layout"),
        (["--genome", "nowhere.fa"], "nowhere.fa"),
        (["--genome", "genome.fa", "--head", "profile"], "is no profile"),
        (["--genome", "genome.fa", "--motifs", "peaks.bed"], "peaks.bed"),
        (["--genome", "genome.fa", "--genes", "known.meme"], "known.meme"),
        (["--genome", "genome.fa", "--gene-sets", "known.meme"], "known.meme"),
        (["--genome", "genome.fa", "--model", "network_of_genomics_tests:told", "--length", "90"], "was made for 80"),
        (["--genome", "genome.fa", "--model", "network_of_genomics_tests:told", "--alphabet", "RNA"], "made for DNA"),
    ],
)
def test_wrong_usage(folder, sciexplain, arguments, message):
    result = sciexplain(*ARGUMENTS, *arguments, "--out", "run", "--quiet")
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split()) and "Traceback" not in result.output
    assert not (folder[0] / "run").exists()


def test_a_run_is_replaced_only_when_asked(folder, sciexplain):
    first = [*ARGUMENTS, "--genome", "genome.fa", "--limit", "3", "--out", "run", "--pictures", "0", "--quiet"]
    assert sciexplain(*first).exit_code == 0
    assert sciexplain(*first).exit_code == 0  # there is nothing left to do
    assert sciexplain(*first, "--fdr", "0.1").exit_code == 2
    assert sciexplain(*first, "--fdr", "0.1", "--overwrite").exit_code == 0


def test_a_model_over_tokens(folder, sciexplain):
    arguments = ["explain", "genomics", "--model", "network_of_genomics_tests:over_words", "--data", "peaks.bed"]
    arguments += ["--tokenizer", "network_of_genomics_tests:words", "--genome", "genome.fa", "--out", "run"]
    result = sciexplain(*arguments, "--limit", "4", "--pictures", "0", "--quiet")
    assert result.exit_code == 0, result.output
    assert "defines no hypothetical contributions" in result.output
    rows = open_run("run").rows.to_table().to_pylist()
    assert len(rows) == 4 and all(len(row["relevance"]) == 80 and any(row["relevance"]) for row in rows)
