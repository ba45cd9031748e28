"""The package holds what the tree holds."""

import tomllib
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_folder_of_code_is_listed():
    options = PROJECT["tool"]["setuptools"]
    places = sorted(options["package-dir"].items(), key=lambda item: item[1])
    found = set()
    for package, folder in places:
        for init in (ROOT / folder).rglob("__init__.py"):
            inner = init.parent.relative_to(ROOT / folder).parts
            found.add(".".join((package, *inner)))
    assert found == set(options["packages"])


def test_every_tested_version_is_pinned():
    pinned = {
        line.partition("==")[0]
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    }
    extras = PROJECT["project"]["optional-dependencies"]
    needed = [*PROJECT["project"]["dependencies"], *extras["images"], *extras["distributed"], *extras["dev"]]
    names = {requirement.partition(">=")[0].partition("[")[0] for requirement in needed}
    assert names | {"zennit", "torchvision", "atheris"} <= pinned


def test_types_are_shipped():
    assert files("sciexplain").joinpath("py.typed").is_file()
