"""Lloyd's iteration from given centres, with pinned rows and empty clusters repaired: the engine of every k-means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Required, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.balance import balanced_nearest, capacities
from ncdcli.clustering.nearest import Nearest
from ncdcli.clustering.rows import Rows, blocks, squared_norms
from ncdcli.clustering.sums import group_sums, inertia, moved_sums, own_squared

# Squared distances below this part of |x|² are rounding of the mean: the row lies on its centre.
_ON_CENTRE = 1e-10
_AT_ONCE = 2**22  # clusters of rows that iterations side by side keep, 32 MiB

# (r, n) nearest of (r, k, d) centres to each row; most are those of the (r, n) last ones
_Sweep = Callable[[NDArray[np.float64], NDArray[np.int64] | None], NDArray[np.int64]]


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


class Options(TypedDict, total=False):
    """How Lloyd's iteration goes, see `lloyds`."""

    iterations: Required[int]
    tolerance: float
    pinned: Pinned | None
    spherical: bool
    balance: float | None
    nearest: Nearest | None
    tick: Callable[[], None] | None


def lloyd(rows: Rows, start: NDArray[np.floating], **options: Unpack[Options]) -> Partition:
    """The partition of `rows` (n, d) that Lloyd's iteration reaches from the centres `start` (k, d), see `lloyds`."""
    return lloyds(rows, start[None], **options)[0]


def lloyds(
    rows: Rows,
    starts: NDArray[np.floating],
    *,
    iterations: int,
    tolerance: float = 0.0,
    pinned: Pinned | None = None,
    spherical: bool = False,
    balance: float | None = None,
    nearest: Nearest | None = None,
    tick: Callable[[], None] | None = None,
) -> list[Partition]:
    """The partitions of `rows` (n, d) that Lloyd's iteration reaches from each of the `starts` (r, k, d).

    Each iteration gives rows to their nearest centre (the first of equally near ones), then moves centres to the mean
    of their rows and pinned rows (`spherical`: scaled to unit length). It stops when no row changes its cluster, when
    (sum of the lengths of all centre moves)² < `tolerance` (the rule of GCD's released code), or after `iterations`.

    A cluster left empty is re-seeded at the row farthest from its own centre (never the last row of another cluster,
    and never a row that lies on its centre); with fewer distinct rows than clusters it stays empty where it was.
    With `balance` no cluster takes more rows than that many times the mean size, see `ncdcli.clustering.balance`.
    `nearest` is that of an earlier call with the same rows: what it knows of them is then not computed again.
    Distances are float32 GEMMs, and only those that can matter (see `Nearest`); sums and the objective are float64, and
    sums follow only the rows that changed. Where centres are few numbers, all starts go side by side.
    """
    k, d = starts.shape[1:]
    base = pinned or Pinned(np.zeros(k, np.int64), np.zeros((k, d)), 0.0)
    at_once, sweep = 1, _alone(nearest := nearest or Nearest(rows))
    if balance is not None:
        sweep = _alone(partial(balanced_nearest, rows, room=capacities(len(rows), base.counts, balance)))
    elif nearest.cheap(k, d):
        at_once, sweep = max(_AT_ONCE // max(len(rows), 1), 1), nearest.narrow
    descent = _Descent(rows, base, sweep, iterations, tolerance, spherical)
    found = []
    for first in range(0, len(starts), at_once):
        found += descent(starts[first : first + at_once])
        if tick is not None:
            for _ in found[first:]:
                tick()
    return found


def _alone(nearest: Callable[[NDArray[np.float64]], NDArray[np.int64]]) -> _Sweep:
    """The sweep of a single set of centres."""
    return lambda centres, last: nearest(centres[0])[None]


@dataclass(frozen=True)
class _Descent:
    """Lloyd's iterations of the same rows from several starts, side by side."""

    rows: Rows
    base: Pinned
    sweep: _Sweep
    iterations: int
    tolerance: float
    spherical: bool

    def __call__(self, starts: NDArray[np.floating]) -> list[Partition]:
        """Where the iteration ends from each of the (r, k, d) starts; those at rest wait for the others."""
        r, iteration = len(starts), 0
        centres, labels = np.array(starts, np.float64), np.full((r, len(self.rows)), -1, np.int64)
        sums = np.repeat(self.base.sums[None], r, axis=0)
        done, repaired = np.zeros((2, r), np.int64)
        settled, converged = np.zeros((2, r), bool)
        while iteration < self.iterations and len(moving := np.flatnonzero(~settled & ~converged)):
            iteration += 1
            old = labels[moving] if iteration > 1 else None
            new = self.sweep(centres[moving], old)
            counts, given = self._fill(new, centres[moving])
            done[moving], labels[moving] = iteration, new
            repaired[moving] += given
            if old is not None:
                settled[moving] = [np.array_equal(*pair) for pair in zip(old, new, strict=True)]
                if (rest := settled[moving]).any():
                    moving, old, new, counts = moving[~rest], old[~rest], new[~rest], counts[~rest]
            if not len(moving):
                break
            sums[moving] = self._follow(sums[moving], old, new)
            before, centres[moving] = centres[moving], self._means(sums[moving], counts, centres[moving])
            if self.tolerance:
                shift = np.linalg.norm(centres[moving] - before, axis=2).sum(axis=1)
                converged[moving] = shift**2 < self.tolerance
        if not settled.all():
            labels[~settled] = self.sweep(centres[~settled], labels[~settled] if iteration else None)
        own = [inertia(self.rows, *pair) + self.base.inertia(pair[1]) for pair in zip(labels, centres, strict=True)]
        ends = zip(labels, centres, own, done.tolist(), repaired.tolist(), (settled | converged).tolist(), strict=True)
        return [Partition(*end) for end in ends]

    def _fill(
        self, labels: NDArray[np.int64], centres: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(r, k) sizes of the clusters, and how many of the empty ones were given a row; changes `labels` (r, n)."""
        r, k = centres.shape[:2]
        counts = np.stack([np.bincount(own, minlength=k) for own in labels]) + self.base.counts
        given = np.zeros(r, np.int64)
        if not counts.all():
            for run in range(r):
                given[run] = _repair(self.rows, labels[run], centres[run], counts[run])
        return counts, given

    def _follow(
        self, sums: NDArray[np.float64], old: NDArray[np.int64] | None, new: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """(r, k, d) sums of the new clusters, from those of the old ones where few rows changed."""
        k, n = sums.shape[1], new.shape[1]
        if old is None:
            return self.base.sums + group_sums(self.rows, new, k)
        changes = [np.flatnonzero(a != b) for a, b in zip(old, new, strict=True)]
        many = np.array([3 * len(rows) >= n for rows in changes])
        run = np.repeat(
            np.arange(len(new)), [0 if much else len(rows) for rows, much in zip(changes, many, strict=True)]
        )
        out = sums.copy()
        if len(run):
            row = np.concatenate([rows for rows, much in zip(changes, many, strict=True) if not much])
            out += moved_sums(self.rows[row], run, old[run, row], new[run, row], sums.shape)
        if many.any():
            out[many] = self.base.sums + group_sums(self.rows, new[many], k)
        return out

    def _means(
        self, sums: NDArray[np.float64], counts: NDArray[np.int64], centres: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(r, k, d) means of the clusters; an empty one keeps its centre."""
        filled = (counts > 0)[..., None]
        out = np.divide(sums, counts[..., None], out=centres.copy(), where=filled)
        if self.spherical:
            lengths = np.linalg.norm(out, axis=2, keepdims=True)
            np.divide(out, lengths, out=out, where=lengths > 0)
        return out


def _repair(rows: Rows, labels: NDArray[np.int64], centres: NDArray[np.float64], counts: NDArray[np.int64]) -> int:
    """The number of empty clusters that were given the farthest row that may be spared; changes `labels`, `counts`."""
    if not len(labels) or counts.all():
        return 0
    squared = own_squared(rows, labels, centres)
    farthest = iter(np.argsort(-squared, kind="stable"))
    given = 0
    for cluster in np.flatnonzero(counts == 0):
        row = next((r for r in farthest if counts[labels[r]] > 1), None)
        if row is None or squared[row] <= _ON_CENTRE * float(np.square(rows[row], dtype=np.float64).sum()):
            break
        counts[labels[row]] -= 1
        counts[cluster] += 1
        labels[row] = cluster
        given += 1
    return given
