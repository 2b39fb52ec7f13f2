"""GCD's estimate of the number of classes: the k whose plain k-means agrees best with the labelled samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.restarts import best_of, fit
from ncdcli.clustering.rows import as_rows
from ncdcli.counting.base import CountEstimate, CountProblem
from ncdcli.counting.candidates import best_candidate, candidate_range, indistinct, stratified_rows
from ncdcli.counting.kinds import MaxAcc
from ncdcli.counting.search import search_all, search_brent
from ncdcli.errors import DataError
from ncdcli.metrics.contingency import count_table
from ncdcli.metrics.matching import match_clusters, matched_counts
from ncdcli.pipeline.context import Progress

RESAMPLES = 200
ITERATIONS = 100


def estimate(problem: CountProblem, config: MaxAcc, rng: np.random.Generator, progress: Progress) -> CountEstimate:
    """The k in low … high whose k-means on all rows has the greatest Hungarian accuracy on the labelled rows.

    Vaze et al., CVPR 2022, section 3.4. Of equal accuracies the smallest k wins. Every k has its own random stream,
    so that its score does not depend on the order of the search, and is scored once. The interval holds the
    candidates whose accuracy is within one standard deviation of the best one, where that deviation is over 200
    bootstrap samples of the labelled rows, matched anew each.

    Raises DataError without labelled rows or with too few rows, RecipeError for bounds that make no sense.
    """
    if not (problem.labels >= 0).any():
        raise DataError(
            "`max_acc` counts classes by the labelled samples, and there are none",
            hint="use `estimate_k: {kind: silhouette}`, or give k with `{kind: fixed, k: …}`",
        )
    key = int(rng.integers(2**63))
    chosen = stratified_rows(problem.labels, config.max_samples, np.random.default_rng([key, 0]))
    low, high = _range(problem, config, most=len(chosen))
    rows, labels = as_rows(problem.embeddings[chosen]), problem.labels[chosen]
    labelled = np.flatnonzero(labels >= 0)
    if len(np.unique(labels[labelled])) == 1:
        progress.note("only one class has labelled samples: `max_acc` then prefers the least number of clusters")
    clusters: dict[int, NDArray[np.int64]] = {}

    def score(k: int) -> float:
        partitions = fit(rows, k, restarts=config.restarts, iterations=ITERATIONS, rng=np.random.default_rng([key, k]))
        clusters[k] = partitions[best_of(partitions)].labels[labelled]
        tick(1, k=k)
        return _accuracy(clusters[k], labels[labelled], k, problem.n_known)

    search = search_all if config.search == "all" else search_brent
    with progress.track("estimate k", high - low + 1 if config.search == "all" else None) as tick:
        scores = search(score, low, high)
    k = best_candidate(scores)
    sd = _bootstrap_sd(clusters[k], labels[labelled], k, problem.n_known, np.random.default_rng([key, 1, k]))
    statistics = {"range": [low, high], "evaluated": len(scores), "accuracy": scores[k], "bootstrap_sd": sd}
    return CountEstimate(k, "max_acc", scores, indistinct(scores, sd), statistics)


def _range(problem: CountProblem, config: MaxAcc, *, most: int) -> tuple[int, int]:
    least = problem.n_known + 1 if problem.novel_only else max(problem.n_known, 2)
    return candidate_range(
        config.low,
        config.high,
        default=(least, 3 * problem.n_known + 10),
        most=most,
        n_known=problem.n_known,
        novel_only=problem.novel_only,
    )


def _accuracy(clusters: NDArray[np.int64], classes: NDArray[np.int64], k: int, n_known: int) -> float:
    counts = count_table(clusters, classes, shape=(k, n_known))
    return float(matched_counts(counts, match_clusters(counts)).sum() / len(clusters))


def _bootstrap_sd(
    clusters: NDArray[np.int64], classes: NDArray[np.int64], k: int, n_known: int, rng: np.random.Generator
) -> float:
    n = len(clusters)
    draws = (rng.integers(n, size=n) for _ in range(RESAMPLES))
    return float(np.std([_accuracy(clusters[draw], classes[draw], k, n_known) for draw in draws], ddof=1))
