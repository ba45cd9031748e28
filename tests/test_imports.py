"""``import sciexplain`` loads torch and numpy and nothing that only some tasks need."""

import subprocess
import sys

import pytest

from sciexplain._optional import require
from sciexplain.errors import MissingDependencyError

HEAVY = (
    "anndata Bio ase gseapy h5py matplotlib memelite modiscolite networkx numba pandas PIL pooch pyarrow pyBigWig "
    "pyfaidx rdkit rich safetensors scipy sklearn tifffile torch_geometric torchvision typer"
)


def test_import_loads_only_torch_and_numpy(tmp_path):
    # What torch itself brings along is not ours to answer for.
    script = (
        "import sys, numpy, torch\n"
        "before = set(sys.modules)\n"
        "import sciexplain\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout.split()
    assert "sciexplain" in loaded
    assert not set(loaded) & set(HEAVY.split())


def test_missing_library_names_the_extra():
    with pytest.raises(MissingDependencyError) as caught:
        require("no_such_library.part", extra="images")
    assert str(caught.value) == (
        "no_such_library.part is not installed; it comes with: pip install 'sciexplain[images]'"
    )
    assert isinstance(caught.value, ImportError)


def test_library_that_lacks_its_own_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "library_with_a_broken_import.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        require("library_with_a_broken_import", extra="images")
