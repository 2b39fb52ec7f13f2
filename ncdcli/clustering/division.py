"""A division of all rows that knows no labels, made a `Clustering` whose clusters are named by the labelled rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.checks import class_means, name_clusters
from ncdcli.clustering.rows import Rows
from ncdcli.clustering.sums import group_sums


@dataclass(frozen=True)
class Division:
    """Rows in clusters that have no names yet."""

    labels: NDArray[np.int64]  # (n,) cluster 0 … of each row
    objective: float
    centres: NDArray[np.float64] | None = None  # (k, d); default: the means of the clusters
    statistics: Mapping[str, Any] = field(default_factory=dict)


def cluster_without_labels(problem: Problem, rows: Rows, divide: Callable[[Rows, Any], Division]) -> Clustering:
    """The clustering that `divide(rows, k)` finds, clusters named by the labelled rows afterwards.

    GCD: labelled and unlabelled rows are divided together, and clusters are matched one to one to known classes by the
    labelled rows they hold (Hungarian). A class whose matched cluster holds none of its labelled rows has no cluster:
    its place is taken by a novel one (`matched` -1). Where a method that finds k finds fewer clusters than known
    classes, the places left over stay empty clusters at the means of their labelled rows.

    NCD: the unlabelled rows alone are divided, into k − n_known clusters, and the known clusters are the means of the
    labelled rows. `rows` are those of the problem, prepared as the method wants them; the k that `divide` is given is
    None where the problem has none.
    """
    if problem.novel_only:
        return _divide_pool(problem, rows, divide)
    division = divide(rows, problem.k)
    centres = _centres(division, rows)
    found = len(centres)
    k = max(found, problem.n_known)
    labelled = problem.labels >= 0
    order, matched = name_clusters(division.labels[labelled], problem.labels[labelled], n_known=problem.n_known, k=k)
    if k > found:
        places = np.flatnonzero(order >= found)
        centres = np.concatenate([centres, class_means(rows, problem.labels, problem.n_known)[places]])
        matched[places] = np.where(np.isin(places, problem.labels), places, -1)
    return Clustering(
        assignments=np.argsort(order)[division.labels],
        centroids=centres[order].astype(np.float32),
        matched=matched,
        objective=division.objective,
        statistics=division.statistics,
    )


def _divide_pool(problem: Problem, rows: Rows, divide: Callable[[Rows, Any], Division]) -> Clustering:
    pool = problem.labels < 0
    division = divide(rows[pool], None if problem.k is None else problem.k - problem.n_known)
    centres = _centres(division, rows[pool])
    assignments = problem.labels.copy()
    assignments[pool] = division.labels + problem.n_known
    known = class_means(rows, problem.labels, problem.n_known)
    return Clustering(
        assignments=assignments,
        centroids=np.concatenate([known, centres]).astype(np.float32),
        matched=np.concatenate([np.arange(problem.n_known), np.full(len(centres), -1)]),
        objective=division.objective,
        statistics=division.statistics,
    )


def _centres(division: Division, rows: Rows) -> NDArray[np.float64]:
    if division.centres is not None:
        return division.centres
    counts = np.bincount(division.labels)
    return group_sums(rows, division.labels, len(counts)) / np.maximum(counts, 1)[:, None]
