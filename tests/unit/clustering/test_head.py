"""The argmax of a classifier as a clustering."""

import numpy as np
import pytest

from ncdcli.clustering.assign import Logits
from ncdcli.clustering.base import Problem
from ncdcli.clustering.head import cluster
from ncdcli.clustering.kinds import Head
from ncdcli.errors import DataError, RecipeError

LOGITS = np.log(
    np.array(
        [
            [0.7, 0.1, 0.1, 0.1],
            [0.1, 0.6, 0.2, 0.1],
            [0.5, 0.1, 0.3, 0.1],
            [0.1, 0.1, 0.7, 0.1],
            [0.2, 0.2, 0.5, 0.1],
        ],
        np.float32,
    )
)
LABELS = np.array([0, 0, -1, -1, -1])
ROWS = np.arange(10, dtype=np.float32).reshape(5, 2)


def solve(silent, *, novel_only, labels=LABELS, n_known=2, k=4):
    problem = Problem(ROWS, labels, n_known, k, novel_only, logits=LOGITS)
    return cluster(problem, Head(), np.random.default_rng(0), silent)


def test_gcd_takes_the_likeliest_of_all_and_leaves_labelled_rows_in_their_class(silent):
    answer = solve(silent, novel_only=False)
    assert answer.assignments.tolist() == [0, 0, 0, 2, 2]
    assert answer.matched.tolist() == [0, 1, -1, -1]
    assert answer.k == 4
    assert answer.objective == pytest.approx(-np.log([0.5, 0.7, 0.5]).mean(), rel=1e-5)
    assert answer.statistics["mean_confidence"] == pytest.approx((0.5 + 0.7 + 0.5) / 3, rel=1e-5)
    assert answer.statistics["empty"] == 2


def test_ncd_takes_the_likeliest_of_the_novel_ones(silent):
    answer = solve(silent, novel_only=True, labels=np.array([0, 1, -1, -1, -1]))
    assert answer.assignments.tolist() == [0, 1, 2, 2, 2]


def test_centroids_are_means_and_that_of_an_empty_cluster_is_its_likeliest_row(silent):
    answer = solve(silent, novel_only=False)
    np.testing.assert_allclose(answer.centroids[0], ROWS[[0, 1, 2]].mean(0))
    np.testing.assert_allclose(answer.centroids[2], ROWS[[3, 4]].mean(0))
    np.testing.assert_allclose(answer.centroids[1], ROWS[1])


def test_margins_are_differences_of_probabilities_among_those_allowed():
    answers = Logits(LOGITS)
    clusters, margins = answers.best(slice(None))
    assert clusters.tolist() == [0, 1, 0, 2, 2]
    np.testing.assert_allclose(margins, [0.6, 0.4, 0.2, 0.6, 0.3], rtol=1e-4)
    clusters, margins = answers.best(np.array([2]), allowed=np.array([1, 3]))
    assert clusters.tolist() == [1]
    np.testing.assert_allclose(margins, [0.0], atol=1e-6)
    np.testing.assert_allclose(answers.margins(np.array([1]), clusters=np.array([0])), [-0.5], rtol=1e-4)
    assert answers.best(slice(None), allowed=np.array([3]))[1].tolist() == [1.0] * 5


@pytest.mark.parametrize(("n_known", "novel_only"), [(5, False), (4, True)])
def test_fewer_outputs_than_classes_are_refused(silent, n_known, novel_only):
    labels = np.arange(5) if not novel_only else np.array([0, 1, 2, 3, -1])
    with pytest.raises(RecipeError, match=f"`k` is 4, too few for {n_known} known classes"):
        solve(silent, novel_only=novel_only, labels=labels, n_known=n_known, k=None)


@pytest.mark.parametrize("k", [4, None])
@pytest.mark.parametrize("novel_only", [False, True])
def test_no_rows_to_cluster_are_refused(silent, novel_only, k):
    rows = np.arange(2 if novel_only else 0)
    problem = Problem(ROWS, np.array([0, 1, -1, -1, -1]), 2, k, novel_only, logits=LOGITS).at(rows)
    with pytest.raises(DataError, match="cannot be made of 0"):
        cluster(problem, Head(), np.random.default_rng(0), silent)


def test_without_logits_there_is_no_answer(silent):
    with pytest.raises(ValueError, match="needs logits"):
        cluster(Problem(ROWS, LABELS, 2, 4), Head(), np.random.default_rng(0), silent)
