"""Pictures in a report: what stands in the pages, and what a browser makes of it."""

import base64
import csv
import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from report_pages import shift, until
from typer.testing import CliRunner

from sciexplain.cli import app
from sciexplain.cli.images_report import content
from sciexplain.cli.reopen import reopen
from sciexplain.domains import images
from sciexplain.domains.colormap import relevance_colours
from sciexplain.report.write import write_report
from sciexplain.runs import open_run

HOSTILE = "<img src=x onerror=alert(1)>.png"
NAMES = ["0.png", "1.png", "1_broken.png", "2.png", "3.png", "4.png", HOSTILE]
SIDE = 12
NETWORK = """
import torch
from torch import nn

def make():
    torch.manual_seed(3)
    features = nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten())
    net = nn.Sequential(features, nn.Linear(54, 3))
    net[-1].weight.data *= 20
    return net.eval()

def single():
    return nn.Sequential(make(), nn.Linear(3, 1)).eval()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of 20 × 24 in colour, one of which cannot be read, and a network of three classes."""
    made = tmp_path_factory.mktemp("pictures")
    (made / "network.py").write_text(NETWORK)
    (made / "data").mkdir()
    random = np.random.default_rng(0)
    for name in NAMES:
        pixels = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(made / "data" / name)
    (made / "data" / "1_broken.png").write_bytes(b"no picture")
    return made


def explained(folder, name, *options, network="make"):
    arguments = [
        "--model",
        f"{folder / 'network.py'}:{network}",
        "--data",
        str(folder / "data"),
        "--out",
        str(folder / name),
    ]
    arguments += ["--mean", "0.5", "--std", "0.25", "--composite", "epsilon_plus", "--quiet", *options]
    result = CliRunner().invoke(app, ["explain", "images", *arguments])
    assert result.exit_code == 1, result.output  # one picture is broken
    return open_run(folder / name)


@pytest.fixture(scope="module")
def run(folder):
    return explained(folder, "run", "--resize", f"{SIDE},{SIDE}")


@pytest.fixture(scope="module")
def rows(run):
    return {row["number"]: row for row in run.rows.to_table().to_pylist()}


@pytest.fixture(scope="module")
def report(run):
    return written(run)


def written(run, name="report", opened=True, **options):
    again = reopen(run.path) if opened else None
    write_report(run, content(run, again, **options), run.path / name, colours=relevance_colours())
    return run.path / name


def samples(run, numbers, *, opened=True, **options):
    return dict(content(run, reopen(run.path) if opened else None, **options).samples(numbers))


def heatmap(row):
    return np.array(row["relevance"], np.float64).reshape(row["shape"]).sum(0)


def read_back(stored, size):
    whole = np.frombuffer(zlib.decompress(base64.b64decode(stored["data"])), f"<i{stored['bits'] // 8}")
    return whole.reshape(size) * stored["step"]


def pixels_of(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


# ---- what is written


def test_every_row_has_its_own_picture_and_relevance(run, rows, folder):
    assert sorted(rows) == [0, 1, 3, 4, 5, 6]  # 2 is the broken one
    found = samples(run, sorted(rows))
    preprocess = images.Preprocess((SIDE, SIDE), mean=0.5, std=0.25)
    for number, sample in found.items():
        relevance = sample["relevance"]
        np.testing.assert_allclose(
            read_back(relevance, sample["size"]), heatmap(rows[number]), atol=relevance["step"] * 0.51, rtol=0
        )
        picture = images.read_one(folder / "data" / NAMES[number])
        seen = preprocess.to_display(preprocess(picture)[None])[0].permute(1, 2, 0).numpy()
        assert np.abs(pixels_of(sample["picture"]["src"]) / 255 - seen).max() <= 0.5 / 255 + 1e-6
        assert sample["picture"]["file"]["size"] == [20, 24]
        assert (
            pixels_of(sample["picture"]["file"]["src"]) == np.asarray(Image.open(folder / "data" / NAMES[number]))
        ).all()


def test_some_of_the_rows(run, rows):
    assert list(samples(run, [1, 5])) == [1, 5]
    few, all_of_them = samples(run, [4])[4], samples(run, sorted(rows))[4]
    assert few["picture"] == all_of_them["picture"] and few["relevance"] == all_of_them["relevance"]


def test_the_other_class_is_explained_too(run, rows, folder):
    found = samples(run, sorted(rows))
    model = reopen(run.path).model
    for number, sample in found.items():
        row = rows[number]
        assert (sample["of"]["class"], sample["against"]["class"]) == (row["prediction"], row["runner_up"])
        e = images.explain(
            model,
            [images.read_one(folder / "data" / NAMES[number])],
            torch.tensor([row["runner_up"]]),
            preprocess=images.Preprocess((SIDE, SIDE), mean=0.5, std=0.25),
            composite="epsilon_plus",
        )
        against = sample["against"]["relevance"]
        np.testing.assert_allclose(read_back(against, (SIDE, SIDE)), e.heatmap[0], atol=against["step"])
        assert sample["against"]["score"] == pytest.approx(float(e.score[0]), rel=1e-5)


def test_an_asked_class_is_held_against_the_predicted_one(folder, rows):
    asked = explained(folder, "asked", "--resize", f"{SIDE},{SIDE}", "--target", "1")
    for number, sample in samples(asked, sorted(rows)).items():
        row = rows[number]
        assert sample["of"]["class"] == 1
        assert sample["against"]["class"] == (row["runner_up"] if row["prediction"] == 1 else row["prediction"])


def test_the_model_is_asked_for_the_first_ones_only(run, rows):
    found = samples(run, sorted(rows), against=2)
    assert [number for number, sample in found.items() if "against" in sample] == [0, 1]
    assert "first 2 pictures" in found[3]["no_against"]
    assert not any("against" in sample for sample in samples(run, [0], against=0).values())


def test_without_model_and_data_there_is_relevance_alone(run):
    bare = content(run, None)
    ((_, sample),) = bare.samples([0])
    assert sample["picture"] is None and "against" not in sample and sample["relevance"]["data"]
    assert "not at hand" in bare.meta()["no_inputs"] and "not at hand" in bare.meta()["no_against"]


def test_a_model_without_classes(folder):
    one = explained(folder, "single", "--resize", f"{SIDE},{SIDE}", network="single")
    made = content(one, reopen(one.path))
    assert made.meta()["unit"] == "" and "no classes" in made.meta()["no_against"]
    assert all("against" not in sample for _, sample in made.samples([0, 1]))
    (table,) = made.tables()
    assert [row[0] for row in table.rows] == ["all"]


def test_channels_sum_to_the_whole(run):
    sample = samples(run, [0], channels=True)[0]
    parts = [read_back(channel, (SIDE, SIDE)) for channel in sample["channels"]]
    steps = [stored["step"] for stored in (*sample["channels"], sample["relevance"])]
    np.testing.assert_allclose(sum(parts), read_back(sample["relevance"], (SIDE, SIDE)), atol=sum(steps) / 2)


def test_findings(run, rows):
    classes, decisions = content(run, reopen(run.path)).tables()
    of = {row[0]: row for row in classes.rows}
    for c, (_, predicted, probability, explained, score, image) in of.items():
        own = [row for row in rows.values() if row["prediction"] == int(c)]
        assert predicted == explained == len(own)
        assert probability == pytest.approx(np.mean([row["probability"] for row in own]))
        assert score == pytest.approx(np.mean([row["score"] for row in own]))
        mean = np.mean([heatmap(row) for row in own], axis=0)
        largest = np.unravel_index(np.abs(mean).argmax(), mean.shape)
        times = pixels_of(image).shape[0] // SIDE
        red, _, blue = pixels_of(image)[largest[0] * times, largest[1] * times].astype(int)
        assert (red > blue) == (mean[largest] > 0)
    sure = [row[3] for row in decisions.rows]
    assert sure[0] == min(row["probability"] for row in rows.values())
    assert {row[0] for row in decisions.rows} == set(rows)


# ---- in a browser


@pytest.mark.parametrize("name", ["sample.html#1", "findings.html"])
def test_nothing_moves_once_it_is_there(opened, report, name):
    assert shift(opened, report, name) < 0.1


def sample_page(opened, report, number=0, **options):
    page = opened(report, f"sample.html#{number}", **options)
    until(page, "document.querySelector('.picture-read') !== null")
    return page


def canvas(page, panel, place=0):
    script = "c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)"
    data = page.locator(f"canvas[data-panel={panel}]").nth(place).evaluate(script)
    return np.array(data, np.uint8).reshape(SIDE, SIDE, 4)[..., :3].astype(int)


def slide(page, name, value):
    page.locator(f"#picture-{name}").fill(str(value))


def value(page, of):
    return float(page.locator(f".picture-read data[data-of='{of}']").get_attribute("value"))


def test_the_slider_goes_from_the_input_to_its_heatmap(opened, report, run, rows):
    page = sample_page(opened, report)
    whole = canvas(page, "input")
    before = canvas(page, "overlay")
    slide(page, "opacity", 0)
    assert (canvas(page, "overlay") == whole).all() and (before != whole).any()
    slide(page, "opacity", 100)
    full = canvas(page, "overlay")
    place = np.unravel_index(np.abs(heatmap(rows[0])).argmax(), (SIDE, SIDE))
    end = relevance_colours()[-1 if heatmap(rows[0])[place] > 0 else 0] * 255
    assert np.abs(full[place] - end).max() <= 1.5
    assert page.locator("#picture-opacity + output").inner_text() == "100 %"
    page.locator("#picture-opacity").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#picture-opacity + output").inner_text() == "99 %"
    assert page.inner_text("#name") == "0.png"  # arrow keys on a slider do not lead to another sample


def test_the_heatmap_has_the_projects_colours(opened, report, rows):
    page = sample_page(opened, report)
    expected = images.render(heatmap(rows[0])) * 255
    assert np.abs(canvas(page, "heatmap") - expected).max() < 2


@pytest.mark.parametrize("number", [0, 6])
def test_pointing_tells_the_value_of_the_row(opened, report, rows, number):
    page = sample_page(opened, report, number)
    box = page.locator("canvas[data-panel=heatmap]").first.bounding_box()
    row, column = 7, 3
    size = box["width"] / SIDE
    page.mouse.move(box["x"] + (column + 0.5) * size, box["y"] + (row + 0.5) * size)
    step = np.abs(heatmap(rows[number])).max() / 32767
    assert value(page, 0) == pytest.approx(heatmap(rows[number])[row, column], abs=step)
    assert value(page, 2) == pytest.approx(value(page, 0) - value(page, 1), abs=1e-12)
    assert f"Row {row}, column {column} (red " in page.inner_text(".picture-read")
    page.mouse.move(0, 0)
    assert "Point at a pixel" in page.inner_text(".picture-read")


def test_small_pictures_are_shown_by_whole_pixels(opened, report):
    page = sample_page(opened, report)
    found = page.locator("canvas[data-panel]").evaluate_all(
        "all => all.map((c) => [c.getBoundingClientRect().width / c.width, getComputedStyle(c).imageRendering])"
    )
    assert all(scale == round(scale) and how == "pixelated" for scale, how in found) and len(found) == 6


def test_keys_go_from_pixel_to_pixel(opened, report):
    page = sample_page(opened, report)
    page.locator(".picture-frame").first.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):  # the first one goes to the middle
        page.keyboard.press(key)
    assert f"Row {SIDE // 2}, column {SIDE // 2 + 2}" in page.inner_text(".picture-read")
    assert page.inner_text("#name") == "0.png"
    page.keyboard.press("Escape")
    assert "Point at a pixel" in page.inner_text(".picture-read")


def test_input_overlay_heatmap_or_all_of_them(opened, report):
    page = sample_page(opened, report)

    def shown():
        return (
            page.locator(".picture-panels")
            .first.locator("canvas")
            .evaluate_all("all => all.map((c) => c.dataset.panel)")
        )

    assert shown() == ["input", "overlay", "heatmap"]
    for name, panels in (("Input", ["input"]), ("Overlay", ["overlay"]), ("Heatmap", ["heatmap"])):
        page.get_by_role("button", name=name, exact=True).click()
        assert shown() == panels
        assert page.locator("[data-mode][aria-pressed=true]").inner_text() == name
    page.keyboard.press("j")
    until(
        page,
        "document.querySelector('#name').textContent === '1.png' && document.querySelectorAll('.picture').length === 1",
    )
    assert shown() == ["heatmap"]  # the choice stays


def test_full_colour_from_a_percentile(opened, report, rows):
    page = sample_page(opened, report)
    slide(page, "clip", 80)
    limit = images.limit(heatmap(rows[0]), 80)
    expected = images.render(heatmap(rows[0]), scale=limit) * 255
    assert np.abs(canvas(page, "heatmap") - expected).max() < 3
    above = int((np.abs(heatmap(rows[0])) > limit).sum())
    assert f"{above} of {SIDE * SIDE} pixels are beyond it" in page.inner_text(".picture")
    assert float(page.locator(".scale-ends").first.inner_text().split("+")[1]) == pytest.approx(limit, rel=1e-3)


def test_class_against_class_on_one_scale(opened, report, run, rows):
    page = sample_page(opened, report)
    row, sample = rows[0], samples(run, [0])[0]
    other = read_back(sample["against"]["relevance"], (SIDE, SIDE))
    three = [heatmap(row), other, heatmap(row) - other]
    scale = max(np.abs(one).max() for one in three)
    opposed = page.locator(".picture-opposed")
    assert f"speaks for {row['prediction']}, what for {row['runner_up']}" in opposed.inner_text()
    captions = opposed.locator("figcaption").all_inner_texts()
    assert [caption.split("\n")[0] for caption in captions] == [
        f"for {row['prediction']}",
        f"for {row['runner_up']}",
        f"{row['prediction']} − {row['runner_up']}",
    ]
    assert opposed.locator(".scale").count() == 1
    for place, one in enumerate(three):
        expected = images.render(one, scale=scale) * 255
        assert np.abs(canvas(page, "heatmap", place + 1) - expected).max() < 2


def test_without_a_model_the_page_says_so(opened, run):
    page = sample_page(opened, written(run, "bare", opened=False))
    assert page.locator("canvas[data-panel]").count() == 1
    assert page.inner_text(".picture").count("not at hand") == 2


def test_channel_by_channel(opened, run, rows):
    page = sample_page(opened, written(run, "channels", channels=True))
    page.get_by_label("Relevance of").select_option(label="green")
    green = np.array(rows[0]["relevance"], np.float64).reshape(rows[0]["shape"])[1]
    assert np.abs(canvas(page, "heatmap") - images.render(green) * 255).max() < 2


def test_values_are_saved(opened, report, rows):
    page = sample_page(opened, report)
    with page.expect_download() as started:
        page.get_by_role("button", name="Save the values").click()
    lines = list(csv.reader(io.StringIO(Path(started.value.path()).read_text(encoding="utf-8"))))
    assert lines[0] == ["row", "column", "relevance", f"relevance for {rows[0]['runner_up']}"]
    made = np.array([float(line[2]) for line in lines[1:]]).reshape(SIDE, SIDE)
    np.testing.assert_allclose(made, heatmap(rows[0]), atol=np.abs(made).max() / 32767)


def test_names_are_text(opened, report):
    page = sample_page(opened, report, 6)
    assert page.inner_text("#name") == HOSTILE


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_fits_and_can_be_read(opened, report, width, dark):
    page = sample_page(opened, report, width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    poor = page.evaluate(Path(__file__).with_name("contrast.js").read_text(encoding="utf-8"))
    assert poor == []


def test_the_gallery_shows_the_overlay(opened, report, rows):
    page = opened(report, "gallery.html")
    until(page, f"document.querySelectorAll('canvas.picture-thumbnail').length === {len(rows)}")
    page.wait_for_timeout(200)
    colours = page.locator("canvas.picture-thumbnail").first.evaluate(
        "c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size"
    )
    assert colours > 50
