"""Spectral clustering against scikit-learn's, a restatement, and what no k-means can divide."""

import numpy as np
import pytest
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score

from ncdcli.clustering import spectral
from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import Spectral
from ncdcli.errors import RecipeError


def blobs(seed, *, k=4, n=90, d=3, spread=4.0):
    rng = np.random.default_rng(seed)
    classes = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    return (rng.normal(size=(k, d))[classes] * spread + rng.normal(size=(n, d))).astype(np.float32), classes


def rings(n=600, seed=0):
    rng = np.random.default_rng(seed)
    classes, angles = np.arange(n) % 2, rng.random(n) * 2 * np.pi
    radius = 1 + 2 * classes + 0.1 * rng.normal(size=n)
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1).astype(np.float32), classes


def unlabelled(rows, k):
    return Problem(rows, np.full(len(rows), -1), 0, k)


@pytest.mark.filterwarnings("ignore:Graph is not fully connected")
@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("affinity", ["gaussian", "knn"])
def test_the_partition_is_that_of_scikit_learn(silent, seed, affinity):
    rows, _ = blobs(seed, spread=4.0 if affinity == "gaussian" else 2.0)  # a graph in one piece
    config = Spectral(
        affinity=affinity, scaling="degree", components=3,
        restarts=30, restarts_rule="lowest_objective", restart_criterion="squared",
    )  # fmt: skip
    answer = spectral.cluster(unlabelled(rows, 4), config, np.random.default_rng(0), silent)
    sigma = answer.statistics["sigma"]
    theirs = SpectralClustering(
        4,
        n_components=4,  # with the trivial one, which is constant in this scaling
        affinity="rbf" if affinity == "gaussian" else "nearest_neighbors",
        gamma=1.0 if sigma is None else 1 / (2 * sigma**2),
        n_neighbors=11,  # the row itself is one of them
        n_init=30,
        random_state=0,
    ).fit_predict(rows)
    assert adjusted_rand_score(answer.assignments, theirs) == 1


def restated(rows, k, config):
    """Graph and eigenvectors by loops and a full decomposition; the coordinates that k-means is given."""
    n = len(rows)
    distances = np.array([[np.linalg.norm(a - b) for b in rows] for a in rows.astype(np.float64)])
    joined, longest = {0}, 0.0
    while len(joined) < n:
        length, row = min((distances[a, b], b) for a in joined for b in range(n) if b not in joined)
        longest, joined = max(longest, length), joined | {row}
    factor = 2 if config.sigma_convention == "paper" else 1
    sigma = longest / np.sqrt(-factor * np.log(config.similarity))
    affinity = np.exp(-(distances**2) / (2 * sigma**2)) * (1 - np.eye(n))
    degrees = affinity.sum(axis=1)
    _, vectors = np.linalg.eigh(np.eye(n) - affinity / np.sqrt(np.outer(degrees, degrees)))
    return vectors[:, 1 : 1 + (config.components or k)] * np.sqrt(n), sigma


@pytest.mark.parametrize("seed", range(6))
def test_clusters_are_those_of_the_coordinates_of_the_definition(silent, seed):
    rows, _ = blobs(seed, n=30)
    config = Spectral(
        affinity="gaussian",
        scaling="none",
        sigma_convention=("paper", "released")[seed % 2],
        restarts_rule="lowest_objective",
        restart_criterion=("squared", "unsquared")[seed // 2 % 2],
    )
    answer = spectral.cluster(unlabelled(rows, 4), config, np.random.default_rng(0), silent)
    points, sigma = restated(rows, 4, config)
    assert answer.statistics["sigma"] == pytest.approx(sigma, rel=1e-5)
    centres = np.stack([points[answer.assignments == c].mean(axis=0) for c in range(4)])
    squared = ((points[:, None] - centres) ** 2).sum(axis=2)
    np.testing.assert_array_equal(answer.assignments, squared.argmin(axis=1))  # a fixed point of Lloyd's iteration
    least = squared.min(axis=1)
    expected = least.sum() if config.restart_criterion == "squared" else np.sqrt(least).sum()
    assert answer.objective == pytest.approx(expected, rel=1e-4)
    assert answer.objective == pytest.approx(min(answer.statistics["objectives"]), rel=1e-9)
    for c in range(4):
        np.testing.assert_allclose(answer.centroids[c], rows[answer.assignments == c].mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("max_samples", [None, 300])
def test_two_rings_are_told_apart_by_their_neighbours(silent, max_samples):
    rows, classes = rings()
    labels = np.where((classes == 1) & (np.arange(600) % 4 == 1), 0, -1)
    answer = spectral.cluster(
        Problem(rows, labels, 1, 2), Spectral(max_samples=max_samples), np.random.default_rng(0), silent
    )
    np.testing.assert_array_equal(answer.assignments, 1 - classes)
    assert answer.matched.tolist() == [0, -1]
    assert answer.statistics["rows_in_graph"] == (max_samples or 600)


@pytest.mark.parametrize("affinity", ["gaussian", "knn"])
def test_rows_outside_the_graph_go_where_they_would_be_in_it(silent, affinity):
    rows, classes = blobs(3, n=900, spread=6.0)
    config = Spectral(affinity=affinity, max_samples=400)
    answer = spectral.cluster(unlabelled(rows, 4), config, np.random.default_rng(0), silent)
    assert adjusted_rand_score(answer.assignments, classes) > 0.99


def test_in_the_ncd_setting_the_pool_alone_is_divided(silent):
    rows, classes = rings()
    far = rows + 100
    given = Problem(np.concatenate([far[:50], rows]), np.concatenate([np.zeros(50, int), -1 - 0 * classes]), 1, 3, True)
    answer = spectral.cluster(given, Spectral(), np.random.default_rng(0), silent)
    assert set(answer.assignments[:50]) == {0}
    assert adjusted_rand_score(answer.assignments[50:], classes) == 1
    assert set(answer.assignments[50:]) == {1, 2}


def test_more_clusters_than_rows_in_the_graph_are_refused(silent):
    rows, _ = blobs(0, n=300)
    with pytest.raises(RecipeError, match="150 clusters cannot be made of the 100 rows in the graph"):
        spectral.cluster(unlabelled(rows, 150), Spectral(max_samples=100), np.random.default_rng(0), silent)


@pytest.mark.parametrize("rule", ["consensus", "medoid"])
def test_other_rules_of_restarts_find_clear_blobs_and_say_so(silent, rule):
    rows, classes = blobs(0, n=80, d=8, spread=40.0)
    config = Spectral(restarts_rule=rule)
    answers = [spectral.cluster(unlabelled(rows, 4), config, np.random.default_rng(1), silent) for _ in range(2)]
    np.testing.assert_array_equal(answers[0].assignments, answers[1].assignments)
    assert answers[0].statistics["rule"] == rule
    assert adjusted_rand_score(classes, answers[0].assignments) == 1
