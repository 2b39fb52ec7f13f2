"""Starting centres of k-means: rows drawn by k-means++ or at random, for many restarts in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.rows import Rows, blocks, squared_norms
from ncdcli.clustering.threads import each

Seeding = Literal["greedy", "kmeans++", "random"]

# Squared distances below this part of |x|² + |c|² are float32 noise: the two rows count as equal.
_NOISE = 1e-6
_BLOCK = 2**18  # distances a GEMM makes at once where there are candidates: what the processor's cache holds
_KEPT = 2**24  # distances to all candidates that are kept in memory, 64 MiB, so that none is computed again
_AT_ONCE = 16  # restarts seeded in one pass: bounds its memory at 64 bytes a row


def plus_plus(
    rows: Rows,
    count: int,
    *,
    rngs: Sequence[np.random.Generator],
    known: NDArray[np.floating] | None = None,
    power: int = 2,
    greedy: bool = False,
) -> NDArray[np.int64]:
    """(restarts, count) row numbers: each drawn with probability ∝ distance^`power` to the nearest centre so far.

    k-means++ (Arthur & Vassilvitskii 2007); power 1 is what the released code of PBN draws by. `known` are (m, d)
    centres that are there from the start; without them the first row is drawn uniformly. One row is drawn a step, as in
    GCD; `greedy` draws 2 + log `count` and takes the one that leaves the lowest sum of squared distances, as
    scikit-learn does. Distances to the newest rows alone are computed, by one GEMM for all restarts together; restart r
    uses `rngs[r]` alone. With fewer distinct rows than centres the rest is drawn uniformly from rows not drawn yet.
    """
    if len(rngs) > _AT_ONCE:
        groups = [rngs[first : first + _AT_ONCE] for first in range(0, len(rngs), _AT_ONCE)]
        same = partial(plus_plus, rows, count, known=known, power=power, greedy=greedy)
        return np.concatenate([same(rngs=group) for group in groups])
    candidates = 2 + int(np.log(max(count, 1))) if greedy else 1
    chosen = np.empty((len(rngs), count), np.int64)
    norms = squared_norms(rows)
    nearest = np.full((len(rngs), len(rows)), np.inf, np.float32)
    first = 0
    if known is not None and len(known):
        nearest[:] = nearest_squared(rows, known.astype(np.float32))
    elif count:
        chosen[:, 0] = [rng.integers(len(rows)) for rng in rngs]
        _approach(nearest, rows, norms, chosen[:, 0])
        first = 1
    for step in range(first, count):
        drawn = np.stack([_draw(nearest[r], rng, chosen[r, :step], power, candidates) for r, rng in enumerate(rngs)])
        if candidates > 1:
            chosen[:, step] = _approach_best(nearest, rows, norms, drawn)
        else:
            chosen[:, step] = drawn[:, 0]
            _approach(nearest, rows, norms, chosen[:, step])
    return chosen


def draw_rows(rows: Rows, count: int, seeding: Seeding, *, rngs: Sequence[np.random.Generator]) -> NDArray[np.int64]:
    """(restarts, count) row numbers: distinct ones drawn uniformly (`random`), or those of `plus_plus`."""
    if seeding == "random":
        return np.stack([rng.choice(len(rows), size=count, replace=False) for rng in rngs]).astype(np.int64)
    return plus_plus(rows, count, rngs=rngs, greedy=seeding == "greedy")


def nearest_squared(rows: Rows, centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) squared distance of each row to its nearest centre; float32 noise reads 0."""
    norms, centre_norms = squared_norms(rows), squared_norms(centres)
    out = np.empty(len(rows), np.float32)
    for part in blocks(len(rows)):
        size = norms[part, None] + centre_norms
        distance = size - 2 * (rows[part] @ centres.T)
        distance[distance < _NOISE * size] = 0
        out[part] = distance.min(axis=1)
    return out


def _approach_best(
    nearest: NDArray[np.float32], rows: Rows, norms: NDArray[np.float32], drawn: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(restarts,) the candidates of `drawn` (restarts, candidates) that leave the lowest sums; lowers `nearest`."""
    flat = drawn.ravel()
    keep = drawn.size * len(rows) <= _KEPT

    def remain(part: slice) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
        distance = _squared(rows, norms, flat, part).reshape(*drawn.shape, -1)
        np.minimum(distance, nearest[:, None, part], out=distance)
        return distance.sum(axis=2).astype(np.float64), distance if keep else None

    parts = list(blocks(len(rows), max(_BLOCK // drawn.size, 256)))
    sums, left = zip(*each(remain, parts), strict=True)
    here = np.arange(len(drawn))
    best = np.sum(sums, axis=0).argmin(axis=1)
    chosen: NDArray[np.int64] = drawn[here, best]
    if keep:
        for part, distance in zip(parts, left, strict=True):
            nearest[:, part] = distance[here, best]
    else:
        _approach(nearest, rows, norms, chosen)
    return chosen


def _approach(nearest: NDArray[np.float32], rows: Rows, norms: NDArray[np.float32], newest: NDArray[np.int64]) -> None:
    """Lower `nearest` (restarts, n) to the squared distance to each restart's newest centre."""

    def lower(part: slice) -> None:
        np.minimum(nearest[:, part], _squared(rows, norms, newest, part), out=nearest[:, part])

    each(lower, list(blocks(len(rows), 16384)))


def _squared(rows: Rows, norms: NDArray[np.float32], centres: NDArray[np.int64], part: slice) -> NDArray[np.float32]:
    """(centres, part) squared distances of a part of the rows to some rows; float32 noise reads 0."""
    size = norms[part] + norms[centres, None]
    distance = size - 2 * (rows[centres] @ rows[part].T)
    distance[distance < _NOISE * size] = 0
    return distance


def _draw(
    squared: NDArray[np.float32], rng: np.random.Generator, taken: NDArray[np.int64], power: int, count: int
) -> NDArray[np.int64]:
    """(count,) rows, each drawn by itself with a chance ∝ distance^`power`."""
    weights = squared if power == 2 else squared.astype(np.float64) ** (power / 2)
    cumulative = np.cumsum(weights, dtype=np.float64)
    if cumulative[-1] > 0:
        drawn = np.searchsorted(cumulative, rng.random(count) * cumulative[-1], side="right")
        return np.minimum(drawn, len(weights) - 1)
    free = np.setdiff1d(np.arange(len(weights)), taken)
    return rng.choice(free if len(free) else len(weights), count)
