import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import sciexplain as sx
from sciexplain.domains import images
from sciexplain.runs import load_model, open_run

MODEL = "network_of_cli_tests.py"


@pytest.fixture
def explain(sciexplain, folder):
    def run(*arguments, model=f"{MODEL}:make", data="pictures", out="run"):
        return sciexplain("explain", "images", "--model", model, "--data", data, "--out", out, "--quiet", *arguments)

    return run


def table(out="run"):
    return open_run(out).rows.to_table().to_pylist()


def test_rows_hold_what_the_library_says(explain, folder):
    result = explain("--batch-size", 2, "--composite", "epsilon_gamma_box", "--mean", "0.5", "--std", "0.25,0.5,1")
    assert result.exit_code == 0, result.output
    rows = table()
    assert [row["id"] for row in rows] == ["a.png", "b.png", "c.png", "deep/d.png"]

    model = load_model(f"{MODEL}:make")
    preprocess = images.Preprocess(mean=(0.5,), std=(0.25, 0.5, 1.0))
    composite = sx.composites.get("epsilon_gamma_box", low=preprocess.low, high=preprocess.high)
    for row in rows:
        inputs = preprocess(images.read_one(folder / "pictures" / row["id"]))[None]
        e = sx.explain(model, inputs, composite=composite, ledger=True)
        order = e.output[0].argsort(descending=True).tolist()
        np.testing.assert_allclose(np.reshape(row["relevance"], row["shape"]), e.relevance[0], rtol=1e-4, atol=1e-6)
        assert (row["prediction"], row["runner_up"], row["target"]) == (order[0], order[1], order[0])
        assert row["probability"] == pytest.approx(float(e.output.softmax(1).max()), rel=1e-5)
        assert row["score"] == pytest.approx(float(e.score), rel=1e-4)
        assert row["gap"] == pytest.approx(0, abs=1e-5)
        assert row["input"] == f"pictures/{row['id']}"
        assert row["seconds"] > 0


def test_pictures_are_drawn_and_named_in_the_rows(explain, folder):
    explain()
    for row in table():
        with Image.open(folder / "run" / "pictures" / row["picture"]) as drawn:
            assert drawn.size[1] % row["shape"][1] == 0
            assert drawn.convert("RGB").getextrema() != ((0, 0), (0, 0), (0, 0))
    assert len(list((folder / "run" / "pictures").iterdir())) == 4
    with Image.open(folder / "run" / "heatmaps.png") as overview:
        assert len(overview.convert("RGB").getcolors(2**20)) > 50


def test_run_json_says_what_was_asked(explain, folder):
    state = {name: value + 0.5 for name, value in load_model(f"{MODEL}:make").state_dict().items()}
    save_file(state, folder / "w.safetensors")
    assert explain("--weights", "w.safetensors", "--target", 2, "--resize", "9,10").exit_code == 0
    info = open_run("run").info
    assert info["command"] == "explain images"
    assert info["model"]["reference"] == f"{MODEL}:make"
    assert info["model"]["weights_sha256"] == hashlib.sha256((folder / "w.safetensors").read_bytes()).hexdigest()
    assert [entry["path"] for entry in info["data"]["files"]] == [
        f"pictures/{name}" for name in ("a.png", "b.png", "c.png", "deep/d.png")
    ]
    expected = hashlib.sha256((folder / "pictures" / "a.png").read_bytes()).hexdigest()
    assert info["data"]["files"][0]["sha256"] == expected
    assert info["versions"]["torch"] == torch.__version__
    assert info["options"]["target"] == 2
    assert info["options"]["resize"] == [9, 10]
    assert info["counts"] == {"rows": 4, "failed": 0}
    assert info["operations_without_a_rule"] == []
    assert {row["target"] for row in table()} == {2}
    assert {tuple(row["shape"]) for row in table()} == {(3, 9, 10)}


def test_weights_change_the_result(explain, folder):
    state = load_model(f"{MODEL}:make").state_dict()
    torch.save({"state_dict": {name: 2 * value for name, value in state.items()}}, folder / "w.pt")
    explain(out="plain")
    explain("--weights", "w.pt", out="doubled")
    assert [row["score"] for row in table("plain")] != [row["score"] for row in table("doubled")]


def test_bad_pictures_are_listed_and_the_rest_goes_on(explain, folder):
    (folder / "pictures" / "bb.png").write_bytes(b"\x89PNG\r\n\x1a\n cut short")
    (folder / "pictures" / "e.jpg").write_text("no picture")
    result = explain("--crop", "12,8")
    assert result.exit_code == 1
    assert "5 failed and are listed in run/errors.parquet" in result.output
    failed = open_run("run").errors.to_pylist()
    assert [(row["id"], row["stage"]) for row in failed] == [
        ("a.png", "preprocess"),
        ("bb.png", "read"),
        ("c.png", "preprocess"),
        ("deep/d.png", "preprocess"),
        ("e.jpg", "read"),
    ]
    assert failed[1]["input"] == "pictures/bb.png"
    assert all(row["reason"] for row in failed)
    assert [row["id"] for row in table()] == ["b.png"]


def test_a_model_that_refuses_some_pictures(explain):
    result = explain(model=f"{MODEL}:fixed_size")
    assert result.exit_code == 1
    (failed,) = open_run("run").errors.to_pylist()
    assert (failed["id"], failed["stage"]) == ("b.png", "explain")
    assert failed["reason"].startswith("RuntimeError: mat1 and mat2")
    assert [row["id"] for row in table()] == ["a.png", "c.png", "deep/d.png"]


def test_a_model_that_is_nan_on_some_pictures(explain):
    result = explain(model=f"{MODEL}:Undefined")
    assert result.exit_code == 1
    (failed,) = open_run("run").errors.to_pylist()
    assert (failed["id"], failed["stage"]) == ("b.png", "explain")
    assert "NaN or infinite" in failed["reason"]
    assert len(table()) == 3


def test_limit_counts_pictures_that_fail(explain, folder):
    (folder / "pictures" / "aa.png").write_text("no picture")
    assert explain("--limit", 3).exit_code == 1
    run = open_run("run")
    assert [row["id"] for row in run.rows.to_table().to_pylist()] == ["a.png", "b.png"]
    assert run.errors["id"].to_pylist() == ["aa.png"]
    assert len(run.info["data"]["files"]) == 3


def test_many_pictures_in_one_file(explain, folder):
    values = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    np.savez(folder / "stack.npz", images=values)
    assert explain("--batch-size", 2, data="stack.npz").exit_code == 0
    assert [row["id"] for row in table()] == [f"stack.npz[{n}]" for n in range(5)]


def test_model_with_one_output_has_no_classes(explain):
    assert explain(model=f"{MODEL}:single_output").exit_code == 0
    assert {(row["prediction"], row["probability"], row["runner_up"]) for row in table()} == {(None,) * 3}


def test_independent_classes_are_read_by_their_sigmoid(explain, folder):
    assert explain(model=f"{MODEL}:sigmoid").exit_code == 0
    model = load_model(f"{MODEL}:sigmoid")
    for row in table():
        inputs = images.Preprocess()(images.read_one(folder / "pictures" / row["id"]))[None]
        assert row["probability"] == pytest.approx(float(model(inputs).detach().max()), rel=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_operations_without_a_rule_are_recorded(explain):
    assert explain("--limit", 1, model=f"{MODEL}:Odd").exit_code == 0
    (found,) = open_run("run").info["operations_without_a_rule"]
    assert "lgamma" in found["operation"]


def test_deeplift_keeps_a_ledger(explain):
    assert explain("--method", "deeplift", "--limit", 2).exit_code == 0
    assert all(abs(row["gap"]) < 1e-5 for row in table())


def test_a_method_that_needs_more_says_so(explain):
    result = explain("--method", "deepshap")
    assert result.exit_code == 2
    assert "needs references=" in result.output


def test_other_methods_keep_no_ledger(explain):
    assert explain("--method", "gradient", "--limit", 1).exit_code == 0
    assert table()[0]["gap"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "absent_of_cli_tests:make"}, "no module 'absent_of_cli_tests'"),
        ({"data": "absent"}, "does not exist"),
        ({"data": "pictures/deep/empty"}, "found no pictures"),
        (("--target", "12"), "12"),
        (("--target", "cat"), "should be a class index"),
        (("--composite", "no_such"), "no_such"),
        (("--method", "no_such"), "no_such"),
        (("--resize", "3,4,5"), "should be pixels"),
        (("--crop", "0"), "should be pixels"),
        (("--mean", "a"), "should be numbers"),
        (("--std", "0"), "expected numbers above 0"),
        (("--mode", "CMYK"), "CMYK"),
        (("--device", "abacus"), "cannot be used here"),
        (("--weights", "absent.pt"), "no weights file absent.pt"),
        (("--batch-size", "0"), "batch-size"),
    ],
)
def test_mistakes_are_one_message_and_leave_nothing(explain, folder, arguments, message):
    (folder / "pictures" / "deep" / "empty").mkdir()
    result = explain(**arguments) if isinstance(arguments, dict) else explain(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr
    assert isinstance(result.exception, SystemExit)
    assert not (folder / "run").exists()


def test_an_existing_run_is_replaced_only_on_request(explain, folder):
    assert explain("--limit", 2).exit_code == 0
    again = explain()
    assert again.exit_code == 2
    assert again.stderr == (
        "Error: run is not empty: it holds a run with --limit 2; ask that again to go on with it, give another folder, "
        "or --overwrite it\n"
    )
    assert len(table()) == 2
    assert explain("--overwrite").exit_code == 0
    assert len(table()) == 4


def test_pickle_with_code_is_refused_by_name(explain, folder):
    torch.save(load_model(f"{MODEL}:make"), folder / "w.pt")
    result = explain("--weights", "w.pt")
    assert result.exit_code == 2
    assert "could run any code on this machine" in result.stderr
    assert result.stderr.count("\n") == 1
    # The reason why it is a risk: reading the file needs the user's own code.
    assert "--unsafe-pickle" in result.stderr


def test_as_a_command_from_the_users_folder(folder, command):
    model = "network_of_cli_tests:make"
    finished = command("explain", "images", "--model", model, "--data", "pictures", "--out", "run")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "4 pictures explained in run\n"
    assert "explained" in finished.stderr
    assert json.loads((folder / "run" / "run.json").read_text())["status"] == "finished"
