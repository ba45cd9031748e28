"""What every test shares."""

import os
from importlib.util import find_spec
from pathlib import Path

import _peers
import pytest
import torch
from hypothesis import settings

# A first call may compile or allocate for longer than hypothesis' default deadline.
settings.register_profile("sciexplain", deadline=None)
settings.load_profile("sciexplain")

# Parallel workers share the cores; their threads would wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)

# chemprop and SchNetPack import Lightning's metrics, and these torchvision, whose operators may be missing here; the
# process that gathers results rebuilds their warnings.
if find_spec("torchvision") is not None:
    _peers.torchvision()

_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True, scope="session")
def state(tmp_path_factory):
    """What the user has named is noted elsewhere than in their home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def threads():
    """Peers such as modisco set the threads of torch through numba's; the next test has its own again."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared_data():
    """Ask for a file of the shared data folder; the test is skipped, naming the file, where it is absent."""
    folder = Path(os.environ.get("SCIEXPLAIN_DATA") or _ROOT.parent / "shared" / "data")

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"needs {path}")
        return path

    return find
