"""Nearest centres when no cluster may have more than its share of the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.rows import Rows, blocks, squared_norms
from ncdcli.errors import DataError

_MOST = 2e8  # distances, 800 MB of them


def capacities(n: int, counts: NDArray[np.int64], balance: float) -> NDArray[np.int64]:
    """(k,) rows that each cluster may take: `balance` times the mean size, less the pinned `counts` it has.

    Room for all `n` rows is there: where pinned rows alone fill clusters, the others share what is left evenly.
    """
    size = int(np.ceil(balance * (n + counts.sum()) / len(counts)))
    while (room := np.maximum(size - counts, 0)).sum() < n:
        size += int(np.ceil((n - room.sum()) / len(counts)))
    return room


def balanced_nearest(rows: Rows, centres: NDArray[np.floating], room: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) cluster of each row, none with more rows than its `room` (k,).

    Every row asks its nearest centre that has not refused it, and a centre keeps the nearest of those that ask
    (deferred acceptance, Gale & Shapley 1962): no row and centre would both rather have each other. SelEx and InfoSieve
    bound clusters likewise, with a greedy pass of their own.

    Raises DataError where n × k distances are too many to be kept.
    """
    n, k = len(rows), len(centres)
    if n * k > _MOST:
        raise DataError(
            f"balanced clusters keep all {n} × {k} distances, more than memory should hold",
            hint="leave `cluster.balance` out, or cluster fewer samples (`data.subset`)",
        )
    distances = _distances(rows, centres)
    distances[:, room == 0] = np.inf
    labels = np.full(n, -1, np.int64)
    asking = np.arange(n)
    while len(asking):
        labels[asking] = distances[asking].argmin(axis=1)
        asking = np.concatenate([_refused(labels, distances, cluster, room[cluster]) for cluster in range(k)])
        distances[asking, labels[asking]] = np.inf
        labels[asking] = -1
    return labels


def _refused(labels: NDArray[np.int64], distances: NDArray[np.float32], cluster: int, room: int) -> NDArray[np.int64]:
    """Rows of a cluster beyond its room, the farthest ones."""
    members = np.flatnonzero(labels == cluster)
    if len(members) <= room:
        return members[:0]
    order = np.argsort(distances[members, cluster], kind="stable")
    return members[order[room:]]


def _distances(rows: Rows, centres: NDArray[np.floating]) -> NDArray[np.float32]:
    """(n, k) squared distances."""
    near = centres.astype(np.float32)
    norms, lengths = squared_norms(near), squared_norms(rows)
    out = np.empty((len(rows), len(near)), np.float32)
    for part in blocks(len(rows)):
        out[part] = lengths[part, None] - 2 * rows[part] @ near.T + norms
    return out
