import numpy as np
import pytest

from ncdcli.clustering import seeding
from ncdcli.clustering.seeding import draw_rows, nearest_squared, plus_plus


def generators(count, seed=0):
    return np.random.default_rng(seed).spawn(count)


def test_second_centre_is_drawn_in_proportion_to_squared_distance():
    # From the known centre 0 the squared distances are 1, 4 and 9.
    rows = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32)
    drawn = plus_plus(rows, 1, rngs=generators(6000), known=np.zeros((1, 1)))[:, 0]
    share = np.bincount(drawn, minlength=4) / 6000
    np.testing.assert_allclose(share, [0, 1 / 14, 4 / 14, 9 / 14], atol=0.02)


def test_with_power_1_it_is_drawn_in_proportion_to_distance():
    rows = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32)
    drawn = plus_plus(rows, 1, rngs=generators(6000), known=np.zeros((1, 1)), power=1)[:, 0]
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 6000, [0, 1 / 6, 2 / 6, 3 / 6], atol=0.02)


def test_the_third_centre_looks_at_both_earlier_ones():
    # Known 0 and 10: rows 0 and 10 are taken, row 1 has squared distance 1, row 7 has 9 (to 10, not 49 to 0).
    rows = np.array([[0.0], [10.0], [1.0], [7.0]], np.float32)
    drawn = plus_plus(rows, 1, rngs=generators(6000), known=np.array([[0.0], [10.0]]))[:, 0]
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 6000, [0, 0, 0.1, 0.9], atol=0.015)


def test_separated_groups_each_get_a_centre():
    rng = np.random.default_rng(1)
    rows = np.repeat(np.eye(6) * 1000, 20, axis=0) + rng.normal(size=(120, 6)) * 1e-3
    chosen = plus_plus(rows.astype(np.float32), 6, rngs=generators(5))
    for row in chosen:
        assert sorted(row // 20) == list(range(6))


def test_fewer_distinct_rows_than_centres_draws_every_distinct_one_first():
    rows = np.repeat(np.array([[0.3, 0.1], [5.7, 2.2], [1e3, 7.0]], np.float32), 4, axis=0)
    for chosen in plus_plus(rows, 6, rngs=generators(10)):
        assert sorted(chosen[:3] // 4) == [0, 1, 2]
        assert len(set(chosen)) == 6


def test_all_zero_rows_are_drawn_without_repetition():
    chosen = plus_plus(np.zeros((5, 3), np.float32), 5, rngs=generators(2))
    assert all(sorted(row) == [0, 1, 2, 3, 4] for row in chosen)


def test_many_restarts_are_seeded_in_groups_with_their_own_streams():
    rows = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    chosen = plus_plus(rows, 3, rngs=generators(40))
    assert chosen.shape == (40, 3)
    assert len({tuple(row) for row in chosen}) > 35
    np.testing.assert_array_equal(chosen, plus_plus(rows, 3, rngs=generators(40)))


def test_nearest_squared_distance():
    rng = np.random.default_rng(2)
    rows, centres = rng.normal(size=(50, 7)).astype(np.float32), rng.normal(size=(4, 7)).astype(np.float32)
    expected = ((rows[:, None] - centres) ** 2).sum(axis=2).min(axis=1)
    np.testing.assert_allclose(nearest_squared(rows, centres), expected, rtol=1e-4)


def test_random_rows_are_distinct():
    chosen = draw_rows(np.ones((10, 2), np.float32), 10, "random", rngs=generators(3))
    assert all(sorted(row) == list(range(10)) for row in chosen)


def restated_greedy(rows, count, rng) -> list[int]:
    """Greedy k-means++ with every distance written out."""
    chosen = [int(rng.integers(len(rows)))]
    for _ in range(count - 1):
        nearest = ((rows[:, None] - rows[chosen]) ** 2).sum(axis=2).min(axis=1)
        cumulative = np.cumsum(nearest)
        drawn = [
            int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
            for _ in range(2 + int(np.log(count)))
        ]
        left = [np.minimum(nearest, ((rows - rows[row]) ** 2).sum(axis=1)).sum() for row in drawn]
        chosen.append(drawn[int(np.argmin(left))])
    return chosen


@pytest.mark.parametrize("kept", [True, False], ids=["distances kept", "computed again"])
def test_greedy_takes_the_candidate_that_leaves_least(kept, monkeypatch):
    monkeypatch.setattr(seeding, "_KEPT", 2**24 if kept else 0)
    monkeypatch.setattr(seeding, "_BLOCK", 256 * 3)
    rows = np.random.default_rng(0).normal(size=(1000, 4)).astype(np.float32)
    chosen = plus_plus(rows, 8, rngs=generators(20), greedy=True)
    expected = [restated_greedy(rows.astype(np.float64), 8, rng) for rng in generators(20)]
    np.testing.assert_array_equal(chosen, expected)


def test_greedy_starts_are_nearer_to_the_rows():
    rows = np.random.default_rng(1).normal(size=(2000, 3)).astype(np.float32)
    sums = {
        greedy: np.mean(
            [
                nearest_squared(rows, rows[start]).sum()
                for start in plus_plus(rows, 20, rngs=generators(20), greedy=greedy)
            ]
        )
        for greedy in (False, True)
    }
    assert sums[True] < sums[False]
