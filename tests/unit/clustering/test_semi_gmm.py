"""The pinned mixture, and the search of k by splits and merges."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from ncdcli.clustering import ncd_kmeans, semi_gmm
from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import NcdKMeans, SemiGmm
from ncdcli.clustering.mixture import fit_mixture
from ncdcli.errors import RecipeError


def blobs(seed=0, *, k=8, n_known=4, n=640, d=6, spread=9.0, novel_only=False):
    rng = np.random.default_rng(seed)
    classes = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    centres = np.eye(k, d) * spread if k <= d else rng.normal(size=(k, d)) * spread
    rows = centres[classes] + rng.normal(size=(n, d))
    labels = np.where(classes < n_known, classes, -1)
    if not novel_only:
        labels[k:][rng.random(n - k) < 0.5] = -1
    return Problem(rows.astype(np.float32), labels, n_known, k, novel_only), classes


def run(problem, silent, **options):
    return semi_gmm.cluster(problem, SemiGmm(**options), np.random.default_rng(0), silent)


@pytest.mark.parametrize("novel_only", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_with_a_given_k_it_is_em_from_an_ncd_k_means(silent, seed, novel_only):
    given, _ = blobs(seed, spread=2.0, d=4, n=160, novel_only=novel_only)
    answer = run(given, silent, dimensions=None, restarts=2, iterations=8)
    rows = given.embeddings.astype(np.float64)
    rows -= rows.mean(axis=0)
    start = ncd_kmeans.cluster(
        replace(given, embeddings=rows.astype(np.float32)), NcdKMeans(restarts=2), np.random.default_rng(0), silent
    )
    found = fit_mixture(
        rows, start.assignments, start.centroids.astype(np.float64), kind="tied",
        least=0.01 * rows.var(axis=0).mean(), iterations=8, tolerance=1e-3, pinned=given.labels >= 0,
        barred=(np.arange(8) < 4) & novel_only,
    )  # fmt: skip
    np.testing.assert_array_equal(answer.assignments, found.labels)
    assert answer.objective == pytest.approx(-found.log_likelihood)
    for c in range(8):
        np.testing.assert_allclose(
            answer.centroids[c], given.embeddings[answer.assignments == c].mean(axis=0), atol=1e-4
        )
    assert answer.matched.tolist() == [0, 1, 2, 3, -1, -1, -1, -1]
    assert (answer.assignments[given.labels < 0] >= 4).all() or not novel_only


@pytest.mark.parametrize(
    ("start", "novel_only"), [(8, False), (10, False), (14, False), (5, True), (6, True), (8, True), (14, True)]
)
def test_the_number_of_separated_clusters_is_found_from_below_and_from_above(silent, start, novel_only):
    given, classes = blobs(1, novel_only=novel_only)
    answer, trace = semi_gmm.find_k(replace(given, k=None), SemiGmm(start=start), np.random.default_rng(0), silent)
    assert answer.k == 8
    assert adjusted_rand_score(answer.assignments, classes) == 1
    assert trace == answer.statistics["k_of_rounds"]
    assert trace[int(np.argmax(answer.statistics["scores"]))] == 8
    assert answer.matched.tolist() == [0, 1, 2, 3, -1, -1, -1, -1]


def test_the_clustering_is_the_one_that_the_found_k_gives(silent):
    given, _ = blobs(2, spread=3.0)
    found = run(replace(given, k=None), silent)
    again = run(replace(given, k=found.k), silent)
    assert adjusted_rand_score(found.assignments, again.assignments) > 0.99
    assert found.objective == pytest.approx(again.objective, rel=1e-3)


def test_split_merge_says_whether_a_given_k_stays(silent):
    given, _ = blobs(1)
    start = replace(given, k=11)
    assert (run(start, silent).k, run(start, silent, split_merge=True).k) == (11, 8)


@pytest.mark.parametrize("seed", range(5))
def test_what_a_round_may_and_may_not_change(silent, seed):
    """Merges leave fewer labels than before; components with labelled rows are not split, two of them not merged."""
    given, _ = blobs(seed, spread=0.5, n=400)  # one heap: everything wants to be merged
    config = SemiGmm(start=16)
    state = semi_gmm._begin(given, config, 16, np.random.default_rng(seed), silent)
    judge = semi_gmm._judge(given, state, config, np.random.default_rng(seed))
    for explore in (0.0, 1.0):
        labels, changes = semi_gmm._changed(state, state.start, judge, explore, np.random.default_rng(seed))
        assert changes > 0
        np.testing.assert_array_equal(labels[state.pinned], given.labels[state.pinned])
        for c in range(state.n_fixed):
            assert set(labels[state.start == c]) == {c}
    merged, _ = semi_gmm._changed(state, state.start, judge, 0.0, np.random.default_rng(seed))
    assert len(set(merged)) < len(set(state.start))
    answer = run(replace(given, k=None), silent, start=16)
    assert answer.k < 16
    assert len(set(answer.assignments)) == answer.k


def test_one_heap_has_no_novel_class_in_the_gcd_setting_and_one_in_the_ncd_setting(silent):
    given, _ = blobs(0, k=3, n_known=2, spread=0.0)
    assert run(replace(given, k=None), silent).k == 2
    alone = Problem(given.embeddings, np.where(np.arange(640) < 320, np.arange(640) % 2, -1), 2, None, True)
    assert run(alone, silent).k == 3


def test_exploring_takes_all_rounds_and_answers_with_the_most_probable_one(silent):
    given, _ = blobs(1)
    answer = run(replace(given, k=None), silent, explore=0.1, rounds=20)
    trace, scores = answer.statistics["k_of_rounds"], answer.statistics["scores"]
    assert len(trace) == 20
    assert answer.k == trace[int(np.argmax(scores))]
    assert any(a != b for a, b in pairwise(trace[-10:]))  # without exploring, it would rest


def test_all_rows_labelled_gives_the_labels(silent):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 10)
    for k in (3, None):
        answer = run(Problem(rng.normal(size=(30, 2)).astype(np.float32), labels, 3, k), silent)
        np.testing.assert_array_equal(answer.assignments, labels)
        assert answer.k == 3


@pytest.mark.parametrize("k", [4, None])
def test_a_known_class_without_labelled_rows_competes_as_a_novel_cluster(silent, k):
    given, classes = blobs(3, k=4, n_known=3)
    labels = np.where(given.labels == 1, -1, given.labels)
    answer = run(Problem(given.embeddings, labels, 3, k), silent)
    assert answer.matched.tolist() == [0, -1, 2, -1]
    assert adjusted_rand_score(answer.assignments, classes) == 1


@pytest.mark.parametrize("covariance", ["tied", "full", "diagonal", "spherical"])
@pytest.mark.parametrize("k", [6, None])
def test_500_rows_of_768_columns(silent, k, covariance):
    given, classes = blobs(0, k=6, n_known=3, n=500, d=768, spread=15.0)
    answer = run(Problem(given.embeddings, given.labels, 3, k), silent, covariance=covariance)
    assert np.isfinite(answer.centroids).all()
    assert answer.k == 6
    assert adjusted_rand_score(answer.assignments, classes) == 1


def test_a_start_below_the_known_classes_is_refused(silent):
    given, _ = blobs(0)
    with pytest.raises(RecipeError, match="too few for 4 known classes"):
        run(replace(given, k=None), silent, start=3)
