"""The gallery in a browser: filters, order, pages, its address, keys."""

import re

import numpy as np
import pytest
from report_pages import until
from report_runs import CLASSES, Dots, labels_of, make_run

from sciexplain.report.labels import Labels
from sciexplain.report.rows import SIZE
from sciexplain.report.write import write_report

ROWS = SIZE + 500
COLOURS = np.linspace(0, 1, 9)[:, None].repeat(3, 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("gallery") / "run", ROWS)


@pytest.fixture(scope="module")
def truth(run):
    return labels_of(run)


@pytest.fixture(scope="module")
def report(run, truth):
    out = run.path / "report"
    write_report(run, Dots(run), out, colours=COLOURS, labels=Labels(truth, None, "labels.csv"), samples=ROWS - 10)
    return out


@pytest.fixture(scope="module")
def table(run, truth):
    found = run.rows.to_table().to_pandas()
    return found.assign(label=found["id"].map(truth))


_SETTLED = """() => {
  const { rows, by } = sciexplain;
  const asked = rows.format(rows.parse(location.hash.slice(1)));
  return rows.complete() && !by("tiles").ariaBusy && by("tiles").dataset.shown === asked;
}"""


def names(page) -> list[str]:
    until(page, _SETTLED)
    return page.locator(".tile .name").all_inner_texts()


def count(page) -> int:
    until(page, _SETTLED)
    return int(re.sub(r"\D", "", page.inner_text("#count").partition(" of ")[0].removesuffix("samples")))


def test_the_first_page_with_its_thumbnails(opened, report, table):
    page = opened(report, "gallery.html")
    assert names(page) == table["id"][:60].tolist()
    until(page, "document.querySelectorAll('.tile svg').length === 60")
    assert page.locator(".tile").first.get_attribute("href") == "sample.html#0"


def test_class_right_or_wrong_and_text_together(opened, report, table):
    page = opened(report, "gallery.html")
    page.get_by_label("prediction", exact=True).select_option("2")
    page.get_by_label("only").select_option("wrong")
    wanted = table[(table["prediction"] == 2) & (table["label"] != 2)]
    assert count(page) == len(wanted)
    page.get_by_label("name contains", exact=True).fill("_0001")
    until(page, "location.hash.includes('text')")
    assert names(page) == [name for name in wanted["id"] if "_0001" in name]
    assert page.locator(".chips button").count() == 4  # one each, and one for all
    page.get_by_text("clear all").click()
    until(page, "location.hash.length <= 1")
    assert count(page) == ROWS


def test_a_range_of_confidence(opened, report, table):
    page = opened(report, "gallery.html")
    page.get_by_label("probability from").fill("0.5")
    page.get_by_label("probability to").fill("0.6")
    page.get_by_label("probability to").press("Enter")
    until(page, "location.hash.includes('0.5..0.6')")
    assert count(page) == table["probability"].between(0.5, 0.6, inclusive="left").sum()


def test_bars_lead_to_ranges(opened, report, table):
    page = opened(report, "gallery.html#score=1..2.5&gap=1e-8..")
    gap = table["gap"].abs()
    assert count(page) == (table["score"].between(1, 2.5, inclusive="left") & (gap >= 1e-8)).sum()


@pytest.mark.parametrize("column", ["score", "probability", "gap", "seconds", "prediction", "label", "id"])
@pytest.mark.parametrize("down", [False, True])
def test_sorted_by_any_column(opened, report, table, column, down):
    page = opened(report, f"gallery.html#sort={column}{'&order=down' if down else ''}")
    wanted = table.sort_values([column, "number"], ascending=[not down, True], kind="stable")
    value = dict(zip(table["id"], table["number" if column == "id" else column], strict=True))
    shown, expected = ([value[name] for name in some] for some in (names(page), wanted["id"][:60]))
    np.testing.assert_allclose(shown, expected, rtol=1e-5)  # pages have six digits


def test_sorting_by_the_controls(opened, report, table):
    page = opened(report, "gallery.html")
    page.get_by_label("sort by").select_option("score")
    until(page, "location.hash.includes('sort=score')")
    assert names(page)[0] == table.loc[table["score"].idxmax(), "id"]  # highest first
    page.get_by_role("button", name="descending").click()
    until(page, "!location.hash.includes('down')")
    assert names(page)[0] == table.loc[table["score"].idxmin(), "id"]


def test_pages_and_the_back_button(opened, report, table):
    page = opened(report, "gallery.html")
    page.get_by_role("button", name="Next page").click()
    until(page, "location.hash.includes('page=2')")
    assert names(page) == table["id"][60:120].tolist()
    page.locator("#page").fill("42")
    page.locator("#page").press("Enter")
    until(page, "location.hash.includes('page=42')")
    assert names(page) == table["id"][41 * 60 :].tolist()
    assert page.get_by_role("button", name="Next page").is_disabled()
    page.go_back()
    until(page, "document.querySelector('#page').value === '2'")
    assert names(page) == table["id"][60:120].tolist()


def test_typing_is_one_step_back(opened, report):
    page = opened(report, "gallery.html#prediction=1")
    before = page.evaluate("history.length")
    page.get_by_label("name contains", exact=True).press_sequentially("png")
    until(page, "location.hash.includes('text=png')")
    assert page.evaluate("history.length") == before


def test_an_address_of_nonsense_is_the_whole_gallery(opened, report):
    page = opened(report, "gallery.html#sort=__proto__&prediction=x&score=a..b&page=-3&only=<b>&cluster=1e99&%")
    assert count(page) == ROWS


def test_a_page_beyond_the_last_is_the_last(opened, report, table):
    assert names(opened(report, "gallery.html#page=99999")) == table["id"][41 * 60 :].tolist()


def test_nothing_fits(opened, report):
    page = opened(report, "gallery.html#text=no such name")
    page.get_by_text("No sample fits.").wait_for()


def test_keys(opened, report):
    page = opened(report, "gallery.html")
    names(page)
    page.keyboard.press("j")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.querySelector('.name').textContent") == "picture_000001.png"
    across = page.evaluate("getComputedStyle(document.querySelector('.tiles')).gridTemplateColumns.split(' ').length")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.querySelector('.name').textContent") == f"picture_{1 + across:06d}.png"
    page.keyboard.press("k")
    page.keyboard.press("n")
    until(page, "location.hash === '#page=2'")
    page.keyboard.press("/")
    page.keyboard.type("jkn?/pt")  # letters of a name, not keys
    assert page.get_by_label("name contains", exact=True).input_value() == "jkn?/pt"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.get_by_role("dialog").get_by_text("next page").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()


def test_from_a_tile_to_its_sample_and_back(opened, report):
    page = opened(report, "gallery.html#prediction=1&sort=score&order=down&page=2")
    first = names(page)[0]
    page.locator(".tile").first.click()
    page.wait_for_url("**/sample.html*")
    until(page, f"document.querySelector('#name').textContent === '{first}'")
    until(page, "document.querySelector('#place').textContent.startsWith('61 of')")
    page.go_back()
    page.wait_for_url("**/gallery.html*")
    assert names(page)[0] == first


def test_without_labels_there_is_nothing_to_be_right(opened, tmp_path):
    run = make_run(tmp_path / "run", 5)
    write_report(run, Dots(run), tmp_path / "out", colours=COLOURS)
    page = opened(tmp_path / "out", "gallery.html")
    names(page)
    assert page.get_by_label("only").count() == 0 and page.locator(".right, .wrong").count() == 0


def test_without_classes_scores_have_their_unit(opened, tmp_path):
    run = make_run(tmp_path / "run", 5, classes=0)
    write_report(run, Dots(run, unit="kcal/mol"), tmp_path / "out", colours=COLOURS)
    page = opened(tmp_path / "out", "gallery.html")
    names(page)
    assert "kcal/mol" in page.locator(".said").first.inner_text()
    assert page.get_by_label("prediction", exact=True).count() == 0


def test_names_of_classes(opened, report):
    page = opened(report, "gallery.html")
    options = page.get_by_label("prediction", exact=True).locator("option").all_inner_texts()
    assert [text.partition(" (")[0] for text in options] == ["all", *CLASSES]


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_window(opened, report, width):
    page = opened(report, "gallery.html", width=width)
    names(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
