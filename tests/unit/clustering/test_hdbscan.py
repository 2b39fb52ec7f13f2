from itertools import combinations

import numpy as np
import pytest
from sklearn.cluster import HDBSCAN

from ncdcli.clustering.base import Problem
from ncdcli.clustering.hdbscan import cluster, dense_regions
from ncdcli.clustering.kinds import Hdbscan
from ncdcli.errors import DataError
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import adjusted_rand
from ncdcli.pipeline.context import SilentProgress


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
    return cluster(problem, Hdbscan(**fields), np.random.default_rng(seed), silent)


@pytest.mark.parametrize("d", [4, 40])
@pytest.mark.parametrize("seed", range(5))
def test_dense_regions_are_those_of_scikit_learn(seed, d):
    rows, _ = blobs(seed, d=d, spread=1.5)
    for size, least, selection in ((5, 5, "eom"), (8, 3, "leaf")):
        config = Hdbscan(min_cluster_size=size, min_samples=least, selection=selection)
        theirs = HDBSCAN(size, least, cluster_selection_method=selection, copy=True).fit_predict(rows.astype(float))
        np.testing.assert_array_equal(dense_regions(rows, config), theirs)


def slow_leaves(rows, size, least):
    """HDBSCAN's leaves: raise the density, watch which connected pieces of `size` rows never split into two such."""
    n = len(rows)
    apart = np.linalg.norm(rows[:, None].astype(np.float64) - rows[None], axis=2)
    core = np.sort(apart, axis=1)[:, least - 1]  # scikit-learn counts the row itself
    reach = np.maximum(apart, np.maximum(core[:, None], core[None]))
    np.fill_diagonal(reach, 0)

    def pieces(members, limit):
        label = {i: i for i in members}
        for i, j in combinations(members, 2):
            if reach[i, j] < limit and label[i] != label[j]:
                old = label[j]
                label = {x: label[i] if at == old else at for x, at in label.items()}
        groups = [[i for i in members if label[i] == name] for name in sorted(set(label.values()))]
        return [group for group in groups if len(group) >= size]

    def leaves(members):
        limits = sorted({reach[i, j] for i, j in combinations(members, 2)}, reverse=True)
        inside = members
        for limit in limits:
            parts = pieces(inside, limit)
            if len(parts) > 1:
                return [leaf for part in parts for leaf in leaves(part)]
            if not parts:
                break
            inside = parts[0]
        return [members]

    out = np.full(n, -1)
    found = leaves(list(range(n)))
    if len(found) > 1:
        for number, members in enumerate(found):
            out[members] = number
    return out


@pytest.mark.parametrize("seed", range(50))
def test_leaves_are_those_of_the_slow_definition(seed):
    rows, _ = blobs(seed, k=3, each=8, d=2, spread=4)
    found = dense_regions(rows, Hdbscan(min_cluster_size=3, min_samples=2, selection="leaf"))
    expected = slow_leaves(rows, 3, 2)
    np.testing.assert_array_equal(found < 0, expected < 0)
    assert agreement(found, expected) in (1, None)


def test_the_number_of_clusters_is_found_and_known_classes_come_first(silent):
    rows, classes = blobs()
    answer = solve(Problem(rows, half_labelled(classes, 3), 3, None), silent)
    assert agreement(answer.assignments, classes) == 1
    for c in range(3):
        assert set(answer.assignments[classes == c]) == {c}
    assert answer.matched.tolist() == [0, 1, 2, -1, -1]
    for c in range(5):
        np.testing.assert_allclose(answer.centroids[c], rows[answer.assignments == c].mean(axis=0), rtol=1e-4)


def test_noise_goes_to_the_nearest_mean(silent):
    rows, classes = blobs(k=2, each=40, d=2, spread=20)
    means = [rows[classes == c].mean(axis=0) for c in range(2)]
    beyond = means[0] + 3 * (means[0] - means[1])
    rows = np.concatenate([rows, beyond[None]]).astype(np.float32)
    answer = solve(Problem(rows, np.full(81, -1), 0, None), silent)
    assert answer.statistics == {"rows": 81, "found": 2, "noise": 1}
    assert answer.assignments[-1] == answer.assignments[0]
    assert agreement(answer.assignments[:-1], classes) == 1


def test_in_the_ncd_setting_the_pool_is_divided_among_novel_clusters(silent):
    rows, classes = blobs(k=6)
    labels = np.where(classes < 3, classes, -1)
    answer = solve(Problem(rows, labels, 3, None, novel_only=True), silent)
    assert (answer.assignments[classes < 3] == classes[classes < 3]).all()
    assert agreement(answer.assignments, classes) == 1


def test_rows_outside_the_sample_go_to_the_nearest_mean(silent):
    rows, classes = blobs(k=4, each=100)
    answer = solve(Problem(rows, half_labelled(classes, 2), 2, None), silent, max_samples=120, min_cluster_size=5)
    assert answer.statistics["rows"] == pytest.approx(120, abs=2)
    assert agreement(answer.assignments, classes) == 1


def test_where_all_is_noise_there_is_one_cluster_and_a_note():
    notes = []
    rows, classes = blobs(k=2, each=5)
    answer = solve(Problem(rows, np.full(10, -1), 0, None), SilentProgress(notes.append))
    assert answer.assignments.tolist() == [0] * 10
    assert notes == [
        "hdbscan found no cluster in 10 samples, so that all are in one: lower `cluster.min_cluster_size`, now 15"
    ]
    assert solve(Problem(rows[:1], classes[:1] - 1, 0, None), SilentProgress()).assignments.tolist() == [0]


def test_fewer_clusters_than_known_classes_leave_empty_places(silent):
    rows, classes = blobs(k=4)
    labels = np.where(np.arange(120) % 2, classes + 2 * (np.arange(120) % 4 == 1), -1)
    answer = solve(Problem(rows, labels, 6, None), silent)
    assert answer.k == 6
    assert len(set(answer.assignments)) == 4


def test_values_that_are_not_finite_are_refused(silent):
    rows, classes = blobs()
    rows[7] = np.nan
    with pytest.raises(DataError, match="row 7 of 150"):
        solve(Problem(rows, half_labelled(classes, 3), 3, None), silent)
