"""The nearest centre of every row, again and again for the same rows, without computing what cannot have changed."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering import loops
from ncdcli.clustering.narrow import NarrowNearest
from ncdcli.clustering.rows import Rows, blocks, squared_norms
from ncdcli.clustering.scratch import Scratch
from ncdcli.clustering.sums import RowSums
from ncdcli.clustering.threads import all_blas_threads, each

_NOISE = 1e-5  # of |x|² + |c|²: squared distances that are nearer than this may be told apart wrongly in float32
_CALM = 0.1  # part of the rows that change their centre below which bounds begin to save more than they cost
_CHEAP, _SMALL = 10_000, 3e7  # multiply-adds a row, or in all, below which `NarrowNearest` is the quickest
_COPIED = 2**28  # numbers, 1 GiB, of which it may keep a copy
_DEAR, _MANY = 13_000, 1 / 16  # multiply-adds a row from which bounds pay, centres in parts of the rows up to which
_PARTS = 32  # blocks of rows from which threads that take one each, and the places of the least with it, are quicker
_WORTH = 0.7  # part of the rows above which a sweep over all of them is quicker than one over those that may change


class Nearest:
    """The nearest centres of some rows, while the centres move.

    A row keeps its centre, unlooked at, as long as the triangle inequality says that no other one can have come nearer:
    an upper bound on the distance to its own centre grows with that centre's moves, a lower bound on the distance to
    all others shrinks with the largest move (Hamerly 2010), and half the distance from the own centre to the nearest
    other one is a lower bound as well (Elkan 2003). Bounds carry the rounding of float32, so that the answer is the one
    of a full sweep. Distances are |x|² − 2xc + |c|², by GEMM in blocks of rows.

    Where centres are few numbers each, all distances are computed, see `NarrowNearest`.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.looked_at = 0  # rows whose distances were computed, all sweeps together (but those of `narrow`)
        self._scratch = Scratch()
        self._centres: NDArray[np.float32] | None = None  # of the last sweep
        self._labels = np.zeros(len(rows), np.int64)
        self._changed = len(rows)  # rows that got another centre in the last sweep
        self._bounded = False  # the two bounds are those of the last sweep
        self._upper = np.empty(0)  # (n,) as soon as they are kept
        self._lower = np.empty(0)

    @cached_property
    def norms(self) -> NDArray[np.float32]:
        """(n,) squared length of every row."""
        return self.sums.lengths.astype(np.float32)

    @cached_property
    def narrow(self) -> NarrowNearest:
        """What finds nearest centres where these are few numbers: of several k-means of the rows side by side."""
        return NarrowNearest(self.rows)

    @cached_property
    def sums(self) -> RowSums:
        """Sums of the rows by cluster."""
        return RowSums(self.rows)

    def cheap(self, k: int) -> bool:
        """Whether `narrow` is the quickest for k centres."""
        return (k * self.rows.shape[1] < _CHEAP or k * self.rows.size < _SMALL) and self.rows.size <= _COPIED

    def _pays(self, k: int) -> bool:
        """Whether bounds for k centres save more than they cost, once few rows change."""
        n, d = self.rows.shape
        return 1 < k < _MANY * n and k * d >= _DEAR

    def __call__(self, centres: NDArray[np.floating]) -> NDArray[np.int64]:
        """(n,) nearest of the (k, d) centres to each row, the first of equally near ones."""
        if self.cheap(len(centres)):
            return self.narrow(centres[None])[0]
        near = centres.astype(np.float32)
        norms = squared_norms(near)
        known = self._centres is not None and len(near) == len(self._centres)
        rows = self._may_change(near, norms) if known and self._bounded else None
        self._bounded = rows is not None or (self._pays(len(near)) and self._changed < _CALM * len(self.rows))
        if self._bounded and not len(self._upper):
            self._upper, self._lower = np.empty(len(self.rows)), np.empty(len(self.rows))
        self._centres = near
        before = self._labels.copy()
        self._look(near, norms, rows)
        self._changed = int(np.count_nonzero(before != self._labels))
        return self._labels.copy()

    def _may_change(self, near: NDArray[np.float32], norms: NDArray[np.float32]) -> NDArray[np.int64] | None:
        """Rows whose nearest centre may be another one than at the last sweep; None: look at all."""
        assert self._centres is not None
        moves = np.linalg.norm(near.astype(np.float64) - self._centres, axis=1)
        order = np.argsort(moves)
        other_moves = np.where(np.arange(len(near)) == order[-1], moves[order[-2]], moves[order[-1]])
        self._upper += moves[self._labels]
        self._lower -= other_moves[self._labels]
        bound = np.maximum(self._lower, _half_gaps(near, norms)[self._labels])
        noise = _NOISE * (self.norms + norms.max())
        unsure = (bound <= self._upper) | ((bound - self._upper) * (bound + self._upper) <= noise)
        rows = np.flatnonzero(unsure)
        return None if len(rows) > _WORTH * len(unsure) else rows

    def _look(self, near: NDArray[np.float32], norms: NDArray[np.float32], chosen: NDArray[np.int64] | None) -> None:
        """Nearest centres and bounds of the `chosen` rows, by computing all their distances."""
        slopes = np.ascontiguousarray(-2 * near.T)
        largest = float(norms.max())

        def look(part: slice) -> None:
            index = part if chosen is None else chosen[part]
            rows = self.rows[index]
            block = self._scratch("products", (len(rows), len(norms)), np.float32)
            np.matmul(rows, slopes, out=block)
            best = self._scratch("best", (len(rows),), np.int64)
            least, second = (self._scratch(name, (len(rows),), np.float32) for name in ("least", "second"))
            loops.two_least(block, norms, best, least, second if self._bounded else None)
            self._labels[index] = best
            if not self._bounded:
                return
            size = self.norms[index].astype(np.float64)
            noise = _NOISE * (size + largest)
            self._upper[index] = np.sqrt(np.maximum(size + least, 0) + noise)
            self._lower[index] = np.sqrt(np.maximum(size + second - noise, 0))

        count = len(self.rows) if chosen is None else len(chosen)
        self.looked_at += count
        parts = list(blocks(count))
        if len(parts) >= _PARTS:
            each(look, parts)
            return
        with all_blas_threads():
            for part in parts:
                look(part)


def _half_gaps(near: NDArray[np.float32], norms: NDArray[np.float32]) -> NDArray[np.float64]:
    """(k,) half of the distance from each centre to the nearest other one, rounded down."""
    squared = (norms[:, None] - 2 * near @ near.T + norms).astype(np.float64)
    np.fill_diagonal(squared, np.inf)
    return 0.5 * np.sqrt(np.maximum(squared.min(axis=1) - _NOISE * (norms + norms.max()), 0))
