"""Sums of rows by cluster, accumulated in float64."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from ncdcli.clustering.rows import Rows, blocks
from ncdcli.clustering.scratch import Scratch
from ncdcli.clustering.threads import each

_KEPT = 2**20  # numbers that are kept in float64, 8 MiB
_AT_ONCE = 2**17  # numbers in float64 at once, 1 MiB
_MOVE, _FOLLOW = 6e5, 2e5  # numbers, and kept ones, summed in the time that it takes to find the rows that have moved


class _Kept:
    """Sums of rows that are few numbers, kept in float64 with the one matrix that adds them up."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows.astype(np.float64)
        self._members: csc_matrix | None = None
        self._ones, self._signs = np.empty(0), np.empty(0)

    def of(self, labels: NDArray[np.int64], k: int) -> NDArray[np.float64]:
        """(r, k, d) sums of the rows of each cluster, for every one of the partitions `labels` (r, n)."""
        r, n = labels.shape
        clusters = np.empty((n, r), np.int32)
        np.add(labels.T, k * np.arange(r), out=clusters, casting="same_kind")
        if len(self._ones) < r * n:
            self._ones = np.ones(r * n)
        starts = np.arange(0, r * n + 1, max(r, 1), dtype=np.int32)
        return self._added(starts, clusters, self._ones, r * k).reshape(r, k, -1)

    def after(
        self, sums: NDArray[np.float64], old: NDArray[np.int64], new: NDArray[np.int64]
    ) -> NDArray[np.float64] | None:
        """(r, k, d) `sums` after rows have gone from `old` clusters (r, n) to `new` ones; None: quicker to sum all."""
        r, k, d = sums.shape
        if new.size * d <= _FOLLOW:
            return None
        moved = np.ascontiguousarray((old != new).T)
        if _FOLLOW + 2 * d * np.count_nonzero(moved) >= new.size * d:
            return None
        row, run = np.nonzero(moved)
        clusters = np.empty((len(row), 2), np.int32)
        clusters[:, 0], clusters[:, 1] = old[run, row] + k * run, new[run, row] + k * run
        starts = np.zeros(len(moved) + 1, np.int32)
        np.cumsum(2 * np.bincount(row, minlength=len(moved)), out=starts[1:])
        if len(self._signs) < clusters.size:
            self._signs = np.tile((-1.0, 1.0), r * len(moved))
        return sums + self._added(starts, clusters, self._signs, r * k).reshape(sums.shape)

    def _added(
        self, starts: NDArray[np.int32], clusters: NDArray[np.int32], weights: NDArray[np.float64], count: int
    ) -> NDArray[np.float64]:
        """(count, d) sums of rows, each with its weights in `clusters`, those of row i from `starts[i]` on."""
        if self._members is None or self._members.shape[0] < count:
            self._members = csc_matrix((count, len(self.rows)))
        self._members.indptr, self._members.indices = starts, clusters.ravel()
        self._members.data = weights[: clusters.size]
        return np.asarray(self._members @ self.rows)[:count]


class RowSums:
    """Sums of the same rows by cluster, for one partition after another."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._scratch = Scratch()

    @cached_property
    def _kept(self) -> _Kept | None:
        return _Kept(self.rows) if self.rows.size <= _KEPT else None

    @cached_property
    def lengths(self) -> NDArray[np.float64]:
        """(n,) squared length of every row."""
        out = np.empty(len(self.rows))

        def fill(part: slice) -> None:
            rows = self.rows[part]
            exact = self._scratch("rows", rows.shape, np.float64)
            exact[:] = rows
            np.einsum("ij,ij->i", exact, exact, out=out[part])

        each(fill, list(blocks(len(out), max(_AT_ONCE // max(self.rows.shape[1], 1), 1))))
        return out

    @cached_property
    def squares(self) -> float:
        """Sum of the squares of all numbers."""
        if self._kept is None:
            return float(self.lengths.sum())
        return float(np.vdot(self._kept.rows, self._kept.rows))

    def of(self, labels: NDArray[np.int64], k: int) -> NDArray[np.float64]:
        """(r, k, d) sums of the rows of each cluster, for every one of the partitions `labels` (r, n)."""
        return group_sums(self.rows, labels, k) if self._kept is None else self._kept.of(labels, k)

    def after(
        self, sums: NDArray[np.float64], old: NDArray[np.int64], new: NDArray[np.int64]
    ) -> NDArray[np.float64] | None:
        """(r, k, d) `sums` after rows have gone from `old` clusters (r, n) to `new` ones; None: quicker to sum all."""
        if self._kept is not None:
            return self._kept.after(sums, old, new)
        d = self.rows.shape[1]
        if new.size * d <= _MOVE or _MOVE + 4 * d * np.count_nonzero(moved := old != new) >= new.size * d:
            return None
        run, row = np.nonzero(moved)
        return sums + moved_sums(self.rows[row], run, old[run, row], new[run, row], sums.shape)


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
    n, d = rows.shape
    size = min(n, max(512, 2**19 // max(d, 1)))  # 4 MB as float64
    exact, sums = np.empty((size, d)), np.zeros((k, d))
    for part in blocks(n, max(size, 1)):
        block = exact[: len(labels[part])]
        block[:] = rows[part]
        sums += _members(labels[part], weights, k) @ block
    return sums


def _members(labels: NDArray[np.int64], weights: tuple[float, ...], k: int) -> csc_matrix:
    """(k, n) matrix with these weights of each row in the clusters that its row of `labels` (n, w) names."""
    n, width = labels.shape
    chosen = csc_matrix((k, n))  # SciPy's own way from these arrays checks them, for longer than sums take
    chosen.data, chosen.indices = np.tile(weights, n), labels.ravel().astype(np.int32)
    chosen.indptr = np.arange(0, width * n + 1, width, dtype=np.int32)
    return chosen


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
