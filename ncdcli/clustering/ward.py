"""Ward's agglomerative clustering of rows that are smoothed by mean shift (CMS, Choi et al., CVPR 2024, section 3.4).

Without a k, there are as many clusters as make the tree agree best with the labelled rows: the estimate `ward_acc`,
made of the rows that are clustered, before they are smoothed. Where we differ from the released code: the rounds of
smoothing are chosen by the labelled training samples and no others. In the NCD setting, where the pool is clustered
alone, the number of rounds is the one that is best for the labelled rows, clustered alone as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.checks import check_problem
from ncdcli.clustering.division import Division, cluster_without_labels
from ncdcli.clustering.kinds import Ward
from ncdcli.clustering.neighbours import nearest_neighbours
from ncdcli.clustering.rows import Rows, as_rows, blocks, unit_rows
from ncdcli.clustering.sampled import carried_over, cluster_means
from ncdcli.clustering.sums import inertia
from ncdcli.clustering.ward_tree import cut_tree, ward_tree
from ncdcli.counting import ward_acc
from ncdcli.counting.base import CountProblem
from ncdcli.counting.candidates import stratified_rows
from ncdcli.counting.kinds import WardAcc
from ncdcli.metrics.contingency import count_table
from ncdcli.metrics.matching import match_clusters, matched_counts
from ncdcli.pipeline.context import Progress

PATIENCE = 2  # rounds without a better accuracy before smoothing stops


@dataclass(frozen=True)
class _Rounds:
    """The best of some rounds of smoothing."""

    best: int  # rounds that the best clusters took
    clusters: NDArray[np.int64]  # (n,) after as many
    accuracies: tuple[float, ...]  # on labelled rows, after 0, 1, … rounds


def cluster(problem: Problem, config: Ward, rng: np.random.Generator, progress: Progress) -> Clustering:
    """Ward's clusters of labelled and unlabelled rows together (NCD: of unlabelled rows alone), cut at k.

    With `mean_shift` rounds, rows are scaled to unit length and smoothed (`shift`) again and again; after each round
    the clusters are scored by their Hungarian accuracy on labelled rows, and those of the best round, the first of
    equal ones, are the answer. Smoothing ends after two rounds without a better one, and does not begin without
    labelled rows or with a single column, which has no direction. Centroids are means of the rows as they were before,
    of unit length where the rows are.

    Trees take n² of memory: `max_samples` rows, every class in its share, are clustered, and the others go to the
    nearest mean. How clusters get their names: see `cluster_without_labels`. Where fewer than k rows are distinct,
    there are fewer clusters.

    Raises DataError for embeddings that are not finite or too few, and without a k where no row has a label,
    RecipeError for a k below the known classes.
    """
    check_problem(problem)
    rows = as_rows(problem.embeddings)
    if rows.shape[1] == 1:
        config = config.model_copy(update={"mean_shift": 0})
    if config.mean_shift:
        rows = unit_rows(rows)
    told: dict[str, Any] = {}
    if problem.k is None:
        problem, told = _with_best_k(problem, rows, config, rng, progress)
    known = np.flatnonzero(problem.labels >= 0)

    def divide(part: Rows, k: int) -> Division:
        labels = problem.labels[problem.labels < 0] if problem.novel_only else problem.labels
        sample = stratified_rows(labels, max(config.max_samples, 2 * k), rng)
        with progress.track("Ward", None) as tick:
            if not problem.novel_only or not len(known):
                found = _best_round(part[sample], labels[sample], k, config, tick)
            else:
                guide = known[stratified_rows(problem.labels[known], config.max_samples, rng)]
                chosen = _best_round(rows[guide], problem.labels[guide], problem.n_known, config, tick)
                found = replace(chosen, clusters=_after(part[sample], chosen.best, k, config))
        clusters = carried_over(part, sample, found.clusters)
        statistics = {"rows": len(sample), "mean_shift_rounds": found.best, "labelled_accuracies": found.accuracies}
        statistics |= told
        centres = cluster_means(part, clusters)
        return Division(clusters, inertia(part, clusters, centres), centres, statistics)

    clustering = cluster_without_labels(problem, rows, divide)
    return replace(clustering, centroids=unit_rows(clustering.centroids)) if config.mean_shift else clustering


def _with_best_k(
    problem: Problem, rows: Rows, config: Ward, rng: np.random.Generator, progress: Progress
) -> tuple[Problem, dict[str, Any]]:
    """The problem with the k that labelled rows are for, and what `clustering.json` tells about it."""
    counted = CountProblem(rows, problem.labels, problem.n_known, problem.novel_only)
    estimate = ward_acc.estimate(counted, WardAcc(max_samples=config.max_samples), rng, progress)
    assert estimate.k is not None
    interval = None if estimate.interval is None else list(estimate.interval)
    return replace(problem, k=estimate.k), {"k_interval": interval, "k_accuracy": estimate.statistics["accuracy"]}


def shift(rows: Rows, *, alpha: float, neighbours: int) -> Rows:
    """Unit rows moved towards the mean of their nearest neighbours by cosine, and scaled to unit length again.

    x becomes (1 − `alpha`) x + `alpha` · mean of its `neighbours` nearest other rows (CMS, equation 4).
    """
    nearest, _ = nearest_neighbours(rows, neighbours)
    if not nearest.shape[1]:
        return rows
    out = np.empty_like(rows)
    for part in blocks(len(rows), 256):
        out[part] = (1 - alpha) * rows[part] + alpha * rows[nearest[part]].mean(axis=1)
    return unit_rows(out)


def _best_round(rows: Rows, labels: NDArray[np.int64], k: int, config: Ward, tick: Callable[[], None]) -> _Rounds:
    """The clusters of `rows`, smoothed until the accuracy on labelled rows no longer rises."""
    accuracies: list[float] = []
    best, clusters = 0, np.empty(0, np.int64)
    for done in range(config.mean_shift + 1):
        if done:
            rows = shift(rows, alpha=config.alpha, neighbours=config.neighbours)
        found = cut_tree(ward_tree(rows), k)
        tick()
        if not (labels >= 0).any():
            return _Rounds(0, found, ())
        accuracies.append(labelled_accuracy(found, labels))
        if done == 0 or accuracies[done] > accuracies[best]:
            best, clusters = done, found
        if accuracies[best] == 1 or done - best == PATIENCE:
            break
    return _Rounds(best, clusters, tuple(accuracies))


def _after(rows: Rows, rounds: int, k: int, config: Ward) -> NDArray[np.int64]:
    """The clusters of `rows` after so many rounds of smoothing."""
    for _ in range(rounds):
        rows = shift(rows, alpha=config.alpha, neighbours=config.neighbours)
    return cut_tree(ward_tree(rows), k)


def labelled_accuracy(clusters: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Hungarian accuracy of the clusters on the rows that have a label (those above −1; one at least)."""
    labelled = labels >= 0
    counts = count_table(clusters[labelled], labels[labelled], shape=(clusters.max() + 1, labels.max() + 1))
    return float(matched_counts(counts, match_clusters(counts)).sum() / labelled.sum())
