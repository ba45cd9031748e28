"""Folders for results are looked at before the work."""

import os

import pytest

from sciexplain.cli.folders import check_folder, check_new
from sciexplain.errors import DataError


def test_folders_that_can_be_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    check_folder(tmp_path / "a" / "b")
    check_folder(tmp_path)
    for out, words in ((tmp_path / "file", "file is a file; give"), (tmp_path / "file" / "x", "would be in it")):
        with pytest.raises(DataError, match=words):
            check_new(out, "own.json", overwrite=True)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(DataError, match="nothing may be written in"):
        check_folder(tmp_path / "a")


def test_only_results_of_the_same_command_are_replaced(tmp_path):
    check_new(tmp_path, "own.json", overwrite=False)
    (tmp_path / "other").write_text("")
    with pytest.raises(DataError, match=r"give another folder$"):
        check_new(tmp_path, "own.json", overwrite=True)
    (tmp_path / "own.json").write_text("")
    with pytest.raises(DataError, match="--overwrite"):
        check_new(tmp_path, "own.json", overwrite=False)
    check_new(tmp_path, "own.json", overwrite=True)
