import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from ncdcli.clustering import gmm
from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import Gmm


def stretched(seed=0, n=600):
    """Two long, thin, parallel clouds that k-means cuts across."""
    rng = np.random.default_rng(seed)
    classes = np.arange(n) % 2
    return (rng.normal(size=(n, 2)) * [10, 0.5] + np.stack([0 * classes, 6.0 * classes], 1)).astype(np.float32), classes


@pytest.mark.parametrize("covariance", ["tied", "full", "diagonal"])
def test_stretched_clouds_are_told_apart(silent, covariance):
    rows, classes = stretched()
    labels = np.where((classes == 1) & (np.arange(600) < 100), 0, -1)
    config = Gmm(covariance=covariance, iterations=300, tolerance=1e-6, regularization=1e-6)
    answer = gmm.cluster(Problem(rows, labels, 1, 2), config, np.random.default_rng(0), silent)
    np.testing.assert_array_equal(answer.assignments, 1 - classes)
    for c in range(2):
        np.testing.assert_allclose(answer.centroids[c], rows[classes == 1 - c].mean(axis=0), atol=1e-4)


@pytest.mark.parametrize("covariance", ["tied", "full", "diagonal", "spherical"])
def test_the_information_criterion_is_scikit_learns(silent, covariance):
    rows, _ = stretched()
    config = Gmm(covariance=covariance, iterations=2000, tolerance=1e-12, regularization=1e-9)
    answer = gmm.cluster(Problem(rows, np.full(600, -1), 0, 2), config, np.random.default_rng(0), silent)
    theirs = GaussianMixture(
        2, covariance_type={"diagonal": "diag"}.get(covariance, covariance), tol=1e-12, max_iter=2000,
        means_init=[rows[answer.assignments == c].mean(axis=0) for c in range(2)], random_state=0,
    ).fit(rows)  # fmt: skip
    assert answer.statistics["bic"] == pytest.approx(theirs.bic(rows), rel=1e-5)
    assert answer.objective == pytest.approx(-theirs.score(rows), rel=1e-5)


@pytest.mark.parametrize("rule", ["lowest_objective", "medoid", "consensus"])
def test_the_start_is_what_the_rule_makes_of_the_k_means(silent, rule):
    rows, _ = stretched()
    answer = gmm.cluster(
        Problem(rows, np.full(600, -1), 0, 4), Gmm(restarts_rule=rule), np.random.default_rng(0), silent
    )
    assert answer.statistics["rule"] == rule
    assert (answer.statistics["best_restart"] is None) == (rule == "consensus")
    assert len(answer.statistics["objectives"]) == 10


def test_in_the_ncd_setting_the_pool_alone_is_divided(silent):
    rows, classes = stretched()
    given = Problem(
        np.concatenate([rows, rows[:40] + 3]), np.concatenate([np.full(600, -1), np.zeros(40, int)]), 1, 3, True
    )
    answer = gmm.cluster(
        given, Gmm(tolerance=1e-6, iterations=300, regularization=1e-6), np.random.default_rng(0), silent
    )
    assert set(answer.assignments[600:]) == {0}
    assert adjusted_rand_score(answer.assignments[:600], classes) == 1
    assert set(answer.assignments[:600]) == {1, 2}


@pytest.mark.parametrize("covariance", ["tied", "full", "diagonal", "spherical"])
@pytest.mark.parametrize("dimensions", [64, None])
def test_500_rows_of_768_columns(silent, covariance, dimensions):
    rng = np.random.default_rng(0)
    classes = np.arange(500) % 10
    rows = (rng.normal(size=(10, 768))[classes] + 2 * rng.normal(size=(500, 768))).astype(np.float32)
    if dimensions is None:  # a covariance of 768 x 768 takes time
        rows = rows[:, :128]
    config = Gmm(covariance=covariance, dimensions=dimensions, iterations=30)
    answer = gmm.cluster(Problem(rows, np.full(500, -1), 0, 10), config, np.random.default_rng(0), silent)
    assert np.isfinite(answer.centroids).all()
    assert answer.centroids.shape == (10, rows.shape[1])
    assert answer.statistics["empty_clusters"] == 0
    if dimensions:
        assert adjusted_rand_score(answer.assignments, classes) > 0.9
