"""The published sets of molecules, from the shared folder: what they hold and that their truths are true."""

import zipfile

import numpy as np
import pytest

from sciexplain import datasets
from sciexplain.datasets.fetch import digest_of
from sciexplain.datasets.quantum_machine import read_qm9

CSV = "molecules/moleculenet"
ATTRIBUTION = "molecules/graph_attribution"
# name, file, records, of which left out, mean of the first target (from the file itself, by awk)
SETS = [
    ("esol", f"{CSV}/ESOL_delaney-processed.csv", 1128, 0, -3.0501),
    ("freesolv", f"{CSV}/FreeSolv_SAMPL.csv", 642, 0, -3.8030),
    ("lipophilicity", f"{CSV}/Lipophilicity.csv", 4200, 0, 2.1863),
    ("bbbp", f"{CSV}/BBBP.csv", 2050, 11, None),
    ("tox21", f"{CSV}/tox21.csv.gz", 7831, 8, None),
    ("qm7", "molecules/qm7/qm7_xyz_7101.tar.gz", 7101, 0, None),
    ("mutagenicity", "molecules/mutagenicity/Mutagenicity_with_edge_gt.tar.gz", 4337, 4, None),
    ("crippen", f"{ATTRIBUTION}/crippen.jsonl.gz", 1127, 0, None),
    ("benzene", f"{ATTRIBUTION}/benzene.jsonl.gz", 12000, 0, 0.5),
    ("amide", "molecules/ibenchmark/amide_train_lbl.zip", 10001, 0, None),
    ("n_minus_o", "molecules/ibenchmark/N_minus_O_train_lbl.zip", 9862, 0, None),
]
loaded = {}


@pytest.fixture
def load(shared_data, monkeypatch):
    def run(name):
        path = shared_data({row[0]: row[1] for row in SETS}[name])
        monkeypatch.setenv("SCIEXPLAIN_DATA", str(path.parents[2]))
        if name not in loaded:
            loaded[name] = datasets.load(name)
        return loaded[name]

    return run


@pytest.mark.parametrize(("name", "file", "records", "left_out", "mean"), SETS, ids=[row[0] for row in SETS])
def test_every_record_is_there_or_has_a_reason(load, name, file, records, left_out, mean):
    data = load(name)
    assert (len(data) + len(data.failures), len(data.failures)) == (records, left_out)
    assert all(reason for _, reason in data.failures)
    assert data.targets.shape == (len(data), len(data.tasks)) and len(data.units) == len(data.tasks)
    assert sorted(np.concatenate([data.train, data.valid, data.test])) == list(range(len(data)))
    assert mean is None or data.targets[:, 0].mean() == pytest.approx(mean, abs=1e-4)
    for truth in (data.atom_truth, data.alternatives):
        assert truth is None or all(t.shape[-1] == len(m) for t, m in zip(truth, data.molecules, strict=True))


def test_bad_rows_of_bbbp_are_named(load):
    place, reason = load("bbbp").failures[0]
    assert place == "BBBP.csv:61"
    assert "O=N([O-])C1=C" in reason and "Explicit valence for atom # 1 N, 4" in reason


def test_tox21_has_gaps(load):
    data = load("tox21")
    assert data.targets.shape[1] == 12
    assert 0.1 < np.isnan(data.targets).mean() < 0.3
    assert set(np.unique(data.targets[~np.isnan(data.targets)])) == {0.0, 1.0}


def test_qm7_geometry_and_energy_belong_together(load):
    methane = load("qm7").molecules[0]
    assert methane.numbers.tolist() == [6, 1, 1, 1, 1]
    np.testing.assert_allclose(methane.positions[1], [2.130894, -0.056202, -0.071496])
    assert load("qm7").targets[0, 0] == -417.031


def test_truths_add_up_to_the_labels(load):
    for name in ("n_minus_o", "crippen"):
        data = load(name)
        sums = [truth.sum() for truth in data.atom_truth]
        np.testing.assert_allclose(sums, data.targets[:, 0], atol=1e-9)
    for truth, molecule in zip(load("n_minus_o").atom_truth, load("n_minus_o").molecules, strict=True):
        np.testing.assert_array_equal(truth, (molecule.numbers == 7) * 1.0 - (molecule.numbers == 8))


def test_crippen_is_what_the_source_says(load, shared_data):
    import gzip
    import json

    with gzip.open(shared_data(f"{ATTRIBUTION}/crippen.jsonl.gz"), "rt") as lines:
        rows = [json.loads(line) for line in lines]
    sums = [sum(row["atom_logp"]) for row in rows]
    np.testing.assert_allclose(load("crippen").targets[:, 0], sums, atol=5e-3)


def test_benzene_is_what_the_source_says(load, shared_data):
    import gzip
    import json

    with gzip.open(shared_data(f"{ATTRIBUTION}/benzene.jsonl.gz"), "rt") as lines:
        rows = [json.loads(line) for line in lines]
    data = load("benzene")
    np.testing.assert_array_equal(data.targets[:, 0], [row["label"] for row in rows])
    for row, alternatives, union in zip(rows, data.alternatives, data.atom_truth, strict=True):
        theirs = {tuple(ring) for ring in row["rings"] if ring}
        assert {tuple(np.flatnonzero(mine)) for mine in alternatives} == theirs
        assert set(np.flatnonzero(union)) == {atom for ring in theirs for atom in ring}


def test_marked_bonds_of_mutagenicity_end_at_nitrogen(load):
    data = load("mutagenicity")
    marked = 0
    for molecule, truth in zip(data.molecules, data.bond_truth, strict=True):
        assert len(truth) == molecule.mol.GetNumBonds()
        for index in np.flatnonzero(truth):
            bond = molecule.mol.GetBondWithIdx(int(index))
            kinds = sorted((bond.GetBeginAtom().GetSymbol(), bond.GetEndAtom().GetSymbol()))
            assert kinds in (["N", "O"], ["H", "N"])
            marked += 1
    assert marked == pytest.approx(7352 / 2, abs=20)


def test_amide_atoms_are_marked_where_there_are_amides(load):
    data = load("amide")
    assert all(
        (truth.max() > 0) == (target > 0) for truth, (target,) in zip(data.atom_truth, data.targets, strict=True)
    )


def test_qm9_from_its_first_molecules(shared_data):
    sdf = shared_data("molecules/qm9_mini/qm9_mini.sdf")
    data = read_qm9(sdf, sdf.with_suffix(".sdf.csv"))
    # Its 20th record is broken on purpose.
    assert [molecule.name for molecule in data.molecules][-2:] == ["gdb_19", "gdb_21"]
    assert [place for place, _ in data.failures] == ["qm9_mini.sdf:20"]
    assert len(data) == 20
    assert dict(zip(data.tasks, data.units, strict=True))["u0"] == "hartree"
    methane, water = data.molecules[0], data.molecules[2]
    assert methane.numbers.tolist() == [6, 1, 1, 1, 1] and water.numbers.tolist() == [8, 1, 1]
    np.testing.assert_allclose(data.targets[0, data.tasks.index("u0")], -40.47893)
    np.testing.assert_allclose(water.positions[0], [-0.0344, 0.9775, 0.0076])
    assert len(read_qm9(sdf, sdf.with_suffix(".sdf.csv"), limit=5)) == 5


def test_mutag_from_text_files(tmp_path, monkeypatch):
    """Nitrobenzene and benzene in the collection's format, since the real file needs the network."""
    ring = [(i, i % 6 + 1, 0) for i in range(1, 7)]
    bonds = [*ring, (1, 7, 1), (7, 8, 2), (7, 9, 2), *((a + 9, b + 9, t) for a, b, t in ring)]
    both = sorted([*bonds, *((b, a, t) for a, b, t in bonds)])
    texts = {
        "A": [f"{a}, {b}" for a, b, _ in both],
        "edge_labels": [str(t) for *_, t in both],
        "graph_indicator": ["1"] * 9 + ["2"] * 6,
        "graph_labels": ["1", "-1"],
        "node_labels": ["0"] * 6 + ["1", "2", "2"] + ["0"] * 6,
    }
    path = tmp_path / "MUTAG.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for what, lines in texts.items():
            archive.writestr(f"MUTAG/MUTAG_{what}.txt", "\n".join(lines) + "\n")
    monkeypatch.setattr("sciexplain.datasets.tudataset.fetch", lambda source, *, name: path)
    data = datasets.load("mutag")
    assert not data.failures
    assert data.targets[:, 0].tolist() == [1, 0]
    nitro, benzene = data.molecules
    assert [a.GetFormalCharge() for a in nitro.mol.GetAtoms()] == [0] * 6 + [1, -1, 0]
    assert benzene.mol.GetAtomWithIdx(0).GetIsAromatic() and benzene.mol.GetAtomWithIdx(0).GetTotalNumHs() == 1


def test_digest_of_a_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert digest_of(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")
