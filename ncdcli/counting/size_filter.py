"""Numbers of classes by cluster size: more clusters than classes are made, and the large ones are counted.

Every restart of k-means gives a count. The answer is their median (the lower of two middle ones), where the published
methods take the one of a single run, which has been seen to differ by 14 classes of 77 between seeds. The score of a
candidate is minus its mean distance to the counts: greatest at the median. The interval holds the middle 90 % of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.checks import class_means
from ncdcli.clustering.descent import Partition
from ncdcli.clustering.restarts import fit
from ncdcli.clustering.rows import Rows, as_rows
from ncdcli.clustering.semi_kmeans import unclaimed
from ncdcli.counting.base import Cost, CountEstimate, CountProblem
from ncdcli.counting.candidates import best_candidate, candidate_range, middle_of, nearness, stratified_rows
from ncdcli.counting.kinds import MatchedSizeFilter, SizeFilter
from ncdcli.counting.labelled import require_labels
from ncdcli.pipeline.context import Progress

ITERATIONS = 100


@dataclass(frozen=True)
class _Filter:
    """Rows and what is made of them."""

    rows: Rows  # (n, d)
    labels: NDArray[np.int64]  # (n,) known class, -1 on unlabelled rows
    clusters: int  # to be made of the rows
    low: int  # candidates, known and novel classes together
    high: int


def all_large(problem: CountProblem, config: SizeFilter, rng: np.random.Generator, progress: Progress) -> CountEstimate:
    """The number of clusters of at least N / K' rows that k-means of all N rows into K' = `high` clusters has.

    Zhang et al., AAAI 2021 (DeepAligned), section 3.2; `size_ratio` times the mean size (DPN: 0.9). In the NCD setting
    the pool alone is divided, into K' − known clusters, and the known classes are added. Labels are not looked at. The
    answer is never below the number of known classes (NCD: one more).

    Raises DataError with too few rows, RecipeError for a K' below the known classes.
    """
    others = problem.n_known if problem.novel_only else 0
    rows = np.flatnonzero(problem.labels < 0) if others else np.arange(len(problem.labels))
    prepared, rng = _prepare(problem, config, rows, rng, others=others)

    def count(partition: Partition) -> int:
        sizes = np.bincount(partition.labels, minlength=prepared.clusters)
        return others + int((sizes >= config.size_ratio * len(prepared.rows) / prepared.clusters).sum())

    return _estimate(prepared, config, rng, progress, count)


def unmatched_large(
    problem: CountProblem, config: MatchedSizeFilter, rng: np.random.Generator, progress: Progress
) -> CountEstimate:
    """Classes with labelled rows, and those of K' clusters that match none of them and have N / K' rows at least.

    Zhang et al., TKDE 2023 (USNID): k-means of all N rows into K' = `high` clusters; means of labelled classes are
    matched to centroids one to one (least squared distance). In the NCD setting a cluster's size is the number of its
    unlabelled rows, and the mean size is theirs over K' − known: the rest of a known class is no novel one.

    Raises DataError without labelled rows or with too few rows, RecipeError for a K' below the known classes.
    """
    require_labels(problem, config.kind)
    prepared, rng = _prepare(problem, config, np.arange(len(problem.labels)), rng, others=0)
    known = np.unique(prepared.labels[prepared.labels >= 0])
    means = class_means(prepared.rows, prepared.labels, problem.n_known)[known]
    counted = prepared.labels < 0 if problem.novel_only else np.full(len(prepared.labels), True)
    mean_size = counted.sum() / (prepared.clusters - (problem.n_known if problem.novel_only else 0))

    def count(partition: Partition) -> int:
        sizes = np.bincount(partition.labels[counted], minlength=prepared.clusters)
        free = unclaimed(partition.centres, means)
        return len(known) + int((sizes[free] >= max(config.size_ratio * mean_size, 1)).sum())

    return _estimate(prepared, config, rng, progress, count)


def _prepare(
    problem: CountProblem,
    config: SizeFilter | MatchedSizeFilter,
    rows: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    others: int,
) -> tuple[_Filter, np.random.Generator]:
    """The rows to divide, or a sample of them, and how; and the random stream for that."""
    key = int(rng.integers(2**63))
    chosen = rows[stratified_rows(problem.labels[rows], config.max_samples, np.random.default_rng([key, 0]))]
    known = problem.n_known
    low, high = candidate_range(
        None,
        config.high,
        default=(known + 1 if problem.novel_only else max(known, 2), 3 * known + 10),
        most=others + len(chosen),
        n_known=known,
        novel_only=problem.novel_only,
    )
    prepared = _Filter(as_rows(problem.embeddings[chosen]), problem.labels[chosen], high - others, low, high)
    return prepared, np.random.default_rng([key, high])


def _estimate(
    prepared: _Filter,
    config: SizeFilter | MatchedSizeFilter,
    rng: np.random.Generator,
    progress: Progress,
    count: Callable[[Partition], int],
) -> CountEstimate:
    cost = Cost()
    with progress.track("estimate k", config.restarts) as tick:
        runs = fit(
            prepared.rows,
            prepared.clusters,
            restarts=config.restarts,
            iterations=ITERATIONS,
            seeding="greedy",
            rng=rng,
            tick=tick,
        )
    cost.add_kmeans(len(prepared.rows), prepared.clusters, [run.iterations for run in runs])
    counts = [min(max(count(run), prepared.low), prepared.high) for run in runs]
    scores = nearness(counts, prepared.low, prepared.high)
    k = best_candidate(scores)
    statistics = {
        "range": [prepared.low, prepared.high],
        "counts": counts,
        "cost": cost.facts(len(prepared.rows)),
    }
    return CountEstimate(k, config.kind, scores, middle_of(counts, k), statistics)
