"""Lloyd's iterations of the same rows from several starts, side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering import loops
from ncdcli.clustering.rows import Rows, blocks, squared_norms
from ncdcli.clustering.sums import RowSums, group_sums, inertia, own_squared

# Squared distances below this part of |x|² are rounding of the mean: the row lies on its centre.
_ON_CENTRE = 1e-10
_CANCELS = 1e-4  # part of the sum of squares below which the objective is too small to be a difference of such sums

Sweep = Callable[[NDArray[np.float64]], NDArray[np.int64]]  # (r, n) nearest of (r, k, d) centres to each row


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
        return max(_spread(self.squares, self.sums, self.counts, centres), 0.0)


@dataclass(frozen=True)
class Partition:
    """Where Lloyd's iteration ended. Every row is in the cluster of its nearest centre (that has room for it)."""

    labels: NDArray[np.int64]  # (n,)
    centres: NDArray[np.float64]  # (k, d)
    objective: float  # sum of squared distances to the own centre, pinned rows included
    iterations: int
    repaired: int  # clusters that were empty in some iteration and got a row
    converged: bool


@dataclass
class _Runs:
    """Where some of the starts have got to."""

    number: NDArray[np.int64]  # (r,) of the start
    repaired: NDArray[np.int64]  # (r,)
    centres: NDArray[np.float64]  # (r, k, d)
    labels: NDArray[np.int64]  # (r, n) clusters, of which the centres are the means; -1 before the first iteration
    counts: NDArray[np.int64]  # (r, k) their sizes, pinned rows included
    sums: NDArray[np.float64]  # (r, k, d) … and sums

    @classmethod
    def of(cls, starts: NDArray[np.floating], n: int, base: Pinned) -> _Runs:
        """All runs of `n` rows before the first iteration."""
        r, k, _ = starts.shape
        counts, labels = np.zeros((r, k), np.int64), np.full((r, n), -1, np.int64)
        sums = base.sums + np.zeros((r, 1, 1))
        return cls(np.arange(r), np.zeros(r, np.int64), starts.astype(np.float64), labels, counts, sums)

    def at(self, which: NDArray[np.bool_]) -> _Runs:
        """Some of the runs."""
        return _Runs(*(values[which] for values in vars(self).values()))


@dataclass(frozen=True)
class Descent:
    """How the iterations go, see `ncdcli.clustering.lloyd.lloyds`."""

    rows: RowSums
    base: Pinned
    sweep: Sweep
    iterations: int
    tolerance: float
    spherical: bool

    def __call__(self, starts: NDArray[np.floating]) -> list[Partition]:
        """Where the iteration ends from each of the (r, k, d) starts; those at rest leave the others."""
        runs, done = _Runs.of(starts, len(self.rows.rows), self.base), 0
        found: dict[int, Partition] = {}
        while done < self.iterations and len(runs.number):
            done += 1
            labels = self.sweep(runs.centres)
            counts, moved = self._tally(runs.labels, labels)
            if not _all(counts):
                runs, moved = self._fill(runs, labels, counts)
            if done > 1 and not _all(moved):
                found |= self._ends(runs.at(moved == 0), done, converged=True)
                moves = moved > 0
                runs, labels, counts = runs.at(moves), labels[moves], counts[moves]
                if not len(labels):
                    break
            before, sums = runs.centres, self.rows.follow(runs.sums, runs.labels, labels)
            centres = self._means(sums, counts, before)
            runs = _Runs(runs.number, runs.repaired, centres, labels, counts, sums)
            if self.tolerance:
                rests = np.linalg.norm(centres - before, axis=2).sum(axis=1) ** 2 < self.tolerance
                if rests.any():
                    found |= self._ends(self._look_again(runs.at(rests)), done, converged=True)
                    runs = runs.at(~rests)
        if len(runs.number):
            found |= self._ends(self._look_again(runs), done, converged=False)
        return [found[number] for number in range(len(starts))]

    def _tally(
        self, before: NDArray[np.int64], labels: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(r, k) sizes of the clusters `labels` (r, n), pinned rows included, and (r,) rows not in the one `before`."""
        counts, moved = self.base.counts + np.zeros((len(labels), 1), np.int64), np.zeros(len(labels), np.int64)
        loops.tally(before, labels, counts, moved)
        return counts, moved

    def _fill(
        self, runs: _Runs, labels: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> tuple[_Runs, NDArray[np.int64]]:
        """The runs with their repairs, and (r,) rows that move, after empty clusters got a row; changes the others."""
        given = [_repair(self.rows.rows, *run) for run in zip(labels, runs.centres, counts, strict=True)]
        return replace(runs, repaired=runs.repaired + given), np.count_nonzero(labels != runs.labels, axis=1)

    def _look_again(self, runs: _Runs) -> _Runs:
        """The runs with every row in the cluster of its nearest centre, centres as they are."""
        labels = self.sweep(runs.centres)
        counts, _ = self._tally(runs.labels, labels)
        return replace(runs, labels=labels, counts=counts, sums=self.rows.follow(runs.sums, runs.labels, labels))

    def _means(
        self, sums: NDArray[np.float64], counts: NDArray[np.int64], centres: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(r, k, d) means of the clusters; an empty one keeps its centre."""
        if _all(counts):
            out = sums / counts[..., None]
        else:
            out = np.divide(sums, counts[..., None], out=centres.copy(), where=(counts > 0)[..., None])
        if self.spherical:
            lengths = np.linalg.norm(out, axis=2, keepdims=True)
            np.divide(out, lengths, out=out, where=lengths > 0)
        return out

    def _ends(self, runs: _Runs, done: int, *, converged: bool) -> dict[int, Partition]:
        """The partitions of runs, by the number of the start, after so many iterations."""
        found = {}
        squares = self.rows.squares + self.base.squares
        for number, repaired, centres, labels, counts, sums in zip(*vars(runs).values(), strict=True):
            objective = _spread(squares, sums, counts, centres)
            if objective < _CANCELS * squares:
                objective = inertia(self.rows.rows, labels, centres) + self.base.inertia(centres)
            found[int(number)] = Partition(labels, centres, objective, done, int(repaired), converged)
        return found


def _all(numbers: NDArray[np.int64]) -> bool:
    """Whether none is 0: NumPy's `all` takes ten times as long for a few."""
    return np.count_nonzero(numbers) == numbers.size


def _spread(
    squares: float, sums: NDArray[np.float64], counts: NDArray[np.int64], centres: NDArray[np.float64]
) -> float:
    """Sum of squared distances to (k, d) centres, from the sum of squares of all rows, and their sums and counts."""
    cross = float(np.einsum("ij,ij->", sums, centres))
    return squares - 2 * cross + float(counts @ squared_norms(centres))


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
