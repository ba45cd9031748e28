"""A real browser to open reports with, and runs to make reports of."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_LOCAL = ("file:", "data:", "blob:")
_FOREIGN = re.compile(r"^(?!file:|data:|blob:)")


@pytest.fixture(scope="session")
def chromium():
    """Chromium, driven by playwright; tests are skipped where it is not installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.skip("needs Chromium: install it, or say in CHROMIUM where it is")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium) -> Iterator[Callable[..., Any]]:
    """Open a page of a report: ``opened(folder, "gallery.html#page=2", width=400, dark=True)``.

    The test fails when a page logs an error, raises one, breaks its policy, or asks for anything but local files.
    ``before`` is a script that runs before the page's own.
    """
    contexts, problems = [], []

    def open_page(
        folder: Path,
        name: str = "index.html",
        *,
        width: int = 1280,
        height: int = 800,
        dark: bool = False,
        before: str = "",
    ) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.set_default_timeout(10_000)

        def refuse(route: Any) -> None:
            problems.append(f"asked for {route.request.url}")
            route.abort()

        context.route(_FOREIGN, refuse)
        page = context.new_page()
        page.add_init_script(before)
        page.on("pageerror", lambda error: problems.append(f"raised {error}"))
        page.on("console", lambda said: problems.append(f"logged {said.text}") if said.type == "error" else None)
        page.on("dialog", lambda dialog: (problems.append(f"opened a dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(f"{(folder / name.partition('#')[0]).resolve().as_uri()}#{name.partition('#')[2]}")
        page.wait_for_load_state("load")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture
def expecting_errors(chromium) -> Callable[..., Any]:
    """A page that may log errors, in a context of its own: ``with expecting_errors() as page``."""

    @contextmanager
    def make() -> Iterator[Any]:
        context = chromium.new_context()
        context.route(_FOREIGN, lambda route: route.abort())
        yield context.new_page()
        context.close()

    return make
