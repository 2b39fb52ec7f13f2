"""GCD's estimate of the number of classes: the k whose k-means agrees best with the labelled samples."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from ncdcli.clustering.descent import Partition
from ncdcli.clustering.restarts import NestedFits, best_of
from ncdcli.counting.base import Cost, CountEstimate, CountProblem
from ncdcli.counting.candidates import stratified_rows
from ncdcli.counting.kinds import MaxAcc
from ncdcli.counting.labelled import (
    Candidates,
    Sample,
    Verdict,
    choose,
    labelled_range,
    matching_verdict,
    require_labels,
)
from ncdcli.counting.pinned import PinnedSweep
from ncdcli.counting.search import SEARCHES
from ncdcli.pipeline.context import Progress

ITERATIONS = 100


def estimate(problem: CountProblem, config: MaxAcc, rng: np.random.Generator, progress: Progress) -> CountEstimate:
    """The k in low … high whose k-means on all rows has the greatest Hungarian accuracy on the labelled rows.

    Vaze et al., CVPR 2022, section 3.4. The starts of a smaller k are the first ones of a greater (`NestedFits`): a
    score does not depend on the order of the search, chance does the same to neighbouring candidates, and each is
    scored once. The partition of lowest objective counts. `search: brent` follows the mean accuracy of half of the
    restarts, a curve with fewer bumps to be caught at, and only candidates that come within a standard deviation of its
    top are given all restarts and scored. `interval` reaches from the least to the greatest candidate whose accuracy is
    within one standard deviation of the best one, where that deviation is over 200 bootstrap samples of the labelled
    rows, matched anew each.

    The labelled samples cannot tell the candidates of the interval apart, and on good embeddings these are many: known
    classes stay whole while novel ones are merged or cut up. GCD takes the one at which its search happens to stop; to
    take the smallest (`ties: smallest`) counts too few. We differ with `ties: silhouette`: the interval is completed
    (every integer of it, and beyond its ends as long as the accuracy stays within the deviation), and the k whose
    clusters have the greatest mean silhouette on unlabelled rows, at most 5,000, wins; the smallest of equal ones.

    `clustering: semi_kmeans` pins labelled rows to their class, as the clustering that follows does. Pinned rows are
    right by construction: the accuracy is that of labelled rows that were held out of the pinning (`held_out` of each
    class), the share of them in the cluster of their class.

    Raises DataError without labelled rows or with too few rows, RecipeError for bounds that make no sense.
    """
    require_labels(problem, "max_acc")
    key = int(rng.integers(2**63))
    chosen = stratified_rows(problem.labels, config.max_samples, np.random.default_rng([key, 0]))
    sample, cost = Sample.of(problem, chosen, key), Cost()
    make = _by_kmeans if config.clustering == "kmeans" else _by_semi_kmeans
    candidates, limits = make(problem, config, sample, cost, progress)
    answer = choose(
        candidates,
        limits,
        kind="max_acc",
        score_name="accuracy",
        search=SEARCHES[config.search],
        ties=config.ties,
        pool=len(candidates.sample.pool) > 0,
        progress=progress,
    )
    cost.distances += len(candidates.sample.pool) ** 2 if "silhouette" in answer.other_scores else 0
    return replace(answer, statistics={**answer.statistics, "cost": cost.facts(len(sample.rows))})


class _KMeans:
    """Hungarian accuracies of plain k-means on the labelled rows."""

    def __init__(self, sample: Sample, fits: NestedFits, cost: Cost) -> None:
        self._sample, self._fits, self._cost = sample, fits, cost
        self._half = (fits.restarts + 1) // 2
        self._first: dict[int, list[Partition]] = {}  # of these restarts, for every k looked at

    def mean(self, k: int) -> float:
        """The mean accuracy of the first half of the restarts."""
        runs = self._run(k, slice(self._half))
        self._first[k] = runs
        return float(np.mean([matching_verdict(self._sample, run.labels, k).score for run in runs]))

    def verdict(self, k: int) -> Verdict:
        """The accuracy of the restart with the lowest objective."""
        runs = self._first.pop(k, [])
        runs = runs + self._run(k, slice(len(runs), None))
        return matching_verdict(self._sample, runs[best_of(runs)].labels, k)

    def _run(self, k: int, which: slice) -> list[Partition]:
        runs = self._fits(k, which)
        self._cost.add_kmeans(len(self._sample.rows), k, [run.iterations for run in runs])
        return runs


def _by_kmeans(
    problem: CountProblem, config: MaxAcc, sample: Sample, cost: Cost, progress: Progress
) -> tuple[Candidates, tuple[int, int]]:
    """Candidates by plain k-means, and the least and the greatest."""
    limits = labelled_range(problem, config, most=len(sample.rows))
    rng = np.random.default_rng([sample.key, 3])
    kmeans = _KMeans(sample, NestedFits(sample.rows, limits[1], config.restarts, ITERATIONS, rng), cost)
    if len(np.unique(sample.labels[sample.labels >= 0])) == 1:
        progress.note("only one class has labelled samples: `max_acc` then prefers the least number of clusters")
    return Candidates(kmeans.verdict, sample, kmeans.mean if config.search == "brent" else None), limits


def _by_semi_kmeans(
    problem: CountProblem, config: MaxAcc, sample: Sample, cost: Cost, progress: Progress
) -> tuple[Candidates, tuple[int, int]]:
    """Candidates by k-means with pinned rows, and the least and the greatest."""
    sweep = PinnedSweep.of(sample, config.held_out, config.restarts, cost, progress, kind="max_acc")
    return Candidates(partial(_held_out, sweep), sweep.sample), labelled_range(problem, config, most=sweep.most)


def _held_out(sweep: PinnedSweep, k: int) -> Verdict:
    """Share of the held-out rows in the cluster of their class, which bears its number."""
    clustering = sweep.cluster(k)
    right = sweep.right(clustering)
    n = len(right)
    return Verdict(
        float(right.mean()),
        clustering.assignments[sweep.sample.pool],
        lambda rng: float(right[rng.integers(n, size=n)].mean()),
    )
