"""Runs opened again: explaining their samples anew gives what their rows hold."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from sciexplain.cli.reopen import reopen
from sciexplain.errors import DataError, ModelError
from sciexplain.runs import open_run

GENOMICS = ("genomics", "--model", "sequences_of_cli_tests.py:make", "--data", "data.fa", "--min-seqlets", "20")


def relevance(kind, explained, i):
    if kind == "molecules":
        return explained[i].atoms
    return explained.relevance[i] if kind == "images" else explained.nucleotides[i]


def test_samples_explained_anew_are_those_of_the_rows(made):
    opened = reopen("run")
    assert opened.kind == made and len(opened.ids) == len(opened.table) >= 3
    ids = [opened.ids[2], opened.ids[0]]
    explained, stored = opened.explain(ids), opened.relevance(ids)
    for i, row in enumerate(stored):
        torch.testing.assert_close(relevance(made, explained, i).float(), row, rtol=1e-5, atol=1e-6)
    assert len(opened.samples(ids)) == 2
    with pytest.raises(DataError, match="has no row 'zebra'; its"):
        opened.relevance(["zebra"])


@pytest.mark.parametrize("made", ["images"], indirect=True)
def test_images_reach_the_network_as_they_did(made):
    opened = reopen("run")
    inputs = opened.inputs(opened.ids[:2])
    scores = opened.model(inputs).max(1).values
    assert scores.tolist() == pytest.approx(opened.table["score"].to_pylist()[:2], rel=1e-5)


@pytest.mark.parametrize("made", ["genomics"], indirect=True)
def test_sequences_have_their_model_at_hand(made):
    opened = reopen("run")
    assert opened.ids == ("s0", "s1", "s3")
    scores = opened.called(opened.samples(opened.ids).inputs)
    both = (scores + opened.called(opened.samples(opened.ids).inputs.flip(1, 2))) / 2
    assert both.max(1).values.tolist() == pytest.approx(opened.table["score"].to_pylist(), rel=1e-4)


@pytest.mark.parametrize("made", ["images"], indirect=True)
def test_what_changed_since_is_told(made, folder):
    code = folder / "network_of_cli_tests.py"
    before = code.read_text()
    code.write_text(before.replace("manual_seed(0)", "manual_seed(1)"))
    with pytest.raises(ModelError, match="not those that run was made with"):
        reopen("run")
    code.write_text(before)

    shutil.move("pictures", "elsewhere")
    with pytest.raises(DataError, match="made of pictures, which is not there"):
        reopen("run")
    assert len(reopen("run", data=Path("elsewhere")).samples(["a.png"])) == 1
    os.unlink("elsewhere/a.png")
    with pytest.raises(DataError, match=r"elsewhere/a\.png, of which run was made, is not there"):
        reopen("run", data=Path("elsewhere"))


@pytest.mark.parametrize("made", ["genomics"], indirect=True)
def test_rows_of_one_name_are_refused(made, folder, sciexplain):
    (folder / "data.fa").write_text(">a\nACGTACGTACGTACGTACGT\n>a\nTTTTTTTTTTACGTACGTAC\n")
    assert sciexplain("explain", *GENOMICS, "--out", "twice", "--quiet").exit_code == 0
    with pytest.raises(DataError, match="two rows have the id 'a'"):
        _ = reopen("twice").ids


def test_a_run_of_others_does_not_decide_what_is_imported(made, monkeypatch, tmp_path):
    reopen("run")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of another user"))
    with pytest.raises(ModelError, match=r"you have not named here before.*--model .*--trust-run"):
        reopen("run")
    assert reopen("run", trust=True).ids
    if made != "molecules":  # their graphs name a function of their own, pyg, which is no code of a file's
        given = open_run("run").info["model"]["reference"]
        assert reopen("run", model=given).ids  # and so it is named
        assert reopen("run").ids
