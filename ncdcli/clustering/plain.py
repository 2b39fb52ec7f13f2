"""The inner loops of clustering in NumPy and SciPy, for where none are compiled; `_loops` has the same, compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

Rows = NDArray[np.float32]

_AT_ONCE = 2**19  # numbers in float64 at once, 4 MiB
_FEW = 64  # numbers up to which NumPy finds the place of the least faster than the least
_MANY = 100  # centres from which NumPy finds the place of the least quickly; fewer than a byte can count

STEP = 1  # rows, of which a part of them has a multiple


def pack(rows: Rows) -> NDArray[np.float32]:
    """The rows (n, d) as `nearest` goes through them: here each with a 1, so that a product adds centres' lengths."""
    out = np.ones((len(rows), rows.shape[1] + 1), np.float32)
    out[:, :-1] = rows
    return out


def nearest(
    packed: NDArray[np.float32], centres: NDArray[np.float64], labels: NDArray[np.int64], first: int, last: int
) -> None:
    """Write the nearest of each set of (r, k, d) centres to rows `first` … `last` - 1 into their `labels` (r, n).

    `packed` are the rows, by `pack`; `first` is a multiple of `STEP`. Of equally near centres it is the first.
    Distances are |c|² - 2xc in float32: ones that differ by its rounding may be told apart otherwise elsewhere, as they
    are by another BLAS.
    """
    r, k, d = centres.shape
    slopes = np.empty((r * k, d + 1), np.float32)
    slopes[:, :-1] = centres.reshape(r * k, d)
    slopes[:, -1] = np.square(slopes[:, :-1], dtype=np.float64).sum(axis=1)
    slopes[:, :-1] *= -2
    if k >= _MANY:
        labels[:, first:last] = (packed[first:last] @ slopes.T).reshape(-1, r, k).argmin(axis=2).T
        return
    distances = (slopes @ packed[first:last].T).reshape(r, k, -1)
    places = (distances == distances.min(axis=1, keepdims=True)).view(np.uint8)
    places *= np.arange(k, 0, -1, dtype=np.uint8)[:, None]
    np.subtract(k, places.max(axis=1), out=labels[:, first:last], dtype=np.int64)


def two_least(
    products: NDArray[np.float32],
    lengths: NDArray[np.float32],
    places: NDArray[np.int64],
    least: NDArray[np.float32],
    second: NDArray[np.float32] | None,
) -> None:
    """Of each row of `products` (n, k), with `lengths` (k,) added: which number is the least, it, and the second least.

    Written into the others, (n,) each; without `second` that is not looked for. Changes `products`. Of equal numbers
    the first is the least; the second of a single number is infinite.
    """
    products += lengths
    products.argmin(axis=1, out=places)
    here = np.arange(len(places))
    least[:] = products[here, places]
    if second is None:
        return
    products[here, places] = np.inf
    second[:] = products[here, products.argmin(axis=1)] if len(lengths) <= _FEW else products.min(axis=1)


def tally(
    before: NDArray[np.int64], after: NDArray[np.int64], counts: NDArray[np.int64], moved: NDArray[np.int64]
) -> None:
    """Add the sizes of the clusters `after` (r, n) to `counts` (r, k); `moved` (r,): rows not in the one `before`.

    Raises IndexError for a cluster that is none of the k.
    """
    r, k = counts.shape
    _require(after, k)
    np.sum(before != after, axis=1, out=moved)
    counts += np.bincount((after + k * np.arange(r)[:, None]).ravel(), minlength=r * k).reshape(r, k)


def follow(rows: Rows, before: NDArray[np.int64] | None, after: NDArray[np.int64], sums: NDArray[np.float64]) -> None:
    """Let the `sums` (r, k, d) of rows (n, d) by cluster follow the rows that change it.

    Clusters are those of (r, n) `before` (None, or -1: the row is in no sum yet) and `after`. Each sum takes its rows
    in and out in their order, in float64. Raises IndexError for a cluster that is none of the k.
    """
    r, k, d = sums.shape
    before = np.full_like(after, -1) if before is None else before
    _require(after, k)
    _require(before, k, least=-1)
    size = max(_AT_ONCE // max(d, 1), 512)
    for run in range(r):
        moved = np.flatnonzero(before[run] != after[run])
        for start in range(0, len(moved), size):
            chosen = moved[start : start + size]
            stacked = np.concatenate([sums[run], rows[chosen]])  # float64
            sums[run] = _changes(before[run, chosen], after[run, chosen], k) @ stacked


def _changes(before: NDArray[np.int64], after: NDArray[np.int64], k: int) -> csc_matrix:
    """(k, k + m) matrix that gives each of k sums itself, and then what m rows change in them."""
    clusters, signs = np.stack([before, after], axis=1), np.tile((-1.0, 1.0), (len(after), 1))
    known = clusters >= 0
    out = csc_matrix((k, k + len(after)))  # SciPy's own way from these arrays checks them, for longer than sums take
    out.data = np.concatenate([np.ones(k), signs[known]])
    out.indices = np.concatenate([np.arange(k), clusters[known]]).astype(np.int32)
    out.indptr = np.concatenate([np.arange(k), k + np.cumsum(np.r_[0, known.sum(axis=1)])]).astype(np.int32)
    return out


def moments(rows: Rows, out: NDArray[np.float64]) -> None:
    """Add the sum of the rows (n, d), and that of their squares, to `out` (2, d): one after the other, in float64."""
    size = max(_AT_ONCE // max(rows.shape[1], 1), 512)
    for start in range(0, len(rows), size):
        exact = np.concatenate([out[:1], rows[start : start + size]])  # float64
        out[0] = _one_by_one(exact)
        np.square(exact[1:], out=exact[1:])
        exact[0] = out[1]
        out[1] = _one_by_one(exact)


def _one_by_one(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(d,) sum of the rows (n, d) in their order; NumPy's own of a single column is by pairs."""
    return rows.sum(axis=0) if rows.shape[1] > 1 else np.add.accumulate(rows, axis=0)[-1]


def _require(clusters: NDArray[np.int64], k: int, least: int = 0) -> None:
    """IndexError where a cluster is not one of `least` … k - 1."""
    if clusters.size and (clusters.min() < least or clusters.max() >= k):
        raise IndexError("a cluster is none of the k")
