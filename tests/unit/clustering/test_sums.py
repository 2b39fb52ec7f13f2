"""Sums of rows by cluster, and of squares."""

from __future__ import annotations

import numpy as np
import pytest

from ncdcli.clustering.sums import RowSums, group_sums, inertia


def test_sums_by_cluster_of_a_partition_and_of_the_next():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 7)).astype(np.float32)
    first, second = rng.integers(4, size=(2, 1, 300))  # the last cluster is empty
    sums = RowSums(rows)
    begun = sums.follow(np.zeros((1, 5, 7)), None, first)
    np.testing.assert_array_equal(begun[0], group_sums(rows, first[0], 5))
    expected = np.stack([rows[first[0] == c].sum(axis=0, dtype=np.float64) for c in range(5)])
    np.testing.assert_allclose(begun[0], expected, atol=1e-9)
    kept = begun.copy()
    np.testing.assert_allclose(sums.follow(begun, first, second)[0], group_sums(rows, second[0], 5), atol=1e-9)
    np.testing.assert_array_equal(begun, kept)  # a new array


@pytest.mark.parametrize(("n", "d"), [(300, 7), (3_000, 400), (0, 3), (5, 0)])
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
