"""The audit in a report: what stands in its page, and what a browser makes of it."""

import csv
import io
import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.colors import to_rgb
from report_pages import shift, until
from report_runs import Dots, make_run

import sciexplain as sx
from sciexplain.cli.audit_files import write
from sciexplain.report import audit as audit_module
from sciexplain.report.audit import read_audit
from sciexplain.report.write import write_report
from sciexplain.runs import open_run
from sciexplain.runs.format import ROW_SCHEMA

ROWS, CLASSES = 160, 4
HOSTILE = "<img src=x onerror=alert(1)>"
COLOURS = np.linspace(0, 1, 9)[:, None].repeat(3, 1)
OUTSIDE = np.array([True] + [False] * 7)


class Picture:
    """In place of a figure."""

    def savefig(self, path, **options):
        Path(path).write_bytes(b"")


def audited(run, *, cheats=True):
    """Audit a run whose samples of class 0 are, if asked, partly decided on by the first of eight numbers."""
    table = run.rows.to_table().to_pydict()
    rng = np.random.default_rng(2)
    relevance = np.stack(table["relevance"]) * 0.05
    target = np.array(table["target"])
    places = 1 + target + (rng.random(len(target)) < 0.5) * 3
    relevance[np.arange(len(target)), places] += 1
    if cheats:
        relevance[np.flatnonzero(target == 0)[::2], 0] += 4
    _rewrite(run, [values.astype(np.float32) for values in relevance])
    found = sx.audit.spray(relevance, target=target, outside=OUTSIDE, seed=1)
    asked = {"run": str(run.path), "options": {"alpha": 0.01, "material": 0.1, "embedding": "tsne"}}
    write(found, run.path, table["id"], asked, Picture())
    return found


def _rewrite(run, relevance, **columns):
    path = run.path / "rows" / "part-00000.parquet"
    table = pq.read_table(path).to_pydict() | {"relevance": relevance} | columns
    pq.write_table(pa.table(table, schema=ROW_SCHEMA), path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("audit") / "run"
    return make_run(path, ROWS, failed=2, ids={7: HOSTILE})  # 0 and 50 have no row


@pytest.fixture(scope="module")
def found(run):
    made = audited(run)
    assert made.alarm
    return made


@pytest.fixture(scope="module")
def report(run, found):
    write_report(run, Dots(run), run.path / "report", colours=COLOURS)
    return run.path / "report"


@pytest.fixture(scope="module")
def table(run, found):
    return run.rows.to_table().to_pandas()


# ---- what is written


def test_clusters_with_their_samples(run, found, table):
    page = read_audit(run).page
    assert [one["samples"] for one in page["clusters"]] == [len(one) for one in found]
    for one, cluster in zip(page["clusters"], found, strict=True):
        own = table.iloc[cluster.members]
        assert one["members"] == own["number"].tolist()
        assert one["share"] == pytest.approx(len(cluster) / (table["target"] == cluster.target).sum())
        mean = np.stack(own["relevance"]).mean(0)
        np.testing.assert_allclose(one["mean"]["values"], mean, rtol=1e-3, atol=1e-6)
    assert sum(one["samples"] for one in page["clusters"]) == ROWS
    assert page["points"]["number"] == table["number"].tolist()
    assert [one["class"] for one in page["classes"]] == list(range(CLASSES))


def test_members_are_those_nearest_the_mean_that_have_a_drawing(run, found):
    audit = read_audit(run)
    undrawn = {one["members"][0] for one in audit.page["clusters"]}
    drawn = frozenset(audit.page["points"]["number"]) - undrawn
    shown = audit.drawn(drawn)
    for one, of in zip(shown["clusters"], audit.page["clusters"], strict=True):
        assert one == of | {"members": of["members"][1:7]}
    assert all(one["members"] == [] for one in audit.drawn(frozenset())["clusters"])


def test_of_one_output_relevance_speaks_for_its_sign(tmp_path):
    run = make_run(tmp_path / "run", 40, classes=0)
    found = _single(run)
    table = run.rows.to_table().to_pandas()
    signs = np.where(table["score"] > 0, 1, -1)
    page = read_audit(run).page
    for one, cluster in zip(page["clusters"], found, strict=True):
        mean = (np.stack(table["relevance"]) * signs[:, None])[cluster.members].mean(0)
        np.testing.assert_allclose(one["mean"]["values"], mean, rtol=1e-3, atol=1e-6)


def _single(run):
    table = run.rows.to_table().to_pydict()
    target = (np.array(table["score"]) > 0).astype(int)
    found = sx.audit.spray(np.stack(table["relevance"]), target=target, seed=1)
    write(found, run.path, table["id"], {}, Picture())
    return found


def test_means_of_pictures_are_pooled_and_others_have_none(run, found, tmp_path, monkeypatch):
    made = make_run(tmp_path / "run", 30)
    audited(made)
    rng = np.random.default_rng(0)
    pictures = [rng.normal(size=3 * 10 * 6).astype(np.float32) for _ in range(30)]
    _rewrite(made, pictures, shape=[[3, 10, 6]] * 30)
    monkeypatch.setattr(audit_module, "_SIDE", 5)
    page = read_audit(made).page
    names = json.loads((made.path / "audit.json").read_text())["clusters"][0]["members"]
    ids = made.rows.to_table(columns=["id"])["id"].to_pylist()
    whole = np.mean([pictures[ids.index(name)].reshape(3, 10, 6) for name in names], 0).sum(0)
    first = page["clusters"][0]["mean"]
    assert tuple(first["shape"]) == (5, 3) and first["of"] == [3, 10, 6]
    pooled = whole.reshape(5, 2, 3, 2).sum((1, 3))
    np.testing.assert_allclose(first["values"], pooled.ravel(), rtol=1e-3, atol=1e-5)
    _rewrite(made, pictures, shape=[[3, 10, 6]] * 29 + [[3, 6, 10]])
    assert all(one["mean"] is None for one in read_audit(made).page["clusters"])


def test_samples_that_the_run_no_longer_has_are_left_out(tmp_path):
    run = make_run(tmp_path / "run", 30)
    audited(run)
    path = run.path / "rows" / "part-00000.parquet"
    pq.write_table(pq.read_table(path).slice(0, 20), path)
    points = read_audit(open_run(run.path)).page["points"]
    assert points["number"] == list(range(20)) and len(points["x"]) == len(points["id"]) == 20


def test_clusters_are_told_apart_by_everyone():
    style = (Path(audit_module.__file__).parent / "assets" / "audit.css").read_text(encoding="utf-8")
    pairs = re.findall(r"--audit-\d: light-dark\((#\w{6}), (#\w{6})\)", style)
    assert len(pairs) == 10
    matrices = [
        np.eye(3),  # Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ]
    for colours in zip(*pairs, strict=True):
        rgb = np.array([to_rgb(colour) for colour in colours])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        for cones in matrices:
            lab = _lab(np.clip(linear @ np.transpose(cones), 0, 1))
            assert min(np.linalg.norm(a - b) for a, b in combinations(lab, 2)) > 30


def _lab(linear):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t = linear @ xyz.T / xyz.sum(1)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)


# ---- in a browser


def audit_page(opened, report, name="audit.html", **look):
    page = opened(report, name, **look)
    until(page, "() => document.querySelector('.audit-card') !== null")
    return page


def place_of(page, number):
    """Where a sample's dot is in the window."""
    page.locator(".audit-stage canvas").scroll_into_view_if_needed()
    found = page.evaluate(
        """async (number) => {
          const { points } = await sciexplain.load('audit'), i = points.number.indexOf(number);
          const canvas = document.querySelector('.audit-stage canvas'), box = canvas.getBoundingClientRect();
          const at = (values, v) => (v - Math.min(...values)) / (Math.max(...values) - Math.min(...values));
          const side = canvas.clientWidth, room = 16;
          return [box.left + canvas.clientLeft + room + at(points.x, points.x[i]) * (side - 2 * room),
                  box.top + canvas.clientTop + side - room - at(points.y, points.y[i]) * (side - 2 * room)];
        }""",
        number,
    )
    return tuple(found)


def lonely(page):
    """A sample with no other near its dot."""
    points = page.evaluate("() => sciexplain.load('audit').then((found) => found.points)")
    places = np.stack([points["x"], points["y"]], 1)
    away = np.linalg.norm(places[:, None] - places[None], axis=-1) + 1e9 * np.eye(len(places))
    return points["number"][int(away.min(1).argmax())]


def test_an_alarm_is_told_first(opened, report, found):
    page = audit_page(opened, report)
    told = page.inner_text(".audit-verdict .problem")
    assert told.startswith("Alarm.") and "out of place" in told and f"{len(found[0])} samples of class cat" in told
    page.locator(".audit-verdict a").first.click()
    assert page.url.endswith("#cluster-1")
    first = page.locator("#cluster-1").inner_text()
    assert "alarm" in first and f"suspicion {found[0].suspicion:.2g} of 1" in first


def test_no_alarm_is_told_too(opened, tmp_path):
    run = make_run(tmp_path / "run", 80)
    assert not audited(run, cheats=False).alarm
    write_report(run, Dots(run), run.path / "report", colours=COLOURS)
    page = audit_page(opened, run.path / "report")
    assert page.inner_text(".audit-verdict .note").startswith("No alarm.")


def test_without_an_audit_there_is_no_page(opened, tmp_path):
    run = make_run(tmp_path / "run", 10)
    assert read_audit(run) is None
    write_report(run, Dots(run), run.path / "report", colours=COLOURS)
    assert not (run.path / "report" / "audit.html").exists()


def test_a_dot_shows_its_sample_and_opens_it(opened, report, table):
    page = audit_page(opened, report)
    number = lonely(page)
    name = table[table["number"] == number].iloc[0]["id"]
    page.mouse.move(*place_of(page, number))
    until(page, "() => document.querySelector('.audit-hover svg') !== null")  # its drawing
    assert name in page.inner_text(".audit-hover")
    page.mouse.click(*place_of(page, number))
    page.wait_for_url("**/sample.html*")
    until(page, "(name) => document.querySelector('#name')?.textContent === name", arg=name)
    assert f"sample.html#{number}&cluster=" in page.url


def test_one_cluster_alone(opened, report):
    page = audit_page(opened, report)
    number = lonely(page)
    clusters = page.evaluate("() => sciexplain.load('audit').then(({ points }) => points)")
    own = clusters["cluster"][clusters["number"].index(number)]
    other = next(c for c in clusters["cluster"] if c != own)
    legend = page.get_by_role("group", name="Show one cluster")
    legend.locator(f"[data-cluster='{other}']").click()
    page.mouse.move(*place_of(page, number))
    assert page.locator(".audit-hover").is_hidden()
    legend.locator(f"[data-cluster='{own}']").click()
    page.mouse.move(1, 1)
    page.mouse.move(*place_of(page, number))
    assert page.locator(".audit-hover").is_visible()


def test_clusters_lead_to_their_samples(opened, report, found, table):
    page = audit_page(opened, report)
    card = page.locator("#cluster-2")
    card.scroll_into_view_if_needed()
    until(page, "() => document.querySelectorAll('#cluster-2 .audit-member svg').length === 6")
    nearest = table.iloc[found[1].members[:6]]["number"].tolist()
    links = [link.get_attribute("href") for link in card.locator(".audit-member").all()]
    assert links == [f"sample.html#{number}&cluster=2" for number in nearest]
    card.get_by_role("link", name=f"{len(found[1])} samples").click()
    page.wait_for_url("**/gallery.html*")
    until(page, "(text) => document.querySelector('#count')?.textContent.startsWith(text)", arg=f"{len(found[1])} of")


def test_the_same_as_tables(opened, report, found, table):
    page = audit_page(opened, report)
    with page.expect_download() as started:
        page.get_by_role("region", name="All clusters").locator("xpath=..").get_by_role("button", name="CSV").click()
    saved = list(csv.DictReader(io.StringIO(Path(started.value.path()).read_text(encoding="utf-8"))))
    assert [int(line["samples"]) for line in saved] == [len(one) for one in found]
    assert saved[0]["alarm"] == "alarm" and float(saved[0]["out of place"]) > 0.1
    page.locator("summary").click()
    rows = page.get_by_role("table", name="All samples").locator("tbody tr")
    assert rows.first.locator("a").get_attribute("href") == f"sample.html#{table['number'][0]}"


def test_nothing_moves_once_it_is_there(opened, report):
    assert shift(opened, report, "audit.html") < 0.1


def test_eigenvalues_of_each_class(opened, report, found):
    page = audit_page(opened, report)
    choose = page.get_by_label("Class", exact=True)
    for place in range(CLASSES):
        choose.select_option(str(place))
        assert page.locator(".audit-mark").count() == len(found.eigenvalues[place])
        assert f"{found.eigengap[place]:.2g}" in page.locator(".audit-spectrum").inner_text()


def test_names_are_text(opened, report):
    page = audit_page(opened, report)
    page.locator("summary").click()
    page.get_by_label("Filter All samples").fill("onerror")
    assert HOSTILE in page.get_by_role("table", name="All samples").inner_text()
    page.mouse.move(*place_of(page, 7))
    until(page, "() => !document.querySelector('.audit-hover').hidden")


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_told_from_its_ground(opened, report, dark):
    page = audit_page(opened, report, dark=dark)
    page.wait_for_timeout(300)
    assert page.evaluate(Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")) == []


def test_narrow_pages_do_not_scroll_sideways(opened, report):
    page = audit_page(opened, report, width=400)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
