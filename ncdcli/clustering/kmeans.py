"""Plain k-means with seeded restarts; labels serve only to name clusters afterwards."""

from __future__ import annotations

import numpy as np

from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.checks import check_problem, class_means, name_clusters
from ncdcli.clustering.kinds import KMeans
from ncdcli.clustering.lloyd import Partition
from ncdcli.clustering.restarts import best_of, fit, restart_statistics
from ncdcli.clustering.rows import Rows, as_rows, unit_rows
from ncdcli.pipeline.context import Progress


def cluster(problem: Problem, config: KMeans, rng: np.random.Generator, progress: Progress) -> Clustering:
    """k-means of labelled and unlabelled rows together into k clusters, the first n_known named by the labelled rows.

    Clusters are matched one to one to known classes by the labelled rows they hold (Hungarian). A class whose matched
    cluster holds none of its labelled rows has no cluster: its place is taken by a novel one (`matched` -1). In the
    NCD setting the unlabelled rows alone are clustered, into k − n_known clusters, and the known clusters are the
    means of the labelled rows. `spherical` scales rows and centres to unit length: clusters by cosine.

    Raises DataError for embeddings that are not finite or too few, RecipeError for a k below the known classes.
    """
    check_problem(problem)
    rows = as_rows(problem.embeddings)
    if config.spherical:
        rows = unit_rows(rows)
    if problem.novel_only:
        return _cluster_pool(rows, problem, config, rng, progress)
    partitions = _fit(rows, problem.k, config, rng, progress)
    best = partitions[best_of(partitions)]
    labelled = problem.labels >= 0
    order, matched = name_clusters(
        best.labels[labelled], problem.labels[labelled], n_known=problem.n_known, k=problem.k
    )
    return Clustering(
        assignments=np.argsort(order)[best.labels],
        centroids=best.centres[order].astype(np.float32),
        matched=matched,
        objective=best.objective,
        statistics=restart_statistics(partitions, best.labels, problem.k),
    )


def _cluster_pool(
    rows: Rows, problem: Problem, config: KMeans, rng: np.random.Generator, progress: Progress
) -> Clustering:
    pool = problem.labels < 0
    novel = problem.k - problem.n_known
    partitions = _fit(rows[pool], novel, config, rng, progress)
    best = partitions[best_of(partitions)]
    assignments = problem.labels.copy()
    assignments[pool] = best.labels + problem.n_known
    known = class_means(rows, problem.labels, problem.n_known)
    if config.spherical:
        known = unit_rows(known.astype(np.float32)).astype(np.float64)
    return Clustering(
        assignments=assignments,
        centroids=np.concatenate([known, best.centres]).astype(np.float32),
        matched=np.concatenate([np.arange(problem.n_known), np.full(novel, -1)]),
        objective=best.objective,
        statistics=restart_statistics(partitions, best.labels, novel),
    )


def _fit(rows: Rows, k: int, config: KMeans, rng: np.random.Generator, progress: Progress) -> list[Partition]:
    with progress.track("k-means", config.restarts) as tick:
        return fit(
            rows,
            k,
            restarts=config.restarts,
            iterations=config.iterations,
            rng=rng,
            seeding=config.seeding,
            spherical=config.spherical,
            tick=tick,
        )
