"""The published sets of genomics, from the shared folder: what they hold, and what is said of damaged files."""

import gzip

import numpy as np
import pytest

from sciexplain import datasets
from sciexplain.datasets.leukemia import read_classes, read_expression
from sciexplain.datasets.promoters import read_promoters
from sciexplain.errors import DataError


@pytest.fixture
def load(shared_data, monkeypatch):
    def run(name, file):
        monkeypatch.setenv("SCIEXPLAIN_DATA", str(shared_data(f"genomics/{file}").parents[2]))
        return datasets.load(name)

    return run


def test_peaks(load, shared_data):
    data = load("ctcf-pu1", "chipseq_100bp/ctcf.fa.gz")
    assert (len(data), data.tasks) == (67_849, ("CTCF", "PU.1"))
    # Headers of the files; 12 peaks are in both.
    assert data.targets.sum(0).tolist() == [39_184, 28_677]
    assert (data.targets.sum(1) == 2).sum() == 12
    assert all(len(record) == 100 == len(record.interval) for record in data.records)
    assert sorted(np.concatenate([data.train, data.valid, data.test])) == list(range(len(data)))
    chroms = [{data.records[i].interval.chrom for i in part} for part in (data.train, data.valid, data.test)]
    assert chroms[1:] == [{"chr7"}, {"chr8", "chr9"}] and not chroms[0] & {"chr7", "chr8", "chr9"}
    with gzip.open(shared_data("genomics/chipseq_100bp/pu1.fa.gz"), "rt") as file:
        header, sequence = file.readline().strip(), file.readline().strip()
    (row,) = (i for i, record in enumerate(data.records) if record.name == header[1:])
    assert data.records[row].sequence == sequence and data.targets[row].tolist() == [0, 1]
    # Each factor's core is more frequent in its own peaks: CTCF's CCCTC, PU.1's GGAA with AGTG behind it.
    for core, other, task in (("AGGGGGC", "GCCCCCT", 0), ("GAGGAAGT", "ACTTCCTC", 1)):
        has = np.array([core in r.sequence.upper() or other in r.sequence.upper() for r in data.records])
        own, foreign = has[data.targets[:, task] == 1].mean(), has[data.targets[:, task] == 0].mean()
        assert own > 5 * foreign


def test_promoters(load):
    data = load("promoters", "uci_promoters/promoters.data")
    assert (len(data), data.targets.sum()) == (106, 53)
    assert data.records[0].name == "S10" and len(data.records[0]) == 57
    # The boxes are where the docstring says: no other place has more of their consensus' letters in promoters.
    positive = [
        record.sequence.upper() for record, label in zip(data.records, data.targets[:, 0], strict=True) if label
    ]
    for box, near in (("TTGACA", 14), ("TATAAT", 37)):
        agreement = [
            np.mean([a == b for text in positive for a, b in zip(text[i : i + 6], box, strict=True)]) for i in range(52)
        ]
        assert abs(int(np.argmax(agreement)) - near) <= 1


def test_leukemia(load):
    data = load("leukemia", "leukemia/Leukemia.cls")
    assert data.values.shape == (48, 9020) == (len(data), len(data.genes))
    assert [data.names[i] for i in data.labels] == [patient.split("_")[0] for patient in data.patients]
    assert data.values[0, data.genes.index("AADAC")] == -121.2
    assert len(data.gene_sets) == 50 and "TCL1A" in data.gene_sets["HALLMARK_KRAS_SIGNALING_DN"]
    # Known markers point the right way.
    means = {
        gene: [data.values[data.labels == k, data.genes.index(gene)].mean() for k in (0, 1)] for gene in data.genes
    }
    assert all(means[gene][0] > means[gene][1] for gene in ("CD19", "CD79B", "TCL1A"))
    assert all(means[gene][1] > means[gene][0] for gene in ("ZYX", "CD33", "LYZ"))


@pytest.mark.parametrize("name", ["hocomoco12", "jaspar2024"])
def test_motif_files(name, shared_data, monkeypatch):
    monkeypatch.setenv("SCIEXPLAIN_DATA", str(shared_data("genomics/motifs").parents[1]))
    text = datasets.motif_file(name).read_text()
    assert text.startswith("MEME version")
    assert text.count("\nMOTIF ") == {"hocomoco12": 1443, "jaspar2024": 182}[name]


def test_unknown_motif_collection():
    with pytest.raises(DataError, match="'transfac'; there are: hocomoco12, jaspar2024"):
        datasets.motif_file("transfac")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("+,A,{}\n-,B,ACG\n", r"p\.data:2: '-,B,ACG' is no row; expected \+ or -, a name and 57 letters"),
        ("+,A,{}\n\nx,B,{}\n", r"p\.data:3: 'x,B"),
        ("+,A\n", r"p\.data:1"),
    ],
)
def test_bad_rows_of_promoters(tmp_path, text, message):
    path = tmp_path / "p.data"
    path.write_text(text.replace("{}", "acg" * 19))
    with pytest.raises(DataError, match=message):
        list(read_promoters(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("G\ta\tb\nX\t1\t2\nY\t1\n", r"e\.txt:3: Y has 1 values; expected 2"),
        ("G\ta\tb\nX\t1\t2\nX\t1\t2\n", r"e\.txt:3: X is there already"),
        ("G\ta\tb\nX\t1\tNA?\n", r"e\.txt:2: X: could not convert"),
    ],
)
def test_bad_rows_of_expression(tmp_path, text, message):
    path = tmp_path / "e.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_expression(path)


def test_what_is_told_of_a_bad_cell_is_short(tmp_path):
    (tmp_path / "a.txt").write_text(f"gene\tp\n{'G' * 9000}\t3{'e' * 9000}\n")
    with pytest.raises(DataError, match="could not convert") as error:
        read_expression(tmp_path / "a.txt")
    assert len(str(error.value)) < 400


def test_classes(tmp_path):
    path = tmp_path / "c.cls"
    path.write_text("3 2 1\n# ALL AML\nAML ALL AML\n")
    names, labels = read_classes(path)
    assert names == ("ALL", "AML") and labels.tolist() == [1, 0, 1]
    path.write_text("3 2 1\n# ALL AML\nAML ALL CML\n")
    with pytest.raises(DataError, match=r"c\.cls is no CLS file"):
        read_classes(path)
