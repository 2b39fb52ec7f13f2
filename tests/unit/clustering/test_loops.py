"""The inner loops, compiled and in NumPy: what one row after the other gives, and the same as each other."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from ncdcli.clustering import loops, plain
from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import KMeans
from ncdcli.clustering.kmeans import cluster

WAYS = [plain] + ([loops] if loops.COMPILED else [])
either = pytest.mark.parametrize("way", WAYS, ids=["NumPy", "compiled"][: len(WAYS)])
compiled = pytest.mark.skipif(not loops.COMPILED, reason="ncd was installed without a C compiler, or AVX2 is missing")


def drawn(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def obvious_sums(rows, labels, k):
    sums = np.zeros((k, rows.shape[1]))
    for row, label in zip(rows.astype(np.float64), labels, strict=True):
        sums[label] += row
    return sums


@either
@pytest.mark.parametrize("k", [1, 2, 3, 4, 100, 300])
@pytest.mark.parametrize(("r", "d"), [(1, 5), (3, 1), (3, 40)])
def test_each_row_gets_the_nearest_of_each_set_of_centres(way, k, r, d):
    for n in (1, 31, 32, 33, 700):  # a panel has 32 rows
        rows, centres = drawn(n, d), np.random.default_rng(k).normal(size=(r, k, d))
        labels, packed = np.full((r, n), -7), way.pack(rows)
        half = n // 2 // way.STEP * way.STEP
        for first, last in ((half, n), (0, half)):
            way.nearest(packed, centres, labels, first, last)
        differences = rows[:, None].astype(np.float64) - centres.astype(np.float32)[:, None]
        squared = np.square(differences).sum(axis=3)
        chosen = np.take_along_axis(squared, labels[:, :, None], axis=2)[:, :, 0]
        noise = 1e-5 * (1 + np.square(rows, dtype=np.float64).sum(axis=1))  # where float32 cannot tell two apart
        assert (chosen <= squared.min(axis=2) + noise).all()
        if d > 1:
            np.testing.assert_array_equal(labels, squared.argmin(axis=2))


@either
def test_of_equally_near_centres_it_is_the_first(way):
    rows, labels = drawn(50, 6), np.empty((1, 50), np.int64)
    way.nearest(way.pack(rows), np.tile(drawn(1, 6, seed=1), (7, 1))[None].astype(np.float64), labels, 0, 50)
    assert not labels.any()


@either
def test_rows_without_columns_are_all_in_the_first_cluster(way):
    labels = np.full((1, 5), -7)
    way.nearest(way.pack(np.empty((5, 0), np.float32)), np.empty((1, 3, 0)), labels, 0, 5)
    assert not labels.any()


@either
@pytest.mark.parametrize("k", [1, 2, 7, 8, 9, 16, 63, 200])
def test_the_two_least_of_every_row(way, k):
    rng = np.random.default_rng(k)
    products = rng.integers(-9, 9, size=(500, k)).astype(np.float32)  # many are equal
    lengths = rng.integers(9, size=k).astype(np.float32)
    numbers = products + lengths
    for second in (np.empty(500, np.float32), None):
        places, least = np.empty(500, np.int64), np.empty(500, np.float32)
        way.two_least(products.copy(), lengths, places, least, second)
        np.testing.assert_array_equal(places, numbers.argmin(axis=1))
        np.testing.assert_array_equal(least, numbers.min(axis=1))
        if second is not None:
            np.testing.assert_array_equal(second, np.sort(np.c_[numbers, np.full(500, np.inf)], axis=1)[:, 1])


@either
def test_tally_counts_the_rows_of_clusters_and_those_that_moved(way):
    rng = np.random.default_rng(0)
    before, after = rng.integers(-1, 5, size=(3, 400)), rng.integers(5, size=(3, 400))
    before[2] = after[2]
    counts, moved = np.full((3, 6), 10), np.zeros(3, np.int64)
    way.tally(before, after, counts, moved)
    np.testing.assert_array_equal(counts - 10, [[(own == c).sum() for c in range(6)] for own in after])
    np.testing.assert_array_equal(moved, (before != after).sum(axis=1))
    assert moved[2] == 0


@either
@pytest.mark.parametrize(("n", "d"), [(300, 7), (3_000, 400), (4, 1), (0, 3), (5, 0)])
def test_sums_follow_the_rows(way, n, d):
    rng, rows = np.random.default_rng(1), drawn(n, d)
    first, second = rng.integers(4, size=(2, n)), rng.integers(4, size=(2, n))  # the fifth cluster is empty
    second[1] = first[1]
    sums = np.ones((2, 5, d))
    way.follow(rows, None, first, sums)
    expected = np.stack([obvious_sums(rows, labels, 5) for labels in first])
    np.testing.assert_allclose(sums - 1, expected, atol=1e-9)
    still = sums[1].copy()
    way.follow(rows, first, second, sums)
    np.testing.assert_allclose(sums[0] - 1, obvious_sums(rows, second[0], 5), atol=1e-9)
    np.testing.assert_array_equal(sums[1], still)
    nowhere = np.full_like(first, -1)
    again = np.ones((2, 5, d))
    way.follow(rows, nowhere, first, again)
    np.testing.assert_allclose(again - 1, expected, atol=1e-9)


@either
@pytest.mark.parametrize(("n", "d"), [(300, 7), (3_000, 400), (9, 1), (0, 3), (5, 0)])
def test_moments_are_sums_of_columns_and_of_their_squares(way, n, d):
    rows, out = drawn(n, d), np.ones((2, d))
    way.moments(rows, out)
    exact = rows.astype(np.float64)
    np.testing.assert_allclose(out, 1 + np.stack([exact.sum(axis=0), np.square(exact).sum(axis=0)]), atol=1e-9)


@compiled
@pytest.mark.parametrize(("n", "d"), [(300, 7), (3_000, 400), (5_000, 1), (5_000, 2), (5_000, 3)])
def test_compiled_sums_are_those_of_numpy_to_the_last_bit(n, d):
    rng, rows = np.random.default_rng(2), drawn(n, d)
    first, second = rng.integers(-1, 6, size=(2, n)), rng.integers(6, size=(2, n))
    found = []
    for way in (loops, plain):
        sums, moments = rng.normal(size=(2, 6, d)) if not found else found[0][2].copy(), np.zeros((2, d))
        begun = sums.copy()
        way.follow(rows, first, second, sums)
        way.moments(rows, moments)
        found.append((sums, moments, begun))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


@either
@pytest.mark.parametrize("wrong", [-2, 5])
def test_a_cluster_that_there_is_none_of_is_an_error(way, wrong):
    rows, labels = drawn(10, 3), np.zeros((1, 10), np.int64)
    other = labels.copy()
    other[0, 7] = wrong
    with pytest.raises(IndexError, match="none of the k"):
        way.follow(rows, labels, other, np.zeros((1, 5, 3)))
    with pytest.raises(IndexError, match="none of the k"):
        way.follow(rows, other, labels, np.zeros((1, 5, 3)))
    with pytest.raises(IndexError, match="none of the k"):
        way.tally(labels, other, np.zeros((1, 5), np.int64), np.zeros(1, np.int64))


@compiled
def test_compiled_loops_refuse_arrays_that_do_not_fit():
    rows, labels = drawn(10, 3), np.zeros((1, 10), np.int64)
    packed, centres = loops.pack(rows), np.zeros((1, 2, 3))
    for call in (
        lambda: loops.nearest(packed, np.zeros((1, 2, 4)), labels, 0, 10),
        lambda: loops.nearest(packed, np.zeros((1, 0, 3)), labels, 0, 10),
        lambda: loops.nearest(packed, np.zeros((2, 2, 3)), labels, 0, 10),
        lambda: loops.nearest(packed, centres, labels, 1, 10),
        lambda: loops.nearest(packed, centres, labels, 0, 11),
        lambda: loops.nearest(packed, centres, np.zeros((1, 99), np.int64), 0, 99),
        lambda: loops.two_least(rows, np.zeros(2, np.float32), labels[0], rows[0].copy(), None),
        lambda: loops.two_least(rows, np.zeros(3, np.float32), labels[0], np.zeros(10, np.float32), rows[0].copy()),
        lambda: loops.tally(labels, labels[:, :9].copy(), np.zeros((1, 2), np.int64), np.zeros(1, np.int64)),
        lambda: loops.follow(rows, None, labels[:, :9].copy(), np.zeros((1, 2, 3))),
        lambda: loops.follow(rows, labels[:, :9].copy(), labels, np.zeros((1, 2, 3))),
        lambda: loops.follow(rows, None, labels, np.zeros((1, 2, 4))),
        lambda: loops.moments(rows, np.zeros((2, 4))),
        lambda: loops.pack(rows.astype(np.float64)),
        lambda: loops.pack(np.asfortranarray(rows)),
    ):
        with pytest.raises(ValueError):
            call()


def without_compiled(monkeypatch):
    """The module `loops` as it is where nothing was compiled."""
    monkeypatch.setitem(sys.modules, "ncdcli.clustering._loops", None)
    spec = importlib.util.find_spec("ncdcli.clustering.loops")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_a_compiler_the_loops_are_those_of_numpy(monkeypatch):
    module = without_compiled(monkeypatch)
    assert not module.COMPILED
    assert "_loops" in module.WHY_NOT
    assert all(getattr(module, name) is getattr(plain, name) for name in loops.__all__)


def found(silent):
    rng = np.random.default_rng(3)
    rows = (2 * rng.normal(size=(8, 20))[rng.integers(8, size=900)] + rng.normal(size=(900, 20))).astype(np.float32)
    return cluster(Problem(rows, np.full(900, -1), 0, 8), KMeans(), np.random.default_rng(0), silent)


@compiled
def test_kmeans_finds_the_same_clusters_in_numpy(request, silent):
    ours = found(silent)
    request.getfixturevalue("in_numpy")
    other = found(silent)
    np.testing.assert_array_equal(ours.assignments, other.assignments)
    assert ours.objective == pytest.approx(other.objective, rel=1e-12)
