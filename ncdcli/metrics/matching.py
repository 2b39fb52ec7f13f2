"""Which class each cluster stands for: the one-to-one matching with the most samples in agreement."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


def match_clusters(weights: NDArray[np.floating] | NDArray[np.int64]) -> NDArray[np.int64]:
    """(clusters,) column of `weights` (clusters × classes) that each cluster is matched to, -1 for none.

    The matching is one to one and has the greatest total weight (Hungarian method). With more clusters than classes
    some clusters are matched to none; with fewer, some classes are.
    """
    match = np.full(weights.shape[0], -1, np.int64)
    rows, columns = linear_sum_assignment(weights, maximize=True)
    match[rows] = columns
    return match


def matched_counts(counts: NDArray[np.int64], match: NDArray[np.int64]) -> NDArray[np.int64]:
    """(classes,) samples of each class that lie in the cluster matched to it."""
    out = np.zeros(counts.shape[1], np.int64)
    rows = np.flatnonzero(match >= 0)
    out[match[rows]] = counts[rows, match[rows]]
    return out
