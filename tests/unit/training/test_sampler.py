from __future__ import annotations

import numpy as np
import pytest

from ncdcli.training.sampler import EpochPlan, n_batches, plan_epoch

STREAM = np.random.SeedSequence(7)


def plan(labels: list[int], *, epoch: int = 0, sampler: str = "shuffle", batch_size: int = 4) -> EpochPlan:
    rows = 10 * np.arange(len(labels))
    return plan_epoch(
        STREAM, epoch=epoch, rows=rows, labels=np.array(labels), sampler=sampler, batch_size=batch_size, views=2
    )


def test_shuffle_sees_each_row_once_in_an_order_of_the_epoch() -> None:
    first, second = plan([-1] * 50), plan([-1] * 50, epoch=1)
    assert sorted(first.order.tolist()) == list(range(0, 500, 10))
    assert first.order.tolist() != second.order.tolist()
    assert not np.array_equal(first.uniforms, second.uniforms)
    again = plan([-1] * 50)
    assert np.array_equal(first.order, again.order)
    assert np.array_equal(first.uniforms, again.uniforms)


def test_the_same_order_is_that_of_the_first_epoch() -> None:
    kept = [plan([-1] * 50, epoch=epoch, sampler="same_order") for epoch in (0, 3)]
    assert kept[0].order.tolist() == kept[1].order.tolist() == plan([-1] * 50).order.tolist()
    assert not np.array_equal(kept[0].uniforms, kept[1].uniforms)


def test_balanced_draws_labelled_and_unlabelled_rows_half_and_half() -> None:
    labels = [0] * 300 + [-1] * 2700
    drawn = plan(labels, sampler="balanced").order // 10
    assert len(drawn) == 3000
    # Binomial(3000, 1/2): sd 27.4; each labelled row has weight 1 and each unlabelled one |L| / |U|.
    assert abs(int((drawn < 300).sum()) - 1500) < 5 * 27.4


def test_balanced_with_labelled_rows_only_is_a_shuffle() -> None:
    assert sorted(plan([0, 1, 1], sampler="balanced").order.tolist()) == [0, 10, 20]


@pytest.mark.parametrize(
    ("samples", "batch_size", "expected"), [(8, 4, 2), (9, 4, 2), (10, 4, 3), (3, 128, 1), (2, 2, 1)]
)
def test_a_last_batch_of_one_is_left_out(samples: int, batch_size: int, expected: int) -> None:
    assert n_batches(samples, batch_size) == expected


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_parts_of_processes_join_to_the_batch(processes: int) -> None:
    whole = plan([-1] * 11)
    for batch in range(whole.n_batches):
        parts = [whole.order[whole.part(batch, rank=rank, processes=processes)] for rank in range(processes)]
        assert np.array_equal(np.concatenate(parts), whole.order[whole.part(batch)])
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
