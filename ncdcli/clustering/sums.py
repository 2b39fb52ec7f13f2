"""Sums of rows by cluster, accumulated in float64."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering import loops
from ncdcli.clustering.rows import Rows, blocks, moments
from ncdcli.clustering.scratch import Scratch
from ncdcli.clustering.threads import each

_AT_ONCE = 2**17  # numbers in float64 at once, 1 MiB


class RowSums:
    """Sums of the same rows by cluster, for one partition after another."""

    def __init__(self, rows: Rows) -> None:
        self.rows = np.ascontiguousarray(rows, np.float32)
        self._scratch = Scratch()

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
        return float(moments(self.rows)[1].sum())

    def follow(
        self, sums: NDArray[np.float64], before: NDArray[np.int64] | None, after: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """(r, k, d) `sums` by cluster when rows go from those of `before` (r, n) to `after`, see `plain.follow`."""
        out = sums.copy()
        loops.follow(self.rows, before, after, out)
        return out


def group_sums(rows: Rows, labels: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """(k, d) sums of the rows of each cluster `labels` (n,)."""
    return RowSums(rows).follow(np.zeros((1, k, rows.shape[1])), None, np.ascontiguousarray(labels[None], np.int64))[0]


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
