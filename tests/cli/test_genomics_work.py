"""Sequences of a run: read from anywhere, explained as alone, and gathered again as if explained together."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from sciexplain.cli.genomics_gathered import gathered
from sciexplain.cli.genomics_work import SequenceWork
from sciexplain.errors import DataError, InputError
from sciexplain.runs import Answer, Failure, Finding, Local, Run, RunFolder, Sample, explain_all, open_run

OPTIONS: dict[str, Any] = {
    "model": "net:make", "data": "some.fa", "genome": None, "genes": None, "motifs": None, "gene_sets": None,
    "method": "lrp", "composite": None, "reference": None, "strand": "+", "target": None, "head": None, "layout": None,
    "tokenizer": None, "alphabet": None, "ambiguous": "zero", "length": None, "pad": False, "sequence": None,
    "name": None, "fdr": 0.05, "sign": "positive", "shuffles": None, "distance": 1000, "hits": 1e-4, "min_seqlets": 20,
    "pictures": 1, "surface_limit": 1000, "seed": 3,
}  # fmt: skip


class Silent:
    def begin(self, total: int | None, done: int, failed: int) -> None: ...
    def advance(self, done: Any) -> None: ...
    def say(self, text: str) -> None: ...


def network(length: int | None = None) -> nn.Module:
    """Of any length, or with a dense layer for one."""
    torch.manual_seed(0)
    last = [nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(6, 2)]
    if length is not None:
        last = [nn.Flatten(), nn.Linear(6 * (length - 4), 2)]
    return nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(), *last).eval()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sequences of 30, 40 and 12 letters on either strand of a chromosome or nowhere, and some that are none."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    parts = []
    for i in range(40):
        length = (12, 30, 40)[2 if i % 5 == 0 else 0 if i % 7 == 3 else 1]
        letters = "".join(rng.choice(list("ACGT"), length))
        place = f"chr1:{100 * i}-{100 * i + length}({'+-'[i % 2]})" if i % 4 else f"s{i}"
        parts.append(f">{place}\n{letters[:20]}\n{letters[20:]}\n")
    parts[2] = ">none\n"
    parts[9] = ">unknown\nNNnnNN\n"
    parts[11] = parts[11].replace("A", "R", 1)
    parts[20] = ">odd\nAC!GT\n"
    (tmp_path / "some.fa").write_text("".join(parts))
    return tmp_path / "some.fa"


class OnlyRows(SequenceWork):
    def finish(self, run: Run, say: Any) -> Finding:
        return Finding()


def run_of(work: SequenceWork, path: Path, **options: Any) -> Run:
    with RunFolder(path, {"command": "explain genomics", "options": {}}) as folder:
        explain_all(work, Local(work), folder, Silent(), pictures=0, **options)
    return open_run(path)


def test_reading_goes_on_anywhere(data: Path) -> None:
    work = SequenceWork.asked(network(), data, OPTIONS)
    every = list(work.read())
    assert work.count() == len(every) == 40
    assert [number for number, one in enumerate(every) if isinstance(one, Failure)] == [2, 9, 20]
    assert isinstance(every[9], Failure) and every[9].reason == "has no letters but N"
    for start in (0, 7, 9, 39, 40, 50):
        assert list(work.read(start)) == every[start:]
    sample = every[1]
    assert isinstance(sample, Sample)
    assert (sample.id, sample.input, sample.size, sample.bucket) == (
        "chr1:100-130(-)", "chr1:100-130(-)", 4 * 30, 30,
    )  # fmt: skip
    assert [None if one is None else one.name for one in work.at([1, 2, 4])] == ["chr1:100-130(-)", None, "s4"]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"strand": "both", "ambiguous": "average"},
        {"method": "deepshap", "reference": "3"},
        {"method": "mutagenesis", "target": 1},
        {"composite": "epsilon_plus_flat"},  # without hypothetical contributions
    ],
)
def test_a_run_gathered_is_the_explanation_of_all(data: Path, tmp_path: Path, asked: dict[str, Any]) -> None:
    """Whatever the batches and shards were: shuffles, too, depend on a sequence alone."""
    options = OPTIONS | asked
    work = OnlyRows.asked(network(), data, options)
    run = run_of(work, tmp_path / "run", batch_size=3, shard=7)
    rows = run.rows.to_table().to_pylist()
    assert len(rows) == 37 and {len(row["relevance"]) for row in rows} == {12, 30, 40}

    found = gathered(run, work.question, 1000)
    assert found is not None and len(found.notes) == 1 and "other lengths" in found.notes[0]
    records = [one for one in work.at([row["number"] for row in rows]) if one is not None and len(one) == 30]
    expected = work.question.answer(work.question.encoded(records))
    e = found.explanation
    assert e.sequences.names == expected.sequences.names and e.sequences.intervals == expected.sequences.intervals
    assert torch.equal(e.sequences.inputs, expected.sequences.inputs)
    numbers = [row["number"] for row in rows if len(row["relevance"]) == 30]
    assert found.numbers.tolist() == numbers
    close = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(e.nucleotides, expected.nucleotides, **close)
    torch.testing.assert_close(e.contributions, expected.contributions, **close)
    torch.testing.assert_close(e.score, expected.score, **close)
    torch.testing.assert_close(e.target, expected.target)
    assert e.has_hypothetical == expected.has_hypothetical == ("composite" not in asked)
    if e.has_hypothetical:
        torch.testing.assert_close(e.hypothetical, expected.hypothetical, **close)
    assert (e.method, e.strand) == (options["method"], options["strand"])
    other = expected.sequences.with_letters(expected.sequences.one_hot.flip(0))
    assert e.again is not None and expected.again is not None
    torch.testing.assert_close(e.again(other).nucleotides, expected.again(other).nucleotides, **close)

    by_row = dict(zip(numbers, e.nucleotides, strict=True))
    for row in rows:
        if row["number"] in by_row:
            np.testing.assert_allclose(row["relevance"], by_row[row["number"]], rtol=1e-6)


def test_the_table_of_nucleotides_is_that_of_the_explanation(data: Path, tmp_path: Path) -> None:
    work = OnlyRows.asked(network(), data, OPTIONS)
    run = run_of(work, tmp_path / "run", batch_size=3, shard=7)
    found = gathered(run, work.question, 1000)
    assert found is not None
    found.explanation.to_parquet(tmp_path / "whole.parquet")
    whole = pq.read_table(tmp_path / "whole.parquet").to_pandas()
    parts = run.table("nucleotides").to_table().to_pandas()
    mine = parts[parts["number"].isin(found.numbers)]
    assert list(mine.columns) == ["number", *whole.columns[1:]]
    assert mine["number"].tolist() == found.numbers[whole["row"]].tolist()
    given = mine["letter"].to_numpy()
    assert set(given) == set("ACGTR") and (given == "R").sum() == 1  # as it was read
    whole.loc[given == "R", "letter"] = "R"
    pd.testing.assert_frame_equal(mine.iloc[:, 1:].reset_index(drop=True), whole.iloc[:, 1:])


def test_evenly_drawn_where_there_are_too_many(data: Path, tmp_path: Path) -> None:
    work = OnlyRows.asked(network(), data, OPTIONS)
    run = run_of(work, tmp_path / "run", batch_size=3, shard=7)
    every, some = gathered(run, work.question, 1000), gathered(run, work.question, 6)
    assert every is not None and some is not None and len(some.numbers) == len(some.explanation) == 6
    assert some.notes[1] == "sites and motifs: of 6 sequences, evenly drawn of 37 (--surface-limit)"
    places = np.searchsorted(every.numbers, some.numbers)
    assert np.ptp(np.diff(places)) <= 1 and np.isin(some.numbers, every.numbers).all()
    torch.testing.assert_close(some.explanation.nucleotides, every.explanation.nucleotides[places.tolist()])


def test_a_table_that_does_not_fit_the_rows_is_told(data: Path, tmp_path: Path) -> None:
    work = OnlyRows.asked(network(), data, OPTIONS)
    run = run_of(work, tmp_path / "run", batch_size=3, shard=7)
    part = tmp_path / "run" / "nucleotides.parquet" / "part-000001.parquet"
    table = pq.read_table(part)
    pq.write_table(table.slice(table.num_rows), part)
    with pytest.raises(DataError, match=r"has \d+ of 25 sequences of the rows; run it anew"):
        gathered(run, work.question, 1000)


def test_a_model_of_one_length_fails_the_others(data: Path) -> None:
    """The layout is found from the first length that the model takes, wherever in the file it is."""
    work = SequenceWork.asked(network(30), data, OPTIONS)
    samples = [one for one in work.read() if isinstance(one, Sample)]
    assert samples[0].bucket == 40
    assert work.question.layout == "NCL"
    assert isinstance(work.explain([s for s in samples if s.bucket == 30][:2]).answers[0], Answer)
    with pytest.raises(Exception, match="mat1 and mat2"):
        work.explain(samples[:1])
    none = SequenceWork.asked(network(90), data, OPTIONS)
    with pytest.raises(InputError, match="in neither layout"):
        none.explain(samples[:1])


def test_undefined_outputs_are_those_of_their_samples(data: Path) -> None:
    class Undefined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            outputs: torch.Tensor = self.net(x)
            return outputs.where(x[:, :1, 0] == 0, torch.nan)  # where the first letter is no A

    work = SequenceWork.asked(Undefined(), data, OPTIONS)
    samples = [one for one in work.read() if isinstance(one, Sample) and one.bucket == 30]
    answers = work.explain(samples).answers
    wrong = [s.content.sequence[0] == "A" for s in samples]
    assert any(wrong) and [isinstance(answer, Exception) for answer in answers] == wrong


def test_what_surfaces_can_be_written_again(data: Path, tmp_path: Path) -> None:
    work = SequenceWork.asked(network(), data, OPTIONS)
    run = run_of(work, tmp_path / "run", batch_size=3, shard=7)
    first = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    assert {"sites.parquet", "motifs.html", "modisco.h5"} <= set(first)
    again = SequenceWork.asked(network(), data, OPTIONS).finish(run, lambda text: None)
    assert dict(again.entries)["surfaced"] == run.info["surfaced"]
    for name in ("sites.parquet", "motifs.html"):
        assert (run.path / name).read_bytes() == first[name]
    page = first["motifs.html"].decode()
    assert "has no letters but N" in page and "nucleotides.parquet" in page


def test_long_sequences_are_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sciexplain.cli.genomics_work.LONGEST_EXPLAINED", 35)
    failures = [one for one in SequenceWork.asked(network(), data, OPTIONS).read() if isinstance(one, Failure)]
    assert sum("has 40 letters; expected at most 35" in failure.reason for failure in failures) == 7
