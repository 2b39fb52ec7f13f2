"""Nearest centres, remembered: the same as looking at all of them every time."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ncdcli.clustering import narrow
from ncdcli.clustering.lloyd import lloyd
from ncdcli.clustering.narrow import NarrowNearest
from ncdcli.clustering.nearest import Nearest
from ncdcli.clustering.threads import threads_for


def naive_lloyd(rows, centres, iterations):
    """Labels and centres by all differences, in float64; empty clusters keep their centre."""
    rows, centres = rows.astype(np.float64), centres.astype(np.float64).copy()
    labels = None
    for _ in range(iterations):
        new = np.square(rows[:, None] - centres[None]).sum(axis=2).argmin(axis=1)
        if labels is not None and (new == labels).all():
            break
        labels = new
        for c in np.unique(labels):
            centres[c] = rows[labels == c].mean(axis=0)
    return np.square(rows[:, None] - centres[None]).sum(axis=2).argmin(axis=1), centres


@pytest.mark.parametrize("seed", range(50))
def test_lloyd_is_the_naive_one(seed: int, way: str) -> None:
    rng = np.random.default_rng(seed)
    n, d, k = int(rng.integers(60, 400)), int(rng.integers(1, 20)), int(rng.integers(1, 30))
    rows = (rng.normal(size=(k, d))[rng.integers(k, size=n)] * 2 + rng.normal(size=(n, d))).astype(np.float32)
    start = rows[rng.choice(n, k, replace=False)]
    labels, centres = naive_lloyd(rows, start, 200)
    if len(np.unique(labels)) < k:
        pytest.skip("a cluster ran empty, and only ours repairs it")
    ours = lloyd(rows, start, iterations=200)
    np.testing.assert_array_equal(ours.labels, labels)
    np.testing.assert_allclose(ours.centres, centres, rtol=1e-9, atol=1e-9)
    assert ours.objective == pytest.approx(np.square(rows - centres[labels]).sum(), rel=1e-9)


def test_centres_that_move_little_are_not_looked_at_again() -> None:
    rng = np.random.default_rng(0)
    centres = 2 * rng.normal(size=(40, 640)).astype(np.float32)
    rows = (centres[rng.integers(40, size=5000)] + rng.normal(size=(5000, 640))).astype(np.float32)
    nearest = Nearest(rows)
    for _ in range(12):
        labels = nearest(centres)
        full = np.stack([np.square(rows.astype(np.float64) - centre).sum(axis=1) for centre in centres], axis=1)
        np.testing.assert_array_equal(labels, full.argmin(axis=1))
        centres += 0.01 * rng.normal(size=centres.shape).astype(np.float32)
    assert 0 < nearest.looked_at < 0.5 * 12 * len(rows)


@pytest.mark.parametrize("d", [3, 400])
def test_of_equal_centres_the_first_wins_in_every_sweep(d: int, way: str) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, d)).astype(np.float32)
    centres = np.repeat(rng.normal(size=(4, d)), 2, axis=0)
    nearest = Nearest(rows)
    for _ in range(5):
        assert set(nearest(centres).tolist()) == {0, 2, 4, 6}
    # whatever the sweep before has left: every row in the cluster that is the second of two equal ones now
    swapped = nearest(np.roll(centres, 1, axis=0))
    np.testing.assert_array_equal(swapped, Nearest(rows)(np.roll(centres, 1, axis=0)))


@pytest.mark.parametrize("d", [3, 40])
def test_what_it_knows_of_its_rows_serves_the_next_lloyd(d: int, way: str) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5000, d)).astype(np.float32)
    nearest = Nearest(rows)
    for k in (9, 4, 12, 12):
        start = rows[rng.choice(len(rows), k, replace=False)]
        kept, alone = (lloyd(rows, start, iterations=30, nearest=each) for each in (nearest, None))
        np.testing.assert_array_equal(kept.labels, alone.labels)
        assert kept.objective == alone.objective


def test_rows_far_from_the_origin_keep_their_nearest_centre(way: str) -> None:
    """Where float32 cannot tell two centres apart, bounds do not pretend to."""
    rng = np.random.default_rng(0)
    rows = (100 + rng.normal(size=(2000, 4))).astype(np.float32)
    centres = (100 + rng.normal(size=(10, 4))).astype(np.float32)
    nearest, moves = Nearest(rows), rng.normal(size=(10, 10, 4)) * 0.003
    for move in moves:
        centres = (centres + move).astype(np.float32)
        np.testing.assert_array_equal(nearest(centres), Nearest(rows)(centres))


@pytest.mark.parametrize("k", [1, 2, 12, 300])
@pytest.mark.parametrize("r", [1, 3])
def test_of_several_sets_of_centres_each_row_gets_the_nearest_of_each(
    k: int, r: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(k)
    rows, centres = rng.normal(size=(700, 5)).astype(np.float32), rng.normal(size=(r, k, 5))
    monkeypatch.setattr(narrow, "_WORK", 1)  # blocks of the fewest rows
    labels = NarrowNearest(rows)(centres)
    with threadpool_limits(2, user_api="blas"), threads_for(10**12, 10):
        np.testing.assert_array_equal(NarrowNearest(rows)(centres), labels)
    differences = rows[:, None].astype(np.float64) - centres.astype(np.float32)[:, None]
    np.testing.assert_array_equal(labels, np.square(differences).sum(axis=3).argmin(axis=2))
    assert (NarrowNearest(rows)(np.repeat(centres[:, :1], k, axis=1)) == 0).all()  # the first of equal ones
