import random
from importlib.util import find_spec

import numpy as np
import pytest

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import Leiden
from ncdcli.clustering.leiden import cluster, neighbour_weights
from ncdcli.errors import DataError, RecipeError
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import adjusted_rand

# Not imported here: with it comes matplotlib, in every process that collects these tests.
pytestmark = pytest.mark.skipif(find_spec("igraph") is None, reason="extra `leiden` is not installed")


def blobs(seed=0, *, k=5, each=30, d=6, spread=8.0):
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(k), each)
    rows = rng.normal(size=(k, d))[classes] * spread + rng.normal(size=(k * each, d))
    return rows.astype(np.float32), classes


def half_labelled(classes, n_known):
    labels = np.where(classes < n_known, classes, -1)
    labels[::2] = -1
    return labels


def agreement(one, other):
    return adjusted_rand(contingency(one, other).counts)


def solve(problem, silent, seed=0, **fields):
    return cluster(problem, Leiden(**fields), np.random.default_rng(seed), silent)


def slow_weights(rows, count):
    """UMAP's edges, row by row; the bandwidth by a root finder."""
    n = len(rows)
    apart = np.linalg.norm(rows[:, None].astype(np.float64) - rows[None], axis=2)
    one_way = np.zeros((n, n))
    for i in range(n):
        near = sorted((apart[i, j], j) for j in range(n) if j != i)[:count]
        beyond = np.array([distance - near[0][0] for distance, _ in near])
        low, high = 1e-12, 1e6
        for _ in range(60):  # to the last digit
            middle = np.sqrt(low * high)
            low, high = (low, middle) if np.exp(-beyond / middle).sum() > np.log2(len(near)) else (middle, high)
        bandwidth = max(low, 1e-3 * np.mean([distance for distance, _ in near]))
        for gap, (_, j) in zip(beyond, near, strict=True):
            one_way[i, j] = np.exp(-gap / bandwidth)
    return one_way + one_way.T - one_way * one_way.T


@pytest.mark.parametrize("seed", range(10))
def test_edge_weights_are_those_of_the_slow_definition(seed):
    rows, _ = blobs(seed, each=8, spread=2)
    for count in (2, 5, 15):
        np.testing.assert_allclose(neighbour_weights(rows, count).toarray(), slow_weights(rows, count), atol=1e-4)


def slow_modularity(weights, clusters, resolution):
    degrees, total = weights.sum(axis=1), weights.sum()
    same = clusters[:, None] == clusters
    return ((weights - resolution * np.outer(degrees, degrees) / total) * same).sum() / total


@pytest.mark.parametrize("seed", range(50))
def test_no_single_move_and_no_union_raises_the_modularity(silent, seed):
    """What the algorithm guarantees of its answer, checked on the slow definition of modularity."""
    rows, _ = blobs(seed, k=3, each=10, d=3, spread=1.5)
    answer = solve(Problem(rows, np.full(30, -1), 0, None), silent, seed, neighbours=5)
    weights, clusters = slow_weights(rows, 5), answer.assignments
    best = slow_modularity(weights, clusters, 1.0)
    assert answer.objective == pytest.approx(-best, abs=1e-4)
    for row in range(30):
        for target in range(answer.k + 1):
            moved = clusters.copy()
            moved[row] = target
            assert slow_modularity(weights, moved, 1.0) <= best + 1e-4
    for one in range(answer.k):
        for other in range(one):
            assert slow_modularity(weights, np.where(clusters == one, other, clusters), 1.0) <= best + 1e-4


def test_the_number_of_clusters_is_found_and_known_classes_come_first(silent):
    rows, classes = blobs(each=60)
    answer = solve(Problem(rows, half_labelled(classes, 3), 3, None), silent)
    assert agreement(answer.assignments, classes) == 1
    for c in range(3):
        assert set(answer.assignments[classes == c]) == {c}
    assert answer.matched.tolist() == [0, 1, 2, -1, -1]
    for c in range(5):
        np.testing.assert_allclose(answer.centroids[c], rows[answer.assignments == c].mean(axis=0), rtol=1e-4)


def test_a_greater_resolution_brings_more_clusters(silent):
    rows, _ = blobs(each=60, spread=1.0)
    counts = [solve(Problem(rows, np.full(300, -1), 0, None), silent, resolution=r).k for r in (0.3, 1.0, 5.0)]
    assert counts == sorted(set(counts))


@pytest.mark.parametrize("k", [3, 5, 8, 40, 150])
@pytest.mark.parametrize("resolution", [0.01, 1.0, 100.0])
def test_a_given_k_is_reached_from_any_resolution(silent, k, resolution):
    rows, classes = blobs(each=60, spread=2.0)
    answer = solve(Problem(rows, half_labelled(classes, 2), 2, k), silent, resolution=resolution)
    assert len(set(answer.assignments)) == answer.k == k


def test_pieces_of_the_graph_are_merged_to_k_by_ward(silent):
    """Five pieces, of which no resolution makes fewer: the two pairs that lie close together become one each."""
    centres = np.array([[0, 0], [10, 0], [1000, 0], [1010, 0], [0, 3000]], np.float64)
    classes = np.repeat(np.arange(5), 40)
    rows = centres[classes] + np.random.default_rng(0).normal(size=(200, 2))
    answer = solve(Problem(rows, np.full(200, -1), 0, 3), silent)
    assert agreement(answer.assignments, np.array([0, 0, 1, 1, 2])[classes]) == 1
    assert answer.statistics["found"] == 5


def test_in_the_ncd_setting_the_pool_is_divided_among_novel_clusters(silent):
    rows, classes = blobs(k=6, each=60)
    labels = np.where(classes < 3, classes, -1)
    answer = solve(Problem(rows, labels, 3, 6, novel_only=True), silent)
    assert (answer.assignments[classes < 3] == classes[classes < 3]).all()
    assert agreement(answer.assignments, classes) == 1
    found = solve(Problem(rows, labels, 3, None, novel_only=True), silent)
    assert (found.assignments[classes < 3] == classes[classes < 3]).all()
    for novel in range(3, found.k):  # a community of its own may be cut out of a class, none holds two
        assert len(set(classes[found.assignments == novel])) == 1


def test_the_same_seed_gives_the_same_answer_and_others_keep_their_random_numbers(silent):
    rows, classes = blobs(each=60, spread=0.7)
    problem = Problem(rows, half_labelled(classes, 3), 3, None)
    random.seed(5)
    expected = random.random()
    random.seed(5)
    one, two = solve(problem, silent, 3), solve(problem, silent, 3)
    assert random.random() == expected
    np.testing.assert_array_equal(one.assignments, two.assignments)


def test_equal_rows_and_a_single_one_have_an_answer(silent):
    equal = solve(Problem(np.zeros((40, 3)), np.full(40, -1), 0, None), silent)
    assert np.isfinite(equal.centroids).all()
    for k in (1, None):
        single = solve(Problem(np.array([[2.0, 1.0]]), np.array([-1]), 0, k), silent)
        assert single.assignments.tolist() == [0]
        assert single.centroids.tolist() == [[2.0, 1.0]]


def test_bad_input_is_refused(silent):
    rows, classes = blobs()
    labels = half_labelled(classes, 3)
    with pytest.raises(RecipeError, match="too few for 3 known classes"):
        solve(Problem(rows, labels, 3, 2), silent)
    with pytest.raises(DataError, match="151 clusters cannot be made of 150 samples"):
        solve(Problem(rows, labels, 3, 151), silent)
    rows[7] = np.nan
    with pytest.raises(DataError, match="row 7 of 150"):
        solve(Problem(rows, labels, 3, 5), silent)
