"""Lloyd's iteration from given centres, with pinned rows and empty clusters repaired: the engine of every k-means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.balance import balanced_nearest, capacities
from ncdcli.clustering.nearest import Nearest
from ncdcli.clustering.rows import Rows, blocks, squared_norms
from ncdcli.clustering.sums import group_sums, inertia, moved_sums

# Squared distances below this part of |x|² are rounding of the mean: the row lies on its centre.
_ON_CENTRE = 1e-10


@dataclass(frozen=True)
class Pinned:
    """Rows whose cluster is given, as what Lloyd needs of them: their number, sum and sum of squares by cluster."""

    counts: NDArray[np.int64]  # (k,)
    sums: NDArray[np.float64]  # (k, d)
    squares: float

    @classmethod
    def of(cls, rows: Rows, labels: NDArray[np.int64], k: int) -> Pinned:
        """The statistics of `rows` (m, d), each pinned to the cluster in `labels` (m,)."""
        squares = sum(float(np.square(rows[part], dtype=np.float64).sum()) for part in blocks(len(rows)))
        return cls(np.bincount(labels, minlength=k), group_sums(rows, labels, k), squares)

    def inertia(self, centres: NDArray[np.float64]) -> float:
        """Sum of squared distances of the pinned rows to the centres of their clusters."""
        cross = float(np.einsum("ij,ij->", self.sums, centres))
        return max(self.squares - 2 * cross + float(self.counts @ squared_norms(centres)), 0.0)


@dataclass(frozen=True)
class Partition:
    """Where Lloyd's iteration ended. Every row is in the cluster of its nearest centre (that has room for it)."""

    labels: NDArray[np.int64]  # (n,)
    centres: NDArray[np.float64]  # (k, d)
    objective: float  # sum of squared distances to the own centre, pinned rows included
    iterations: int
    repaired: int  # clusters that were empty in some iteration and got a row
    converged: bool


def lloyd(
    rows: Rows,
    start: NDArray[np.floating],
    *,
    iterations: int,
    tolerance: float = 0.0,
    pinned: Pinned | None = None,
    spherical: bool = False,
    balance: float | None = None,
    nearest: Nearest | None = None,
) -> Partition:
    """The partition of `rows` (n, d) that Lloyd's iteration reaches from the centres `start` (k, d).

    Each iteration gives rows to their nearest centre (the first of equally near ones), then moves centres to the mean
    of their rows and pinned rows (`spherical`: scaled to unit length). It stops when no row changes its cluster, when
    (sum of the lengths of all centre moves)² < `tolerance` (the rule of GCD's released code), or after `iterations`.

    A cluster left empty is re-seeded at the row farthest from its own centre (never the last row of another cluster,
    and never a row that lies on its centre); with fewer distinct rows than clusters it stays empty where it was.
    With `balance` no cluster takes more rows than that many times the mean size, see `ncdcli.clustering.balance`.
    `nearest` is that of an earlier call with the same rows: what it knows of them is then not computed again.
    Distances are float32 GEMMs, and only those that can matter (see `Nearest`); sums and the objective are float64, and
    sums follow only the rows that changed.
    """
    centres = np.array(start, np.float64)
    k = len(centres)
    base = pinned or Pinned(np.zeros(k, np.int64), np.zeros_like(centres), 0.0)
    nearest = nearest or Nearest(rows)
    assign: Callable[[NDArray[np.float64]], NDArray[np.int64]] = nearest
    if balance is not None:
        assign = partial(balanced_nearest, rows, room=capacities(len(rows), base.counts, balance))
    labels: NDArray[np.int64] | None = None
    sums, counts = base.sums, base.counts
    repaired, done, settled, converged = 0, 0, False, False
    for _ in range(iterations):
        done += 1
        new = assign(centres)
        repaired += _repair(nearest, new, centres, base.counts)
        if labels is not None and np.array_equal(new, labels):
            settled = converged = True
            break
        sums = _follow(sums, rows, labels, new, base)
        counts = base.counts + np.bincount(new, minlength=k)
        labels = new
        moved = _means(sums, counts, centres, spherical)
        shift = float(np.linalg.norm(moved - centres, axis=1).sum())
        centres = moved
        if shift**2 < tolerance:
            converged = True
            break
    if labels is None or not settled:
        labels = assign(centres)
    objective = inertia(rows, labels, centres) + base.inertia(centres)
    return Partition(labels, centres, objective, done, repaired, converged)


def _follow(
    sums: NDArray[np.float64], rows: Rows, old: NDArray[np.int64] | None, new: NDArray[np.int64], base: Pinned
) -> NDArray[np.float64]:
    """Sums of the new clusters, from those of the old ones where few rows changed."""
    k = len(sums)
    if old is not None:
        changed = np.flatnonzero(old != new)
        if len(changed) * 3 < len(rows):
            return sums + moved_sums(rows[changed], old[changed], new[changed], k)
    return base.sums + group_sums(rows, new, k)


def _means(
    sums: NDArray[np.float64], counts: NDArray[np.int64], centres: NDArray[np.float64], spherical: bool
) -> NDArray[np.float64]:
    """Means of the clusters; an empty one keeps its centre."""
    filled = counts > 0
    out = centres.copy()
    out[filled] = sums[filled] / counts[filled, None]
    if spherical:
        lengths = np.linalg.norm(out, axis=1, keepdims=True)
        np.divide(out, lengths, out=out, where=lengths > 0)
    return out


def _repair(
    nearest: Nearest, labels: NDArray[np.int64], centres: NDArray[np.float64], pinned_counts: NDArray[np.int64]
) -> int:
    """The number of empty clusters that were given the farthest row that may be spared; changes `labels`."""
    counts = pinned_counts + np.bincount(labels, minlength=len(centres))
    empty = np.flatnonzero(counts == 0)
    if not len(empty) or not len(labels):
        return 0
    squared = nearest.own_squared(centres, labels)
    farthest = iter(np.argsort(-squared, kind="stable"))
    given = 0
    for cluster in empty:
        row = next((r for r in farthest if counts[labels[r]] > 1), None)
        if row is None or squared[row] <= _ON_CENTRE * float(np.square(nearest.rows[row], dtype=np.float64).sum()):
            break
        counts[labels[row]] -= 1
        counts[cluster] += 1
        labels[row] = cluster
        given += 1
    return given
