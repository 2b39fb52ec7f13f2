"""Sums of rows by cluster: the same as one row at a time, whatever way is taken."""

from __future__ import annotations

import numpy as np
import pytest

from ncdcli.clustering.sums import RowSums, group_sums, inertia, moved_sums

SIZES = [(300, 7), (3_000, 400)]  # kept in float64; in blocks


def obvious(rows, labels, k):
    sums = np.zeros((k, rows.shape[1]))
    for row, label in zip(rows.astype(np.float64), labels, strict=True):
        sums[label] += row
    return sums


@pytest.mark.parametrize(("n", "d"), SIZES)
@pytest.mark.parametrize("r", [1, 3])
def test_sums_of_one_partition_after_another(n, d, r):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, d)).astype(np.float32)
    sums = RowSums(rows)
    for k in (4, 4, 6):
        labels = rng.integers(k - 1, size=(r, n))  # the last cluster is empty
        expected = np.stack([obvious(rows, own, k) for own in labels])
        np.testing.assert_allclose(sums.of(labels, k), expected, atol=1e-9)
        np.testing.assert_allclose(group_sums(rows, labels[0], k), expected[0], atol=1e-9)


@pytest.mark.parametrize("d", [300, 400])  # kept in float64; in blocks
@pytest.mark.parametrize("moved", [0, 5, 2_900])
def test_sums_after_some_rows_have_moved(moved, d):
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(3_000, d)).astype(np.float32)
    old = rng.integers(5, size=(2, 3_000))
    new = old.copy()
    new[1, :moved] = (new[1, :moved] + 1) % 5
    new[0, :2] = (new[0, :2] + 2) % 5  # rows that move in both partitions
    sums = RowSums(rows)
    after = sums.after(sums.of(old, 5), old, new)
    if moved == 2_900:
        assert after is None  # quicker anew
    else:
        np.testing.assert_allclose(after, sums.of(new, 5), atol=1e-9)
        np.testing.assert_allclose(sums.of(new[:1], 5), sums.of(new, 5)[:1], atol=1e-9)  # one run less
    run, row = np.nonzero(old != new)
    change = moved_sums(rows[row], run, old[run, row], new[run, row], (2, 5, d))
    np.testing.assert_allclose(sums.of(old, 5) + change, sums.of(new, 5), atol=1e-9)


@pytest.mark.parametrize(("n", "d"), [*SIZES, (0, 3), (5, 0)])
def test_squared_lengths(n, d):
    rows = np.random.default_rng(2).normal(size=(n, d)).astype(np.float32)
    expected = np.square(rows.astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(RowSums(rows).lengths, expected, rtol=1e-12)
    assert RowSums(rows).squares == pytest.approx(expected.sum(), rel=1e-12)


def test_inertia_is_the_sum_of_squared_differences():
    rng = np.random.default_rng(3)
    rows, centres, labels = (
        rng.normal(size=(2_500, 6)).astype(np.float32),
        rng.normal(size=(4, 6)),
        np.arange(2_500) % 4,
    )
    expected = sum(np.square(row - centres[c]).sum() for row, c in zip(rows.astype(np.float64), labels, strict=True))
    assert inertia(rows, labels, centres) == pytest.approx(expected, rel=1e-12)
