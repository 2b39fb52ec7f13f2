import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from ncdcli.clustering.restarts import fit
from ncdcli.counting.base import CountProblem
from ncdcli.counting.kinds import MatchedSizeFilter, SizeFilter
from ncdcli.counting.size_filter import all_large, unmatched_large
from ncdcli.errors import DataError, RecipeError


def rng():
    return np.random.default_rng(0)


def runs_of(rows, clusters, *, key, high, restarts):
    return fit(
        rows, clusters, restarts=restarts, iterations=100, seeding="greedy", rng=np.random.default_rng([key, high])
    )


@pytest.mark.parametrize("ratio", [1.0, 0.9])
def test_counts_clusters_of_the_mean_size(make_blobs, recorder, key, ratio):
    problem = make_blobs(spread=4.0)
    answer = all_large(problem, SizeFilter(high=16, restarts=5, size_ratio=ratio), rng(), recorder)
    counts = []
    for run in runs_of(problem.embeddings, 16, key=key, high=16, restarts=5):
        sizes = [(run.labels == c).sum() for c in range(16)]
        counts.append(sum(size >= ratio * 240 / 16 for size in sizes))
    assert answer.statistics["counts"] == counts
    assert answer.k == int(np.median(counts))
    assert answer.interval == (min(counts), max(counts))
    assert answer.scores[answer.k] == max(answer.scores.values())
    assert answer.scores[4] == pytest.approx(-np.mean([abs(count - 4) for count in counts]))
    assert answer.statistics["range"] == [4, 16]


def test_in_the_ncd_setting_the_pool_alone_is_divided(make_blobs, recorder, key):
    problem = make_blobs(novel_only=True)
    answer = all_large(problem, SizeFilter(high=12, restarts=3), rng(), recorder)
    pool = problem.embeddings[problem.labels < 0]
    counts = [
        4 + int((np.bincount(run.labels, minlength=8) >= 120 / 8).sum())
        for run in runs_of(pool, 8, key=key, high=12, restarts=3)
    ]
    assert answer.statistics["counts"] == counts
    assert answer.statistics["cost"]["rows"] == 120


@pytest.mark.parametrize("novel_only", [False, True])
def test_matched_clusters_count_whatever_their_size(make_blobs, recorder, key, novel_only):
    problem = make_blobs(spread=4.0, novel_only=novel_only)
    answer = unmatched_large(problem, MatchedSizeFilter(high=14, restarts=4), rng(), recorder)
    rows = problem.embeddings.astype(np.float64)
    means = np.array([rows[problem.labels == c].mean(axis=0) for c in range(4)])
    counts = []
    for run in runs_of(problem.embeddings, 14, key=key, high=14, restarts=4):
        centres = np.array([rows[run.labels == c].mean(axis=0) for c in range(14)])
        distances = np.square(means[:, None] - centres).sum(axis=2)
        matched = set(linear_sum_assignment(distances)[1])
        counted = problem.labels < 0 if novel_only else np.full(240, True)
        mean_size = 120 / 10 if novel_only else 240 / 14
        large = {c for c in range(14) if (counted & (run.labels == c)).sum() >= mean_size}
        counts.append(4 + len(large - matched))
    assert answer.statistics["counts"] == counts
    assert answer.k == sorted(counts)[1]  # the lower of two middle ones


@pytest.mark.parametrize("estimate", [(all_large, SizeFilter), (unmatched_large, MatchedSizeFilter)])
def test_is_near_the_number_of_separated_blobs_from_twice_as_many_clusters(make_blobs, recorder, estimate):
    count, section = estimate
    answer = count(make_blobs(each=60), section(high=16), rng(), recorder)
    assert abs(answer.k - 8) <= 1
    assert answer.interval[0] <= answer.k <= answer.interval[1]


def test_answers_stay_in_the_range(recorder):
    problem = CountProblem(np.ones((40, 2), np.float32), np.full(40, -1), 5)  # all rows in one cluster
    assert all_large(problem, SizeFilter(), rng(), recorder).k == 5
    problem = CountProblem(np.ones((40, 2), np.float32), np.full(40, -1), 5, novel_only=True)
    assert all_large(problem, SizeFilter(), rng(), recorder).k == 6


def test_a_sample_of_the_rows(make_blobs, recorder):
    answer = unmatched_large(make_blobs(each=60), MatchedSizeFilter(max_samples=100), rng(), recorder)
    assert 98 <= answer.statistics["cost"]["rows"] <= 102


def test_what_cannot_be_counted_is_refused(make_blobs, recorder):
    with pytest.raises(RecipeError, match=r"`estimate_k.high` is 3, too few for 4 known classes"):
        all_large(make_blobs(), SizeFilter(high=3), rng(), recorder)
    problem = CountProblem(np.eye(9, dtype=np.float32), np.full(9, -1), 2)
    with pytest.raises(DataError, match="`matched_size_filter` counts classes by the labelled samples"):
        unmatched_large(problem, MatchedSizeFilter(), rng(), recorder)
