"""Semi-supervised k-means against a restatement of its definition, and at its edges."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

from ncdcli.clustering import kmeans, semi_kmeans
from ncdcli.clustering import restarts as restart_rules
from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import KMeans, SemiKMeans
from ncdcli.errors import DataError


def problem(seed, *, novel_only=False, spread=3.0, n=150):
    rng = np.random.default_rng(seed)
    k, d = int(rng.integers(3, 8)), int(rng.integers(2, 10))
    n_known = int(rng.integers(1, k))
    classes = np.concatenate([np.arange(k), rng.integers(k, size=n)])
    rows = rng.normal(size=(k, d))[classes] * spread + rng.normal(size=(len(classes), d))
    labels = np.where(classes < n_known, classes, -1)
    if not novel_only:
        labels[n_known:][rng.random(len(classes) - n_known) < 0.5] = -1
    return Problem(rows.astype(np.float32), labels, n_known, k, novel_only), classes


@pytest.mark.parametrize("init", ["matched", "gcd"])
@pytest.mark.parametrize("seed", range(25))
def test_the_answer_is_a_fixed_point_of_the_definition(silent, seed, init):
    given, _ = problem(seed)
    rule = ("consensus", "lowest_objective")[seed % 2]
    config = SemiKMeans(init=init, restarts=2, restarts_rule=rule, tolerance=0)
    answer = semi_kmeans.cluster(given, config, np.random.default_rng(seed), silent)
    rows = given.embeddings.astype(np.float64)
    distances = ((rows[:, None] - answer.centroids) ** 2).sum(axis=2)
    labelled = given.labels >= 0
    np.testing.assert_array_equal(answer.assignments[labelled], given.labels[labelled])
    np.testing.assert_array_equal(answer.assignments[~labelled], distances[~labelled].argmin(axis=1))
    for c in range(given.k):
        np.testing.assert_allclose(answer.centroids[c], rows[answer.assignments == c].mean(axis=0), atol=1e-4)
    inertia = distances[np.arange(len(rows)), answer.assignments].sum()
    assert answer.objective == pytest.approx(inertia, rel=1e-5)
    assert rule == "consensus" or answer.objective == pytest.approx(min(answer.statistics["objectives"]), rel=1e-9)


@pytest.mark.parametrize("init", ["matched", "gcd"])
def test_in_the_ncd_setting_known_centroids_are_labelled_means_and_the_pool_is_novel(silent, init):
    given, _ = problem(3, novel_only=True)
    answer = semi_kmeans.cluster(
        given, SemiKMeans(init=init, restarts=2, tolerance=0), np.random.default_rng(0), silent
    )
    rows, pool = given.embeddings.astype(np.float64), given.labels < 0
    for c in range(given.n_known):
        np.testing.assert_allclose(answer.centroids[c], rows[given.labels == c].mean(axis=0), atol=1e-5)
    distances = ((rows[pool][:, None] - answer.centroids[given.n_known :]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(answer.assignments[pool], distances.argmin(axis=1) + given.n_known)
    for c in range(given.n_known, given.k):
        np.testing.assert_allclose(answer.centroids[c], rows[answer.assignments == c].mean(axis=0), atol=1e-4)


def test_centroids_that_no_known_class_claims():
    rng = np.random.default_rng(0)
    centroids, means = rng.normal(size=(9, 4)), rng.normal(size=(4, 4))
    squared = ((means[:, None] - centroids) ** 2).sum(axis=2)
    expected = sorted(set(range(9)) - set(linear_sum_assignment(squared)[1]))
    assert semi_kmeans.unclaimed(centroids, means).tolist() == expected
    assert semi_kmeans.unclaimed(centroids, np.empty((0, 4))).tolist() == list(range(9))


@pytest.mark.parametrize("init", ["matched", "gcd"])
def test_separated_blobs_are_found(silent, init):
    given, classes = problem(5, spread=30.0)
    answer = semi_kmeans.cluster(given, SemiKMeans(init=init), np.random.default_rng(0), silent)
    assert len(set(zip(answer.assignments, classes, strict=True))) == given.k
    np.testing.assert_array_equal(answer.assignments[classes < given.n_known], classes[classes < given.n_known])


EQUAL = [("greedy", "greedy"), ("gcd", "kmeans++"), ("matched", "kmeans++")]


@pytest.mark.parametrize("seed", range(50))
def test_without_labelled_rows_it_is_the_kmeans_of_equal_settings(silent, seed):
    given, _ = problem(seed, spread=1.0, n=50)
    given = Problem(given.embeddings, np.full_like(given.labels, -1), 0, given.k)
    init, seeding = EQUAL[seed % 3]
    shared = {"restarts": 2, "iterations": 200, "restarts_rule": ("consensus", "lowest_objective")[seed % 2]}
    ours = semi_kmeans.cluster(given, SemiKMeans(init=init, tolerance=0, **shared), np.random.default_rng(seed), silent)
    plain = kmeans.cluster(given, KMeans(seeding=seeding, **shared), np.random.default_rng(seed), silent)
    np.testing.assert_array_equal(ours.assignments, plain.assignments)
    np.testing.assert_array_equal(ours.matched, plain.matched)
    np.testing.assert_allclose(ours.centroids, plain.centroids, rtol=1e-6, atol=1e-6)
    assert ours.objective == pytest.approx(plain.objective, rel=1e-9)
    assert ours.statistics["objectives"] == pytest.approx(plain.statistics["objectives"], rel=1e-9)


@pytest.mark.parametrize("seed", range(50))
def test_all_rows_labelled_gives_the_labels(silent, seed):
    rng = np.random.default_rng(seed)
    init = ("matched", "gcd", "mixed", "greedy")[seed % 4]
    labels = np.repeat(np.arange(3), 10)
    rows = rng.normal(size=(30, 2))  # no structure at all: only the labels decide
    config = SemiKMeans(init=init, restarts=2)
    answer = semi_kmeans.cluster(Problem(rows, labels, 3, 3), config, np.random.default_rng(0), silent)
    np.testing.assert_array_equal(answer.assignments, labels)
    np.testing.assert_allclose(answer.centroids[1], rows[10:20].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("init", ["matched", "gcd"])
def test_no_novel_cluster_when_k_is_the_number_of_known_classes(silent, init):
    given, _ = problem(2)
    alone = Problem(given.embeddings, given.labels, given.n_known, given.n_known)
    answer = semi_kmeans.cluster(alone, SemiKMeans(init=init), np.random.default_rng(0), silent)
    assert answer.matched.tolist() == list(range(given.n_known))
    assert set(answer.assignments) <= set(range(given.n_known))


@pytest.mark.parametrize("init", ["matched", "gcd"])
def test_a_known_class_without_labelled_rows_competes_as_a_novel_cluster(silent, init):
    given, classes = problem(5, spread=30.0)
    labels = np.where(given.labels == 0, -1, given.labels)
    answer = semi_kmeans.cluster(
        Problem(given.embeddings, labels, given.n_known, given.k),
        SemiKMeans(init=init),
        np.random.default_rng(0),
        silent,
    )
    assert answer.matched[0] == -1
    assert len(set(zip(answer.assignments, classes, strict=True))) == given.k


def test_a_known_class_without_labelled_rows_is_refused_in_the_ncd_setting(silent):
    given, _ = problem(3, novel_only=True)
    labels = np.where(given.labels == 0, -1, given.labels)
    with pytest.raises(DataError, match="1 known class has no labelled sample"):
        semi_kmeans.cluster(
            Problem(given.embeddings, labels, given.n_known, given.k, True),
            SemiKMeans(),
            np.random.default_rng(0),
            silent,
        )


@pytest.mark.parametrize("init", ["matched", "gcd"])
def test_more_clusters_than_distinct_rows_stays_finite(silent, init):
    rows = np.repeat(np.array([[0.0, 1.0], [4.0, 4.0], [9.0, 0.3]]), 5, axis=0)
    labels = np.array([0, 0] + [-1] * 13)
    answer = semi_kmeans.cluster(Problem(rows, labels, 1, 6), SemiKMeans(init=init), np.random.default_rng(0), silent)
    assert np.isfinite(answer.centroids).all()
    assert answer.objective == pytest.approx(0, abs=1e-6)
    assert answer.statistics["empty_clusters"] == 3


def test_restarts_are_seeded_one_by_one(silent):
    given, _ = problem(1, spread=0.5)
    config = SemiKMeans(init="gcd", restarts=6)
    answer = semi_kmeans.cluster(given, config, np.random.default_rng(0), silent)
    assert len(set(answer.statistics["objectives"])) > 1
    again = semi_kmeans.cluster(given, config, np.random.default_rng(0), silent)
    assert again.statistics == answer.statistics


@pytest.fixture
def restarts(monkeypatch):
    """What the rule was given when an answer was made: the partitions of all restarts, and the held-out accuracies."""
    seen = {}

    def settle(partitions, *rest, **options):
        seen["partitions"] = partitions
        score = options.pop("held_out")
        return restart_rules.settle(
            partitions, *rest, held_out=lambda: seen.setdefault("accuracies", score()), **options
        )

    monkeypatch.setattr(semi_kmeans, "settle", settle)
    return seen


def plain_sums(given, partitions):
    """Sum of the distances of all rows to their centres, for each partition."""
    clusters = given.labels.copy()
    sums = []
    for found in partitions:
        clusters[given.labels < 0] = found.labels
        sums.append(np.linalg.norm(given.embeddings - found.centres[clusters], axis=1).sum())
    return np.array(sums)


@pytest.mark.parametrize("novel_only", [False, True])
def test_plain_distances_decide_where_the_objective_does(silent, restarts, novel_only):
    """Not always for the restart that squared ones choose; a consensus and a medoid do not choose by them."""
    differ = 0
    for seed in range(15):
        given, _ = problem(seed, novel_only=novel_only, spread=0.5, n=50)
        config = {"init": "gcd", "restarts": 3, "restarts_rule": "lowest_objective", "tolerance": 0}
        answer = semi_kmeans.cluster(
            given, SemiKMeans(restart_criterion="unsquared", **config), np.random.default_rng(seed), silent
        )
        sums = plain_sums(given, restarts["partitions"])
        np.testing.assert_allclose(answer.statistics["objectives"], sums, rtol=1e-6)
        assert answer.objective == pytest.approx(sums.min(), rel=1e-6)
        assert answer.statistics["best_restart"] == sums.argmin()
        squared = semi_kmeans.cluster(given, SemiKMeans(**config), np.random.default_rng(seed), silent)
        assert squared.statistics["iterations"] == answer.statistics["iterations"]  # the iteration is the same
        differ += squared.statistics["best_restart"] != answer.statistics["best_restart"]
    assert differ > 0


@pytest.mark.parametrize("seed", range(5))
def test_held_out_weighs_accuracy_against_plain_distances(silent, restarts, seed):
    given, _ = problem(seed, spread=0.5)
    config = SemiKMeans(init="gcd", restarts=6, restarts_rule="held_out", restart_criterion="unsquared")
    answer = semi_kmeans.cluster(given, config, np.random.default_rng(seed), silent)
    sums, accuracies = plain_sums(given, restarts["partitions"]), np.array(restarts["accuracies"])
    weighed = [(values - values.mean()) / (values.std() or 1) for values in (accuracies, -sums)]
    assert answer.statistics["best_restart"] == np.sum(weighed, axis=0).argmax()


@pytest.mark.parametrize("rule", ["consensus", "medoid"])
def test_the_criterion_does_not_change_what_restarts_agree_on(silent, rule):
    for seed in range(3):
        given, _ = problem(seed, n=50)
        config = {"restarts": 4, "restarts_rule": rule}
        plain, squared = (
            semi_kmeans.cluster(
                given, SemiKMeans(restart_criterion=criterion, **config), np.random.default_rng(seed), silent
            )
            for criterion in ("unsquared", "squared")
        )
        assert adjusted_rand_score(plain.assignments, squared.assignments) == 1  # numbers of clusters may differ


@pytest.mark.parametrize("criterion", ["squared", "unsquared"])
def test_objectives_are_in_the_unit_of_the_embeddings(silent, criterion):
    """Also where distances are computed in a frame, as those of tiny spreads are."""
    given, _ = problem(4)
    config = SemiKMeans(restart_criterion=criterion, restarts=2, tolerance=0)
    plain = semi_kmeans.cluster(given, config, np.random.default_rng(0), silent)
    tiny = Problem(given.embeddings * np.float32(1e-15), given.labels, given.n_known, given.k)
    small = semi_kmeans.cluster(tiny, config, np.random.default_rng(0), silent)
    power = 2 if criterion == "squared" else 1
    assert small.objective == pytest.approx(plain.objective * 1e-15**power, rel=1e-4)
