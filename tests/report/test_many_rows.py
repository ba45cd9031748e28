"""A hundred thousand rows: the first page is there before the rest is read."""

import numpy as np
import pytest
from report_pages import until
from report_runs import Dots, make_run

from sciexplain.report.rows import SIZE
from sciexplain.report.write import write_report

ROWS = 100_000


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("many") / "run", ROWS)
    write_report(run, Dots(run), run.path / "report", colours=np.linspace(0, 1, 9)[:, None].repeat(3, 1), samples=2000)
    return run.path / "report"


def _figures(page) -> dict:
    return page.evaluate(
        """() => ({
          paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
          tiles: performance.getEntriesByName('sciexplain:tiles')[0]?.startTime,
          thumbnails: performance.getEntriesByName('sciexplain:thumbnails')[0]?.startTime,
        })"""
    )


_WATCH = """
  window.asked = [];
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) {
      if (/data.rows/.test(node.src)) asked.push([node.src.slice(-8, -3), document.querySelectorAll(".tile").length]);
    }
  }).observe(document, { childList: true, subtree: true });
"""


def test_the_first_page_does_not_wait_for_the_other_shards(opened, report):
    page = opened(report, "gallery.html", before=_WATCH)
    until(page, "document.querySelectorAll('.tile svg').length === 60")
    until(page, "sciexplain.rows.complete()")
    asked = page.evaluate("asked")
    assert len(asked) == ROWS / SIZE
    assert asked[0] == ["00000", 0] and all(tiles == 60 for _, tiles in asked[1:])
    print({name: f"{value:.0f} ms" for name, value in _figures(page).items()})
    assert page.inner_text("#count") == "100\u202f000 samples"


def test_first_page_without_any_other_shard(opened, report, expecting_errors):
    """The proof: with all shards but the first gone, the page is there, and says what it could not read."""
    hidden = report / "data/elsewhere"
    hidden.mkdir()
    for file in sorted((report / "data/rows").iterdir())[1:]:
        file.rename(hidden / file.name)
    try:
        with expecting_errors() as page:
            page.goto((report / "gallery.html").as_uri())
            until(page, "document.querySelectorAll('.tile svg').length === 60")
            page.locator("#progress").get_by_text("is missing").wait_for()
    finally:
        for file in hidden.iterdir():
            file.rename(report / "data/rows" / file.name)
        hidden.rmdir()


def test_a_page_in_the_middle_reads_its_own_shard_first(opened, report):
    page = opened(report, "gallery.html#page=1000")
    until(page, "document.querySelector('.tile .name')?.textContent === 'picture_059940.png'")


def test_order_over_all_rows(opened, report):
    page = opened(report, "gallery.html#sort=score&order=down")
    until(page, "document.querySelectorAll('.tile').length === 60")
    scores = page.evaluate(
        """sciexplain.rows.at([...sciexplain.rows.select(sciexplain.rows.parse(location.hash.slice(1))).slice(0, 60)])
          .then((rows) => rows.map((row) => row.score))"""
    )
    assert scores == sorted(scores, reverse=True) and len(scores) == 60
    print({name: f"{value:.0f} ms" for name, value in _figures(page).items()})
