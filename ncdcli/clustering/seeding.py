"""Starting centres of k-means: rows drawn by k-means++ or at random, for many restarts in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.rows import Rows, blocks, squared_norms
from ncdcli.clustering.threads import each

# Squared distances below this part of |x|² + |c|² are float32 noise: the two rows count as equal.
_NOISE = 1e-6
_AT_ONCE = 16  # restarts seeded in one pass: bounds its memory at 64 bytes a row


def plus_plus(
    rows: Rows,
    count: int,
    *,
    rngs: Sequence[np.random.Generator],
    known: NDArray[np.floating] | None = None,
    power: int = 2,
    candidates: int = 1,
) -> NDArray[np.int64]:
    """(restarts, count) row numbers: each drawn with probability ∝ distance^`power` to the nearest centre so far.

    k-means++ (Arthur & Vassilvitskii 2007) with one candidate a step, as in GCD; power 1 is what the released code of
    PBN draws by. `known` are (m, d) centres that are there from the start; without them the first row is drawn
    uniformly. Of several `candidates` drawn at a step the one that leaves the lowest sum of squared distances is taken
    (greedy k-means++; scikit-learn takes 2 + log k). Only the distance to the newest centre is computed at each step,
    by one GEMM for all restarts together; restart r uses `rngs[r]` alone. Where every row is at distance 0 (fewer
    distinct rows than centres) the rest is drawn uniformly from the rows not drawn yet.
    """
    if len(rngs) > _AT_ONCE:
        groups = [rngs[first : first + _AT_ONCE] for first in range(0, len(rngs), _AT_ONCE)]
        same = partial(plus_plus, rows, count, known=known, power=power, candidates=candidates)
        return np.concatenate([same(rngs=group) for group in groups])
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
        drawn = [
            [_draw(nearest[r], rng, chosen[r, :step], power) for _ in range(candidates)] for r, rng in enumerate(rngs)
        ]
        best = 0 if candidates == 1 else _remainders(nearest, rows, norms, np.array(drawn)).argmin(axis=1)
        chosen[:, step] = np.array(drawn)[np.arange(len(rngs)), best]
        _approach(nearest, rows, norms, chosen[:, step])
    return chosen


def random_rows(n: int, count: int, *, rngs: Sequence[np.random.Generator]) -> NDArray[np.int64]:
    """(restarts, count) distinct row numbers, drawn uniformly."""
    return np.stack([rng.choice(n, size=count, replace=False) for rng in rngs]).astype(np.int64)


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


def _remainders(
    nearest: NDArray[np.float32], rows: Rows, norms: NDArray[np.float32], candidates: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(restarts, candidates) sum of the squared distances that each candidate row would leave."""
    flat = candidates.ravel()
    left = np.zeros(candidates.shape)
    for part in blocks(len(rows), 65536 // candidates.shape[1]):
        distance = _squared(rows, norms, flat, part).reshape(*candidates.shape, -1)
        left += np.minimum(distance, nearest[:, None, part]).sum(axis=2, dtype=np.float64)
    return left


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


def _draw(squared: NDArray[np.float32], rng: np.random.Generator, taken: NDArray[np.int64], power: int) -> int:
    weights = squared if power == 2 else squared.astype(np.float64) ** (power / 2)
    cumulative = np.cumsum(weights, dtype=np.float64)
    if cumulative[-1] > 0:
        row = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
        return min(int(row), len(weights) - 1)
    free = np.setdiff1d(np.arange(len(weights)), taken)
    return int(rng.choice(free if len(free) else len(weights)))
