"""A hierarchy of semi-supervised clusters, ever fewer ones that hold ever more classes: SelEx's pseudo-labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import SemiKMeans
from ncdcli.clustering.restarts import best_of, fit
from ncdcli.clustering.rows import Rows
from ncdcli.clustering.semi_kmeans import cluster
from ncdcli.pipeline.context import SilentProgress

MERGING_RESTARTS = 10  # of the k-means that merges known classes


@dataclass(frozen=True)
class Level:
    """Clusters of all rows, known ones first."""

    clusters: NDArray[np.int64]  # (n,)
    centres: NDArray[np.float32]  # (k, d)


def level_sizes(n_known: int, n_novel: int) -> list[tuple[int, int]]:
    """Known and novel clusters of each level: halves (rounded down, one at least) until one known cluster is left."""
    sizes = [(n_known, n_novel)]
    while sizes[-1][0] > 1:
        known, novel = sizes[-1]
        sizes.append((known // 2, max(novel // 2, 1)))
    return sizes


def make_hierarchy(problem: Problem, config: SemiKMeans, rng: np.random.Generator) -> list[Level]:
    """Levels of clusters of unit-length rows (SelEx, section 3.1).

    The first is semi-supervised k-means at the problem's k. For every further one, the known centres of the first are
    merged by k-means; rows that the first has in known clusters are pinned to what theirs is merged into, and the
    others are clustered beside them.
    """
    first = _level(problem, config, rng)
    n_known, levels = problem.n_known, [first]
    known = first.clusters < n_known
    for fewer, novel in level_sizes(n_known, problem.given_k - n_known)[1:]:
        merged = _merged(first.centres[:n_known], fewer, rng)
        labels = np.where(known, merged[np.where(known, first.clusters, 0)], -1)
        part = Problem(problem.embeddings, labels, fewer, fewer + novel, problem.novel_only)
        levels.append(_level(part, config, rng))
    return levels


def _level(problem: Problem, config: SemiKMeans, rng: np.random.Generator) -> Level:
    found = cluster(problem, config, rng, SilentProgress())
    return Level(found.assignments, found.centroids)


def _merged(centres: Rows, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n_known,) which of k merged classes each known one is of."""
    partitions = fit(centres, k, restarts=MERGING_RESTARTS, iterations=100, rng=rng)
    return partitions[best_of(partitions)].labels


def reaches(level: Level) -> NDArray[np.float32]:
    """(n,) distance from the centre of each row's cluster to the nearest other centre: twice a cluster's radius."""
    centres = level.centres.astype(np.float64)
    squared = np.square(centres).sum(1)
    distances = squared[:, None] - 2 * centres @ centres.T + squared
    np.fill_diagonal(distances, np.inf)
    return np.sqrt(np.maximum(distances.min(axis=1), 0)).astype(np.float32)[level.clusters]
