"""`max_acc` with semi-supervised k-means: part of the labelled rows is held out of the pinning, and scored."""

import numpy as np
import pytest

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import SemiKMeans
from ncdcli.clustering.restarts import NestedFits
from ncdcli.clustering.semi_kmeans import cluster
from ncdcli.counting import max_acc
from ncdcli.counting.base import CountProblem
from ncdcli.counting.kinds import MaxAcc
from ncdcli.counting.labelled import hold_out
from ncdcli.errors import DataError


def rng():
    return np.random.default_rng(0)


def pinned(**options):
    return MaxAcc(clustering="semi_kmeans", **{"restarts": 2, "high": 12, **options})


def test_held_out_rows_are_a_share_of_every_class():
    labels = np.repeat([-1, 0, 1, 2, 3], [5, 10, 4, 2, 1])
    held = hold_out(labels, 0.3, rng(), kind="max_acc")
    assert np.bincount(labels[held], minlength=4).tolist() == [3, 1, 1, 0]
    assert (np.diff(held) > 0).all()
    assert np.bincount(labels[hold_out(labels, 0.99, rng(), kind="max_acc")]).tolist() == [9, 3, 1]


@pytest.mark.parametrize("novel_only", [False, True])
def test_scores_are_accuracies_of_rows_that_were_not_pinned(make_blobs, recorder, key, novel_only):
    problem = make_blobs(spread=3.0, novel_only=novel_only)
    answer = max_acc.estimate(problem, pinned(search="all", low=6, high=9), rng(), recorder)
    held = hold_out(problem.labels, 0.5, np.random.default_rng([key, 3]), kind="max_acc")
    pins = problem.labels.copy()
    pins[held] = -1
    for k in range(6, 10):
        config = SemiKMeans(restarts=2, restarts_rule="lowest_objective")
        stream = np.random.default_rng([key, k])
        clusters = cluster(Problem(problem.embeddings, pins, 4, k), config, stream, recorder).assignments
        assert answer.scores[k] == np.mean(clusters[held] == problem.labels[held])
    assert min(answer.scores.values()) < 1


@pytest.mark.parametrize("novel_only", [False, True])
def test_finds_the_number_of_separated_blobs(make_blobs, recorder, novel_only):
    answer = max_acc.estimate(make_blobs(novel_only=novel_only), pinned(restarts=5), rng(), recorder)
    assert answer.k == 8
    assert answer.interval[0] <= 8 <= answer.interval[1]
    assert answer.criterion == "max_acc"
    assert answer.statistics["cost"]["clusterings"] == 5 * answer.statistics["evaluated"]


def test_the_range_ends_where_pool_and_held_out_rows_do(recorder):
    rows = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    problem = CountProblem(rows, np.array([0, 0, 0, 0, 1, 1, 1, 1, -1, -1, -1, -1]), 2)
    answer = max_acc.estimate(problem, pinned(search="all", high=40), rng(), recorder)
    assert answer.statistics["range"] == [2, 10]  # two pinned classes, four rows held out, four in the pool


def test_classes_of_one_labelled_row_leave_nothing_to_score(recorder):
    problem = CountProblem(np.eye(6, dtype=np.float32), np.array([0, 1, 2, -1, -1, -1]), 3)
    with pytest.raises(DataError, match="no class has more than one"):
        max_acc.estimate(problem, pinned(), rng(), recorder)


def test_cost_of_plain_k_means(make_blobs, recorder):
    answer = max_acc.estimate(make_blobs(), MaxAcc(restarts=3), rng(), recorder)
    cost = answer.statistics["cost"]
    assert cost["rows"] == 240
    seen = answer.other_scores["search"].keys() | answer.scores.keys()
    assert answer.statistics["evaluated"] == len(seen)
    assert cost["clusterings"] == 3 * len(answer.scores) + 2 * len(seen - answer.scores.keys())
    assert cost["distances"] > 240 * 3 * 2 * sum(answer.scores) + 180**2


def test_cost_without_silhouettes_is_that_of_k_means_alone(make_blobs, recorder):
    answer = max_acc.estimate(make_blobs(), MaxAcc(restarts=1, ties="smallest"), rng(), recorder)
    key = int(rng().integers(2**63))
    fits = NestedFits(make_blobs().embeddings, answer.statistics["range"][1], 1, 100, np.random.default_rng([key, 3]))
    seen = answer.other_scores["search"].keys() | answer.scores.keys()
    expected = sum(240 * k * (1 + fits(k)[0].iterations) for k in seen)
    assert answer.statistics["cost"]["distances"] == expected
