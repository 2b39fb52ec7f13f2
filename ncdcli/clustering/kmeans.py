"""Plain k-means with seeded restarts; labels serve only to name clusters afterwards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.checks import check_problem
from ncdcli.clustering.descent import Partition
from ncdcli.clustering.division import Division, cluster_without_labels
from ncdcli.clustering.kinds import KMeans
from ncdcli.clustering.restarts import descend, fit, restart_statistics, settle
from ncdcli.clustering.rows import Rows, as_rows, unit_rows
from ncdcli.metrics.contingency import count_table
from ncdcli.metrics.matching import match_clusters, matched_counts
from ncdcli.pipeline.context import Progress


def cluster(problem: Problem, config: KMeans, rng: np.random.Generator, progress: Progress) -> Clustering:
    """k-means of labelled and unlabelled rows together into k clusters (NCD: of unlabelled rows alone).

    How clusters get their names: see `cluster_without_labels`. `spherical` scales rows and centres to unit length:
    clusters by cosine.

    Raises DataError for embeddings that are not finite or too few, RecipeError for a k below the known classes.
    """
    check_problem(problem, needs_k=True)
    rows = as_rows(problem.embeddings)
    if config.spherical:
        rows = unit_rows(rows)

    def divide(part: Rows, k: int) -> Division:
        partitions = _fit(part, k, config, rng, progress)
        settled = settle(
            partitions,
            config.restarts_rule,
            part,
            again=lambda centres: descend(part, centres, iterations=config.iterations, spherical=config.spherical),
            held_out=None if problem.novel_only else lambda: [_accuracy(p.labels, problem) for p in partitions],
        )
        best = settled.partition
        statistics = restart_statistics(partitions, best.labels, k) | settled.statistics
        return Division(best.labels, best.objective, best.centres, statistics)

    clustering = cluster_without_labels(problem, rows, divide)
    if config.spherical:  # means of unit vectors, where they are class means, are shorter
        clustering = replace(clustering, centroids=unit_rows(clustering.centroids))
    return clustering


def _fit(rows: Rows, k: int, config: KMeans, rng: np.random.Generator, progress: Progress) -> list[Partition]:
    with progress.track("k-means", config.restarts) as tick:
        return fit(
            rows,
            k,
            restarts=config.restarts,
            iterations=config.iterations,
            rng=rng,
            seeding=config.seeding,
            seeding_rows=config.seeding_rows,
            spherical=config.spherical,
            tick=tick,
        )


def _accuracy(clusters: NDArray[np.int64], problem: Problem) -> float:
    """Accuracy on labelled rows, whose labels were not used, under the best matching of clusters to known classes."""
    labelled = problem.labels >= 0
    if not labelled.any():
        return 0.0
    counts = count_table(clusters[labelled], problem.labels[labelled], shape=(problem.given_k, problem.n_known))
    return float(matched_counts(counts, match_clusters(counts)).sum() / labelled.sum())
