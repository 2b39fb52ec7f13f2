"""Lloyd's iteration from given centres, with pinned rows and empty clusters repaired: the engine of every k-means."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Required, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.balance import balanced_nearest, capacities
from ncdcli.clustering.descent import Descent, Partition, Pinned, Sweep
from ncdcli.clustering.nearest import Nearest
from ncdcli.clustering.rows import Rows

_AT_ONCE = 2**22  # clusters of rows that iterations side by side keep, 32 MiB


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
    elif nearest.cheap(k):
        at_once, sweep = max(_AT_ONCE // max(len(rows), 1), 1), nearest.narrow
    descent = Descent(nearest.sums, base, sweep, iterations, tolerance, spherical)
    found: list[Partition] = []
    for first in range(0, len(starts), at_once):
        found += descent(starts[first : first + at_once])
        if tick is not None:
            for _ in found[first:]:
                tick()
    return found


def _alone(nearest: Callable[[NDArray[np.float64]], NDArray[np.int64]]) -> Sweep:
    """The sweep of a single set of centres."""
    return lambda centres: nearest(centres[0])[None]
