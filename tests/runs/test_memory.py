import numpy as np
import pytest
import torch
from counted_work import CountedWork

from sciexplain.errors import TargetError
from sciexplain.runs import Explained, Failure, Sample
from sciexplain.runs.memory import available, planned


class Hungry(CountedWork):
    """Takes so many bytes for each number."""

    most = 1000
    shard = 512

    def __init__(self, each, size=1000, **options):
        super().__init__(50, **options)
        self.each, self.size = each, size

    def read(self, start=0):
        for attempt in super().read(start):
            yield Sample(attempt.id, "", 0, self.size) if isinstance(attempt, Sample) else attempt

    def explain(self, samples):
        taken = np.ones(self.each * self.size * len(samples) // 8)
        assert taken.sum()
        return Explained([])


def test_batches_take_a_share_of_the_memory():
    plan = planned(Hungry(20_000))
    free = available(torch.device("cpu"))
    assert plan.samples == 1000
    assert 0.2 * free < 20_000 * plan.numbers < 0.7 * free


def test_a_sample_too_large_for_it_is_a_batch_of_its_own(monkeypatch):
    monkeypatch.setattr("sciexplain.runs.memory.available", lambda device: 1000)
    assert planned(Hungry(20_000)).numbers == 1000


def test_shards_hold_a_minute_and_so_many_relevances():
    assert planned(Hungry(8, size=1 << 21)).shard == 32
    assert planned(Hungry(8)).shard == 512


def test_what_is_asked_for_is_taken():
    work = Hungry(8)
    assert planned(work, batch_size=3, shard=7) == (3, None, 7)
    assert planned(work, batch_size=3)[:2] == (3, None)
    assert planned(work, shard=7).shard == 7


def test_a_wrong_question_is_told_here_already():
    class Wrong(Hungry):
        wrong_question = (TargetError,)

        def explain(self, samples):
            raise TargetError("no class 12")

    with pytest.raises(TargetError):
        planned(Wrong(8))


def test_samples_that_fail_leave_it_to_the_run():
    class Failing(Hungry):
        def explain(self, samples):
            raise RuntimeError("mat1 and mat2")

    assert planned(Failing(8)) == (1000, None, 512)


def test_nothing_to_read_is_no_error():
    class Unreadable(Hungry):
        def read(self, start=0):
            yield Failure("a", "b", "c", "read")

    assert planned(Unreadable(8)) == (1000, None, 512)
