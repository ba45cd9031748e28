"""What comes from data is text, whatever it looks like."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from report_pages import until
from report_runs import Dots, make_run

from sciexplain.report import Column, Table
from sciexplain.report.write import write_report

COLOURS = np.linspace(0, 1, 9)[:, None].repeat(3, 1)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}${7 * 7}",
    "__proto__",
    "constructor",
    "\u202egnp.exe\u202c",
    "\u2028'); alert(1); ('",
    "'\\'; alert(1) //",
    "a" * 3000,
    "",
    "עברית.png",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 👩\u200d🔬",
    "&lt;b&gt;",
    "&#60;script&#62;",
    "data:text/html,<script>alert(1)</script>",
    '=HYPERLINK("http://x")',
    "nul\0l",
)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    image = "data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)' width='9' height='9'/>"
    table = Table(
        "names",
        HOSTILE[0],
        (
            Column(HOSTILE[1]),
            Column("image", "image"),
            Column("number", "number", HOSTILE[0]),
            Column("sample", "sample"),
        ),
        [
            (name, of, number, 1)
            for name in HOSTILE
            for of, number in ((image, 1.0), ("javascript:alert(1)", HOSTILE[0]))
        ],
        HOSTILE[1],
    )
    ids = {i: name or " " for i, name in enumerate(HOSTILE)}
    info = {
        "model": {"reference": HOSTILE[0], "class": HOSTILE[1]},
        "data": {"path": f"in/{HOSTILE[5]}<b>", "sha256": HOSTILE[2], "files": []},
        "options": {"method": HOSTILE[0], HOSTILE[1]: HOSTILE[0]},
        "versions": {HOSTILE[0]: HOSTILE[1]},
        "surfaced": {"notes": list(HOSTILE)},
        "operations_without_a_rule": [{"operation": HOSTILE[0], "module": HOSTILE[1], "count": 1}],
    }
    run = make_run(folder / "run", 30, ids=ids, info=info)
    import pyarrow as pa
    import pyarrow.parquet as pq

    errors = {"number": list(range(len(HOSTILE))), "stage": list(HOSTILE)}
    pq.write_table(
        pa.table({**errors, **{name: list(HOSTILE) for name in ("id", "input", "reason")}}), run.path / "errors.parquet"
    )
    content = Dots(run, [table], noun=HOSTILE[0], unit=HOSTILE[1], classes=[*HOSTILE[:3], "__proto__"], notes=HOSTILE)
    write_report(run, content, folder / "out", colours=COLOURS, notes=HOSTILE)
    return folder / "out"


def check(page) -> None:
    """Nothing in the page but what its own templates and scripts put there."""
    assert page.locator("img[onerror], img[src='x'], main script, main b").count() == 0
    assert page.evaluate("({}).alert === undefined && Object.keys(Object.prototype).length === 0")


def test_first_page(opened, report):
    page = opened(report)
    until(page, "document.querySelectorAll('.reasons > button').length > 5")
    for button in page.locator(".reasons > button").all():
        button.click()
    check(page)
    text = page.inner_text("main")
    for name in HOSTILE[:2]:
        assert name in text


def test_gallery(opened, report):
    page = opened(report, "gallery.html")
    until(page, "document.querySelectorAll('.tile svg').length === 30")
    check(page)
    names = [text.strip() for text in page.eval_on_selector_all("a.tile", "all => all.map(one => one.title)")]
    assert names[: len(HOSTILE)] == [name.strip() for name in HOSTILE]
    shown = page.eval_on_selector_all(".tile .name", "all => all.map(one => one.textContent)")
    assert "<script>…" in shown[0]
    assert all(len(text) <= 21 for text in shown)
    page.get_by_label("name contains", exact=True).fill("<script>")
    until(page, "location.hash.includes('script')")
    until(page, "document.querySelectorAll('.tile').length === 3")
    assert "<script>" in page.locator(".chips").inner_text()
    check(page)


def test_marks_of_direction_do_not_reach_beyond_the_name(opened, report):
    page = opened(report, f"gallery.html#text={HOSTILE[7]}")
    until(page, "document.querySelectorAll('.tile').length === 1")
    assert page.evaluate("getComputedStyle(document.querySelector('.tile .name')).unicodeBidi") == "isolate"


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_samples(opened, report, number):
    page = opened(report, f"sample.html#{number}")
    page.locator("#said").wait_for()
    check(page)
    assert page.evaluate("document.querySelector('#name').textContent") == (HOSTILE[number] or " ")
    with page.expect_download() as started:
        page.locator("#downloads").get_by_role("button", name="JSON").click()
    assert "/" not in started.value.suggested_filename and len(started.value.suggested_filename) < 100


def test_findings(opened, report):
    page = opened(report, "findings.html")
    page.locator("#names tbody tr").first.wait_for()
    page.locator("#names").get_by_role("button", name="Next rows").click()
    check(page)
    assert page.locator("#names img").count() == len(range(26, 2 * len(HOSTILE), 2))  # every other one is no picture
    with page.expect_download() as started:
        page.locator("#names").get_by_role("button", name="CSV").click()
    rows = list(csv.reader(io.StringIO(Path(started.value.path()).read_bytes().decode("utf-8"), newline="")))
    names = [row[0] for row in rows[1::2]]
    assert names[: len(HOSTILE) - 2] == list(HOSTILE[:-2])
    assert names[-2] == "'" + HOSTILE[-2]  # no formula for a spreadsheet


def test_a_text_made_into_markup_is_refused_by_the_policy(expecting_errors, report):
    with expecting_errors() as page:
        page.goto((report / "index.html").as_uri())
        tried = "() => { try { %s; return 'done'; } catch (error) { return error.name; } }"
        assert page.evaluate(tried % "document.body.innerHTML = '<b>x</b>'") == "TypeError"
        assert page.evaluate(tried % "document.body.setAttribute('onclick', 'x')") == "TypeError"
        # at once, the browser would let its driver do it
        later = f"new Promise((tell) => setTimeout(() => tell(({tried % 'eval(1 + String())'})())))"
        assert page.evaluate(later) == "EvalError"
        asked = page.evaluate("fetch('https://example.org').then(() => 'answered', () => 'refused')")
        assert asked == "refused"


def test_a_link_that_is_code_cannot_be_made(opened, report):
    page = opened(report)
    for address in ("javascript:alert(1)", " JavaScript:alert(1)", "data:text/html,x"):
        make = "(href) => { try { sciexplain.element('a', { href }); } catch (error) { return error.message; } }"
        made = page.evaluate(make, address)
        assert "is no link" in made
