import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import silhouette_score

from ncdcli.clustering.snc_levels import count_clusters, levels, refine
from ncdcli.counting import snc_score
from ncdcli.counting.kinds import SncScore
from ncdcli.errors import DataError


def rng():
    return np.random.default_rng(0)


def minmax(values):
    low, high = min(values.values()), max(values.values())
    return {k: (value - low) / (high - low) if high > low else 1.0 for k, value in values.items()}


def naive(problem, config, candidates, *, key):
    """Accuracy and silhouette of every k, each from its own walk down the hierarchy."""
    known = sorted(set(problem.labels) - {-1})
    count = round(config.anchor_ratio * len(known))
    anchors = np.random.default_rng([key, 3]).choice(known, count, replace=False)
    guides = np.where(np.isin(problem.labels, anchors), problem.labels, -1)
    held_out = (problem.labels >= 0) & (guides < 0)
    rows = problem.embeddings
    if config.spherical:
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = levels(rows, guides, np.random.default_rng([key, 1]), spherical=config.spherical)
    accuracies, means = {}, {}
    for k in candidates:
        start = min(
            (level for level in found if count_clusters(level, guides) >= k), key=lambda level: len(np.unique(level))
        )
        clusters = refine(rows, guides, start, k, spherical=config.spherical)
        classes = problem.labels[held_out]
        table = np.array([[(clusters[held_out][classes == t] == c).sum() for c in range(k)] for t in set(classes)])
        matched = linear_sum_assignment(-table)
        accuracies[k] = table[matched].sum() / held_out.sum()
        means[k] = silhouette_score(rows, clusters)
    return accuracies, means


@pytest.mark.parametrize("spherical", [True, False])
@pytest.mark.parametrize("novel_only", [False, True])
def test_scores_are_accuracy_times_silhouette_both_scaled(make_blobs, recorder, key, novel_only, spherical):
    problem = make_blobs(spread=3.0, each=20, novel_only=novel_only)
    config = SncScore(low=5, high=9, anchor_ratio=0.5, spherical=spherical)
    answer = snc_score.estimate(problem, config, rng(), recorder)
    accuracies, means = naive(problem, config, range(5, 10), key=key)
    assert answer.other_scores["accuracy"] == pytest.approx(accuracies)
    assert answer.other_scores["silhouette"] == pytest.approx(means, abs=1e-5)
    first, second = minmax(accuracies), minmax(means)
    assert answer.scores == pytest.approx({k: first[k] * second[k] for k in accuracies}, abs=1e-4)
    assert answer.k == max(answer.scores, key=answer.scores.get)


@pytest.mark.parametrize("novel_only", [False, True])
def test_finds_the_number_of_separated_blobs(make_blobs, recorder, novel_only):
    answer = snc_score.estimate(make_blobs(novel_only=novel_only), SncScore(), rng(), recorder)
    assert (answer.k, answer.interval) == (8, (8, 8))
    assert list(answer.scores) == list(range(5 if novel_only else 4, 23))
    assert answer.statistics["accuracy"] == 1.0
    counts = answer.statistics["level_counts"]
    assert counts == sorted(counts, reverse=True)


def test_a_sample_of_the_rows(make_blobs, recorder):
    answer = snc_score.estimate(make_blobs(each=60), SncScore(max_samples=100), rng(), recorder)
    rows = answer.statistics["cost"]["rows"]
    assert 98 <= rows <= 102
    assert answer.statistics["cost"]["distances"] == 2 * rows**2


def test_one_class_cannot_guide_and_be_scored(make_blobs, recorder):
    with pytest.raises(DataError, match="`snc_score` guides by some known classes and scores others"):
        snc_score.estimate(make_blobs(n_known=1), SncScore(), rng(), recorder)
