"""Clusters found on a sample of the rows, carried over to all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.assign import nearest
from ncdcli.clustering.rows import Rows
from ncdcli.clustering.sums import group_sums


def cluster_means(rows: Rows, clusters: NDArray[np.int64]) -> NDArray[np.float64]:
    """(k, d) means of the clusters 0 … k − 1; zeros for one without rows."""
    counts = np.bincount(clusters)
    return group_sums(rows, clusters, len(counts)) / np.maximum(counts, 1)[:, None]


def carried_over(rows: Rows, sample: NDArray[np.int64], clusters: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) cluster of every row: those of the `sample` (row numbers) as given, the others that of the nearest mean."""
    if len(sample) == len(rows):
        return clusters
    out = np.empty(len(rows), np.int64)
    out[sample] = clusters
    others = np.setdiff1d(np.arange(len(rows)), sample)
    out[others], _ = nearest(rows[others], cluster_means(rows[sample], clusters))
    return out
