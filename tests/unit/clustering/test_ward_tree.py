from itertools import combinations

import numpy as np
import pytest
from scipy.cluster.hierarchy import cut_tree as scipy_cut
from scipy.cluster.hierarchy import linkage

from ncdcli.clustering import ward_tree as module
from ncdcli.clustering.ward_tree import cut_tree, ward_tree


def blobs(seed, *, n=None, d=None):
    rng = np.random.default_rng(seed)
    n, d = n or rng.integers(2, 40), d or rng.integers(1, 6)
    return (rng.normal(size=(n, d)) + 4 * rng.normal(size=(5, d))[rng.integers(5, size=n)]).astype(np.float32)


def naive(rows):
    """k -> clusters, as one would tell it: of all pairs, unite that which raises the total sum of squares least."""
    rows = rows.astype(np.float64)
    clusters = [[row] for row in range(len(rows))]
    found = {}

    def spread(members):
        return np.square(rows[members] - rows[members].sum(axis=0) / len(members)).sum()

    def rise(pair):
        one, other = clusters[pair[0]], clusters[pair[1]]
        return spread(one + other) - spread(one) - spread(other)

    while True:
        labels = np.empty(len(rows), np.int64)
        for number, members in enumerate(sorted(map(sorted, clusters))):
            labels[members] = number
        found[len(clusters)] = labels
        if len(clusters) == 1:
            return found
        one, other = min(combinations(range(len(clusters)), 2), key=rise)
        clusters[one] += clusters.pop(other)


@pytest.mark.parametrize("seed", range(50))
def test_clusters_are_those_of_the_slow_definition(seed):
    rows = blobs(seed, n=12)
    tree = ward_tree(rows)
    for k, clusters in naive(rows).items():
        np.testing.assert_array_equal(cut_tree(tree, k), clusters)


@pytest.mark.parametrize("exact_rows", [4096, 0])
@pytest.mark.parametrize("seed", range(25))
def test_the_tree_is_that_of_scipy(monkeypatch, seed, exact_rows):
    monkeypatch.setattr(module, "_EXACT_ROWS", exact_rows)  # 0: distances in float32, as for many rows
    rows = blobs(seed)
    ours, theirs = ward_tree(rows), linkage(rows.astype(np.float64), "ward")
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    for k, clusters in enumerate(scipy_cut(theirs).T[::-1], start=1):  # all rows by themselves come first
        np.testing.assert_array_equal(cut_tree(ours, k), clusters)


def test_the_tree_of_many_rows_is_that_of_scipy(monkeypatch):
    monkeypatch.setattr(module, "_EXACT_ROWS", 1024)
    rows = blobs(0, n=1500, d=8)
    ours, theirs = ward_tree(rows), linkage(rows.astype(np.float64), "ward")
    np.testing.assert_allclose(ours[-200:, 2:], theirs[-200:, 2:], rtol=1e-6)
    np.testing.assert_array_equal(cut_tree(ours, 20), scipy_cut(theirs, 20).ravel())


@pytest.mark.parametrize("seed", range(10))
def test_a_weight_is_as_good_as_so_many_equal_rows(seed):
    rows, rng = blobs(seed, n=20), np.random.default_rng(seed)
    weights = rng.integers(1, 5, size=20)
    weighted = ward_tree(rows, weights=weights)
    repeated = ward_tree(np.repeat(rows, weights, axis=0))
    inner = repeated[-19:]
    np.testing.assert_allclose(weighted[:, 2:], inner[:, 2:], rtol=1e-5)
    for k in range(1, 20):
        np.testing.assert_array_equal(np.repeat(cut_tree(weighted, k), weights), cut_tree(repeated, k))


@pytest.mark.parametrize(("factor", "offset"), [(1e-20, 0), (1e12, 0), (1, 1e5)])
def test_tiny_huge_and_distant_rows_have_the_same_tree(factor, offset):
    rows = np.round(blobs(3, n=30, d=3) * 64) / 64
    moved = ((rows.astype(np.float64) + offset) * factor).astype(np.float32)
    np.testing.assert_allclose(ward_tree(moved)[:, 2], ward_tree(rows)[:, 2] * factor, rtol=1e-5)
    for k in (2, 5, 10):
        np.testing.assert_array_equal(cut_tree(ward_tree(moved), k), cut_tree(ward_tree(rows), k))


def test_equal_rows_are_never_torn_apart():
    rows = np.repeat(np.eye(3, dtype=np.float32) * np.float32(0.1), 4, axis=0)
    linkage = ward_tree(rows)
    assert (linkage[:9, 2] == 0).all()
    assert cut_tree(linkage, 7).tolist() == np.repeat([0, 1, 2], 4).tolist()
    assert cut_tree(linkage, 1).tolist() == [0] * 12


def test_equidistant_rows_are_merged():
    rows = np.eye(50, dtype=np.float32)
    linkage = ward_tree(rows)
    assert linkage[0, 2] == pytest.approx(np.sqrt(2))
    assert linkage[-1, 3] == 50


def test_a_single_row_is_a_tree_of_one_cluster():
    assert cut_tree(ward_tree(np.ones((1, 2), np.float32)), 1).tolist() == [0]


@pytest.mark.parametrize("k", [0, -1])
def test_no_clusters_cannot_be_cut(k):
    with pytest.raises(ValueError, match="cannot be cut"):
        cut_tree(ward_tree(np.ones((3, 2), np.float32)), k)
