"""Sums of rows by cluster, accumulated in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from ncdcli.clustering.rows import Rows, blocks
from ncdcli.clustering.threads import each

_PART = 32  # blocks that are summed in a row before parts are added up: the order of additions depends on n alone
_SMALL = 1e7  # multiply-adds of a dense product that take less time than SciPy needs to check a sparse matrix


def group_sums(rows: Rows, labels: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """(k, d) sum of the rows of each cluster."""
    return _sums(rows, labels[:, None], (1.0,), k)


def moved_sums(rows: Rows, old: NDArray[np.int64], new: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """(k, d) change of the sums when rows leave `old` clusters for `new` ones."""
    return _sums(rows, np.stack([old, new], axis=1), (-1.0, 1.0), k)


def _sums(rows: Rows, labels: NDArray[np.int64], weights: tuple[float, ...], k: int) -> NDArray[np.float64]:
    """(k, d) sum of the rows, each added to the clusters in its row of `labels` with these weights."""
    width, dense = len(weights), rows.size * k < _SMALL
    small = list(blocks(len(rows), max(256, 2**18 // max(rows.shape[1], 1))))  # 2 MB as float64: stays in the cache

    def add(parts: list[slice]) -> NDArray[np.float64]:
        sums = np.zeros((k, rows.shape[1]))
        for part in parts:
            size = part.stop - part.start
            if dense:
                chosen = np.zeros((size, k))
                for column, weight in enumerate(weights):
                    chosen[np.arange(size), labels[part, column]] = weight
            else:
                ends = width * np.arange(size + 1)
                chosen = csr_matrix((np.tile(weights, size), labels[part].ravel(), ends), shape=(size, k))
            sums += chosen.T @ rows[part]
        return sums

    groups = [small[first : first + _PART] for first in range(0, len(small), _PART)]
    return sum(each(add, groups), np.zeros((k, rows.shape[1])))


def inertia(rows: Rows, labels: NDArray[np.int64], centres: NDArray[np.float64]) -> float:
    """Sum of squared distances of the rows to the centres of their clusters, from differences in float64."""

    def add(part: slice) -> float:
        difference = rows[part] - centres[labels[part]]
        return float(np.einsum("ij,ij->", difference, difference))

    return sum(each(add, list(blocks(len(rows)))), 0.0)
