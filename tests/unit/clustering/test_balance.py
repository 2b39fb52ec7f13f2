"""Clusters of bounded size."""

from __future__ import annotations

import numpy as np
import pytest

from ncdcli.clustering.balance import balanced_nearest, capacities
from ncdcli.clustering.lloyd import lloyd


def test_room_is_the_mean_size_less_the_pinned_rows() -> None:
    np.testing.assert_array_equal(capacities(80, np.array([20, 0, 0, 0]), 1.0), [5, 25, 25, 25])
    np.testing.assert_array_equal(capacities(80, np.array([20, 0, 0, 0]), 2.0), [30, 50, 50, 50])


def test_pinned_rows_that_fill_a_cluster_leave_the_others_room_for_all() -> None:
    room = capacities(10, np.array([100, 0, 0]), 1.0)
    assert room[0] == 0
    assert room.sum() >= 10


@pytest.mark.parametrize("seed", range(50))
def test_no_row_and_centre_would_both_rather_have_each_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, k, d = int(rng.integers(5, 120)), int(rng.integers(1, 8)), int(rng.integers(1, 5))
    rows, centres = rng.normal(size=(n, d)).astype(np.float32), rng.normal(size=(k, d))
    room = capacities(n, rng.integers(0, 4, size=k), 1.0)
    labels = balanced_nearest(rows, centres, room)
    sizes = np.bincount(labels, minlength=k)
    assert (sizes <= room).all()
    distances = np.linalg.norm(rows[:, None] - centres[None], axis=2)
    for row in range(n):
        for cluster in np.flatnonzero(distances[row] < distances[row, labels[row]] - 1e-5):
            assert sizes[cluster] == room[cluster]
            assert distances[labels == cluster, cluster].max(initial=0) <= distances[row, cluster] + 1e-5


def test_lloyd_keeps_clusters_balanced() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(190, 2)), rng.normal(size=(10, 2)) + 20]).astype(np.float32)
    start = rows[[0, 199]]
    assert sorted(np.bincount(lloyd(rows, start, iterations=20).labels)) == [10, 190]
    assert sorted(np.bincount(lloyd(rows, start, iterations=20, balance=1.0).labels)) == [100, 100]
    assert sorted(np.bincount(lloyd(rows, start, iterations=20, balance=1.5).labels)) == [50, 150]
