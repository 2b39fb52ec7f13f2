"""PBN's estimate of the number of classes: the k with the greatest mean silhouette on unlabelled samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncdcli.counting.base import CountEstimate, CountProblem
from ncdcli.counting.candidates import best_candidate, near_best
from ncdcli.counting.kinds import Silhouette
from ncdcli.counting.sweep import sample_of, sweep_of
from ncdcli.metrics.silhouette import silhouettes
from ncdcli.pipeline.context import Progress

RESAMPLES = 100


def estimate(problem: CountProblem, config: Silhouette, rng: np.random.Generator, progress: Progress) -> CountEstimate:
    """The number of classes whose k-means on the unlabelled rows has the greatest mean silhouette.

    Troisemaine et al., DMKD 2024 (PBN). In the NCD setting unlabelled rows are clustered into the novel classes only
    (default 2 … max(29, 2 × known + 10) of them), and the answer adds the known classes; in the GCD setting the pool
    holds both, and they are clustered into all k (default: known classes … 3 × known + 10). Silhouettes are averaged
    over the same sample of at most `max_samples` rows for every k. Of equal means the smallest k wins; every k has its
    own random stream.

    The interval holds the candidates whose shortfall against the best mean is within one standard deviation over 100
    bootstrap samples of these rows' silhouettes; partitions and silhouettes are held in the resamples.

    Raises DataError with too few unlabelled rows, RecipeError for bounds that make no sense.
    """
    sweep = sweep_of(problem, config, rng)
    sample = sample_of(len(sweep.rows), config.max_samples, sweep.key)
    partitions = sweep.run(lambda _, partition: partition.labels[sample], progress)
    values = silhouettes(sweep.rows[sample], list(partitions.values()))
    scores = {k: float(value.mean()) for k, value in zip(partitions, values, strict=True)}
    k = best_candidate(scores)
    sweep.cost.distances += len(sample) ** 2
    statistics = {
        "range": [sweep.low, sweep.high],
        "silhouette": scores[k],
        "rows": len(sample),
        "cost": sweep.cost.facts(len(sweep.rows)),
    }
    means = _resampled_means(values, np.random.default_rng([sweep.key, 1]))
    interval = near_best(scores, dict(zip(partitions, means, strict=True)))
    return CountEstimate(k, "silhouette", scores, interval, statistics)


def _resampled_means(values: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """(candidates, resamples) mean of each line of `values` (candidates, n), of the same draws of columns for all."""
    n = values.shape[1]
    counts = np.stack([np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(RESAMPLES)])
    return values @ counts.T / n
