"""Dark and light, narrow and printed."""

from pathlib import Path

import numpy as np
import pytest
import report_runs
from report_pages import shift
from report_runs import Dots, make_run

from sciexplain.report.write import write_report

PAGES = ("index.html", "gallery.html", "sample.html#3", "findings.html")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("looks") / "run", 100, failed=2)
    colours = np.linspace(0, 1, 9)[:, None].repeat(3, 1)
    write_report(run, Dots(run, report_runs.FINDINGS), run.path / "report", colours=colours)
    return run.path / "report"


def brightness(page) -> int:
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return max(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")[:3])


@pytest.mark.parametrize("name", PAGES)
def test_as_the_system_says_until_one_chooses(opened, report, name):
    page = opened(report, name, dark=True)
    assert brightness(page) < 50
    page.get_by_role("button", name="Dark or light").click()
    assert brightness(page) > 200
    page.reload()
    assert brightness(page) > 200  # it is remembered
    page.keyboard.press("t")
    assert brightness(page) < 50


def test_a_browser_without_storage(opened, report):
    page = opened(report)
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no'); } });")
    page.reload()
    page.keyboard.press("t")
    assert brightness(page) < 50


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("dark", [False, True])
def test_text_is_told_from_its_ground(opened, report, name, dark):
    """WCAG 2.2, 1.4.3: a contrast of 4.5 for every text, of large and small alike."""
    page = opened(report, name, dark=dark)
    page.wait_for_timeout(200)
    poor = page.evaluate(Path(__file__).with_name("contrast.js").read_text(encoding="utf-8"))
    assert poor == []


@pytest.mark.parametrize("name", PAGES)
def test_printed_it_is_dark_on_white_without_controls(opened, report, name):
    page = opened(report, name, dark=True)
    page.wait_for_timeout(200)
    page.emulate_media(media="print")
    assert brightness(page) == 255
    assert not page.locator("#theme").is_visible() and not page.locator("nav").first.is_visible()
    assert page.pdf(format="A4", print_background=True)[:4] == b"%PDF"


@pytest.mark.parametrize("name", PAGES)
def test_nothing_moves_once_it_is_there(opened, report, name):
    assert shift(opened, report, name) < 0.1


@pytest.mark.parametrize("name", PAGES)
def test_every_control_has_a_name(opened, report, name):
    page = opened(report, name)
    page.wait_for_timeout(200)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, a[href], input, select')]
          .filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.length))
          .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    assert page.locator("h1").count() == 1 and page.locator("main").count() == 1
