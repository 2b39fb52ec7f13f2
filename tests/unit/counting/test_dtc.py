import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import silhouette_score

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import SemiKMeans
from ncdcli.clustering.semi_kmeans import cluster
from ncdcli.counting import dtc
from ncdcli.counting.base import CountProblem
from ncdcli.counting.kinds import Dtc
from ncdcli.errors import DataError


def rng():
    return np.random.default_rng(0)


def naive(problem, config, *, key, progress):
    """Accuracies and silhouettes of every k, and the answer, step by step."""
    known = sorted(set(problem.labels) - {-1})
    count = round(config.anchor_ratio * len(known))
    anchors = sorted(np.random.default_rng([key, 3]).choice(known, count, replace=False).tolist())
    pins = np.array([anchors.index(label) if label in anchors else -1 for label in problem.labels])
    validation = np.array([label >= 0 and label not in anchors for label in problem.labels])
    accuracies, means, left = {}, {}, {}
    for k in range(config.low, config.high + 1):
        clusters = cluster(
            Problem(problem.embeddings, pins, count, k, problem.novel_only),
            SemiKMeans(restarts=config.restarts, restarts_rule="lowest_objective"),
            np.random.default_rng([key, k]),
            progress,
        ).assignments
        others = [label for label in known if label not in anchors]
        table = np.array([[(clusters[problem.labels == label] == c).sum() for c in range(k)] for label in others])
        classes, matched = linear_sum_assignment(-table)
        accuracies[k] = table[classes, matched].sum() / validation.sum()
        means[k] = silhouette_score(problem.embeddings[pins < 0], clusters[pins < 0])
        sizes = np.bincount(clusters[problem.labels < 0], minlength=k)
        large = set(np.flatnonzero((sizes > 0) & (sizes >= config.min_max_ratio * sizes.max())))
        if problem.novel_only:
            left[k] = len(known) + len(large)
        else:
            named = {c for t, c in zip(classes, matched, strict=True) if table[t].sum()} | set(range(count))
            left[k] = len(named | large)
    first = max(k for k in accuracies if accuracies[k] == max(accuracies.values()))
    second = max(k for k in means if means[k] == max(means.values()))
    return accuracies, means, left[int(np.ceil((first + second) / 2))]


@pytest.mark.parametrize("ratio", [0.01, 0.5])
@pytest.mark.parametrize("novel_only", [False, True])
def test_goes_step_by_step_as_published(make_blobs, recorder, key, novel_only, ratio):
    problem = make_blobs(spread=2.5, novel_only=novel_only)
    config = Dtc(low=6, high=11, restarts=2, min_max_ratio=ratio)
    answer = dtc.estimate(problem, config, rng(), recorder)
    accuracies, means, k = naive(problem, config, key=key, progress=recorder)
    assert answer.scores == pytest.approx(accuracies)
    assert answer.other_scores["silhouette"] == pytest.approx(means, abs=1e-5)
    assert answer.k == max(k, 6)
    assert answer.interval[0] <= answer.k <= answer.interval[1]
    assert (answer.statistics["anchors"], answer.statistics["validation_classes"]) == (2, 2)


@pytest.mark.parametrize("novel_only", [False, True])
def test_the_answer_is_the_middle_of_two_criteria(make_blobs, recorder, novel_only):
    """Separated blobs: silhouettes find eight, while probe classes stay whole for larger k as well."""
    answer = dtc.estimate(make_blobs(spread=8.0, each=60, novel_only=novel_only), Dtc(high=12), rng(), recorder)
    found = answer.statistics
    assert found["best_by_silhouette"] == 8
    assert answer.scores[found["best_by_accuracy"]] == 1.0
    assert found["averaged"] == -(-(8 + found["best_by_accuracy"]) // 2)
    assert answer.k <= found["averaged"]


def test_small_clusters_are_dropped(recorder):
    """Four classes, two of them known, and three outliers that take clusters of their own."""
    draws = np.random.default_rng(1)
    classes = np.repeat(np.arange(4), 60)
    rows = np.eye(4)[classes] * 8 + draws.normal(size=(240, 4))
    rows = np.concatenate([rows, [[90, 0, 0, 0], [0, 90, 0, 0], [0, 0, 90, 0]]]).astype(np.float32)
    labels = np.concatenate([np.where((classes < 2) & (np.arange(240) % 2 == 0), classes, -1), [-1, -1, -1]])
    kept = dtc.estimate(CountProblem(rows, labels, 2), Dtc(high=7, min_max_ratio=0), rng(), recorder)
    dropped = dtc.estimate(CountProblem(rows, labels, 2), Dtc(high=7, min_max_ratio=0.1), rng(), recorder)
    assert kept.k == kept.statistics["averaged"] == dropped.statistics["averaged"]
    assert dropped.k < kept.k


def test_one_class_cannot_be_anchor_and_validation(make_blobs, recorder):
    with pytest.raises(DataError, match="only one has labelled samples"):
        dtc.estimate(make_blobs(n_known=1), Dtc(), rng(), recorder)
