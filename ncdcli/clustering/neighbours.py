"""Exact nearest neighbours of all rows among each other, by GEMM in blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.rows import Rows, blocks, choose_frame, squared_norms
from ncdcli.clustering.threads import each, threads_for

_BLOCK_VALUES = 2**23  # 32 MB of distances at once


def nearest_neighbours(
    rows: Rows, count: int, *, of: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n, m) the m = min(`count`, n − 1) other rows nearest to each row, nearest first, and (n, m) squared distances.

    `of` (row numbers) asks for the neighbours of some rows only, which the answer then has in their order.
    Distances are Euclidean; on unit rows the order is that of the cosine. A row is never its own neighbour, equal rows
    are neighbours at distance 0, and equally near ones come in ascending order. Which rows are nearest is told by
    float32 GEMMs, |x|² − 2xy + |y|²; the distances of those are then computed from differences, and put in order.
    Time grows with n², memory does not.
    """
    count = min(count, len(rows) - 1)
    asked = np.arange(len(rows)) if of is None else of
    indices = np.empty((len(asked), max(count, 0)), np.int64)
    distances = np.empty(indices.shape)
    if count < 1:
        return indices, distances
    frame = choose_frame(rows)
    near = frame.enter(rows)
    slopes, sizes = np.ascontiguousarray(-2 * near.T), squared_norms(near)

    def look(part: slice) -> None:
        own = asked[part]
        gaps = near[own] @ slopes
        gaps += sizes
        gaps[np.arange(len(own)), own] = np.inf
        chosen = gaps.argmin(axis=1)[:, None] if count == 1 else np.argpartition(gaps, count - 1)[:, :count]
        indices[part], distances[part] = _in_order(near, own, np.sort(chosen))

    with threads_for(rows.size, len(asked)):
        each(look, list(blocks(len(asked), max(1, min(256, _BLOCK_VALUES // len(rows))))))
    return indices, distances / frame.scale**2


def _in_order(
    rows: Rows, own: NDArray[np.int64], chosen: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The chosen neighbours of their `own` rows by exact distance, and these distances squared."""
    squared = np.empty(chosen.shape)
    for column in range(chosen.shape[1]):
        difference = rows[own] - rows[chosen[:, column]]
        squared[:, column] = np.einsum("ij,ij->i", difference, difference)
    order = np.argsort(squared, axis=1, kind="stable")
    return np.take_along_axis(chosen, order, 1), np.take_along_axis(squared, order, 1)
