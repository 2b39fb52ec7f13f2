from dataclasses import replace

import numpy as np
import pytest
from scipy.cluster.hierarchy import cut_tree, linkage

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import Ward
from ncdcli.clustering.rows import unit_rows
from ncdcli.clustering.ward import cluster, labelled_accuracy, shift
from ncdcli.counting import ward_acc
from ncdcli.counting.base import CountProblem
from ncdcli.counting.kinds import WardAcc
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


def agreement(one, other):
    return adjusted_rand(contingency(one, other).counts)


def solve(problem, silent, seed=0, **fields):
    return cluster(problem, Ward(**fields), np.random.default_rng(seed), silent)


@pytest.mark.parametrize("seed", range(10))
def test_without_smoothing_clusters_are_those_of_scipy(silent, seed):
    rows, classes = blobs(seed, spread=1.0)
    answer = solve(Problem(rows, half_labelled(classes, 3), 3, 6), silent, mean_shift=0)
    theirs = cut_tree(linkage(rows.astype(np.float64), "ward"), 6).ravel()
    assert agreement(answer.assignments, theirs) == 1
    for c in range(6):
        np.testing.assert_allclose(answer.centroids[c], rows[answer.assignments == c].mean(axis=0), rtol=1e-4)
    spread = sum(np.square(rows[theirs == c] - rows[theirs == c].mean(axis=0)).sum() for c in range(6))
    assert answer.objective == pytest.approx(spread, rel=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_a_shift_is_that_of_the_slow_definition(seed):
    rng = np.random.default_rng(seed)
    rows = unit_rows(rng.normal(size=(60, 5)).astype(np.float32))
    alpha, count = rng.uniform(0.1, 1), int(rng.integers(1, 9))
    expected = []
    for x in range(60):
        cosines = [(float(rows[x] @ rows[y]), y) for y in range(60) if y != x]
        near = [y for _, y in sorted(cosines, reverse=True)[:count]]
        moved = (1 - alpha) * rows[x] + alpha * np.mean([rows[y] for y in near], axis=0)
        expected.append(moved / np.linalg.norm(moved))
    np.testing.assert_allclose(shift(rows, alpha=alpha, neighbours=count), expected, atol=1e-6)


def test_labelled_samples_choose_the_number_of_rounds(silent):
    rows, classes = blobs(2, k=8, spread=0.8, each=40)
    labels = half_labelled(classes, 5)
    answer = solve(Problem(rows, labels, 5, 8), silent)
    best, accuracies = answer.statistics["mean_shift_rounds"], answer.statistics["labelled_accuracies"]
    smooth, expected, clusters = unit_rows(rows), [], []
    for _ in accuracies:
        clusters.append(cut_tree(linkage(smooth.astype(np.float64), "ward"), 8).ravel())
        expected.append(labelled_accuracy(clusters[-1], labels))
        smooth = shift(smooth, alpha=0.5, neighbours=8)
    assert list(accuracies) == pytest.approx(expected)
    assert best == int(np.argmax(expected)) > 0
    assert len(accuracies) == best + 3
    assert agreement(answer.assignments, clusters[best]) == 1
    np.testing.assert_allclose(np.linalg.norm(answer.centroids, axis=1), 1, rtol=1e-6)


def test_accuracy_is_that_of_the_best_matching_on_labelled_rows_alone():
    clusters = np.array([0, 0, 1, 1, 2, 2, 2])
    assert labelled_accuracy(clusters, np.array([1, 1, 0, 1, -1, -1, -1])) == 0.75


def test_without_labels_nothing_is_smoothed(silent):
    rows, classes = blobs()
    answer = solve(Problem(rows, np.full(len(rows), -1), 0, 5), silent)
    assert answer.statistics["mean_shift_rounds"] == 0
    assert agreement(answer.assignments, classes) == 1


def test_known_classes_are_the_first_clusters_in_their_order(silent):
    rows, classes = blobs()
    answer = solve(Problem(rows, half_labelled(classes, 3), 3, 5), silent)
    for c in range(3):
        assert set(answer.assignments[classes == c]) == {c}
    assert answer.matched.tolist() == [0, 1, 2, -1, -1]


@pytest.mark.parametrize("mean_shift", [0, 5])
def test_in_the_ncd_setting_the_pool_is_divided_among_novel_clusters(silent, mean_shift):
    rows, classes = blobs(k=6)
    labels = np.where(classes < 3, classes, -1)
    answer = solve(Problem(rows, labels, 3, 6, novel_only=True), silent, mean_shift=mean_shift)
    assert (answer.assignments[classes < 3] == classes[classes < 3]).all()
    assert set(answer.assignments[classes >= 3]) == {3, 4, 5}
    assert agreement(answer.assignments, classes) == 1


def test_rows_outside_the_sample_go_to_the_nearest_mean(silent):
    rows, classes = blobs(k=4, each=100)
    answer = solve(Problem(rows, half_labelled(classes, 2), 2, 4), silent, max_samples=100, mean_shift=0)
    assert answer.statistics["rows"] == pytest.approx(100, abs=2)
    assert agreement(answer.assignments, classes) == 1


def test_a_single_column_is_neither_scaled_nor_smoothed(silent):
    rows = np.array([1, 1.1, 1.2, 50, 51, 90, 91, 92], np.float32)[:, None]
    answer = solve(Problem(rows, np.array([0, -1, -1, 1, -1, -1, -1, -1]), 2, 3), silent)
    assert answer.assignments.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert answer.centroids[1] == 50.5


def test_the_ncd_setting_needs_no_known_class(silent):
    rows, classes = blobs(k=2)
    answer = solve(Problem(rows, np.full(60, -1), 0, 2, novel_only=True), silent)
    assert agreement(answer.assignments, classes) == 1


def test_with_more_clusters_than_distinct_rows_equal_ones_stay_together(silent):
    rows = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    answer = solve(Problem(rows, np.full(12, -1), 0, 5), silent)
    assert answer.assignments.tolist() == np.repeat([0, 1, 2], 4).tolist()
    assert answer.k == 3


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


@pytest.mark.parametrize(("setting", "n_known"), [("gcd", 3), ("ncd", 2)])
def test_without_a_k_it_is_the_estimate_of_ward_acc(silent, setting, n_known):
    rows, classes = blobs(1, k=6)
    labels = half_labelled(classes, n_known) if setting == "gcd" else np.where(classes < n_known, classes, -1)
    problem = Problem(rows, labels, n_known, None, setting == "ncd")
    counted = CountProblem(unit_rows(rows), labels, n_known, setting == "ncd")
    estimate = ward_acc.estimate(counted, WardAcc(max_samples=10_000), np.random.default_rng(0), silent)
    answer = solve(problem, silent)
    assert answer.k == estimate.k == 6
    assert answer.statistics["k_interval"] == list(estimate.interval)
    given = solve(replace(problem, k=6), silent)
    assert agreement(answer.assignments, given.assignments) == 1


def test_without_a_k_and_without_labels_there_is_nothing_to_count_by(silent):
    rows, _ = blobs()
    with pytest.raises(DataError, match="counts classes by the labelled samples"):
        solve(Problem(rows, np.full(len(rows), -1), 0, None), silent)
