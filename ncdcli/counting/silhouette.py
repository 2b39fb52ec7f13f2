"""PBN's estimate of the number of classes: the k with the greatest mean silhouette on unlabelled samples."""

from __future__ import annotations

import numpy as np

from ncdcli.clustering.restarts import best_of, fit
from ncdcli.clustering.rows import as_rows
from ncdcli.counting.base import CountEstimate, CountProblem
from ncdcli.counting.candidates import best_candidate, candidate_range, indistinct
from ncdcli.counting.kinds import Silhouette
from ncdcli.metrics.silhouette import silhouettes
from ncdcli.pipeline.context import Progress

ITERATIONS = 100


def estimate(problem: CountProblem, config: Silhouette, rng: np.random.Generator, progress: Progress) -> CountEstimate:
    """The number of classes whose k-means on the unlabelled rows has the greatest mean silhouette.

    Troisemaine et al., DMKD 2024 (PBN). In the NCD setting unlabelled rows are clustered into the novel classes only
    (default 2 … max(29, 2 × known + 10) of them), and the answer adds the known classes; in the GCD setting the pool
    holds both, and they are clustered into all k (default: known classes … 3 × known + 10). Silhouettes are averaged
    over the same sample of at most `max_samples` rows for every k. The interval holds the candidates within one
    standard error of the best mean. Of equal means the smallest k wins; every k has its own random stream.

    Raises DataError with too few unlabelled rows, RecipeError for bounds that make no sense.
    """
    pool = np.flatnonzero(problem.labels < 0)
    others = problem.n_known if problem.novel_only else 0  # classes that the pool does not hold
    low, high = _range(problem, config, others, len(pool))
    key = int(rng.integers(2**63))
    rows = as_rows(problem.embeddings[pool])
    sample = np.arange(len(rows))
    if len(rows) > config.max_samples:
        sample = np.sort(np.random.default_rng([key, 0]).choice(len(rows), config.max_samples, replace=False))
    partitions = []
    with progress.track("estimate k", high - low + 1) as tick:
        for k in range(low, high + 1):
            runs = fit(
                rows,
                k - others,
                restarts=config.restarts,
                iterations=ITERATIONS,
                rng=np.random.default_rng([key, k]),
            )
            partitions.append(runs[best_of(runs)].labels[sample])
            tick(1, k=k)
    values = silhouettes(rows[sample], partitions)
    scores = {k: float(value.mean()) for k, value in zip(range(low, high + 1), values, strict=True)}
    k = best_candidate(scores)
    error = float(values[k - low].std(ddof=1) / np.sqrt(len(sample)))
    statistics = {"range": [low, high], "silhouette": scores[k], "standard_error": error, "rows": len(sample)}
    return CountEstimate(k, "silhouette", scores, indistinct(scores, error), statistics)


def _range(problem: CountProblem, config: Silhouette, others: int, pool: int) -> tuple[int, int]:
    """Least and greatest k: at least two clusters in the pool, and fewer clusters than rows."""
    known = problem.n_known
    default = (known + 2, known + max(29, 2 * known + 10)) if others else (max(known, 2), 3 * known + 10)
    low, high = candidate_range(
        config.low,
        config.high,
        default=default,
        most=others + pool - 1,
        n_known=known,
        novel_only=problem.novel_only,
    )
    return low, high
