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
    """(k, d) or (r, k, d) sums of the rows of each cluster, for every one of the partitions `labels` (n,) or (r, n)."""
    several = np.atleast_2d(labels)
    numbered = several + k * np.arange(len(several))[:, None]
    return _sums(rows, numbered.T, (1.0,) * len(several), k * len(several)).reshape(
        *labels.shape[:-1], k, rows.shape[1]
    )


def moved_sums(
    rows: Rows, run: NDArray[np.int64], old: NDArray[np.int64], new: NDArray[np.int64], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """(r, k, d) change of the sums when rows (m, d) leave `old` clusters for `new` ones, by partition `run`."""
    r, k, _ = shape
    numbered = np.empty((len(rows), 2), np.int64)
    numbered[:, 0], numbered[:, 1] = old, new
    numbered += k * run[:, None]
    return _sums(rows, numbered, (-1.0, 1.0), r * k).reshape(shape)


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


def own_squared(rows: Rows, labels: NDArray[np.int64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) squared distance of each row to the centre of its cluster."""
    out = np.empty(len(rows))

    def fill(part: slice) -> None:
        difference = rows[part] - centres[labels[part]]
        out[part] = np.einsum("ij,ij->i", difference, difference)

    each(fill, list(blocks(len(out))))
    return out


def inertia(rows: Rows, labels: NDArray[np.int64], centres: NDArray[np.float64]) -> float:
    """Sum of squared distances of the rows to the centres of their clusters, from differences in float64."""

    def add(part: slice) -> float:
        difference = rows[part] - centres[labels[part]]
        return float(np.einsum("ij,ij->", difference, difference))

    return sum(each(add, list(blocks(len(rows)))), 0.0)
