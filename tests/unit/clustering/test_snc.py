from itertools import combinations, pairwise

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import Snc
from ncdcli.clustering.rows import unit_rows
from ncdcli.clustering.snc import cluster, level_scores
from ncdcli.clustering.snc_levels import class_of_clusters, count_clusters, levels, merge_down, refine
from ncdcli.errors import DataError, RecipeError
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import adjusted_rand


def blobs(seed=0, *, k=5, each=30, d=6, spread=8.0):
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(k), each)
    rows = rng.normal(size=(k, d))[classes] * spread + rng.normal(size=(k * each, d))
    return rows.astype(np.float32), classes


def half_labelled(classes, n_known):
    labels = np.where(classes < n_known, classes, -1)
    labels[::2] = -1
    return labels


def random_problem(seed):
    """Overlapping rows, some of which carry one of four labels."""
    rng = np.random.default_rng(seed)
    rows, classes = blobs(seed, k=6, each=int(rng.integers(4, 12)), d=4, spread=1.5)
    return rows, np.where((classes < 4) & (rng.random(len(classes)) < 0.5), classes, -1)


def agreement(one, other):
    return adjusted_rand(contingency(one, other).counts)


def solve(problem, silent, seed=0, **fields):
    return cluster(problem, Snc(**fields), np.random.default_rng(seed), silent)


def far(a, b, spherical):
    a, b = a.astype(np.float64), b.astype(np.float64)
    if spherical:
        return 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return np.square(a - b).sum()


def join_slowly(points, marks, rng, spherical):
    """One level as the paper tells it: everybody has one selective neighbour, and friends of friends are a cluster."""
    m = len(points)
    friend = list(range(m))
    for x in np.flatnonzero(marks < 0):
        friend[x] = min((y for y in range(m) if y != x), key=lambda y, x=x: far(points[x], points[y], spherical))
    for label in sorted({int(mark) for mark in marks if mark >= 0}):
        free = [int(x) for x in np.flatnonzero(marks == label)]
        size = int(np.ceil(np.sqrt(len(free))))
        for start in np.array(free)[rng.permutation(len(free))]:
            if start not in free:
                continue
            chain = [int(start)]
            free.remove(start)
            while len(chain) < size and free:
                following = min(free, key=lambda y, tip=chain[-1]: far(points[tip], points[y], spherical))
                friend[chain[-1]] = following
                chain.append(following)
                free.remove(following)
    cluster_of = list(range(m))
    for x, y in enumerate(friend):
        one, other = sorted((cluster_of[x], cluster_of[y]))
        cluster_of = [one if c == other else c for c in cluster_of]
    return np.unique(cluster_of, return_inverse=True)[1]


def mean_of(rows, members, spherical):
    mean = (unit_rows(rows) if spherical else rows)[members].astype(np.float64).mean(axis=0)
    return mean / np.linalg.norm(mean) if spherical else mean


def merge_slowly(rows, labels, partition, k, spherical):
    """Merge the nearest two clusters that may be merged, until known classes and other clusters are k together."""
    clusters = [np.flatnonzero(partition == c) for c in range(partition.max() + 1)]
    label = [int(labels[members].max()) for members in clusters]

    def count():
        return sum(mark < 0 for mark in label) + len({mark for mark in label if mark >= 0})

    while count() > k:
        means = [mean_of(rows, members, spherical) for members in clusters]
        pairs = combinations(range(len(clusters)), 2)
        allowed = [(a, b) for a, b in pairs if label[a] == label[b] or min(label[a], label[b]) < 0]
        a, b = min(allowed, key=lambda pair: np.square(means[pair[0]] - means[pair[1]]).sum())
        clusters[a] = np.concatenate([clusters[a], clusters.pop(b)])
        label[a] = max(label[a], label.pop(b))
    out = np.empty(len(rows), np.int64)
    for number, (members, mark) in enumerate(zip(clusters, label, strict=True)):
        out[members] = mark if mark >= 0 else 1000 + number
    return out


@pytest.mark.parametrize("spherical", [True, False])
@pytest.mark.parametrize("seed", range(50))
def test_levels_are_those_of_the_slow_definition(seed, spherical):
    rows, labels = random_problem(seed)
    found = levels(rows, labels, np.random.default_rng(seed), spherical=spherical)
    rng = np.random.default_rng(seed)
    clusters = np.arange(len(rows))
    for partition in found:
        points = np.array([mean_of(rows, clusters == c, spherical) for c in range(clusters.max() + 1)])
        clusters = join_slowly(points, class_of_clusters(clusters, labels), rng, spherical)[clusters]
        assert agreement(partition, clusters) == 1
    known = len(set(labels)) - 1
    assert found[-1].max() + 1 == count_clusters(found[-1], labels) == known  # nothing else is left


@pytest.mark.parametrize("spherical", [True, False])
@pytest.mark.parametrize("seed", range(50))
def test_merges_are_those_of_the_slow_definition(seed, spherical):
    rows, labels = random_problem(seed)
    partition = levels(rows, labels, np.random.default_rng(seed), spherical=spherical)[0]
    known, most = len(set(labels)) - 1, count_clusters(partition, labels)
    counts = sorted({known, (known + most) // 2, most})
    for k, merged in zip(counts, merge_down(rows, labels, partition, counts, spherical=spherical), strict=True):
        assert merged.max() + 1 == k
        assert agreement(merged, merge_slowly(rows, labels, partition, k, spherical)) == 1
        np.testing.assert_array_equal(merged, refine(rows, labels, partition, k, spherical=spherical))


@pytest.mark.parametrize("seed", range(10))
def test_no_level_mixes_two_classes_or_tears_a_cluster_of_the_level_before(seed):
    rows, labels = random_problem(seed)
    found = levels(rows, labels, np.random.default_rng(0))
    for partition in found:
        for c in range(partition.max() + 1):
            assert len(set(labels[partition == c]) - {-1}) <= 1
    for finer, coarser in pairwise(found):
        assert len(set(zip(finer, coarser, strict=True))) == finer.max() + 1
        assert coarser.max() < finer.max()


def test_a_class_is_cut_into_about_as_many_chains_as_they_are_long():
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    first = levels(rows, np.zeros(50, np.int64), np.random.default_rng(0))[0]
    assert sorted(np.bincount(first)) == [2, 8, 8, 8, 8, 8, 8]


def test_chains_of_a_large_class_are_those_of_a_small_one(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    labels = np.zeros(60, np.int64)
    expected = levels(rows, labels, np.random.default_rng(0))
    monkeypatch.setattr("ncdcli.clustering.snc_levels._GRAM", 10)
    for one, other in zip(levels(rows, labels, np.random.default_rng(0)), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_cannot_be_merged_is_refused():
    rows, labels = random_problem(0)
    partition = levels(rows, labels, np.random.default_rng(0))[-1]
    with pytest.raises(ValueError, match=r"4 clusters with 4 known classes among them cannot be merged to \[3\]"):
        refine(rows, labels, partition, 3)


@pytest.mark.parametrize("spherical", [True, False])
def test_known_classes_are_the_first_clusters_in_their_order(silent, spherical):
    rows, classes = blobs(1)
    labels = half_labelled(classes, 3)
    answer = solve(Problem(rows, labels, 3, 5), silent, spherical=spherical)
    assert agreement(answer.assignments, classes) == 1
    assert (answer.assignments[labels >= 0] == labels[labels >= 0]).all()
    assert answer.matched.tolist() == [0, 1, 2, -1, -1]
    shown = unit_rows(rows) if spherical else rows
    for c in range(5):
        mean = shown[answer.assignments == c].mean(axis=0)
        expected = mean / np.linalg.norm(mean) if spherical else mean
        np.testing.assert_allclose(answer.centroids[c], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_labelled_rows_stay_in_their_class_whatever_k(silent, seed):
    rows, labels = random_problem(seed)
    for k in (4, 5, 9, (labels < 0).sum() + len(set(labels)) - 1):
        answer = solve(Problem(rows, labels, 4, int(k)), silent, seed)
        assert (answer.assignments[labels >= 0] == labels[labels >= 0]).all()
        assert len(set(answer.assignments)) == answer.k == k


def test_a_class_without_labelled_rows_has_a_novel_cluster_in_its_place(silent):
    rows, classes = blobs(1)
    labels = half_labelled(classes, 3)
    labels[labels == 1] = -1
    answer = solve(Problem(rows, labels, 3, 5), silent)
    assert answer.matched.tolist() == [0, -1, 2, -1, -1]
    assert agreement(answer.assignments, classes) == 1


def test_without_k_the_level_is_chosen_by_classes_held_out(silent):
    rows, classes = blobs(6, k=20, each=20, d=16, spread=20)
    labels = half_labelled(classes, 10)
    answer = solve(Problem(rows, labels, 10, None), silent)
    facts = answer.statistics
    assert answer.k == 20
    assert agreement(answer.assignments, classes) == 1
    assert len(facts["held_out_classes"]) == 2
    assert facts["level_counts"] == sorted(facts["level_counts"], reverse=True)
    best = facts["level_counts"].index(20)
    assert facts["level_accuracies"][best] == max(facts["level_accuracies"]) == 1


def test_levels_are_scored_by_the_best_matching_and_the_silhouette():
    rows, classes = blobs(0, k=3)
    labels, held_out = np.where(classes == 0, 0, -1), np.where(classes == 2, 1, -1)
    halves = np.where(classes == 2, 2 + np.arange(90) % 2, np.arange(90) % 2 * (classes == 0))
    swallowed = classes % 2
    accuracies, silhouette = level_scores(
        rows, [classes, halves, swallowed], labels=labels, held_out=held_out, rng=np.random.default_rng(0)
    )
    assert accuracies.tolist() == [1, 0.5, 0]
    assert silhouette[0] == pytest.approx(silhouette_score(rows, classes), abs=1e-5)
    assert silhouette[2] == pytest.approx(silhouette_score(rows, swallowed), abs=1e-5)


@pytest.mark.parametrize("k", [20, None])
def test_in_the_ncd_setting_the_pool_is_divided_among_novel_clusters(silent, k):
    rows, classes = blobs(6, k=20, each=20, d=16, spread=20)
    labels = np.where(classes < 10, classes, -1)
    answer = solve(Problem(rows, labels, 10, k, novel_only=True), silent)
    assert (answer.assignments[classes < 10] == classes[classes < 10]).all()
    assert agreement(answer.assignments, classes) == 1
    assert answer.matched.tolist() == [*range(10), *[-1] * 10]


def test_a_large_offset_does_not_drown_the_distances(silent):
    rows, classes = blobs(1)
    answer = solve(Problem(rows.astype(np.float64) + 1e5, half_labelled(classes, 3), 3, 5), silent, spherical=False)
    assert agreement(answer.assignments, classes) == 1


def test_a_single_column_is_clustered_by_its_values(silent):
    rows = np.array([1, 1.1, 1.2, 50, 51, 90, 91, 92], np.float32)[:, None]
    answer = solve(Problem(rows, np.array([0, -1, -1, 1, -1, -1, -1, -1]), 2, 3), silent)
    assert answer.assignments.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert answer.centroids[1] == 50.5


def test_one_row_and_equal_rows_have_an_answer(silent):
    single = solve(Problem(np.array([[2.0, 1.0]]), np.array([-1]), 0, 1), silent, spherical=False)
    assert single.centroids.tolist() == [[2.0, 1.0]]
    equal = solve(Problem(np.zeros((6, 3)), np.array([0, 0, -1, -1, -1, -1]), 1, None), silent)
    assert np.isfinite(equal.centroids).all()
    assert equal.assignments.tolist() == [0] * 6


def test_bad_input_is_refused(silent):
    rows, classes = blobs()
    labels = half_labelled(classes, 3)
    with pytest.raises(RecipeError, match="too few for 3 known classes"):
        solve(Problem(rows, labels, 3, 2), silent)
    with pytest.raises(DataError, match="148 clusters cannot be made of 105 unlabelled samples"):
        solve(Problem(rows, labels, 3, 151), silent)
    rows[7] = np.nan
    with pytest.raises(DataError, match="row 7 of 150"):
        solve(Problem(rows, labels, 3, 5), silent)
