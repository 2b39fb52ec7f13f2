import numpy as np
import pytest
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

from ncdcli.counting.base import CountProblem
from ncdcli.counting.dispersion import calinski_harabasz, davies_bouldin, elbow, knee_distances
from ncdcli.counting.kinds import CalinskiHarabasz, DaviesBouldin, Elbow
from ncdcli.errors import DataError, RecipeError

KINDS = [(calinski_harabasz, CalinskiHarabasz), (davies_bouldin, DaviesBouldin), (elbow, Elbow)]


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("novel_only", [False, True])
@pytest.mark.parametrize(("estimate", "section"), KINDS)
def test_finds_the_number_of_separated_blobs(make_blobs, recorder, estimate, section, novel_only):
    answer = estimate(make_blobs(novel_only=novel_only), section(restarts=5, high=16), rng(), recorder)
    assert (answer.k, answer.interval) == (8, (8, 8))
    first = {"elbow": 5}.get(answer.criterion, 6) if novel_only else 4
    assert list(answer.scores) == list(range(first, 17))
    assert answer.statistics["range"] == [first, 16]
    pool = 120 if novel_only else 180
    cost = answer.statistics["cost"]
    assert (cost["rows"], cost["clusterings"]) == (pool, 5 * (17 - first))
    others = 4 if novel_only else 0
    assert cost["distances"] >= pool * 5 * 2 * sum(k - others for k in answer.scores)


@pytest.mark.parametrize("novel_only", [False, True])
@pytest.mark.parametrize(
    ("estimate", "section", "theirs"),
    [
        (calinski_harabasz, CalinskiHarabasz, calinski_harabasz_score),
        (davies_bouldin, DaviesBouldin, lambda rows, labels: -davies_bouldin_score(rows, labels)),
    ],
)
def test_scores_are_those_of_scikit_learn(make_blobs, recorder, best_partition, estimate, section, theirs, novel_only):
    problem = make_blobs(spread=3.0, novel_only=novel_only)
    answer = estimate(problem, section(low=6, high=10, restarts=2), rng(), recorder)
    pool = problem.embeddings[problem.labels < 0]
    for k in range(6, 11):
        labels = best_partition(pool, k - 4 if novel_only else k, k=k, restarts=2)
        assert answer.scores[k] == pytest.approx(theirs(pool.astype(np.float64), labels), rel=1e-6)
    assert answer.k == max(answer.scores, key=answer.scores.get)


def test_the_curve_of_the_elbow_is_the_inertia(make_blobs, recorder, best_partition):
    problem = make_blobs(spread=3.0)
    answer = elbow(problem, Elbow(high=12, restarts=2), rng(), recorder)
    pool = problem.embeddings[problem.labels < 0].astype(np.float64)
    for k, value in answer.other_scores["inertia"].items():
        labels = best_partition(pool.astype(np.float32), k, k=k, restarts=2)
        inertia = sum(((pool[labels == c] - pool[labels == c].mean(axis=0)) ** 2).sum() for c in set(labels))
        assert value == pytest.approx(inertia, rel=1e-9)
    curve = np.array(list(answer.other_scores["inertia"].values()))
    assert list(answer.scores.values()) == knee_distances(curve).tolist()


@pytest.mark.parametrize(
    ("curve", "knee"),
    [
        ([10, 5, 2, 1.8, 1.6, 1.4], 2),
        ([100, 40, 30, 22, 15, 9, 4, 0], 1),
        ([9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0], 3),
        ([1 / x for x in range(1, 11)], 2),  # of 1/x on 1 … 10 the distance is greatest at x = √10
        ([np.exp(-x) for x in np.linspace(0, 5, 51)], 16),  # at x = ln(5 / (1 − e⁻⁵)) = 1.616
    ],
)
def test_knees_of_curves_made_by_hand(curve, knee):
    distances = knee_distances(np.array(curve, float))
    assert distances.argmax() == knee
    assert distances[0] == 0
    assert distances[-1] == pytest.approx(0, abs=1e-12)


def test_the_distance_of_a_knee_is_that_below_the_chord():
    np.testing.assert_allclose(knee_distances(np.array([10.0, 5, 2, 1, 0])), [0, 0.25, 0.3, 0.15, 0], atol=1e-12)
    assert knee_distances(np.array([5.0, 4, 3, 2])).tolist() == pytest.approx([0, 0, 0, 0])


@pytest.mark.parametrize("curve", [[3.0], [3.0, 1.0], [2.0, 2.0, 2.0]])
def test_curves_without_a_knee(curve):
    assert knee_distances(np.array(curve)).tolist() == [0.0] * len(curve)


def naive_bootstrap(problem, best_partition, key, candidates, score):
    """(candidates, 100) scores on bootstrap samples, partitions and means held."""
    pool = problem.embeddings[problem.labels < 0].astype(np.float64)
    n, draws = len(pool), np.random.default_rng([key, 1])
    samples = [draws.integers(n, size=n) for _ in range(100)]
    out = []
    for k in candidates:
        labels = best_partition(pool.astype(np.float32), k, k=k, restarts=2)
        means = np.array([pool[labels == c].mean(axis=0) for c in range(k)])
        out.append([score(pool, labels, means, sample) for sample in samples])
    return np.array(out)


def naive_calinski_harabasz(pool, labels, means, sample):
    within = sum(((pool[i] - means[labels[i]]) ** 2).sum() for i in sample)
    total = sum(((pool[i] - pool.mean(axis=0)) ** 2).sum() for i in sample)
    return (total - within) / (len(means) - 1) / (within / (len(sample) - len(means)))


def naive_davies_bouldin(pool, labels, means, sample):
    spread = {}
    for c in sorted(set(labels[sample])):
        spread[c] = np.mean([np.linalg.norm(pool[i] - means[c]) for i in sample if labels[i] == c])
    worst = [
        max((spread[a] + spread[b]) / np.linalg.norm(means[a] - means[b]) for b in spread if b != a) for a in spread
    ]
    return -np.mean(worst)


@pytest.mark.parametrize(
    ("estimate", "section", "score"),
    [
        (calinski_harabasz, CalinskiHarabasz, naive_calinski_harabasz),
        (davies_bouldin, DaviesBouldin, naive_davies_bouldin),
    ],
)
def test_the_interval_holds_what_bootstrap_samples_cannot_tell_from_the_best(
    make_blobs, recorder, best_partition, key, estimate, section, score
):
    problem = make_blobs(k=5, n_known=3, each=12, spread=2.5)
    answer = estimate(problem, section(low=3, high=7, restarts=2), rng(), recorder)
    resampled = naive_bootstrap(problem, best_partition, key, range(3, 8), score)
    best = list(answer.scores).index(answer.k)
    shortfall = answer.scores[answer.k] - np.array(list(answer.scores.values()))
    deviation = (resampled[best] - resampled).std(axis=1, ddof=1)
    near = 3 + np.flatnonzero(shortfall <= deviation)
    assert answer.interval == (near.min(), near.max())


@pytest.mark.parametrize(("estimate", "section"), KINDS)
def test_a_sample_of_the_pool(make_blobs, recorder, estimate, section):
    problem = make_blobs(each=60)
    answer = estimate(problem, section(max_samples=100, restarts=5), rng(), recorder)
    assert answer.statistics["cost"]["rows"] == 100
    assert answer.k == 8


@pytest.mark.parametrize(("estimate", "section"), KINDS[:2])
def test_one_cluster_has_no_other_to_be_compared_with(make_blobs, recorder, estimate, section):
    with pytest.raises(RecipeError, match=r"`estimate_k.low` is 5, one cluster of unlabelled samples") as caught:
        estimate(make_blobs(novel_only=True), section(low=5), rng(), recorder)
    assert "at least 6" in caught.value.hint


@pytest.mark.parametrize(("estimate", "section"), KINDS[:2])
def test_the_fewest_clusters_that_explain_everything_win(recorder, estimate, section):
    rows = np.repeat(np.arange(12.0, dtype=np.float32)[:, None] ** 2, 5, axis=0)[:30]  # six distinct rows, five of each
    problem = CountProblem(rows, np.full(30, -1), 2)
    answer = estimate(problem, section(high=10, restarts=5), rng(), recorder)
    assert answer.k == 6
    assert np.isfinite(list(answer.scores.values())).all()


def test_equal_rows_are_one_cluster(recorder):
    problem = CountProblem(np.ones((20, 3), np.float32), np.full(20, -1), 2)
    for estimate, section in KINDS:
        assert estimate(problem, section(high=6, restarts=2), rng(), recorder).k == 2


def test_an_elbow_needs_three_candidates(make_blobs, recorder):
    assert elbow(make_blobs(), Elbow(low=7, high=8, restarts=1), rng(), recorder).k == 7
    assert any("at least three candidates" in note for note in recorder.notes)


@pytest.mark.parametrize(("estimate", "section"), KINDS)
def test_bounds_that_make_no_sense_are_refused(make_blobs, recorder, estimate, section):
    with pytest.raises(RecipeError, match=r"`estimate_k.low` is 9, above"):
        estimate(make_blobs(), section(low=9, high=6), rng(), recorder)
    with pytest.raises(DataError, match="500 clusters, the least number to try"):
        estimate(make_blobs(), section(low=500, high=600), rng(), recorder)
