from importlib.metadata import version

import pytest

from sciexplain.cli import call
from sciexplain.errors import DataError


def test_version(sciexplain):
    assert sciexplain("--version").stdout == f"sciexplain {version('sciexplain')}\n"


def test_data_list(sciexplain):
    printed = sciexplain("data", "list").stdout
    assert "digits" in printed
    assert "mnist" in printed


def test_data_get(sciexplain):
    result = sciexplain("data", "get", "digits")
    assert result.exit_code == 0
    assert "1797 images of 8 × 8, 10 classes, 1433 for training and 364 held out" in result.stdout


def test_commands_from_python(capsys):
    assert call("data", "get", "digits") == 0 and call("data", "get", "digit") == 2
    assert "no data set is named 'digit'" in capsys.readouterr().err


def test_unknown_data_set_is_one_line(sciexplain):
    result = sciexplain("data", "get", "digit")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: no data set is named 'digit'; there are: digits, mnist, ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["explain", "pictures"], ["data", "get"], ["demo", "--epochs", "0"]]
)
def test_wrong_usage(sciexplain, arguments):
    result = sciexplain(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_error_messages_are_kept_as_they_are(sciexplain, monkeypatch):
    def fail(name):
        raise DataError(f"[bold]{name}[/] \n  {'long ' * 40}end")

    monkeypatch.setattr("sciexplain.datasets.load", fail)
    result = sciexplain("data", "get", "x")
    assert result.stderr == f"Error: [bold]x[/] {'long ' * 40}end\n"


def test_a_file_in_the_way_of_the_demo(sciexplain, tmp_path):
    (tmp_path / "demo").write_text("")
    result = sciexplain("demo", "--out", tmp_path / "demo")
    assert result.exit_code == 2
    assert "is a file" in " ".join(result.stderr.replace("│", " ").split())
    result = sciexplain("demo", "--out", tmp_path / "demo" / "inner")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: [Errno")


def test_installed_command_runs(command):
    finished = command("data", "get", "digit")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.startswith("Error: no data set is named 'digit'")
