"""The overview and the findings in a browser."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
import report_runs
from report_pages import until
from report_runs import Dots, labels_of, make_run

from sciexplain.report.labels import Labels
from sciexplain.report.write import write_report

COLOURS = np.linspace(0, 1, 9)[:, None].repeat(3, 1)
_INFO = {
    "operations_without_a_rule": [{"operation": "torch.cummax", "module": "features.3", "count": 12}],
    "surfaced": {"notes": ["motifs: fewer than 20 sites"]},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("first") / "run", 800, failed=130, info=_INFO)


@pytest.fixture(scope="module")
def report(run):
    out = run.path / "report"
    truth = Labels(labels_of(run), None, "labels.csv")
    write_report(run, Dots(run, report_runs.FINDINGS), out, colours=COLOURS, labels=truth)
    return out


def number(text: str) -> int:
    return int(re.sub(r"\D", "", text))


def test_what_was_asked_is_there(opened, report):
    page = opened(report)
    text = page.inner_text("main")
    for said in (
        "models/net.py:make",
        "ab" * 32,
        "cd" * 32,
        "epsilon_plus",
        "2.13.0",
        "2 min",
        "motifs: fewer than 20 sites",
        "torch.cummax",
        "2026-01-01 10:00 UTC",
    ):
        assert said in text


def test_every_bar_leads_to_as_many_samples_as_it_says(opened, report):
    page = opened(report)
    until(page, "document.querySelectorAll('.chart svg').length === 3")
    bars = page.eval_on_selector_all(
        ".chart a", "links => links.map(a => [a.getAttribute('href'), a.getAttribute('aria-label')])"
    )
    cells = page.eval_on_selector_all(
        ".confusion td a", "links => links.map(a => [a.getAttribute('href'), a.getAttribute('aria-label')])"
    )
    assert len(bars) > 30 and len(cells) > 4
    gallery = opened(report, "gallery.html")
    until(gallery, "sciexplain.rows.complete()")
    for href, label in bars + cells:
        found = gallery.evaluate(
            "hash => sciexplain.rows.select(sciexplain.rows.parse(hash)).length", href.partition("#")[2]
        )
        assert found == number(re.search(r": ([\d\u202f]+)", label)[1]), (href, label)


def test_bars_by_keys(opened, report):
    page = opened(report)
    until(page, "document.querySelectorAll('.chart svg').length === 3")
    page.locator(".chart svg").first.locator("a[tabindex='0']").focus()
    before = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") != before
    page.keyboard.press("Enter")
    page.wait_for_url("**/gallery.html*probability=*")


def test_labels_of_axes_do_not_touch(opened, report):
    for width in (1280, 400):
        page = opened(report, width=width)
        until(page, "document.querySelectorAll('.chart svg').length === 3")
        overlaps = page.evaluate(
            """() => [...document.querySelectorAll('.chart svg')].map((svg) => {
              const boxes = [...svg.querySelectorAll('text')].map((text) => text.getBoundingClientRect());
              const beside = (a, b) => a.left >= b.right || b.left >= a.right;
              const apart = (a, b) => beside(a, b) || a.top >= b.bottom - 2 || b.top >= a.bottom - 2;
              return boxes.some((a, i) => boxes.slice(i + 1).some((b) => !apart(a, b)));
            })"""
        )
        assert overlaps == [False] * 3
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_failures_by_reason(opened, report):
    page = opened(report)
    groups = page.locator(".reasons button")
    assert [number(text.partition(" sample")[0]) for text in groups.all_inner_texts()] == [65, 65]
    page.get_by_role("button", name="cannot be read").click()
    page.get_by_text("1–50 of 65").wait_for()
    page.get_by_role("button", name="Next samples").click()
    page.get_by_text("51–65 of 65").wait_for()
    assert page.locator(".reasons tbody tr").count() == 15


def test_findings_sort_and_filter(opened, report):
    page = opened(report, "findings.html")
    table = page.locator("#fragments")
    table.get_by_role("button", name="relevance (kcal/mol)").click()
    assert table.locator("tbody tr").first.inner_text().startswith("C=O 119")  # highest first
    table.get_by_role("button", name="relevance (kcal/mol)").click()
    assert table.locator("tbody tr").first.inner_text().startswith("C=O 0")
    table.get_by_label("Filter Fragments").fill("CCC=O")
    assert "of 120" in table.locator(".table-tools").inner_text()
    assert all("CCC=O" in text for text in table.locator("tbody tr").all_inner_texts())


def test_missing_numbers_come_last_both_ways(opened, report):
    page = opened(report, "findings.html")
    table = page.locator("#fragments")
    for _ in range(2):
        table.get_by_role("button", name="relevance (kcal/mol)").click()
        for _ in range(4):
            table.get_by_role("button", name="Next rows").click()
        assert table.locator("tbody tr").last.inner_text().startswith("CCCC=O 3")


def test_findings_are_saved_as_they_are_shown(opened, report):
    page = opened(report, "findings.html")
    table = page.locator("#fragments")
    table.get_by_label("Filter Fragments").fill("=O 11")
    with page.expect_download() as started:
        table.get_by_role("button", name="CSV").click()
    assert started.value.suggested_filename == "fragments.csv"
    heads, *rows = csv.reader(io.StringIO(Path(started.value.path()).read_text(encoding="utf-8")))
    wanted = [row for row in report_runs.FINDINGS[0].rows if "=O 11" in row[0]]
    assert heads == ["fragment", "samples", "relevance (kcal/mol)", "example"]
    assert [(row[0], int(row[1]), float(row[2])) for row in rows] == [(row[0], row[1], row[2]) for row in wanted]


def test_pictures_and_samples_in_findings(opened, report):
    page = opened(report, "findings.html")
    until(page, "document.querySelector('#motifs img')?.complete")
    assert page.evaluate("document.querySelector('#motifs img').naturalWidth") == 80
    assert page.locator("#fragments tbody a").first.get_attribute("href") == "sample.html#0"


def test_a_link_to_one_table(opened, report):
    page = opened(report, "findings.html#motifs", height=300)
    page.locator("#motifs img").wait_for()
    assert page.evaluate("document.querySelector('#motifs').getBoundingClientRect().top") < 300


def test_a_run_with_nothing_in_it(opened, tmp_path):
    run = make_run(tmp_path / "run", 1)
    (run.path / "rows/part-00000.parquet").unlink()
    write_report(run, Dots(run), tmp_path / "out", colours=COLOURS)
    for name in ("index.html", "gallery.html", "findings.html"):
        opened(tmp_path / "out", name)
    opened(tmp_path / "out", "sample.html#0").get_by_role("alert").wait_for()
