"""A sample's page in a browser: what it says, what is before and after it, what can be saved of it."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from report_pages import until
from report_runs import Dots, labels_of, make_run

from sciexplain.report.labels import Labels
from sciexplain.report.rows import SIZE
from sciexplain.report.write import write_report

ROWS = SIZE + 20
COLOURS = np.linspace(0, 1, 9)[:, None].repeat(3, 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("sample") / "run", ROWS, failed=3)  # 0, 50 and 100 have no row


@pytest.fixture(scope="module")
def report(run):
    out = run.path / "report"
    truth = Labels(labels_of(run, right=0.5), None, "labels.csv")
    write_report(run, Dots(run), out, colours=COLOURS, labels=truth, samples=1500)
    return out


@pytest.fixture(scope="module")
def table(run):
    return run.rows.to_table().to_pandas()


def name(page) -> str:
    return page.inner_text("#name")


def wait(page, text: str) -> None:
    until(page, "text => document.querySelector('#name')?.textContent === text", arg=text)


def saved(page, button: str) -> tuple[str, str]:
    with page.expect_download() as started:
        page.locator("#downloads").get_by_role("button", name=button).click()
    return started.value.suggested_filename, Path(started.value.path()).read_text(encoding="utf-8")


def test_what_the_model_said(opened, report, table):
    page = opened(report, "sample.html#7")
    wait(page, "picture_000007.png")
    row = table[table["number"] == 7].iloc[0]
    facts = page.inner_text("#facts")
    assert f"{100 * row['probability']:.1f}".rstrip("0").rstrip(".") in facts
    assert ("✓ right" in facts) != ("✗ wrong" in facts)
    assert "data/picture_000007.png" in page.inner_text("#input")
    assert page.inner_text("#said") == "8 values in logit"
    assert page.locator("#view .scale").is_visible()
    assert page.locator("#numbers tbody tr").count() == 8


def test_next_and_previous_pass_over_what_failed(opened, report):
    page = opened(report, "sample.html#49")
    wait(page, "picture_000049.png")
    page.get_by_role("button", name="Next sample").click()
    wait(page, "picture_000051.png")
    page.keyboard.press("k")
    wait(page, "picture_000049.png")
    page.keyboard.press("ArrowRight")
    wait(page, "picture_000051.png")
    assert page.evaluate("aborted") == 3  # each drawing is told when it is no longer wanted


def test_ends(opened, report):
    page = opened(report, "sample.html#1")
    wait(page, "picture_000001.png")
    assert page.get_by_role("button", name="Previous sample").is_disabled()
    page.keyboard.press("ArrowLeft")
    page = opened(report, f"sample.html#{ROWS + 2}")
    wait(page, f"picture_{ROWS + 2:06d}.png")
    assert page.get_by_role("button", name="Next sample").is_disabled()


def test_they_follow_the_gallerys_order(opened, report, table):
    wanted = table[table["prediction"] == 2].sort_values("score", ascending=False)
    first, second, third = wanted["number"][:3]
    page = opened(report, f"sample.html#{second}&prediction=2&sort=score&order=down")
    until(page, "document.querySelector('#place').textContent.startsWith('2 of')")
    page.keyboard.press("j")
    wait(page, f"picture_{third:06d}.png")
    page.keyboard.press("k")
    page.keyboard.press("k")
    wait(page, f"picture_{first:06d}.png")
    assert page.locator("#back").get_attribute("href") == "gallery.html#prediction=2&sort=score&order=down"


def test_back_leads_to_the_gallery_not_through_every_sample(opened, report):
    page = opened(report, "gallery.html")
    page.locator(".tile").first.click()
    wait(page, "picture_000001.png")
    for number in (2, 3, 4):
        page.keyboard.press("j")
        wait(page, f"picture_{number:06d}.png")
    page.go_back()
    page.wait_for_url("**/gallery.html*")


def test_the_gallery_link_leads_to_the_page_it_is_on(opened, report):
    page = opened(report, "sample.html#130")
    wait(page, "picture_000130.png")
    assert page.locator("#back").get_attribute("href") == "gallery.html#page=3"


def test_a_sample_without_a_drawing_says_so(opened, report):
    there = {n for n in range(1, ROWS + 3) if n not in (50, 100)}
    page = opened(report, f"sample.html#{max(there)}")
    drawn = page.evaluate(
        """sciexplain.rows.at([...Array(sciexplain.rows.count).keys()])
          .then((rows) => rows.filter((row) => row.detail).map((row) => row.number))"""
    )
    assert len(drawn) == 1500
    number = max(there - set(drawn))
    page.evaluate("number => { location.hash = number; }", number)
    wait(page, f"picture_{number:06d}.png")
    page.get_by_text("has no drawing in this report").wait_for()
    assert saved(page, "JSON")[0].endswith(".json")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("50", "did it fail?"),
        ("999999", "No sample"),
        ("", "ends in the number"),
        ("x&<b>", "ends in the number"),
        ("-1", "ends in the number"),
    ],
)
def test_what_is_not_there_is_told(opened, report, address, words):
    page = opened(report, f"sample.html#{address}")
    page.get_by_role("alert").get_by_text(words).wait_for()


def test_saving_it(opened, report, table):
    page = opened(report, "sample.html#7")
    wait(page, "picture_000007.png")
    file, text = saved(page, "JSON")
    row = table[table["number"] == 7].iloc[0]
    found = json.loads(text)
    assert file == "sample_7_picture_000007.png.json"
    assert (found["id"], found["prediction"]) == (row["id"], row["prediction"])
    np.testing.assert_allclose(found["score"], row["score"], rtol=1e-5)
    np.testing.assert_allclose(found["sample"]["values"], row["relevance"], rtol=1e-6)
    heads, values = csv.reader(io.StringIO(saved(page, "CSV")[1]))
    assert dict(zip(heads, values, strict=True))["id"] == row["id"]


def test_the_table_of_numbers_is_saved_as_it_is_shown(opened, report, table):
    page = opened(report, "sample.html#7")
    wait(page, "picture_000007.png")
    page.locator("#numbers").get_by_role("button", name="value").click()
    with page.expect_download() as started:
        page.locator("#numbers").get_by_role("button", name="CSV").click()
    heads, *rows = csv.reader(io.StringIO(Path(started.value.path()).read_text()))
    values = [float(value) for _, value in rows]
    assert heads == ["place", "value"] and values == sorted(values, reverse=True)
    np.testing.assert_allclose(sorted(values), np.sort(table[table["number"] == 7].iloc[0]["relevance"]), rtol=1e-6)


def test_a_drawing_that_fails_is_told(opened, tmp_path):
    class Broken(Dots):
        def assets(self):
            return {"report_dots.js": b'sciexplain.views.dots = { draw() { throw new Error("no such atom"); } };'}

    run = make_run(tmp_path / "run", 3)
    write_report(run, Broken(run), tmp_path / "out", colours=COLOURS)
    page = opened(tmp_path / "out", "sample.html#1")
    assert page.get_by_role("alert").inner_text() == "no such atom"


def test_a_file_that_was_lost_is_told(opened, expecting_errors, tmp_path):
    run = make_run(tmp_path / "run", 3)
    write_report(run, Dots(run), tmp_path / "out", colours=COLOURS)
    (tmp_path / "out/data/samples/00000.js").unlink()
    with expecting_errors() as page:  # the browser logs what it cannot load
        page.goto(f"{(tmp_path / 'out/sample.html').as_uri()}#1")
        page.get_by_role("alert").get_by_text("is missing").wait_for()
