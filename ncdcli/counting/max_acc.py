"""GCD's estimate of the number of classes: the k whose plain k-means agrees best with the labelled samples."""

from __future__ import annotations

from collections.abc import Sequence

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
from ncdcli.metrics.silhouette import silhouettes
from ncdcli.pipeline.context import Progress, Tick

RESAMPLES = 200
ITERATIONS = 100
SILHOUETTE_ROWS = 5_000


def estimate(problem: CountProblem, config: MaxAcc, rng: np.random.Generator, progress: Progress) -> CountEstimate:
    """The k in low … high whose k-means on all rows has the greatest Hungarian accuracy on the labelled rows.

    Vaze et al., CVPR 2022, section 3.4. Every k has its own random stream, so that its score does not depend on the
    order of the search, and is scored once. `interval` reaches from the least to the greatest candidate whose accuracy
    is within one standard deviation of the best one, where that deviation is over 200 bootstrap samples of the
    labelled rows, matched anew each.

    The labelled samples cannot tell the candidates of the interval apart, and on good embeddings these are many: known
    classes stay whole while novel ones are merged or cut up. GCD takes the one at which its search happens to stop; to
    take the smallest (`ties: smallest`) counts too few. We differ with `ties: silhouette`: the interval is completed
    (every integer of it, and beyond its ends as long as the accuracy stays within the deviation), and the k whose
    clusters have the greatest mean silhouette on unlabelled rows, at most 5,000, wins; the smallest of equal ones.

    Raises DataError without labelled rows or with too few rows, RecipeError for bounds that make no sense.
    """
    _require_labels(problem)
    key = int(rng.integers(2**63))
    chosen = stratified_rows(problem.labels, config.max_samples, np.random.default_rng([key, 0]))
    low, high = _range(problem, config, most=len(chosen))
    candidates = _Candidates(problem, chosen, config.restarts, key)
    if len(np.unique(candidates.classes)) == 1:
        progress.note("only one class has labelled samples: `max_acc` then prefers the least number of clusters")
    search = search_all if config.search == "all" else search_brent
    with progress.track("estimate k", high - low + 1 if config.search == "all" else None) as tick:
        scores = search(lambda k: candidates.score(k, tick), low, high)
        k = best_candidate(scores)
        sd = candidates.bootstrap_sd(k)
        statistics = {"range": [low, high], "best_accuracy": scores[k], "bootstrap_sd": sd, "ties": config.ties}
        first, last = indistinct(scores, sd)
        silhouette: dict[int, float] = {}
        if config.ties == "silhouette" and len(candidates.pool):
            first, last = candidates.complete((first, last), (low, high), scores[k] - sd, tick)
            silhouette = candidates.mean_silhouettes(range(first, last + 1))
            k = best_candidate(silhouette)
            statistics["silhouette"] = silhouette[k]
    statistics |= {"evaluated": len(candidates.scores), "accuracy": candidates.scores[k]}
    others = {"silhouette": silhouette} if silhouette else {}
    return CountEstimate(k, "max_acc", candidates.scores, (first, last), statistics, others)


def _require_labels(problem: CountProblem) -> None:
    if not (problem.labels >= 0).any():
        raise DataError(
            "`max_acc` counts classes by the labelled samples, and there are none",
            hint="use `estimate_k: {kind: silhouette}`, or give k with `{kind: fixed, k: …}`",
        )


class _Candidates:
    """The k-means partition of every k that was asked for, and what it scores."""

    def __init__(self, problem: CountProblem, chosen: NDArray[np.int64], restarts: int, key: int) -> None:
        labels = problem.labels[chosen]
        self.rows = as_rows(problem.embeddings[chosen])
        self.labelled = np.flatnonzero(labels >= 0)
        self.classes = labels[self.labelled]
        self.pool = np.flatnonzero(labels < 0)
        if len(self.pool) > SILHOUETTE_ROWS:
            self.pool = np.sort(np.random.default_rng([key, 2]).choice(self.pool, SILHOUETTE_ROWS, replace=False))
        self.n_known, self.restarts, self.key = problem.n_known, restarts, key
        self.scores: dict[int, float] = {}
        self.clusters: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}  # of labelled rows, of the pool

    def score(self, k: int, tick: Tick) -> float:
        """Hungarian accuracy of k clusters on the labelled rows."""
        if k not in self.scores:
            runs = fit(
                self.rows, k, restarts=self.restarts, iterations=ITERATIONS, rng=np.random.default_rng([self.key, k])
            )
            labels = runs[best_of(runs)].labels
            self.clusters[k] = labels[self.labelled], labels[self.pool]
            self.scores[k] = _accuracy(self.clusters[k][0], self.classes, k, self.n_known)
            tick(1, k=k)
        return self.scores[k]

    def bootstrap_sd(self, k: int) -> float:
        """Standard deviation of the accuracy of k clusters over bootstrap samples of the labelled rows."""
        rng, n, clusters = np.random.default_rng([self.key, 1, k]), len(self.labelled), self.clusters[k][0]
        draws = (rng.integers(n, size=n) for _ in range(RESAMPLES))
        accuracies = [_accuracy(clusters[draw], self.classes[draw], k, self.n_known) for draw in draws]
        return float(np.std(accuracies, ddof=1))

    def complete(self, near: tuple[int, int], limits: tuple[int, int], least: float, tick: Tick) -> tuple[int, int]:
        """The interval `near` with every integer scored, widened within `limits` while scores are at least `least`."""
        first, last = near
        for k in range(first, last + 1):
            self.score(k, tick)
        while first > limits[0] and self.score(first - 1, tick) >= least:
            first -= 1
        while last < limits[1] and self.score(last + 1, tick) >= least:
            last += 1
        return first, last

    def mean_silhouettes(self, candidates: Sequence[int]) -> dict[int, float]:
        """Mean silhouette of the pool's rows in the clusters of each candidate."""
        values = silhouettes(self.rows[self.pool], [self.clusters[k][1] for k in candidates]).mean(axis=1)
        return dict(zip(candidates, values.tolist(), strict=True))


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
