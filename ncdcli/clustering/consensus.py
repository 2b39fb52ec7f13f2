"""The partition that several partitions of the same rows have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from ncdcli.clustering.rows import blocks
from ncdcli.clustering.threads import each

ITERATIONS = 50
_WORK = 2e9  # multiply-adds of a sweep of all starts, above which only the best starts are tried


@dataclass(frozen=True)
class _Votes:
    """Rows as what the partitions say of them: alike rows once, and how many they are."""

    chosen: csr_matrix  # (distinct, partitions · k) ones: the cluster in each partition
    weights: NDArray[np.int64]  # (distinct,) rows that read so
    base: NDArray[np.float64]  # (k, partitions · k) sum of the pinned rows of each cluster
    base_counts: NDArray[np.int64]  # (k,)


def consensus(
    partitions: NDArray[np.int64], k: int, *, pinned: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], float]:
    """(n,) clusters 0 … k − 1 that agree most with the (partitions, n) given ones, and what they leave unexplained.

    k-means of the rows' cluster numbers, one-hot and side by side: the partition whose clusters are the purest in all
    given partitions at once. Lloyd's iteration starts from each of them, the best first, and the start with the
    lowest sum of squared distances counts. `pinned` (k,) are numbers of rows that are in a cluster of the same number
    in every partition and stay there; they keep the consensus of labelled classes where their labels are.

    The sum is per row and partition: 0 where all agree.
    """
    distinct, inverse, weights = np.unique(partitions.T, axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)
    votes = _votes(distinct, weights, k, np.zeros(k, np.int64) if pinned is None else pinned)
    starts = max(1, min(len(partitions), int(_WORK / (votes.chosen.nnz * k))))
    found = [_lloyd(votes, distinct[:, start], k) for start in range(starts)]
    labels, objective = min(found, key=lambda pair: pair[1])
    return labels[inverse], objective / (partitions.size + votes.base_counts.sum() * len(partitions))


def _votes(distinct: NDArray[np.int64], weights: NDArray[np.int64], k: int, pinned: NDArray[np.int64]) -> _Votes:
    n, partitions = distinct.shape
    columns = (distinct + k * np.arange(partitions)).ravel()
    chosen = csr_matrix((np.ones(len(columns)), columns, partitions * np.arange(n + 1)), shape=(n, partitions * k))
    base = np.tile(np.diag(pinned.astype(np.float64)), (1, partitions))
    return _Votes(chosen, weights, base, pinned)


def _lloyd(votes: _Votes, start: NDArray[np.int64], k: int) -> tuple[NDArray[np.int64], float]:
    """Where Lloyd's iteration from a partition ends, and its sum of squared distances."""
    labels = start
    for _ in range(ITERATIONS):
        centres, counts = _centres(votes, labels, k)
        new = _nearest(votes, centres, counts)
        if np.array_equal(new, labels):
            break
        labels = new
    centres, counts = _centres(votes, labels, k)
    partitions = votes.base.shape[1] // k
    return labels, float(partitions * counts.sum() - counts @ np.square(centres).sum(axis=1))


def _centres(votes: _Votes, labels: NDArray[np.int64], k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(k, partitions · k) means and (k,) sizes of the clusters, pinned rows included."""
    members = csr_matrix((votes.weights.astype(np.float64), labels, np.arange(len(labels) + 1)), shape=(len(labels), k))
    sums = (members.T @ votes.chosen).toarray() + votes.base
    counts = np.asarray(np.bincount(labels, votes.weights, minlength=k) + votes.base_counts, np.float64)
    return sums / np.maximum(counts, 1)[:, None], counts


def _nearest(votes: _Votes, centres: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Nearest of the centres that have rows; the first of equally near ones."""
    offsets = np.where(counts > 0, np.square(centres).sum(axis=1), np.inf)
    slopes = np.ascontiguousarray(-2 * centres.T)

    def look(part: slice) -> NDArray[np.int64]:
        return np.asarray((votes.chosen[part] @ slopes + offsets).argmin(axis=1), np.int64)

    return np.concatenate(each(look, list(blocks(len(votes.weights), 4096))))
