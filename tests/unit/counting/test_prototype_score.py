import numpy as np
import pytest

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import SemiKMeans
from ncdcli.clustering.semi_kmeans import cluster
from ncdcli.counting import prototype_score
from ncdcli.counting.base import CountProblem
from ncdcli.counting.kinds import PrototypeScore
from ncdcli.counting.labelled import hold_out
from ncdcli.errors import DataError


def rng():
    return np.random.default_rng(0)


def naive_score(problem, k, *, key, restarts, progress):
    """The formula of the docstring, class by class."""
    held = hold_out(problem.labels, 0.5, np.random.default_rng([key, 3]), kind="prototype_score")
    pins = problem.labels.copy()
    pins[held] = -1
    clusters = cluster(
        Problem(problem.embeddings, pins, problem.n_known, k),
        SemiKMeans(restarts=restarts, restarts_rule="lowest_objective"),
        np.random.default_rng([key, k]),
        progress,
    ).assignments
    rows, loose = problem.embeddings.astype(np.float64), pins < 0
    pseudo = {c: rows[loose & (clusters == c)].mean(axis=0) for c in set(clusters[loose])}
    fits = []
    for label in range(problem.n_known):
        mean = rows[problem.labels == label].mean(axis=0)
        distances = {c: np.linalg.norm(mean - centre) for c, centre in pseudo.items()}
        own = distances.pop(label)
        other = min(distances.values())
        fits.append(1 - own / other if own < other else other / own - 1)
    return (np.mean(clusters[held] == problem.labels[held]) + np.mean(fits)) / 2


@pytest.mark.parametrize("novel_only", [False, True])
def test_scores_are_those_of_the_formula(make_blobs, recorder, key, novel_only):
    problem = make_blobs(spread=2.5, novel_only=novel_only)
    answer = prototype_score.estimate(problem, PrototypeScore(low=6, high=10, restarts=2), rng(), recorder)
    for k in range(6, 11):
        expected = naive_score(problem, k, key=key, restarts=2, progress=recorder)
        assert answer.scores[k] == pytest.approx(expected, abs=1e-6)
    assert answer.statistics["best_prototype_score"] == max(answer.scores.values())


@pytest.mark.parametrize("search", ["all", "brent"])
@pytest.mark.parametrize("novel_only", [False, True])
def test_finds_the_number_of_separated_blobs(make_blobs, recorder, novel_only, search):
    config = PrototypeScore(high=12, restarts=5, search=search)
    answer = prototype_score.estimate(make_blobs(novel_only=novel_only), config, rng(), recorder)
    assert answer.k == 8
    assert answer.interval[0] <= 8 <= answer.interval[1]


def test_a_class_that_only_labelled_rows_are_of_neither_helps_nor_harms(recorder):
    """Its cluster holds one labelled row and nothing else: no mean to compare with."""
    rows = np.array([[0.0], [0.1], [0.2], [0.3], [100.0]], np.float32)
    problem = CountProblem(rows, np.array([0, 0, -1, -1, 1]), 2)
    answer = prototype_score.estimate(problem, PrototypeScore(high=2, restarts=1), rng(), recorder)
    assert answer.scores == {2: pytest.approx((1 + (1 + 0) / 2) / 2)}  # one other mean: none is nearer than class 0's


def test_classes_of_one_labelled_row_leave_nothing_to_score(recorder):
    problem = CountProblem(np.eye(6, dtype=np.float32), np.array([0, 1, 2, -1, -1, -1]), 3)
    with pytest.raises(DataError, match="`prototype_score` holds labelled samples out"):
        prototype_score.estimate(problem, PrototypeScore(), rng(), recorder)
