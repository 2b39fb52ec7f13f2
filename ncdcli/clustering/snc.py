"""Clusters of selective neighbours: a hierarchy that labelled rows keep in order (CiPR, Hao, Han & Wong, TMLR 2024).

Where we differ from the released code: see `ncdcli.clustering.snc_levels`. With k the answer is the same as there: the
level above, merged down to k. Without k the level is chosen as there, by known classes whose labels are held out; the
estimator `snc_score` looks between the levels as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.checks import check_problem
from ncdcli.clustering.division import Division, cluster_without_labels
from ncdcli.clustering.kinds import Snc
from ncdcli.clustering.rows import Rows, as_rows, unit_rows
from ncdcli.clustering.sampled import cluster_means
from ncdcli.clustering.snc_levels import class_of_clusters, count_clusters, levels, refine, unite
from ncdcli.clustering.sums import inertia
from ncdcli.metrics.contingency import count_table
from ncdcli.metrics.matching import match_clusters, matched_counts
from ncdcli.metrics.silhouette import silhouettes
from ncdcli.pipeline.context import Progress

SILHOUETTE_ROWS = 2048


def cluster(problem: Problem, config: Snc, rng: np.random.Generator, progress: Progress) -> Clustering:
    """k clusters from the hierarchy of selective neighbours; without k those of its best level.

    No cluster holds labelled rows of two classes, and all labelled rows of a class are in one. k is reached by merging
    the nearest means, from the coarsest level that has as many clusters or more. Without k, every level of a hierarchy
    in which `held_out` of the known classes count as unlabelled has a score: the accuracy on their rows × the
    silhouette of at most 2,048 rows, both scaled to 0 … 1; the number of clusters at the best level is k. Levels with
    fewer clusters than there are known classes do not count.
    A known class without labelled rows has a novel cluster in its place, with `matched` -1. In the NCD setting the
    unlabelled rows are divided by themselves (then this is FINCH), k being counted on all rows as well.

    Raises DataError for embeddings that are not finite or too few, RecipeError for a k below the known classes.
    """
    check_problem(problem, pinned=True)
    rows = as_rows(problem.embeddings)
    if rows.shape[1] == 1:
        config = config.model_copy(update={"spherical": False})  # a single column has no direction
    if config.spherical:
        rows = unit_rows(rows)
    facts: dict[str, Any] = {}
    with progress.track("selective neighbours", None) as tick:
        if problem.k is None:
            k, facts = _count(problem, rows, config, rng)
            problem = replace(problem, k=k)
            check_problem(problem, pinned=True)
            tick()
        if problem.novel_only:
            clustering = cluster_without_labels(problem, rows, lambda part, k: _divide(part, k, config, rng))
        else:
            clustering = _united(problem, rows, config, rng)
    if config.spherical:
        clustering = replace(clustering, centroids=unit_rows(clustering.centroids))
    return replace(clustering, statistics={**clustering.statistics, **facts})


def level_scores(
    rows: Rows,
    partitions: Sequence[NDArray[np.int64]],
    *,
    labels: NDArray[np.int64],
    held_out: NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(partitions,) accuracy on rows of classes held out, and (partitions,) mean silhouette of at most 2,048 rows.

    `labels` (n,) are those that the hierarchy knew, `held_out` (n,) those that it did not, -1 elsewhere. Clusters of
    the same class are united, then matched to the classes of `labels` and `held_out` together: a class held out that a
    known one has swallowed is wrong. Without such rows the accuracy is 0 throughout.
    """
    united = [unite(partition, labels) for partition in partitions]
    sample = np.sort(rng.permutation(len(rows))[:SILHOUETTE_ROWS])
    silhouette = silhouettes(rows[sample], [partition[sample] for partition in united]).mean(axis=1)
    return np.array([_held_out_accuracy(partition, labels, held_out) for partition in united]), silhouette


def _held_out_accuracy(partition: NDArray[np.int64], labels: NDArray[np.int64], held_out: NDArray[np.int64]) -> float:
    classes = np.maximum(labels, held_out)
    labelled = classes >= 0
    shape = (partition.max() + 1, classes.max(initial=-1) + 1)
    counts = count_table(partition[labelled], classes[labelled], shape=shape)
    hit = matched_counts(counts, match_clusters(counts))
    scored = held_out[held_out >= 0]
    return float(hit[np.unique(scored)].sum() / len(scored)) if len(scored) else 0.0


def _count(problem: Problem, rows: Rows, config: Snc, rng: np.random.Generator) -> tuple[int, dict[str, Any]]:
    """The number of clusters at the level that scores best, no less than the known classes need, and what led to it."""
    present = np.unique(problem.labels[problem.labels >= 0])
    count = min(int(np.ceil(config.held_out * len(present))), len(present) - 1) if config.held_out else 0
    hidden = rng.permutation(present)[: max(count, 0)]
    held_out = np.where(np.isin(problem.labels, hidden), problem.labels, -1)
    labels = np.where(held_out >= 0, -1, problem.labels)
    partitions = levels(rows, labels, rng, spherical=config.spherical)
    accuracies, silhouette = level_scores(rows, partitions, labels=labels, held_out=held_out, rng=rng)
    counts = np.array([count_clusters(partition, labels) for partition in partitions])
    least = problem.n_known + 1 if problem.novel_only else max(problem.n_known, 1)
    allowed = np.flatnonzero(counts >= least)
    scores = _scaled(accuracies[allowed]) * _scaled(silhouette[allowed])
    statistics = {
        "held_out_classes": sorted(hidden.tolist()),
        "level_counts": counts.tolist(),
        "level_accuracies": accuracies.tolist(),
        "level_silhouettes": silhouette.tolist(),
    }
    k = int(counts[allowed[scores.argmax()]]) if len(allowed) else least
    return min(k, _most(problem)), statistics


def _most(problem: Problem) -> int:
    """The greatest k: every unlabelled row by itself."""
    present = problem.n_known if problem.novel_only else len(np.unique(problem.labels[problem.labels >= 0]))
    return present + int((problem.labels < 0).sum())


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values moved to 0 … 1; all 1 where they are equal."""
    width = values.max(initial=-np.inf) - values.min(initial=np.inf)
    return (values - values.min()) / width if width > 0 else np.ones_like(values)


def _best_level(
    rows: Rows, labels: NDArray[np.int64], k: int, config: Snc, rng: np.random.Generator
) -> NDArray[np.int64]:
    """(n,) clusters 0 … k − 1 from the coarsest level with at least so many, or from single rows."""
    single = np.arange(len(rows))
    found = [single, *levels(rows, labels, rng, spherical=config.spherical)]
    enough = [partition for partition in found if count_clusters(partition, labels) >= k]
    return refine(rows, labels, enough[-1], k, spherical=config.spherical)


def _divide(rows: Rows, k: int, config: Snc, rng: np.random.Generator) -> Division:
    clusters = _best_level(rows, np.full(len(rows), -1), k, config, rng)
    centres = cluster_means(rows, clusters)
    return Division(clusters, inertia(rows, clusters, centres), centres)


def _united(problem: Problem, rows: Rows, config: Snc, rng: np.random.Generator) -> Clustering:
    """The clusters of labelled and unlabelled rows together, known classes first."""
    k = problem.given_k
    clusters = _best_level(rows, problem.labels, k, config, rng)
    marks = class_of_clusters(clusters, problem.labels)
    matched = np.full(k, -1, np.int64)
    matched[marks[marks >= 0]] = marks[marks >= 0]
    places = np.empty(k, np.int64)
    places[marks >= 0] = marks[marks >= 0]
    places[marks < 0] = np.flatnonzero(matched < 0)
    assignments = places[clusters]
    centres = cluster_means(rows, assignments)
    return Clustering(assignments, centres.astype(np.float32), matched, inertia(rows, assignments, centres))
