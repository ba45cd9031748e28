import pytest
import torch
from counted_work import CountedWork
from hypothesis import given
from hypothesis import strategies as st

from sciexplain.runs import Answer, Explained, Sample
from sciexplain.runs.batches import Batches, Numbered, out_of_memory, outcomes

samples = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2)), max_size=60)


@given(samples, st.integers(1, 8), st.none() | st.integers(1, 30))
def test_every_sample_is_in_one_batch_that_fits(given_samples, most, numbers):
    batches = Batches(most, numbers)
    ones = [Numbered(n, Sample(str(n), "", None, size, bucket)) for n, (size, bucket) in enumerate(given_samples)]
    found = [batch for one in ones for batch in batches.add(one)] + list(batches.rest())
    assert sorted(one.number for batch in found for one in batch) == list(range(len(ones)))
    for batch in found:
        assert 0 < len(batch) <= most
        assert len({one.sample.bucket for one in batch}) == 1
        assert numbers is None or len(batch) == 1 or sum(one.sample.size for one in batch) <= numbers
        assert [one.number for one in batch] == sorted(one.number for one in batch)


@given(st.integers(1, 40), st.sets(st.integers(0, 39)))
def test_only_those_that_fail_alone_have_no_answer(count, bad):
    class Some(CountedWork):
        def explain(self, batch):
            if bad & {sample.content for sample in batch}:
                raise ValueError("bad")
            return super().explain(batch)

    batch = [Numbered(n, Sample(str(n), "", n, 1)) for n in range(count)]
    found = list(outcomes(Some(count), batch, Batches(50), strict=False))
    answers = {
        one.number: answer for outcome in found for one, answer in zip(outcome.batch, outcome.answers, strict=True)
    }
    assert sorted(answers) == list(range(count))
    assert {n for n, answer in answers.items() if not isinstance(answer, Answer)} == {n for n in bad if n < count}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory of your childhood"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error, expected):
    assert out_of_memory(error) is expected


def test_a_real_lack_of_memory_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert out_of_memory(caught.value)


def test_answers_may_be_errors_themselves():
    class Mixed(CountedWork):
        def explain(self, batch):
            found = super().explain(batch)
            return Explained([ValueError("no atoms"), *found.answers[1:]], found.unknown)

    batch = [Numbered(n, Sample(str(n), "", n, 1)) for n in range(3)]
    (outcome,) = outcomes(Mixed(3), batch, Batches(5), strict=True)
    assert [type(answer) for answer in outcome.answers] == [ValueError, Answer, Answer]
